//! The bytes of a shape.
//!
//! ```text
//! shape    0              nothing is known
//!          1 to 17        a value without parts, in the order of `Leaf`
//!          32 shape       an option
//!          33 shape       a list
//!          34 shape shape a map: its keys and its values
//!          35 n shapes    a tuple of n parts
//!          36 name n      a struct with n fields, for each its name and its shape
//!          37 name n      an enum; for each of n variants its number, name and shape
//!          38             a type that stands above
//! name     its length and its bytes, UTF-8
//! numbers  7 bits a byte, the low ones first; all but the last byte have the eighth bit
//! ```

use super::{Leaf, Name, Shape, Variant};
use crate::error::{Error, ErrorKind, Result};

pub(super) const LEAVES: [Leaf; 17] = [
    Leaf::Unit,
    Leaf::Bool,
    Leaf::I8,
    Leaf::I16,
    Leaf::I32,
    Leaf::I64,
    Leaf::I128,
    Leaf::U8,
    Leaf::U16,
    Leaf::U32,
    Leaf::U64,
    Leaf::U128,
    Leaf::F32,
    Leaf::F64,
    Leaf::Char,
    Leaf::Str,
    Leaf::Bytes,
];

const UNKNOWN: u8 = 0;
const OPTION: u8 = 32;
const SEQ: u8 = 33;
const MAP: u8 = 34;
const TUPLE: u8 = 35;
const STRUCT: u8 = 36;
const ENUM: u8 = 37;
const DEEP: u8 = 38;

/// Beyond that bytes are none of a shape that this crate wrote: a value of an enum takes two
/// levels, and is looked into 64 deep, and a pair may be around it.
pub(super) const MAX_DEPTH: usize = 2 * 64 + 1;

impl Shape {
    /// Appends the bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unknown => out.push(UNKNOWN),
            // In the order of `LEAVES`.
            Self::Leaf(leaf) => out.push(*leaf as u8 + 1),
            Self::Option(of) => {
                out.push(OPTION);
                of.write(out);
            }
            Self::Seq(of) => {
                out.push(SEQ);
                of.write(out);
            }
            Self::Map(of) => {
                out.push(MAP);
                of.0.write(out);
                of.1.write(out);
            }
            Self::Tuple(parts) => {
                out.push(TUPLE);
                write_number(parts.len(), out);
                parts.iter().for_each(|part| part.write(out));
            }
            Self::Struct(name, fields) => {
                out.push(STRUCT);
                write_name(name, out);
                write_number(fields.len(), out);
                for (name, shape) in fields {
                    write_name(name, out);
                    shape.write(out);
                }
            }
            Self::Enum(name, variants) => {
                out.push(ENUM);
                write_name(name, out);
                write_number(variants.len(), out);
                for variant in variants {
                    write_number(variant.index as usize, out);
                    write_name(&variant.name, out);
                    variant.shape.write(out);
                }
            }
            Self::Deep => out.push(DEEP),
        }
    }

    /// Takes a shape off the front of bytes. Where there are none, nothing was written.
    ///
    /// # Errors
    /// Of kind [`ErrorKind::Corrupt`].
    pub(crate) fn take(input: &mut &[u8]) -> Result<Self> {
        if input.is_empty() {
            return Ok(Self::Unknown);
        }
        let mut rest = *input;
        let shape = take_shape(&mut rest, 0).ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                "the bytes are not those of a shape of records",
            )
        })?;
        *input = rest;
        Ok(shape)
    }
}

fn write_number(number: usize, out: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn write_name(name: &str, out: &mut Vec<u8>) {
    write_number(name.len(), out);
    out.extend_from_slice(name.as_bytes());
}

fn take_shape(input: &mut &[u8], depth: usize) -> Option<Shape> {
    if depth > MAX_DEPTH {
        return None;
    }
    let inner = |input: &mut &[u8]| take_shape(input, depth + 1);
    Some(match take_byte(input)? {
        UNKNOWN => Shape::Unknown,
        OPTION => Shape::Option(Box::new(inner(input)?)),
        SEQ => Shape::Seq(Box::new(inner(input)?)),
        MAP => Shape::Map(Box::new((inner(input)?, inner(input)?))),
        TUPLE => Shape::Tuple(take_all(input, inner)?),
        STRUCT => {
            let field = |input: &mut &[u8]| Some((take_name(input)?, inner(input)?));
            Shape::Struct(take_name(input)?, take_all(input, field)?)
        }
        ENUM => {
            let variant = |input: &mut &[u8]| {
                Some(Variant {
                    index: take_number(input)?,
                    name: take_name(input)?,
                    shape: inner(input)?,
                })
            };
            Shape::Enum(take_name(input)?, take_all(input, variant)?)
        }
        DEEP => Shape::Deep,
        leaf => Shape::Leaf(*LEAVES.get(usize::from(leaf) - 1)?),
    })
}

/// As many as a number in front of them says; each takes a byte at the least.
fn take_all<T>(input: &mut &[u8], each: impl Fn(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = take_number(input)?;
    (0..count).map(|_| each(input)).collect()
}

fn take_byte(input: &mut &[u8]) -> Option<u8> {
    let (&byte, rest) = input.split_first()?;
    *input = rest;
    Some(byte)
}

fn take_number(input: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in (0..u32::BITS).step_by(7) {
        let byte = take_byte(input)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(number).ok();
        }
    }
    None
}

fn take_name(input: &mut &[u8]) -> Option<Name> {
    let length = take_number(input)? as usize;
    let (name, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(Name::Owned(std::str::from_utf8(name).ok()?.to_owned()))
}
