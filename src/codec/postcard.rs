//! [`Codec`] for whatever serde knows.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sealed::Sealed;
use super::shape::Shape;
use super::whole::Whole;
use super::{Codec, by_shape, describe};
use crate::error::{Error, ErrorKind, Result};

impl<T: Serialize + DeserializeOwned> Codec for T {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        match postcard::to_io(&Whole(self), &mut *out) {
            Ok(_) => Ok(()),
            Err(cause) => {
                out.truncate(before);
                let what = format!("a {} cannot be written as bytes", type_name::<T>());
                // Which has more words, if it looks as far.
                Err(match describe::describe(self, &mut Shape::Unknown) {
                    Err(odd) => Error::invalid_argument(what).with_source(odd),
                    Ok(_) => {
                        let why = "its type refuses it, or leaves a field out by \
                                   skip_serializing_if, which cannot be read back";
                        Error::invalid_argument(format!("{what}: {why}")).with_source(cause)
                    }
                })
            }
        }
    }

    fn decode(input: &mut &[u8]) -> Result<Self> {
        match postcard::take_from_bytes(input) {
            Ok((record, rest)) => {
                *input = rest;
                Ok(record)
            }
            Err(cause) => {
                let of = type_name::<T>();
                let (kind, what) = match cause {
                    postcard::Error::WontImplement => (
                        ErrorKind::Unsupported,
                        format!(
                            "a {of} can be read only where the bytes say what they are: there is \
                             an enum in it that is tagged in itself or untagged, perhaps; let \
                             serde tell its variants apart, without `tag` or `untagged`"
                        ),
                    ),
                    _ => (
                        ErrorKind::Corrupt,
                        format!("the bytes are not those of a {of}"),
                    ),
                };
                Err(Error::new(kind, what).with_source(cause))
            }
        }
    }
}

impl<T: Serialize + DeserializeOwned> Sealed for T {
    fn describe(&self, shape: &mut Shape) -> Result<bool> {
        describe::describe(self, shape).map_err(|odd| {
            let what = format!("a {} could not be read back", type_name::<T>());
            Error::invalid_argument(what).with_source(odd)
        })
    }

    fn decode_as(input: &mut &[u8], shape: &Shape) -> Result<Self> {
        by_shape::take(input, shape).map_err(|unfit| {
            let (saved, now) = (shape, type_name::<T>());
            let what = format!("saved as {saved}, which cannot be read as a {now} now");
            let kind = match unfit.is_corrupt {
                true => ErrorKind::Corrupt,
                false => ErrorKind::IllegalState,
            };
            Error::new(kind, what).with_source(unfit)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde::ser::{Error as _, SerializeSeq, Serializer};

    use super::*;
    use crate::block::Str;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Nothing,
        Named { name: Str, of: Option<i64> },
        Many(Vec<(Str, f64)>, BTreeMap<u16, bool>),
    }

    fn texts() -> impl Strategy<Value = Str> {
        "\\PC{0,40}".prop_map(Str::from)
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        let pairs = prop::collection::vec((texts(), -1e9..1e9), 0..5);
        let flags = prop::collection::btree_map(any::<u16>(), any::<bool>(), 0..5);
        prop_oneof![
            Just(Kind::Nothing),
            (texts(), any::<Option<i64>>()).prop_map(|(name, of)| Kind::Named { name, of }),
            (pairs, flags).prop_map(|(pairs, flags)| Kind::Many(pairs, flags)),
        ]
    }

    fn encoded<T: Codec>(records: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for record in records {
            record.encode(&mut bytes).unwrap();
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn records_come_back_one_after_another(records in prop::collection::vec(kinds(), 0..8)) {
            let bytes = encoded(&records);
            let mut input = &bytes[..];
            for record in &records {
                prop_assert_eq!(&Kind::decode(&mut input).unwrap(), record);
            }
            prop_assert!(input.is_empty());
        }

        #[test]
        fn too_few_bytes_are_an_error(record in kinds(), at in any::<prop::sample::Index>()) {
            let bytes = encoded(&[record]);
            let cut = &bytes[..at.index(bytes.len())];
            let mut input = cut;
            prop_assert_eq!(Kind::decode(&mut input).unwrap_err().kind(), ErrorKind::Corrupt);
            prop_assert_eq!(input, cut, "the input stays where it was");
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut input = &bytes[..];
            while !input.is_empty() && Kind::decode(&mut input).is_ok() {}
        }
    }

    /// The format is in files that outlive this version.
    #[test]
    fn the_bytes_of_a_record_are_for_ever() {
        fn check<T: Codec + PartialEq + Debug>(record: &T, bytes: &[u8]) {
            assert_eq!(encoded(std::slice::from_ref(record)), bytes);
            assert_eq!(T::decode(&mut &*bytes).unwrap(), *record);
        }
        check(&(), b"");
        check(&300_u64, b"\xac\x02");
        check(&-1_i32, b"\x01");
        check(&1.5_f64, b"\0\0\0\0\0\0\xf8\x3f");
        check(&(Str::from("ab"), Some(true)), b"\x02ab\x01\x01");
        let long = "a text of more than fifteen bytes";
        check(&Str::from(long), format!("\x21{long}").as_bytes());
        check(&Kind::Nothing, b"\0");
    }

    #[test]
    fn a_false_length_costs_no_memory() {
        // Two to the 60 records, and none there.
        let mut bytes: &[u8] = b"\xff\xff\xff\xff\xff\xff\xff\xff\x0f";
        let error = Vec::<(u64, Str)>::decode(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(Str::decode(&mut bytes).is_err());
        assert!(String::decode(&mut bytes).is_err());
    }

    #[test]
    fn errors_name_the_type() {
        let error = <(u8, bool)>::decode(&mut &b"\x01\x07"[..]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("corrupt data: the bytes are not those of a (u8, bool): "),
            "{text}"
        );
        assert!(Str::decode(&mut &b"\x01\xff"[..]).is_err(), "not UTF-8");
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        #[derive(Debug, Deserialize)]
        struct Refusing;
        impl Serialize for Refusing {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut some = serializer.serialize_seq(Some(2))?;
                some.serialize_element(&1)?;
                Err(S::Error::custom("no more"))
            }
        }
        let mut bytes = b"before".to_vec();
        let error = Refusing.encode(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let text = error.to_string();
        assert!(
            text.contains("Refusing cannot be written as bytes"),
            "{text}"
        );
        assert_eq!(bytes, b"before");
    }
}
