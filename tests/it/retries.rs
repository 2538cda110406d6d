//! Tasks that fail are tried again (F-3, F-4, F-8, F-25).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::cmp::Ordering as Order;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use millstream::prelude::*;
use millstream::rdd::Records;
use millstream::shared::LongAccumulator;
use millstream::{State, StateSpec};

use crate::helpers::*;

/// Panics at some of its calls.
#[derive(Clone, Debug)]
struct Fuse {
    calls: Arc<AtomicUsize>,
    bad: Range<usize>,
}

impl Fuse {
    fn new(bad: Range<usize>) -> Self {
        Self {
            calls: Arc::default(),
            bad,
        }
    }

    fn touch(&self) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        assert!(!self.bad.contains(&call), "call {call} went wrong");
    }
}

/// A key all of whose code may panic.
#[derive(Debug)]
struct Key(u64, Fuse);

impl Clone for Key {
    fn clone(&self) -> Self {
        self.1.touch();
        Self(self.0, self.1.clone())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.1.touch();
        self.0 == other.0
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Order {
        self.1.touch();
        self.0.cmp(&other.0)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.touch();
        self.0.hash(state);
    }
}

/// Adds one for each record and passes it on.
fn counting(sum: &LongAccumulator) -> impl Fn(u64) -> u64 + Send + Sync + 'static + use<> {
    let sum = sum.clone();
    move |n| {
        sum.add(1);
        n
    }
}

/// What an operation makes of a data set, in some order.
type Operation = fn(Rdd<u64>, &Fuse) -> millstream::Result<Vec<String>>;

fn texts(records: impl IntoIterator<Item: Debug>) -> Vec<String> {
    let records = records.into_iter();
    records.map(|record| format!("{record:?}")).collect()
}

/// Pairs whose keys and values touch the fuse.
fn pairs(rdd: Rdd<u64>, fuse: &Fuse) -> Rdd<(Key, u64)> {
    let fuse = fuse.clone();
    rdd.map(move |n| (Key(n % 7, fuse.clone()), n)).boxed()
}

/// A function that touches the fuse.
fn add(fuse: &Fuse) -> impl Fn(u64, u64) -> u64 + Send + Sync + 'static + use<> {
    let fuse = fuse.clone();
    move |a, b| {
        fuse.touch();
        a + b
    }
}

fn collected(rdd: &Rdd<(Key, u64)>) -> millstream::Result<Vec<String>> {
    let records = rdd.collect()?.into_iter();
    Ok(texts(records.map(|(key, n)| (key.0, n))))
}

