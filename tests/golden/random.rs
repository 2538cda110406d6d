//! Random programs: the engine gives what the definition says.
//!
//! A program is decoded from small numbers that proptest draws, so that each
//! choice is a valid one for the streams that are there, and shrinking leaves
//! out steps, batches and records. `PROPTEST_CASES` is the number of programs.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::case::{Case, Feed, Source};
use crate::engine::{self, Setting};
use crate::naive::{self, DEFINITION};
use crate::program::{
    Combiner, Emit, FilterFn, FlatMapFn, InverseFn, MapFn, MapStateFn, Op, PartitionFn, ReduceFn,
    Step, TransformFn, TransformWithFn, UpdateFn, Variant,
};
use crate::value::Value;

const BATCH_MS: i64 = 1000;
const MAX_STEPS: usize = 6;

/// Joins multiply: a stream that may get more records in a batch is not made.
const MAX_RECORDS: usize = 20_000;

proptest! {
    #[test]
    fn the_engine_does_as_defined(case in cases(), cached in any::<bool>()) {
        let expected = naive::run(&case, DEFINITION);
        for workers in [1, 2] {
            let setting = Setting { workers, cached };
            let Ok(got) = engine::run(&case, setting) else { return Ok(()); };
            prop_assert_eq!(&got, &expected, "under {:?}: {}", setting, case.describe());
        }
    }
}

/// A record before it has a type: a key and a value.
type Raw = (u8, i64);

/// The type of the records of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Int,
    Text,
    /// Pairs with integer values.
    Counts,
    /// Other pairs.
    Pairs,
    Any,
}

impl Type {
    fn is_keyed(self) -> bool {
        matches!(self, Self::Counts | Self::Pairs)
    }

    fn record(self, (key, value): Raw) -> Value {
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
        match self {
            Self::Int => Value::Int(value),
            Self::Text => text,
            _ => Value::pair(text, Value::Int(value)),
        }
    }
}

/// What is known of a stream.
#[derive(Clone, Copy, Debug)]
struct Stream {
    of: Type,
    slide: i64,
    /// Which partition a record is in is defined.
    placed: bool,
    /// The order of the records is defined.
    ordered: bool,
    /// The most records of a batch.
    records: usize,
}

impl Stream {
    fn of(self, of: Type) -> Self {
        Self { of, ..self }
    }

    fn times(self, n: usize) -> Self {
        Self {
            records: self.records * n,
            ..self
        }
    }

    fn shuffled(self, of: Type) -> Self {
        Self {
            of,
            placed: false,
            ordered: false,
            ..self
        }
    }
}

/// The numbers from which a step is made.
#[derive(Clone, Debug)]
struct Pick {
    op: u16,
    input: u8,
    other: u8,
    n: u8,
}

fn picks() -> impl Strategy<Value = Vec<Pick>> {
    let pick = (any::<u16>(), any::<u8>(), any::<u8>(), any::<u8>());
    let pick = pick.prop_map(|(op, input, other, n)| Pick {
        op,
        input,
        other,
        n,
    });
    vec(pick, 1..=MAX_STEPS)
}

/// The records of an Rdd: mostly few, sometimes many chunks of them.
fn records() -> impl Strategy<Value = Vec<Raw>> {
    let value = prop_oneof![9 => -4..7i64, 1 => any::<i64>()];
    let times = prop_oneof![14 => Just(1), 1 => 40..70usize];
    (vec((0..7u8, value), 0..10), times).prop_map(|(records, times)| records.repeat(times))
}

