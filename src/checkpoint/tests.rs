//! The directory of checkpoints on a simulated disk, with its crashes and faults.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::file::Partitioning;
use super::store::{Store, file_name, times};
use super::writer::{Desk, Fixed, OnKept, Snapshot, StreamSnapshot, Writer};
use crate::cpu::thread;
use crate::disk::Disk;
use crate::disk::sim::{Fault, SimDisk, Survives};
use crate::dstream::durable::{Keep, NewPiece, Piece, Saved};
use crate::error::Result;
use crate::hash::KeyHash;
use crate::listener::Bus;
use crate::shared::SavedAccumulator;
use crate::time::{BatchTime, Duration, ManualClock};

const DIR: &str = "/checkpoints";

fn at(seconds: i64) -> BatchTime {
    BatchTime::from_millis(seconds * 1000)
}

fn open(disk: &SimDisk) -> Result<Store> {
    Store::open(Arc::new(disk.clone()) as Arc<dyn Disk>, Path::new(DIR))
}

fn writer(disk: &SimDisk) -> Writer {
    writer_at(disk, &Arc::default(), Box::new(|_| ()))
}

fn writer_at(disk: &SimDisk, desk: &Arc<Desk>, on_kept: OnKept) -> Writer {
    let tell = (Arc::<Bus>::default(), Arc::new(ManualClock::new(0)) as _);
    let fixed = Fixed {
        zero: at(0),
        interval: Duration::from_secs(1),
        settings: vec![("app_name".to_owned(), "Numbers".to_owned())],
        partitioning: Partitioning {
            seeds: KeyHash::get().seeds(),
            parallelism: 2,
        },
    };
    let store = open(disk).unwrap();
    let (batches, _) = store
        .batch_log(None, Arc::new(ManualClock::new(0)))
        .unwrap();
    Writer::new(
        (store, Arc::new(batches)),
        Arc::clone(desk),
        tell,
        fixed,
        None,
        on_kept,
    )
}

/// What two streams save at a second: one that adds up changes, and begins anew now
/// and then, and one that needs its last three pieces.
fn snapshot(second: i64) -> Snapshot {
    let is_all = second % 5 == 1;
    let piece = |bytes: String| NewPiece::new(at(second), bytes.into_bytes());
    let stream = |uid: &str, keep, piece| StreamSnapshot {
        uid: Arc::from(uid),
        kind: "numbers",
        is_input: uid == "window",
        keys: (uid == "sum").then_some(2),
        saved: Saved {
            keep,
            pieces: vec![piece],
        },
    };
    let keep = if is_all { Keep::None } else { Keep::All };
    Snapshot {
        time: at(second),
        streams: vec![
            stream("sum", keep, piece(format!("{second},"))),
            stream(
                "window",
                Keep::From(at(second - 2)),
                piece(format!("<{second}>")),
            ),
        ],
        accumulators: BTreeMap::from([(
            "seconds".to_owned(),
            SavedAccumulator {
                kind: "long accumulator".to_owned(),
                bytes: vec![second as u8],
            },
        )]),
    }
}

/// What they are made of then.
fn expected(second: i64) -> BTreeMap<String, String> {
    let since = second - (second - 1) % 5;
    let sum = (since..=second).map(|n| format!("{n},")).collect();
    let window = (1.max(second - 2)..=second)
        .map(|n| format!("<{n}>"))
        .collect();
    BTreeMap::from([("sum".to_owned(), sum), ("window".to_owned(), window)])
}

/// The newest checkpoint and what it has.
fn recovered(disk: &SimDisk) -> Result<Option<(i64, BTreeMap<String, String>)>> {
    let recovered = open(disk)?.recover()?;
    Ok(recovered.map(|recovered| {
        let text = |pieces: Vec<Piece>| {
            let bytes = pieces.into_iter().flat_map(|piece| piece.bytes).collect();
            String::from_utf8(bytes).unwrap()
        };
        let streams = recovered.streams.into_iter();
        let streams = streams.map(|(uid, stream)| (uid, text(stream.pieces)));
        (recovered.time.as_millis() / 1000, streams.collect())
    }))
}

/// Checkpoints that are written one after the other, and after which operations each
/// of them is done.
fn written(count: i64) -> (SimDisk, Vec<usize>) {
    let disk = SimDisk::new();
    let mut writer = writer(&disk);
    let done = (1..=count).map(|second| {
        writer.write(snapshot(second)).unwrap();
        disk.operations()
    });
    let done = done.collect();
    (disk, done)
}

/// After a crash at any moment the newest checkpoint that was done is there, or one
/// that was begun after it, and all of what it needs (F-2, F-12, G-17).
#[test]
fn f_2_a_crash_at_any_moment_leaves_the_newest_checkpoint() {
    let (disk, done) = written(25);
    let moments = disk.operations() as u64 + 1;
    let number = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    let first = number("CRASH_SEED").unwrap_or(0);
    let images = number("CRASH_IMAGES").map_or(3, |all| all.div_ceil(moments));
    for operations in 0..=disk.operations() {
        let newest = done.partition_point(|&at| at <= operations) as i64;
        for seed in first..first + images {
            let crashed = disk.crash(operations, Survives::Some(seed));
            let found = recovered(&crashed).unwrap();
            let second = found.as_ref().map_or(0, |found| found.0);
            assert!(
                second == newest || second == newest + 1,
                "{second} of {newest} after {operations} operations, seed {seed}"
            );
            if let Some((second, streams)) = found {
                assert_eq!(streams, expected(second));
            }
        }
    }
    let all = images * moments;
    println!("crashed: {all} images of {moments} moments: 0 lost, 0 phantoms");
}

