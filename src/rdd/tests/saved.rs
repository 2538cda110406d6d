//! Saved directories on a simulated disk, with its crashes and faults (G-13).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::*;
use crate::disk::Disk;
use crate::disk::sim::{Fault, SimDisk, Survives};
use crate::rdd::file::clean;
use crate::rdd::format::TextLines;

const BATCHES: u64 = 3;

fn path(batch: u64) -> String {
    format!("/out/saved/b-{batch}")
}

/// Saves a batch; the second version has fewer partitions.
fn save(disk: &SimDisk, batch: u64, version: usize) -> Result<()> {
    let first = 10 * batch;
    let rdd = Rdd::parallelize(first..first + 5, 3 - version, &executor(1));
    let step = Step::new("save_as_file", Location::caller());
    rdd.save_on(disk, step, path(batch).as_ref(), &TextLines)
}

type Files = BTreeMap<String, String>;

/// What the saved directory has to have.
fn expected(batch: u64, version: usize) -> Files {
    let ends: &[u64] = [&[0, 1, 3, 5][..], &[0, 2, 5]][version];
    let lines = |part: &[u64]| {
        let numbers = part[0]..part[1];
        numbers.map(|n| format!("{}\n", 10 * batch + n)).collect()
    };
    let files = ends.windows(2).map(lines).enumerate();
    let files = files.map(|(i, text)| (format!("part-{i:05}"), text));
    files
        .chain([("_SUCCESS".to_owned(), String::new())])
        .collect()
}

/// The directories that are there, hidden ones as well.
fn found(disk: &SimDisk) -> BTreeMap<String, Files> {
    let list = |dir: &str| disk.list(dir.as_ref()).unwrap_or_default();
    let names = list("/out/saved").into_iter();
    names
        .map(|entry| {
            let name = entry.name.into_string().unwrap();
            let dir = format!("/out/saved/{name}");
            let files = list(&dir).into_iter().map(|file| {
                let file = file.name.into_string().unwrap();
                let path = format!("{dir}/{file}");
                let mut bytes = Vec::new();
                disk.open(path.as_ref())
                    .unwrap()
                    .read_to_end(&mut bytes)
                    .unwrap();
                (file, bytes.escape_ascii().to_string().replace("\\n", "\n"))
            });
            (name, files.collect())
        })
        .collect()
}

/// Every directory that has its name is whole; says which are there.
fn check(disk: &SimDisk, context: &str) -> Vec<u64> {
    let mut whole = Vec::new();
    for (name, files) in found(disk) {
        if let Some(batch) = name.strip_prefix("b-") {
            let batch = batch.parse().unwrap();
            let versions = [expected(batch, 0), expected(batch, 1)];
            assert!(versions.contains(&files), "{context}: {name} has {files:?}");
            whole.push(batch);
        }
    }
    whole
}

fn clean_up(disk: &SimDisk) {
    clean(disk, "/out/saved".as_ref(), |name| name.starts_with("b-")).unwrap();
}

/// A directory has its name only with all of its files, whatever a crash takes; what was
/// saved is there, if need be after the clean-up; and saving again repairs the rest.
#[test]
fn crash_save_files() {
    let disk = SimDisk::new();
    let mut done = Vec::new();
    for (batch, version) in [(1, 0), (2, 0), (1, 1), (3, 0), (3, 0), (2, 1)] {
        save(&disk, batch, version).unwrap();
        done.push((disk.operations(), batch));
    }
    let number = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    let moments = disk.operations() as u64 + 1;
    let first = number("CRASH_SEED").unwrap_or(0);
    let images = number("CRASH_IMAGES").map_or(12, |all| all.div_ceil(moments));
    for operations in 0..=disk.operations() {
        let all = (first..first + images).map(Survives::Some);
        for survives in all.chain([Survives::Durable, Survives::Written]) {
            let context = format!("{operations} operations, {survives:?}");
            let disk = disk.crash(operations, survives);
            check(&disk, &context);
            clean_up(&disk);
            let there = check(&disk, &context);
            let saved = done.iter().filter(|(at, _)| *at <= operations);
            for (_, batch) in saved {
                assert!(there.contains(batch), "{context}: batch {batch} is gone");
            }
            for batch in 1..=BATCHES {
                save(&disk, batch, 1).unwrap();
            }
            let whole = (1..=BATCHES).map(|batch| (format!("b-{batch}"), expected(batch, 1)));
            assert_eq!(found(&disk), whole.collect(), "{context}");
        }
    }
    let all = (images + 2) * moments;
    println!("crashed: {all} images of {moments} moments: 0 lost, 0 phantoms");
}

/// If any operation fails, the error names the file or the directory, what was there
/// stays, and the next one is saved (F-9).
#[test]
fn f_9_a_save_that_fails_leaves_what_was_there() {
    for fault in [Fault::Io, Fault::Full, Fault::Short] {
        for call in 0.. {
            let disk = SimDisk::new();
            save(&disk, 1, 0).unwrap();
            let before = disk.calls();
            disk.fail(before + call..=before + call, fault);
            let result = save(&disk, 1, 1);
            let calls = disk.calls();
            disk.mend();
            let files = found(&disk);
            let there = files.get("b-1").unwrap();
            match &result {
                Ok(()) => assert_eq!(*there, expected(1, 1)),
                Err(error) => {
                    let text = error.to_string();
                    let starts = text.starts_with("input/output error: /out/saved/b-1");
                    assert!(starts && text.contains(" cannot be written: "), "{text}");
                    assert!([expected(1, 0), expected(1, 1)].contains(there));
                }
            }
            save(&disk, 1, 1).unwrap();
            assert_eq!(found(&disk), [("b-1".to_owned(), expected(1, 1))].into());
            if result.is_ok() && before + call >= calls {
                break;
            }
        }
    }
}

#[test]
fn f_9_a_full_disk_names_the_file() {
    let disk = SimDisk::new();
    let names: BTreeSet<_> = (0..30)
        .filter_map(|call| {
            disk.fail(disk.calls() + call.., Fault::Full);
            let error = save(&disk, 2, 0).err();
            disk.mend();
            let text = error?.to_string();
            assert!(
                text.ends_with("cannot be written: no storage space"),
                "{text}"
            );
            Some(text.split(' ').nth(2).unwrap_or_default().to_owned())
        })
        .collect();
    for name in ["b-2", "b-2/part-00000", "b-2/part-00001", "b-2/part-00002"] {
        assert!(names.contains(&format!("/out/saved/{name}")), "{names:?}");
    }
}

#[test]
fn files_of_others_are_not_replaced() {
    let disk = SimDisk::new();
    disk.create_dir("/out".as_ref()).unwrap();
    disk.create_dir("/out/saved".as_ref()).unwrap();
    disk.create_dir(path(1).as_ref()).unwrap();
    save(&disk, 1, 0).unwrap();
    disk.create(format!("{}/notes", path(1)).as_ref()).unwrap();
    let error = save(&disk, 1, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input/output error: /out/saved/b-1 cannot be written: it has \"notes\", which was not \
         saved there"
    );
    let names: Vec<_> = found(&disk).into_keys().collect();
    assert_eq!(names, ["b-1"]);
}
