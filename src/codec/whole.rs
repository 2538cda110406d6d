//! Writes records with all of their fields.
//!
//! `#[serde(skip_serializing_if)]` leaves a field out now and then. Bytes that do not
//! describe themselves cannot tell when: what comes behind would be taken for it. So that is
//! an error when it happens, and no other value when it is read.

use std::fmt::Display;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// A value that is written whole, and all that is in it.
pub(super) struct Whole<T>(pub(super) T);

impl<T: Serialize + ?Sized> Serialize for Whole<&T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Writer(to))
    }
}

/// Hands everything on.
struct Writer<S>(S);

macro_rules! values {
    ($($serialize:ident($($name:ident: $type:ty),*),)*) => {$(
        fn $serialize(self, $($name: $type),*) -> Result<S::Ok, S::Error> {
            self.0.$serialize($($name),*)
        }
    )*};
}

macro_rules! parts {
    ($($serialize:ident($($name:ident: $type:ty),*) $parts:ident,)*) => {$(
        fn $serialize(self, $($name: $type),*) -> Result<Self::$parts, S::Error> {
            self.0.$serialize($($name),*).map(Writer)
        }
    )*};
}

impl<S: Serializer> Serializer for Writer<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Writer<S::SerializeSeq>;
    type SerializeTuple = Writer<S::SerializeTuple>;
    type SerializeTupleStruct = Writer<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Writer<S::SerializeTupleVariant>;
    type SerializeMap = Writer<S::SerializeMap>;
    type SerializeStruct = Writer<S::SerializeStruct>;
    type SerializeStructVariant = Writer<S::SerializeStructVariant>;

    values! {
        serialize_bool(value: bool),
        serialize_i8(value: i8),
        serialize_i16(value: i16),
        serialize_i32(value: i32),
        serialize_i64(value: i64),
        serialize_i128(value: i128),
        serialize_u8(value: u8),
        serialize_u16(value: u16),
        serialize_u32(value: u32),
        serialize_u64(value: u64),
        serialize_u128(value: u128),
        serialize_f32(value: f32),
        serialize_f64(value: f64),
        serialize_char(value: char),
        serialize_str(value: &str),
        serialize_bytes(value: &[u8]),
        serialize_none(),
        serialize_unit(),
        serialize_unit_struct(name: &'static str),
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str),
    }

    parts! {
        serialize_seq(len: Option<usize>) SerializeSeq,
        serialize_tuple(len: usize) SerializeTuple,
        serialize_tuple_struct(name: &'static str, len: usize) SerializeTupleStruct,
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) SerializeTupleVariant,
        serialize_map(len: Option<usize>) SerializeMap,
        serialize_struct(name: &'static str, len: usize) SerializeStruct,
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) SerializeStructVariant,
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Whole(value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Whole(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = Whole(value);
        self.0
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! each_part {
    ($($trait:ident $($part:ident)*,)*) => {$(
        impl<S: $trait> $trait for Writer<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            $(fn $part<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), S::Error> {
                self.0.$part(&Whole(part))
            })*

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )*};
}

each_part! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
    SerializeMap serialize_key serialize_value,
}

macro_rules! each_field {
    ($($trait:ident),*) => {$(
        impl<S: $trait> $trait for Writer<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                self.0.serialize_field(name, &Whole(value))
            }

            fn skip_field(&mut self, _: &'static str) -> Result<(), S::Error> {
                // `describe` has the words.
                Err(S::Error::custom("a field is left out"))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )*};
}

each_field!(SerializeStruct, SerializeStructVariant);
