//! The registry of shapes: finds the shape of a span, or makes one.
//!
//! It lives as long as what it codes: one a head generation, one a segment that is written, so it never outgrows
//! its bounds for long.
//!
//! - A *family* is all that a shape is but the values. A value slot of a family holds up to
//!   [`FIXED_VALUES_MAX`] different values; beyond that it is *varying* for every later span of the family.
//! - Everything is bounded. A span whose family is not admitted any more is coded against [`GENERIC`], with all
//!   its text inline: slower and larger, never wrong.
//! - Hits are verified against the strings: a hash collision costs time, not truth.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use model::Kind;

use crate::fields::Fields;
use crate::shape::{GENERIC, Shape, ShapeNumber, ShapeTable, Slot};
use crate::strings::{Strings, Symbol};

/// Different values a slot may have and still be part of the shape: 2 makes fewer shapes and larger rows, 16
/// makes 70 % more shapes for rows 1 % smaller.
const FIXED_VALUES_MAX: usize = 4;
/// Values longer than this are never part of a shape.
const FIXED_VALUE_BYTES_MAX: usize = 256;
/// Tags and annotations a shape may have.
const SLOTS_MAX: usize = 64;
/// Shapes a family may have before all its slots with more than one value vary.
const FAMILY_SHAPES_MAX: u32 = 64;
/// Families a service may have: ten operations with a hundred key sets each.
const SERVICE_FAMILIES_MAX: u32 = 1024;
/// Shapes a table may have; half a million spans of 400 operations have some 17,000.
const SHAPES_MAX: usize = 1 << 16;
/// Text a table may hold.
const TEXT_BYTES_MAX: usize = 16 << 20;

#[derive(Debug)]
struct Family {
    shape: Shape,
    slots: Vec<FamilySlot>,
    shapes: u32,
}

#[derive(Debug, Default)]
struct FamilySlot {
    varying: bool,
    seen: Vec<Symbol>,
}

/// A table that grows: finds the shape of a span, or makes one.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    table: ShapeTable,
    hasher: RandomState,
    families: Vec<Family>,
    family_numbers: HashTable<u32>,
    // Family number, shape number.
    shape_numbers: HashTable<(u32, ShapeNumber)>,
    service_families: HashMap<Symbol, u32, RandomState>,
}

impl Registry {
    pub(crate) fn table(&self) -> &ShapeTable {
        &self.table
    }

    pub(crate) fn into_table(self) -> ShapeTable {
        self.table
    }

