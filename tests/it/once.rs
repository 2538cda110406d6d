//! Outputs that write each partition once (OUT-8, FT-7, G-14, F-8).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millstream::ErrorKind;
use millstream::dstream::{PartitionId, TransactionalSink};
use millstream::prelude::*;
use millstream::shared::Pool;

use crate::helpers::*;

/// What a store does with an attempt.
#[derive(Clone, Copy)]
enum Attempt {
    Refuse,
    /// It is done, but nobody hears of it.
    LoseAnswer,
    Panic,
}

/// A store in memory.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    partitions: BTreeMap<PartitionId, Vec<u64>>,
    /// What happens to the next attempts.
    attempts: Vec<Attempt>,
    made: usize,
}

impl Store {
    fn connections(&self) -> Pool<Connection> {
        let store = self.clone();
        Pool::new(2, Duration::from_secs(60), move || {
            store.0.lock().unwrap().made += 1;
            Ok(Connection(store.clone()))
        })
    }

    fn next_attempts(&self, attempts: &[Attempt]) {
        self.0.lock().unwrap().attempts = attempts.iter().rev().copied().collect();
    }

    /// The batches by their times, partition by partition.
    fn batches(&self) -> BTreeMap<i64, Vec<Vec<u64>>> {
        let mut batches = BTreeMap::<_, Vec<_>>::new();
        for (id, records) in &self.0.lock().unwrap().partitions {
            let batch = batches.entry(id.batch_time.as_millis()).or_default();
            assert_eq!(batch.len(), id.partition, "{id}");
            batch.push(records.clone());
        }
        batches
    }
}

struct Connection(Store);

impl TransactionalSink<u64> for Connection {
    fn is_written(&mut self, id: &PartitionId) -> millstream::Result<bool> {
        Ok(self.0.0.lock().unwrap().partitions.contains_key(id))
    }

    fn write(&mut self, id: &PartitionId, records: &[u64]) -> millstream::Result<()> {
        let mut contents = self.0.0.lock().unwrap();
        let attempt = contents.attempts.pop();
        if !matches!(attempt, Some(Attempt::Refuse | Attempt::Panic)) {
            let before = contents.partitions.insert(id.clone(), records.to_vec());
            assert_eq!(before, None, "{id} again");
        }
        drop(contents);
        match attempt {
            None => Ok(()),
            Some(Attempt::Panic) => panic!("the store is on fire"),
            Some(_) => Err(millstream::Error::other("no answer")),
        }
    }
}

#[test]
fn g_14_each_partition_is_written_under_its_id() {
    for workers in [1, 2] {
        let program = Program::with(|builder| builder.workers(workers).app_name("shop"));
        let (queue, numbers) = program.queue();
        let store = Store::default();
        let connections = store.connections();
        numbers
            .for_each_partition_once("orders", connections.clone())
            .unwrap();
        program.start();
        program.push_partitions(&queue, [vec![1, 2], vec![], vec![3]]);
        program.tick();
        program.tick();
        let many: Vec<_> = (0..50).map(|n| vec![n]).collect();
        program.push_partitions(&queue, many.clone());
        program.tick();
        program.stop();
        let expected = [
            (1000, vec![vec![1, 2], vec![], vec![3]]),
            (2000, vec![vec![]]),
        ];
        let mut expected = BTreeMap::from(expected);
        expected.insert(3000, many);
        assert_eq!(store.batches(), expected);
        let contents = store.0.lock().unwrap();
        let (id, _) = contents.partitions.first_key_value().unwrap();
        assert_eq!(*id, PartitionId::new("shop", "orders", at(1000), 0));
        assert_eq!(
            id.to_string(),
            "partition 0 of the batch 1000 ms for the output \"orders\" of \"shop\""
        );
        assert!(contents.made <= workers, "connections are used again");
    }
}

