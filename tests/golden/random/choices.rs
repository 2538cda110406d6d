//! What a step can be, given the streams that are there.

use super::{BATCH_MS, Pick};
use crate::program::{
    Combiner, Emit, FilterFn, FlatMapFn, InverseFn, MapFn, MapStateFn, Op, PartitionFn, ReduceFn,
    Step, TransformFn, TransformWithFn, UpdateFn, Variant,
};
use crate::value::Value;

/// Joins multiply: a stream that may have more records in a batch is not made.
const MAX_RECORDS: usize = 20_000;

/// A stream that slides once in many batches shows nothing.
const MAX_SLIDE_MS: i64 = 4 * BATCH_MS;

/// The type of the records of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    Int,
    Text,
    /// Pairs with integer values.
    Counts,
    /// Any pairs.
    Pairs,
    Any,
}

impl Type {
    fn is_keyed(self) -> bool {
        matches!(self, Self::Counts | Self::Pairs)
    }
}

/// What is known of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    of: Type,
    slide: i64,
    /// It is defined which partition a record is in.
    placed: bool,
    /// The order of the records is defined.
    ordered: bool,
    /// The most records of a batch.
    records: usize,
}

impl Stream {
    pub(super) fn source(of: Type, records: usize) -> Self {
        Self {
            of,
            slide: BATCH_MS,
            placed: true,
            ordered: true,
            records,
        }
    }

    fn of(self, of: Type) -> Self {
        Self { of, ..self }
    }

    fn times(self, n: usize) -> Self {
        let records = self.records * n;
        Self { records, ..self }
    }

    /// In an order, but in partitions that are not defined.
    fn moved(self) -> Self {
        Self {
            placed: false,
            ..self
        }
    }

    /// In no defined order.
    fn shuffled(self) -> Self {
        Self {
            ordered: false,
            ..self.moved()
        }
    }

    /// Pairs whose values are these records.
    fn as_values(self) -> Self {
        self.of(match self.of {
            Type::Int => Type::Counts,
            _ => Type::Pairs,
        })
    }
}

/// An operation, and the stream that it gives.
type Choices = Vec<(Op, Stream)>;

/// The step that a pick stands for, and the stream that it gives.
pub(super) fn step(pick: &Pick, streams: &[Stream]) -> (Step, Stream) {
    // Mostly what the last step gave, so that programs are deep.
    let input = match pick.input % 4 {
        0 => usize::from(pick.input / 4) % streams.len(),
        _ => streams.len() - 1,
    };
    let other = usize::from(pick.other) % streams.len();
    let (a, b, n) = (streams[input], streams[other], i64::from(pick.n));

    let mut on_one = [on_any(a, n), transforms(a, n), windows(a, n)].concat();
    match a.of {
        Type::Int => on_one.extend(on_ints(a, n)),
        Type::Text => on_one.extend(on_texts(a, n)),
        Type::Counts => on_one.extend([on_pairs(a), on_counts(a, n), update_state(a, n)].concat()),
        Type::Pairs => on_one.extend(on_pairs(a)),
        Type::Any => {}
    }
    if a.placed {
        on_one.extend(on_partitions(a));
    }
    if a.ordered && a.of == Type::Counts {
        on_one.extend(map_with_state(a, n));
    }
    let on_two = if a.slide == b.slide {
        on_two(a, b)
    } else {
        Vec::new()
    };
    let first_of_two = on_one.len();
    let mut choices: Vec<_> = (0..).zip([on_one, on_two].concat()).collect();
    choices.retain(|(_, (_, made))| made.records <= MAX_RECORDS && made.slide <= MAX_SLIDE_MS);
    let (number, (op, made)) = choices.swap_remove(usize::from(pick.op) % choices.len());

    let partitions = 1 + usize::from(pick.n) % 7;
    let step = Step {
        inputs: if number < first_of_two {
            vec![input]
        } else {
            vec![input, other]
        },
        num_partitions: (matches!(op, Op::Repartition {}) || pick.n < 128).then_some(partitions),
        op,
    };
    (step, made)
}