    /// Memory it holds, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.table.strings.text_bytes() + self.table.len() * 256 + self.families.len() * 512
    }

    /// The shape of a span, if it is there already.
    pub(crate) fn find(&self, fields: &Fields<'_>) -> Option<ShapeNumber> {
        let family = self.find_family(fields)?;
        self.find_shape(family, fields)
    }

    /// The shape of a span, made where there is none; [`GENERIC`] where a bound is reached.
    pub(crate) fn insert(&mut self, fields: &Fields<'_>) -> ShapeNumber {
        let Some(family) = self.find_family(fields).or_else(|| self.insert_family(fields)) else {
            return GENERIC;
        };
        if let Some(found) = self.find_shape(family, fields) {
            return found;
        }
        if self.is_full() {
            return GENERIC;
        }
        self.note_values(family, fields);
        self.find_shape(family, fields)
            .unwrap_or_else(|| self.insert_shape(family, fields))
    }

    fn is_full(&self) -> bool {
        self.table.shapes.len() >= SHAPES_MAX || self.table.strings.text_bytes() >= TEXT_BYTES_MAX
    }

    fn family_hash(&self, fields: &Fields<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(flags_of(fields.kind, fields.debug, fields.shared));
        for text in [fields.local_service(), fields.name, fields.remote_service()] {
            hasher.write(text.unwrap_or_default().as_bytes());
            hasher.write_u8(0xff);
        }
        for (key, _) in &fields.tags {
            hasher.write(key.as_bytes());
            hasher.write_u8(0xff);
        }
        hasher.write_usize(fields.annotations.len());
        hasher.finish()
    }

    fn find_family(&self, fields: &Fields<'_>) -> Option<u32> {
        let is_it = |&number: &u32| self.is_family(&self.families[number as usize].shape, fields);
        self.family_numbers.find(self.family_hash(fields), is_it).copied()
    }

    fn is_family(&self, shape: &Shape, fields: &Fields<'_>) -> bool {
        let strings = &self.table.strings;
        let equal = |symbol: Symbol, text: Option<&str>| match text {
            None => symbol == Symbol::NONE,
            Some(text) => symbol != Symbol::NONE && strings.get(symbol) == text,
        };
        (shape.kind, shape.debug, shape.shared) == (fields.kind, fields.debug, fields.shared)
            && equal(shape.service, fields.local_service())
            && equal(shape.name, fields.name)
            && equal(shape.remote_service, fields.remote_service())
            && shape.annotations.len() == fields.annotations.len()
            && shape.tags.len() == fields.tags.len()
            && shape
                .tags
                .iter()
                .zip(&fields.tags)
                .all(|((key, _), (text, _))| strings.get(*key) == *text)
    }

    fn insert_family(&mut self, fields: &Fields<'_>) -> Option<u32> {
        let too_long = |text: Option<&str>| text.is_some_and(|text| text.len() > FIXED_VALUE_BYTES_MAX);
        if self.is_full()
            || fields.tags.len() + fields.annotations.len() > SLOTS_MAX
            || [fields.local_service(), fields.name, fields.remote_service()]
                .into_iter()
                .any(too_long)
            || fields.tags.iter().any(|(key, _)| too_long(Some(key)))
        {
            return None;
        }
        // A service that is not known yet costs one entry here, bounded by the families there may be.
        let known = self.table.strings.find_option(fields.local_service());
        let families = known
            .and_then(|service| self.service_families.get(&service))
            .copied()
            .unwrap_or(0);
        if families >= SERVICE_FAMILIES_MAX || self.families.len() >= SHAPES_MAX {
            return None;
        }
        let hash = self.family_hash(fields);
        let strings = &mut self.table.strings;
        let shape = Shape {
            kind: fields.kind,
            debug: fields.debug,
            shared: fields.shared,
            service: strings.insert_option(fields.local_service()),
            name: strings.insert_option(fields.name),
            remote_service: strings.insert_option(fields.remote_service()),
            tags: fields
                .tags
                .iter()
                .map(|(key, _)| (strings.insert(key), None))
                .collect(),
            annotations: vec![None; fields.annotations.len()].into(),
        };
        *self.service_families.entry(shape.service).or_default() += 1;
        let number = self.families.len() as u32;
        let slots = (0..shape.tags.len() + shape.annotations.len())
            .map(|_| FamilySlot::default())
            .collect();
        self.families.push(Family {
            shape,
            slots,
            shapes: 0,
        });
        let hashes = FamilyHashes {
            strings: &self.table.strings,
            hasher: &self.hasher,
            families: &self.families,
        };
        self.family_numbers
            .insert_unique(hash, number, |&number| hashes.of(number));
        Some(number)
    }

    /// Values of all slots in order: tags, then annotations.
    fn values<'f>(fields: &'f Fields<'_>) -> impl Iterator<Item = &'f str> {
        fields
            .tags
            .iter()
            .map(|tag| tag.1)
            .chain(fields.annotations.iter().map(|annotation| annotation.1))
    }

    fn shape_hash(&self, family: u32, fields: &Fields<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(family);
        for (slot, value) in self.families[family as usize]
            .slots
            .iter()
            .zip(Self::values(fields))
        {
            if slot.varying {
                hasher.write_u8(0xfe);
            } else {
                hasher.write(value.as_bytes());
                hasher.write_u8(0xff);
            }
        }
        hasher.finish()
    }

    fn find_shape(&self, family: u32, fields: &Fields<'_>) -> Option<ShapeNumber> {
        let slots = &self.families[family as usize].slots;
        let strings = &self.table.strings;
        let is_it = |&(of, number): &(u32, ShapeNumber)| {
            let shape = &self.table.shapes[number as usize];
            of == family
                && slot_symbols(shape)
                    .zip(slots)
                    .zip(Self::values(fields))
                    .all(|((symbol, slot), value)| match symbol {
                        None => slot.varying,
                        Some(symbol) => !slot.varying && strings.get(symbol) == value,
                    })
        };
        self.shape_numbers
            .find(self.shape_hash(family, fields), is_it)
            .map(|found| found.1)
    }

    /// Learns from a span that no shape of its family fits which slots vary.
    fn note_values(&mut self, family: u32, fields: &Fields<'_>) {
        let family = &mut self.families[family as usize];
        let crowded = family.shapes >= FAMILY_SHAPES_MAX;
        for (slot, value) in family.slots.iter_mut().zip(Self::values(fields)) {
            if slot.varying {
                continue;
            }
            let known = self
                .table
                .strings
                .find(value)
                .filter(|symbol| slot.seen.contains(symbol));
            let several = slot.seen.len() + usize::from(known.is_none()) > 1;
            if (crowded && several)
                || value.len() > FIXED_VALUE_BYTES_MAX
                || (known.is_none() && slot.seen.len() >= FIXED_VALUES_MAX)
            {
                *slot = FamilySlot {
                    varying: true,
                    seen: Vec::new(),
                };
            } else if known.is_none() {
                slot.seen.push(self.table.strings.insert(value));
            }
        }
    }

    fn insert_shape(&mut self, family_number: u32, fields: &Fields<'_>) -> ShapeNumber {
        let hash = self.shape_hash(family_number, fields);
        let Self { table, families, .. } = self;
        let family = &mut families[family_number as usize];
        family.shapes += 1;
        let mut slots = family
            .slots
            .iter()
            .zip(Self::values(fields))
            .map(|(slot, value)| {
                if slot.varying {
                    None
                } else {
                    Some(table.strings.insert(value))
                }
            });
        let mut shape = family.shape.clone();
        shape
            .tags
            .iter_mut()
            .for_each(|tag| tag.1 = slots.next().flatten());
        shape
            .annotations
            .iter_mut()
            .for_each(|annotation| *annotation = slots.next().flatten());
        drop(slots);
        let number = table.shapes.len() as ShapeNumber;
        table.shapes.push(shape);
        let Self {
            table,
            hasher,
            shape_numbers,
            ..
        } = self;
        shape_numbers.insert_unique(hash, (family_number, number), |&(family, number)| {
            let mut state = hasher.build_hasher();
            state.write_u32(family);
            for symbol in slot_symbols(&table.shapes[number as usize]) {
                match symbol {
                    None => state.write_u8(0xfe),
                    Some(symbol) => {
                        state.write(table.strings.get(symbol).as_bytes());
                        state.write_u8(0xff);
                    }
                }
            }
            state.finish()
        });
        number
    }
}

