//! The way of a block through the log, under shuttle: stored, cut, checkpointed, cleaned up, and
//! a crash of the machine at any moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use shuttle::thread::{self, JoinHandle};

use super::{Again, Place, ReceiverLog, RestoredBlock, RestoredStream};
use crate::disk::Disk;
use crate::disk::sim::{Fault, SimDisk, Survives};
use crate::error::Result;
use crate::hash::random;
use crate::sync::explore;
use crate::time::{BatchTime, Clock, Duration, ManualClock};
use crate::wal::{OnCorruption, SyncMode};

const STREAM: &str = "numbers";

/// So long that each batch begins a segment.
const INTERVAL: Duration = Duration::from_secs(60);

const BATCHES: u8 = 2;

fn at(batch: u8) -> BatchTime {
    BatchTime::from_millis(0) + INTERVAL * u32::from(batch)
}

fn open(disk: &SimDisk, again: Again, clock: &ManualClock) -> Result<Arc<ReceiverLog>> {
    ReceiverLog::open(
        &(Arc::new(disk.clone()) as Arc<dyn Disk>),
        Path::new("/log"),
        again,
        (SyncMode::Always, OnCorruption::Fail),
        Duration::ZERO,
        &(Arc::new(clock.clone()) as Arc<dyn Clock>),
    )
}

/// What the program and the world outside have of the numbers. Not a lock of the model's:
/// what is done with it in hand is one step.
#[derive(Default)]
struct State {
    /// Stored, but in no batch yet: the number, and its place in the log.
    ring: Vec<(u8, u64)>,
    batches: BTreeMap<BatchTime, Vec<u8>>,
    acknowledged: Vec<u8>,
    refused: Vec<u8>,
    /// The checkpoint: its batch, and the first record that is needed behind it.
    checkpoint: Option<(BatchTime, u64)>,
}

struct Model {
    disk: SimDisk,
    clock: ManualClock,
    log: Arc<ReceiverLog>,
    state: Mutex<State>,
}

impl Model {
    /// Stores a number as a block of its own, and acknowledges it.
    fn store(&self, number: u8) {
        let mut body = self.log.begin_block(STREAM, None, 1).unwrap();
        body.push(number);
        let Ok(flight) = self.log.append_block(body) else {
            self.state.lock().unwrap().refused.push(number);
            return;
        };
        self.state
            .lock()
            .unwrap()
            .ring
            .push((number, flight.sequence));
        drop(flight);
        self.state.lock().unwrap().acknowledged.push(number);
    }

    /// Cuts a batch, logs it, takes a checkpoint behind it, and cleans up, each in its turn.
    fn process(&self, batch: u8) {
        self.clock.set(at(batch));
        let under_way = self.log.first_under_way();
        self.log.mark(at(batch), under_way);
        let cut = std::mem::take(&mut self.state.lock().unwrap().ring);
        let (numbers, places): (Vec<_>, Vec<_>) = cut.into_iter().unzip();
        let places = places.into_iter().map(Place::Known).collect();
        let streams = [(Arc::from(STREAM), places)];
        // It is tried again, and what comes behind it waits.
        while self
            .log
            .append_batch(at(batch), &streams, Vec::new())
            .is_err()
        {}
        self.state
            .lock()
            .unwrap()
            .batches
            .insert(at(batch), numbers);
        let needed = self.log.needed_behind(at(batch));
        self.state.lock().unwrap().checkpoint = Some((at(batch), needed));
        // What cannot be removed now is removed later.
        let _ = self.log.checkpointed(at(batch));
    }

    /// The machine crashes now: whatever was promised has to be there, once.
    fn crash(&self, survives: Survives) {
        // One step from here to the end of what was promised.
        let operations = self.disk.operations();
        let state = std::mem::take(&mut *self.state.lock().unwrap());
        let disk = self.disk.crash(operations, survives);
        let (last, from) = state.checkpoint.unwrap_or((at(0), 0));
        let again = Again::Behind(last, Some(from));
        let log = open(&disk, again, &ManualClock::new(0)).unwrap();
        let mut streams = log.restore(last, again).unwrap();
        let restored = streams.remove(STREAM).unwrap_or_default();
        let number = |block: &RestoredBlock| log.read_block(block, |bytes| Ok(bytes[0])).unwrap();
        let RestoredStream {
            batches,
            rest,
            before: _,
        } = restored;
        for (time, numbers) in &state.batches {
            if *time > last {
                let again = batches
                    .get(time)
                    .map(|blocks| blocks.iter().map(number).collect());
                assert_eq!(again, Some(numbers.clone()), "the batch {time} comes again");
            }
        }
        let done = state
            .batches
            .range(..=last)
            .flat_map(|(_, numbers)| numbers.iter().copied());
        let again = batches.values().flatten().chain(&rest).map(number);
        let mut counts = BTreeMap::<u8, u32>::new();
        for number in done.chain(again) {
            *counts.entry(number).or_default() += 1;
        }
        assert!(counts.values().all(|&count| count == 1), "{counts:?}");
        let lost = state
            .acknowledged
            .iter()
            .filter(|number| !counts.contains_key(number));
        assert_eq!(lost.collect::<Vec<_>>(), [&0_u8; 0], "acknowledged");
    }
}

/// Two threads that store, and one that cuts batches, with so many calls of the disk that fail.
/// Gives the model with what runs.
fn begin(faults: u64) -> (Arc<Model>, Vec<JoinHandle<()>>) {
    let (disk, clock) = (SimDisk::new(), ManualClock::new(0));
    let log = open(&disk, Again::Never, &clock).unwrap();
    log.restore(at(0), Again::Never).unwrap();
    if faults > 0 {
        let first = disk.calls() + random() % 8;
        disk.fail(first..first + faults, Fault::Io);
    }
    let model = Arc::new(Model {
        disk,
        clock,
        log,
        state: Mutex::default(),
    });
    let run = |body: fn(&Model)| {
        let model = Arc::clone(&model);
        thread::spawn(move || body(&model))
    };
    let threads = vec![
        run(|model| (1..=2).for_each(|number| model.store(number))),
        run(|model| (3..=4).for_each(|number| model.store(number))),
        run(|model| (1..=BATCHES).for_each(|batch| model.process(batch))),
    ];
    (model, threads)
}

#[test]
fn shuttle_g_16_g_17_what_was_acknowledged_survives_a_crash_at_any_moment() {
    explore(|| {
        let (model, threads) = begin(0);
        let crash = thread::spawn({
            let model = Arc::clone(&model);
            move || {
                for _ in 0..random() % 40 {
                    thread::yield_now();
                }
                let survives = match random() % 2 {
                    0 => Survives::Durable,
                    _ => Survives::Some(random()),
                };
                model.crash(survives);
            }
        });
        for thread in threads {
            thread.join().unwrap();
        }
        crash.join().unwrap();
    });
}

#[test]
fn shuttle_g_16_each_block_is_acknowledged_or_refused_once() {
    explore(|| {
        // Both attempts of a group, and what is behind.
        let (model, threads) = begin(4);
        for thread in threads {
            thread.join().unwrap();
        }
        let mut told = model.state.lock().unwrap().acknowledged.clone();
        told.extend(&model.state.lock().unwrap().refused);
        told.sort_unstable();
        assert_eq!(told, [1, 2, 3, 4]);
        model.disk.mend();
        model.crash(Survives::Durable);
    });
}
