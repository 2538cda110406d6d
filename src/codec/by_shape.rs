//! Reads records that were saved in another shape than the type of now has.
//!
//! The bytes are taken as the shape says, and what they have is offered to the type by
//! name: a field that the type has no more is passed over, one that was not saved gets
//! serde's default, and variants are found by their names. Numbers may have become wider,
//! and a value may have become an option; everything else is an error that names the place.

use std::cell::Cell;
use std::fmt;

use postcard::Deserializer as Postcard;
use postcard::de_flavors::Slice;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::shape::{Leaf, Name, Shape, Variant};

/// Takes a record of this shape off the front of bytes.
pub(super) fn take<'de, T: Deserialize<'de>>(
    input: &mut &'de [u8],
    shape: &Shape,
) -> Result<T, Unfit> {
    let mut bytes = Postcard::from_bytes(input);
    let seen = Seen::default();
    let record = T::deserialize(Reader {
        shape,
        bytes: &mut bytes,
        seen: &seen,
    })?;
    if seen.is_deep.get() && seen.differs.get() {
        return Err(de::Error::custom(NESTS));
    }
    *input = bytes.finalize().map_err(Unfit::corrupt)?;
    Ok(record)
}

/// A record is none of the type of now.
#[derive(Debug)]
pub(super) struct Unfit {
    what: String,
    /// Where in the record, from the inside.
    path: Vec<String>,
    /// The bytes are not even those of the shape.
    pub(super) is_corrupt: bool,
}

impl Unfit {
    fn corrupt(cause: postcard::Error) -> Self {
        Self {
            is_corrupt: true,
            ..de::Error::custom(cause)
        }
    }

    pub(super) fn inside(mut self, place: impl Into<String>) -> Self {
        self.path.push(place.into());
        self
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = self.path.iter().rev();
        if let Some(first) = path.next() {
            write!(f, "at {first}")?;
            path.try_for_each(|place| write!(f, ".{place}"))?;
            f.write_str(": ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Unfit {}

impl de::Error for Unfit {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self {
            what: what.to_string(),
            path: Vec::new(),
            is_corrupt: false,
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!(
            "the field {field:?} was not saved and has no default: give it #[serde(default)]"
        ))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!(
            "the variant {variant:?} was saved, and there are only {expected:?} now"
        ))
    }
}

/// What was seen of a record.
#[derive(Debug, Default)]
struct Seen {
    /// Something in it has another shape than it had.
    differs: Cell<bool>,
    /// A type nests in itself so deep that the shape does not tell of it any more. That is
    /// read as the type of now is written, so nothing may differ.
    is_deep: Cell<bool>,
}

/// A false length must not count for ever.
const MAX_WITHOUT_BYTES: usize = 1 << 16;

const NESTS: &str = "it nests in itself, so it can be read in no other shape";

/// Reads one value.
struct Reader<'a, 'de> {
    shape: &'a Shape,
    bytes: &'a mut Postcard<'de, Slice<'de>>,
    seen: &'a Seen,
}

impl<'de> Reader<'_, 'de> {
    /// A value without parts, as it was saved.
    fn plain<T: Deserialize<'de>>(&mut self) -> Result<T, Unfit> {
        T::deserialize(&mut *self.bytes).map_err(Unfit::corrupt)
    }

    /// How many elements there are. If they have no bytes, that is all there is to say so.
    fn len(&mut self, elements_have_bytes: bool) -> Result<usize, Unfit> {
        match self.plain()? {
            len if elements_have_bytes || len <= MAX_WITHOUT_BYTES => Ok(len),
            _ => Err(Unfit::corrupt(postcard::Error::DeserializeBadEncoding)),
        }
    }

    fn unfit<T>(&self, now: impl fmt::Display) -> Result<T, Unfit> {
        let saved = self.shape;
        Err(de::Error::custom(format_args!(
            "saved as {saved}, and {now} now"
        )))
    }

    /// Values of these shapes, one after the other.
    fn visited<'s, I: ExactSizeIterator<Item = &'s Shape>, T>(
        self,
        shapes: I,
        visit: impl FnOnce(&mut Parts<'_, 'de, I>) -> Result<T, Unfit>,
    ) -> Result<T, Unfit> {
        let mut parts = Parts {
            shapes: shapes.enumerate(),
            bytes: self.bytes,
            seen: self.seen,
        };
        let value = visit(&mut parts)?;
        all_read(parts.shapes.len(), value)
    }

