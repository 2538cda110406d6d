//! Random programs: the engine gives what the definition says.
//!
//! A program is made of small numbers that proptest draws. Each number chooses
//! among what is possible with the streams that are there, so every program is
//! valid, and shrinking leaves out steps, batches and records.
//!
//! `PROPTEST_CASES` is the number of programs.

mod choices;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use choices::{Stream, Type, step};

use crate::case::{Case, Feed, Source};
use crate::engine::{self, Setting, Streams};
use crate::naive::{self, DEFINITION};
use crate::value::Value;

const BATCH_MS: i64 = 1000;
const MAX_STEPS: usize = 6;

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_engine_does_as_defined(case in cases(), streams in streams()) {
        let expected = naive::run(&case, DEFINITION);
        for workers in [1, 2] {
            let setting = Setting { workers, streams };
            let Ok(got) = engine::run(&case, setting) else { return Ok(()); };
            prop_assert_eq!(&got, &expected, "under {:?}: {}", setting, case.describe());
        }
    }
}

fn streams() -> impl Strategy<Value = Streams> {
    prop_oneof![
        Just(Streams::Boxed),
        Just(Streams::Cached),
        Just(Streams::Recomputed),
        Just(Streams::Fused),
    ]
}

/// A record before it has a type: what its key, and what its value is.
type Raw = (u8, i64);

/// A source before its records have a type.
#[derive(Clone, Debug)]
struct RawSource {
    of: Type,
    partitions: usize,
    feed: RawFeed,
}

#[derive(Clone, Debug)]
enum RawFeed {
    Queue {
        one_at_a_time: bool,
        default: Option<Vec<Raw>>,
        puts: Vec<Vec<Vec<Raw>>>,
    },
    Direct(Vec<Option<Vec<Raw>>>),
}

/// The numbers from which a step is made.
#[derive(Clone, Debug)]
struct Pick {
    op: u16,
    input: u8,
    other: u8,
    n: u8,
}

fn cases() -> impl Strategy<Value = Case> {
    let numbers = (any::<u16>(), any::<u8>(), any::<u8>(), any::<u8>());
    let pick = numbers.prop_map(|(op, input, other, n)| Pick {
        op,
        input,
        other,
        n,
    });
    let picks = vec(pick, 1..=MAX_STEPS);
    (vec(sources(), 1..=2), picks, 6..10usize)
        .prop_map(|(sources, picks, num_batches)| case(sources, &picks, num_batches))
}

fn sources() -> impl Strategy<Value = RawSource> {
    let queue = (
        any::<bool>(),
        weighted(0.2, records()),
        vec(vec(records(), 0..3), 5..9),
    );
    let feed = prop_oneof![
        queue.prop_map(|(one_at_a_time, default, puts)| RawFeed::Queue {
            one_at_a_time,
            default,
            puts
        }),
        vec(weighted(0.7, records()), 5..9).prop_map(RawFeed::Direct),
    ];
    let of = prop_oneof![Just(Type::Int), Just(Type::Text), Just(Type::Counts)];
    (of, 1..=7usize, feed).prop_map(|(of, partitions, feed)| RawSource {
        of,
        partitions,
        feed,
    })
}

/// The records of an Rdd: mostly few, sometimes several chunks of them.
fn records() -> impl Strategy<Value = Vec<Raw>> {
    let value = prop_oneof![9 => -4..7i64, 1 => any::<i64>()];
    let times = prop_oneof![14 => Just(1), 1 => 40..70usize];
    (vec((0..7u8, value), 0..10), times).prop_map(|(records, times)| records.repeat(times))
}

fn case(raw: Vec<RawSource>, picks: &[Pick], num_batches: usize) -> Case {
    let mut streams = Vec::new();
    let mut sources = Vec::new();
    for RawSource {
        of,
        partitions,
        feed,
    } in raw
    {
        streams.push(Stream::source(of, feed.records()));
        sources.push(Source {
            partitions,
            feed: feed.typed(of, partitions),
        });
    }
    let mut steps = Vec::new();
    for pick in picks {
        let (step, stream) = step(pick, &streams);
        steps.push(step);
        streams.push(stream);
    }
    Case {
        batch_ms: BATCH_MS,
        num_batches,
        sources,
        steps,
        remember_ms: None,
        checkpoint: true,
        no_output: false,
        lazy_sources: false,
    }
}

impl RawFeed {
    /// The most records of a batch.
    fn records(&self) -> usize {
        let most = match self {
            Self::Direct(batches) => batches.iter().flatten().map(Vec::len).max(),
            // All that were ever put may wait.
            Self::Queue { default, puts, .. } => {
                let waiting = puts.iter().flatten().map(Vec::len).sum();
                default.as_ref().map(Vec::len).max(Some(waiting))
            }
        };
        most.unwrap_or(0)
    }

    fn typed(self, of: Type, partitions: usize) -> Feed {
        let typed = |raw: Vec<Raw>| {
            raw.into_iter()
                .map(|raw| record(of, raw))
                .collect::<Vec<_>>()
        };
        match self {
            Self::Direct(batches) => {
                Feed::Direct(batches.into_iter().map(|batch| batch.map(typed)).collect())
            }
            Self::Queue {
                one_at_a_time,
                default,
                puts,
            } => Feed::Queue {
                one_at_a_time,
                default: match default {
                    None => (Vec::new(), 1),
                    Some(records) => (typed(records), partitions),
                },
                puts: puts
                    .into_iter()
                    .map(|rdds| rdds.into_iter().map(typed).collect())
                    .collect(),
            },
        }
    }
}

fn record(of: Type, (key, value): Raw) -> Value {
    const TEXTS: [&str; 7] = [
        "",
        "a",
        "b",
        "é",
        "a b",
        " a  c",
        "longer than fifteen bytes",
    ];
    let text = Value::text(TEXTS[key as usize % TEXTS.len()]);
    match of {
        Type::Int => Value::Int(value),
        Type::Text => text,
        _ => Value::pair(text, Value::Int(value)),
    }
}
