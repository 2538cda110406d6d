//! Records as lines of text.

use std::fmt::{self, Display, Write};

use crate::block::Str;

/// A record's form in printed batches and text files: that of Spark, so a pair
/// is `(hello,1)`.
///
/// Implemented for numbers, `bool`, `char`, strings, tuples, [`Option`] and
/// [`Vec`]. For a type of your own implement it in three lines, or wrap the
/// value in [`Shown`] if it has a [`Display`] form.
///
/// # Examples
/// ```
/// use millstream::Text;
///
/// assert_eq!(("hello", 1).to_text(), "(hello,1)");
/// assert_eq!((1, Some("x"), vec![1, 2]).to_text(), "(1,Some(x),List(1, 2))");
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

displayed! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char str String Str }

impl<T: Text + ?Sized> Text for &T {
    fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
        (**self).write_text(out)
    }
}

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

impl<T: Text> Text for Vec<T> {
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