const OPERATIONS: &[(&str, Operation)] = &[
    ("map", |rdd, fuse| {
        let fuse = fuse.clone();
        let mapped = rdd.map(move |n| {
            fuse.touch();
            n + 1
        });
        Ok(texts(mapped.collect()?))
    }),
    ("filter and count", |rdd, fuse| {
        let fuse = fuse.clone();
        let odd = rdd.filter(move |n| {
            fuse.touch();
            n % 2 == 1
        });
        Ok(texts([odd.count()?]))
    }),
    ("map_partitions", |rdd, fuse| {
        let fuse = fuse.clone();
        let sums = rdd.map_partitions(move |records: Records<u64>| {
            fuse.touch();
            [records.sum::<u64>()]
        });
        Ok(texts(sums.collect()?))
    }),
    ("for_each_partition", |rdd, fuse| {
        let seen = Mutex::new(BTreeMap::new());
        rdd.for_each_partition(|records| {
            let index = records.partition_index();
            for n in records {
                fuse.touch();
                // Again and again the same.
                seen.lock().unwrap().insert((index, n), ());
            }
            Ok(())
        })?;
        Ok(texts(seen.into_inner().unwrap()))
    }),
    ("cache and zip_with_index", |rdd, fuse| {
        let fuse = fuse.clone();
        let cached = rdd
            .map(move |n| {
                fuse.touch();
                n
            })
            .cache()
            .zip_with_index();
        Ok(texts(cached.collect()?))
    }),
    ("reduce", |rdd, fuse| Ok(texts([rdd.reduce(add(fuse))?]))),
    ("aggregate", |rdd, fuse| {
        let take = add(fuse);
        let join = add(fuse);
        let sum = rdd.aggregate(0, |sum, n| *sum = take(*sum, n), |a, b| *a = join(*a, b))?;
        Ok(texts([sum]))
    }),
    ("top", |rdd, fuse| {
        let fuse = fuse.clone();
        let keys = rdd.map(move |n| Key(n, fuse.clone())).top(5)?;
        Ok(texts(keys.into_iter().map(|key| key.0)))
    }),
    ("sort", |rdd, fuse| {
        let fuse = fuse.clone();
        let keys = rdd.map(move |n| Key(n, fuse.clone())).sort().collect()?;
        Ok(texts(keys.into_iter().map(|key| key.0)))
    }),
    ("reduce_by_key", |rdd, fuse| {
        collected(&pairs(rdd, fuse).reduce_by_key(add(fuse)))
    }),
    ("combine_by_key", |rdd, fuse| {
        let (create, take, join) = (fuse.clone(), fuse.clone(), fuse.clone());
        let combined = pairs(rdd, fuse).combine_by_key(
            move |n| {
                create.touch();
                n
            },
            move |sum, n| {
                // Half done, so that nobody can go on from here.
                *sum += 1000;
                take.touch();
                *sum += n;
            },
            move |sum, other| {
                *sum += 10_000;
                join.touch();
                *sum = *sum - 10_000 + other;
            },
        );
        // How many values were the first ones depends on the workers.
        let keys = combined.map(|(key, n)| (key, n % 1000)).boxed();
        collected(&keys)
    }),
    ("distinct", |rdd, fuse| {
        let keys = pairs(rdd, fuse).map(|(key, _)| key).distinct().collect()?;
        Ok(texts(keys.into_iter().map(|key| key.0)))
    }),
    ("join", |rdd, fuse| {
        let few = pairs(rdd.clone(), fuse).filter(|(_, n)| *n < 7);
        let joined = pairs(rdd, fuse).join(few);
        let joined = joined.map(|(key, (a, b))| (key, 100 * a + b)).boxed();
        collected(&joined)
    }),
    ("cogroup", |rdd, fuse| {
        let few = pairs(rdd.clone(), fuse).filter(|(_, n)| *n < 7);
        let groups = pairs(rdd, fuse).cogroup(few);
        let sums = groups.map(|(key, (a, b))| {
            let b: u64 = b.iter().sum();
            (key, 100 * a.iter().sum::<u64>() + b)
        });
        collected(&sums.boxed())
    }),
    ("partition_by", |rdd, fuse| {
        let fuse = fuse.clone();
        let parts = rdd.map(|n| (n, ())).partition_by(
            move |n| {
                fuse.touch();
                *n as usize
            },
            3,
        );
        Ok(texts(parts.collect()?))
    }),
];

/// Whichever call of the program's code panics, the result is that without a panic, and
/// what tasks add to an accumulator counts once.
#[test]
fn f_3_a_panic_anywhere_changes_nothing() {
    for workers in [1, 2] {
        let program = Program::with(|builder| builder.workers(workers));
        for (name, operation) in OPERATIONS {
            let run = |fuse: &Fuse| {
                let added = program.ssc.long_accumulator("added");
                let numbers = program.ssc.parallelize(0..24_u64, 4).map(counting(&added));
                // May be long for all that is known, so all workers take part.
                let rdd = numbers.map_partitions(|records| records).boxed();
                let mut texts = operation(rdd, fuse).map_err(|error| format!("{name}: {error}"))?;
                texts.sort();
                Ok::<_, String>((texts, added.value()))
            };
            let expected = run(&Fuse::new(0..0)).unwrap();
            let mut call = 0;
            loop {
                let fuse = Fuse::new(call..call + 1);
                assert_eq!(run(&fuse).unwrap(), expected, "{name}, call {call}");
                if fuse.calls.load(Ordering::Relaxed) <= call {
                    break;
                }
                call += 1 + call / 8;
            }
        }
    }
}

/// What a stream makes of numbers by their last digits, with a function that touches the
/// fuse.
type Declare = fn(&DStream<u64>, &Fuse) -> Seen<Vec<(u64, u64)>>;

