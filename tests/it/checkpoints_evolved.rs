//! Programs whose types have changed since the checkpoint (F-13).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::fmt::Debug;
use std::path::Path;
use std::sync::mpsc;

use millstream::dstream::{InputBatch, InputSource};
use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::shared::Accumulate;
use millstream::{State, StateSpec, UpdateOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::helpers::*;

/// What a program keeps for each key.
trait Total:
    Clone + Debug + Default + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static
{
    /// One value, or two that were added.
    fn of(value: i64) -> Self;
    fn plus(&self, other: &Self) -> Self;
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct First {
    count: u32,
    sum: i64,
}

impl Total for First {
    fn of(value: i64) -> Self {
        Self {
            count: 1,
            sum: value,
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
        }
    }
}

/// With another order, a wider number and a new field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Second {
    sum: i64,
    #[serde(default)]
    squares: i64,
    #[serde(default)]
    count: u64,
}

impl Total for Second {
    fn of(value: i64) -> Self {
        Self {
            sum: value,
            squares: value * value,
            count: 1,
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            count: self.count + other.count,
        }
    }
}

/// With a field less.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Third {
    #[serde(default)]
    squares: i64,
    sum: i64,
}

impl Total for Third {
    fn of(value: i64) -> Self {
        Self {
            squares: value * value,
            sum: value,
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            squares: self.squares + other.squares,
            sum: self.sum + other.sum,
        }
    }
}

/// With a field whose type does not fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Other {
    count: u32,
    sum: f64,
}

impl Total for Other {
    fn of(value: i64) -> Self {
        Self {
            count: 1,
            sum: value as f64,
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
        }
    }
}

/// Whose own code goes wrong when it is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Angry {
    #[serde(deserialize_with = "angry")]
    sum: i64,
}

fn angry<'de, D: Deserializer<'de>>(_: D) -> Result<i64, D::Error> {
    panic!("it does not want to");
}

impl Total for Angry {
    fn of(value: i64) -> Self {
        Self { sum: value }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            sum: self.sum + other.sum,
        }
    }
}

/// An accumulator of totals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Adding<T>(T);

impl<T: Total> Accumulate for Adding<T> {
    type Input = i64;

    fn zero(&self) -> Self {
        Self::default()
    }

    fn add(&mut self, input: i64) {
        self.0 = self.0.plus(&T::of(input));
    }

    fn merge(&mut self, other: Self) {
        self.0 = self.0.plus(&other.0);
    }
}

/// The keys 1 and 2 in each batch, with its second as value.
struct Seconds;

impl InputSource<(u32, i64)> for Seconds {
    fn compute(
        &mut self,
        time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<(u32, i64)>>> {
        let second = time.as_millis() / 1000;
        Ok(Some(batch.parallelize([(1, second), (2, second)], 2)))
    }
}

/// Both keys have the same totals: those of state, in two ways, of a window, and of all.
struct Run<T: Total> {
    program: Program,
    updated: Seen<Vec<(u32, T)>>,
    mapped: Seen<Vec<(u32, T)>>,
    window: Seen<Vec<(u32, T)>>,
    all: millstream::shared::Accumulator<Adding<T>>,
}

impl<T: Total> Run<T> {
    fn declare(dir: &Path, millis: i64, workers: usize) -> Self {
        let program = recover(dir, millis, |builder| {
            builder
                .workers(workers)
                .default_parallelism(2 * workers + 1)
        });
        let all = program.ssc.accumulator("all", Adding::<T>::default());
        program.ssc.checkpoint_accumulator(&all).unwrap();
        let pairs = program.ssc.input_stream(Seconds).unwrap();
        let adding = all.clone();
        let totals = pairs.map(move |(key, value)| {
            adding.add(value);
            (key, T::of(value))
        });
        let add = |total: T, new: &T| total.plus(new);
        let updated = totals.update_state_by_key(move |new: &[T], old: Option<&T>| {
            Some(new.iter().fold(old.cloned().unwrap_or_default(), add))
        });
        let updated = updated.uid("updated").unwrap().checkpoint(SECOND).unwrap();
        let running = |_: u32, value: Option<i64>, state: &mut State<'_, T>| {
            let before = state.get_option().cloned().unwrap_or_default();
            state.update(before.plus(&T::of(value.unwrap_or_default())));
        };
        let mapped = pairs.map_with_state(StateSpec::function(running));
        let _ = mapped.uid("mapped").unwrap();
        let mapped = mapped.checkpoint(SECOND).unwrap();
        let window = pairs
            .map(|(key, value)| (key, T::of(value)))
            .reduce_by_key_and_window(|a, b| a.plus(&b), 4 * SECOND, SECOND)
            .unwrap();
        let window = window.uid("window").unwrap().checkpoint(SECOND).unwrap();
        Self {
            updated: watch(&updated),
            mapped: watch(&mapped.state_snapshots()),
            window: watch(&window),
            all,
            program,
        }
    }