fn map(f: MapFn) -> Op {
    Op::Map { f }
}

fn flat_map(f: FlatMapFn) -> Op {
    Op::FlatMap { f }
}

fn filter(f: FilterFn) -> Op {
    Op::Filter { f }
}

fn transform(f: TransformFn) -> Op {
    Op::Transform { f }
}

fn on_any(stream: Stream, n: i64) -> Choices {
    let reduce = ReduceFn::MaxAny;
    let half = if n % 2 == 0 {
        FilterFn::None
    } else {
        FilterFn::All
    };
    vec![
        (map(MapFn::Identity), stream),
        (map(MapFn::PairOne), stream.of(Type::Counts)),
        (map(MapFn::PairSelf), stream.as_values()),
        (filter(half), stream),
        (flat_map(FlatMapFn::None), stream),
        (Op::Repartition {}, stream.shuffled()),
        (Op::Count {}, stream.shuffled().of(Type::Int)),
        (Op::CountByValue {}, stream.shuffled().of(Type::Counts)),
        (Op::Reduce { reduce }, stream.shuffled()),
    ]
}

fn on_ints(stream: Stream, n: i64) -> Choices {
    let reduces = [ReduceFn::Min, ReduceFn::Mul, ReduceFn::Xor, ReduceFn::Sum];
    let reduce = reduces[n as usize % 4].clone();
    vec![
        (map(MapFn::Add { n }), stream),
        (map(MapFn::Mul { n }), stream),
        (map(MapFn::Neg), stream),
        (map(MapFn::KeyMod { n: 1 + n % 5 }), stream.of(Type::Counts)),
        (flat_map(FlatMapFn::RepeatMod { n: 3 }), stream.times(2)),
        (flat_map(FlatMapFn::Range { n: n % 4 }), stream.times(3)),
        (filter(FilterFn::Gt { n: n % 3 }), stream),
        (filter(FilterFn::Even), stream),
        (Op::Reduce { reduce }, stream.shuffled()),
    ]
}

fn on_texts(stream: Stream, n: i64) -> Choices {
    let s = n.to_string();
    let split = |f| (flat_map(f), stream.times(25));
    vec![
        split(FlatMapFn::SplitSpace),
        split(FlatMapFn::SplitWs),
        split(FlatMapFn::SplitChar { s: 'a' }),
        split(FlatMapFn::SplitKeep { s: " ".into() }),
        split(FlatMapFn::Chars),
        (map(MapFn::AsciiUpper), stream),
        (map(MapFn::Append { s }), stream),
        (map(MapFn::PairLen), stream.of(Type::Counts)),
        (filter(FilterFn::Nonempty), stream),
        (filter(FilterFn::StartsWith { s: "a".into() }), stream),
    ]
}

fn on_pairs(stream: Stream) -> Choices {
    let table = ["a", "a", "b", "z"].map(|key| (Value::text(key), Value::text("static")));
    let table = || table.to_vec();
    let f = MapFn::PairOne;
    let pairs = stream.shuffled().of(Type::Pairs);
    let combine = |combiner| (Op::CombineByKey { combiner }, pairs);
    vec![
        (map(MapFn::Swap), stream.of(Type::Pairs)),
        (map(MapFn::Size), stream.of(Type::Int)),
        (Op::MapValues { f }, stream.of(Type::Pairs)),
        (Op::GroupByKey {}, pairs),
        combine(Combiner::Collect),
        combine(Combiner::Distinct),
        combine(Combiner::MinMax),
        (
            transform(TransformFn::JoinStatic { table: table() }),
            pairs.times(2),
        ),
        (
            transform(TransformFn::LeftJoinStatic { table: table() }),
            pairs.times(2),
        ),
    ]
}

