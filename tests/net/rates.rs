//! Rate limits and back-pressure: batch by batch, and the closed loop of a source
//! that has too much and batches that take their time.

use std::sync::{Arc, Mutex, mpsc};

use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::time::{Clock, ManualClock, Wake};

use crate::helpers::{Hands, manual, ms, run_to, spawn};

const BACKPRESSURE: (&str, &str) = ("spark.streaming.backpressure.enabled", "true");

/// A source in which records turn up as time goes on, and stay until they are
/// stored. They are numbered.
#[derive(Clone)]
struct Offering {
    clock: ManualClock,
    /// How many have turned up after so many nanoseconds.
    offered: Arc<dyn Fn(i64) -> u64 + Send + Sync>,
    /// How often it looks for more.
    tick: i64,
    ended: Wake,
    /// How many it has stored, when it has ended.
    stored: mpsc::Sender<u64>,
}

impl Receiver<u64> for Offering {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        let source = self.clone();
        spawn(move || {
            let mut stored = 0;
            while !source.ended.is_woken() {
                let now = source.clock.now_nanos();
                let offered = (source.offered)(now);
                while stored < offered && handle.store(stored).is_ok() {
                    stored += 1;
                }
                let _ = source.clock.wait_until(now + source.tick, &source.ended);
            }
            source.stored.send(stored).unwrap();
        });
        Ok(())
    }

    fn on_stop(&mut self) {
        self.ended.wake();
    }
}

/// What listeners are told of the batches.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<BatchInfo>>>);

impl StreamingListener for Log {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        self.0.lock().unwrap().push(batch.clone());
    }
}

/// Batches that take a fixed time, and then a time for each record.
#[derive(Clone, Copy, Debug)]
struct Plant {
    /// Nanoseconds, as all times here.
    interval: i64,
    fixed: i64,
    per_record: i64,
}

/// In a batch of a second, and of five milliseconds.
const PLANTS: [Plant; 2] = [
    Plant {
        interval: 1_000_000_000,
        fixed: 50_000_000,
        per_record: 500_000,
    },
    Plant {
        interval: 5_000_000,
        fixed: 500_000,
        per_record: 2_500,
    },
];

impl Plant {
    /// Records that a batch can have and still take no longer than an interval.
    fn capacity(&self) -> f64 {
        (self.interval - self.fixed) as f64 / self.per_record as f64
    }