/// If any operation fails, that checkpoint may be missing, but what it had is in the
/// next one (F-10).
#[test]
fn f_10_a_checkpoint_that_cannot_be_written_is_made_up_for_by_the_next() {
    let calls = written(14).0.calls();
    let first = {
        let disk = SimDisk::new();
        drop(writer(&disk));
        disk.calls()
    };
    for fault in [Fault::Io, Fault::Full, Fault::Short] {
        for call in first..calls {
            for times in [1, 2, 40] {
                let disk = SimDisk::new();
                let mut writer = writer(&disk);
                disk.fail(call..call + times, fault);
                let mut newest = 0;
                for second in 1..=14 {
                    if writer.write(snapshot(second)).is_ok() {
                        newest = second;
                    }
                }
                disk.mend();
                writer.write(snapshot(15)).unwrap();
                drop(writer);
                assert!(newest <= 14);
                assert_eq!(recovered(&disk).unwrap(), Some((15, expected(15))));
            }
        }
    }
}

/// A checkpoint that cannot be read must not be read again when what it misses is there once
/// more, but as another process wrote it.
#[test]
fn f_12_checkpoints_behind_the_one_that_is_used_are_gone_before_others_are_written() {
    let (disk, _) = written(5);
    let third = Path::new(DIR).join(file_name(at(3)));
    disk.damage(&third, |bytes| bytes[9] ^= 1).unwrap();
    // The others are made of what the third one had.
    assert_eq!(recovered(&disk).unwrap(), Some((2, expected(2))));
    let store = open(&disk).unwrap();
    store.remove_behind(at(2)).unwrap();
    drop(store);
    let crashed = disk.crash(disk.operations(), Survives::Durable);
    let left = times(&crashed, Path::new(DIR)).unwrap();
    assert_eq!(left, [at(1), at(2)]);
}

/// A panic of the thread that writes is an error of that checkpoint, and nobody waits for it
/// for ever.
#[test]
fn what_goes_wrong_behind_a_checkpoint_is_told_to_who_waits() {
    let (disk, desk) = (SimDisk::new(), Arc::<Desk>::default());
    let writer = writer_at(&disk, &desk, Box::new(|oldest| panic!("{oldest} is kept")));
    let thread = thread::spawn("checkpoints", &[], move || writer.run()).unwrap();
    for second in 1..=12 {
        desk.put(snapshot(second));
        let told = desk.wait().map_err(|error| error.to_string());
        // From the tenth one on there is an oldest one.
        match second {
            ..10 => assert_eq!(told, Ok(())),
            _ => assert!(told.unwrap_err().contains("ms is kept")),
        }
    }
    desk.close();
    assert!(thread.join(Duration::MAX));
    assert_eq!(recovered(&disk).unwrap(), Some((12, expected(12))));
}

/// They may be readable again for the next process, if this one does not come that far.
#[test]
fn f_12_checkpoints_behind_the_one_that_is_used_stay_until_another_is_written() {
    let (disk, _) = written(5);
    let there = |disk: &SimDisk| times(disk, Path::new(DIR)).unwrap();
    let mut next = writer(&disk);
    next.go_on_behind(at(2));
    assert_eq!(there(&disk), [1, 2, 3, 4, 5].map(at));
    next.write(snapshot(3)).unwrap();
    drop(next);
    let crashed = disk.crash(disk.operations(), Survives::Durable);
    assert_eq!(there(&crashed), [1, 2, 3].map(at));
}

#[test]
fn what_no_checkpoint_needs_is_removed() {
    let (disk, _) = written(40);
    let entries = disk.list(Path::new(DIR)).unwrap();
    let files = entries.iter().filter_map(|entry| entry.file_name());
    let checkpoints = files.filter(|name| name.starts_with("checkpoint-")).count();
    // Ten, and what the oldest of them is made of.
    assert!((10..=15).contains(&checkpoints), "{checkpoints}");
}

#[test]
fn r_20_other_things_in_the_directory_are_in_nobodys_way() {
    let (disk, _) = written(2);
    let dir = Path::new(DIR);
    disk.create_dir(&dir.join("checkpoint-9000")).unwrap();
    disk.create(&dir.join("checkpoint-1-7.tmp")).unwrap();
    disk.create(&dir.join("notes")).unwrap();
    assert_eq!(recovered(&disk).unwrap(), Some((2, expected(2))));
    let names: Vec<_> = disk.list(dir).unwrap();
    let has = |name: &str| names.iter().any(|entry| entry.name == *name);
    assert!(has("notes") && has("checkpoint-9000") && !has("checkpoint-1-7.tmp"));
}
