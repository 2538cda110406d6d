//! Reads records that were saved in another shape than the type of now has.
//!
//! The bytes are taken as the shape says, and what they have is offered to the type by
//! name: a field that the type has no more is passed over, one that was not saved gets
//! serde's default, and variants are found by their names. Numbers may have become wider,
//! and a value may have become an option; everything else is an error that names the place.

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
    let record = T::deserialize(Reader {
        shape,
        bytes: &mut bytes,
    })?;
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

/// Reads one value.
struct Reader<'a, 'de> {
    shape: &'a Shape,
    bytes: &'a mut Postcard<'de, Slice<'de>>,
}

impl<'de> Reader<'_, 'de> {
    /// A value without parts, as it was saved.
    fn plain<T: Deserialize<'de>>(&mut self) -> Result<T, Unfit> {
        T::deserialize(&mut *self.bytes).map_err(Unfit::corrupt)
    }

    fn len(&mut self) -> Result<usize, Unfit> {
        self.plain()
    }

    fn unfit<T>(&self, now: impl fmt::Display) -> Result<T, Unfit> {
        Err(de::Error::custom(match self.shape {
            Shape::Deep => "it nests in itself, so it can be read in no other shape".to_owned(),
            shape => format!("saved as {shape}, and {now} now"),
        }))
    }

    fn leaf<V: Visitor<'de>>(self, leaf: Leaf, visitor: V) -> Result<V::Value, Unfit> {
        match self.shape {
            Shape::Leaf(saved) if saved.fits(leaf) => self.deserialize_any(visitor),
            _ => self.unfit(leaf.name()),
        }
    }

    fn positions<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unfit> {
        match self.shape {
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
        let Shape::Struct(..) = saved else {
            return self.unfit(now);
        };
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
                1 => visitor.visit_some(Reader {
                    shape: of,
                    bytes: self.bytes,
                }),
                _ => Err(Unfit::corrupt(postcard::Error::DeserializeBadOption)),
            },
            Shape::Seq(of) => {
                let len = self.len()?;
                let shapes = std::iter::repeat_n(&**of, len);
                visited(shapes, self.bytes, |elements| visitor.visit_seq(elements))
            }
            Shape::Tuple(parts) => {
                visited(parts.iter(), self.bytes, |parts| visitor.visit_seq(parts))
            }
            Shape::Map(of) => {
                let len = self.len()?;
                let mut entries = Entries {
                    of,
                    left: len,
                    bytes: self.bytes,
                };
                let value = visitor.visit_map(&mut entries)?;
                all_read(entries.left, value)
            }
            Shape::Struct(_, fields) => {
                let mut fields = Fields {
                    left: fields,
                    bytes: self.bytes,
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
                    }),
                    None => Err(Unfit::corrupt(postcard::Error::DeserializeBadEnum)),
                }
            }
            Shape::Unknown => Err(Unfit::corrupt(postcard::Error::DeserializeBadEncoding)),
            Shape::Deep => self.unfit(""),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.shape {
            Shape::Option(_) => self.deserialize_any(visitor),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.leaf(Leaf::Unit, visitor)
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
            _ => self.unfit("a map"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.fields(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        match self.shape {
            Shape::Enum(..) => self.deserialize_any(visitor),
            _ => self.unfit(format_args!("{name} <{}>", variants.join(", "))),
        }
    }

    /// As postcard, which writes nothing for people.
    fn is_human_readable(&self) -> bool {
        false
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
}

fn visited<'a, 'de, I: ExactSizeIterator<Item = &'a Shape>, T>(
    shapes: I,
    bytes: &mut Postcard<'de, Slice<'de>>,
    visit: impl FnOnce(&mut Parts<'_, 'de, I>) -> Result<T, Unfit>,
) -> Result<T, Unfit> {
    let shapes = shapes.enumerate();
    let mut parts = Parts { shapes, bytes };
    let value = visit(&mut parts)?;
    all_read(parts.shapes.len(), value)
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
        let bytes = &mut *self.bytes;
        let value = seed.deserialize(Reader { shape, bytes });
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
        let (shape, bytes) = (&self.of.0, &mut *self.bytes);
        let key = seed.deserialize(Reader { shape, bytes });
        key.map(Some).map_err(|unfit| unfit.inside("its keys"))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unfit> {
        let (shape, bytes) = (&self.of.1, &mut *self.bytes);
        let value = seed.deserialize(Reader { shape, bytes });
        value.map_err(|unfit| unfit.inside("its values"))
    }
}

/// Fields by name, in the order in which they were saved.
struct Fields<'a, 'de> {
    left: &'a [(Name, Shape)],
    bytes: &'a mut Postcard<'de, Slice<'de>>,
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
        let bytes = &mut *self.bytes;
        let value = seed.deserialize(Reader { shape, bytes });
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
}

impl<'a, 'de> OneVariant<'a, 'de> {
    /// Reads what the variant has.
    fn inner<T>(self, read: impl FnOnce(Reader<'a, 'de>) -> Result<T, Unfit>) -> Result<T, Unfit> {
        let (shape, bytes) = (&self.variant.shape, self.bytes);
        let value = read(Reader { shape, bytes });
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