    /// Runs so many batches, and what they leave. Each receiver is offered a part of
    /// `load`, which gives the records up to a number of batches in capacities.
    fn run(
        self,
        batches: i64,
        receivers: usize,
        settings: &[(&str, &str)],
        load: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Vec<BatchInfo> {
        let (ssc, clock) = manual((self.interval / 1_000_000) as u64, settings);
        let share = self.capacity() / receivers as f64;
        let (stored, totals) = mpsc::channel();
        let source = Offering {
            clock: clock.clone(),
            offered: Arc::new(move |now| (share * load(now as f64 / self.interval as f64)) as u64),
            tick: self.interval / 20,
            ended: Wake::new(),
            stored,
        };
        let time = Time {
            clock,
            tick: self.interval / 20,
            until: batches * self.interval,
            waiters: 1 + receivers,
        };
        let streams: Vec<_> = (0..receivers)
            .map(|_| ssc.receiver_stream(source.clone()).unwrap())
            .collect();
        let processed = Arc::new(Mutex::new(Vec::new()));
        let (into, passing, ended) = (Arc::clone(&processed), time.clone(), source.ended.clone());
        ssc.union(streams).unwrap().foreach_rdd(move |rdd, _| {
            let mut records = rdd.collect()?;
            // What a stop leaves is done while nobody waits for the clock any more.
            if !ended.is_woken() {
                passing.pass(self.fixed + records.len() as i64 * self.per_record);
            }
            into.lock().unwrap().append(&mut records);
            Ok(())
        });
        let log = Log::default();
        ssc.add_listener(log.clone());
        ssc.start().unwrap();
        time.clock.await_waiters(time.waiters);
        let boundary = |time: &Time| time.clock.now_nanos() / self.interval;
        while time.clock.now_nanos() < time.until {
            let next = (boundary(&time) + 1) * self.interval;
            time.pass(next - time.clock.now_nanos());
            // Batches let time pass, too, in which others come.
            loop {
                let last = boundary(&time);
                ssc.await_batch(BatchTime::from_millis(last * self.interval / 1_000_000));
                if boundary(&time) == last {
                    break;
                }
            }
        }
        ssc.stop(true).unwrap();
        drop(source);
        let mut stored: Vec<_> = totals.iter().flat_map(|total| 0..total).collect();
        let mut processed = std::mem::take(&mut *processed.lock().unwrap());
        stored.sort_unstable();
        processed.sort_unstable();
        assert!(stored == processed, "each record once");
        let mut batches = std::mem::take(&mut *log.0.lock().unwrap());
        // Those that could take their time.
        batches.retain(|batch| batch.processing_end_nanos < Some(time.until));
        batches
    }
}

/// The time of a run, which whoever has nothing else to do moves on: its batch while
/// there is one, else the test.
#[derive(Clone)]
struct Time {
    clock: ManualClock,
    tick: i64,
    /// Here it stands still.
    until: i64,
    /// The threads that wait for it when nothing is to be done.
    waiters: usize,
}

impl Time {
    /// Lets time pass in steps, in each of which everybody does what is due. What is
    /// due before a boundary is done before it.
    fn pass(&self, nanos: i64) {
        let end = (self.clock.now_nanos() + nanos).min(self.until);
        while self.clock.now_nanos() < end {
            let now = self.clock.now_nanos();
            let mark = (now / self.tick + 1) * self.tick;
            let before = mark - 1;
            let next = if now < before { before } else { mark };
            let step = (next.min(end) - now) as u64;
            self.clock.advance(Duration::from_nanos(step));
            self.clock.await_waiters(self.waiters);
        }
    }
}

impl Plant {
    /// How many intervals a duration is.
    fn intervals(&self, duration: Duration) -> f64 {
        duration.as_nanos() as f64 / self.interval as f64
    }

    /// How many capacities a number of records is.
    fn capacities(&self, records: u64) -> f64 {
        records as f64 / self.capacity()
    }