const STREAMS: &[(&str, Declare)] = &[
    ("map", |stream, fuse| {
        let fuse = fuse.clone();
        watch(&stream.map(move |n| {
            fuse.touch();
            (n % 10, n)
        }))
    }),
    ("filter", |stream, fuse| {
        let fuse = fuse.clone();
        let all = stream.filter(move |_| {
            fuse.touch();
            true
        });
        watch(&all.map(|n| (n % 10, n)))
    }),
    ("reduce", |stream, fuse| {
        let pairs = stream.map(|n| (n % 10, n));
        watch(&pairs.reduce_by_key(add(fuse)))
    }),
    ("key", |stream, fuse| {
        let fuse = fuse.clone();
        let pairs = stream.map(move |n| (Key(n % 10, fuse.clone()), n));
        watch(&pairs.reduce_by_key(|a, b| a + b).map(|(key, n)| (key.0, n)))
    }),
    ("window", |stream, fuse| {
        let pairs = stream.map(|n| (n % 10, n));
        let sums = pairs.reduce_by_key_and_window(add(fuse), SECOND, SECOND);
        watch(&sums.unwrap())
    }),
    ("update", |stream, fuse| {
        let fuse = fuse.clone();
        let pairs = stream.map(|n| (n % 10, n));
        watch(
            &pairs.update_state_by_key(move |new: &[u64], sum: Option<&u64>| {
                fuse.touch();
                Some(sum.copied().unwrap_or_default() + new.iter().sum::<u64>())
            }),
        )
    }),
    ("state", |stream, fuse| {
        let fuse = fuse.clone();
        let pairs = stream.map(|n| (n % 10, n));
        let sums = pairs.map_with_state(StateSpec::function(
            move |key: u64, n: Option<u64>, state: &mut State<'_, u64>| {
                let sum = state.get_option().copied().unwrap_or_default();
                state.update(sum + n.unwrap_or_default());
                fuse.touch();
                (key, sum + n.unwrap_or_default())
            },
        ));
        watch(&sums)
    }),
    ("output", |stream, fuse| {
        let (fuse, seen) = (fuse.clone(), Seen::new());
        let add = seen.clone();
        stream.foreach_rdd(move |rdd, time| {
            rdd.for_each_partition(|records| {
                fuse.touch();
                add.add(time, records.map(|n| (n % 10, n)).collect());
                Ok(())
            })
        });
        seen
    }),
];

/// A function that panics at its first calls, however many: three attempts may fail and
/// the fourth one counts; when four have failed the batch does, and the next one is right.
#[test]
fn f_3_a_task_may_fail_three_times() {
    for workers in [1, 2] {
        for (name, declare) in STREAMS {
            for failures in 1..=5 {
                let program = Program::with(|builder| builder.workers(workers));
                let (queue, input) = program.queue::<u64>();
                let added = program.ssc.long_accumulator("added");
                let fuse = Fuse::new(0..failures);
                let seen = declare(&input.map(counting(&added)).boxed(), &fuse);
                program.start();
                // Each key twice, in one partition.
                program.push(&queue, [1, 11]);
                program.tick();
                let error = program.first_error();
                program.push(&queue, [21, 31]);
                program.tick();
                let has_state = ["update", "state"].contains(name);
                let before = if has_state && failures < 4 { 12 } else { 0 };
                let each = ["map", "filter", "output"].contains(name);
                let batch = |time: i64, a: u64, b: u64, before: u64| {
                    let records = match *name {
                        "state" => vec![(1, before + a), (1, before + a + b)],
                        _ if each => vec![(1, a), (1, b)],
                        _ => vec![(1, before + a + b)],
                    };
                    (time, records)
                };
                let second = batch(2000, 21, 31, before);
                if failures < 4 {
                    assert!(error.is_none(), "{name}: {error:?}");
                    let both = [batch(1000, 1, 11, 0), second];
                    assert_eq!(seen.take(), both, "{name}, {failures} failures");
                    assert_eq!(added.value(), 4);
                } else {
                    let error = error.unwrap().to_string();
                    for part in ["(attempt 4 of 4) panicked: call 3", "batch 1000 ms"] {
                        assert!(error.contains(part), "{name}: {part}: {error}");
                    }
                    assert_eq!(seen.take(), [second], "{name}, {failures} failures");
                    assert_eq!(added.value(), 2);
                }
            }
        }
    }
}

