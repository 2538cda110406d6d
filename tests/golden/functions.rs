//! What the functions that a case names do to values: one definition for the
//! engine's closures and the interpreter.
//!
//! Integers wrap. A function that meets a value of the wrong type panics and
//! names it.

use crate::program::{
    Combiner, FilterFn, FlatMapFn, InverseFn, MapFn, MapStateFn, PartitionFn, ReduceFn, UpdateFn,
};
use crate::value::{Value, greater};

impl MapFn {
    pub(crate) fn apply(&self, x: Value) -> Value {
        match self {
            Self::Identity => x,
            Self::Add { n } => x.int().wrapping_add(*n).into(),
            Self::Mul { n } => x.int().wrapping_mul(*n).into(),
            Self::Neg => x.int().wrapping_neg().into(),
            Self::PairOne => Value::pair(x, 1.into()),
            Self::PairSelf => Value::pair(x.clone(), x),
            Self::PairLen => {
                let chars = x.str().chars().count() as i64;
                Value::pair(x, chars.into())
            }
            Self::KeyMod { n } => Value::pair(x.int().wrapping_rem_euclid(*n).into(), x),
            Self::Swap => {
                let (key, value) = x.into_pair();
                Value::pair(value, key)
            }
            Self::AsciiUpper => Value::Text(x.str().to_ascii_uppercase()),
            Self::Append { s } => Value::Text(format!("{}{s}", x.str())),
            Self::Size => (x.items().len() as i64).into(),
        }
    }
}

impl FlatMapFn {
    pub(crate) fn apply(&self, x: &Value) -> Vec<Value> {
        let texts = |parts: Vec<&str>| parts.into_iter().map(Value::text).collect();
        match self {
            Self::SplitSpace => texts(without_last_empty(x.str().split(' ').collect())),
            Self::SplitWs => texts(without_last_empty(split_white_space(x.str()))),
            Self::SplitChar { s } => texts(without_last_empty(x.str().split(*s).collect())),
            Self::SplitKeep { s } => texts(x.str().split(s.as_str()).collect()),
            Self::Chars => {
                let chars = x.str().chars();
                chars.map(|c| Value::Text(c.to_string())).collect()
            }
            Self::RepeatMod { n } => {
                let times = x.int().wrapping_rem_euclid(*n);
                vec![x.clone(); times as usize]
            }
            Self::Range { n } => (0..*n).map(|i| x.int().wrapping_add(i).into()).collect(),
            Self::None => Vec::new(),
        }
    }
}

/// Java's rule: empty strings at the end are dropped, unless the separator does
/// not occur at all.
fn without_last_empty(mut parts: Vec<&str>) -> Vec<&str> {
    if parts.len() > 1 {
        while parts.last() == Some(&"") {
            parts.pop();
        }
    }
    parts
}

/// Cut at runs of ASCII white space; a run at the front leaves one empty string.
fn split_white_space(text: &str) -> Vec<&str> {
    const WHITE: [char; 6] = [' ', '\t', '\n', '\x0B', '\x0C', '\r'];
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(WHITE) {
        parts.push(&rest[..at]);
        rest = rest[at..].trim_start_matches(WHITE);
    }
    parts.push(rest);
    parts
}

impl FilterFn {
    pub(crate) fn keeps(&self, x: &Value) -> bool {
        match self {
            Self::Gt { n } => x.int() > *n,
            Self::Even => x.int() % 2 == 0,
            Self::Nonempty => !x.str().is_empty(),
            Self::StartsWith { s } => x.str().starts_with(s.as_str()),
            Self::All => true,
            Self::None => false,
            Self::ValueGt { .. } | Self::ValueNe { .. } | Self::ValueCountNe { .. } => {
                self.keeps_value(x.as_pair().1)
            }
        }
    }

    /// On a pair, of which only the value counts.
    pub(crate) fn keeps_pair(&self, key: &Value, value: &Value) -> bool {
        match self {
            Self::ValueGt { .. } | Self::ValueNe { .. } | Self::ValueCountNe { .. } => {
                self.keeps_value(value)
            }
            _ => self.keeps(&Value::pair(key.clone(), value.clone())),
        }
    }

    fn keeps_value(&self, value: &Value) -> bool {
        match self {
            Self::ValueGt { n } => value.int() > *n,
            Self::ValueNe { n } => value.int() != *n,
            Self::ValueCountNe { n } => value.as_pair().1.int() != *n,
            other => panic!("{other:?} is no function of a pair"),
        }
    }
}