#[test]
fn f_8_a_partition_that_fails_is_tried_again() {
    let program = Program::with(|builder| builder.workers(1));
    let (queue, numbers) = program.queue();
    let store = Store::default();
    numbers
        .for_each_partition_once("numbers", store.connections())
        .unwrap();
    program.start();
    for attempts in [
        &[Attempt::Refuse, Attempt::Refuse][..],
        &[Attempt::LoseAnswer],
        &[Attempt::Panic, Attempt::Refuse, Attempt::LoseAnswer],
        &[
            Attempt::Refuse,
            Attempt::Panic,
            Attempt::Refuse,
            Attempt::LoseAnswer,
        ],
    ] {
        store.next_attempts(attempts);
        program.push(&queue, [attempts.len() as u64]);
        program.tick();
    }
    let expected = [(1000, 2), (2000, 1), (3000, 3), (4000, 4)];
    let expected = expected.map(|(time, n)| (time, vec![vec![n]]));
    assert_eq!(store.batches(), BTreeMap::from(expected));
    // The last attempt was the last one: nobody asked again.
    let error = program.ssc.await_termination().unwrap_err();
    assert!(error.to_string().contains("batch 4000 ms"), "{error}");
}

#[test]
fn f_8_a_store_that_refuses_fails_the_batch() {
    let program = Program::with(|builder| builder.workers(1));
    let (queue, numbers) = program.queue();
    let store = Store::default();
    let line = line!() + 2;
    numbers
        .for_each_partition_once("numbers", store.connections())
        .unwrap();
    let seen = watch(&numbers.map(|n: u64| n));
    program.start();
    store.next_attempts(&[Attempt::Refuse; 4]);
    for n in [1, 2] {
        program.push(&queue, [n]);
        program.tick();
    }
    let error = program.ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    let said = format!(
        "job failed: output operation 0 (for_each_partition_once at {file}:{line}) (batch 1000 ms, \
         declared at {file}:{line}): error: partition 0 (attempt 4 of 4) failed: error: \
         partition 0 of the batch 1000 ms for the output \"numbers\" of \"millstream\" could not \
         be written: ",
        file = file!()
    );
    let text = error.to_string();
    assert!(text.starts_with(&said), "{text}");
    assert_eq!(store.batches(), BTreeMap::from([(2000, vec![vec![2]])]));
    assert_eq!(
        store.0.lock().unwrap().made,
        5,
        "a new connection each time"
    );
    assert_eq!(seen.take(), [(1000, vec![1]), (2000, vec![2])]);
}

#[test]
fn f_8_a_panic_fails_the_batch_only() {
    let program = Program::new();
    let (queue, numbers) = program.queue();
    let store = Store::default();
    numbers
        .for_each_partition_once("numbers", store.connections())
        .unwrap();
    program.start();
    store.next_attempts(&[Attempt::Panic; 4]);
    for n in [1, 2] {
        program.push(&queue, [n]);
        program.tick();
    }
    let error = program.ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert!(
        error.to_string().ends_with("the store is on fire"),
        "{error}"
    );
    assert_eq!(store.batches(), BTreeMap::from([(2000, vec![vec![2]])]));
}

#[test]
fn b_9_an_output_has_a_name_of_its_own() {
    let program = Program::new();
    let (_queue, numbers) = program.queue::<u64>();
    let store = Store::default();
    let declare = |name: &str| {
        let result = numbers.for_each_partition_once(name, store.connections());
        result.map_err(|error| (error.kind(), error.to_string()))
    };
    let wrong = |name: &str, why: &str| {
        let (kind, text) = declare(name).unwrap_err();
        assert_eq!(kind, ErrorKind::InvalidArgument);
        let what = format!("for_each_partition_once({name:?}): {why}");
        assert!(text.contains(&what), "{text} has not {what}");
    };
    wrong("", "the output needs a name");
    declare("a").unwrap();
    declare("b").unwrap();
    wrong("a", "another output has this name");
    program.start();
    assert_eq!(declare("c").unwrap_err().0, ErrorKind::IllegalState);
}

#[cfg(feature = "checkpoint")]
pub(crate) mod recovered {
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use millstream::dstream::{InputBatch, InputSource};
    use millstream::time::ManualClock;

    use super::*;
    use crate::own_process::in_own_process_under;

    /// Numbers from 0 on; in each batch all that are there by then, unless it comes again.
    pub(crate) struct Numbers {
        pub(crate) there: Arc<AtomicU64>,
        pub(crate) next: u64,
    }