    fn start(dir: &Path, millis: i64, workers: usize) -> Self {
        let run = Self::declare(dir, millis, workers);
        run.program.start();
        run
    }

    /// After the last of some batches there are these totals.
    #[track_caller]
    fn ends(self, batches: usize, state: &T, window: &T) {
        (0..batches).for_each(|_| self.program.tick());
        let of = |total: &T| [1, 2].map(|key| (key, total.clone())).to_vec();
        let last = |seen: &Seen<Vec<(u32, T)>>| {
            let (_, mut last) = seen.take().pop().unwrap();
            last.sort_unstable_by_key(|(key, _)| *key);
            last
        };
        assert_eq!(last(&self.updated), of(state));
        assert_eq!(last(&self.mapped), of(state));
        assert_eq!(last(&self.window), of(window));
        assert_eq!(self.all.value().0, state.plus(state));
        self.program.ssc.stop(true).unwrap();
    }
}

#[test]
fn f_13_a_program_with_other_fields_goes_on() {
    for workers in [1, 2] {
        let dir = Scratch::new(&format!("evolved-{workers}"));
        // 1 + 2 + 3, and with the one behind a window of all four.
        Run::start(&dir, 0, workers).ends(
            3,
            &First { count: 3, sum: 6 },
            &First { count: 3, sum: 6 },
        );
        let second = |sum, squares, count| Second {
            sum,
            squares,
            count,
        };
        // What is new begins with its default.
        let totals = second(10, 16, 4);
        Run::start(&dir, 3000, workers).ends(1, &totals, &totals);
        // Panes of both versions are in the window.
        Run::start(&dir, 4000, workers).ends(1, &second(15, 41, 5), &second(14, 41, 4));
        let third = |squares, sum| Third { squares, sum };
        Run::start(&dir, 5000, workers).ends(2, &third(126, 28), &third(126, 22));
        // And back.
        Run::start(&dir, 7000, workers).ends(1, &second(36, 190, 1), &second(26, 174, 2));
    }
}

fn error_of<T: Total>(dir: &Path) -> String {
    let run = Run::<T>::declare(dir, 1000, 1);
    let error = run.program.ssc.start().unwrap_err().to_string();
    error.replace("checkpoints_evolved::", "")
}

#[test]
fn f_13_a_field_that_does_not_fit_is_an_error_that_names_both_sides() {
    let dir = Scratch::new("evolved-not");
    let totals = First { count: 1, sum: 1 };
    Run::start(&dir, 0, 1).ends(1, &totals, &totals);
    let error = error_of::<Other>(&dir);
    let (before, after) = error
        .split_once(" (declared at tests/it/checkpoints_evolved.rs:")
        .unwrap();
    assert_eq!(
        before,
        "illegal state: what the checkpoint of 1000 ms has of the stream \"updated\" is not of its \
         type: keep the type, or give the stream another name by uid() and let go of what was saved \
         by discard_saved(\"updated\")"
    );
    assert!(
        after.ends_with(
            "illegal state: saved as (u32, First {count: u32, sum: i64}), which cannot be read as a \
             (u32, it::Other) now: at 1.sum: saved as i64, and f64 now"
        ),
        "{after}"
    );
}

