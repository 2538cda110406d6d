//! Code of the program's that panics, clocks that step, listeners that sleep (F-3,
//! F-6, F-16, G-20, O-12), and what the system does not give (F-26, F-27).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::cmp::Ordering as Order;
use std::fs;
use std::hash::{Hash, Hasher};
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::time::{Clock, ManualClock, WaitResult, Wake};
use millstream::{State, StateSpec};

use crate::helpers::*;
use crate::own_process::in_own_process_under;

const MILLISECOND: Duration = Duration::from_millis(1);

/// The first batches fail, however many; each names the operation, its place, the
/// partition and the batch, the other output runs, and what comes behind is right.
#[test]
fn f_3_a_panic_fails_one_output_of_its_batch_and_is_named() {
    for failing in 1..=5 {
        let program = Program::new();
        let (queue, input) = program.queue::<i64>();
        let bad = input.map(|n| {
            assert!(n != 13, "thirteen");
            n
        });
        let (fails, other) = (watch(&bad), watch(&input.map(|n| n + 1)));
        program.start();
        for batch in 0..failing {
            program.push_partitions(&queue, [vec![batch], vec![13], vec![7]]);
            program.tick();
        }
        program.push(&queue, [1, 2]);
        program.tick();
        let failed = failing * 1000;
        let error = program.first_error().unwrap().to_string();
        for part in [
            "thirteen",
            "map",
            "faults.rs",
            "partition 1",
            "batch 1000 ms",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(fails.take(), [(failed + 1000, vec![1, 2])]);
        let others = other.take();
        assert_eq!(others.len() as i64, failing + 1);
        assert_eq!(others[0], (1000, vec![1, 14, 8]));
    }
}

/// A key all of whose code panics now and then.
#[derive(Clone, Debug)]
struct Touchy(u64, Arc<AtomicBool>);

impl Touchy {
    fn touch(&self) {
        assert!(!self.1.load(Ordering::Relaxed), "it went off");
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        self.touch();
        self.0 == other.0
    }
}

impl Eq for Touchy {}

impl PartialOrd for Touchy {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for Touchy {
    fn cmp(&self, other: &Self) -> Order {
        self.touch();
        self.0.cmp(&other.0)
    }
}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.touch();
        self.0.hash(state);
    }
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Every kind of closure panics, on the workers and outside of them, and so do keys: the
/// process goes on, the next batch is right, and no thread is left behind (F-6, B-11).
#[test]
fn f_6_no_panic_of_the_programs_code_ends_the_process() {
    let name = "faults::f_6_no_panic_of_the_programs_code_ends_the_process";
    in_own_process(name, || {
        let before = threads();
        for workers in [1, 2] {
            every_closure_panics(workers);
        }
        // Workers are told to end, but not waited for.
        while threads() != before {
            std::thread::yield_now();
        }
    });
}

fn every_closure_panics(workers: usize) {
    let program = Program::with(|builder| builder.workers(workers));
    let (queue, input) = program.queue::<u64>();
    let armed = Arc::<AtomicBool>::default();
    let off = {
        let armed = Arc::clone(&armed);
        move || assert!(!armed.load(Ordering::Relaxed), "it went off")
    };
    let pairs = input.map(|n| (n % 3, n));
    let o = off.clone();
    let mapped = watch(&input.map(move |n| {
        o();
        n
    }));
    let o = off.clone();
    let filtered = watch(&input.filter(move |_| {
        o();
        true
    }));
    let o = off.clone();
    let flat = watch(&input.flat_map(move |n| {
        o();
        [n]
    }));
    let o = off.clone();
    let reduced = watch(&pairs.reduce_by_key(move |a, b| {
        o();
        a + b
    }));
    let o = off.clone();
    let window = watch(
        &pairs
            .reduce_by_key_and_window(
                move |a, b| {
                    o();
                    a + b
                },
                SECOND,
                SECOND,
            )
            .unwrap(),
    );
    let o = off.clone();
    let updated = watch(
        &pairs.update_state_by_key(move |new: &[u64], _: Option<&u64>| {
            o();
            Some(new.iter().sum())
        }),
    );
    let o = off.clone();
    let with_state = pairs.map_with_state(StateSpec::function(
        move |key: u64, _: Option<u64>, state: &mut State<'_, u64>| {
            o();
            state.update(key);
            key
        },
    ));
    let with_state = watch(&with_state);
    let o = off.clone();
    let transformed = watch(&input.transform(move |rdd, _| {
        o();
        Ok(rdd)
    }));
    let key = Arc::clone(&armed);
    let touchy = input.map(move |n| (Touchy(n % 3, Arc::clone(&key)), n));
    let touched = watch(
        &touchy
            .reduce_by_key(|a, b| a + b)
            .map(|(key, n)| (key.0, n)),
    );
    let top = watch(&touchy.transform(|rdd, _| Ok(rdd.sort_by(|(key, _)| key.clone()))));
    let o = off.clone();
    input.foreach_rdd(move |rdd, _| {
        rdd.count()?;
        o();
        Ok(())
    });
    input.foreach_rdd(move |rdd, _| {
        rdd.for_each_partition(|_| {
            off();
            Ok(())
        })
    });
    program.start();
    armed.store(true, Ordering::Relaxed);
    program.push_partitions(&queue, [vec![1, 2, 3, 4, 5], vec![6, 7, 8]]);
    program.tick();
    armed.store(false, Ordering::Relaxed);
    program.push_partitions(&queue, [vec![1, 2, 3], vec![4, 5]]);
    program.tick();
    let error = program.first_error().unwrap().to_string();
    assert!(error.contains("it went off"), "{error}");
    let sorted = |mut all: Vec<(i64, Vec<(u64, u64)>)>| {
        all.iter_mut()
            .for_each(|(_, records)| records.sort_unstable());
        all
    };
    let plain = [(2000, vec![1, 2, 3, 4, 5])];
    for seen in [mapped, filtered, flat, transformed] {
        assert_eq!(seen.take(), plain);
    }
    let (_, mut keys) = with_state.take().pop().unwrap();
    keys.sort_unstable();
    assert_eq!(keys, [0, 1, 1, 2, 2]);
    let sums = [(2000, vec![(0, 3), (1, 5), (2, 7)])];
    for seen in [reduced, window, updated, touched] {
        assert_eq!(sorted(seen.take()), sums);
    }
    assert_eq!(top.take().len(), 1);
    program.ssc.stop(true).unwrap();
}