/// Whichever call of a function of state panics, all partitions are changed once.
#[test]
fn f_4_state_is_changed_by_the_attempt_that_succeeds() {
    let run = |workers: usize, fuse: &Fuse| {
        let program = Program::with(|builder| builder.workers(workers).default_parallelism(3));
        let (queue, input) = program.queue::<u64>();
        let key = fuse.clone();
        let pairs = input.map(move |n| (Key(n % 5, key.clone()), n));
        let touch = fuse.clone();
        let updated = pairs.update_state_by_key(move |new: &[u64], sum: Option<&u64>| {
            touch.touch();
            let sum = sum.copied().unwrap_or_default() + new.iter().sum::<u64>();
            (sum < 60).then_some(sum)
        });
        let updated = watch(&updated.map(|(key, sum)| (key.0, sum)));
        let touch = fuse.clone();
        let spec = StateSpec::function(
            move |key: Key, n: Option<u64>, state: &mut State<'_, u64>| {
                touch.touch();
                let sum = state.get_option().copied().unwrap_or_default();
                match n {
                    Some(n) if sum < 60 => state.update(sum + n),
                    Some(_) => state.remove(),
                    None => {}
                }
                touch.touch();
                (key.0, sum)
            },
        );
        let called = watch(&pairs.map_with_state(spec.timeout(2 * SECOND)));
        program.start();
        for first in [0, 10, 3, 40, 41, 42] {
            program.push_partitions(&queue, [(first..first + 6).collect(), vec![first]]);
            program.tick();
        }
        let sorted = |seen: Seen<Vec<(u64, u64)>>| {
            let mut batches = seen.take();
            batches
                .iter_mut()
                .for_each(|(_, batch)| batch.sort_unstable());
            batches
        };
        assert!(program.first_error().is_none());
        (sorted(updated), sorted(called))
    };
    for workers in [1, 2] {
        let expected = run(workers, &Fuse::new(0..0));
        let mut call = 0;
        loop {
            let fuse = Fuse::new(call..call + 1);
            assert_eq!(run(workers, &fuse), expected, "call {call}");
            if fuse.calls.load(Ordering::Relaxed) <= call {
                break;
            }
            call += 1 + call / 8;
        }
    }
}

/// Windows of some length and slide, by keys and with functions that touch the fuse: one
/// with an inverse, and one without.
fn windows(numbers: &DStream<u64>, fuse: &Fuse, length: u32, slide: u32) -> Seen<Vec<Sums>> {
    let key = fuse.clone();
    let pairs = numbers.map(move |n| (Key(n % 5, key.clone()), n));
    let (length, slide) = (SECOND * length, SECOND * slide);
    let minus = fuse.clone();
    let minus = move |a, b| {
        minus.touch();
        a - b
    };
    let inverse = pairs.reduce_by_key_and_window_inverse(add(fuse), minus, length, slide);
    let touch = fuse.clone();
    let newest = pairs
        .map(|(key, n)| (key, (n, n)))
        .reduce_by_key_and_window(
            move |(sum, least), (n, newer)| {
                touch.touch();
                (sum + n, newer.min(least))
            },
            length,
            slide,
        );
    let inverse = inverse.unwrap().map(|(key, n)| (key.0, (n, 0)));
    let newest = newest.unwrap().map(|(key, n)| (key.0, n));
    watch(&inverse.union(&newest).unwrap())
}

/// By key a sum, and the least value.
type Sums = (u64, (u64, u64));