#[test]
fn f_6_a_type_that_panics_when_it_is_read_is_an_error_at_the_start() {
    let dir = Scratch::new("evolved-angry");
    let totals = First { count: 1, sum: 1 };
    Run::start(&dir, 0, 1).ends(1, &totals, &totals);
    let error = error_of::<Angry>(&dir);
    assert!(
        error.contains("of the stream \"updated\" (declared at ")
            && error.ends_with("restoring a stream panicked: it does not want to"),
        "{error}"
    );
}

#[test]
fn f_13_an_accumulator_that_does_not_fit_is_an_error_that_names_both_sides() {
    let dir = Scratch::new("evolved-accumulator");
    let leave = |millis| {
        let program = recover(&dir, millis, |builder| builder.workers(1));
        program.ssc.input_stream(Seconds).unwrap().print();
        program
    };
    let program = leave(0);
    let all = program.ssc.accumulator("all", Adding(First::default()));
    program.ssc.checkpoint_accumulator(&all).unwrap();
    program.start();
    program.tick();
    program.ssc.stop(true).unwrap();
    drop(program);
    let program = leave(1000);
    let all = program.ssc.accumulator("all", Adding(Other::default()));
    program.ssc.checkpoint_accumulator(&all).unwrap();
    let error = program.ssc.start().unwrap_err().to_string();
    assert!(
        error.contains("discard_saved_accumulator(\"all\")")
            && error.contains("saved as First {count: u32, sum: i64}")
            && error.ends_with("at sum: saved as i64, and f64 now"),
        "{error}"
    );
}

/// A receiver that hands out what it stores with.
struct Given<T: Total>(mpsc::Sender<ReceiverHandle<T>>);

impl<T: Total> Receiver<T> for Given<T> {
    fn on_start(&mut self, handle: ReceiverHandle<T>) -> millstream::Result<()> {
        self.0.send(handle).map_err(millstream::Error::other)
    }

    fn on_stop(&mut self) {}
}

/// A program whose receiver has a log, and no checkpoint behind the first.
fn logging<T: Total>(
    dir: &Path,
    millis: i64,
) -> (Program, mpsc::Receiver<ReceiverHandle<T>>, Seen<Vec<T>>) {
    let program = recover(dir, millis, |builder| {
        let builder = builder.workers(2).set("checkpoint_interval", "1000s");
        builder.set("receiver_write_ahead_log", "true")
    });
    let (given, handle) = mpsc::channel();
    let totals = program.ssc.receiver_stream(Given::<T>(given)).unwrap();
    let totals = totals.uid("totals").unwrap().checkpoint(SECOND).unwrap();
    let seen = watch(&totals);
    (program, handle, seen)
}

