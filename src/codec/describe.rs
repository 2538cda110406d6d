//! Finds the shape of records by letting them be written, to nowhere.

use std::cell::Cell;
use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use super::shape::{Leaf, Name, Shape, Variant};

/// From here on a type is not looked into any more.
const MAX_DEPTH: usize = 64;

/// So often a type can stand inside itself before it is said to do so without end. That a
/// type with a parameter stands in itself once or twice is no rarity.
const MAX_NESTED: usize = 3;

/// Takes in what a record shows of its shape; tells whether that was anything new.
///
/// # Errors
/// If it does not have the shape that was known.
pub(super) fn describe<T: Serialize + ?Sized>(record: &T, shape: &mut Shape) -> Result<bool, Odd> {
    let is_new = Cell::new(false);
    record.serialize(Describer {
        shape,
        is_new: &is_new,
        above: None,
    })?;
    Ok(is_new.get())
}

/// A record is not as those before it. In a box, as results without one are returned at
/// each value.
#[derive(Debug)]
pub(super) struct Odd(Box<OddRecord>);

#[derive(Debug)]
struct OddRecord {
    what: String,
    /// The fields around it, from the inside.
    path: Vec<&'static str>,
}

impl Odd {
    #[cold]
    fn new(known: &Shape, now: impl fmt::Display) -> Self {
        ser::Error::custom(format_args!("{known} in one record, and {now} in another"))
    }

    #[cold]
    fn inside(mut self, name: &'static str) -> Self {
        self.0.path.push(name);
        self
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in self.0.path.iter().rev() {
            write!(f, "{name}: ")?;
        }
        f.write_str(&self.0.what)
    }
}

impl std::error::Error for Odd {}

impl ser::Error for Odd {
    #[cold]
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(Box::new(OddRecord {
            what: what.to_string(),
            path: Vec::new(),
        }))
    }
}

/// What stands around a value, from the inside: the names of types, or none.
#[derive(Clone, Copy)]
struct Above<'a> {
    name: &'static str,
    up: Option<&'a Above<'a>>,
}

/// Looks at one value.
struct Describer<'a> {
    shape: &'a mut Shape,
    is_new: &'a Cell<bool>,
    above: Option<&'a Above<'a>>,
}

impl<'a> Describer<'a> {
    /// The shape, and what its parts have around them. If nothing is known of it, it begins
    /// as `new`.
    #[inline]
    fn begin(
        mut self,
        name: &'static str,
        new: impl FnOnce() -> Shape,
    ) -> (&'a mut Shape, Around<'a>) {
        if matches!(self.shape, Shape::Unknown) {
            self.learn(name, new());
        }
        let around = Around {
            is_new: self.is_new,
            above: Above {
                name,
                up: self.above,
            },
        };
        (self.shape, around)
    }

    #[cold]
    fn learn(&mut self, name: &'static str, new: Shape) {
        *self.shape = match self.nests_in_itself(name) {
            true => Shape::Deep,
            false => new,
        };
        self.is_new.set(true);
    }

    fn nests_in_itself(&self, name: &str) -> bool {
        let (mut depth, mut same, mut above) = (0, 0, self.above);
        while let Some(it) = above {
            depth += 1;
            same += usize::from(!name.is_empty() && it.name == name);
            above = it.up;
        }
        depth >= MAX_DEPTH || same >= MAX_NESTED
    }

    #[inline]
    fn leaf(self, leaf: Leaf) -> Result<(), Odd> {
        match self.begin("", || Shape::Leaf(leaf)).0 {
            Shape::Leaf(known) if *known == leaf => Ok(()),
            Shape::Deep => Ok(()),
            known => Err(Odd::new(known, leaf.name())),
        }
    }

    #[inline]
    fn positions(self, name: &'static str, len: usize) -> Result<Positions<'a>, Odd> {
        let is_first = matches!(self.shape, Shape::Unknown);
        let (shape, around) = self.begin(name, || Shape::Tuple(Vec::with_capacity(len)));
        let is_known = |parts: &Vec<_>| is_first || parts.len() == len;
        if !matches!(shape, Shape::Deep) && !matches!(shape, Shape::Tuple(parts) if is_known(parts))
        {
            return Err(Odd::new(shape, format_args!("a tuple of {len}")));
        }
        Ok(Positions {
            around,
            parts: match shape {
                Shape::Tuple(parts) => Some(parts),
                _ => None,
            },
            next: 0,
        })
    }

    #[inline]
    fn fields(
        self,
        name: &'static str,
        named: &'static str,
        len: usize,
    ) -> Result<Fields<'a>, Odd> {
        let is_first = matches!(self.shape, Shape::Unknown);
        let new = || Shape::Struct(Name::Borrowed(named), Vec::with_capacity(len));
        let (shape, around) = self.begin(name, new);
        let fields = match shape {
            Shape::Struct(_, fields) => Some(fields),
            Shape::Deep => None,
            known => return Err(Odd::new(known, format_args!("the fields of {named}"))),
        };
        Ok(Fields {
            around,
            named,
            fields,
            next: 0,
            is_first,
        })
    }