/// What windows of some length and slide give for batches in which keys come, stay and go,
/// and the first error.
fn slid<const N: usize>(
    workers: usize,
    fuse: &Fuse,
    windows_of: [(u32, u32); N],
) -> ([Vec<(i64, Vec<Sums>)>; N], Option<String>) {
    let program = Program::with(|builder| builder.workers(workers).default_parallelism(3));
    let (queue, input) = program.queue::<u64>();
    let input = input.boxed();
    let seen = windows_of.map(|(length, slide)| windows(&input, fuse, length, slide));
    program.start();
    for batch in [
        vec![vec![0, 10, 3], vec![4, 1]],
        vec![vec![40, 41], vec![0, 2, 42]],
        Vec::new(),
        vec![vec![7], vec![5, 6], vec![1, 2, 3]],
        vec![vec![100]],
        vec![(0..12).collect()],
    ] {
        program.push_partitions(&queue, batch);
        program.tick();
    }
    let seen = seen.map(|seen| {
        let mut batches = seen.take();
        batches
            .iter_mut()
            .for_each(|(_, batch)| batch.sort_unstable());
        batches
    });
    (seen, program.first_error().map(|error| error.to_string()))
}

/// Whichever call of a function of a window panics, or of the code of its keys, the window
/// is what it would be.
#[test]
fn f_3_a_window_is_changed_once() {
    let run = |workers: usize, fuse: &Fuse| {
        let (seen, error) = slid(workers, fuse, [(3, 1), (3, 2), (5, 2)]);
        assert_eq!(error, None);
        seen
    };
    for workers in [1, 2] {
        let expected = run(workers, &Fuse::new(0..0));
        let mut call = 0;
        loop {
            // Also twice in a row: what takes back may go wrong as well.
            let fuse = Fuse::new(call..call + 1 + call % 2);
            assert_eq!(run(workers, &fuse), expected, "call {call}");
            if fuse.calls.load(Ordering::Relaxed) <= call {
                break;
            }
            call += 1 + call / 16;
        }
    }
}

/// Whichever calls panic until a batch fails: the windows that have its part fail, or what
/// reads a window, and those behind are right.
#[test]
fn f_3_a_window_is_right_when_what_failed_is_over() {
    let run = |fuse: &Fuse| {
        let ([seen], error) = slid(1, fuse, [(2, 1)]);
        (seen, error)
    };
    let (expected, _) = run(&Fuse::new(0..0));
    let mut failed = BTreeSet::new();
    let mut call = 0;
    loop {
        let fuse = Fuse::new(call..call + 4);
        let (seen, error) = run(&fuse);
        if fuse.calls.load(Ordering::Relaxed) <= call {
            break;
        }
        let time = |before| {
            let (_, time) = error.as_ref()?.split_once(before)?;
            let (time, _) = time.split_once(" ms")?;
            time.parse::<i64>().ok()
        };
        let part = time("the part of the window up to ");
        let gone = match (part, time("(batch ")) {
            (Some(end), _) => vec![end, end + 1000],
            (None, batch) => Vec::from_iter(batch),
        };
        let right = expected.iter().filter(|(time, _)| !gone.contains(time));
        assert!(seen.iter().eq(right), "call {call}: {error:?}: {seen:?}");
        failed.extend(part);
        call += 1 + call / 32;
    }
    // Each of them; in the third batch nothing enters, but something leaves.
    assert_eq!(failed, (1..=6).map(|second| 1000 * second).collect());
}

