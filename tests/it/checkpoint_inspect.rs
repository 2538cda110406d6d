//! What is told of a directory of checkpoints (F-12, F-13, R-20).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::fs;
use std::path::Path;
use std::sync::mpsc;

use millstream::checkpoint::{Inspection, Status, inspect};
use millstream::dstream::{InputBatch, InputSource};
use millstream::prelude::*;

use crate::checkpoints::Taken;
use crate::helpers::*;

/// Two numbers in each batch, the position as text.
#[derive(Default)]
struct Numbers(u32);

impl InputSource<u32> for Numbers {
    fn compute(
        &mut self,
        _time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<u32>>> {
        self.0 += 2;
        Ok(Some(batch.parallelize([self.0 - 2, self.0 - 1], 1)))
    }

    fn position(&mut self) -> millstream::Result<Vec<u8>> {
        Ok(format!("next={}\n", self.0).into_bytes())
    }

    fn resume(&mut self, position: &[u8]) -> millstream::Result<()> {
        let text = std::str::from_utf8(position).unwrap();
        self.0 = text.trim_start_matches("next=").trim_end().parse().unwrap();
        Ok(())
    }
}

/// A process with a checkpoint before its first batch, if there is none to go on from,
/// and one behind each.
fn process(dir: &Path, millis: i64, batches: usize) {
    let program = recover(dir, millis, |builder| builder.app_name("Sums").workers(1));
    let (told, taken) = mpsc::channel();
    program.ssc.add_listener(Taken(told));
    let seen = program.ssc.long_accumulator("seen\u{1b}[2J");
    let half = program.ssc.double_accumulator("half");
    let all = program.ssc.collection_accumulator("all");
    program.ssc.checkpoint_accumulator(&all).unwrap();
    let numbers = program.ssc.input_stream(Numbers::default()).unwrap();
    numbers
        .uid("numbers")
        .unwrap()
        .map(|n| (n, u64::from(n)))
        .update_state_by_key(|new: &[u64], old: Option<&u64>| {
            Some(old.unwrap_or(&0) + new.iter().sum::<u64>())
        })
        .uid("sums")
        .unwrap()
        .checkpoint(SECOND)
        .unwrap()
        .foreach_rdd(move |rdd, _| {
            let count = rdd.count()?;
            seen.add(count as i64);
            half.add(0.5);
            all.add(count as u8);
            Ok(())
        });
    program.start();
    if millis == 0 {
        assert_eq!(taken.recv().unwrap().batch_time, at(0));
    }
    for _ in 0..batches {
        program.tick();
        assert!(taken.recv().unwrap().error.is_none());
    }
    program.ssc.stop(true).unwrap();
}

/// The text, without where the directory is.
fn text(found: &Inspection) -> String {
    found
        .to_string()
        .replace(&*found.directory.to_string_lossy(), "DIR")
}

#[test]
fn f_12_what_each_file_has_is_told_and_why_one_cannot_be_read() {
    let dir = Scratch::new("inspect");
    process(&dir, 0, 3);
    // Other things are passed over, and left where they are.
    fs::create_dir(dir.join("checkpoint-01")).unwrap();
    fs::write(dir.join("checkpoint-9000-1.tmp"), "begun").unwrap();
    fs::write(dir.join("notes"), "mine").unwrap();
    let whole = |second: usize| {
        let size = fs::metadata(dir.join(format!("checkpoint-{}", second * 1000)));
        let (size, keys) = (size.unwrap().len(), 2 * second);
        // All of nothing, and three bytes for each key in each batch, behind their shape.
        let bytes = 2 + (1..=second).map(|n| 3 * 2 * n + 5).sum::<usize>();
        let (shape, of) = match second {
            0 => ("", "_"),
            _ => (" of (u32, u64)", "u8"),
        };
        let pieces = ["1 piece", "2 pieces", "3 pieces", "4 pieces"][second];
        let seen = (1..=second).map(|n| 2 * n).sum::<usize>();
        let half = second as f64 / 2.0;
        let all = if second == 0 { "" } else { "s" };
        format!(
            "checkpoint-{}: {size} bytes, whole\n  \
             batch {} ms, zero time 0 ms, batch interval 1s, written by 0.1.0\n  \
             setting app_name = Sums\n  \
             setting batch_interval = 1s\n  \
             setting workers = 1\n  \
             stream \"numbers\", Input: 7 bytes in 1 piece, position next={keys}\\n\n  \
             stream \"sums\", state by key: {keys} keys, {bytes} bytes in {pieces}{shape}\n  \
             accumulator \"all\": {} byte{all} of [{of}]\n  \
             double accumulator \"half\": {half}\n  \
             long accumulator \"seen\\u{{1b}}[2J\": {seen}",
            second * 1000,
            second * 1000,
            second + 1
        )
    };
    let size = |second: usize| {
        let file = dir.join(format!("checkpoint-{}", second * 1000));
        fs::metadata(file).unwrap().len()
    };
    let found = inspect(&*dir).unwrap();
    let (newest, older) = (whole(3), [whole(2), whole(1), whole(0)].join("\n"));
    assert_eq!(
        text(&found),
        format!("DIR: 4 files, recovery begins behind 3000 ms\n{newest}\n{older}")
    );
    let needed: Vec<_> = found.files.iter().map(|file| &file.needed_by[..]).collect();
    let newer = [at(3000), at(2000), at(1000)];
    assert_eq!(needed, [&[][..], &newer[..1], &newer[..2], &newer]);

    // A byte of the newest is another, and then the first one is cut off.
    let path = dir.join("checkpoint-3000");
    let good = fs::read(&path).unwrap();
    let mut bytes = good.clone();
    bytes[20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(
        text(&inspect(&*dir).unwrap()),
        format!(
            "DIR: 4 files, recovery begins behind 2000 ms\n\
             checkpoint-3000: {} bytes, cannot be read: corrupt data: at byte 8: the checksum is \
             wrong: the file was damaged\n{older}",
            bytes.len()
        )
    );

    fs::write(&path, &good).unwrap();
    fs::write(dir.join("checkpoint-0"), &good[..5]).unwrap();
    let cut = "corrupt data: it is too short for a checkpoint";
    let needs = "not whole: corrupt data: it needs checkpoint-0, which cannot be read";
    let found = inspect(&*dir).unwrap();
    assert_eq!(
        text(&found),
        format!(
            "DIR: 4 files, nothing to recover from\n\
             checkpoint-3000: {} bytes, {needs}: {cut}\n\
             checkpoint-2000: {} bytes, {needs}: {cut}\n\
             checkpoint-1000: {} bytes, {needs}: {cut}\n\
             checkpoint-0: 5 bytes, cannot be read: {cut}",
            size(3),
            size(2),
            size(1)
        )
    );
    assert!(found.files.iter().all(|file| file.status.error().is_some()));

    fs::remove_file(dir.join("checkpoint-0")).unwrap();
    let found = inspect(&*dir).unwrap();
    assert!(matches!(found.files[0].status, Status::Incomplete(_)));
    let gone = "not whole: corrupt data: it needs checkpoint-0, which is not there";
    assert!(text(&found).contains(gone), "{found}");
}

/// A file that is there only for what newer checkpoints need of it is no damage.
#[test]
fn f_12_files_that_are_kept_for_newer_ones_are_told() {
    let dir = Scratch::new("inspect-kept");
    process(&dir, 0, 14);
    let found = inspect(&*dir).unwrap();
    let whole = |status: &Status| matches!(status, Status::Whole(_));
    let whole = found.files.iter().filter(|file| whole(&file.status));
    assert!(whole.count() >= 10);
    for file in &found.files {
        assert!(file.status.error().is_none() || !file.needed_by.is_empty());
    }
    // What it goes on from is what is told.
    process(&dir, 14_000, 1);
    let newest = inspect(&*dir).unwrap();
    let newest = newest.newest().unwrap();
    assert_eq!(newest.batch_time, at(15_000));
    assert_eq!(newest.streams[1].keys, Some(30));
}

#[test]
fn f_13_a_file_of_another_version_is_told() {
    let dir = Scratch::new("inspect-version");
    process(&dir, 0, 1);
    fs::remove_file(dir.join("checkpoint-0")).unwrap();
    let path = dir.join("checkpoint-1000");
    let mut bytes = fs::read(&path).unwrap();
    for (version, who) in [
        (77, "a newer version of this library wrote it"),
        (
            2,
            "an older version of this library wrote it, and can go on from it",
        ),
    ] {
        bytes[6] = version;
        fs::write(&path, &bytes).unwrap();
        let reason = format!(
            "version {version} of the format of checkpoints is not known here, which is 3: {who}"
        );
        assert_eq!(
            text(&inspect(&*dir).unwrap()),
            format!(
                "DIR: 1 file, nothing to recover from\n\
                 checkpoint-1000: {} bytes, cannot be read: unsupported: {reason}",
                bytes.len()
            )
        );
        let make = || StreamingContext::builder().batch_interval(SECOND).build();
        let error = StreamingContext::get_or_create(&*dir, make).unwrap_err();
        assert!(error.to_string().contains(&reason), "{error}");
    }
}

#[test]
fn f_11_a_directory_that_cannot_be_read_is_an_error() {
    let dir = Scratch::new("inspect-none");
    assert_eq!(
        text(&inspect(&*dir).unwrap()),
        "DIR: 0 files, nothing to recover from"
    );
    let error = inspect(dir.join("none")).unwrap_err().to_string();
    assert!(
        error.contains("inspect-none/none cannot be read"),
        "{error}"
    );
}