    /// The limits on all receivers together, in capacities per batch; none if any
    /// has none.
    fn limit(&self, batch: &BatchInfo) -> Option<f64> {
        let limits = batch.inputs.iter().map(|input| input.rate_limit);
        let total: u64 = limits.sum::<Option<_>>()?;
        Some(total as f64 * self.interval as f64 / 1e9 / self.capacity())
    }
}

/// Twice what can be processed, after half of it.
fn step(batches: f64) -> f64 {
    0.5 * batches.min(20.0)
        + 2.0 * (batches - 20.0).clamp(0.0, 30.0)
        + 0.9 * (batches - 50.0).max(0.0)
}

/// Up to twice what can be processed, and down to nothing.
fn ramp(batches: f64) -> f64 {
    let (up, down) = (batches.min(40.0), (batches - 40.0).clamp(0.0, 40.0));
    up * up / 40.0 + 2.0 * down - down * down / 40.0
}

/// In every twenty batches up to twice what can be processed, and a pause.
fn sawtooth(batches: f64) -> f64 {
    let (teeth, rest) = ((batches / 20.0).floor(), (batches % 20.0).min(16.0));
    16.0 * teeth + rest * rest / 16.0
}

/// Far too much from the start.
fn flood(batches: f64) -> f64 {
    8.0 * batches.min(20.0) + 0.95 * (batches - 20.0).max(0.0)
}

/// That no limit is below the least, and that no batch waits for longer than so
/// many intervals: so what waits does not pile up.
fn assert_in_hand(plant: Plant, batches: &[BatchInfo], intervals: f64) {
    for batch in batches {
        for input in &batch.inputs {
            assert!(input.rate_limit.is_none_or(|rate| rate >= 100), "{input:?}");
        }
        let delay = plant.intervals(batch.scheduling_delay());
        assert!(delay <= intervals, "{delay} intervals: {batch:?}");
    }
}

/// That no ten seconds have more than a twentieth above the limits that held in them.
/// The limit of a batch is the one at its cut, and changes once before the next.
fn assert_limited(plant: Plant, batches: &[BatchInfo]) {
    let tenth = (10_000_000_000 / plant.interval) as usize;
    let most = |pair: &[BatchInfo]| {
        let limits = plant.limit(&pair[0]).zip(plant.limit(&pair[1]));
        limits.map(|(before, after)| before.max(after))
    };
    for batches in batches.windows(tenth + 1) {
        let limits = batches.windows(2).map(most);
        let records = batches[1..].iter().map(BatchInfo::num_records).sum();
        if let Some(limits) = limits.sum::<Option<f64>>() {
            let records = plant.capacities(records);
            assert!(records <= 1.05 * limits, "{records} at {limits}");
        }
    }
}

/// That within twenty batches behind the end of an overload nine tenths of what can be
/// processed may come, and from then on behind any batches that did not wait and are at
/// least half as large. (Smaller ones tell of little but the fixed time that each takes.)
fn assert_recovered(plant: Plant, batches: &[BatchInfo], end: usize) {
    let limit = |batch: &BatchInfo| plant.limit(batch).unwrap();
    assert!(
        batches[end..end + 20]
            .iter()
            .any(|batch| limit(batch) >= 0.9)
    );
    for batches in batches[end + 18..].windows(3) {
        let telling = batches.iter().all(|batch| {
            let delay = plant.intervals(batch.scheduling_delay());
            plant.capacities(batch.num_records()) >= 0.5 && delay < 0.1
        });
        assert!(!telling || limit(&batches[2]) >= 0.9, "{:?}", batches[2]);
    }
}

fn assert_busy(plant: Plant, batches: &[BatchInfo]) {
    for batch in batches {
        let records = plant.capacities(batch.num_records());
        assert!(records > 0.95, "{records} of the capacity: {batch:?}");
    }
}

/// The receivers of a run, on each plant.
const RUNS: [(Plant, usize); 4] = [
    (PLANTS[0], 1),
    (PLANTS[0], 2),
    (PLANTS[1], 1),
    (PLANTS[1], 2),
];

#[test]
fn o_7_a_step_to_twice_the_capacity() {
    for (plant, receivers) in RUNS {
        let batches = plant.run(100, receivers, &[BACKPRESSURE], step);
        assert_in_hand(plant, &batches, 2.0);
        // What turned up in the overload keeps it busy until the end.
        assert_busy(plant, &batches[40..]);
        assert_in_hand(plant, &batches[40..], 0.05);
        assert!(plant.limit(&batches[40]).unwrap() < 1.05);
        assert_limited(plant, &batches);
        assert_recovered(plant, &batches, 50);
    }
}

/// The same, if nobody holds the source back; a rate to begin with is none then.
#[test]
fn o_7_without_back_pressure_batches_fall_behind() {
    let batches = PLANTS[0].run(100, 1, &[("backpressure_initial_rate", "1")], step);
    let delays = batches.iter().map(BatchInfo::scheduling_delay);
    assert!(PLANTS[0].intervals(delays.max().unwrap()) > 20.0);
    assert!(
        batches
            .iter()
            .all(|batch| batch.inputs[0].rate_limit.is_none())
    );
}

#[test]
fn o_7_a_ramp_to_twice_the_capacity_and_back() {
    for (plant, receivers) in RUNS {
        let batches = plant.run(100, receivers, &[BACKPRESSURE], ramp);
        assert_in_hand(plant, &batches, 2.0);
        assert_busy(plant, &batches[40..80]);
        // All of it came through.
        let records = batches.iter().map(BatchInfo::num_records).sum();
        assert!((plant.capacities(records) - ramp(100.0)).abs() < 0.1);
        assert_limited(plant, &batches);
        assert_recovered(plant, &batches, 60);
    }
}

#[test]
fn o_7_a_sawtooth_up_to_twice_the_capacity() {
    for (plant, receivers) in RUNS {
        let batches = plant.run(120, receivers, &[BACKPRESSURE], sawtooth);
        assert_in_hand(plant, &batches, 2.0);
        // No tooth leaves anything for the next but one.
        let processed = |batches: &[BatchInfo]| {
            let records = batches.iter().map(BatchInfo::num_records);
            plant.capacities(records.sum())
        };
        for tooth in 1..5 {
            assert!(processed(&batches[..20 * tooth + 12]) >= sawtooth(20.0 * tooth as f64));
        }
        assert_limited(plant, &batches);
        // The overload of each tooth ends with it.
        assert_recovered(plant, &batches, 16);
    }
}

/// Without an initial rate: the first batch has eight times too much, and while it
/// runs, others do. That is felt before it ends, so little comes in behind, as long
/// as the flood may last; then the least rate is soon left again.
#[test]
fn r_14_a_flood_is_felt_in_the_first_batch_and_the_least_rate_is_left_again() {
    for (plant, receivers) in RUNS {
        let batches = plant.run(60, receivers, &[BACKPRESSURE], flood);
        let least = |batch: &BatchInfo| {
            batch
                .inputs
                .iter()
                .all(|input| input.rate_limit == Some(100))
        };
        assert!(batches.iter().any(least));
        assert_in_hand(plant, &batches, 22.0);
        let waits = |batch: &BatchInfo| plant.intervals(batch.scheduling_delay()) > 0.1;
        let over = batches.iter().rposition(waits).unwrap();
        assert!((15..30).contains(&over), "{over}");
        assert_busy(plant, &batches[over + 10..]);
        assert!(
            batches[over + 10..]
                .iter()
                .all(|batch| plant.limit(batch).unwrap() > 0.95)
        );
    }
}

/// The same flood, with a limit from the first batch on.
#[test]
fn o_6_the_initial_rate_holds_in_the_first_batch() {
    for (plant, receivers) in RUNS {
        let rate = plant.capacity() * 1e9 / plant.interval as f64 / receivers as f64;
        let initial = (rate as u64).to_string();
        let settings = [
            BACKPRESSURE,
            ("spark.streaming.backpressure.initialRate", &initial),
        ];
        let batches = plant.run(60, receivers, &settings, flood);
        let first = plant.capacities(batches[0].num_records());
        assert!((0.94..=1.0).contains(&first), "{first}");
        assert_in_hand(plant, &batches, 0.5);
        assert_busy(plant, &batches[1..]);
    }
}

/// A receiver whose batches of a second, one by one, have so many records and take
/// so many milliseconds. The limits under which they came, and the one at the end.
fn limits_after(settings: &[(&str, &str)], batches: &[(usize, u64)]) -> Vec<Option<u64>> {
    let (ssc, clock) = manual(1_000, settings);
    let (hands, held) = Hands::new();
    let stream = ssc.receiver_stream(hands).unwrap();
    let took = Arc::new(Mutex::new(Duration::ZERO));
    let (time, passes) = (clock.clone(), Arc::clone(&took));
    stream.foreach_rdd(move |_, _| {
        time.advance(std::mem::take(&mut *passes.lock().unwrap()));
        Ok(())
    });
    let log = Log::default();
    ssc.add_listener(log.clone());
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    for (i, &(records, millis)) in batches.iter().enumerate() {
        // Blocks are not limited.
        handle.store_many(vec![0; records]).unwrap();
        *took.lock().unwrap() = ms(millis);
        run_to(&ssc, &clock, (i as i64 + 1) * 1_000);
    }
    let last = handle.rate_limit();
    ssc.stop(true).unwrap();
    let log = log.0.lock().unwrap();
    let limits = log[..batches.len()].iter();
    limits
        .map(|batch| batch.inputs[0].rate_limit)
        .chain([last])
        .collect()
}

#[test]
fn o_7_the_rate_is_that_of_the_last_batch_with_records() {
    let batches = [
        (500, 100),
        (500, 200),
        (0, 500),
        (0, 0),
        (300, 0),
        (100, 500),
    ];
    assert_eq!(
        limits_after(&[BACKPRESSURE], &batches),
        [
            None,
            None,
            Some(2_500),
            Some(2_500),
            Some(2_500),
            Some(2_500),
            Some(200)
        ]
    );
}

/// All stands still for ten seconds while a batch runs: that batch looks slow, and is not.
#[test]
fn f_17_no_rate_is_learned_from_a_gap() {
    let (ssc, clock) = manual(1_000, &[BACKPRESSURE]);
    let (hands, held) = Hands::new();
    let stream = ssc.receiver_stream(hands).unwrap();
    let took = Arc::new(Mutex::new(Duration::ZERO));
    let (time, passes) = (clock.clone(), Arc::clone(&took));
    stream.foreach_rdd(move |rdd, _| {
        if rdd.count()? > 0 {
            time.advance(std::mem::take(&mut *passes.lock().unwrap()));
        }
        Ok(())
    });
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    let mut rates = Vec::new();
    for (at, took_millis, then) in [
        (1_000, 100, 1_000),
        (2_000, 200, 2_000),
        (3_000, 10_500, 13_000),
        (14_000, 200, 14_000),
        (15_000, 400, 15_000),
    ] {
        handle.store_many(vec![0; 500]).unwrap();
        *took.lock().unwrap() = ms(took_millis);
        run_to(&ssc, &clock, at);
        ssc.await_batch(BatchTime::from_millis(then));
        rates.push(handle.rate_limit());
    }
    ssc.stop(true).unwrap();
    let expected = [None, Some(2_500), Some(2_500), Some(2_500), Some(1_250)];
    assert_eq!(rates, expected);
}

#[test]
fn o_7_no_rate_is_above_the_greatest_or_below_the_least() {
    let settings = [
        BACKPRESSURE,
        ("receiver_max_rate", "1000"),
        ("backpressure_initial_rate", "5000"),
    ];
    assert_eq!(
        limits_after(&settings, &[(500, 100), (500, 100), (10, 900), (500, 600)]),
        [1_000, 1_000, 1_000, 100, 834].map(Some)
    );
}

#[test]
fn r_14_a_rate_below_one_is_not_rounded_to_nothing() {
    let settings = [
        BACKPRESSURE,
        ("spark.streaming.backpressure.pid.minRate", "0.25"),
    ];
    assert_eq!(
        limits_after(&settings, &[(1, 900), (1, 900), (1, 900)])[1..],
        [None, Some(2), Some(2)]
    );
}

#[test]
fn r_15_no_more_and_no_less_than_the_greatest_rate() {
    for (rate, seconds) in [(1, 10), (999, 10), (1_001, 10), (1_000_000, 2)] {
        let (ssc, clock) = manual(1_000, &[("receiver_max_rate", &rate.to_string())]);
        let (stored, total) = mpsc::channel();
        let source = Offering {
            clock: clock.clone(),
            offered: Arc::new(|_| u64::MAX),
            tick: 50_000_000,
            ended: Wake::new(),
            stored,
        };
        let time = Time {
            clock,
            tick: source.tick,
            until: i64::MAX,
            waiters: 2,
        };
        ssc.receiver_stream(source)
            .unwrap()
            .foreach_rdd(|rdd, _| rdd.count().map(drop));
        let log = Log::default();
        ssc.add_listener(log.clone());
        ssc.start().unwrap();
        time.clock.await_waiters(time.waiters);
        time.pass(seconds * 1_000_000_000);
        ssc.await_batch(BatchTime::from_millis(seconds * 1_000));
        ssc.stop(true).unwrap();
        let log = log.0.lock().unwrap();
        let batches = log[..seconds as usize].iter();
        let sizes: Vec<_> = batches.map(BatchInfo::num_records).collect();
        assert!(
            sizes.iter().all(|size| size.abs_diff(rate) <= 1),
            "{sizes:?}"
        );
        // One is due at the last boundary itself.
        assert_eq!(total.recv().unwrap(), rate * seconds as u64, "{sizes:?}");
    }
}