    impl InputSource<u64> for Numbers {
        fn compute(
            &mut self,
            _: BatchTime,
            batch: &mut InputBatch<'_>,
        ) -> millstream::Result<Option<Rdd<u64>>> {
            let end = match batch.end() {
                Some([]) => 0,
                Some(position) => read(position),
                None => self.there.load(SeqCst),
            };
            let numbers = self.next..end;
            self.next = end;
            Ok(Some(batch.parallelize(numbers, 2)))
        }

        fn position(&mut self) -> millstream::Result<Vec<u8>> {
            Ok(self.next.to_le_bytes().to_vec())
        }

        fn resume(&mut self, position: &[u8]) -> millstream::Result<()> {
            self.next = read(position);
            Ok(())
        }
    }

    fn read(position: &[u8]) -> u64 {
        u64::from_le_bytes(position.try_into().unwrap())
    }

    /// The program, from the newest checkpoint on, which is taken every three seconds.
    fn program(
        dir: &Path,
        store: &Store,
        there: &Arc<AtomicU64>,
        millis: i64,
        parallelism: usize,
    ) -> millstream::Result<Program> {
        let clock = ManualClock::new(millis);
        let ssc = StreamingContext::get_or_create(dir, || {
            let ssc = StreamingContext::builder()
                .batch_interval(SECOND)
                .workers(2)
                .default_parallelism(parallelism)
                .set("checkpoint_interval", "3s")
                .clock(clock.clone())
                .ignore_environment()
                .build()?;
            let there = Arc::clone(there);
            ssc.input_stream(Numbers { there, next: 0 })?
                .map(|number| (number, ()))
                .reduce_by_key(|(), ()| ())
                .map(|(number, ())| number)
                .for_each_partition_once("numbers", store.connections())?;
            Ok(ssc)
        })?;
        ssc.start()?;
        Ok(Program { ssc, clock })
    }

    fn sorted(store: &Store) -> BTreeMap<i64, Vec<u64>> {
        let sorted = |(time, parts): (i64, Vec<Vec<u64>>)| {
            let mut all = parts.concat();
            all.sort_unstable();
            (time, all)
        };
        store.batches().into_iter().map(sorted).collect()
    }

    /// A batch that comes again is passed over by the store that has it, and has what it
    /// had for one that lost it.
    #[test]
    fn g_14_a_batch_comes_again_as_it_was() {
        let dir = Scratch::new("once-again");
        let (store, there) = (Store::default(), Arc::<AtomicU64>::default());
        let first = program(&dir, &store, &there, 0, 2).unwrap();
        for n in [3, 3, 5, 5, 9] {
            there.store(n, SeqCst);
            first.tick();
        }
        first.ssc.stop(false).unwrap();
        let before = store.batches();
        // The second partition of one batch was not done.
        let lost = PartitionId::new("millstream", "numbers", at(5000), 1);
        let had = store.0.lock().unwrap().partitions.remove(&lost);
        there.store(20, SeqCst);
        let second = program(&dir, &store, &there, 9_500, 2).unwrap();
        second.tick();
        second.stop();
        let after = store.batches();
        // Behind a shuffle the records of a partition have no order: workers take turns.
        let in_order = |mut records: Vec<u64>| {
            records.sort_unstable();
            records
        };
        for (time, parts) in before {
            let again = after[&time].iter().cloned().map(in_order);
            let parts = parts.into_iter().map(in_order).collect::<Vec<_>>();
            assert_eq!(again.collect::<Vec<_>>(), parts, "{time}");
        }
        let again = store.0.lock().unwrap().partitions.get(&lost).cloned();
        assert_eq!(again.map(in_order), had.map(in_order));
        let sorted = sorted(&store);
        assert_eq!(sorted[&10_000], (9..20).collect::<Vec<_>>());
        for time in [6000, 7000, 8000, 9000] {
            assert_eq!(sorted[&time], [0; 0], "nobody had made it before");
        }
    }

