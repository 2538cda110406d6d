//! Caching / Persistence.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream::StorageLevel;
use millstream::prelude::*;

use crate::helpers::{Program, SECOND, watch};

const LEVELS: [StorageLevel; 7] = [
    StorageLevel::NONE,
    StorageLevel::DISK_ONLY,
    StorageLevel::MEMORY_ONLY,
    StorageLevel::MEMORY_ONLY_SER,
    StorageLevel::MEMORY_AND_DISK,
    StorageLevel::MEMORY_AND_DISK_SER,
    StorageLevel::OFF_HEAP,
];

/// How often a chain runs over ten records that are read three times, with so much
/// memory.
fn runs(level: StorageLevel, memory_max: &str) -> usize {
    let program = Program::with(|builder| builder.set("memory_max", memory_max));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let rdd = program
        .ssc
        .parallelize(
            (0..10).map(|n| (n, Str::from(format!("record number {n}")))),
            2,
        )
        .map(move |record: (u64, Str)| {
            counted.fetch_add(1, Ordering::Relaxed);
            record
        })
        .persist(level);
    let expected: Vec<_> = (0..10)
        .map(|n| (n, Str::from(format!("record number {n}"))))
        .collect();
    for _ in 0..3 {
        assert_eq!(rdd.collect().expect("no step fails"), expected, "{level}");
    }
    calls.load(Ordering::Relaxed)
}

#[test]
fn per_1_a_persisted_chain_runs_once() {
    for level in LEVELS {
        let expected = if level == StorageLevel::NONE { 30 } else { 10 };
        assert_eq!(runs(level, "1MiB"), expected, "{level}");
    }
}

#[test]
fn per_2_without_memory_the_level_says_whether_it_is_computed_again_or_read_from_disk() {
    for level in LEVELS {
        let expected = if level.uses_disk() { 10 } else { 30 };
        assert_eq!(runs(level, "0"), expected, "{level}");
    }
}

#[test]
fn per_2_records_that_cannot_be_spilled_fail_the_batch_and_name_the_directory() {
    let program = Program::with(|builder| builder.set("spill_dir", "/no/such/directory"));
    let rdd = program
        .ssc
        .parallelize(0..10_u64, 2)
        .persist(StorageLevel::DISK_ONLY);
    let error = rdd
        .count()
        .expect_err("there is no such directory")
        .to_string();
    assert!(error.contains("/no/such/directory"), "{error}");
}

/// What serde reads only where the bytes say what they are.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
}

#[test]
fn per_1_records_that_could_not_be_read_back_are_not_kept_as_bytes() {
    let program = Program::new();
    let ids = [Id::Number(1), Id::Text("b".to_owned())];
    for level in LEVELS {
        let rdd = program.ssc.parallelize(ids.clone(), 1).map(|id| id);
        let result = rdd.persist(level).collect();
        if !level.is_serialized() {
            assert_eq!(result.expect("they are not bytes"), ids);
            continue;
        }
        let text = result.expect_err("they are bytes").to_string();
        let said = [
            "what was written cannot be read back: unsupported: a it::persistence::Id can be read",
            "let serde tell its variants apart, without `tag` or `untagged`",
        ];
        for part in said {
            assert!(text.contains(part), "{text} has not {part}");
        }
    }
}

#[test]
fn per_4_a_window_of_persisted_batches_is_let_go_batch_by_batch() {
    for level in LEVELS {
        let program = Program::with(|builder| builder.set("memory_max", "1KiB"));
        let (queue, input) = program.queue::<u64>();
        let window = input
            .map(|n| n)
            .persist(level)
            .window(3 * SECOND, SECOND)
            .expect("a right window");
        let seen = watch(&window);
        program.start();
        for n in 0..200 {
            queue.push(program.ssc.parallelize([n; 20], 2));
            program.tick();
        }
        program.stop();
        let counts: Vec<_> = seen
            .take()
            .into_iter()
            .map(|(_, records)| records.len())
            .collect();
        assert_eq!(counts[..2], [20, 40]);
        assert_eq!(counts[2..], [60; 198], "{level}");
    }
}

#[test]
fn per_4_without_unpersist_all_batches_stay() {
    for (unpersist, expected) in [("true", 0), ("false", 3)] {
        let program = Program::with(|builder| builder.set("spark.streaming.unpersist", unpersist));
        let (queue, input) = program.queue::<u64>();
        let _seen = watch(&input);
        program.start();
        for n in 1..=3 {
            queue.push(program.ssc.parallelize([n], 1));
            program.tick();
        }
        let zero = program.ssc.zero_time().expect("it was started");
        let batches = input.slice(zero, program.now()).expect("it was started");
        let records: usize = batches
            .iter()
            .map(|rdd| rdd.collect().expect("it is there").len())
            .sum();
        assert_eq!(records, expected);
        program.stop();
    }
}
