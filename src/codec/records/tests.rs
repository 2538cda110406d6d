//! Records of types that have changed since.

mod nested;
mod refused;
mod value;

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use value::Value;

use super::*;
use crate::block::Str;
use crate::codec::shape::{Leaf, Name, Variant};

fn written<T: Serialize + DeserializeOwned>(records: &[T]) -> Vec<u8> {
    let mut writer = RecordWriter::new(RecordCodec::<T>::new());
    for record in records {
        writer.write(record).unwrap();
    }
    let mut bytes = Vec::new();
    writer.finish(&mut bytes);
    bytes
}

/// What was written by a type that is gone, which need not be one that can be read.
fn written_before(records: &[impl Serialize]) -> Vec<u8> {
    let (mut shape, mut bytes) = (Shape::Unknown, Vec::new());
    for record in records {
        crate::codec::describe::describe(record, &mut shape).unwrap();
        postcard::to_io(record, &mut bytes).unwrap();
    }
    let mut out = Vec::new();
    write(&shape, &[&bytes], &mut out);
    out
}

/// The records, and whether the type turned out to be what it was.
fn try_read<T: DeserializeOwned + Serialize>(mut bytes: &[u8]) -> Result<(Vec<T>, bool)> {
    let mut reader = RecordReader::new(RecordCodec::<T>::new(), &mut bytes)?;
    let mut records = Vec::new();
    reader.read_all(bytes, |record| records.push(record))?;
    Ok((records, matches!(reader.how, How::Plain)))
}

fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Vec<T> {
    try_read(bytes).unwrap().0
}

fn error<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> String {
    let error = try_read::<T>(bytes).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::IllegalState, "{error}");
    error
        .to_string()
        .replace("millstream::codec::records::tests::", "")
}

const NAMES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

fn named<T>(parts: Vec<T>) -> impl Iterator<Item = (Name, T)> {
    NAMES.into_iter().map(Name::Borrowed).zip(parts)
}

/// Shapes of types: of these all is known.
fn types() -> impl Strategy<Value = Shape> {
    let kinds = [
        Leaf::Unit,
        Leaf::Bool,
        Leaf::I32,
        Leaf::U64,
        Leaf::F64,
        Leaf::Char,
        Leaf::Str,
        Leaf::Bytes,
    ];
    let leaves = select(kinds.to_vec()).prop_map(Shape::Leaf);
    leaves.boxed().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| Shape::Option(Box::new(of))),
            inner.clone().prop_map(|of| Shape::Seq(Box::new(of))),
            (inner.clone(), inner.clone()).prop_map(|of| Shape::Map(Box::new(of))),
            vec(inner.clone(), 0..4).prop_map(Shape::Tuple),
            vec(inner.clone(), 0..5)
                .prop_map(|of| Shape::Struct(Name::Borrowed("Fields"), named(of).collect())),
            vec(inner, 1..4).prop_map(|of| {
                let variants = (0..).step_by(3).zip(named(of));
                let variant = |(index, (name, shape))| Variant { index, name, shape };
                Shape::Enum(Name::Borrowed("Kind"), variants.map(variant).collect())
            }),
        ]
    })
}

fn fixed(name: &Name) -> &'static str {
    match name {
        Name::Borrowed(name) => name,
        Name::Owned(_) => unreachable!("the names of the tests are fixed"),
    }
}

