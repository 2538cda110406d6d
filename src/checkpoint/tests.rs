//! The directory of checkpoints on a simulated disk, with its crashes and faults.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::batch_log::BatchLog;
use super::file::Partitioning;
use super::store::{Store, file_name, times};
use super::writer::{Desk, Fixed, OnKept, Snapshot, StreamSnapshot, Writer};
use crate::cpu::thread;
use crate::disk::Disk;
use crate::disk::sim::{Fault, SimDisk, Survives};
use crate::dstream::durable::{Keep, NewPiece, Noted, Notes, Piece, Saved};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::KeyHash;
use crate::listener::Bus;
use crate::shared::SavedAccumulator;
use crate::time::{BatchTime, Clock, Duration, ManualClock};

const DIR: &str = "/checkpoints";

fn at(seconds: i64) -> BatchTime {
    BatchTime::from_millis(seconds * 1000)
}

fn open(disk: &SimDisk) -> Result<Store> {
    Store::open(&(Arc::new(disk.clone()) as Arc<dyn Disk>), Path::new(DIR))
}

fn writer(disk: &SimDisk) -> Writer {
    writer_at(disk, &Arc::default(), Box::new(|_| ()))
}

fn writer_at(disk: &SimDisk, desk: &Arc<Desk>, on_kept: OnKept) -> Writer {
    writer_with_log(disk, desk, on_kept).0
}

fn writer_with_log(disk: &SimDisk, desk: &Arc<Desk>, on_kept: OnKept) -> (Writer, Arc<BatchLog>) {
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
    let (batches, _) = batch_log(&store, None).unwrap();
    let batches = Arc::new(batches);
    let own = (store, Arc::clone(&batches));
    let writer = Writer::new(own, Arc::clone(desk), tell, fixed, None, on_kept);
    (writer, batches)
}

fn batch_log(
    store: &Store,
    checkpoint: Option<(BatchTime, u64)>,
) -> Result<(BatchLog, BTreeMap<String, Noted>)> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(0));
    store.batch_log(checkpoint, &clock)
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
    found(&open(disk)?)
}

fn found(store: &Store) -> Result<Option<(i64, BTreeMap<String, String>)>> {
    let recovered = store.recover()?;
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

/// What an attempt left is gone when the next one is made: there may be little room.
#[test]
fn f_9_a_file_that_could_not_be_written_is_not_left_behind() {
    for call in 0..5 {
        let disk = SimDisk::new();
        let mut writer = writer(&disk);
        let first = disk.calls() + call;
        disk.fail(first..=first, Fault::Io);
        writer.write(snapshot(1)).unwrap();
        let entries = disk.list(Path::new(DIR)).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| &*entry.name).collect();
        assert_eq!(names, ["batches", "checkpoint-1000"], "call {call}");
    }
}