    fn is_deep(&self) -> bool {
        matches!(self.shape, Shape::Deep)
    }

    /// A value of which the shape does not tell any more.
    fn deep<T>(
        self,
        read: impl FnOnce(&mut Postcard<'de, Slice<'de>>) -> postcard::Result<T>,
    ) -> Result<T, Unfit> {
        self.seen.is_deep.set(true);
        if self.seen.differs.get() {
            return Err(de::Error::custom(NESTS));
        }
        read(self.bytes).map_err(Unfit::corrupt)
    }

    fn leaf<V: Visitor<'de>>(self, leaf: Leaf, visitor: V) -> Result<V::Value, Unfit> {
        match self.shape {
            Shape::Leaf(saved) if saved.fits(leaf) => {
                if *saved != leaf {
                    self.seen.differs.set(true);
                }
                self.deserialize_any(visitor)
            }
            _ => self.unfit(leaf.name()),
        }
    }

    fn positions<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unfit> {
        match self.shape {
            Shape::Deep => self.deep(|bytes| bytes.deserialize_tuple(len, visitor)),
            Shape::Tuple(parts) if parts.len() == len => self.deserialize_any(visitor),
            _ => self.unfit(format_args!("a tuple of {len}")),
        }
    }

    fn fields<V: Visitor<'de>>(
        self,
        name: &str,
        fields: &[&str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        let (saved, now) = (self.shape, format!("{name} {{{}}}", fields.join(", ")));
        let Shape::Struct(_, known) = saved else {
            return self.unfit(now);
        };
        if !known
            .iter()
            .map(|(name, _)| &**name)
            .eq(fields.iter().copied())
        {
            self.seen.differs.set(true);
        }
        self.deserialize_any(visitor).map_err(|mut unfit| {
            // What is told of a field says enough.
            if unfit.path.is_empty() && !unfit.is_corrupt {
                unfit.what += &format!(" (saved as {saved}, and {now} now)");
            }
            unfit
        })
    }
}

impl Leaf {
    /// Whether a value of this kind is one of another kind as well, whichever it is.
    fn fits(self, now: Self) -> bool {
        match (self.integer(), now.integer()) {
            (Some((false, bits)), Some((true, wider))) => bits < wider,
            (Some((signed, bits)), Some((now, wider))) => signed == now && bits <= wider,
            _ => self == now || (self == Self::F32 && now == Self::F64),
        }
    }

    /// Of an integer whether it has a sign, and how many bits.
    fn integer(self) -> Option<(bool, u32)> {
        Some(match self {
            Self::I8 => (true, 8),
            Self::I16 => (true, 16),
            Self::I32 => (true, 32),
            Self::I64 => (true, 64),
            Self::I128 => (true, 128),
            Self::U8 => (false, 8),
            Self::U16 => (false, 16),
            Self::U32 => (false, 32),
            Self::U64 => (false, 64),
            Self::U128 => (false, 128),
            _ => return None,
        })
    }
}