/// A clock that somebody sets.
#[derive(Clone, Debug)]
struct Stepped {
    steady: ManualClock,
    /// What it is ahead, in nanoseconds.
    ahead: Arc<AtomicI64>,
}

impl Clock for Stepped {
    fn now_nanos(&self) -> i64 {
        self.steady.now_nanos() + self.ahead.load(Ordering::Relaxed)
    }

    fn wait_until(&self, deadline_nanos: i64, wake: &Wake) -> WaitResult {
        let ahead = self.ahead.load(Ordering::Relaxed);
        self.steady.wait_until(deadline_nanos - ahead, wake)
    }
}

#[derive(Clone, Default)]
struct Times(Seen<u64>);

impl StreamingListener for Times {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        self.0.add(batch.batch_time, batch.num_records());
    }
}

/// The engine's own clock reads the wall clock once. A clock of the program's that does
/// not: steps of a second and an hour, forward and back, as on the days that have 23 and
/// 25 hours, give batches on the grid, each later than the one before (F-16).
#[test]
fn f_16_batch_times_ascend_on_the_grid_whatever_the_clock_does() {
    let clock = Stepped {
        steady: ManualClock::new(0),
        ahead: Arc::default(),
    };
    let stepped = clock.clone();
    let program = Program::with(|builder| builder.clock(stepped));
    let program = Program {
        clock: clock.steady.clone(),
        ..program
    };
    let (queue, input) = program.queue::<u64>();
    let (seen, times) = (watch(&input), Times::default());
    program.ssc.add_listener(times.clone());
    program.start();
    let mut expected = Vec::new();
    for (number, step) in [0, 1, -1, 3600, 0, -3600, 0, 1].into_iter().enumerate() {
        clock.steady.await_waiters(1);
        clock
            .ahead
            .fetch_add(step * 1_000_000_000, Ordering::Relaxed);
        program.push(&queue, [number as u64]);
        expected.push(number as u64);
        // Far enough for a batch, whatever the clock shows.
        for _ in 0..3 {
            program.clock.advance(3601 * SECOND);
            program.clock.await_waiters(1);
        }
    }
    program.ssc.stop(true).unwrap();
    let all: Vec<u64> = seen.take().into_iter().flat_map(|(_, all)| all).collect();
    assert_eq!(all, expected);
    let times: Vec<_> = times.0.take().into_iter().map(|(time, _)| time).collect();
    assert!(times.is_sorted_by(|a, b| a < b));
    assert!(times.iter().all(|time| time % 1000 == 0));
}

