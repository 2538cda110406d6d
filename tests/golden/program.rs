//! The operations and functions that a case can name. What they do is in
//! `functions` (shared by all sides), `naive` (by definition) and `engine`.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::value::Value;

/// One step of a program. Streams are numbered: first the sources, then what
/// the steps give, in order.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) inputs: Vec<usize>,
    /// Of a shuffle; of `repartition`.
    pub(crate) num_partitions: Option<usize>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Op {
    Map {
        #[serde(rename = "fn")]
        f: MapFn,
    },
    FlatMap {
        #[serde(rename = "fn")]
        f: FlatMapFn,
    },
    Filter {
        #[serde(rename = "fn")]
        f: FilterFn,
    },
    Glom {},
    Repartition {},
    MapPartitions {
        #[serde(rename = "fn")]
        f: PartitionFn,
    },
    Union {},
    Count {},
    Reduce {
        reduce: ReduceFn,
    },
    CountByValue {},
    GroupByKey {},
    ReduceByKey {
        reduce: ReduceFn,
    },
    CombineByKey {
        combiner: Combiner,
    },
    MapValues {
        #[serde(rename = "fn")]
        f: MapFn,
    },
    FlatMapValues {
        #[serde(rename = "fn")]
        f: FlatMapFn,
    },
    Join {},
    LeftOuterJoin {},
    RightOuterJoin {},
    FullOuterJoin {},
    Cogroup {},
    Transform {
        #[serde(rename = "fn")]
        f: TransformFn,
    },
    TransformWith {
        #[serde(rename = "fn")]
        f: TransformWithFn,
    },
    UpdateStateByKey {
        #[serde(rename = "fn")]
        f: UpdateFn,
        variant: Variant,
        #[serde(default)]
        initial: Vec<(Value, Value)>,
    },
    MapWithState {
        #[serde(rename = "fn")]
        f: MapStateFn,
        emit: Emit,
        #[serde(default)]
        initial: Vec<(Value, Value)>,
        timeout_ms: Option<i64>,
        checkpoint_ms: Option<i64>,
    },
    Window {
        window_ms: i64,
        slide_ms: Option<i64>,
    },
    CountByWindow {
        window_ms: i64,
        slide_ms: Option<i64>,
    },
    ReduceByWindow {
        reduce: ReduceFn,
        inverse: Option<InverseFn>,
        window_ms: i64,
        slide_ms: Option<i64>,
    },
    GroupByKeyAndWindow {
        window_ms: i64,
        slide_ms: Option<i64>,
    },
    ReduceByKeyAndWindow {
        reduce: ReduceFn,
        inverse: Option<InverseFn>,
        filter: Option<FilterFn>,
        window_ms: i64,
        slide_ms: Option<i64>,
    },
    CountByValueAndWindow {
        window_ms: i64,
        slide_ms: Option<i64>,
    },
    /// Not an operation of a stream: what is asked for after all batches.
    Slice {
        from_ms: i64,
        to_ms: i64,
    },
}

impl Op {
    /// Its name in the files.
    pub(crate) fn name(&self) -> String {
        let debug = format!("{self:?}");
        let camel = debug.chars().take_while(char::is_ascii_alphanumeric);
        let mut snake = String::new();
        for c in camel {
            if c.is_ascii_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
        }
        snake
    }

    /// Window length and slide, of a window.
    pub(crate) fn window(&self) -> Option<(i64, Option<i64>)> {
        match *self {
            Self::Window {
                window_ms,
                slide_ms,
            }
            | Self::CountByWindow {
                window_ms,
                slide_ms,
            }
            | Self::ReduceByWindow {
                window_ms,
                slide_ms,
                ..
            }
            | Self::GroupByKeyAndWindow {
                window_ms,
                slide_ms,
            }
            | Self::ReduceByKeyAndWindow {
                window_ms,
                slide_ms,
                ..
            }
            | Self::CountByValueAndWindow {
                window_ms,
                slide_ms,
            } => Some((window_ms, slide_ms)),
            _ => None,
        }
    }

    /// How many streams it takes, at the least and at the most.
    fn arity(&self) -> (usize, usize) {
        match self {
            Self::Union {} => (1, usize::MAX),
            Self::Join {}
            | Self::LeftOuterJoin {}
            | Self::RightOuterJoin {}
            | Self::FullOuterJoin {}
            | Self::Cogroup {}
            | Self::TransformWith { .. } => (2, 2),
            _ => (1, 1),
        }
    }

