//! What is said about blocks, and who is told of them (RCV-3, RCV-10).

use std::sync::{Arc, Mutex, mpsc};

use millstream::id::{BlockId, StreamId};
use millstream::prelude::*;
use millstream::receiver::{BlockGenerator, BlockGeneratorListener, Receiver, ReceiverHandle};
use millstream::time::Clock;

use crate::helpers::{Event, Events, Gathered, Hands, context, manual, ms, run_to, spawn};

/// What a listener was told, in words.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn add(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    /// All since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl BlockGeneratorListener for Told {
    type Metadata = u64;

    fn on_add_data(&self, offset: u64) {
        self.add(format!("add {offset}"));
    }

    fn on_generate_block(&self, block: BlockId) {
        self.add(format!("generate {block}"));
    }

    fn on_push_block(&self, block: BlockId, records: usize) {
        self.add(format!("push {block} of {records}"));
    }
}

/// Hands out a block generator in each run, and says when the run ends.
struct Generating<T: Data, L: BlockGeneratorListener + Clone> {
    listener: L,
    runs: mpsc::Sender<(ReceiverHandle<T>, BlockGenerator<T, L>)>,
    told: Told,
}

impl<T: Data, L: BlockGeneratorListener + Clone> Receiver<T> for Generating<T, L> {
    fn on_start(&mut self, handle: ReceiverHandle<T>) -> millstream::Result<()> {
        let generator = handle.block_generator(self.listener.clone());
        assert!(generator.is_active());
        let _ = self.runs.send((handle, generator));
        Ok(())
    }

    fn on_stop(&mut self) {
        self.told.add("stop".to_owned());
    }
}

type Runs<T, L> = mpsc::Receiver<(ReceiverHandle<T>, BlockGenerator<T, L>)>;

fn generating<T: Data>(told: &Told) -> (Generating<T, Told>, Runs<T, Told>) {
    let (runs, started) = mpsc::channel();
    let (listener, told) = (told.clone(), told.clone());
    let receiver = Generating {
        listener,
        runs,
        told,
    };
    (receiver, started)
}

#[test]
fn rcv_10_each_block_is_told_in_order() {
    let (ssc, clock) = manual(1_000, &[("block_interval", "200ms")]);
    let told = Told::default();
    let (receiver, runs) = generating(&told);
    let numbers = Gathered::of(&ssc.receiver_stream(receiver).unwrap());
    ssc.start().unwrap();
    let (handle, generator) = runs.recv().unwrap();
    let tick = || {
        // The receiver waits for the end of a block, the other for that of a batch.
        clock.await_waiters(2);
        clock.advance(ms(200));
        clock.await_waiters(2);
    };
    generator.add_data_with_callback(1, 10).unwrap();
    // None of the generator's.
    handle.store(2).unwrap();
    generator.add_data(3).unwrap();
    generator
        .add_multiple_data_with_callback([4, 5, 6], 20)
        .unwrap();
    assert_eq!(told.take(), ["add 10", "add 20"]);
    tick();
    assert_eq!(told.take(), ["generate block-0-0", "push block-0-0 of 5"]);
    tick();
    assert!(told.take().is_empty(), "nothing was added");
    generator.add_data(7).unwrap();
    tick();
    assert_eq!(told.take(), ["generate block-0-1", "push block-0-1 of 1"]);
    let second = handle.block_generator(told.clone());
    second.add_data(8).unwrap();
    generator.add_data_with_callback(9, 30).unwrap();
    tick();
    let both = [
        "add 30",
        "generate block-0-2",
        "push block-0-2 of 1",
        "generate block-0-3",
        "push block-0-3 of 1",
    ];
    assert_eq!(told.take(), both);
    tick();
    ssc.await_batch(BatchTime::from_millis(1_000));
    assert_eq!(numbers.records(), (1..=9).collect::<Vec<_>>());
    ssc.stop(true).unwrap();
    assert_eq!(told.take(), ["stop"]);
}

/// A record does not wait for the end of its block.
#[test]
fn rcv_10_what_was_added_is_in_the_next_batch() {
    let (ssc, clock) = manual(100, &[("block_interval", "1h")]);
    let told = Told::default();
    let (receiver, runs) = generating(&told);
    let numbers = Gathered::of(&ssc.receiver_stream(receiver).unwrap());
    ssc.start().unwrap();
    let (_, generator) = runs.recv().unwrap();
    clock.await_waiters(2);
    clock.advance(ms(50));
    generator.add_data(1).unwrap();
    clock.await_waiters(2);
    run_to(&ssc, &clock, 100);
    assert_eq!(numbers.batches(), [(100, vec![vec![1]])]);
    // The batch interval is the shorter one.
    clock.await_waiters(2);
    assert_eq!(told.take(), ["generate block-0-0", "push block-0-0 of 1"]);
    ssc.stop(true).unwrap();
}

