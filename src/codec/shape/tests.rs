//! Shapes: their bytes, and what two know together.

use proptest::collection::vec;
use proptest::prelude::*;

use super::bytes::{LEAVES, MAX_DEPTH};
use super::*;

const NAMES: [&str; 5] = ["count", "item", "note", "at", "Order"];

fn names() -> impl Strategy<Value = Name> {
    proptest::sample::select(&NAMES[..]).prop_map(Name::Borrowed)
}

/// Any shape.
fn shapes() -> impl Strategy<Value = Shape> {
    let leaves = prop_oneof![
        Just(Shape::Unknown),
        Just(Shape::Deep),
        proptest::sample::select(&LEAVES[..]).prop_map(Shape::Leaf),
    ];
    leaves.prop_recursive(4, 24, 4, |inner| {
        let variant = (any::<u32>(), names(), inner.clone());
        let variant = variant.prop_map(|(index, name, shape)| Variant { index, name, shape });
        prop_oneof![
            inner.clone().prop_map(|of| Shape::Option(Box::new(of))),
            inner.clone().prop_map(|of| Shape::Seq(Box::new(of))),
            (inner.clone(), inner.clone()).prop_map(|of| Shape::Map(Box::new(of))),
            vec(inner.clone(), 0..4).prop_map(Shape::Tuple),
            (names(), vec((names(), inner), 0..4)).prop_map(|(name, of)| Shape::Struct(name, of)),
            (names(), vec(variant, 0..4)).prop_map(|(name, of)| Shape::Enum(name, of)),
        ]
    })
}

