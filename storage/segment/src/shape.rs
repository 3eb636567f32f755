//! Shapes: what repeats from span to span of one operation.
//!
//! A shape is kind, flags, service, name, remote service, tag keys, and the values that hardly vary. A span is
//! then a shape number, its identifiers and times, and its few varying values (`row.rs`).

use model::Kind;

use crate::strings::{Strings, Symbol};
use storage_record::bytes::{Cursor, Malformed, Put};

/// The number of a shape in its table.
pub(crate) type ShapeNumber = u32;

/// The shape of spans that have none: everything is in the row.
pub(crate) const GENERIC: ShapeNumber = 0;

/// A value that is part of the shape, or `None` where it varies.
pub(crate) type Slot = Option<Symbol>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) kind: Option<Kind>,
    pub(crate) debug: bool,
    pub(crate) shared: bool,
    pub(crate) service: Symbol,
    pub(crate) name: Symbol,
    pub(crate) remote_service: Symbol,
    pub(crate) tags: Box<[(Symbol, Slot)]>,
    pub(crate) annotations: Box<[Slot]>,
}

impl Shape {
    /// Whether it names one of the strings that `symbols` says true of.
    pub(crate) fn names_any(&self, symbols: &[bool]) -> bool {
        let is_one = |symbol: &Symbol| symbols.get(symbol.0 as usize).copied().unwrap_or(false);
        [self.service, self.name, self.remote_service].iter().any(is_one)
            || self
                .tags
                .iter()
                .any(|(key, slot)| is_one(key) || slot.as_ref().is_some_and(is_one))
            || self.annotations.iter().flatten().any(is_one)
    }

    /// Whether a value of its spans is in their rows.
    pub(crate) fn has_open_slot(&self) -> bool {
        self.tags.iter().any(|tag| tag.1.is_none()) || self.annotations.iter().any(Option::is_none)
    }

    /// All values in order: of tags, then of annotations.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        let annotations = self.annotations.iter().copied();
        self.tags.iter().map(|tag| tag.1).chain(annotations)
    }
}

/// Shapes and their strings: what a row is read with.
#[derive(Clone, Debug)]
pub(crate) struct ShapeTable {
    pub(crate) strings: Strings,
    pub(crate) shapes: Vec<Shape>,
}

impl Default for ShapeTable {
    fn default() -> Self {
        Self {
            strings: Strings::default(),
            shapes: vec![Shape::default()],
        }
    }
}

impl ShapeTable {
    pub(crate) fn get(&self, number: ShapeNumber) -> Result<&Shape, Malformed> {
        self.shapes
            .get(number as usize)
            .ok_or(Malformed("a shape number beyond the shapes"))
    }

    pub(crate) fn len(&self) -> usize {
        self.shapes.len()
    }

    /// All shapes with their numbers, [`GENERIC`] first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ShapeNumber, &Shape)> {
        self.shapes
            .iter()
            .enumerate()
            .map(|(number, shape)| (number as ShapeNumber, shape))
    }

    /// The dictionary and shape sections of a segment; [`ShapeTable::read`] is the reverse.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_varint(self.strings.len() as u64 - 1);
        for number in 1..self.strings.len() {
            out.put_text(self.strings.get(Symbol(number as u32)));
        }
        out.put_varint(self.shapes.len() as u64 - 1);
        for shape in &self.shapes[1..] {
            out.push(
                shape.kind.map_or(0, |kind| kind as u8)
                    | u8::from(shape.debug) << 3
                    | u8::from(shape.shared) << 4,
            );
            for symbol in [shape.service, shape.name, shape.remote_service] {
                out.put_varint(u64::from(symbol.0));
            }
            out.put_varint(shape.tags.len() as u64);
            for (key, slot) in &shape.tags {
                out.put_varint(u64::from(key.0));
                out.put_varint(u64::from(slot.map_or(0, |symbol| symbol.0)));
            }
            out.put_varint(shape.annotations.len() as u64);
            for slot in &shape.annotations {
                out.put_varint(u64::from(slot.map_or(0, |symbol| symbol.0)));
            }
        }
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut table = Self::default();
        let strings = cursor.count(1)?;
        table.strings.reserve(strings);
        for _ in 0..strings {
            table.strings.insert_new(cursor.text()?);
        }
        let strings = table.strings.len() as u64;
        let symbol = |cursor: &mut Cursor<'_>| match cursor.varint()? {
            number if number < strings => Ok(Symbol(number as u32)),
            _ => Err(Malformed("a string number beyond the dictionary")),
        };
        let slot = |cursor: &mut Cursor<'_>| {
            symbol(cursor).map(|symbol| Some(symbol).filter(|s| *s != Symbol::NONE))
        };
        let shapes = cursor.count(6)?;
        table.shapes.reserve_exact(shapes);
        for _ in 0..shapes {
            let flags = cursor.u8()?;
            let mut shape = Shape {
                kind: Kind::from_number(u64::from(flags & 7)),
                debug: flags & 8 != 0,
                shared: flags & 16 != 0,
                service: symbol(cursor)?,
                name: symbol(cursor)?,
                remote_service: symbol(cursor)?,
                ..Shape::default()
            };
            // Of the length they end with: a table has tens of thousands of shapes, and most of the time to read it
            // would go into making lists longer and shorter.
            let count = cursor.count(2)?;
            let mut tags = Vec::with_capacity(count);
            for _ in 0..count {
                tags.push((symbol(cursor)?, slot(cursor)?));
            }
            shape.tags = tags.into_boxed_slice();
            let count = cursor.count(1)?;
            let mut annotations = Vec::with_capacity(count);
            for _ in 0..count {
                annotations.push(slot(cursor)?);
            }
            shape.annotations = annotations.into_boxed_slice();
            table.shapes.push(shape);
        }
        Ok(table)
    }
}
