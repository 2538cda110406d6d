//! Types and bytes that are refused.

use super::*;

/// Such a type says at the first checkpoint that it cannot be read back, not at the recovery.
#[test]
fn what_could_not_be_read_back_is_not_written() {
    #[derive(Serialize, Deserialize)]
    struct Sometimes {
        always: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        sometimes: Option<u32>,
    }
    let named = "the field \"sometimes\" of Sometimes is left out in some records, by \
                 skip_serializing_if perhaps: that cannot be read back";
    let unnamed = "leaves a field out by skip_serializing_if, which cannot be read back";
    for before in [0, 1] {
        let mut writer = RecordWriter::new(RecordCodec::<Vec<Sometimes>>::new());
        let record = |sometimes| Sometimes {
            always: 1,
            sometimes,
        };
        for _ in 0..before {
            writer.write(&vec![record(Some(2))]).unwrap();
        }
        let len = writer.bytes.len();
        let error = writer
            .write(&vec![record(Some(2)), record(None)])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(unnamed), "{error}");
        let error = writer.write(&vec![record(None)]).unwrap_err();
        assert!(error.to_string().ends_with(named), "{error}");
        assert_eq!(writer.bytes.len(), len);
    }
}

/// Who serializes as it likes may be another one in each record.
#[test]
fn what_has_another_shape_in_another_record_is_told() {
    let odd = |one: Value, other: Value| {
        let mut shape = Shape::Unknown;
        crate::codec::describe::describe(&one, &mut shape).unwrap();
        let odd = crate::codec::describe::describe(&other, &mut shape);
        odd.unwrap_err().to_string()
    };
    let tuple = |len| Value::Tuple(vec![Value::I32(1); len]);
    let of = |names: &[&'static str]| {
        let fields = names.iter().map(|name| (*name, Value::I32(1)));
        Value::Struct("Some", fields.collect())
    };
    for (one, other) in [(2, 3), (3, 2), (1, 0)] {
        let end = format!("and a tuple of {other} in another");
        assert!(odd(tuple(one), tuple(other)).ends_with(&end));
    }
    for names in [&["a"][..], &["b"], &["a", "c"]] {
        let odd = odd(of(&["a", "b"]), of(names));
        assert!(odd.contains("of Some is left out in some records"), "{odd}");
    }
}

/// What is left of a value would be taken for the next one.
#[test]
fn a_type_that_reads_less_than_it_writes_is_refused() {
    #[derive(Serialize)]
    struct Half(Vec<u32>);
    impl<'de> Deserialize<'de> for Half {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct One;
            impl<'de> serde::de::Visitor<'de> for One {
                type Value = Half;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a number at the least")
                }

                fn visit_seq<A>(self, mut of: A) -> Result<Half, A::Error>
                where
                    A: serde::de::SeqAccess<'de>,
                {
                    Ok(Half(of.next_element()?.into_iter().collect()))
                }
            }
            from.deserialize_seq(One)
        }
    }
    let mut writer = RecordWriter::new(RecordCodec::<Half>::new());
    writer.write(&Half(vec![1])).unwrap();
    let mut writer = RecordWriter::new(RecordCodec::<Half>::new());
    let error = writer.write(&Half(vec![1, 2, 3])).unwrap_err().to_string();
    assert!(error.ends_with("2 parts of it were not read"), "{error}");
}