/// Takes its time with the first event.
struct Lazy {
    told: Arc<AtomicUsize>,
    begun: Mutex<mpsc::Sender<()>>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl StreamingListener for Lazy {
    fn on_batch_submitted(&self, _: &BatchInfo) {
        if self.told.fetch_add(1, Ordering::Relaxed) == 0 {
            self.begun.lock().unwrap().send(()).unwrap();
            // Until the test lets go.
            let _ = self.go_on.lock().unwrap().recv();
        }
    }

    fn on_batch_started(&self, _: &BatchInfo) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }

    fn on_batch_completed(&self, _: &BatchInfo) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }
}

/// Five thousand batches pass by a listener that is stuck, and ten thousand of their
/// events wait for it.
#[test]
fn o_12_events_that_nobody_takes_are_dropped_and_no_batch_waits() {
    let program = Program::with(|builder| builder.workers(1).batch_interval(MILLISECOND));
    let (_queue, input) = program.queue::<u64>();
    input.foreach_rdd(|_, _| Ok(()));
    let told = Arc::<AtomicUsize>::default();
    let ((begun, has_begun), (hold, go_on)) = (mpsc::channel(), mpsc::channel());
    program.ssc.add_listener(Lazy {
        told: Arc::clone(&told),
        begun: Mutex::new(begun),
        go_on: Mutex::new(go_on),
    });
    program.start();
    program.tick();
    has_begun.recv().unwrap();
    program.advance(5_000);
    assert_eq!(told.load(Ordering::Relaxed), 1);
    drop(hold);
    program.ssc.stop(true).unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 1 + 10_000);
}

/// Who sends keys cannot know where they go: the order of results, which is that of the
/// hashes, is another one in each process.
#[test]
fn x_9_hashes_are_those_of_their_process() {
    let order = || {
        in_own_process("faults::x_9_hashes_are_those_of_their_process", || {
            let program = Program::with(|builder| builder.workers(1));
            let words = program.ssc.parallelize((0..100).map(|n| (n, ())), 1);
            let reduced = words.reduce_by_key(|(), ()| ()).collect().unwrap();
            let keys: Vec<_> = reduced.into_iter().map(|(n, ())| n).collect();
            println!("order {keys:?}");
        })
    };
    let Some(first) = order() else { return };
    let line = |text: &str| {
        text.lines()
            .find(|it| it.contains("order"))
            .map(str::to_owned)
    };
    assert!(line(&first).is_some());
    assert_ne!(line(&first), order().and_then(|second| line(&second)));
}

/// What a program starts in a closure finds its own descriptors only (F-26).
#[test]
fn f_26_a_child_has_no_descriptor_of_the_engine() {
    let name = "faults::f_26_a_child_has_no_descriptor_of_the_engine";
    in_own_process(name, || {
        let descriptors = || {
            let listed = Command::new("ls").arg("/proc/self/fd").output().unwrap();
            assert!(listed.status.success());
            String::from_utf8(listed.stdout).unwrap()
        };
        let before = descriptors();
        let dir = Scratch::new("faults-descriptors");
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let program = Program::new();
        #[cfg(feature = "checkpoint")]
        program.ssc.checkpoint(dir.join("checkpoints")).unwrap();
        let address = server.local_addr().unwrap().to_string();
        let lines = program.ssc.socket_text_stream(&*address).unwrap();
        let files = program.ssc.text_file_stream(dir.prefix("texts")).unwrap();
        fs::create_dir(dir.join("texts")).unwrap();
        put(dir.join("texts/one"), 500, "a\nb\n");
        let seen = Seen::new();
        let add = seen.clone();
        lines.union(&files).unwrap().foreach_rdd(move |rdd, time| {
            let children = Seen::new();
            let child = children.clone();
            rdd.for_each_partition(move |lines| {
                // While the file is open.
                for _ in lines {
                    child.add(time, descriptors());
                }
                Ok(())
            })?;
            add.add(time, children.take());
            Ok(())
        });
        program.start();
        let (_connection, _) = server.accept().unwrap();
        program.tick();
        let (_, children) = seen.take().pop().unwrap();
        assert_eq!(children, [(1000, before.clone()), (1000, before)]);
    });
}