impl ReduceFn {
    pub(crate) fn apply(&self, a: Value, b: Value) -> Value {
        match self {
            Self::Sum => a.int().wrapping_add(b.int()).into(),
            Self::Min => a.int().min(b.int()).into(),
            Self::Max => a.int().max(b.int()).into(),
            Self::Xor => (a.int() ^ b.int()).into(),
            Self::Mul => a.int().wrapping_mul(b.int()).into(),
            Self::MaxAny => greater(a, b),
            Self::SumPair => by_component(&a, &b, i64::wrapping_add),
        }
    }

    /// Of all; nothing of none.
    pub(crate) fn fold(&self, values: impl IntoIterator<Item = Value>) -> Option<Value> {
        values.into_iter().reduce(|a, b| self.apply(a, b))
    }
}

impl InverseFn {
    pub(crate) fn apply(&self, accumulated: &Value, leaving: &Value) -> Value {
        match self {
            Self::Sub => accumulated.int().wrapping_sub(leaving.int()).into(),
            Self::Xor => (accumulated.int() ^ leaving.int()).into(),
            Self::SubPair => by_component(accumulated, leaving, i64::wrapping_sub),
        }
    }
}

fn by_component(a: &Value, b: &Value, f: impl Fn(i64, i64) -> i64) -> Value {
    let ((a, m), (b, n)) = (a.as_pair(), b.as_pair());
    Value::pair(f(a.int(), b.int()).into(), f(m.int(), n.int()).into())
}

impl Combiner {
    pub(crate) fn create(&self, value: Value) -> Value {
        match self {
            Self::SumCount => Value::pair(value, 1.into()),
            Self::Collect | Self::Distinct => Value::list([value]),
            Self::MinMax => Value::pair(value.clone(), value),
        }
    }

    pub(crate) fn merge(&self, a: Value, b: Value) -> Value {
        match self {
            Self::SumCount => by_component(&a, &b, i64::wrapping_add),
            Self::Collect => Value::List([a.into_items(), b.into_items()].concat()),
            Self::Distinct => {
                let mut all = [a.into_items(), b.into_items()].concat();
                all.sort();
                all.dedup();
                Value::List(all)
            }
            Self::MinMax => {
                let ((a, m), (b, n)) = (a.as_pair(), b.as_pair());
                Value::pair(a.min(b).clone(), m.max(n).clone())
            }
        }
    }

    /// What is shown: lists are sorted.
    pub(crate) fn finish(&self, combined: Value) -> Value {
        match (self, combined) {
            (Self::Collect | Self::Distinct, Value::List(values)) => Value::sorted(values),
            (_, combined) => combined,
        }
    }
}

impl PartitionFn {
    pub(crate) fn apply(&self, records: impl Iterator<Item = Value>) -> Vec<Value> {
        let add = |sum: i64, x: &Value| sum.wrapping_add(x.int());
        match self {
            Self::Sum => vec![records.fold(0, |sum, x| add(sum, &x)).into()],
            Self::Count => vec![(records.count() as i64).into()],
            Self::First => records.take(1).collect(),
            Self::RunningSum => {
                let sums = records.scan(0, |sum, x| {
                    *sum = add(*sum, &x);
                    Some((*sum).into())
                });
                sums.collect()
            }
            Self::ReversePairs => {
                let records: Vec<_> = records.collect();
                let pairs = (0..).zip(records.into_iter().rev());
                pairs.map(|(j, x)| Value::pair(Value::Int(j), x)).collect()
            }
        }
    }
}