    /// Refuses a number of streams that the operation does not take.
    pub(crate) fn check(&self, step: &Step) -> Result<(), String> {
        let (least, most) = self.arity();
        if !(least..=most).contains(&step.inputs.len()) {
            return Err(format!("{} input streams", step.inputs.len()));
        }
        if matches!(self, Self::Repartition {}) && step.num_partitions.is_none() {
            return Err("num_partitions is missing".to_owned());
        }
        Ok(())
    }
}

/// A function is `{"fn": name, ...}`, or the name alone; a parameter that is null
/// is not given. Brings a step into the one form that `Op` reads.
pub(crate) fn normalize(step: &mut serde_json::Map<String, Json>) {
    // Whether Spark combined before a shuffle, too, changes no result.
    step.retain(|name, value| !value.is_null() && name != "map_side_combine");
    for name in ["fn", "reduce", "inverse", "filter", "combiner"] {
        match step.get_mut(name) {
            Some(Json::Object(function)) => function.retain(|_, value| !value.is_null()),
            Some(function) => *function = serde_json::json!({ "fn": function.take() }),
            None => {}
        }
    }
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident { $($body:tt)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(tag = "fn", rename_all = "snake_case")]
        pub(crate) enum $name { $($body)* }
    )*};
}

functions! {
    /// One to one.
    MapFn {
        Identity,
        Add { n: i64 },
        Mul { n: i64 },
        Neg,
        PairOne,
        PairSelf,
        PairLen,
        KeyMod { n: i64 },
        Swap,
        AsciiUpper,
        Append { s: String },
        Size,
    }

    /// One to many.
    FlatMapFn {
        SplitSpace,
        SplitWs,
        SplitChar { s: char },
        SplitKeep { s: String },
        Chars,
        RepeatMod { n: i64 },
        Range { n: i64 },
        None,
    }

    /// To keep, or not.
    FilterFn {
        Gt { n: i64 },
        Even,
        Nonempty,
        StartsWith { s: String },
        All,
        None,
        ValueGt { n: i64 },
        ValueNe { n: i64 },
        ValueCountNe { n: i64 },
    }

    /// Two to one.
    ReduceFn {
        Sum,
        Min,
        Max,
        Xor,
        Mul,
        MaxAny,
        SumPair,
    }

    /// What was accumulated, without what leaves.
    InverseFn {
        Sub,
        Xor,
        SubPair,
    }

    /// All values of a key.
    Combiner {
        SumCount,
        Collect,
        Distinct,
        MinMax,
    }

    /// A whole partition.
    PartitionFn {
        Sum,
        Count,
        First,
        RunningSum,
        ReversePairs,
    }

    /// A batch and its time.
    TransformFn {
        Distinct,
        Top { n: usize },
        JoinStatic { table: Vec<(Value, Value)> },
        LeftJoinStatic { table: Vec<(Value, Value)> },
        SubtractStatic { table: Vec<Value> },
        UnionStatic { table: Vec<Value> },
        WithTime,
        ZipWithIndex,
        SortValues,
        OnlyEvenBatches { n: i64 },
    }

    /// Two batches and their time.
    TransformWithFn {
        Subtract,
        SubtractByKey,
        Intersection,
        Cartesian,
        Union,
        UnionWithTime,
        Join,
    }

    /// The new values of a key and its state.
    UpdateFn {
        Sum,
        Count,
        Max,
        SumDropZero,
        SumDropNegativeValue,
        SumIdleDrop { n: i64 },
        Calls,
        Collect,
        SumLastTime,
        SumExpire { n: i64 },
    }

    /// One record, or a time-out, and the state of the key.
    MapStateFn {
        RunningSum,
        RunningSumTimeout,
        SumRemoveNegative,
        CountEmitEvery { n: i64 },
        SumWithTime,
        FirstValueTimeout,
    }
}

/// Which form of the function of `update_state_by_key` was used.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Variant {
    Plain,
    Timed,
    Iterator,
}

/// Which stream of `map_with_state` is observed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Emit {
    Mapped,
    Snapshots,
}
