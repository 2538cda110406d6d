//! Records as lines of text.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use crate::block::Str;
use crate::time::BatchTime;

/// A record's form in printed batches and text files: that of Spark, so a pair
/// is `(hello,1)`.
///
/// Implemented for numbers, `bool`, `char`, strings, batch times, tuples, [`Option`],
/// and lists ([`Vec`], slices, arrays), also within each other and behind a [`Box`] or an
/// [`Arc`]. For a type of your own implement it in three lines, or wrap the
/// value in [`Shown`] if it has a [`Display`] form.
///
/// # Examples
/// ```
/// use millstream::Text;
///
/// assert_eq!(("hello", 1).to_text(), "(hello,1)");
/// assert_eq!((1.0, Some("x"), vec![1, 2]).to_text(), "(1.0,Some(x),List(1, 2))");
/// ```
pub trait Text {
    /// Writes the text form.
    ///
    /// # Errors
    /// Only those of `out`.
    fn write_text(&self, out: &mut dyn Write) -> fmt::Result;

    /// The text form as a string.
    fn to_text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text).expect("a String takes any text");
        text
    }
}

/// Gives any [`Display`] type a [`Text`] form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shown<T>(pub T);

impl<T: Display> Text for Shown<T> {
    fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

macro_rules! displayed {
    ($($type:ty)*) => {
        $(impl Text for $type {
            fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
                write!(out, "{self}")
            }
        })*
    };
}

displayed! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize bool char str String Str BatchTime }

macro_rules! floating {
    ($($type:ty)*) => {
        $(impl Text for $type {
            /// `1.0`, `1.5E10`, `Infinity`: what a Scala program prints.
            fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
                if self.is_infinite() {
                    return out.write_str(if *self > 0.0 { "Infinity" } else { "-Infinity" });
                }
                if self.is_nan() || *self == 0.0 || (1e-3..1e7).contains(&self.abs()) {
                    return write!(out, "{self:?}");
                }
                let text = format!("{self:e}");
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let point = if digits.contains('.') { "" } else { ".0" };
                write!(out, "{digits}{point}E{exponent}")
            }
        })*
    };
}

floating! { f32 f64 }

macro_rules! behind {
    ($($pointer:ty)*) => {
        $(impl<T: Text + ?Sized> Text for $pointer {
            fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
                (**self).write_text(out)
            }
        })*
    };
}

behind! { &T Box<T> Arc<T> }

impl<T: Text> Text for Option<T> {
    fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
        match self {
            None => out.write_str("None"),
            Some(value) => {
                out.write_str("Some(")?;
                value.write_text(out)?;
                out.write_char(')')
            }
        }
    }
}

impl<T: Text> Text for [T] {
    fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("List(")?;
        for (i, value) in self.iter().enumerate() {
            if i > 0 {
                out.write_str(", ")?;
            }
            value.write_text(out)?;
        }
        out.write_char(')')
    }
}

impl<T: Text> Text for Vec<T> {
    fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
        self.as_slice().write_text(out)
    }
}

impl<T: Text, const N: usize> Text for [T; N] {
    fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
        self.as_slice().write_text(out)
    }
}

impl Text for () {
    fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("()")
    }
}

macro_rules! tuple {
    ($first:ident $($rest:ident)*) => {
        impl<$first: Text, $($rest: Text),*> Text for ($first, $($rest,)*) {
            #[expect(non_snake_case, reason = "the type's letter names its field")]
            fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
                let ($first, $($rest,)*) = self;
                out.write_char('(')?;
                $first.write_text(out)?;
                $(out.write_char(',')?; $rest.write_text(out)?;)*
                out.write_char(')')
            }
        }
    };
}

tuple! { A B }
tuple! { A B C }
tuple! { A B C D }
tuple! { A B C D E }
tuple! { A B C D E F }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values() {
        let joined = ("ann", (Some(1), None::<Str>));
        assert_eq!(joined.to_text(), "(ann,(Some(1),None))");
        let grouped = ("ann", (vec!["home", "help"], Vec::<u64>::new()));
        assert_eq!(grouped.to_text(), "(ann,(List(home, help),List()))");
        assert_eq!([Some((1, 'x')), None].to_text(), "List(Some((1,x)), None)");
        let bytes: Arc<[u8]> = Arc::new([1, 2]);
        assert_eq!(
            (bytes, Box::new(true), ()).to_text(),
            "(List(1, 2),true,())"
        );
        assert_eq!(vec![vec![1], vec![]].to_text(), "List(List(1), List())");
    }

    #[test]
    fn numbers_as_scala_prints_them() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (-1e-300, "-1.0E-300"),
            (9_999_999.5, "9999999.5"),
            (1e7, "1.0E7"),
            (123_456_789.25, "1.2345678925E8"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(number.to_text(), text);
        }
        assert_eq!(0.1_f32.to_text(), "0.1");
        assert_eq!(2.5e10_f32.to_text(), "2.5E10");
    }
}