/// What enters or leaves may fail three times. Then the pane that enters has failed, and
/// with it each window that it is in.
#[test]
fn f_3_a_pane_may_fail_three_times() {
    type Declare = fn(&DStream<(u64, u64)>, &Fuse) -> millstream::Result<DStream<(u64, u64)>>;
    let declare: [(&str, Declare); 3] = [
        ("enters", |pairs, fuse| {
            pairs.reduce_by_key_and_window(add(fuse), 2 * SECOND, SECOND)
        }),
        ("enters, with an inverse", |pairs, fuse| {
            let minus = |a, b| a - b;
            pairs.reduce_by_key_and_window_inverse(add(fuse), minus, 2 * SECOND, SECOND)
        }),
        ("leaves", |pairs, fuse| {
            let fuse = fuse.clone();
            let minus = move |a, b| {
                fuse.touch();
                a - b
            };
            pairs.reduce_by_key_and_window_inverse(|a, b| a + b, minus, 2 * SECOND, SECOND)
        }),
    ];
    for (name, declare) in declare {
        for failures in 1..=5 {
            let program = Program::new();
            let (queue, input) = program.queue::<u64>();
            let fuse = Fuse::new(0..failures);
            let pairs = input.map(|n| (n % 10, n)).boxed();
            let seen = watch(&declare(&pairs, &fuse).unwrap());
            program.start();
            for n in [1, 21, 41, 61, 81] {
                program.push(&queue, [n]);
                program.tick();
            }
            let sums = [(1, 1), (2, 22), (3, 62), (4, 102), (5, 142)];
            let failed = match (name, failures) {
                (_, 1..4) => 0..0,
                // The first value leaves with the third one.
                ("leaves", _) => 3..5,
                _ => 2..4,
            };
            // A fifth failure is one of the next pane, which can be tried again.
            let right = sums.iter().filter(|(second, _)| !failed.contains(second));
            let right = right.map(|&(second, sum)| (1000 * second, vec![(1, sum)]));
            assert_eq!(seen.take(), right.collect::<Vec<_>>(), "{name}, {failures}");
            let error = program.first_error().map(|error| error.to_string());
            match failed.is_empty() {
                true => assert_eq!(error, None, "{name}"),
                false => {
                    let error = error.unwrap();
                    let until = format!("the part of the window up to {} ms", 1000 * failed.start);
                    for part in [&*until, "(attempt 4 of 4) panicked: call 3"] {
                        assert!(error.contains(part), "{name}: {part}: {error}");
                    }
                }
            }
        }
    }
}

/// `task_max_failures` says how often, and 1 is never again.
#[test]
fn f_3_the_number_of_attempts_is_a_setting() {
    for most in [1, 2, 7] {
        let program = Program::with(|builder| builder.set("task_max_failures", most.to_string()));
        let numbers = program.ssc.parallelize(0..4_u64, 2);
        for failures in [most - 1, most] {
            let fuse = Fuse::new(0..failures);
            let touch = fuse.clone();
            let last = numbers.clone().map(move |n| {
                if n == 3 {
                    touch.touch();
                }
                n
            });
            let result = last.collect();
            if failures < most {
                assert_eq!(result.unwrap(), [0, 1, 2, 3]);
            } else {
                let error = result.unwrap_err().to_string();
                let attempt = match most {
                    1 => "partition 1 panicked: call 0 went wrong".to_owned(),
                    _ => format!("partition 1 (attempt {most} of {most}) panicked"),
                };
                assert!(error.contains(&attempt), "{error}");
                assert_eq!(fuse.calls.load(Ordering::Relaxed), most);
            }
        }
    }
}

/// A partition that an output could not give away is given away again, and no other.
#[test]
fn f_8_only_the_partition_that_failed_is_output_again() {
    for workers in [1, 2] {
        let program = Program::with(|builder| builder.workers(workers));
        let calls = Mutex::new(BTreeMap::new());
        let numbers = program.ssc.parallelize(0..5_u64, 5);
        let given = numbers.for_each_partition(|records| {
            let mut calls = calls.lock().unwrap();
            let calls = calls.entry(records.partition_index()).or_insert(0);
            *calls += 1;
            match (records.partition_index(), *calls) {
                (2, 1..=3) => Err(std::io::Error::other("the line was busy").into()),
                _ => Ok(()),
            }
        });
        given.unwrap();
        let calls: Vec<_> = calls.into_inner().unwrap().into_values().collect();
        assert_eq!(calls, [1, 1, 4, 1, 1]);
    }
}

/// A file of a saved directory that an attempt has left half written is written anew.
#[test]
fn f_3_a_saved_partition_has_what_the_last_attempt_wrote() {
    let dir = Scratch::new("retries-saved");
    let program = Program::new();
    let fuse = Fuse::new(2..4);
    let numbers = program.ssc.parallelize(0..6_u64, 2).map(move |n| {
        fuse.touch();
        n
    });
    numbers.save_as_text_file(dir.join("numbers")).unwrap();
    for (part, text) in [("part-00000", "0\n1\n2\n"), ("part-00001", "3\n4\n5\n")] {
        assert_eq!(
            fs::read_to_string(dir.join("numbers").join(part)).unwrap(),
            text
        );
    }
}