/// What an attempt could not remove is not in the way of the next one, and goes with the next
/// start.
#[test]
fn f_9_a_file_that_cannot_be_removed_is_in_nobodys_way() {
    let disk = SimDisk::new();
    let mut writer = writer(&disk);
    let names = || {
        let entries = disk.list(Path::new(DIR)).unwrap();
        let names = entries.into_iter();
        let names = names.map(|entry| entry.name.into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    // The file is made, and neither written nor removed; and nothing of the second attempt.
    let first = disk.calls() + 1;
    disk.fail(first..first + 4, Fault::Io);
    writer.write(snapshot(1)).unwrap();
    let left = "checkpoint-1000-0.tmp";
    assert_eq!(names(), ["batches", "checkpoint-1000", left]);
    drop(writer);
    assert_eq!(recovered(&disk).unwrap(), Some((1, expected(1))));
    assert_eq!(names(), ["batches", "checkpoint-1000"]);
}

/// A checkpoint is used although the disk refuses it for a moment, and the one before it only
/// if the disk goes on refusing.
#[test]
fn f_12_what_the_disk_refuses_for_a_moment_is_read_again() {
    let (disk, _) = written(9);
    let store = open(&disk).unwrap();
    let (newest, before) = ((9, expected(9)), (8, expected(8)));
    let first = disk.calls();
    assert_eq!(found(&store).unwrap(), Some(newest.clone()));
    for call in 0..disk.calls() - first {
        for times in 1..=3 {
            let first = disk.calls() + call;
            disk.fail(first..first + times, Fault::Io);
            let found = found(&store);
            disk.mend();
            match (times, call) {
                (1..=2, _) => assert_eq!(found.unwrap(), Some(newest.clone())),
                // The list of all.
                (_, 0) => assert_eq!(found.unwrap_err().kind(), ErrorKind::Io),
                _ => assert_eq!(found.unwrap(), Some(before.clone())),
            }
        }
    }
}

/// What is missing or damaged will be so the next time.
#[test]
fn f_12_what_is_not_there_or_damaged_is_read_once() {
    let calls = |change: fn(&SimDisk, &Path)| {
        let (disk, _) = written(9);
        // The ninth, the eighth and the seventh need it.
        change(&disk, &Path::new(DIR).join(file_name(at(6))));
        let store = open(&disk).unwrap();
        let first = disk.calls();
        assert_eq!(found(&store).unwrap(), Some((5, expected(5))));
        disk.calls() - first
    };
    // The list, and of each file that it is opened and read: the fifth is made of five.
    let missing = calls(|disk, file| disk.remove(file).unwrap());
    assert_eq!(missing, 1 + 3 * (2 + 1) + 5 * 2);
    let damaged = calls(|disk, file| disk.damage(file, |bytes| bytes[9] ^= 1).unwrap());
    assert_eq!(damaged, 1 + 3 * (2 + 2) + 2 + 5 * 2);
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

/// A stream that cannot be written has no part in what the others told, who do not tell it
/// again.
#[test]
fn f_10_what_the_others_told_is_in_the_next_checkpoint() {
    let disk = SimDisk::new();
    let mut writer = writer(&disk);
    for second in 1..=4 {
        writer.write(snapshot(second)).unwrap();
    }
    let mut bad = snapshot(5);
    let fails = || Err(Error::illegal_state("no number"));
    bad.streams[0].saved.pieces = vec![NewPiece::to_make(at(5), Box::new(fails))];
    let error = writer.write(bad).unwrap_err();
    assert_eq!(
        error.to_string(),
        "illegal state: the stream sum: illegal state: no number"
    );
    // In this one it tells all it has.
    writer.write(snapshot(6)).unwrap();
    drop(writer);
    assert_eq!(recovered(&disk).unwrap(), Some((6, expected(6))));
}

#[test]
fn f_12_a_checkpoint_that_cannot_be_read_has_been_there() {
    let has_any = |disk: &SimDisk| open(disk).unwrap().has_any().unwrap();
    let (disk, _) = written(1);
    assert!(has_any(&disk));
    let file = Path::new(DIR).join(file_name(at(1)));
    disk.damage(&file, |bytes| bytes.truncate(0)).unwrap();
    assert_eq!(recovered(&disk).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(has_any(&disk));
    assert!(!has_any(&written(0).0));
}

/// Somebody has copied a file.
#[test]
fn f_12_a_checkpoint_under_the_name_of_another_is_none() {
    let (disk, _) = written(5);
    let file = |second| Path::new(DIR).join(file_name(at(second)));
    let mut bytes = Vec::new();
    let mut original = disk.open(&file(5)).unwrap();
    original.read_to_end(&mut bytes).unwrap();
    disk.create(&file(7)).unwrap().append(&bytes).unwrap();
    assert_eq!(recovered(&disk).unwrap(), Some((5, expected(5))));
}

/// An error is that of its checkpoint only, and while one is written no other is taken.
#[test]
fn f_10_the_desk_tells_of_the_checkpoint_that_was_written_last() {
    let (disk, desk) = (SimDisk::new(), Arc::<Desk>::default());
    let inside = Arc::clone(&desk);
    let on_kept = move |oldest| assert!(oldest > at(1) && !inside.is_free());
    let writer = writer_at(&disk, &desk, Box::new(on_kept));
    let thread = thread::spawn("checkpoints", &[], move || writer.run()).unwrap();
    for second in 1..=12 {
        assert!(desk.is_free());
        desk.put(snapshot(second));
        // The first one is the oldest one behind the tenth.
        assert_eq!(desk.wait().is_err(), second == 10);
        assert_eq!(desk.has_failed(), second == 10);
    }
    desk.close();
    assert!(thread.join(Duration::MAX));
}

/// A directory is taken although the disk refuses something for a moment; but who has it will
/// have it the next time.
#[test]
fn f_12_a_directory_is_asked_for_once_more() {
    let (disk, _) = written(1);
    let first = disk.calls();
    drop(open(&disk).unwrap());
    let calls = disk.calls() - first;
    for call in 0..calls {
        for times in 1..=3 {
            let first = disk.calls() + call;
            disk.fail(first..first + times, Fault::Io);
            let opened = open(&disk);
            disk.mend();
            assert_eq!(opened.is_ok(), times < 3, "call {call}, {times} times");
        }
    }
    let taken = open(&disk).unwrap();
    let first = disk.calls();
    assert_eq!(open(&disk).unwrap_err().kind(), ErrorKind::Io);
    // All but the list of what is there.
    assert_eq!(disk.calls() - first, calls - 1);
    drop(taken);
}

/// The log of batches is opened, with all that was noted, although the disk refuses something
/// for a moment.
#[test]
fn f_12_the_log_of_batches_is_opened_once_more() {
    let noted = || {
        let disk = SimDisk::new();
        let store = open(&disk).unwrap();
        let (log, _) = batch_log(&store, Some((at(0), 0))).unwrap();
        // The first one fills a segment.
        for (second, bytes) in [(1, 1 << 20), (2, 2), (3, 3)] {
            log.note("files", &[(at(second), vec![7; bytes])]).unwrap();
        }
        drop(log);
        // An end that was not written, so that a segment is made in its place.
        let last = Path::new(DIR).join("batches/segment-00000000000000000001.wal");
        disk.damage(&last, |bytes| bytes.push(1)).unwrap();
        (disk, store)
    };
    let calls = {
        let (disk, store) = noted();
        let first = disk.calls();
        drop(batch_log(&store, Some((at(1), 1))).unwrap());
        disk.calls() - first
    };
    for call in 0..calls {
        for times in 1..=3 {
            let (disk, store) = noted();
            let first = disk.calls() + call;
            disk.fail(first..first + times, Fault::Io);
            let opened = batch_log(&store, Some((at(1), 1)));
            disk.mend();
            if times == 3 {
                assert_eq!(opened.unwrap_err().kind(), ErrorKind::Io, "call {call}");
                continue;
            }
            let (log, noted) = opened.unwrap();
            let files = BTreeMap::from([(at(2), vec![7; 2]), (at(3), vec![7; 3])]);
            assert_eq!(noted, BTreeMap::from([("files".to_owned(), files)]));
            log.note("files", &[(at(4), vec![])]).unwrap();
            assert_eq!(
                [1, 2, 3, 4].map(|it| log.needed_behind(at(it))),
                [1, 2, 3, 4]
            );
        }
    }
    assert!(calls > 20, "{calls}");
}

/// The log of batches has what the kept checkpoints need, and takes no more when the thread
/// has ended: another process may have the directory.
#[test]
fn f_1_the_log_of_batches_goes_with_the_checkpoints() {
    let (disk, desk) = (SimDisk::new(), Arc::<Desk>::default());
    let (writer, log) = writer_with_log(&disk, &desk, Box::new(|_| ()));
    let thread = thread::spawn("checkpoints", &[], move || writer.run()).unwrap();
    // More than a segment.
    let note = |second| log.note("files", &[(at(second), vec![0; 2 << 20])]);
    for second in 1..=20 {
        note(second).unwrap();
        desk.put(snapshot(second));
        desk.wait().unwrap();
    }
    let segments = || {
        let entries = disk.list(&Path::new(DIR).join("batches")).unwrap();
        let names = entries.iter().filter_map(|entry| entry.file_name());
        names.filter(|name| name.ends_with(".wal")).count()
    };
    // Behind the eleventh checkpoint, which is the oldest one: the records begin with 0.
    assert_eq!(segments(), 9);
    let needed = |log: &BatchLog| [0, 11, 12, 19, 20].map(|second| log.needed_behind(at(second)));
    assert_eq!(needed(&log), [11, 11, 12, 19, 20]);
    desk.close();
    assert!(thread.join(Duration::MAX));
    assert!(note(21).is_err());
    // Nothing takes no log.
    log.note("files", &[]).unwrap();
    drop(log);

    let store = open(&disk).unwrap();
    // The first of these records is that of the checkpoint's own batch.
    let (log, noted) = batch_log(&store, Some((at(12), 11))).unwrap();
    let times: Vec<_> = noted["files"].keys().copied().collect();
    assert_eq!(times, (13..=20).map(at).collect::<Vec<_>>());
    assert_eq!(needed(&log), [12, 12, 12, 19, 20]);
    drop(log);
    let (log, noted) = batch_log(&store, None).unwrap();
    assert!(noted.is_empty());
    assert_eq!(needed(&log), [20; 5]);
    // The last one stays.
    assert_eq!(segments(), 1);
}

/// Without a checkpoint nothing of the log is needed, so it does not matter what became of it.
/// With one its numbers go on, as a checkpoint says where in the log it begins.
#[test]
fn f_1_a_log_of_batches_that_is_damaged_or_gone() {
    let disk = SimDisk::new();
    let store = open(&disk).unwrap();
    let (log, _) = batch_log(&store, None).unwrap();
    for second in 1..=2 {
        log.note("files", &[(at(second), vec![7])]).unwrap();
    }
    drop(log);
    let segment = Path::new(DIR).join("batches/segment-00000000000000000000.wal");
    disk.damage(&segment, |bytes| bytes[50] ^= 1).unwrap();
    let error = batch_log(&store, Some((at(0), 0))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let (log, noted) = batch_log(&store, None).unwrap();
    assert!(noted.is_empty());
    drop(log);
    let dir = Path::new(DIR).join("batches");
    for entry in disk.list(&dir).unwrap() {
        disk.remove(&dir.join(entry.name)).unwrap();
    }

    let (log, noted) = batch_log(&store, Some((at(3), 5))).unwrap();
    assert!(noted.is_empty());
    log.note("files", &[(at(4), vec![7])]).unwrap();
    assert_eq!([3, 4].map(|it| log.needed_behind(at(it))), [5, 6]);
}

#[test]
fn what_no_checkpoint_needs_is_removed() {
    let (disk, _) = written(40);
    // Ten, and what the oldest of them is made of.
    let left = times(&disk, Path::new(DIR)).unwrap();
    assert_eq!(left, (29..=40).map(at).collect::<Vec<_>>());
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