/// Values of a type.
fn values(shape: &Shape) -> BoxedStrategy<Value> {
    match shape {
        Shape::Leaf(Leaf::Unit) => Just(Value::Unit).boxed(),
        Shape::Leaf(Leaf::Bool) => any::<bool>().prop_map(Value::Bool).boxed(),
        Shape::Leaf(Leaf::I32) => any::<i32>().prop_map(Value::I32).boxed(),
        Shape::Leaf(Leaf::U64) => any::<u64>().prop_map(Value::U64).boxed(),
        Shape::Leaf(Leaf::F64) => (-1e9..1e9).prop_map(Value::F64).boxed(),
        Shape::Leaf(Leaf::Char) => any::<char>().prop_map(Value::Char).boxed(),
        Shape::Leaf(Leaf::Str) => "\\PC{0,20}".prop_map(Value::Text).boxed(),
        Shape::Leaf(_) => vec(any::<u8>(), 0..20).prop_map(Value::Bytes).boxed(),
        Shape::Option(of) => proptest::option::of(values(of))
            .prop_map(|of| Value::Option(of.map(Box::new)))
            .boxed(),
        Shape::Seq(of) => vec(values(of), 0..4).prop_map(Value::Seq).boxed(),
        Shape::Map(of) => vec((values(&of.0), values(&of.1)), 0..4)
            .prop_map(Value::Map)
            .boxed(),
        Shape::Tuple(of) => {
            let of: Vec<_> = of.iter().map(values).collect();
            of.prop_map(Value::Tuple).boxed()
        }
        Shape::Struct(name, of) => {
            let (name, names) = (fixed(name), of.iter().map(|(name, _)| fixed(name)));
            let names: Vec<_> = names.collect();
            let of: Vec<_> = of.iter().map(|(_, of)| values(of)).collect();
            let value = move |of| Value::Struct(name, names.iter().copied().zip(of).collect());
            of.prop_map(value).boxed()
        }
        Shape::Enum(name, of) => {
            let name = fixed(name);
            let of = of.iter().map(|variant| {
                let (index, named) = (variant.index, fixed(&variant.name));
                let value = move |of| Value::Variant(name, index, named, Box::new(of));
                values(&variant.shape).prop_map(value).boxed()
            });
            proptest::strategy::Union::new(of).boxed()
        }
        Shape::Unknown | Shape::Deep => unreachable!("no type has it"),
    }
}

/// A struct of now, whose fields may all be new.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Order {
    item: Str,
    count: u64,
    notes: Vec<String>,
    price: Option<i32>,
    kind: Kind,
    marks: BTreeMap<String, bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Kind {
    #[default]
    Plain,
    Sized {
        width: u64,
    },
    Made(String, i32),
}

/// The field of an order of an earlier version.
fn field_of(order: &Order, name: &str) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    match name {
        "item" => text(&order.item),
        "count" => Value::U64(order.count),
        "notes" => Value::Seq(order.notes.iter().map(|note| text(note)).collect()),
        "price" => Value::Option(order.price.map(|price| Box::new(Value::I32(price)))),
        "kind" => {
            // Other numbers than now.
            let variant = |index, name, of| Value::Variant("Kind", index, name, Box::new(of));
            match &order.kind {
                Kind::Plain => variant(7, "Plain", Value::Unit),
                Kind::Sized { width } => {
                    let size = vec![("height", Value::Unit), ("width", Value::U64(*width))];
                    variant(0, "Sized", Value::Struct("Sized", size))
                }
                Kind::Made(by, year) => {
                    let made = vec![text(by), Value::I32(*year)];
                    variant(1, "Made", Value::Tuple(made))
                }
            }
        }
        _ => {
            let marks = order.marks.iter();
            Value::Map(
                marks
                    .map(|(name, is)| (text(name), Value::Bool(*is)))
                    .collect(),
            )
        }
    }
}

/// An order of which only these fields are known.
fn only(order: &Order, fields: &[&str]) -> Order {
    fn of<T: Clone + Default>(value: &T, is_known: bool) -> T {
        if is_known {
            value.clone()
        } else {
            T::default()
        }
    }
    let is = |name| fields.contains(&name);
    Order {
        item: of(&order.item, is("item")),
        count: of(&order.count, is("count")),
        notes: of(&order.notes, is("notes")),
        price: of(&order.price, is("price")),
        kind: of(&order.kind, is("kind")),
        marks: of(&order.marks, is("marks")),
    }
}

const FIELDS: [&str; 6] = ["item", "count", "notes", "price", "kind", "marks"];

