//! Records as bytes.
//!
//! [`Codec`] is the bound of everything that writes records in order to read
//! them back. What is behind it is serde, in the format of the crate postcard: it is
//! written down, stable and compact, and does not describe itself: what was
//! written as one type cannot be read as another. In files such bytes stand in
//! frames, with a length and a checksum.
//!
//! What a program of another version may read has its shape beside it, once for many
//! records: the names of fields and variants, and the kinds of values. So checkpoints and
//! the log of receivers are read by types that have changed since: a field that is new has
//! serde's default, one that is gone is passed over, and what does not fit is an error
//! that names both sides. Object files have no shape.
//!
//! | what | where |
//! | --- | --- |
//! | records beside their shape, written and read | `records` |
//! | a shape: its bytes, and what two know together | `shape` |
//! | finding the shape of a record | `describe` |
//! | reading by a shape, into a type that may be another | `by_shape` |
//! | the format of records, without any shape | `postcard`, `whole` |
//! | frames | `frame` |
//!
//! **Bounds.** What the bytes say of lengths is believed only as far as there are
//! bytes to prove it, so that damaged ones cost no memory. Damage is found by the
//! checksums. Bytes that somebody made in order to do harm are another matter: a
//! type that nests in itself, or one that takes no bytes at all, can be made to
//! nest deeply or to count for long.

#[cfg(feature = "checkpoint")]
mod by_shape;
#[cfg(feature = "checkpoint")]
mod describe;
#[cfg(feature = "checkpoint")]
pub(crate) mod frame;
#[cfg(feature = "checkpoint")]
mod postcard;
pub(crate) mod records;
pub(crate) mod shape;
#[cfg(feature = "checkpoint")]
mod whole;

use self::shape::Shape;
use crate::error::{Error, Result};

/// Records that can be written as bytes and read back.
///
/// Implemented for every type with serde's `Serialize` and `DeserializeOwned`, by
/// the feature `checkpoint`, which is on by default. It cannot be implemented in
/// another way: implement or derive those two.
///
/// # Examples
#[cfg_attr(feature = "checkpoint", doc = "```")]
#[cfg_attr(not(feature = "checkpoint"), doc = "```ignore")]
/// use millstream::Str;
/// use millstream::codec::Codec;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Order {
///     item: Str,
///     count: u32,
/// }
///
/// # fn main() -> millstream::Result<()> {
/// let order = Order { item: Str::from("pump"), count: 2 };
/// let mut bytes = Vec::new();
/// order.encode(&mut bytes)?;
/// assert_eq!(bytes, b"\x04pump\x02");
/// assert_eq!(Order::decode(&mut &bytes[..])?, order);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written as bytes and read back",
    note = "derive serde's `Serialize` and `Deserialize` for it",
    note = "millstream's feature `checkpoint` is needed, which is on by default"
)]
pub trait Codec: sealed::Sealed {
    /// Appends the bytes of this record to `out`.
    ///
    /// # Errors
    /// If the type refuses it, or serde cannot tell the length of a sequence in
    /// it, or leaves a field out (`skip_serializing_if`). Then `out` is as it was.
    fn encode(&self, out: &mut Vec<u8>) -> Result<()>;

    /// Reads a record from the front of `input` and moves `input` behind it.
    ///
    /// # Errors
    /// Of kind [`Corrupt`](crate::ErrorKind::Corrupt), if the bytes are none that
    /// a record of this type can have, or too few. Of kind
    /// [`Unsupported`](crate::ErrorKind::Unsupported), if the type can be read only where
    /// the bytes say what they are, as one with `#[serde(tag)]` or `#[serde(untagged)]`.
    fn decode(input: &mut &[u8]) -> Result<Self>;
}

/// How records of a type are written and read, for code that knows nothing of the
/// type but that somebody else found it to be a [`Codec`].
pub(crate) struct RecordCodec<T> {
    pub(crate) encode: fn(&T, &mut Vec<u8>) -> Result<()>,
    pub(crate) decode: fn(&mut &[u8]) -> Result<T>,
    /// Takes in what a record shows of the shape of all; tells whether that was anything new.
    pub(crate) describe: fn(&T, &mut Shape) -> Result<bool>,
    /// Reads a record that was written in this shape.
    pub(crate) decode_as: fn(&mut &[u8], &Shape) -> Result<T>,
}

impl<T: Codec> RecordCodec<T> {
    pub(crate) fn new() -> Self {
        Self {
            encode: T::encode,
            decode: T::decode,
            describe: T::describe,
            decode_as: T::decode_as,
        }
    }
}

impl<K: Codec, V: Codec> RecordCodec<(K, V)> {
    /// Of pairs: the bytes of one part behind those of the other.
    pub(crate) fn of_pairs() -> Self {
        Self {
            encode: |(key, value), out| {
                key.encode(out)?;
                value.encode(out)
            },
            decode: |input| Ok((K::decode(input)?, V::decode(input)?)),
            describe: |(key, value), shape| {
                if *shape == Shape::Unknown {
                    *shape = Shape::Tuple(vec![Shape::Unknown; 2]);
                }
                let Shape::Tuple(parts) = shape else {
                    return Err(no_pair(shape));
                };
                let is_new = key.describe(&mut parts[0])?;
                Ok(value.describe(&mut parts[1])? || is_new)
            },
            decode_as: |input, shape| match shape {
                Shape::Tuple(parts) if parts.len() == 2 => Ok((
                    K::decode_as(input, &parts[0])?,
                    V::decode_as(input, &parts[1])?,
                )),
                _ => Err(no_pair(shape)),
            },
        }
    }
}

fn no_pair(saved: &Shape) -> Error {
    Error::illegal_state(format!("saved as {saved}, and a key and a value now"))
}

impl<T: Codec> RecordCodec<((), T)> {
    /// Of values that have no key.
    pub(crate) fn of_values() -> Self {
        Self {
            encode: |((), value), out| value.encode(out),
            decode: |input| Ok(((), T::decode(input)?)),
            describe: |((), value), shape| value.describe(shape),
            decode_as: |input, shape| Ok(((), T::decode_as(input, shape)?)),
        }
    }
}

impl<T> Clone for RecordCodec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for RecordCodec<T> {}

mod sealed {
    use super::shape::Shape;
    use crate::error::Result;

    #[expect(
        unnameable_types,
        reason = "what cannot be named cannot be implemented"
    )]
    pub trait Sealed: Sized {
        /// See [`RecordCodec::describe`](super::RecordCodec::describe).
        fn describe(&self, shape: &mut Shape) -> Result<bool>;

        /// See [`RecordCodec::decode_as`](super::RecordCodec::decode_as).
        fn decode_as(input: &mut &[u8], shape: &Shape) -> Result<Self>;
    }
}
