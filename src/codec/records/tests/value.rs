//! A value of any type, which is written as that type.

use std::fmt;

use serde::de::{self, EnumAccess, MapAccess, SeqAccess, VariantAccess};
use serde::ser::{SerializeMap as _, SerializeStruct as _, SerializeTuple as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of any type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Unit,
    Bool(bool),
    I32(i32),
    U64(u64),
    F64(f64),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    Option(Option<Box<Value>>),
    Seq(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Tuple(Vec<Value>),
    Struct(&'static str, Vec<(&'static str, Value)>),
    Variant(&'static str, u32, &'static str, Box<Value>),
}

impl Value {
    /// What is left if nobody knows the type: a struct is a map by name, and so is a variant.
    pub(super) fn untyped(self) -> Self {
        let text = |name: &str| Self::Text(name.to_owned());
        match self {
            Self::Option(of) => Self::Option(of.map(|of| Box::new(of.untyped()))),
            Self::Seq(of) | Self::Tuple(of) => {
                Self::Seq(of.into_iter().map(Self::untyped).collect())
            }
            Self::Map(of) => {
                let of = of.into_iter();
                Self::Map(
                    of.map(|(key, value)| (key.untyped(), value.untyped()))
                        .collect(),
                )
            }
            Self::Struct(_, of) => {
                let of = of.into_iter();
                Self::Map(
                    of.map(|(name, value)| (text(name), value.untyped()))
                        .collect(),
                )
            }
            Self::Variant(_, _, name, of) => Self::Map(vec![(text(name), of.untyped())]),
            leaf => leaf,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unit => to.serialize_unit(),
            Self::Bool(value) => to.serialize_bool(*value),
            Self::I32(value) => to.serialize_i32(*value),
            Self::U64(value) => to.serialize_u64(*value),
            Self::F64(value) => to.serialize_f64(*value),
            Self::Char(value) => to.serialize_char(*value),
            Self::Text(value) => to.serialize_str(value),
            Self::Bytes(value) => to.serialize_bytes(value),
            Self::Option(None) => to.serialize_none(),
            Self::Option(Some(value)) => to.serialize_some(value),
            Self::Seq(of) => of.serialize(to),
            Self::Map(of) => {
                let mut map = to.serialize_map(Some(of.len()))?;
                for (key, value) in of {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::Tuple(of) => {
                let mut tuple = to.serialize_tuple(of.len())?;
                of.iter()
                    .try_for_each(|part| tuple.serialize_element(part))?;
                tuple.end()
            }
            Self::Struct(name, of) => {
                let mut fields = to.serialize_struct(name, of.len())?;
                for (name, value) in of {
                    fields.serialize_field(name, value)?;
                }
                fields.end()
            }
            Self::Variant(name, index, variant, of) => match &**of {
                Self::Unit => to.serialize_unit_variant(name, *index, variant),
                of => to.serialize_newtype_variant(name, *index, variant, of),
            },
        }
    }
}

/// Takes what there is.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

struct Any;

macro_rules! visits {
    ($($visit:ident($type:ty) $value:ident,)*) => {$(
        fn $visit<E: de::Error>(self, value: $type) -> Result<Value, E> {
            Ok(Value::$value(value.into()))
        }
    )*};
}

impl<'de> de::Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    visits! {
        visit_bool(bool) Bool,
        visit_i32(i32) I32,
        visit_u64(u64) U64,
        visit_f64(f64) F64,
        visit_char(char) Char,
        visit_str(&str) Text,
        visit_bytes(&[u8]) Bytes,
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Unit)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Option(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        Ok(Value::Option(Some(Deserialize::deserialize(from)?)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut of: A) -> Result<Value, A::Error> {
        let mut seq = Vec::new();
        while let Some(element) = of.next_element()? {
            seq.push(element);
        }
        Ok(Value::Seq(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut of: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = of.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, of: A) -> Result<Value, A::Error> {
        let (name, content) = of.variant()?;
        Ok(Value::Map(vec![(name, content.newtype_variant()?)]))
    }
}
