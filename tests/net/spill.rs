//! What is received and waits goes to files (O-4): the results are the same, and nothing
//! is lost whatever the disk does.

use std::sync::{Arc, Mutex, mpsc};

use millstream::listener::{BatchInfo, SpillInfo, StreamingListener};
use millstream::prelude::*;
use millstream::receiver::ReceiverHandle;
use millstream::time::ManualClock;

use crate::helpers::{Gathered, Hands, Server, manual, spawn};

const SECOND: Duration = Duration::from_secs(1);

/// Numbers of a block; it takes an eighth of the ring.
const BLOCK: usize = 1024;

const RING: &[(&str, &str)] = &[("ring_bytes", "64KiB"), ("block_bytes", "4KiB")];

/// A program whose first batch does not end before it is let go.
struct Gated {
    ssc: StreamingContext,
    clock: ManualClock,
    handle: ReceiverHandle<u64>,
    is_running: mpsc::Receiver<()>,
    let_go: mpsc::Sender<()>,
    events: mpsc::Receiver<Told>,
    batches: Arc<Gathered<u64>>,
    windows: Arc<Gathered<u64>>,
}

enum Told {
    Submitted(u64),
    Spilled(SpillInfo),
}

struct Tell(mpsc::Sender<Told>);

impl StreamingListener for Tell {
    fn on_batch_submitted(&self, batch: &BatchInfo) {
        let _ = self.0.send(Told::Submitted(batch.num_records()));
    }

    fn on_spill(&self, spill: &SpillInfo) {
        let _ = self.0.send(Told::Spilled(spill.clone()));
    }
}

impl Gated {
    fn start(settings: &[(&str, &str)]) -> Self {
        // That is how it is known how they are written.
        Self::of(settings, |numbers| numbers.checkpoint(SECOND).unwrap())
    }

    fn of(settings: &[(&str, &str)], declare: fn(DStream<u64>) -> DStream<u64>) -> Self {
        let (ssc, clock) = manual(1000, settings);
        let (hands, held) = Hands::new();
        let numbers = declare(ssc.receiver_stream(hands).unwrap());
        let (running, is_running) = mpsc::channel();
        let (let_go, release) = mpsc::channel::<()>();
        let release = Mutex::new(release);
        numbers.foreach_rdd(move |_, _| {
            let _ = running.send(());
            let _ = release.lock().unwrap().recv();
            Ok(())
        });
        let batches = Gathered::of(&numbers);
        let windows = Gathered::of(&numbers.window(3 * SECOND, 2 * SECOND).unwrap());
        let (tell, events) = mpsc::channel();
        ssc.add_listener(Tell(tell));
        ssc.start().unwrap();
        let handle = held.started.recv().unwrap();
        Self {
            ssc,
            clock,
            handle,
            is_running,
            let_go,
            events,
            batches,
            windows,
        }
    }

    /// Cuts a batch; gives its records, and what was spilled before it was told of.
    fn cut(&self) -> (u64, Vec<SpillInfo>) {
        self.clock.advance(SECOND);
        let mut spilled = Vec::new();
        loop {
            match self.events.recv().unwrap() {
                Told::Submitted(records) => return (records, spilled),
                Told::Spilled(spill) => spilled.push(spill),
            }
        }
    }

    /// Lets all batches end; gives what they had, the windows, and what else was spilled.
    fn finish(self) -> (Batches, Batches, Vec<SpillInfo>) {
        drop(self.let_go);
        self.ssc.stop(true).unwrap();
        let spilled = self.events.try_iter().filter_map(|told| match told {
            Told::Spilled(spill) => Some(spill),
            Told::Submitted(_) => None,
        });
        let spilled = spilled.collect();
        (self.batches.batches(), self.windows.batches(), spilled)
    }
}

type Batches = Vec<(i64, Vec<Vec<u64>>)>;

/// What comes of batches of so many blocks each, all of which wait behind the first one.
fn run(settings: &[(&str, &str)], blocks: &[usize]) -> (Batches, Batches, Vec<SpillInfo>) {
    let program = Gated::start(settings);
    let (mut next, mut spilled) = (0, Vec::new());
    for (batch, &blocks) in blocks.iter().enumerate() {
        for _ in 0..blocks {
            let block: Vec<u64> = (next..next + BLOCK as u64).collect();
            next += BLOCK as u64;
            // Waits for room, if there is none.
            program.handle.store_many(block).unwrap();
        }
        let (records, told) = program.cut();
        assert_eq!(records, (blocks * BLOCK) as u64);
        spilled.extend(told);
        if batch == 0 {
            program.is_running.recv().unwrap();
        }
    }
    let (batches, windows, told) = program.finish();
    spilled.extend(told);
    (batches, windows, spilled)
}