/// Units take no bytes, so any number of them is there.
#[test]
fn a_false_number_of_nothings_is_refused() {
    let bytes = |units: &[u8]| [b"\x21\x01", units].concat();
    assert_eq!(
        read::<Vec<()>>(&bytes(b"\x80\x80\x04")),
        [vec![(); 1 << 16]]
    );
    let error = try_read::<Vec<()>>(&bytes(b"\x81\x80\x04")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// What serde reads only where the bytes say what they are: the second record may be another
/// one than the first, and nobody looks.
#[test]
fn an_enum_without_variants_in_its_bytes_is_refused_at_once() {
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Tagged {
        Point { x: i32 },
    }
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(u64),
    }
    fn refusal<T: Serialize + DeserializeOwned>(record: &T) -> String {
        let mut writer = RecordWriter::new(RecordCodec::<T>::new());
        let error = writer.write(record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(writer.bytes.is_empty());
        error.to_string()
    }
    let ids = vec![(true, Id::Number(1))];
    for error in [refusal(&Tagged::Point { x: 1 }), refusal(&ids)] {
        let part = "can be read only where the bytes say what they are";
        assert!(error.contains(part), "{error}");
    }
}

/// Records without their shape: whether each can be read by its type alone.
mod plain {
    use super::*;

    fn writer<T: Serialize + DeserializeOwned>() -> RecordWriter<T> {
        RecordWriter::plain(RecordCodec::new())
    }

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(u64),
    }

    /// Whenever the first such value comes.
    #[test]
    fn an_enum_without_variants_in_its_bytes_is_refused_when_it_comes() {
        let mut writer = writer::<(u8, Option<Id>)>();
        for n in 1..=3 {
            writer.write(&(n, None)).unwrap();
        }
        let error = writer.write(&(4, Some(Id::Number(1)))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let text = error.to_string();
        let said = [
            "what was written cannot be read back: unsupported: a (u8, core::option::Option<",
            "plain::Id>) can be read only where the bytes say what they are",
            "let serde tell its variants apart, without `tag` or `untagged`",
        ];
        assert!(said.iter().all(|part| text.contains(part)), "{text}");
        assert_eq!(writer.bytes, b"\x01\0\x02\0\x03\0");
    }

    /// By name it is read as one that has the field's default.
    #[test]
    fn a_field_that_is_only_read_is_refused() {
        #[derive(Serialize, Deserialize)]
        struct Half {
            written: u8,
            #[serde(skip_serializing, default)]
            only_read: u8,
        }
        let half = Half {
            written: 1,
            only_read: 2,
        };
        let mut by_name = RecordWriter::new(RecordCodec::new());
        by_name.write(&half).unwrap();
        let mut bytes = Vec::new();
        by_name.finish(&mut bytes);
        assert_eq!(read::<Half>(&bytes)[0].only_read, 0);
        let mut writer = writer();
        let text = writer.write(&half).unwrap_err().to_string();
        assert!(text.contains("the bytes are not those of a "), "{text}");
        assert!(writer.bytes.is_empty());
    }

    #[test]
    fn a_field_that_is_only_written_is_refused() {
        #[derive(Serialize, Deserialize)]
        struct Half {
            read: u8,
            #[serde(skip_deserializing)]
            only_written: u32,
        }
        let half = Half {
            read: 1,
            only_written: 300,
        };
        let mut writer = writer();
        let text = writer.write(&half).unwrap_err().to_string();
        let said = "cannot be read back: corrupt data: 2 of its bytes were not read";
        assert!(text.ends_with(said), "{text}");
        assert!(writer.bytes.is_empty());
    }

    /// The first number tells what stands behind it, so that there is no shape of all.
    #[test]
    fn a_type_that_tells_itself_what_it_is_is_written() {
        #[derive(Clone, Debug, PartialEq)]
        enum Own {
            Number(u64),
            Text(String),
        }
        impl Serialize for Own {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::Number(number) => (0_u8, number).serialize(to),
                    Self::Text(text) => (1_u8, text).serialize(to),
                }
            }
        }
        impl<'de> Deserialize<'de> for Own {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Parts;
                impl<'de> serde::de::Visitor<'de> for Parts {
                    type Value = Own;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a number and what it says")
                    }

                    fn visit_seq<A>(self, mut of: A) -> Result<Own, A::Error>
                    where
                        A: serde::de::SeqAccess<'de>,
                    {
                        let own = match of.next_element::<u8>()? {
                            Some(0) => of.next_element()?.map(Own::Number),
                            _ => of.next_element()?.map(Own::Text),
                        };
                        own.ok_or_else(|| serde::de::Error::custom("a part is missing"))
                    }
                }
                from.deserialize_tuple(2, Parts)
            }
        }
        // The first part is there to be looked at: there may be more to know of it.
        let records = [
            (None, Own::Number(300)),
            (None, Own::Text("ab".to_owned())),
            (Some(7), Own::Number(1)),
            (None, Own::Text(String::new())),
        ];
        let mut writer = writer();
        for record in &records {
            writer.write(record).unwrap();
        }
        let bytes = b"\0\0\xac\x02\0\x01\x02ab\x01\x07\0\x01\0\x01\0";
        assert_eq!(writer.bytes, bytes);
        let mut input = &writer.bytes[..];
        let codec = RecordCodec::<(Option<u8>, Own)>::new();
        let read = records.clone().map(|_| (codec.decode)(&mut input).unwrap());
        assert_eq!(read, records);
    }
}