/// A context for which there are not enough threads is an error, and one that runs goes
/// on (F-27).
#[test]
fn f_27_without_threads_a_context_is_refused_and_others_go_on() {
    // Stacks of threads are address space. Large ones: where the next does not fit there is
    // still room for what a thread that has begun asks for.
    let limited = [
        "sh",
        "-c",
        r#"ulimit -v 4000000 && RUST_MIN_STACK=268435456 exec "$0" "$@""#,
    ];
    let name = "faults::f_27_without_threads_a_context_is_refused_and_others_go_on";
    in_own_process_under(&limited, name, || {
        let program = Program::with(|builder| builder.workers(1));
        let (queue, input) = program.queue::<u64>();
        let seen = watch(&input.map(|n| n + 1));
        program.start();
        let builder = StreamingContext::builder().batch_interval(SECOND);
        let error = builder.workers(4096).ignore_environment().build();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("thread"), "{error}");
        program.push(&queue, [1, 2]);
        program.tick();
        assert_eq!(seen.take(), [(1000, vec![2, 3])]);
        program.stop();
    });
}

/// A stream is asked for each batch by what reads it. If that fails before, since another
/// stream that it reads has failed, the batch must not be missing in what the first one
/// keeps.
#[test]
fn what_is_kept_beside_a_stream_that_failed_misses_nothing() {
    type Sums = DStream<(u64, u64)>;
    let sums: [(&str, fn(&Sums) -> Sums, [u64; 2]); 4] = [
        (
            "update_state_by_key",
            |pairs| {
                pairs.update_state_by_key(|new: &[u64], sum: Option<&u64>| {
                    Some(sum.copied().unwrap_or_default() + new.iter().sum::<u64>())
                })
            },
            [1004, 1008],
        ),
        (
            "map_with_state",
            |pairs| {
                let spec =
                    StateSpec::function(|key, n: Option<u64>, state: &mut State<'_, u64>| {
                        let sum = state.get_option().copied().unwrap_or_default();
                        state.update(sum + n.unwrap_or_default());
                        (key, sum + n.unwrap_or_default())
                    });
                pairs.map_with_state(spec).boxed()
            },
            [1004, 1008],
        ),
        (
            "reduce_by_key_and_window",
            |pairs| {
                let sums = pairs.reduce_by_key_and_window(|a, b| a + b, 3 * SECOND, SECOND);
                sums.unwrap()
            },
            [1004, 1007],
        ),
        (
            "reduce_by_key_and_window_inverse",
            |pairs| {
                let minus = |a, b| a - b;
                let sums =
                    pairs.reduce_by_key_and_window_inverse(|a, b| a + b, minus, 3 * SECOND, SECOND);
                sums.unwrap()
            },
            [1004, 1007],
        ),
    ];
    for (name, sums, [third, fourth]) in sums {
        let program = Program::new();
        let (queue, pairs) = program.queue::<(u64, u64)>();
        let pairs = pairs.boxed();
        let unlucky = pairs.update_state_by_key(|new: &[u64], _: Option<&u64>| {
            assert!(!new.contains(&1000), "unlucky");
            None
        });
        let seen = watch(&unlucky.union(&sums(&pairs)).unwrap());
        program.start();
        for n in [1, 1000, 3, 4] {
            program.push(&queue, [(7, n)]);
            program.tick();
        }
        let expected = [(1000, 1), (3000, third), (4000, fourth)];
        let expected = expected.map(|(time, sum)| (time, vec![(7, sum)]));
        assert_eq!(seen.take(), expected, "{name}");
        let error = program.first_error().unwrap().to_string();
        assert!(error.contains("unlucky"), "{name}: {error}");
    }
}
