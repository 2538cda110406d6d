//! Full rings: who waits, what is dropped, and that it is counted.

use std::sync::{Arc, Mutex, mpsc};

use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::receiver::ReceiverHandle;
use millstream::time::ManualClock;

use crate::helpers::{Events, Gathered, Hands, Server, manual, ms, run_to, spawn};

/// Records and dropped records of each batch that has ended.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<Vec<(u64, u64)>>>);

impl Counts {
    fn of(ssc: &StreamingContext) -> Self {
        let counts = Self::default();
        ssc.add_listener(counts.clone());
        counts
    }

    fn take(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl StreamingListener for Counts {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        let input = &batch.inputs[0];
        let counts = (input.num_records, input.dropped_records);
        self.0.lock().unwrap().push(counts);
    }
}

/// A started program that has room for a thousand numbers and then does what was chosen:
/// its handle to store with, its counts, and what `watch` makes of its stream.
fn overflowing<W>(
    overflow: &str,
    watch: impl FnOnce(&DStream<u64>) -> W,
) -> (
    StreamingContext,
    ManualClock,
    ReceiverHandle<u64>,
    Counts,
    W,
) {
    let room = (1_000 * size_of::<u64>()).to_string();
    let settings = [
        ("receiver_overflow", overflow),
        ("ring_bytes", &*room),
        ("block_bytes", "4KiB"),
    ];
    let (ssc, clock) = manual(1_000, &settings);
    let (hands, held) = Hands::new();
    let watched = watch(&ssc.receiver_stream(hands).unwrap());
    let counts = Counts::of(&ssc);
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    (ssc, clock, handle, counts, watched)
}

#[test]
fn o_1_the_newest_records_are_dropped_if_that_was_chosen() {
    let (ssc, clock, handle, counts, numbers) = overflowing("drop_newest", Gathered::of);
    for n in 0..1_500_u64 {
        handle.store(n).unwrap();
    }
    run_to(&ssc, &clock, 1_000);
    for n in 1_500..1_600 {
        handle.store(n).unwrap();
    }
    run_to(&ssc, &clock, 2_000);
    ssc.stop(true).unwrap();
    let kept: Vec<u64> = (0..1_000).chain(1_500..1_600).collect();
    assert_eq!(numbers.records(), kept);
    assert_eq!(counts.take()[..2], [(1_000, 500), (100, 0)]);
}

/// A socket is read on while lines are dropped, so nobody holds its sender back.
#[test]
fn o_1_lines_that_do_not_fit_are_dropped_whole() {
    let settings = [
        ("receiver_overflow", "drop_newest"),
        ("ring_bytes", "64KiB"),
        ("block_bytes", "4KiB"),
        ("receiver_restart_delay", "1h"),
    ];
    let (ssc, clock) = manual(1_000, &settings);
    let text: String = (0..100_000).map(|n| format!("line {n}\n")).collect();
    let server = Server::sending(text);
    let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
    let counts = Counts::of(&ssc);
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    // All of it was read.
    events.ends(1);
    run_to(&ssc, &clock, 1_000);
    ssc.stop(true).unwrap();
    server.join();
    let (kept, dropped) = counts.take()[0];
    assert_eq!(kept + dropped, 100_000);
    let lines = lines.records();
    assert_eq!(lines.len() as u64, kept);
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert!((60 << 10..=64 << 10).contains(&bytes), "{bytes}");
    // Nothing was processed meanwhile: these are the first ones.
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(*line, *format!("line {n}"));
    }
}

/// The source is told that blocks are safe, so they wait for room.
#[test]
fn o_1_blocks_are_never_dropped() {
    let (ssc, clock, handle, counts, numbers) = overflowing("drop_newest", Gathered::of);
    handle.store_many((0..1_000_u64).collect()).unwrap();
    let storing = spawn(move || handle.store_many((1_000..1_500).collect()).unwrap());
    run_to(&ssc, &clock, 1_000);
    storing.join().unwrap();
    run_to(&ssc, &clock, 2_000);
    ssc.stop(true).unwrap();
    assert_eq!(numbers.records(), (0..1_500).collect::<Vec<_>>());
    assert!(counts.take().iter().all(|&(_, dropped)| dropped == 0));
}

/// An output that writes down what it gets and then waits for the test, batch by
/// batch, until the test lets go.
fn gated(stream: &DStream<u64>) -> (Arc<Gathered<u64>>, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let gathered = Gathered::of(stream);
    let (begun, is_begun) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    stream.foreach_rdd(move |_, _| {
        let _ = begun.send(());
        let _ = gate.lock().unwrap().recv();
        Ok(())
    });
    (gathered, is_begun, open)
}

#[test]
fn o_1_what_waits_longest_is_dropped_if_that_was_chosen() {
    let (ssc, clock, handle, counts, seen) = overflowing("drop_oldest", gated);
    let (numbers, is_begun, open) = seen;
    let mut numbers_so_far = 0..;
    let mut store = |count| {
        for n in numbers_so_far.by_ref().take(count) {
            handle.store(n).unwrap();
        }
    };
    // Three batches of 300: the first is being processed, the others wait.
    clock.await_waiters(1);
    for second in 1..=3 {
        store(300);
        clock.advance(ms(1_000));
        // It is cut before the next one begins.
        clock.await_waiters(1);
        if second == 1 {
            is_begun.recv().unwrap();
        }
    }
    // The second one makes room for these.
    store(300);
    // For these the third one; what is not cut does not go.
    store(200);
    clock.advance(ms(1_000));
    clock.await_waiters(1);
    drop(open);
    run_to(&ssc, &clock, 5_000);
    ssc.stop(true).unwrap();
    let kept: Vec<_> = (0..300).chain(900..1_400).collect();
    assert_eq!(numbers.records(), kept);
    let counts = counts.take();
    assert_eq!(counts[..5], [(300, 0), (0, 0), (0, 0), (500, 600), (0, 0)]);
}

/// The ring is full of what is being processed and what is not cut yet: the receiver
/// waits, and no longer than to the next boundary.
#[test]
fn o_1_what_is_cut_meanwhile_makes_room() {
    let (ssc, clock, handle, _, seen) = overflowing("drop_oldest", gated);
    let (numbers, is_begun, open) = seen;
    handle.store_many((0..600).collect()).unwrap();
    clock.advance(ms(1_000));
    is_begun.recv().unwrap();
    handle.store_many((600..900).collect()).unwrap();
    let storing = spawn(move || {
        (900..1_100).try_for_each(|n| handle.store(n)).unwrap();
    });
    // At the boundary that finds all that fits, if not before.
    while !storing.is_finished() {
        clock.await_waiters(1);
        clock.advance(ms(1_000));
    }
    storing.join().unwrap();
    drop(open);
    ssc.stop(true).unwrap();
    let kept = numbers.records();
    assert_eq!(kept[..600], (0..600).collect::<Vec<_>>());
    assert!(kept.ends_with(&[1_098, 1_099]));
    assert!(kept.len() <= 1_000 && kept.is_sorted(), "{}", kept.len());
}