impl UpdateFn {
    /// The new state of a key; nothing to remove it.
    pub(crate) fn apply(&self, time: i64, values: &[Value], old: Option<&Value>) -> Option<Value> {
        let sum = |old: Option<&Value>| {
            let old = old.map_or(0, Value::int);
            let new = values.iter().map(Value::int);
            new.fold(old, i64::wrapping_add)
        };
        let count = |old: Option<&Value>| old.map_or(0, Value::int) + values.len() as i64;
        // A state of two numbers.
        let (first, second) = match (self, old) {
            (
                Self::SumIdleDrop { .. } | Self::Calls | Self::SumLastTime | Self::SumExpire { .. },
                Some(old),
            ) => {
                let (first, second) = old.as_pair();
                (Some(first), second.int())
            }
            _ => (None, 0),
        };
        let both = |first: i64, second: i64| Value::pair(first.into(), second.into());
        Some(match self {
            Self::Sum => sum(old).into(),
            Self::Count => count(old).into(),
            Self::Max => values.iter().chain(old).max()?.clone(),
            Self::SumDropZero => Some(sum(old)).filter(|&sum| sum != 0)?.into(),
            Self::SumDropNegativeValue => {
                if values.iter().any(|value| value.int() < 0) {
                    return None;
                }
                sum(old).into()
            }
            Self::SumIdleDrop { n } => {
                let idle = if values.is_empty() { second + 1 } else { 0 };
                if values.is_empty() && idle >= *n {
                    return None;
                }
                both(sum(first), idle)
            }
            Self::Calls => both(
                first.map_or(0, Value::int) + 1,
                second + values.len() as i64,
            ),
            Self::Collect => {
                let all = old.map_or(&[][..], Value::items).iter().chain(values);
                Value::sorted(all.cloned().collect())
            }
            Self::SumLastTime => both(sum(first), if values.is_empty() { second } else { time }),
            Self::SumExpire { n } => {
                if values.is_empty() && time - second >= *n {
                    return None;
                }
                both(sum(first), if values.is_empty() { second } else { time })
            }
        })
    }
}

/// What a function of `map_with_state` does to the state.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Keep,
    Update(Value),
    Remove,
}

impl MapStateFn {
    /// What one record does, and what is emitted.
    pub(crate) fn apply(
        &self,
        time: i64,
        key: &Value,
        value: &Value,
        state: Option<&Value>,
    ) -> (Change, Option<Value>) {
        let emit = |value: Value| Some(Value::pair(key.clone(), value));
        let sum = |state: Option<&Value>| state.map_or(0, Value::int).wrapping_add(value.int());
        match self {
            Self::SumRemoveNegative if value.int() < 0 => match state {
                Some(old) => (
                    Change::Remove,
                    emit(Value::pair(Value::text("removed"), old.clone())),
                ),
                None => (
                    Change::Keep,
                    emit(Value::pair(Value::text("absent"), Value::Null)),
                ),
            },
            Self::RunningSum | Self::RunningSumTimeout | Self::SumRemoveNegative => {
                let sum = Value::Int(sum(state));
                (Change::Update(sum.clone()), emit(sum))
            }
            Self::CountEmitEvery { n } => {
                let count = state.map_or(0, Value::int) + 1;
                let emitted = (count % n == 0).then(|| emit(count.into())).flatten();
                (Change::Update(count.into()), emitted)
            }
            Self::SumWithTime => {
                let sum = Value::Int(sum(state.map(|state| state.as_pair().0)));
                let time = Value::Int(time);
                (
                    Change::Update(Value::pair(sum.clone(), time.clone())),
                    emit(Value::pair(time, sum)),
                )
            }
            Self::FirstValueTimeout => match state {
                Some(state) => (Change::Keep, emit(state.clone())),
                None => (Change::Update(value.clone()), emit(value.clone())),
            },
        }
    }

    /// What is emitted when a key times out.
    pub(crate) fn timed_out(&self, key: &Value, state: &Value) -> Option<Value> {
        let word = Value::text("timeout");
        let value = match self {
            Self::RunningSumTimeout => Value::list([word, state.clone(), Value::Int(0)]),
            Self::FirstValueTimeout => Value::pair(word, state.clone()),
            _ => return None,
        };
        Some(Value::pair(key.clone(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(f: &FlatMapFn, text: &str) -> Vec<String> {
        let parts = f.apply(&Value::text(text));
        parts.iter().map(|part| part.str().to_owned()).collect()
    }

    #[test]
    fn strings_split_as_in_java() {
        let nothing: [&str; 0] = [];
        for f in [FlatMapFn::SplitSpace, FlatMapFn::SplitChar { s: ' ' }] {
            assert_eq!(split(&f, "a b"), ["a", "b"]);
            assert_eq!(split(&f, " a  "), ["", "a"]);
            assert_eq!(split(&f, ""), [""]);
            assert_eq!(split(&f, "  "), nothing);
        }
        assert_eq!(
            split(&FlatMapFn::SplitWs, "\t a\u{a0}\x0Bb\r\n"),
            ["", "a\u{a0}", "b"]
        );
        assert_eq!(split(&FlatMapFn::SplitWs, ""), [""]);
        assert_eq!(split(&FlatMapFn::SplitWs, " \n"), nothing);
        assert_eq!(
            split(&FlatMapFn::SplitKeep { s: " ".into() }, "a  "),
            ["a", "", ""]
        );
    }
}