macro_rules! leaves {
    ($($deserialize:ident $leaf:ident,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            if self.is_deep() {
                return self.deep(|bytes| bytes.$deserialize(visitor));
            }
            self.leaf(Leaf::$leaf, visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = Unfit;

    leaves! {
        deserialize_bool Bool,
        deserialize_i8 I8,
        deserialize_i16 I16,
        deserialize_i32 I32,
        deserialize_i64 I64,
        deserialize_i128 I128,
        deserialize_u8 U8,
        deserialize_u16 U16,
        deserialize_u32 U32,
        deserialize_u64 U64,
        deserialize_u128 U128,
        deserialize_f32 F32,
        deserialize_f64 F64,
        deserialize_char Char,
        deserialize_str Str,
        deserialize_string Str,
        deserialize_identifier Str,
        deserialize_bytes Bytes,
        deserialize_byte_buf Bytes,
        deserialize_unit Unit,
    }

    /// What was saved, whatever it is.
    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Unfit> {
        match self.shape {
            Shape::Leaf(leaf) => match leaf {
                Leaf::Unit => visitor.visit_unit(),
                Leaf::Bool => visitor.visit_bool(self.plain()?),
                Leaf::I8 => visitor.visit_i8(self.plain()?),
                Leaf::I16 => visitor.visit_i16(self.plain()?),
                Leaf::I32 => visitor.visit_i32(self.plain()?),
                Leaf::I64 => visitor.visit_i64(self.plain()?),
                Leaf::I128 => visitor.visit_i128(self.plain()?),
                Leaf::U8 => visitor.visit_u8(self.plain()?),
                Leaf::U16 => visitor.visit_u16(self.plain()?),
                Leaf::U32 => visitor.visit_u32(self.plain()?),
                Leaf::U64 => visitor.visit_u64(self.plain()?),
                Leaf::U128 => visitor.visit_u128(self.plain()?),
                Leaf::F32 => visitor.visit_f32(self.plain()?),
                Leaf::F64 => visitor.visit_f64(self.plain()?),
                Leaf::Char => visitor.visit_char(self.plain()?),
                Leaf::Str => visitor.visit_borrowed_str(self.plain()?),
                Leaf::Bytes => visitor.visit_borrowed_bytes(self.plain()?),
            },
            Shape::Option(of) => match self.plain::<u8>()? {
                0 => visitor.visit_none(),
                1 => visitor.visit_some(Reader { shape: of, ..self }),
                _ => Err(Unfit::corrupt(postcard::Error::DeserializeBadOption)),
            },
            Shape::Seq(of) => {
                let len = self.len(has_bytes(of))?;
                let shapes = std::iter::repeat_n(&**of, len);
                self.visited(shapes, |elements| visitor.visit_seq(elements))
            }
            Shape::Tuple(parts) => self.visited(parts.iter(), |parts| visitor.visit_seq(parts)),
            Shape::Map(of) => {
                let len = self.len(has_bytes(&of.0) || has_bytes(&of.1))?;
                let mut entries = Entries {
                    of,
                    left: len,
                    bytes: self.bytes,
                    seen: self.seen,
                };
                let value = visitor.visit_map(&mut entries)?;
                all_read(entries.left, value)
            }
            Shape::Struct(_, fields) => {
                let mut fields = Fields {
                    left: fields,
                    bytes: self.bytes,
                    seen: self.seen,
                };
                let value = visitor.visit_map(&mut fields)?;
                all_read(fields.left.len(), value)
            }
            Shape::Enum(_, variants) => {
                let index = self.plain::<u32>()?;
                match variants.iter().find(|variant| variant.index == index) {
                    Some(variant) => visitor.visit_enum(OneVariant {
                        variant,
                        bytes: self.bytes,
                        seen: self.seen,
                    }),
                    None => Err(Unfit::corrupt(postcard::Error::DeserializeBadEnum)),
                }
            }
            Shape::Unknown => Err(Unfit::corrupt(postcard::Error::DeserializeBadEncoding)),
            Shape::Deep => self.deep(|bytes| bytes.deserialize_any(visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.shape {
            Shape::Option(_) => self.deserialize_any(visitor),
            Shape::Deep => self.deep(|bytes| bytes.deserialize_option(visitor)),
            _ => {
                self.seen.differs.set(true);
                visitor.visit_some(self)
            }
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.shape {
            Shape::Seq(_) => self.deserialize_any(visitor),
            Shape::Deep => self.deep(|bytes| bytes.deserialize_seq(visitor)),
            _ => self.unfit("a list"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.positions(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.positions(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.shape {
            Shape::Map(_) => self.deserialize_any(visitor),
            Shape::Deep => self.deep(|bytes| bytes.deserialize_map(visitor)),
            _ => self.unfit("a map"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        if self.is_deep() {
            return self.deep(|bytes| bytes.deserialize_struct(name, fields, visitor));
        }
        self.fields(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        match self.shape {
            Shape::Enum(_, saved) => {
                let is_same = |it: &Variant| variants.get(it.index as usize) == Some(&&*it.name);
                if !saved.iter().all(is_same) {
                    self.seen.differs.set(true);
                }
                self.deserialize_any(visitor)
            }
            Shape::Deep => self.deep(|bytes| bytes.deserialize_enum(name, variants, visitor)),
            _ => self.unfit(format_args!("{name} <{}>", variants.join(", "))),
        }
    }

    /// As postcard, which writes nothing for people.
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Whether each value takes a byte at the least.
fn has_bytes(shape: &Shape) -> bool {
    match shape {
        Shape::Leaf(Leaf::Unit) => false,
        Shape::Tuple(parts) => parts.iter().any(has_bytes),
        Shape::Struct(_, fields) => fields.iter().any(|(_, shape)| has_bytes(shape)),
        _ => true,
    }
}

/// Whoever leaves something would read the rest at a wrong place.
fn all_read<T>(left: usize, value: T) -> Result<T, Unfit> {
    match left {
        0 => Ok(value),
        _ => Err(de::Error::custom(format_args!(
            "{left} parts of it were not read"
        ))),
    }
}

/// Values one after the other.
struct Parts<'a, 'de, I> {
    shapes: std::iter::Enumerate<I>,
    bytes: &'a mut Postcard<'de, Slice<'de>>,
    seen: &'a Seen,
}

impl<'a, 'de, I: ExactSizeIterator<Item = &'a Shape>> SeqAccess<'de> for &mut Parts<'_, 'de, I> {
    type Error = Unfit;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unfit> {
        let Some((number, shape)) = self.shapes.next() else {
            return Ok(None);
        };
        let (bytes, seen) = (&mut *self.bytes, self.seen);
        let value = seed.deserialize(Reader { shape, bytes, seen });
        value
            .map(Some)
            .map_err(|unfit| unfit.inside(number.to_string()))
    }

    // No size hint: the number may be a false one.
}

/// The entries of a map.
struct Entries<'a, 'de> {
    of: &'a (Shape, Shape),
    left: usize,
    bytes: &'a mut Postcard<'de, Slice<'de>>,
    seen: &'a Seen,
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = Unfit;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unfit> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let (shape, bytes, seen) = (&self.of.0, &mut *self.bytes, self.seen);
        let key = seed.deserialize(Reader { shape, bytes, seen });
        key.map(Some).map_err(|unfit| unfit.inside("its keys"))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unfit> {
        let (shape, bytes, seen) = (&self.of.1, &mut *self.bytes, self.seen);
        let value = seed.deserialize(Reader { shape, bytes, seen });
        value.map_err(|unfit| unfit.inside("its values"))
    }
}

/// Fields by name, in the order in which they were saved.
struct Fields<'a, 'de> {
    left: &'a [(Name, Shape)],
    bytes: &'a mut Postcard<'de, Slice<'de>>,
    seen: &'a Seen,
}

impl<'de> MapAccess<'de> for &mut Fields<'_, 'de> {
    type Error = Unfit;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unfit> {
        let name = self.left.first().map(|(name, _)| name);
        name.map(|name| seed.deserialize(named(name))).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unfit> {
        let Some(((name, shape), left)) = self.left.split_first() else {
            return Err(de::Error::custom("more fields are read than there are"));
        };
        self.left = left;
        let (bytes, seen) = (&mut *self.bytes, self.seen);
        let value = seed.deserialize(Reader { shape, bytes, seen });
        value.map_err(|unfit| unfit.inside(name.clone()))
    }
}

fn named(name: &Name) -> de::value::StrDeserializer<'_, Unfit> {
    de::IntoDeserializer::into_deserializer(&**name)
}

/// A value of an enum.
struct OneVariant<'a, 'de> {
    variant: &'a Variant,
    bytes: &'a mut Postcard<'de, Slice<'de>>,
    seen: &'a Seen,
}

impl<'a, 'de> OneVariant<'a, 'de> {
    /// Reads what the variant has.
    fn inner<T>(self, read: impl FnOnce(Reader<'a, 'de>) -> Result<T, Unfit>) -> Result<T, Unfit> {
        let (shape, bytes, seen) = (&self.variant.shape, self.bytes, self.seen);
        let value = read(Reader { shape, bytes, seen });
        value.map_err(|unfit| unfit.inside(self.variant.name.clone()))
    }
}

impl<'de> EnumAccess<'de> for OneVariant<'_, 'de> {
    type Error = Unfit;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Unfit> {
        let variant = seed.deserialize(named(&self.variant.name))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for OneVariant<'_, 'de> {
    type Error = Unfit;

    fn unit_variant(self) -> Result<(), Unfit> {
        self.inner(<()>::deserialize)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Unfit> {
        self.inner(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.inner(|reader| reader.positions(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        let name = &*self.variant.name;
        self.inner(|reader| reader.fields(name, fields, visitor))
    }
}
