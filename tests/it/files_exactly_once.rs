//! Each file is read exactly once, whenever it comes (G-1, R-16).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use millstream::prelude::*;

use crate::helpers::*;

/// Files are renamed in at any moment, before, while and after batches
/// run, some dated as others are, some late, some in the future, and are removed
/// when they were read. Each one is read once, in no batch before its time.
///
/// `FILE_COUNT` is how many files there are, a hundred a batch at the most.
#[test]
fn each_file_is_read_exactly_once() {
    let count: usize = std::env::var("FILE_COUNT").map_or(1000, |count| count.parse().unwrap());
    for seed in 0..3 {
        exactly_once(count, seed);
    }
}

fn exactly_once(count: usize, seed: u64) {
    let dir = Scratch::new(&format!("exact-{seed}"));
    let (one, two) = (dir.join("in-1"), dir.join("in-2"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    let program = Program::with(|builder| builder.workers(1 + seed as usize % 2));
    let lines = program.ssc.text_file_stream(dir.join("in-*")).unwrap();
    let seen = watch(&lines);
    program.start();
    let mut random = Random::new(seed);
    let mut dated: BTreeMap<String, i64> = BTreeMap::new();
    let mut read: BTreeMap<Str, i64> = BTreeMap::new();
    while dated.len() < count {
        let now = program.now().as_millis();
        let files: Vec<(PathBuf, u64, String)> = (0..random.below(20))
            .map(|_| {
                let name = format!("file-{}", dated.len());
                // Many at the same moment; never older than the next batch's window.
                let age = [0, 1000, random.below(58_000) as i64][random.below(3)];
                let millis = (now + 1500 - age).max(1);
                dated.insert(name.clone(), millis);
                let dir = if random.below(2) == 0 { &one } else { &two };
                (dir.join(&name), millis as u64, name)
            })
            .collect();
        let (before, during) = files.split_at(random.below(files.len() + 1));
        let write = |files: &[(PathBuf, u64, String)]| {
            for (path, millis, name) in files {
                let lines: String = (0..3).map(|i| format!("{name}:{i}\n")).collect();
                put(path, *millis, lines);
            }
        };
        write(before);
        std::thread::scope(|scope| {
            scope.spawn(|| write(during));
            program.tick();
        });
        check(&mut read, &seen, &dated);
        if random.below(4) == 0 {
            for directory in [&one, &two] {
                for entry in fs::read_dir(directory).unwrap() {
                    let entry = entry.unwrap();
                    let line = format!("{}:0", entry.file_name().display());
                    if read.contains_key(&Str::from(line)) {
                        fs::remove_file(entry.path()).unwrap();
                    }
                }
            }
        }
    }
    for _ in 0..3 {
        program.tick();
    }
    program.stop();
    check(&mut read, &seen, &dated);
    assert_eq!(read.len(), 3 * dated.len(), "seed {seed}");
}

/// Enters what was read since; no line twice, none too early.
fn check(read: &mut BTreeMap<Str, i64>, seen: &Seen<Vec<Str>>, dated: &BTreeMap<String, i64>) {
    for (time, lines) in seen.take() {
        for line in lines {
            let (name, _) = line.split_once(':').unwrap();
            assert!(dated[name.as_str()] <= time, "{line} in the batch {time}");
            let before = read.insert(line.clone(), time);
            assert_eq!(before, None, "{line} in the batch {time} again");
        }
    }
}

/// Numbers that look random and are always the same.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        // Knuth's multiplier; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}
