//! What each type of setting accepts.

use std::fmt;
use std::time::Duration;

use super::{Conf, KEYS, parse};

/// One setting: its names, its type, its default and what it does.
#[derive(Debug)]
#[non_exhaustive]
pub struct Key {
    /// The name in a program and in the table of effective settings.
    pub name: &'static str,
    /// The environment variable that overrides the program.
    pub env: &'static str,
    /// The keys of the Spark Streaming guide that mean the same.
    pub guide: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// The value if nothing sets it, as [`Conf::set`] takes it; empty if it must be set.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    pub(super) slot: fn(&mut Conf) -> Slot<'_>,
}

/// The type and range of a setting's value. Its text says what is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Whole milliseconds.
    Duration {
        /// The least number of milliseconds.
        min_ms: u64,
    },
    /// A size.
    Bytes {
        /// The least number of bytes.
        min: usize,
    },
    /// A count.
    Integer {
        /// The least value, at least 1.
        min: usize,
        /// The greatest value.
        max: usize,
    },
    /// A count of threads, also in the form of a master.
    Workers {
        /// The greatest count.
        max: usize,
    },
    /// Records per second.
    Rate,
    /// A number from 0 on, which may have a fraction.
    Factor,
    /// A number above 0, which may have a fraction.
    Positive,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Yes or no.
    Flag,
    /// A line of text.
    Text,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Duration { min_ms } => write!(
                f,
                "a whole number with ms, s, m or min, h or d (bare: ms), at least {min_ms}ms"
            ),
            Self::Bytes { min } => write!(
                f,
                "a whole number of bytes, or one with KiB, MiB, GiB or k, m, g, at least {}",
                parse::bytes_text(min)
            ),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Workers { max } => write!(
                f,
                "a number of threads from 1 to {max}, * for one per core, \
                 local, local[n] or local[*]"
            ),
            Self::Rate => f.write_str("a whole number of records per second, or unlimited"),
            Self::Factor => f.write_str("a number from 0 on, such as 0.2"),
            Self::Positive => f.write_str("a number above 0, such as 0.5"),
            Self::Choice(words) => f.write_str(&words.join(" or ")),
            Self::Flag => f.write_str("true, false, on, off, 1 or 0"),
            Self::Text => f.write_str("a text on one line"),
        }
    }
}