fn on_counts(stream: Stream, n: i64) -> Choices {
    let by_key = |reduce| (Op::ReduceByKey { reduce }, stream.shuffled());
    let combiner = Combiner::SumCount;
    let add = MapFn::Add { n };
    let range = FlatMapFn::Range { n: n % 3 };
    vec![
        by_key(ReduceFn::Sum),
        by_key(ReduceFn::Max),
        by_key(ReduceFn::Min),
        by_key(ReduceFn::Xor),
        (
            Op::CombineByKey { combiner },
            stream.shuffled().of(Type::Pairs),
        ),
        (Op::MapValues { f: add }, stream),
        (Op::FlatMapValues { f: range }, stream.times(2)),
        (filter(FilterFn::ValueGt { n: n % 4 }), stream),
        (filter(FilterFn::ValueNe { n: n % 4 }), stream),
    ]
}

fn on_partitions(stream: Stream) -> Choices {
    let on_each = |f, of| (Op::MapPartitions { f }, stream.of(of));
    let mut choices = vec![
        (Op::Glom {}, stream.of(Type::Any)),
        on_each(PartitionFn::Count, Type::Int),
        on_each(PartitionFn::First, stream.of),
        on_each(PartitionFn::ReversePairs, stream.as_values().of),
    ];
    if stream.of == Type::Int {
        choices.push(on_each(PartitionFn::Sum, Type::Int));
        choices.push(on_each(PartitionFn::RunningSum, Type::Int));
    }
    choices
}

fn transforms(stream: Stream, n: i64) -> Choices {
    let top = n as usize % 5;
    let sorted = Stream {
        ordered: true,
        ..stream.moved()
    };
    let some = match stream.of {
        Type::Int => vec![Value::Int(1), Value::Int(n)],
        Type::Text => vec![Value::text("a"), Value::text("é")],
        Type::Counts => vec![Value::pair(Value::text("a"), Value::Int(1))],
        Type::Pairs | Type::Any => Vec::new(),
    };
    let longer = Stream {
        records: stream.records + some.len(),
        ..stream
    };
    let even = BATCH_MS * (1 + n % 2);
    let mut choices = vec![
        (TransformFn::Distinct, stream.shuffled()),
        (TransformFn::Top { n: top }, stream.shuffled()),
        (
            TransformFn::SubtractStatic {
                table: some.clone(),
            },
            stream.shuffled(),
        ),
        (TransformFn::UnionStatic { table: some }, longer),
        (TransformFn::WithTime, stream.as_values()),
        (TransformFn::SortValues, sorted),
        (TransformFn::OnlyEvenBatches { n: even }, stream),
    ];
    if stream.ordered {
        choices.push((TransformFn::ZipWithIndex, stream.moved().as_values()));
    }
    choices
        .into_iter()
        .map(|(f, made)| (transform(f), made))
        .collect()
}