    /// A graceful stop may cut batches before their time. They are no new ones for a process
    /// that is started before that has come.
    #[test]
    fn g_14_a_batch_that_a_stop_cut_before_its_time_comes_again_as_it_was() {
        let dir = Scratch::new("once-early");
        let (store, there) = (Store::default(), Arc::<AtomicU64>::default());
        let start = |millis| {
            let program = recover(&dir, millis, |builder| builder.workers(1));
            let there = Arc::clone(&there);
            let numbers = program.ssc.input_stream(Numbers { there, next: 0 });
            let numbers = numbers.unwrap();
            numbers
                .for_each_partition_once("numbers", store.connections())
                .unwrap();
            // So that a stop goes on to a multiple of three seconds.
            let slide = 3 * SECOND;
            let sums = numbers.map(|number| ((), number));
            let sums = sums.reduce_by_key_and_window(|a, b| a + b, 2 * slide, slide);
            sums.unwrap().checkpoint(slide).unwrap().print();
            program.start();
            program
        };
        let first = start(0);
        there.store(2, SeqCst);
        first.tick();
        // Then no checkpoint passes over this one.
        store.next_attempts(&[Attempt::Refuse; 4]);
        there.store(3, SeqCst);
        first.tick();
        first.ssc.stop(true).unwrap();
        assert_eq!(sorted(&store)[&3000], [0; 0]);
        there.store(5, SeqCst);
        let second = start(2500);
        second.tick();
        second.tick();
        second.stop();
        let expected = [
            (1000, vec![0, 1]),
            (2000, vec![2]),
            (3000, vec![]),
            (4000, vec![3, 4]),
        ];
        let all: Vec<_> = sorted(&store).into_iter().collect();
        assert_eq!(all[..4], expected);
    }