fn orders() -> impl Strategy<Value = Order> {
    let kinds = prop_oneof![
        Just(Kind::Plain),
        any::<u64>().prop_map(|width| Kind::Sized { width }),
        ("[a-z]{0,5}", any::<i32>()).prop_map(|(by, year)| Kind::Made(by, year)),
    ];
    let parts = (
        "[a-z]{0,20}".prop_map(Str::from),
        any::<u64>(),
        vec("[a-z]{0,5}", 0..3),
        any::<Option<i32>>(),
        kinds,
        proptest::collection::btree_map("[a-z]{1,3}", any::<bool>(), 0..3),
    );
    parts.prop_map(|(item, count, notes, price, kind, marks)| Order {
        item,
        count,
        notes,
        price,
        kind,
        marks,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the type, its shape is enough to read what was written.
    #[test]
    fn records_of_any_type_are_read_by_their_shape(
        (shape, records) in types().prop_flat_map(|shape| {
            let records = vec(values(&shape), 0..6);
            (Just(shape), records)
        }),
    ) {
        let bytes = written_before(&records);
        let mut rest = &bytes[..];
        let found = Shape::take(&mut rest).unwrap();
        prop_assert!(shape.has(&found), "{} for {}", found, shape);
        let mut reader = RecordReader::new(RecordCodec::<Value>::new(), &mut &bytes[..]).unwrap();
        for record in records {
            prop_assert_eq!(reader.read(&mut rest).unwrap(), record.untyped());
        }
        prop_assert!(rest.is_empty());
    }

    /// Fields were added, removed and moved; what both versions have is there.
    #[test]
    fn a_changed_struct_has_what_both_versions_have(
        saved in Just(FIELDS.to_vec()).prop_shuffle(),
        known in 0..=FIELDS.len(),
        (place, gone) in (any::<prop::sample::Index>(), types()),
        rows in vec((orders(), any::<prop::sample::Index>()), 0..6),
        extra in vec(any::<u64>(), 6),
    ) {
        let saved = &saved[..known];
        // One of another type, that there is no more.
        let place = place.index(known + 1);
        let gone = values(&gone);
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut gone = || gone.new_tree(&mut runner).map(|tree| {
            proptest::strategy::ValueTree::current(&tree)
        });
        let mut before = Vec::new();
        for ((order, _), extra) in rows.iter().zip(extra) {
            let mut fields: Vec<_> = saved.iter().map(|name| (*name, field_of(order, name))).collect();
            fields.insert(place, ("gone", gone().unwrap()));
            fields.push(("extra", Value::U64(extra)));
            before.push((extra, Value::Struct("OldOrder", fields)));
        }
        let after: Vec<(u64, Order)> = read(&written_before(&before));
        let expected: Vec<_> = rows.iter().map(|(order, _)| only(order, saved)).collect();
        prop_assert_eq!(after.into_iter().map(|(_, order)| order).collect::<Vec<_>>(), expected);
    }

    /// What has not changed is found to be so, however much of it there is at first.
    #[test]
    fn the_same_type_reads_what_it_wrote(orders in vec(orders(), 0..20)) {
        let (read, is_plain) = try_read::<Order>(&written(&orders)).unwrap();
        prop_assert_eq!(is_plain, !orders.is_empty());
        prop_assert_eq!(read, orders);
    }

    #[test]
    fn any_bytes_are_records_or_an_error(bytes in vec(any::<u8>(), 0..64)) {
        let _ = try_read::<(Str, Order)>(&bytes);
        let _ = try_read::<Value>(&bytes);
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Visits {
    pages: u32,
    seconds: u32,
}

const VISITS: Visits = Visits {
    pages: 3,
    seconds: 40,
};

#[test]
fn swapped_fields_are_told_apart() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Swapped {
        seconds: u32,
        pages: u32,
    }
    // Also where one row looks the same.
    let before = [
        Visits {
            pages: 1,
            seconds: 1,
        },
        VISITS,
    ];
    let after = [(1, 1), (40, 3)].map(|(seconds, pages)| Swapped { seconds, pages });
    assert_eq!(read::<Swapped>(&written(&before)), after);
}

#[test]
fn a_field_of_another_type_is_an_error_that_names_both_sides() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Signed {
        pages: u32,
        seconds: i32,
    }
    assert_eq!(
        error::<(u64, Signed)>(&written(&[(7_u64, VISITS)])),
        "illegal state: saved as (u64, Visits {pages: u32, seconds: u32}), which cannot be read as a \
         (u64, a_field_of_another_type_is_an_error_that_names_both_sides::Signed) now: at \
         1.seconds: saved as u32, and i32 now"
    );
}

#[test]
fn a_new_field_without_a_default_is_an_error_that_names_both_sides() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct More {
        pages: u32,
        seconds: u32,
        clicks: u32,
    }
    assert_eq!(
        error::<Vec<More>>(&written(&[[VISITS]])),
        "illegal state: saved as (Visits {pages: u32, seconds: u32},), which cannot be read as a \
         alloc::vec::Vec<a_new_field_without_a_default_is_an_error_that_names_both_sides::More> \
         now: saved as (Visits {pages: u32, seconds: u32},), and a list now"
    );
    assert_eq!(
        error::<Vec<More>>(&written(&[vec![VISITS]])),
        "illegal state: saved as [Visits {pages: u32, seconds: u32}], which cannot be read as a \
         alloc::vec::Vec<a_new_field_without_a_default_is_an_error_that_names_both_sides::More> \
         now: at 0: the field \"clicks\" was not saved and has no default: give it \
         #[serde(default)] (saved as Visits {pages: u32, seconds: u32}, and More {pages, seconds, \
         clicks} now)"
    );
}

#[test]
fn values_may_become_wider_and_optional() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wider {
        pages: Option<i64>,
        #[serde(alias = "seconds")]
        time: u128,
    }
    let wider = Wider {
        pages: Some(3),
        time: 40,
    };
    assert_eq!(read::<Wider>(&written(&[VISITS])), [wider]);
    assert_eq!(read::<f64>(&written(&[1.5_f32])), [1.5]);
    for (from, to) in [
        (error::<u16>(&written(&[1_u32])), "u32, and u16 now"),
        (error::<u32>(&written(&[1_i16])), "i16, and u32 now"),
        (error::<i32>(&written(&[1_u32])), "u32, and i32 now"),
        (error::<f32>(&written(&[1.0_f64])), "f64, and f32 now"),
        (error::<u64>(&written(&[1.0_f64])), "f64, and u64 now"),
        (error::<String>(&written(&['a'])), "char, and str now"),
        (
            error::<u64>(&written(&[Some(1_u64)])),
            "Option<u64>, and u64 now",
        ),
        (
            error::<[u8; 2]>(&written(&[vec![1_u8]])),
            "[u8], and a tuple of 2 now",
        ),
        (
            error::<(u8, u8)>(&written(&[[1_u8; 3]])),
            "(u8, u8, u8), and a tuple of 2 now",
        ),
        (
            error::<BTreeMap<u8, u8>>(&written(&[VISITS])),
            "u32}, and a map now",
        ),
        (
            error::<(u32, u32)>(&written(&[VISITS])),
            "u32}, and a tuple of 2 now",
        ),
        (
            error::<Visits>(&written(&[(1, 2)])),
            "and Visits {pages, seconds} now",
        ),
        (
            error::<Kind>(&written(&[1])),
            "i32, and Kind <Plain, Sized, Made> now",
        ),
    ] {
        assert!(from.ends_with(to), "{from}");
    }
}