#[test]
fn rcv_10_a_generator_ends_with_its_run() {
    let (ssc, clock) = manual(1_000, &[("receiver_restart_delay", "1s")]);
    let told = Told::default();
    let (receiver, runs) = generating(&told);
    let numbers = Gathered::of(&ssc.receiver_stream(receiver).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let (handle, first) = runs.recv().unwrap();
    first.add_data_with_callback(1, 1).unwrap();
    handle.restart("again", None);
    events.stopped();
    // The last block is told while the receiver can still acknowledge it.
    let last = ["add 1", "generate block-0-0", "push block-0-0 of 1", "stop"];
    assert_eq!(told.take(), last);
    assert!(!first.is_active());
    assert_eq!(first.add_data(2), Err(2));
    assert_eq!(first.add_data_with_callback(2, 3), Err((2, 3)));
    let refused = first.add_multiple_data_with_callback([2, 3], 4);
    assert_eq!(refused, Err((vec![2, 3], 4)));
    let between = handle.block_generator(told.clone());
    assert!(!between.is_active());
    assert_eq!(between.add_data(2), Err(2));
    assert!(told.take().is_empty());

    clock.await_waiters(2);
    clock.advance(ms(1_000));
    let (_, second) = runs.recv().unwrap();
    assert!(second.is_active() && !first.is_active() && !between.is_active());
    second.add_data_with_callback(5, 5).unwrap();
    ssc.stop(true).unwrap();
    let last = ["add 5", "generate block-0-1", "push block-0-1 of 1", "stop"];
    assert_eq!(told.take(), last);
    assert_eq!(second.add_data(6), Err(6));
    assert_eq!(numbers.records(), [1, 5]);
}

/// Keeps what was acknowledged.
#[derive(Clone, Default)]
struct Acks(Arc<Mutex<Acknowledged>>);

#[derive(Default)]
struct Acknowledged {
    added: u64,
    ended: u64,
    acknowledged: u64,
    records: usize,
}

impl BlockGeneratorListener for Acks {
    type Metadata = u64;

    fn on_add_data(&self, offset: u64) {
        let mut acks = self.0.lock().unwrap();
        assert_eq!(acks.added + 1, offset);
        acks.added = offset;
    }

    fn on_generate_block(&self, _: BlockId) {
        let mut acks = self.0.lock().unwrap();
        acks.ended = acks.added;
    }

    fn on_push_block(&self, _: BlockId, records: usize) {
        let mut acks = self.0.lock().unwrap();
        acks.acknowledged = acks.ended;
        acks.records += records;
    }
}

/// What was acknowledged came out, all of it and each group in one piece, also
/// where the context stops in the middle.
#[test]
fn rcv_10_what_is_acknowledged_is_processed() {
    for round in 0..10 {
        let small = [("ring_bytes", "64KiB"), ("block_bytes", "4KiB")];
        let ssc = context(1, &small);
        let acks = Acks::default();
        let (runs, started) = mpsc::channel();
        let receiver = Generating {
            listener: acks.clone(),
            runs,
            told: Told::default(),
        };
        let groups = Gathered::of(&ssc.receiver_stream(receiver).unwrap());
        ssc.start().unwrap();
        let (_, generator) = started.recv().unwrap();
        let adding = spawn(move || {
            // Groups of one to twelve records with the same number.
            let group = |n: u64| vec![n; 1 + n as usize % 12];
            (1..).find(|&n| {
                let added = generator.add_multiple_data_with_callback(group(n), n);
                added.is_err()
            })
        });
        groups.wait(1_000 * round);
        ssc.stop(true).unwrap();
        let refused = adding.join().unwrap().unwrap();
        let acks = acks.0.lock().unwrap();
        assert_eq!(acks.acknowledged, refused - 1, "round {round}");
        let batches = groups.batches();
        let partitions: Vec<_> = batches.iter().flat_map(|(_, parts)| parts).collect();
        let mut next = 1;
        for partition in &partitions {
            let mut rest = &partition[..];
            while !rest.is_empty() {
                let len = 1 + next as usize % 12;
                assert_eq!(rest[..len], vec![next; len], "round {round}");
                rest = &rest[len..];
                next += 1;
            }
        }
        assert_eq!(next, refused);
        assert_eq!(acks.records, groups.records().len());
    }
}

#[derive(Clone)]
struct Panicking(mpsc::Sender<String>);

impl BlockGeneratorListener for Panicking {
    type Metadata = ();

    fn on_add_data(&self, (): ()) {}

    fn on_generate_block(&self, block: BlockId) {
        assert_ne!(block.index, 0, "no room for it");
    }

    fn on_push_block(&self, block: BlockId, _: usize) {
        assert_ne!(block.index, 1, "no broker");
        self.0.send(block.to_string()).unwrap();
    }

    fn on_error(&self, error: &millstream::Error) {
        self.0.send(error.to_string()).unwrap();
        panic!("expected");
    }
}

#[test]
fn rcv_10_a_listener_that_panics_is_reported() {
    let (ssc, clock) = manual(1_000, &[("block_interval", "200ms")]);
    let (tell, told) = mpsc::channel();
    let (runs, started) = mpsc::channel();
    let receiver = Generating {
        listener: Panicking(tell),
        runs,
        told: Told::default(),
    };
    let numbers = Gathered::of(&ssc.receiver_stream(receiver).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let (_, generator) = started.recv().unwrap();
    for n in 0..3 {
        generator.add_data_with_callback(n, ()).unwrap();
        clock.await_waiters(2);
        clock.advance(ms(200));
        let told = told.recv().unwrap();
        if n == 2 {
            assert_eq!(told, "block-0-2");
            continue;
        }
        let cause = ["no room for it", "no broker"][n];
        let start =
            format!("panic: the listener of the block generator, told of block-0-{n}, panicked: ");
        assert!(told.starts_with(&start) && told.contains(cause), "{told}");
        let reported = events.error();
        assert!(reported.active);
        assert_eq!(
            reported.last_message,
            "a block was stored, but may not be acknowledged"
        );
        assert_eq!(reported.last_error.unwrap().to_string(), told);
    }
    ssc.stop(true).unwrap();
    assert_eq!(numbers.records(), [0, 1, 2]);
}

#[test]
fn rcv_10_each_record_of_a_group_counts_for_the_rate() {
    let settings = [("receiver_max_rate", "10"), ("block_interval", "1s")];
    let (ssc, clock) = manual(1_000, &settings);
    let told = Told::default();
    let (receiver, runs) = generating(&told);
    let numbers = Gathered::of(&ssc.receiver_stream(receiver).unwrap());
    ssc.start().unwrap();
    let (_, generator) = runs.recv().unwrap();
    // One off the grid, so that no permit falls on a cut.
    clock.await_waiters(2);
    clock.advance(ms(50));
    let adding = spawn(move || {
        for n in 0..4 {
            generator
                .add_multiple_data_with_callback([n; 7], n)
                .unwrap();
        }
    });
    while clock.now_millis() < 2_850 {
        clock.await_waiters(3);
        clock.advance(ms(50));
    }
    adding.join().unwrap();
    run_to(&ssc, &clock, 3_000);
    ssc.stop(true).unwrap();
    // A group needs its seven permits: at 750, 1450, 2150, 2850 ms.
    let sizes: Vec<_> = numbers.batches()[..3]
        .iter()
        .map(|(time, parts)| (*time, parts.iter().map(Vec::len).sum::<usize>()))
        .collect();
    assert_eq!(sizes, [(1_000, 7), (2_000, 7), (3_000, 14)]);
}

#[test]
fn rcv_3_metadata_of_blocks_comes_with_the_batch() {
    let (ssc, clock) = manual(1_000, &[]);
    let (hands, held) = Hands::new();
    let numbers = Gathered::of(&ssc.receiver_stream(hands).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    let inputs = |time| {
        run_to(&ssc, &clock, time);
        events.next(|event| match event {
            Event::Completed(batch) => Some(batch.inputs),
            _ => None,
        })
    };
    handle
        .store_many_with_metadata(vec![1, 2], "offsets 1 to 2")
        .unwrap();
    handle.store(3).unwrap();
    handle.store_many(vec![4]).unwrap();
    handle
        .store_many_with_metadata(Vec::new(), "no block")
        .unwrap();
    let long = "ä".repeat(1_000);
    handle
        .store_many_with_metadata(vec![5], long.as_str())
        .unwrap();
    let input = &inputs(1_000)[0];
    assert_eq!(input.stream_id, StreamId(0));
    assert_eq!(input.num_records, 5);
    let cut = &long[..1_024];
    let texts: Vec<&str> = input.block_metadata.iter().map(|text| &**text).collect();
    assert_eq!(texts, ["offsets 1 to 2", cut]);
    assert_eq!(input.block_metadata_left_out, 0);

    for n in 0..150 {
        handle
            .store_many_with_metadata(vec![n], format!("block {n}"))
            .unwrap();
    }
    let input = &inputs(2_000)[0];
    assert_eq!(input.block_metadata.len(), 100);
    assert_eq!(&*input.block_metadata[99], "block 99");
    assert_eq!(input.block_metadata_left_out, 50);

    let input = &inputs(3_000)[0];
    assert!(input.block_metadata.is_empty());
    ssc.stop(true).unwrap();
    let refused = handle.store_many_with_metadata(vec![1], "late");
    assert_eq!(refused, Err(vec![1]));
    assert_eq!(numbers.records().len(), 155);
}