#[test]
fn f_13_blocks_of_the_log_are_read_with_other_fields() {
    let dir = Scratch::new("evolved-log");
    let (program, handle, _) = logging::<First>(&dir, 0);
    program.start();
    let handle = handle.recv().unwrap();
    handle.store_many(vec![First::of(1), First::of(2)]).unwrap();
    handle.store(First::of(3)).unwrap();
    program.tick();
    handle.store_many(vec![First::of(4)]).unwrap();
    program.ssc.stop(false).unwrap();
    drop((program, handle));

    let (program, _, _) = logging::<Other>(&dir, 1000);
    let error = program.ssc.start().unwrap_err().to_string();
    assert!(
        error.contains("has of the Receiver stream [0] cannot be read")
            && error.contains("discard_saved(\"totals\")")
            && error.contains("saved as First {count: u32, sum: i64}")
            && error.ends_with("at sum: saved as i64, and f64 now"),
        "{error}"
    );
    drop(program);

    let (program, _, _) = logging::<Angry>(&dir, 1000);
    let error = program.ssc.start().unwrap_err().to_string();
    assert!(
        error.ends_with("reading a record panicked: it does not want to"),
        "{error}"
    );
    drop(program);

    let second = |sum| Second {
        sum,
        squares: 0,
        count: 1,
    };
    let (program, _, seen) = logging::<Second>(&dir, 1000);
    program.start();
    program.tick();
    seen.assert_batches([
        (1000, [1, 2, 3].map(second).to_vec()),
        (2000, vec![second(4)]),
    ]);
    program.ssc.stop(false).unwrap();
    drop(program);

    // What is let go of does not come again.
    let (program, _, seen) = logging::<Other>(&dir, 2000);
    program.ssc.discard_saved("totals").unwrap();
    program.start();
    program.tick();
    assert!(seen.take().iter().all(|(_, totals)| totals.is_empty()));
}

/// What an earlier program had declared and not read has all that came.
#[test]
fn what_no_output_read_was_saved_with_all_that_came() {
    let dir = Scratch::new("evolved-unread");
    let run = |millis, is_read: bool, batches: u32| {
        let program = recover(&dir, millis, |builder| builder.workers(2));
        let input = program.ssc.input_stream(Seconds).unwrap();
        let sums = input
            .update_state_by_key(|new: &[i64], old: Option<&i64>| {
                Some(old.unwrap_or(&0) + new.iter().sum::<i64>())
            })
            .uid("sums")
            .unwrap()
            .checkpoint(3 * SECOND)
            .unwrap();
        let seen = match is_read {
            true => watch(&sums),
            false => watch(&input),
        };
        program.start();
        for _ in 0..batches {
            program.tick();
        }
        program.ssc.stop(true).unwrap();
        let (_, mut last) = seen.take().pop().unwrap();
        last.sort_unstable();
        last
    };
    assert_eq!(run(0, false, 3), [(1, 3), (2, 3)]);
    let all = 1 + 2 + 3 + 4;
    assert_eq!(run(3000, true, 1), [(1, all), (2, all)]);
}

/// A stream that is new begins behind the checkpoint, as if there had been no batches before; one
/// of which nothing was saved may be gone.
#[test]
fn f_13_streams_come_and_go() {
    /// Has no position.
    struct Empty;

    impl InputSource<u64> for Empty {
        fn compute(
            &mut self,
            _time: BatchTime,
            batch: &mut InputBatch<'_>,
        ) -> millstream::Result<Option<Rdd<u64>>> {
            Ok(Some(batch.parallelize([], 1)))
        }
    }

    let dir = Scratch::new("evolved-streams");
    let start = |millis, name| {
        let program = recover(&dir, millis, |builder| builder.workers(1));
        let empty = program.ssc.input_stream(Empty).unwrap();
        let empty = empty.uid(name).unwrap();
        empty.foreach_rdd(|_, _| Ok(()));
        (program, empty)
    };
    let (first, _) = start(0, "gone");
    first.start();
    for _ in 0..5 {
        first.tick();
    }
    first.stop();
    drop(first);

    let (second, empty) = start(5000, "new");
    let initial = second.ssc.parallelize([((), 0_u64)], 1);
    let steps = empty.map(|number| ((), number)).update_state_by_key_with(
        |_, (), _: &[u64], steps: Option<&u64>| steps.map(|steps| steps + 1),
        UpdateOptions::new().initial_state(initial),
    );
    let steps = steps.checkpoint(SECOND).unwrap();
    let seen = watch(&steps);
    second.start();
    assert_eq!(second.ssc.zero_time(), Some(at(0)));
    second.tick();
    second.tick();
    second.ssc.stop(false).unwrap();
    let steps = [(6000, vec![((), 1)]), (7000, vec![((), 2)])];
    assert_eq!(seen.take(), steps);
}