/// The field of a [`Conf`] that a key sets. In an optional one, `None` is spelled as the key's
/// default.
pub(super) enum Slot<'a> {
    Duration(&'a mut Duration),
    OptDuration(&'a mut Option<Duration>),
    Number(&'a mut usize),
    OptNumber(&'a mut Option<usize>),
    Rate(&'a mut Option<u64>),
    Real(&'a mut f64),
    Flag(&'a mut bool),
    Choice(&'a mut dyn Choice),
    Text(&'a mut String),
}

/// A setting that has a type of its own, whose values are the words of a [`Kind::Choice`].
pub(super) trait Choice {
    /// Takes the value with this number among the words.
    fn choose(&mut self, number: usize);

    /// The number of the value.
    fn number(&self) -> usize;
}

impl Key {
    /// The key with this name or guide key.
    pub(super) fn find(spelling: &str) -> Option<&'static Self> {
        KEYS.iter()
            .find(|key| key.name == spelling || key.guide.contains(&spelling))
    }

    /// Reads `text` into the field. The field is set even when its value is then found out of
    /// range.
    pub(super) fn assign(&self, conf: &mut Conf, text: &str) -> Result<(), String> {
        let text = text.trim();
        let unset = !self.default.is_empty() && text.eq_ignore_ascii_case(self.default);
        let number = || match self.kind {
            Kind::Bytes { .. } => parse::bytes(text),
            _ => parse::integer(text),
        };
        match (self.slot)(conf) {
            Slot::OptDuration(field) if unset => *field = None,
            Slot::OptNumber(field) if unset => *field = None,
            Slot::Rate(field) if unset => *field = None,
            Slot::Duration(field) => *field = parse::duration(text)?,
            Slot::OptDuration(field) => *field = Some(parse::duration(text)?),
            Slot::Number(field) => *field = number()?,
            Slot::OptNumber(field) => {
                *field = match self.kind {
                    Kind::Workers { .. } => parse::workers(text)?,
                    _ => Some(number()?),
                }
            }
            Slot::Rate(field) => *field = parse::rate(text)?,
            Slot::Real(field) => *field = parse::real(text)?,
            Slot::Flag(field) => *field = parse::flag(text)?,
            Slot::Choice(field) => {
                let number = self.words().iter().position(|word| *word == text);
                field.choose(number.ok_or(NO_CHOICE)?);
            }
            Slot::Text(field) => text.clone_into(field),
        }
        self.check(conf)
    }

    /// Whether the field's value is in the range of the key. Programs set fields without asking, so
    /// this is not part of reading a text.
    pub(super) fn check(&self, conf: &mut Conf) -> Result<(), String> {
        let in_range = match (self.slot)(conf) {
            Slot::Duration(field) => self.allows_duration(*field)?,
            Slot::OptDuration(Some(field)) => self.allows_duration(*field)?,
            Slot::Number(field) | Slot::OptNumber(Some(field)) => match self.kind {
                Kind::Bytes { min } => (min..=parse::MAX_BYTES).contains(field),
                Kind::Integer { min, max } => (min..=max).contains(field),
                Kind::Workers { max } => (1..=max).contains(field),
                _ => true,
            },
            Slot::Rate(Some(field)) => *field > 0,
            Slot::Real(field) => match self.kind {
                Kind::Positive => field.is_finite() && *field > 0.0,
                _ => field.is_finite() && *field >= 0.0,
            },
            Slot::Text(field) if field.is_empty() => return Err("the value is empty".to_owned()),
            Slot::Text(field) if field.contains(char::is_control) => {
                return Err("it has a control character".to_owned());
            }
            Slot::Text(field) => match self.kind {
                Kind::Choice(words) if !words.contains(&field.as_str()) => {
                    return Err(NO_CHOICE.to_owned());
                }
                _ => true,
            },
            _ => true,
        };
        if in_range {
            Ok(())
        } else {
            Err("out of range".to_owned())
        }
    }

    fn allows_duration(&self, duration: Duration) -> Result<bool, String> {
        if !duration.subsec_nanos().is_multiple_of(1_000_000) {
            return Err("not a whole number of milliseconds".to_owned());
        }
        let Kind::Duration { min_ms } = self.kind else {
            return Ok(true);
        };
        Ok((u128::from(min_ms)..=i64::MAX as u128).contains(&duration.as_millis()))
    }

    /// The field's value, as [`assign`](Self::assign) reads it. Empty only if it must be set and is
    /// not.
    pub(super) fn text(&self, conf: &mut Conf) -> String {
        match (self.slot)(conf) {
            Slot::Duration(field) => parse::duration_text(*field),
            Slot::OptDuration(Some(field)) => parse::duration_text(*field),
            Slot::Number(field) | Slot::OptNumber(Some(field)) => match self.kind {
                Kind::Bytes { .. } => parse::bytes_text(*field),
                _ => field.to_string(),
            },
            Slot::Rate(Some(field)) => field.to_string(),
            Slot::Real(field) => field.to_string(),
            Slot::Flag(field) => field.to_string(),
            Slot::Choice(field) => self.words()[field.number()].to_owned(),
            Slot::Text(field) => field.clone(),
            Slot::OptDuration(None) | Slot::OptNumber(None) | Slot::Rate(None) => {
                self.default.to_owned()
            }
        }
    }

    /// The values of a choice.
    fn words(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Choice(words) => words,
            _ => &[],
        }
    }

    /// What the key accepts, for an error message.
    pub(super) fn expected(&self) -> String {
        match self.default {
            "" => format!("expected {}", self.kind),
            default => format!("expected {} (default: {default})", self.kind),
        }
    }
}

/// What is wrong with a word that is none of a [`Kind::Choice`].
const NO_CHOICE: &str = "there is no such choice";