#[test]
fn o_4_batches_that_wait_go_to_files_and_are_the_same() {
    let blocks: Vec<usize> = (0..60).map(|i| [1, 2, 0, 1, 3][i % 5]).collect();
    let records = blocks.iter().sum::<usize>() * BLOCK;
    let (batches, windows, spilled) = run(&[], &blocks);
    assert!(spilled.is_empty());
    assert_eq!(
        batches
            .iter()
            .flat_map(|(_, parts)| parts)
            .flatten()
            .count(),
        records
    );
    for workers in ["1", "2"] {
        let settings = [
            RING,
            &[
                ("receiver_storage_level", "MEMORY_AND_DISK"),
                ("workers", workers),
            ],
        ]
        .concat();
        let again = run(&settings, &blocks);
        assert_eq!(again.0, batches);
        assert_eq!(again.1, windows);
        let bytes: u64 = again.2.iter().map(|spill| spill.bytes).sum();
        // All but what fits into half of the ring, and what ran.
        assert!(bytes >= (records * 8 - (64 << 10)) as u64, "{bytes}");
        for spill in &again.2 {
            assert_eq!(spill.name, "Receiver stream [0]");
            assert!(spill.error.is_none(), "{spill:?}");
        }
    }
}

/// Stores blocks behind a batch that does not end, until spilling has failed; then lets
/// all batches end. Gives what they had, and the first error.
fn run_failing(settings: &[(&str, &str)], blocks: u64) -> (Vec<u64>, Option<millstream::Error>) {
    let program = Gated::start(settings);
    program.handle.store_many(vec![0; 16]).unwrap();
    program.cut();
    program.is_running.recv().unwrap();
    let handle = program.handle.clone();
    let storing = spawn(move || {
        for block in 0..blocks {
            handle.store_many(vec![block; BLOCK]).unwrap();
        }
    });
    let (mut records, mut error) = (0, None);
    while records < blocks * BLOCK as u64 {
        let (more, spilled) = program.cut();
        records += more;
        error = error.or(spilled.into_iter().find_map(|spill| spill.error));
        if error.is_some() {
            let _ = program.let_go.send(());
        }
    }
    storing.join().unwrap();
    let batches = Arc::clone(&program.batches);
    program.finish();
    (batches.records(), error)
}

/// Lines that come in portions, all of which wait behind the first one: the lines of all
/// batches, the numbers of those that were not UTF-8, and the bytes that were spilled.
fn lines(settings: &[(&str, &str)]) -> (Vec<Str>, u64, u64) {
    struct Counts(mpsc::Sender<(u64, u64)>);

    impl StreamingListener for Counts {
        fn on_batch_submitted(&self, batch: &BatchInfo) {
            let _ = self.0.send((batch.num_records(), 0));
        }

        fn on_spill(&self, spill: &SpillInfo) {
            let _ = self.0.send((0, spill.bytes));
        }
    }

    struct Invalid(Arc<Mutex<u64>>);

    impl StreamingListener for Invalid {
        fn on_batch_completed(&self, batch: &BatchInfo) {
            *self.0.lock().unwrap() += batch.inputs[0].invalid_lines;
        }
    }

    let portion = |portion: usize| {
        let lines = (0..200).map(move |line| match line % 50 {
            7 => b"not UTF-8: \xff\xfe, which is \xc3\n".to_vec(),
            _ => format!("line {line} of portion {portion}, caf\u{e9}\r\n").into_bytes(),
        });
        lines.collect::<Vec<_>>().concat()
    };
    let (go, wait) = mpsc::channel::<()>();
    let server = Server::new(vec![Box::new(move |mut connection| {
        for number in 0..30 {
            std::io::Write::write_all(&mut connection, &portion(number)).unwrap();
            let _ = wait.recv();
        }
    })]);
    let (ssc, clock) = manual(1000, settings);
    let stream = ssc.socket_text_stream(server.address.as_str()).unwrap();
    let (let_go, release) = mpsc::channel::<()>();
    let release = Mutex::new(release);
    stream.foreach_rdd(move |rdd, _| {
        // Not the empty ones before it.
        if rdd.num_partitions() > 0 {
            let _ = release.lock().unwrap().recv();
        }
        Ok(())
    });
    let gathered = Gathered::of(&stream);
    let counts = Gathered::of(&stream.count());
    let (tell, events) = mpsc::channel();
    ssc.add_listener(Counts(tell));
    let invalid = Arc::new(Mutex::new(0));
    ssc.add_listener(Invalid(Arc::clone(&invalid)));
    ssc.start().unwrap();
    let mut spilled = 0;
    for number in 1..=30 {
        let mut received = 0;
        while received < 200 {
            clock.advance(SECOND);
            // A batch of no bytes spilled is one that was cut.
            loop {
                match events.recv().unwrap() {
                    (_, bytes @ 1..) => spilled += bytes,
                    (records, _) => break received += records,
                }
            }
        }
        assert_eq!(received, 200, "portion {number}");
        let _ = go.send(());
    }
    drop(let_go);
    ssc.stop(true).unwrap();
    server.join();
    spilled += events.try_iter().map(|(_, bytes)| bytes).sum::<u64>();
    let lines = gathered.records();
    let counted: u64 = counts.records().iter().sum();
    assert_eq!(counted as usize, lines.len());
    let invalid = *invalid.lock().unwrap();
    (lines, invalid, spilled)
}