fn on_two(a: Stream, b: Stream) -> Choices {
    let with = |f, made| (Op::TransformWith { f }, made);
    let both = Stream {
        placed: a.placed && b.placed,
        ordered: a.ordered && b.ordered,
        records: a.records + b.records,
        ..a
    };
    let product = Stream {
        records: a.records * b.records + a.records + b.records,
        ..a.shuffled().of(Type::Pairs)
    };
    let mut choices = vec![
        with(TransformWithFn::Subtract, a.shuffled()),
        with(TransformWithFn::Intersection, a.shuffled()),
        with(TransformWithFn::Cartesian, product),
    ];
    if a.of == b.of {
        choices.push((Op::Union {}, both));
        choices.push(with(TransformWithFn::Union, both));
        choices.push(with(TransformWithFn::UnionWithTime, both.as_values()));
    }
    if a.of.is_keyed() && b.of.is_keyed() {
        choices.push((Op::Join {}, product));
        choices.push((Op::LeftOuterJoin {}, product));
        choices.push((Op::RightOuterJoin {}, product));
        choices.push((Op::FullOuterJoin {}, product));
        choices.push((Op::Cogroup {}, product));
        choices.push(with(TransformWithFn::SubtractByKey, a.shuffled()));
        choices.push(with(TransformWithFn::Join, product));
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

/// The stream of a table that keeps every key that was ever there.
fn kept(stream: Stream, of: Type) -> Stream {
    stream.shuffled().of(of).times(10)
}

fn update_state(stream: Stream, n: i64) -> Choices {
    let time = BATCH_MS * (1 + n % 3);
    let two = |n| Value::pair(Value::Int(n), Value::Int(0));
    let variant = [Variant::Plain, Variant::Timed, Variant::Iterator][n as usize % 3];
    let update = |f, variant, initial, of| {
        let op = Op::UpdateStateByKey {
            f,
            variant,
            initial,
        };
        (op, kept(stream, of))
    };
    let ints = |f| update(f, variant, initial(n, Value::Int), Type::Counts);
    let pairs = |f| update(f, variant, initial(n, two), Type::Pairs);
    let timed = |f| update(f, Variant::Timed, initial(n, two), Type::Pairs);
    vec![
        ints(UpdateFn::Sum),
        ints(UpdateFn::Count),
        ints(UpdateFn::Max),
        ints(UpdateFn::SumDropZero),
        ints(UpdateFn::SumDropNegativeValue),
        pairs(UpdateFn::SumIdleDrop { n: 1 + n % 3 }),
        pairs(UpdateFn::Calls),
        update(UpdateFn::Collect, variant, Vec::new(), Type::Pairs),
        timed(UpdateFn::SumLastTime),
        timed(UpdateFn::SumExpire { n: time }),
    ]
}

fn map_with_state(stream: Stream, n: i64) -> Choices {
    let timeout = Some(BATCH_MS * (1 + n % 3));
    let mut choices = Vec::new();
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
        let initial = match state {
            Type::Counts => initial(n, Value::Int),
            _ => Vec::new(),
        };
        for (emit, of) in [(Emit::Mapped, Type::Pairs), (Emit::Snapshots, state)] {
            let op = Op::MapWithState {
                f: f.clone(),
                emit,
                initial: initial.clone(),
                timeout_ms,
                checkpoint_ms: None,
            };
            choices.push((op, kept(stream, of)));
        }
    }
    choices
}

fn windows(stream: Stream, n: i64) -> Choices {
    let slide = stream.slide;
    // Longer than the window's slide, equal and shorter; few that are no window.
    let window_ms = match n % 32 {
        30 => 0,
        31 => slide / 2,
        n => slide * (1 + n % 4),
    };
    let slide_ms = [None, Some(slide), Some(2 * slide), Some(3 * slide)][n as usize / 4 % 4];
    let made = Stream {
        slide: slide_ms.unwrap_or(slide),
        ..stream.times(4)
    };
    let reduces = [
        (ReduceFn::Sum, None),
        (ReduceFn::Max, None),
        (ReduceFn::Sum, Some(InverseFn::Sub)),
        (ReduceFn::Xor, Some(InverseFn::Xor)),
    ];
    let (reduce, inverse) = reduces[n as usize / 16 % 4].clone();
    let filtered = inverse.is_some() && n >= 128;
    let filter = filtered.then_some(FilterFn::ValueGt { n: 0 });
    let mut choices = vec![
        (
            Op::Window {
                window_ms,
                slide_ms,
            },
            made,
        ),
        (
            Op::CountByWindow {
                window_ms,
                slide_ms,
            },
            made.shuffled().of(Type::Int),
        ),
        (
            Op::CountByValueAndWindow {
                window_ms,
                slide_ms,
            },
            made.shuffled().of(Type::Counts),
        ),
    ];
    if stream.of.is_keyed() {
        let op = Op::GroupByKeyAndWindow {
            window_ms,
            slide_ms,
        };
        choices.push((op, made.shuffled().of(Type::Pairs)));
    }
    match stream.of {
        Type::Int => {
            let op = Op::ReduceByWindow {
                reduce,
                inverse,
                window_ms,
                slide_ms,
            };
            choices.push((op, made.shuffled()));
        }
        Type::Counts => {
            let op = Op::ReduceByKeyAndWindow {
                reduce,
                inverse,
                filter,
                window_ms,
                slide_ms,
            };
            choices.push((op, made.shuffled()));
        }
        _ => {}
    }
    choices
}
