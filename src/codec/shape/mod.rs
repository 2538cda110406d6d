//! The shape of records: what their bytes do not say of themselves.
//!
//! A shape has the names of fields and variants, and the kinds of values, as far as there
//! were any: of an option that was never there, or a list that was always empty, nothing
//! is known. It is written once beside many records, so that a program whose types have
//! changed finds what it still knows by name; see [`records`](super::records).
//!
//! A type that nests in itself has no end. From some depth on a shape has
//! [`Deep`](Shape::Deep) in place of it: that is what stands above, once more.

mod bytes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

/// The name of a type, a field or a variant.
pub(crate) type Name = Cow<'static, str>;

/// The shape of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(unnameable_types, reason = "a sealed trait names it")]
pub enum Shape {
    /// There was none.
    #[default]
    Unknown,
    Leaf(Leaf),
    Option(Box<Shape>),
    Seq(Box<Shape>),
    /// Keys and values.
    Map(Box<(Shape, Shape)>),
    Tuple(Vec<Shape>),
    Struct(Name, Vec<(Name, Shape)>),
    /// Those of the variants that there were.
    Enum(Name, Vec<Variant>),
    /// A type that stands above, inside itself.
    Deep,
}

/// A variant of an enum, which is written as its number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "as `Shape`")]
pub struct Variant {
    pub(crate) index: u32,
    pub(crate) name: Name,
    /// Of what it has: nothing, a value, a tuple or fields.
    pub(crate) shape: Shape,
}

/// The kind of a value without parts. The order is that of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "as `Shape`")]
pub enum Leaf {
    Unit,
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Bytes,
}

impl Leaf {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unit => "()",
            Self::Bool => "bool",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::I128 => "i128",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::U128 => "u128",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::Str => "str",
            Self::Bytes => "bytes",
        }
    }
}

/// Two values at one place have different shapes.
#[derive(Debug)]
pub(crate) struct Differ;

impl Shape {
    /// Takes in what another shape of the same records knows.
    ///
    /// # Errors
    /// If no record can have both shapes. Names of types do not matter.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Differ> {
        match (self, other) {
            (_, Self::Unknown) | (Self::Deep, Self::Deep) => Ok(()),
            (known @ Self::Unknown, other) => {
                *known = other.clone();
                Ok(())
            }
            (Self::Leaf(leaf), Self::Leaf(other)) if leaf == other => Ok(()),
            (Self::Option(of), Self::Option(other)) | (Self::Seq(of), Self::Seq(other)) => {
                of.merge(other)
            }
            (Self::Map(of), Self::Map(other)) => {
                of.0.merge(&other.0)?;
                of.1.merge(&other.1)
            }
            (Self::Tuple(parts), Self::Tuple(others)) if parts.len() == others.len() => {
                let mut both = parts.iter_mut().zip(others);
                both.try_for_each(|(part, other)| part.merge(other))
            }
            (Self::Struct(_, fields), Self::Struct(_, others)) if fields.len() == others.len() => {
                let mut both = fields.iter_mut().zip(others);
                both.try_for_each(|(field, other)| match field.0 == other.0 {
                    true => field.1.merge(&other.1),
                    false => Err(Differ),
                })
            }
            (Self::Enum(_, variants), Self::Enum(_, others)) => others
                .iter()
                .try_for_each(|other| merge_in(variants, other)),
            _ => Err(Differ),
        }
    }

    /// Whether this shape knows all that another one does.
    pub(crate) fn has(&self, other: &Self) -> bool {
        let mut both = self.clone();
        both.merge(other).is_ok() && both == *self
    }

    /// Whether no record can add anything. An enum does not tell how many variants it has.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Unknown | Self::Enum(..) => false,
            Self::Leaf(_) | Self::Deep => true,
            Self::Option(of) | Self::Seq(of) => of.is_closed(),
            Self::Map(of) => of.0.is_closed() && of.1.is_closed(),
            Self::Tuple(parts) => parts.iter().all(Self::is_closed),
            Self::Struct(_, fields) => fields.iter().all(|(_, shape)| shape.is_closed()),
        }
    }
}

fn merge_in(variants: &mut Vec<Variant>, other: &Variant) -> Result<(), Differ> {
    match variants.iter_mut().find(|it| it.index == other.index) {
        Some(variant) if variant.name == other.name => variant.shape.merge(&other.shape),
        Some(_) => Err(Differ),
        None => {
            variants.push(other.clone());
            Ok(())
        }
    }
}

/// As in Rust, but shorter: `(str, Order {count: u32, note: Option<_>})`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("_"),
            Self::Leaf(leaf) => f.write_str(leaf.name()),
            Self::Option(of) => write!(f, "Option<{of}>"),
            Self::Seq(of) => write!(f, "[{of}]"),
            Self::Map(of) => write!(f, "{{{}: {}}}", of.0, of.1),
            Self::Tuple(parts) => {
                f.write_str("(")?;
                listed(f, parts, |f, part| part.fmt(f))?;
                f.write_str(if parts.len() == 1 { ",)" } else { ")" })
            }
            Self::Struct(name, fields) => {
                write!(f, "{} {{", name.escape_debug())?;
                listed(f, fields, |f, (name, shape)| {
                    write!(f, "{}: {shape}", name.escape_debug())
                })?;
                f.write_str("}")
            }
            Self::Enum(name, variants) => {
                write!(f, "{} <", name.escape_debug())?;
                listed(f, variants, |f, variant| {
                    write!(f, "{} {}", variant.index, variant.name.escape_debug())?;
                    match &variant.shape {
                        Self::Leaf(Leaf::Unit) => Ok(()),
                        shape => write!(f, ": {shape}"),
                    }
                })?;
                f.write_str(">")
            }
            Self::Deep => f.write_str("..."),
        }
    }
}

fn listed<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    each: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        each(f, item)?;
    }
    Ok(())
}