#[test]
fn o_4_lines_that_wait_in_files_are_the_same() {
    for policy in ["replace", "skip"] {
        let settings = [("invalid_utf8", policy), ("receiver_restart_delay", "1h")];
        let (expected, invalid, spilled) = lines(&settings);
        assert_eq!((invalid, spilled), (30 * 4, 0));
        assert_eq!(
            expected.len(),
            if policy == "skip" { 30 * 196 } else { 30 * 200 }
        );
        for workers in ["1", "2"] {
            let disk = [
                ("receiver_storage_level", "MEMORY_AND_DISK"),
                ("workers", workers),
            ];
            let settings = [&settings[..], RING, &disk].concat();
            let (again, invalid, spilled) = lines(&settings);
            assert_eq!(again, expected);
            assert_eq!(invalid, 30 * 4, "each counted once");
            assert!(spilled > 64 << 10, "{spilled}");
        }
    }
}

fn expected(blocks: u64) -> Vec<u64> {
    let first = [0; 16].into_iter();
    first
        .chain((0..blocks).flat_map(|block| [block; BLOCK]))
        .collect()
}

#[test]
fn o_4_a_receiver_waits_when_there_is_as_much_in_files_as_may_be() {
    let settings = [
        RING,
        &[
            ("receiver_storage_level", "MEMORY_AND_DISK"),
            ("spill_max_bytes", "60KiB"),
            ("max_queued_batches", "1000000"),
        ],
    ]
    .concat();
    let (records, error) = run_failing(&settings, 100);
    assert_eq!(records, expected(100));
    let error = error.unwrap().to_string();
    assert!(
        error.contains("spill_max_bytes (61440) is reached"),
        "{error}"
    );
}

/// A record that cannot be written as bytes.
#[derive(Clone, Debug, serde::Deserialize)]
struct Stubborn(#[expect(dead_code, reason = "it takes room")] u64);

impl serde::Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("it is not written");
    }
}