/// A source of records without a type, and the number of its type.
fn sources() -> impl Strategy<Value = (usize, u8, RawFeed)> {
    let queue = (
        any::<bool>(),
        prop_oneof![3 => Just(None), 1 => records().prop_map(Some)],
        vec(vec(records(), 0..3), 5..9),
    );
    let direct = vec(proptest::option::weighted(0.7, records()), 5..9);
    let feed = prop_oneof![
        queue.prop_map(|(one_at_a_time, default, puts)| RawFeed::Queue {
            one_at_a_time,
            default,
            puts
        }),
        direct.prop_map(RawFeed::Direct),
    ];
    (1..=7usize, 0..3u8, feed)
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

fn cases() -> impl Strategy<Value = Case> {
    (vec(sources(), 1..=2), picks(), 6..10usize).prop_map(|(sources, picks, num_batches)| {
        let mut streams = Vec::new();
        let mut typed = Vec::new();
        for (partitions, of, feed) in sources {
            let of = [Type::Int, Type::Text, Type::Counts][of as usize % 3];
            let (feed, records) = feed.of(of, partitions);
            typed.push(Source { partitions, feed });
            streams.push(Stream {
                of,
                slide: BATCH_MS,
                placed: true,
                ordered: true,
                records,
            });
        }
        let mut steps = Vec::new();
        for pick in &picks {
            let (step, stream) = step(pick, &streams);
            steps.push(step);
            streams.push(stream);
        }
        Case {
            batch_ms: BATCH_MS,
            num_batches,
            sources: typed,
            steps,
            remember_ms: None,
            checkpoint: true,
            no_output: false,
            lazy_sources: false,
        }
    })
}

impl RawFeed {
    /// With records of a type, and the most records of a batch.
    fn of(self, of: Type, partitions: usize) -> (Feed, usize) {
        let typed = |raw: Vec<Raw>| {
            raw.into_iter()
                .map(|raw| of.record(raw))
                .collect::<Vec<_>>()
        };
        match self {
            Self::Direct(batches) => {
                let most = batches.iter().flatten().map(Vec::len).max();
                let batches = batches.into_iter().map(|batch| batch.map(typed));
                (Feed::Direct(batches.collect()), most.unwrap_or(0))
            }
            Self::Queue {
                one_at_a_time,
                default,
                puts,
            } => {
                let most = puts.iter().map(|rdds| rdds.iter().map(Vec::len).sum());
                let most = most.chain(default.as_ref().map(Vec::len)).max();
                let puts = puts
                    .into_iter()
                    .map(|rdds| rdds.into_iter().map(typed).collect());
                let feed = Feed::Queue {
                    one_at_a_time,
                    default: match default {
                        None => (Vec::new(), 1),
                        Some(records) => (typed(records), partitions),
                    },
                    puts: puts.collect(),
                };
                (feed, most.unwrap_or(0))
            }
        }
    }
}

/// The step that a pick stands for, and the stream that it gives.
fn step(pick: &Pick, streams: &[Stream]) -> (Step, Stream) {
    // Mostly what the last step gave, so that programs are deep.
    let input = match pick.input % 4 {
        0 => pick.input as usize / 4 % streams.len(),
        _ => streams.len() - 1,
    };
    let stream = streams[input];
    let n = i64::from(pick.n);
    let mut choices = on_any(stream, n);
    match stream.of {
        Type::Int => choices.extend(on_ints(stream, n)),
        Type::Text => choices.extend(on_texts(stream, n)),
        Type::Counts => choices.extend(on_counts(stream, n)),
        Type::Pairs | Type::Any => {}
    }
    if stream.of.is_keyed() {
        choices.extend(on_pairs(stream));
    }
    choices.extend(windows(stream, n));
    let mut choices: Vec<_> = choices
        .into_iter()
        .map(|(op, stream)| (op, vec![input], stream))
        .collect();
    for (other, b) in streams.iter().enumerate() {
        if b.slide == stream.slide && pick.other as usize % streams.len() == other {
            let both = on_two(stream, *b).into_iter();
            choices.extend(both.map(|(op, stream)| (op, vec![input, other], stream)));
        }
    }
    choices.retain(|(_, _, stream)| stream.records <= MAX_RECORDS);
    let (op, inputs, stream) = choices.swap_remove(pick.op as usize % choices.len());
    let num_partitions = match op {
        Op::Repartition {} => Some(1 + pick.n as usize % 7),
        _ => (pick.n >= 128).then_some(1 + pick.n as usize % 7),
    };
    let step = Step {
        op,
        inputs,
        num_partitions,
    };
    (step, stream)
}

type Choices = Vec<(Op, Stream)>;

fn on_any(stream: Stream, n: i64) -> Choices {
    let Stream { of, .. } = stream;
    let keys = match of {
        Type::Int => Type::Counts,
        _ => Type::Pairs,
    };
    let mut choices = vec![
        (Op::Map { f: MapFn::Identity }, stream),
        (Op::Map { f: MapFn::PairOne }, stream.of(Type::Counts)),
        (Op::Map { f: MapFn::PairSelf }, stream.of(keys)),
        (Op::Filter { f: FilterFn::All }, stream),
        (Op::Filter { f: FilterFn::None }, stream),
        (Op::FlatMap { f: FlatMapFn::None }, stream),
        (Op::Repartition {}, stream.shuffled(of)),
        (Op::Count {}, stream.shuffled(Type::Int)),
        (Op::CountByValue {}, stream.shuffled(Type::Counts)),
        (
            Op::Reduce {
                reduce: ReduceFn::MaxAny,
            },
            stream.shuffled(of),
        ),
    ];
    let transform = |f, stream| (Op::Transform { f }, stream);
    let table = [1, 2, n].map(|n| Type::Int.record((0, n)));
    choices.extend([
        transform(TransformFn::Distinct, stream.shuffled(of)),
        transform(TransformFn::Top { n: n as usize % 5 }, stream.shuffled(of)),
        transform(
            TransformFn::SubtractStatic {
                table: table.to_vec(),
            },
            stream.shuffled(of),
        ),
        transform(
            TransformFn::UnionStatic {
                table: match of {
                    Type::Any | Type::Pairs => Vec::new(),
                    typed => vec![typed.record((1, n)), typed.record((2, 0))],
                },
            },
            Stream {
                records: stream.records + 2,
                ..stream
            },
        ),
        transform(TransformFn::WithTime, stream.of(keys)),
        transform(
            TransformFn::SortValues,
            Stream {
                placed: false,
                ordered: true,
                ..stream
            },
        ),
        transform(
            TransformFn::OnlyEvenBatches {
                n: BATCH_MS * (1 + n % 2),
            },
            stream,
        ),
    ]);
    if stream.ordered {
        choices.push(transform(
            TransformFn::ZipWithIndex,
            Stream {
                of: keys,
                placed: false,
                ..stream
            },
        ));
    }
    if stream.placed {
        let map = |f, of| (Op::MapPartitions { f }, stream.of(of));
        let reversed = if of == Type::Int {
            Type::Counts
        } else {
            Type::Pairs
        };
        choices.push((Op::Glom {}, stream.of(Type::Any)));
        choices.push(map(PartitionFn::Count, Type::Int));
        choices.push(map(PartitionFn::First, of));
        choices.push(map(PartitionFn::ReversePairs, reversed));
    }
    choices
}

fn on_ints(stream: Stream, n: i64) -> Choices {
    let counts = stream.of(Type::Counts);
    let reduce = match n % 4 {
        0 => ReduceFn::Min,
        1 => ReduceFn::Mul,
        2 => ReduceFn::Xor,
        _ => ReduceFn::Sum,
    };
    let mut choices = vec![
        (
            Op::Map {
                f: MapFn::Add { n },
            },
            stream,
        ),
        (
            Op::Map {
                f: MapFn::Mul { n },
            },
            stream,
        ),
        (Op::Map { f: MapFn::Neg }, stream),
        (
            Op::Map {
                f: MapFn::KeyMod { n: 1 + n % 5 },
            },
            counts,
        ),
        (
            Op::FlatMap {
                f: FlatMapFn::RepeatMod { n: 3 },
            },
            stream.times(2),
        ),
        (
            Op::FlatMap {
                f: FlatMapFn::Range { n: n % 4 },
            },
            stream.times(3),
        ),
        (
            Op::Filter {
                f: FilterFn::Gt { n: n % 3 },
            },
            stream,
        ),
        (Op::Filter { f: FilterFn::Even }, stream),
        (Op::Reduce { reduce }, stream.shuffled(Type::Int)),
    ];
    if stream.placed {
        let map = |f| (Op::MapPartitions { f }, stream);
        choices.push(map(PartitionFn::Sum));
        choices.push(map(PartitionFn::RunningSum));
    }
    choices
}

fn on_texts(stream: Stream, n: i64) -> Choices {
    let split = |f| (Op::FlatMap { f }, stream.times(25));
    vec![
        split(FlatMapFn::SplitSpace),
        split(FlatMapFn::SplitWs),
        split(FlatMapFn::SplitChar { s: 'a' }),
        split(FlatMapFn::SplitKeep { s: " ".into() }),
        split(FlatMapFn::Chars),
        (
            Op::Map {
                f: MapFn::AsciiUpper,
            },
            stream,
        ),
        (
            Op::Map {
                f: MapFn::Append { s: n.to_string() },
            },
            stream,
        ),
        (Op::Map { f: MapFn::PairLen }, stream.of(Type::Counts)),
        (
            Op::Filter {
                f: FilterFn::Nonempty,
            },
            stream,
        ),
        (
            Op::Filter {
                f: FilterFn::StartsWith { s: "a".into() },
            },
            stream,
        ),
    ]
}

fn on_pairs(stream: Stream) -> Choices {
    let table = ["a", "a", "b", "z"].map(|key| (Value::text(key), Value::text("static")));
    let (table, left) = (table.to_vec(), table.to_vec());
    let pairs = stream.shuffled(Type::Pairs);
    let combine = |combiner| {
        let op = Op::CombineByKey { combiner };
        (op, pairs)
    };
    vec![
        (Op::Map { f: MapFn::Swap }, stream.of(Type::Pairs)),
        (Op::Map { f: MapFn::Size }, stream.of(Type::Int)),
        (Op::MapValues { f: MapFn::PairOne }, stream.of(Type::Pairs)),
        (Op::GroupByKey {}, pairs),
        combine(Combiner::Collect),
        combine(Combiner::Distinct),
        combine(Combiner::MinMax),
        (
            Op::Transform {
                f: TransformFn::JoinStatic { table },
            },
            pairs.times(2),
        ),
        (
            Op::Transform {
                f: TransformFn::LeftJoinStatic { table: left },
            },
            pairs.times(2),
        ),
    ]
}

fn on_counts(stream: Stream, n: i64) -> Choices {
    let counts = stream.shuffled(Type::Counts);
    let pairs = stream.shuffled(Type::Pairs);
    let by_key = |reduce| (Op::ReduceByKey { reduce }, counts);
    let mut choices = vec![
        by_key(ReduceFn::Sum),
        by_key(ReduceFn::Max),
        by_key(ReduceFn::Min),
        by_key(ReduceFn::Xor),
        (
            Op::CombineByKey {
                combiner: Combiner::SumCount,
            },
            pairs,
        ),
        (
            Op::MapValues {
                f: MapFn::Add { n },
            },
            stream,
        ),
        (
            Op::FlatMapValues {
                f: FlatMapFn::Range { n: n % 3 },
            },
            stream.times(2),
        ),
        (
            Op::Filter {
                f: FilterFn::ValueGt { n: n % 4 },
            },
            stream,
        ),
        (
            Op::Filter {
                f: FilterFn::ValueNe { n: n % 4 },
            },
            stream,
        ),
    ];
    choices.extend(update_state(stream, n));
    if stream.ordered {
        choices.extend(map_with_state(stream, n));
    }
    choices
}

/// States that a key can have from the start.
fn initial(n: i64, state: impl Fn(i64) -> Value) -> Vec<(Value, Value)> {
    match n % 3 {
        0 => vec![
            (Value::text("a"), state(n)),
            (Value::text("zzz"), state(-1)),
        ],
        _ => Vec::new(),
    }
}

fn update_state(stream: Stream, n: i64) -> Choices {
    let pair = |n: i64| Value::pair(Value::Int(n), Value::Int(0));
    let variant = [Variant::Plain, Variant::Timed, Variant::Iterator][n as usize % 3];
    // The table keeps every key that was ever there.
    let kept = |of| stream.shuffled(of).times(10);
    let update = |f, variant, initial, of| {
        let op = Op::UpdateStateByKey {
            f,
            variant,
            initial,
        };
        (op, kept(of))
    };
    let ints = |f| update(f, variant, initial(n, Value::Int), Type::Counts);
    let two = |f, variant| update(f, variant, initial(n, pair), Type::Pairs);
    vec![
        ints(UpdateFn::Sum),
        ints(UpdateFn::Count),
        ints(UpdateFn::Max),
        ints(UpdateFn::SumDropZero),
        ints(UpdateFn::SumDropNegativeValue),
        two(UpdateFn::SumIdleDrop { n: 1 + n % 3 }, variant),
        two(UpdateFn::Calls, variant),
        update(UpdateFn::Collect, variant, Vec::new(), Type::Pairs),
        two(UpdateFn::SumLastTime, Variant::Timed),
        two(
            UpdateFn::SumExpire {
                n: BATCH_MS * (1 + n % 3),
            },
            Variant::Timed,
        ),
    ]
}

fn map_with_state(stream: Stream, n: i64) -> Choices {
    let mut choices = Vec::new();
    let timeout = Some(BATCH_MS * (1 + n % 3));
    for (f, timeout_ms, state) in [
        (MapStateFn::RunningSum, None, Type::Counts),
        (MapStateFn::RunningSumTimeout, timeout, Type::Counts),
        (MapStateFn::SumRemoveNegative, None, Type::Counts),
        (
            MapStateFn::CountEmitEvery { n: 1 + n % 3 },
            None,
            Type::Counts,
        ),
        (MapStateFn::SumWithTime, None, Type::Pairs),
        (MapStateFn::FirstValueTimeout, timeout, Type::Counts),
    ] {
        for emit in [Emit::Mapped, Emit::Snapshots] {
            let of = match emit {
                Emit::Mapped => Type::Pairs,
                Emit::Snapshots => state,
            };
            let op = Op::MapWithState {
                f: f.clone(),
                emit,
                initial: match state {
                    Type::Counts => initial(n, Value::Int),
                    _ => Vec::new(),
                },
                timeout_ms,
                checkpoint_ms: None,
            };
            choices.push((op, stream.shuffled(of).times(10)));
        }
    }
    choices
}

fn windows(stream: Stream, n: i64) -> Choices {
    // Longer, equal and shorter than the slide; a few that are no multiple of the
    // parent's slide, or not positive.
    let window_ms = match n % 32 {
        30 => 0,
        31 => stream.slide / 2,
        n => stream.slide * (1 + n % 4),
    };
    let slides = [
        None,
        Some(stream.slide),
        Some(2 * stream.slide),
        Some(3 * stream.slide),
    ];
    let slide_ms = slides[n as usize / 4 % 4];
    let wide = |stream: Stream| Stream {
        slide: slide_ms.unwrap_or(stream.slide),
        ..stream.times(4)
    };
    let shuffled = |of| wide(stream.shuffled(of));
    let mut choices = vec![
        (
            Op::Window {
                window_ms,
                slide_ms,
            },
            wide(stream),
        ),
        (
            Op::CountByWindow {
                window_ms,
                slide_ms,
            },
            shuffled(Type::Int),
        ),
        (
            Op::CountByValueAndWindow {
                window_ms,
                slide_ms,
            },
            shuffled(Type::Counts),
        ),
    ];
    let reduces = [
        (ReduceFn::Sum, None),
        (ReduceFn::Max, None),
        (ReduceFn::Sum, Some(InverseFn::Sub)),
        (ReduceFn::Xor, Some(InverseFn::Xor)),
    ];
    for (reduce, inverse) in reduces {
        match stream.of {
            Type::Int => choices.push((
                Op::ReduceByWindow {
                    reduce,
                    inverse,
                    window_ms,
                    slide_ms,
                },
                shuffled(Type::Int),
            )),
            Type::Counts => choices.push((
                Op::ReduceByKeyAndWindow {
                    reduce,
                    filter: (inverse.is_some() && n % 2 == 0).then_some(FilterFn::ValueGt { n: 0 }),
                    inverse,
                    window_ms,
                    slide_ms,
                },
                shuffled(Type::Counts),
            )),
            _ => {}
        }
    }
    if stream.of.is_keyed() {
        choices.push((
            Op::GroupByKeyAndWindow {
                window_ms,
                slide_ms,
            },
            shuffled(Type::Pairs),
        ));
    }
    // A stream that slides once in many batches shows nothing.
    choices.retain(|(_, stream)| stream.slide <= 4 * BATCH_MS);
    choices
}

fn on_two(a: Stream, b: Stream) -> Choices {
    let both = Stream {
        placed: a.placed && b.placed,
        ordered: a.ordered && b.ordered,
        records: a.records + b.records,
        ..a
    };
    let product = Stream {
        records: a.records * b.records + a.records + b.records,
        ..a.shuffled(Type::Pairs)
    };
    let with = |f, stream| (Op::TransformWith { f }, stream);
    let mut choices = vec![
        with(TransformWithFn::Subtract, a.shuffled(a.of)),
        with(TransformWithFn::Intersection, a.shuffled(a.of)),
        with(TransformWithFn::Cartesian, product),
    ];
    if a.of == b.of {
        choices.extend([
            (Op::Union {}, both),
            with(TransformWithFn::Union, both),
            with(TransformWithFn::UnionWithTime, both.of(Type::Pairs)),
        ]);
    }
    if a.of.is_keyed() && b.of.is_keyed() {
        choices.extend([
            (Op::Join {}, product),
            (Op::LeftOuterJoin {}, product),
            (Op::RightOuterJoin {}, product),
            (Op::FullOuterJoin {}, product),
            (Op::Cogroup {}, product),
            with(TransformWithFn::SubtractByKey, a.shuffled(a.of)),
            with(TransformWithFn::Join, product),
        ]);
    }
    choices
}