    /// Looks at what a variant has.
    #[inline]
    fn variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<Describer<'a>, Odd> {
        let (is_new, above) = (self.is_new, self.above);
        let new = || Shape::Enum(Name::Borrowed(name), Vec::new());
        let (shape, _) = self.begin(name, new);
        let variants = match shape {
            Shape::Enum(_, variants) => variants,
            deep @ Shape::Deep => {
                return Ok(Describer {
                    shape: deep,
                    is_new,
                    above,
                });
            }
            known => return Err(Odd::new(known, format_args!("{name}::{variant}"))),
        };
        let place = match variants.iter().position(|it| it.index == index) {
            Some(place) => place,
            None => {
                variants.push(Variant {
                    index,
                    name: Name::Borrowed(variant),
                    shape: Shape::Unknown,
                });
                variants.len() - 1
            }
        };
        Ok(Describer {
            shape: &mut variants[place].shape,
            is_new,
            above,
        })
    }
}

/// What the parts of a value have around them.
#[derive(Clone, Copy)]
struct Around<'a> {
    is_new: &'a Cell<bool>,
    above: Above<'a>,
}

impl Around<'_> {
    #[inline]
    fn describe<T: Serialize + ?Sized>(&self, part: &T, shape: &mut Shape) -> Result<(), Odd> {
        // That can show nothing new.
        if matches!(shape, Shape::Leaf(_)) {
            return Ok(());
        }
        part.serialize(Describer {
            shape,
            is_new: self.is_new,
            above: Some(&self.above),
        })
    }

    /// As [`describe`](Self::describe), of one of many; tells whether there is nothing more
    /// to learn from the others.
    fn describe_one<T: Serialize + ?Sized>(
        &self,
        part: &T,
        shape: &mut Shape,
    ) -> Result<bool, Odd> {
        let was_new = self.is_new.replace(false);
        self.describe(part, shape)?;
        let is_new = self.is_new.get();
        self.is_new.set(was_new || is_new);
        Ok(is_new && shape.is_closed())
    }
}

/// Looks at the elements of a list, or at keys or values, as long as they can show more.
struct Elements<'a> {
    around: Around<'a>,
    of: Option<&'a mut Shape>,
}

impl<'a> Elements<'a> {
    fn new(around: Around<'a>, of: Option<&'a mut Shape>) -> Self {
        let of = of.filter(|of| !of.is_closed());
        Self { around, of }
    }

    fn next<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Odd> {
        if let Some(of) = &mut self.of
            && self.around.describe_one(element, of)?
        {
            self.of = None;
        }
        Ok(())
    }
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Odd;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Odd> {
        self.next(element)
    }

    fn end(self) -> Result<(), Odd> {
        Ok(())
    }
}

/// Looks at the entries of a map.
struct Entries<'a> {
    keys: Elements<'a>,
    values: Elements<'a>,
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Odd;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Odd> {
        self.keys.next(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Odd> {
        self.values.next(value)
    }

    fn end(self) -> Result<(), Odd> {
        Ok(())
    }
}

/// Looks at the parts of a tuple.
struct Positions<'a> {
    around: Around<'a>,
    parts: Option<&'a mut Vec<Shape>>,
    next: usize,
}

impl Positions<'_> {
    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Odd> {
        let Some(parts) = &mut self.parts else {
            return Ok(());
        };
        if self.next == parts.len() {
            // The first time: later the length is as it was.
            parts.push(Shape::Unknown);
        }
        self.next += 1;
        self.around.describe(part, &mut parts[self.next - 1])
    }
}

/// The three kinds of tuples are one to the bytes.
macro_rules! positions {
    ($($trait:ident $part:ident),*) => {$(
        impl ser::$trait for Positions<'_> {
            type Ok = ();
            type Error = Odd;

            fn $part<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Odd> {
                self.part(part)
            }

            fn end(self) -> Result<(), Odd> {
                Ok(())
            }
        }
    )*};
}

positions!(
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

/// Looks at fields.
struct Fields<'a> {
    around: Around<'a>,
    named: &'static str,
    fields: Option<&'a mut Vec<(Name, Shape)>>,
    next: usize,
    is_first: bool,
}

