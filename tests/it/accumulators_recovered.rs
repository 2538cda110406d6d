//! Accumulators that come back after recovery (ACC-3, S-12).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use millstream::dstream::{InputBatch, InputSource};
use millstream::prelude::*;
use millstream::shared::{Accumulate, Accumulator, LongAccumulator};
use serde::{Deserialize, Serialize};

use crate::helpers::*;

/// Numbers from 1 on, ten in each batch, wherever it begins.
struct Tens(Arc<AtomicUsize>);

impl InputSource<i64> for Tens {
    fn compute(
        &mut self,
        _time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<i64>>> {
        let first = self.0.fetch_add(10, Ordering::Relaxed) as i64;
        Ok(Some(batch.parallelize(first + 1..=first + 10, 3)))
    }

    fn position(&mut self) -> millstream::Result<Vec<u8>> {
        Ok(self.0.load(Ordering::Relaxed).to_le_bytes().to_vec())
    }

    fn resume(&mut self, position: &[u8]) -> millstream::Result<()> {
        let next = usize::from_le_bytes(position.try_into().unwrap());
        self.0.store(next, Ordering::Relaxed);
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Residues(BTreeSet<i64>);

impl Accumulate for Residues {
    type Input = i64;

    fn zero(&self) -> Self {
        Self::default()
    }

    fn add(&mut self, input: i64) {
        self.0.insert(input % 100);
    }

    fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// A program, and what it has not declared yet.
struct Begun {
    program: Program,
    numbers: DStream<i64>,
}

/// Goes on from a checkpoint, if there is one. They are taken every three seconds.
fn begin(dir: &Path, millis: i64, workers: usize) -> Begun {
    let program = recover(dir, millis, |builder| {
        builder.workers(workers).set("checkpoint_interval", "3s")
    });
    let numbers = program.ssc.input_stream(Tens(Arc::default())).unwrap();
    Begun { program, numbers }
}

/// Wherever the process ends, the values are those of all batches, each once.
#[test]
fn acc_3_batches_that_come_again_do_not_add_twice() {
    for (seed, workers) in [(0, 1), (1, 2), (2, 2)] {
        let dir = Scratch::new(&format!("accumulators-{seed}"));
        let mut millis = 0;
        for run in 0..6 {
            let Begun { program, numbers } = begin(&dir, millis, workers);
            let ssc = &program.ssc;
            let sum = ssc.long_accumulator("sum");
            let half = ssc.double_accumulator("half");
            let residues = ssc.accumulator("residues", Residues::default());
            let all = ssc.collection_accumulator::<i64>("all");
            ssc.checkpoint_accumulator(&residues).unwrap();
            ssc.checkpoint_accumulator(&all).unwrap();
            let seen = Arc::<Mutex<Vec<i64>>>::default();
            let (sum2, half2, residues2, all2) =
                (sum.clone(), half.clone(), residues.clone(), all.clone());
            let seen2 = Arc::clone(&seen);
            numbers.foreach_rdd(move |rdd, _| {
                let (sum, half) = (sum2.clone(), half2.clone());
                let (residues, all) = (residues2.clone(), all2.clone());
                rdd.for_each_partition(move |records| {
                    for record in records {
                        sum.add(record);
                        half.add(record as f64 / 2.0);
                        residues.add(record);
                        all.add(record);
                    }
                    Ok(())
                })?;
                seen2.lock().unwrap().push(sum2.value());
                Ok(())
            });
            program.start();
            for _ in 0..1 + (run * 5 + seed) % 7 {
                program.tick();
            }
            // Those of the down time came as a part of the first.
            let mut records = all.value();
            records.sort_unstable();
            let last = *records.last().unwrap();
            assert_eq!(records, (1..=last).collect::<Vec<_>>());
            assert_eq!(sum.value(), last * (last + 1) / 2);
            assert_eq!(half.value(), (last * (last + 1)) as f64 / 4.0);
            let expected: BTreeSet<_> = records.iter().map(|n| n % 100).collect();
            assert_eq!(residues.value().0, expected);
            assert_eq!(*seen.lock().unwrap().last().unwrap(), sum.value());
            millis = program.now().as_millis();
            program.ssc.stop(run % 3 == 2).unwrap();
        }
    }
}

/// One that is made in the batch in which it is needed first, as the guide has it, is
/// there again, also if many checkpoints were taken meanwhile.
#[test]
fn acc_3_one_made_in_a_batch_has_its_value() {
    let dir = Scratch::new("accumulators-lazy");
    let count_large = |numbers: &DStream<i64>, ssc: &StreamingContext, limit: i64| {
        let large = Arc::<OnceLock<LongAccumulator>>::default();
        let (made, ssc) = (Arc::clone(&large), ssc.clone());
        numbers.foreach_rdd(move |rdd, _| {
            let found = rdd.filter(move |n| *n > limit).count()?;
            if found > 0 {
                let large = made.get_or_init(|| ssc.long_accumulator("large"));
                large.add(found as i64);
            }
            Ok(())
        });
        large
    };
    let Begun { program, numbers } = begin(&dir, 0, 1);
    let large = count_large(&numbers, &program.ssc, 25);
    program.start();
    for _ in 0..3 {
        program.tick();
    }
    assert_eq!(large.get().unwrap().value(), 5);
    program.ssc.stop(true).unwrap();
    drop((program, numbers, large));

    // It is not made here, and the next process finds it nevertheless.
    let Begun { program, numbers } = begin(&dir, 3_000, 2);
    let large = count_large(&numbers, &program.ssc, 1_000);
    program.start();
    for _ in 0..40 {
        program.tick();
    }
    assert!(large.get().is_none());
    program.ssc.stop(true).unwrap();
    drop((program, numbers, large));

    let Begun { program, numbers } = begin(&dir, 43_000, 2);
    let large = count_large(&numbers, &program.ssc, 435);
    program.start();
    program.tick();
    assert_eq!(large.get().unwrap().value(), 5 + 5);
}

fn read(numbers: &DStream<i64>) {
    numbers.foreach_rdd(|rdd, _| rdd.count().map(|_| ()));
}

fn error_of<T>(result: millstream::Result<T>) -> String {
    result.err().map(|error| error.to_string()).unwrap()
}

/// A process that leaves a checkpoint with `sum` and `words`.
fn earlier(dir: &Path) {
    let Begun { program, numbers } = begin(dir, 0, 1);
    let (sum, words) = (
        program.ssc.long_accumulator("sum"),
        program.ssc.collection_accumulator("words"),
    );
    program.ssc.checkpoint_accumulator(&words).unwrap();
    read(&numbers);
    program.start();
    sum.add(7);
    words.add("seven".to_owned());
    program.tick();
    program.ssc.stop(true).unwrap();
}

#[test]
fn acc_3_what_was_added_before_the_start_is_that_of_the_checkpoint() {
    let dir = Scratch::new("accumulators-before");
    earlier(&dir);
    let Begun { program, numbers } = begin(&dir, 1_000, 1);
    let sum = program.ssc.long_accumulator("sum");
    let own = Accumulator::new("sum", 1_i64);
    let unnamed = program.ssc.long_accumulator("");
    let error = error_of(program.ssc.checkpoint_accumulator(&unnamed));
    assert!(
        error.contains("has no name") && error.contains("accumulators_recovered.rs"),
        "{error}"
    );
    sum.add(100);
    read(&numbers);
    assert_eq!(sum.value(), 100);
    program.start();
    assert_eq!((sum.value(), own.value(), unnamed.value()), (7, 1, 0));
}

#[test]
fn acc_3_what_does_not_fit_is_an_error_that_says_what_to_do() {
    let dir = Scratch::new("accumulators-fit");
    earlier(&dir);
    let Begun { program, numbers } = begin(&dir, 1_000, 1);
    let _sum = program.ssc.double_accumulator("sum");
    read(&numbers);
    assert_eq!(
        error_of(program.ssc.start()),
        "illegal state: the checkpoint has a long accumulator of the name \"sum\", which is a \
         double accumulator now: give it another name, or let go of what was saved by \
         discard_saved_accumulator(\"sum\")"
    );
    drop((program, numbers));

    let Begun { program, numbers } = begin(&dir, 1_000, 1);
    let words = program.ssc.accumulator("words", Residues::default());
    program.ssc.checkpoint_accumulator(&words).unwrap();
    read(&numbers);
    let error = error_of(program.ssc.start());
    assert!(
        error.contains("what the checkpoint has of the accumulator \"words\" cannot be read"),
        "{error}"
    );
    drop((program, numbers));

    let Begun { program, numbers } = begin(&dir, 1_000, 1);
    let sums = [(); 2].map(|()| program.ssc.long_accumulator("sum"));
    read(&numbers);
    let error = error_of(program.ssc.start());
    assert!(
        error.contains("2 accumulators have the name \"sum\""),
        "{error}"
    );
    drop((program, numbers, sums));

    let Begun { program, numbers } = begin(&dir, 1_000, 1);
    let sum = program.ssc.double_accumulator("sum");
    let words = program.ssc.collection_accumulator::<String>("words");
    program.ssc.checkpoint_accumulator(&words).unwrap();
    program.ssc.discard_saved_accumulator("sum").unwrap();
    read(&numbers);
    program.start();
    assert_eq!(sum.value(), 0.0);
    assert_eq!(words.value(), ["seven"]);
    let error = error_of(program.ssc.discard_saved_accumulator("words"));
    assert!(error.contains("the context was started"), "{error}");
}

/// After the start a second one of a name is one of its own, and not saved.
#[test]
fn acc_3_a_name_that_is_taken_is_saved_once() {
    let dir = Scratch::new("accumulators-taken");
    for round in 0..2 {
        let Begun { program, numbers } = begin(&dir, round * 1_000, 1);
        // A name is free when nobody holds its accumulator any more.
        drop(program.ssc.long_accumulator("sum"));
        let first = program.ssc.long_accumulator("sum");
        // It is saved already.
        program.ssc.checkpoint_accumulator(&first).unwrap();
        read(&numbers);
        program.start();
        let second = program.ssc.long_accumulator("sum");
        assert_eq!((first.value(), second.value()), (round * 5, 0));
        first.add(5);
        second.add(1);
        program.tick();
        program.ssc.stop(true).unwrap();
    }
}
