//! The records of the cases.

use std::cmp::Ordering;
use std::fmt;

use millstream::Text;
use serde::{Deserialize, Serialize};

/// A record. The order of the variants, and of what is in them, is the
/// canonical order of the cases; strings compare by code points.
#[derive(Clone, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(untagged)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    List(Vec<Value>),
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn list(values: impl IntoIterator<Item = Self>) -> Self {
        Self::List(values.into_iter().collect())
    }

    /// A list whose order means nothing, in canonical order.
    pub(crate) fn sorted(mut values: Vec<Self>) -> Self {
        values.sort();
        Self::List(values)
    }

    pub(crate) fn pair(key: Self, value: Self) -> Self {
        Self::List(vec![key, value])
    }

    pub(crate) fn int(&self) -> i64 {
        match self {
            Self::Int(n) => *n,
            other => panic!("an integer is needed, not {other}"),
        }
    }

    pub(crate) fn str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("a string is needed, not {other}"),
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            other => panic!("an array is needed, not {other}"),
        }
    }

    pub(crate) fn into_items(self) -> Vec<Self> {
        match self {
            Self::List(items) => items,
            other => panic!("an array is needed, not {other}"),
        }
    }

    /// Key and value.
    pub(crate) fn into_pair(self) -> (Self, Self) {
        match self {
            Self::List(items) => match <[Self; 2]>::try_from(items) {
                Ok([key, value]) => (key, value),
                Err(items) => panic!("a pair is needed, not {}", Self::List(items)),
            },
            other => panic!("a pair is needed, not {other}"),
        }
    }

    /// Key and value, looked at.
    pub(crate) fn as_pair(&self) -> (&Self, &Self) {
        match self.items() {
            [key, value] => (key, value),
            _ => panic!("a pair is needed, not {self}"),
        }
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<(Self, Self)> for Value {
    fn from((key, value): (Self, Self)) -> Self {
        Self::pair(key, value)
    }
}

/// JSON, as in the files.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As the values of the cases were printed: pairs were tuples, other arrays lists.
impl Text for Value {
    fn write_text(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Null => None::<u8>.write_text(out),
            Self::Int(n) => n.write_text(out),
            Self::Text(text) => text.write_text(out),
            Self::List(items) => match items.as_slice() {
                [key, value] => (key, value).write_text(out),
                _ => items.write_text(out),
            },
        }
    }
}

/// The greater of two in the canonical order.
pub(crate) fn greater(a: Value, b: Value) -> Value {
    match a.cmp(&b) {
        Ordering::Less => b,
        _ => a,
    }
}

#[test]
fn the_canonical_order() {
    let sorted = [
        "null",
        "-3",
        "2",
        r#""""#,
        r#""B""#,
        r#""a""#,
        r#""é""#,
        r#""🙂""#,
        "[]",
        "[null]",
        "[1]",
        "[1,2]",
        "[2]",
        r#"["a"]"#,
        "[[]]",
    ];
    let mut values: Vec<Value> = sorted
        .iter()
        .rev()
        .map(|json| serde_json::from_str(json).unwrap())
        .collect();
    values.sort();
    assert_eq!(
        values.iter().map(Value::to_string).collect::<Vec<_>>(),
        sorted
    );
}