#[test]
fn a_new_type_around_a_value_changes_nothing() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Id(u64);
    assert!(matches!(try_read::<Id>(&written(&[7_u64])), Ok((ids, true)) if ids == [Id(7)]));
}

#[test]
fn variants_are_found_by_name() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Now {
        Made(String, i32),
        Other,
        #[serde(alias = "Plain")]
        Simple,
    }
    let before = [Kind::Made("a".to_owned(), 7), Kind::Plain];
    let after = [Now::Made("a".to_owned(), 7), Now::Simple];
    assert_eq!(read::<Now>(&written(&before)), after);
    let gone = error::<Now>(&written(&[Kind::Sized { width: 1 }]));
    assert!(
        gone.ends_with("the variant \"Sized\" was saved, and there are only [\"Made\", \"Other\", \"Plain\", \"Simple\"] now"),
        "{gone}"
    );
    // Those that come late are looked at, too: `Other` has the number of what was `Sized`.
    let mut late = vec![Kind::Plain; 100];
    late.push(Kind::Sized { width: 9 });
    let error = try_read::<Now>(&written(&late)).err().unwrap();
    assert!(error.to_string().contains("\"Sized\""), "{error}");
}

/// serde numbers the variants that it reads in another way than those that it writes.
#[test]
fn a_variant_behind_one_that_is_skipped_is_right() {
    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    enum Skips {
        A,
        #[serde(skip)]
        #[expect(dead_code, reason = "it is there to be skipped")]
        B,
        C,
        D,
    }
    let all = [Skips::A, Skips::C, Skips::D];
    assert_eq!(read::<Skips>(&written(&all)), all);
    assert_eq!(read::<Skips>(&written(&[Skips::C])), [Skips::C]);
}