#[test]
fn o_4_an_input_that_cannot_be_spilled_is_in_no_others_way() {
    let settings = [
        RING,
        &[
            ("receiver_storage_level", "MEMORY_AND_DISK"),
            ("max_queued_batches", "1000000"),
        ],
    ]
    .concat();
    let (ssc, clock) = manual(100, &settings);
    let (hands, stubborn) = Hands::new();
    let first = ssc.receiver_stream(hands).unwrap();
    let first = first.checkpoint(SECOND).unwrap();
    let (let_go, release) = mpsc::channel::<()>();
    let release = Mutex::new(release);
    first.foreach_rdd(move |_, _| {
        let _ = release.lock().unwrap().recv();
        Ok(())
    });
    let (hands, numbers) = Hands::new();
    let second = ssc.receiver_stream(hands).unwrap();
    let second = Gathered::of(&second.checkpoint(SECOND).unwrap());
    let first = Gathered::of(&first.map(|_| ()).boxed());
    let (tell, events) = mpsc::channel();
    ssc.add_listener(Tell(tell));
    ssc.start().unwrap();
    let stubborn = stubborn.started.recv().unwrap();
    let numbers = numbers.started.recv().unwrap();
    let (mut refusals, mut spilled) = (0, Vec::new());
    for block in 0_u64.. {
        clock.advance(SECOND / 10);
        loop {
            match events.recv().unwrap() {
                Told::Submitted(_) => break,
                Told::Spilled(spill) => match spill.error {
                    Some(error) => {
                        let error = error.to_string();
                        assert!(error.contains("spilling records panicked"), "{error}");
                        assert_eq!(spill.name, "Receiver stream [0]");
                        refusals += 1;
                    }
                    None => spilled.push((spill.name, spill.batch_time.as_millis())),
                },
            }
        }
        // It is tried again, and not before a second has passed: more often than there are
        // batches, so each of them.
        if refusals == 8 {
            assert!(block >= 70, "{block}");
            break;
        }
        // More than half of both rings waits.
        if block < 6 {
            let block: Vec<u64> = (0..BLOCK as u64).collect();
            stubborn
                .store_many(block.iter().copied().map(Stubborn).collect())
                .unwrap();
            numbers.store_many(block).unwrap();
        }
    }
    drop(let_go);
    ssc.stop(true).unwrap();
    // Not the one that is needed next, at 200 ms.
    let (name, time) = &spilled[0];
    assert_eq!(name, "Receiver stream [1]");
    assert!(*time >= 500, "{time}");
    assert_eq!(first.records().len(), 6 * BLOCK);
    assert_eq!(second.records().len(), 6 * BLOCK);
}

#[test]
fn o_4_records_without_a_form_as_bytes_stay_in_memory() {
    let settings = [RING, &[("receiver_storage_level", "MEMORY_AND_DISK")]].concat();
    let program = Gated::of(&settings, |numbers| numbers);
    for batch in 0..7 {
        program.handle.store_many(vec![batch; BLOCK]).unwrap();
        let (records, spilled) = program.cut();
        assert_eq!((records, spilled.len()), (BLOCK as u64, 0));
    }
    let (batches, _, spilled) = program.finish();
    let parts = batches.into_iter().flat_map(|(_, parts)| parts);
    let expected: Vec<_> = (0..7).map(|batch| vec![batch; BLOCK]).collect();
    assert_eq!(parts.collect::<Vec<_>>(), expected);
    assert!(spilled.is_empty());
}

#[test]
fn o_4_without_a_place_for_files_the_start_fails_and_names_it() {
    let settings = [
        ("receiver_storage_level", "MEMORY_AND_DISK"),
        ("spill_dir", "/no/such/directory"),
    ];
    let (ssc, _) = manual(1000, &settings);
    let (hands, _held) = Hands::<u64>::new();
    ssc.receiver_stream(hands).unwrap().print();
    let error = ssc.start().unwrap_err().to_string();
    let text = "there can be no spill files in \"/no/such/directory\"";
    assert!(error.contains(text), "{error}");
}

#[cfg(feature = "fault-inject")]
#[test]
fn o_4_whatever_the_disk_does_nothing_is_lost() {
    use millstream::disk::sim::{Fault, SimDisk, with_disk};

    let settings = [
        RING,
        &[
            ("receiver_storage_level", "MEMORY_AND_DISK"),
            ("spill_dir", "/"),
            ("max_queued_batches", "1000000"),
        ],
    ]
    .concat();
    for fault in [Fault::Io, Fault::Full, Fault::Short] {
        // The directory is there by then.
        for first in 2..20 {
            let disk = SimDisk::new();
            with_disk(&disk, || {
                // From then on all that is written fails; what reads is tried again.
                match fault {
                    Fault::Io => disk.fail(first..=first, fault),
                    _ => disk.fail(first.., fault),
                }
                let (records, error) = run_failing(&settings, 40);
                assert_eq!(records, expected(40), "{fault:?} from {first} on");
                // So early that there has to be one more.
                if fault != Fault::Io && first < 8 {
                    let error = error.unwrap().to_string();
                    assert!(error.contains("cannot be spilled to \"/\""), "{error}");
                }
            });
            assert_eq!(disk.used_bytes(), 0, "{fault:?} from {first} on");
        }
    }
}