/// The same, with less known: where `keep` says no, nothing is.
fn part_of(shape: &Shape, keep: &mut impl FnMut() -> bool) -> Shape {
    if !keep() {
        return Shape::Unknown;
    }
    let mut part = |of: &Shape| part_of(of, keep);
    match shape {
        Shape::Option(of) => Shape::Option(Box::new(part(of))),
        Shape::Seq(of) => Shape::Seq(Box::new(part(of))),
        Shape::Map(of) => Shape::Map(Box::new((part(&of.0), part(&of.1)))),
        Shape::Tuple(of) => Shape::Tuple(of.iter().map(part).collect()),
        Shape::Struct(name, of) => {
            let of = of.iter().map(|(name, of)| (name.clone(), part(of)));
            Shape::Struct(name.clone(), of.collect())
        }
        leaf => leaf.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_give_the_shape_again(shape in shapes(), rest in vec(any::<u8>(), 0..4)) {
        let mut bytes = Vec::new();
        shape.write(&mut bytes);
        let len = bytes.len();
        for end in 1..len {
            prop_assert!(Shape::take(&mut &bytes[..end]).is_err());
        }
        bytes.extend(&rest);
        let mut input = &bytes[..];
        prop_assert_eq!(Shape::take(&mut input).unwrap(), shape);
        prop_assert_eq!(input, &rest[..]);
    }

    #[test]
    fn any_bytes_are_a_shape_or_an_error(bytes in vec(any::<u8>(), 0..64)) {
        let _ = Shape::take(&mut &bytes[..]);
    }

    #[test]
    fn two_parts_of_a_shape_fit(shape in shapes(), keeps in vec(0..4_u8, 64)) {
        let mut keeps = keeps.into_iter().cycle();
        let mut keep = || keeps.next() != Some(0);
        let (one, other) = (part_of(&shape, &mut keep), part_of(&shape, &mut keep));
        prop_assert!(one.has(&one) && one.has(&Shape::Unknown));
        prop_assert!(shape.has(&one) && shape.has(&other));
        let mut both = one.clone();
        both.merge(&other).unwrap();
        prop_assert!(both.has(&one) && both.has(&other) && shape.has(&both));
        both.merge(&shape).unwrap();
        prop_assert_eq!(both, shape);
    }
}

fn leaf(leaf: Leaf) -> Shape {
    Shape::Leaf(leaf)
}

fn order(second: (&'static str, Leaf)) -> Shape {
    let fields = [("item", Leaf::Str), second];
    let fields = fields.map(|(name, of)| (Name::Borrowed(name), leaf(of)));
    Shape::Struct(Name::Borrowed("Order"), fields.to_vec())
}

fn variant(index: u32, name: &'static str, shape: Shape) -> Variant {
    Variant {
        index,
        name: Name::Borrowed(name),
        shape,
    }
}

/// The format is in files that outlive this version.
#[test]
fn the_bytes_of_a_shape_are_for_ever() {
    fn check(shape: &Shape, bytes: &[u8]) {
        let mut written = Vec::new();
        shape.write(&mut written);
        assert_eq!(written, bytes);
        assert_eq!(Shape::take(&mut &*bytes).unwrap(), *shape);
    }
    check(&Shape::Unknown, b"\x00");
    for (i, kind) in (1..).zip(LEAVES) {
        check(&leaf(kind), &[i]);
    }
    check(&Shape::Option(Box::new(leaf(Leaf::Bool))), b"\x20\x02");
    check(&Shape::Seq(Box::new(leaf(Leaf::U8))), b"\x21\x08");
    check(
        &Shape::Map(Box::new((leaf(Leaf::Str), Shape::Deep))),
        b"\x22\x10\x26",
    );
    check(
        &Shape::Tuple(vec![leaf(Leaf::U64), leaf(Leaf::I64)]),
        b"\x23\x02\x0b\x06",
    );
    check(
        &order(("count", Leaf::U32)),
        b"\x24\x05Order\x02\x04item\x10\x05count\x0a",
    );
    check(
        &Shape::Enum(
            Name::Borrowed("E"),
            vec![variant(300, "A", leaf(Leaf::Unit))],
        ),
        b"\x25\x01E\x01\xac\x02\x01A\x01",
    );
    assert_eq!(Shape::take(&mut &b""[..]).unwrap(), Shape::Unknown);
    // A number of more than 32 bits is none of these.
    assert!(Shape::take(&mut &b"\x23\x81\x80\x80\x80\x10\x01"[..]).is_err());
    let lists = |depth: usize| [vec![33; depth], vec![1]].concat();
    assert!(Shape::take(&mut &lists(MAX_DEPTH)[..]).is_ok());
    assert!(Shape::take(&mut &lists(MAX_DEPTH + 1)[..]).is_err());
}

#[test]
fn what_differs_is_told() {
    let known = order(("count", Leaf::U32));
    for other in [
        order(("count", Leaf::U64)),
        order(("number", Leaf::U32)),
        leaf(Leaf::Str),
        Shape::Tuple(vec![leaf(Leaf::Str), leaf(Leaf::U32)]),
    ] {
        assert!(known.clone().merge(&other).is_err());
        assert!(!known.has(&other));
    }
    let of = |variants: Vec<Variant>| Shape::Enum(Name::Borrowed("E"), variants);
    let (a, b) = (
        variant(0, "A", leaf(Leaf::Unit)),
        variant(1, "B", leaf(Leaf::Unit)),
    );
    let both = of(vec![a.clone(), b.clone()]);
    assert!(both.has(&of(vec![b])) && both.has(&of(vec![a])));
    assert!(!both.has(&of(vec![variant(1, "A", leaf(Leaf::Unit))])));
}

#[test]
fn shapes_are_shown_as_in_rust() {
    let shape = Shape::Map(Box::new((
        Shape::Tuple(vec![leaf(Leaf::Str), Shape::Option(Box::default())]),
        Shape::Enum(
            Name::Borrowed("Kind"),
            vec![
                variant(0, "None", leaf(Leaf::Unit)),
                variant(2, "Many", Shape::Seq(Box::new(order(("count", Leaf::U32))))),
            ],
        ),
    )));
    assert_eq!(
        shape.to_string(),
        "{(str, Option<_>): Kind <0 None, 2 Many: [Order {item: str, count: u32}]>}"
    );
}