/// A field that is read and never written: all is read by name, as without names the next
/// record would be taken for it.
#[test]
fn a_field_that_is_never_written_has_its_default() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Login {
        user: u32,
        #[serde(skip_serializing, default)]
        tries: u32,
    }
    // Nor is it if it is written and never read.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Passed {
        user: u32,
        #[serde(skip_deserializing)]
        tries: u32,
    }
    let passed = [1, 2, 3, 4].map(|user| Passed { user, tries: 7 });
    let tries = 0;
    let expected = passed.clone().map(|it| Passed { tries, ..it });
    let bytes = written(&passed);
    let (mut input, mut read) = (&bytes[..], Vec::new());
    let mut reader = RecordReader::new(RecordCodec::<Passed>::new(), &mut input).unwrap();
    reader.read_all(input, |record| read.push(record)).unwrap();
    assert_eq!(read, expected);
    assert!(matches!(reader.how, How::ByName));
    let logins = [1, 2, 3, 4].map(|user| Login { user, tries: 0 });
    assert_eq!(
        try_read(&written(&logins)).unwrap(),
        (logins.to_vec(), false)
    );
}

#[test]
fn records_without_bytes_have_a_shape() {
    let bytes = written(&[(), ()]);
    assert_eq!(bytes, [1]);
    let mut input = &bytes[..];
    let mut reader = RecordReader::new(RecordCodec::<()>::new(), &mut input).unwrap();
    reader.read(&mut input).unwrap();
    assert!(
        RecordReader::new(RecordCodec::<u8>::new(), &mut &bytes[..])
            .unwrap()
            .read(&mut input)
            .is_err()
    );
    assert!(written::<u64>(&[]).is_empty());
}

/// All of a hash map is looked at as long as it can show something new.
#[test]
#[expect(clippy::disallowed_types, reason = "programs have it")]
fn maps_in_any_order_are_plain() {
    let maps: Vec<std::collections::HashMap<String, Option<u32>>> = (0..20)
        .map(|n| {
            (0..n)
                .map(|m| (m.to_string(), (m == 18).then_some(m)))
                .collect()
        })
        .collect();
    let (read, is_plain) = try_read(&written(&maps)).unwrap();
    assert_eq!((read, is_plain), (maps, true));
}

#[test]
fn pairs_are_read_in_parts() {
    let bytes = written(&[(Str::from("a"), VISITS)]);
    let codec = RecordCodec::<(Str, (u64, Visits))>::of_pairs();
    let mut input = &bytes[..];
    let mut reader = RecordReader::new(codec, &mut input).unwrap();
    let error = reader.read(&mut input).unwrap_err().to_string();
    assert!(
        error.contains("saved as Visits {pages: u32, seconds: u32}"),
        "{error}"
    );

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pages {
        pages: u64,
    }
    let mut input = &bytes[..];
    let mut reader =
        RecordReader::new(RecordCodec::<(Str, Pages)>::of_pairs(), &mut input).unwrap();
    let pages = reader.read(&mut input).unwrap();
    assert_eq!(pages, (Str::from("a"), Pages { pages: 3 }));
    let codec = RecordCodec::<((), Pages)>::of_values();
    let bytes = written(&[VISITS]);
    let mut input = &bytes[..];
    let mut reader = RecordReader::new(codec, &mut input).unwrap();
    assert_eq!(reader.read(&mut input).unwrap(), ((), Pages { pages: 3 }));
}

#[test]
fn what_several_wrote_is_read_as_one() {
    let codec = RecordCodec::<Kind>::new();
    let kinds = [
        Kind::Plain,
        Kind::Made("a".to_owned(), 1),
        Kind::Sized { width: 2 },
    ];
    let writers = kinds.clone().map(|kind| {
        let mut writer = RecordWriter::new(codec);
        writer.write(&kind).unwrap();
        writer
    });
    let writers = writers.into_iter().chain([RecordWriter::new(codec)]);
    let bytes = joined(b"head", &writers.collect::<Vec<_>>()).unwrap();
    let mut input = &bytes[..];
    let mut reader = RecordReader::new(codec, &mut input).unwrap();
    input = input.strip_prefix(b"head").unwrap();
    for kind in kinds {
        assert_eq!(reader.read(&mut input).unwrap(), kind);
    }
    assert!(matches!(reader.how, How::Plain));
    assert!(joined::<Kind>(&[], &[]).unwrap().is_empty());
    let of = |leaf| RecordWriter {
        codec,
        shape: Shape::Leaf(leaf),
        is_closed: true,
        ..RecordWriter::new(codec)
    };
    let error = joined(&[], &[of(Leaf::U8), of(Leaf::Str)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid argument: records have no shape in common: u8 and str"
    );
}