impl Fields<'_> {
    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Odd> {
        let Some(fields) = &mut self.fields else {
            return Ok(());
        };
        if self.is_first {
            fields.push((Name::Borrowed(name), Shape::Unknown));
        }
        let Some((_, shape)) = fields
            .get_mut(self.next)
            .filter(|(known, _)| is_same(known, name))
        else {
            return Err(self.sometimes(name));
        };
        self.next += 1;
        let described = self.around.describe(value, shape);
        described.map_err(|odd| odd.inside(name))
    }

    fn end(self) -> Result<(), Odd> {
        match self
            .fields
            .as_ref()
            .and_then(|fields| fields.get(self.next))
        {
            Some((missing, _)) => Err(self.sometimes(missing)),
            None => Ok(()),
        }
    }

    fn sometimes(&self, name: &str) -> Odd {
        ser::Error::custom(format_args!(
            "the field {name:?} of {} is left out in some records, by skip_serializing_if perhaps: \
             that cannot be read back",
            self.named
        ))
    }
}

/// Most often one place in the program has both.
#[inline]
fn is_same(known: &Name, name: &'static str) -> bool {
    std::ptr::addr_eq(known.as_ptr(), name.as_ptr()) && known.len() == name.len() || known == name
}

macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Fields<'_> {
            type Ok = ();
            type Error = Odd;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Odd> {
                self.field(name, value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Odd> {
                Err(self.sometimes(name))
            }

            fn end(self) -> Result<(), Odd> {
                Fields::end(self)
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

macro_rules! leaves {
    ($($serialize:ident($type:ty) $leaf:ident,)*) => {$(
        fn $serialize(self, _: $type) -> Result<(), Odd> {
            self.leaf(Leaf::$leaf)
        }
    )*};
}

impl<'a> Serializer for Describer<'a> {
    type Ok = ();
    type Error = Odd;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Positions<'a>;
    type SerializeTupleStruct = Positions<'a>;
    type SerializeTupleVariant = Positions<'a>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    leaves! {
        serialize_bool(bool) Bool,
        serialize_i8(i8) I8,
        serialize_i16(i16) I16,
        serialize_i32(i32) I32,
        serialize_i64(i64) I64,
        serialize_i128(i128) I128,
        serialize_u8(u8) U8,
        serialize_u16(u16) U16,
        serialize_u32(u32) U32,
        serialize_u64(u64) U64,
        serialize_u128(u128) U128,
        serialize_f32(f32) F32,
        serialize_f64(f64) F64,
        serialize_char(char) Char,
        serialize_str(&str) Str,
        serialize_bytes(&[u8]) Bytes,
        serialize_unit_struct(&'static str) Unit,
    }

    fn serialize_unit(self) -> Result<(), Odd> {
        self.leaf(Leaf::Unit)
    }

    /// The text itself is not needed.
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<(), Odd> {
        self.leaf(Leaf::Str)
    }

    fn serialize_none(self) -> Result<(), Odd> {
        match self.begin("", || Shape::Option(Box::default())).0 {
            Shape::Option(_) | Shape::Deep => Ok(()),
            known => Err(Odd::new(known, "an option")),
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Odd> {
        let (shape, around) = self.begin("", || Shape::Option(Box::default()));
        match shape {
            Shape::Option(of) => around.describe(value, of),
            Shape::Deep => Ok(()),
            known => Err(Odd::new(known, "an option")),
        }
    }

    /// It is written as what is in it.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Odd> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>, Odd> {
        let (shape, around) = self.begin("", || Shape::Seq(Box::default()));
        match shape {
            Shape::Seq(of) => Ok(Elements::new(around, Some(of))),
            Shape::Deep => Ok(Elements::new(around, None)),
            known => Err(Odd::new(known, "a list")),
        }
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, Odd> {
        let (shape, around) = self.begin("", || Shape::Map(Box::default()));
        let (keys, values) = match shape {
            Shape::Map(of) => (Some(&mut of.0), Some(&mut of.1)),
            Shape::Deep => (None, None),
            known => return Err(Odd::new(known, "a map")),
        };
        Ok(Entries {
            keys: Elements::new(around, keys),
            values: Elements::new(around, values),
        })
    }

    fn serialize_tuple(self, len: usize) -> Result<Positions<'a>, Odd> {
        self.positions("", len)
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Positions<'a>, Odd> {
        self.positions(name, len)
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields<'a>, Odd> {
        self.fields(name, name, len)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), Odd> {
        self.variant(name, index, variant)?.leaf(Leaf::Unit)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Odd> {
        let Describer {
            shape,
            is_new,
            above,
        } = self.variant(name, index, variant)?;
        let above = Above { name, up: above };
        let described = value.serialize(Describer {
            shape,
            is_new,
            above: Some(&above),
        });
        described.map_err(|odd| odd.inside(variant))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Positions<'a>, Odd> {
        self.variant(name, index, variant)?.positions(name, len)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Fields<'a>, Odd> {
        self.variant(name, index, variant)?
            .fields(name, variant, len)
    }

    /// As postcard, which writes nothing for people.
    fn is_human_readable(&self) -> bool {
        false
    }
}