/// The hash of a family from its shape, as [`Registry::family_hash`] makes it from fields.
struct FamilyHashes<'a> {
    strings: &'a Strings,
    hasher: &'a RandomState,
    families: &'a [Family],
}

impl FamilyHashes<'_> {
    fn of(&self, number: u32) -> u64 {
        let shape = &self.families[number as usize].shape;
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(flags_of(shape.kind, shape.debug, shape.shared));
        let keys = shape.tags.iter().map(|tag| tag.0);
        for symbol in [shape.service, shape.name, shape.remote_service]
            .into_iter()
            .chain(keys)
        {
            hasher.write(self.strings.get(symbol).as_bytes());
            hasher.write_u8(0xff);
        }
        hasher.write_usize(shape.annotations.len());
        hasher.finish()
    }
}

fn flags_of(kind: Option<Kind>, debug: bool, shared: bool) -> u8 {
    kind.map_or(0, |kind| kind as u8) | u8::from(debug) << 3 | u8::from(shared) << 4
}

fn slot_symbols(shape: &Shape) -> impl Iterator<Item = Slot> {
    shape
        .tags
        .iter()
        .map(|tag| tag.1)
        .chain(shape.annotations.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arbitrary_spans, span};
    use proptest::prelude::*;
    use storage_record::bytes::Cursor;

    fn insert(registry: &mut Registry, span: &model::Span) -> ShapeNumber {
        registry.insert(&Fields::of_span(span))
    }

    #[test]
    fn spans_of_one_operation_share_a_shape() {
        let mut registry = Registry::default();
        let first = insert(&mut registry, &span(1, 1, 10));
        assert_ne!(first, GENERIC);
        assert_eq!(insert(&mut registry, &span(2, 2, 20)), first);
        assert_eq!(registry.find(&Fields::of_span(&span(3, 3, 30))), Some(first));
        let other = model::Span {
            name: Some("post /cart".into()),
            ..span(1, 1, 10)
        };
        assert_ne!(insert(&mut registry, &other), first);
    }

    #[test]
    fn a_value_that_takes_many_forms_varies() {
        let mut registry = Registry::default();
        let mut numbers = std::collections::BTreeSet::new();
        for user in 0..1000 {
            let mut span = span(1, 1, 10);
            span.tags[1].1 = format!("user-{user}");
            numbers.insert(insert(&mut registry, &span));
        }
        assert_eq!(numbers.len(), FIXED_VALUES_MAX + 1);
        let last = registry.table.get(*numbers.last().unwrap()).unwrap();
        assert_eq!(last.tags[1].1, None);
        assert!(last.tags[0].1.is_some());
    }

    #[test]
    fn hostile_names_end_in_the_generic_shape_and_bounded_memory() {
        let mut registry = Registry::default();
        let mut generic = 0;
        for name in 0..20_000 {
            let span = model::Span {
                name: Some(format!("name-{name}")),
                ..span(1, 1, 10)
            };
            generic += usize::from(insert(&mut registry, &span) == GENERIC);
        }
        assert_eq!(20_000 - generic, SERVICE_FAMILIES_MAX as usize);
        assert!(registry.bytes() < 2 << 20, "{} bytes", registry.bytes());
        let long = model::Span {
            name: Some("x".repeat(FIXED_VALUE_BYTES_MAX + 1)),
            ..span(1, 1, 10)
        };
        assert_eq!(insert(&mut Registry::default(), &long), GENERIC);
    }

    #[test]
    fn a_family_with_many_combinations_is_bounded() {
        let mut registry = Registry::default();
        let mut numbers = std::collections::BTreeSet::new();
        for combination in 0..4096u32 {
            let mut span = span(1, 1, 10);
            span.tags = (0..6)
                .map(|tag| (format!("k{tag}"), (combination >> (2 * tag) & 3).to_string()))
                .collect();
            numbers.insert(insert(&mut registry, &span));
        }
        assert!(
            numbers.len() <= 2 * FAMILY_SHAPES_MAX as usize,
            "{} shapes",
            numbers.len()
        );
    }

    proptest! {
        #[test]
        fn a_table_is_read_as_written_and_a_damaged_one_never_panics(
            spans in arbitrary_spans(20), at in any::<prop::sample::Index>(), value in any::<u8>(),
        ) {
            let mut registry = Registry::default();
            for span in &spans {
                let number = insert(&mut registry, span);
                prop_assert_eq!(registry.find(&Fields::of_span(span)), Some(number));
            }
            let table = registry.into_table();
            let mut bytes = Vec::new();
            table.put(&mut bytes);
            let read = ShapeTable::read(&mut Cursor::new(&bytes)).unwrap();
            prop_assert_eq!(&read.shapes, &table.shapes);
            for number in 0..table.strings.len() as u32 {
                prop_assert_eq!(read.strings.get(Symbol(number)), table.strings.get(Symbol(number)));
            }
            let at = at.index(bytes.len());
            bytes[at] = value;
            let _ = ShapeTable::read(&mut Cursor::new(&bytes));
        }
    }
}