    /// What the store refuses comes again with the next process (F-8).
    #[test]
    fn f_8_no_checkpoint_passes_over_a_batch_that_failed() {
        for graceful in [false, true] {
            let dir = Scratch::new(&format!("once-failed-{graceful}"));
            let (store, there) = (Store::default(), Arc::<AtomicU64>::default());
            let first = program(&dir, &store, &there, 0, 1).unwrap();
            there.store(2, SeqCst);
            first.tick();
            store.next_attempts(&[Attempt::Refuse; 4]);
            for n in 3..12 {
                there.store(n, SeqCst);
                first.tick();
            }
            assert!(!sorted(&store).contains_key(&2000));
            first.ssc.stop(graceful).unwrap();
            let second = program(&dir, &store, &there, 11_500, 1).unwrap();
            second.tick();
            second.stop();
            let all = sorted(&store);
            assert_eq!(all[&2000], [2]);
            let mut numbers: Vec<_> = all.into_values().flatten().collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..11).collect::<Vec<_>>());
        }
    }

    #[test]
    fn f_13_other_partitions_are_refused() {
        let dir = Scratch::new("once-partitions");
        let (store, there) = (Store::default(), Arc::<AtomicU64>::default());
        program(&dir, &store, &there, 0, 2).unwrap().stop();
        let error = program(&dir, &store, &there, 5000, 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IllegalState);
        let text = error.to_string();
        let why = "a shuffle made 2 partitions, and makes 3 now: set default_parallelism to 2";
        assert!(text.contains(why), "{text}");
        program(&dir, &store, &there, 5000, 2).unwrap().stop();
    }

    /// A process hashes keys as the one before it did, if it has not hashed any. Otherwise it
    /// says so: its batches would come again with other partitions.
    #[test]
    fn g_14_partitions_are_those_of_the_process_before() {
        const NAME: &str = "once::recovered::g_14_partitions_are_those_of_the_process_before";
        const DIR: &str = "ONCE_PARTITIONS";
        let dir = Scratch::new("once-hashes");
        let variable = format!("{DIR}={}", dir.display());
        let process = || {
            let had = in_own_process_under(&["env", &variable], NAME, || {
                let dir = std::env::var_os(DIR).unwrap();
                let (store, there) = (Store::default(), Arc::new(AtomicU64::new(50)));
                let program = program(dir.as_ref(), &store, &there, 0, 2).unwrap();
                program.tick();
                program.ssc.stop(false).unwrap();
                let mut parts = store.batches().remove(&1000).unwrap();
                parts.iter_mut().for_each(|part| part.sort_unstable());
                println!("had {parts:?}");
            })?;
            let line = had.lines().find(|line| line.contains("had "));
            Some(line.unwrap().to_owned())
        };
        let Some(first) = process() else { return };
        assert_eq!(process().unwrap(), first);

        // This one has hashed some.
        let pairs = Program::new().ssc.parallelize([(1, ())], 1);
        pairs.reduce_by_key(|(), ()| ()).collect().unwrap();
        let (store, there) = (Store::default(), Arc::<AtomicU64>::default());
        let error = program(&dir, &store, &there, 0, 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IllegalState);
        let text = error.to_string();
        let why = "this process has hashed keys, or recovered another context, before";
        assert!(text.contains(why), "{text}");
    }

    /// A program that reads files, from the newest checkpoint on.
    fn watch_files(dir: &Path, millis: i64) -> (Program, Seen<Vec<Str>>) {
        let clock = ManualClock::new(millis);
        let ssc = StreamingContext::get_or_create(dir.join("checkpoints"), || {
            StreamingContext::builder()
                .batch_interval(SECOND)
                .workers(2)
                .set("checkpoint_interval", "10s")
                .clock(clock.clone())
                .ignore_environment()
                .build()
        })
        .unwrap();
        let seen = watch(&ssc.text_file_stream(dir.join("files")).unwrap());
        let program = Program { ssc, clock };
        program.start();
        (program, seen)
    }

    /// Files that turn up late, with the time of a batch that was made already, are in the
    /// batch in which they were found (G-1).
    #[test]
    fn g_1_files_are_in_the_batch_that_they_were_in() {
        let dir = Scratch::new("once-files");
        let files = dir.join("files");
        fs::create_dir(&files).unwrap();
        let (first, seen) = watch_files(&dir, 0);
        put(files.join("one"), 500, "one\n");
        first.tick();
        put(files.join("late"), 200, "late\n");
        first.tick();
        first.tick();
        put(files.join("unseen"), 2500, "unseen\n");
        let batches = [
            (1000, vec![Str::from("one")]),
            (2000, vec![Str::from("late")]),
            (3000, vec![]),
        ];
        assert_eq!(seen.take(), batches);
        first.ssc.stop(false).unwrap();
        // Two minutes later: what came meanwhile is not too old.
        put(files.join("meanwhile"), 20_000, "meanwhile\n");
        let (second, seen) = watch_files(&dir, 125_000);
        second.tick();
        second.stop();
        let again = seen.take();
        let filled: Vec<_> = again
            .iter()
            .filter(|(_, lines)| !lines.is_empty())
            .collect();
        let new = vec![Str::from("unseen"), Str::from("meanwhile")];
        let new = (126_000, new);
        assert_eq!(filled, [&batches[0], &batches[1], &new]);
    }

    /// A process that goes on looks at the directories once for many batches, and knows
    /// behind a checkpoint of any of them which files were taken.
    #[test]
    fn g_1_a_file_is_not_taken_again_behind_a_checkpoint_of_batches_that_came_again() {
        let dir = Scratch::new("once-files-twice");
        fs::create_dir(dir.join("files")).unwrap();
        let (first, _) = watch_files(&dir, 0);
        put(dir.join("files/one"), 500, "one\n");
        first.tick();
        first.ssc.stop(false).unwrap();
        let (second, _) = watch_files(&dir, 125_000);
        second.tick();
        second.stop();
        let newer = fs::read_dir(dir.join("checkpoints")).unwrap();
        let mut newer: Vec<i64> = newer
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.strip_prefix("checkpoint-")?.parse().ok()
            })
            .collect();
        newer.sort_unstable();
        for time in newer.split_off(2) {
            fs::remove_file(dir.join(format!("checkpoints/checkpoint-{time}"))).unwrap();
        }
        let (third, seen) = watch_files(&dir, 130_000);
        third.tick();
        third.stop();
        let filled = seen
            .take()
            .into_iter()
            .filter(|(_, lines)| !lines.is_empty());
        assert_eq!(filled.collect::<Vec<_>>(), []);
    }
}
