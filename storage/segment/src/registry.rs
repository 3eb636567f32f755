//! The registry of shapes: finds the shape of a span, or makes one.
//!
//! It lives as long as what it codes: one a head generation, so it never outgrows its bounds for long.
//!
//! - A *family* is all that a shape is but the values. A value slot of a family holds up to
//!   [`FIXED_VALUES_MAX`] different values; beyond that it is *varying* for every later span of the family.
//! - Everything is bounded. A span whose family is not admitted any more is coded against [`GENERIC`], with all
//!   its text inline: slower and larger, never wrong.
//! - Families and shapes are found by the symbols of their texts, so a text is hashed once a batch and not once a
//!   span; values that vary are never looked up. Hits are verified: a hash collision costs time, not truth.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::fields::Fields;
use crate::shape::{GENERIC, Shape, ShapeNumber, ShapeTable, Slot};
use crate::shape_text::ShapeText;
use crate::strings::Symbol;

mod keys;

use keys::KeyTable;
pub(crate) use keys::{FamilyHead, Key};

/// Different values a slot may have and still be part of the shape: 2 makes fewer shapes and larger rows, 16
/// makes 70 % more shapes for rows 1 % smaller.
pub(crate) const FIXED_VALUES_MAX: usize = 4;
/// Values longer than this are never part of a shape.
const FIXED_VALUE_BYTES_MAX: usize = 256;
/// Tags and annotations a shape may have: as many as there are bits in [`KnownFamily::varying`].
const SLOTS_MAX: usize = 64;
/// Shapes a family may have before all its slots with more than one value vary.
pub(crate) const FAMILY_SHAPES_MAX: u32 = 64;
/// Families a service may have: ten operations with a hundred key sets each.
const SERVICE_FAMILIES_MAX: u32 = 1024;
/// Shapes a table may have; half a million spans of 400 operations have some 17,000.
pub(crate) const SHAPES_MAX: usize = 1 << 16;
/// Text a table may hold.
pub(crate) const TEXT_BYTES_MAX: usize = 16 << 20;

/// The number of a family in a registry.
type FamilyNumber = u32;

/// A family as it is for as long as the registry does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownFamily {
    number: FamilyNumber,
    /// A bit for each slot that varies, the first the lowest.
    pub(crate) varying: u64,
}

impl KnownFamily {
    /// As the family is for a shape that leaves these values open: they vary as well.
    pub(crate) fn opened(self, open: u64) -> Self {
        Self {
            varying: self.varying | open,
            ..self
        }
    }
}

/// Where spans of a shape found their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) number: ShapeNumber,
    /// The values that are in their rows, a bit each: all of those that were open before, perhaps more. Of no meaning for
    /// [`GENERIC`].
    pub(crate) open: u64,
}

impl Placed {
    pub(crate) const GENERIC: Self = Self {
        number: GENERIC,
        open: 0,
    };
}

#[derive(Clone, Debug)]
struct Family {
    /// Its slots are all open.
    shape: Shape,
    /// The values that each slot had while it did not vary.
    seen: Box<[Vec<Symbol>]>,
    shapes: u32,
}

/// A table that grows: finds the shape of a span, or makes one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    table: ShapeTable,
    families: Vec<Family>,
    /// One a family, a bit for each slot that varies: beside the families, since it is all that a look for one needs.
    varying: Vec<u64>,
    family_numbers: KeyTable,
    shape_numbers: KeyTable,
    service_families: HashMap<Symbol, u32, RandomState>,
}

impl Registry {
    pub(crate) fn table(&self) -> &ShapeTable {
        &self.table
    }

    /// Memory it holds, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.table.strings.memory_bytes()
            + self.table.len() * 256
            + self.families.len() * 512
            + self.family_numbers.bytes()
            + self.shape_numbers.bytes()
    }

    /// Whether a text may be part of a shape.
    pub(crate) fn takes(text: &str) -> bool {
        text.len() <= FIXED_VALUE_BYTES_MAX
    }

    fn symbol(&self, text: &str) -> Option<Symbol> {
        if !Self::takes(text) {
            return None;
        }
        self.table.strings.find(text)
    }

    /// The symbols of texts that a registry takes, each if it is there already.
    pub(crate) fn symbols(&self, texts: &[&str]) -> Vec<Option<Symbol>> {
        self.table.strings.find_all(texts)
    }

    /// The family of a key, if it is there already.
    fn family(&self, key: &Key) -> Option<KnownFamily> {
        self.family_numbers.find(key).map(|number| self.known(number))
    }

    /// The families of keys, each if it is there already.
    pub(crate) fn families(&self, keys: &[Key]) -> Vec<Option<KnownFamily>> {
        let numbers = self.family_numbers.find_all(keys).into_iter();
        numbers.map(|number| Some(self.known(number?))).collect()
    }

    /// The shapes of keys, each if it is there already.
    pub(crate) fn shapes(&self, keys: &[Key]) -> Vec<Option<ShapeNumber>> {
        self.shape_numbers.find_all(keys)
    }

    fn known(&self, number: FamilyNumber) -> KnownFamily {
        KnownFamily {
            number,
            varying: self.varying[number as usize],
        }
    }

    /// The shape of a key, if it is there already.
    fn shape(&self, key: &Key) -> Option<ShapeNumber> {
        self.shape_numbers.find(key)
    }

    /// Whether a span that no family fits is coded against [`GENERIC`].
    pub(crate) fn refuses(&self, text: &ShapeText<'_>) -> bool {
        let too_long = |text: Option<&str>| text.is_some_and(|text| !Self::takes(text));
        let families = || {
            // A service that is not known yet costs one entry here, bounded by the families there may be.
            let known = self.table.strings.find_option(text.service);
            let families = known.and_then(|service| self.service_families.get(&service));
            families.copied().unwrap_or(0)
        };
        self.is_full()
            || self.families.len() >= SHAPES_MAX
            || text.values.len() > SLOTS_MAX
            || [text.service, text.name, text.remote_service]
                .into_iter()
                .any(too_long)
            || text.keys.iter().any(|key| too_long(Some(key)))
            || families() >= SERVICE_FAMILIES_MAX
    }

    /// Whether no shape can be made any more.
    pub(crate) fn is_full(&self) -> bool {
        self.table.shapes.len() >= SHAPES_MAX || self.table.strings.text_bytes() >= TEXT_BYTES_MAX
    }

    /// The shape of a span, made where there is none; [`GENERIC`] where a bound is reached.
    pub(crate) fn insert(&mut self, fields: &Fields<'_>) -> ShapeNumber {
        self.place(&ShapeText::of_fields(fields)).number
    }

    /// The shape for spans of one, made where there is none, which leaves open what their rows say and what varies in the
    /// family; [`GENERIC`] where a bound is reached.
    pub(crate) fn place(&mut self, text: &ShapeText<'_>) -> Placed {
        let mut key = Key::default();
        let Some(family) = self
            .family_of(text, &mut key)
            .or_else(|| self.insert_family(text, &mut key))
        else {
            return Placed::GENERIC;
        };
        let placed = |number: ShapeNumber, family: KnownFamily| Placed {
            number,
            open: family.varying,
        };
        let of_text = family.opened(text.open());
        if let Some(found) = self.shape_of(of_text, text, &mut key) {
            return placed(found, of_text);
        }
        if self.is_full() {
            return Placed::GENERIC;
        }
        let family = self.note_values(family, text);
        let number = self
            .shape_of(family, text, &mut key)
            .unwrap_or_else(|| self.insert_shape(family, text, &mut key));
        placed(number, family)
    }

    /// The shape of another table, made where there is none, open where that one is; [`GENERIC`] where a bound is
    /// reached.
    pub(crate) fn adopt(&mut self, from: &ShapeTable, shape: &Shape) -> ShapeNumber {
        if self.is_full() || self.families.len() >= SHAPES_MAX || shape.slots().count() > SLOTS_MAX {
            return GENERIC;
        }
        let strings = &mut self.table.strings;
        let mut translate = |symbol: Symbol| match symbol {
            Symbol::NONE => symbol,
            _ => strings.insert(from.strings.get(symbol)),
        };
        let translated = Shape {
            service: translate(shape.service),
            name: translate(shape.name),
            remote_service: translate(shape.remote_service),
            tags: shape
                .tags
                .iter()
                .map(|&(key, slot)| (translate(key), slot.map(&mut translate)))
                .collect(),
            annotations: shape
                .annotations
                .iter()
                .map(|slot| slot.map(&mut translate))
                .collect(),
            ..*shape
        };
        let open = translated
            .slots()
            .enumerate()
            .filter(|(_, value)| value.is_none());
        let open = open.fold(0, |bits, (slot, _)| bits | 1 << slot);
        let mut key = Key::default();
        let Some(number) = self.family_to_adopt(&translated, open, &mut key) else {
            return GENERIC;
        };
        // Not where the family varies by now: this is of the spans that are of the shape already.
        key.begin_shape(KnownFamily {
            number,
            varying: open,
        });
        translated.slots().flatten().for_each(|value| key.push(value));
        if let Some(found) = self.shape(&key) {
            return found;
        }
        let family = &mut self.families[number as usize];
        family.shapes += 1;
        for (seen, value) in family.seen.iter_mut().zip(translated.slots()) {
            if let Some(value) = value.filter(|value| !seen.contains(value)) {
                seen.push(value);
            }
        }
        self.push_shape(translated, &key)
    }

    /// The family of a shape of this table, made where there is none; then its slots vary where those of the shape
    /// are open.
    fn family_to_adopt(&mut self, shape: &Shape, open: u64, key: &mut Key) -> Option<FamilyNumber> {
        begin_family(shape, key);
        if let Some(found) = self.family(key) {
            return Some(found.number);
        }
        let families = self.service_families.get(&shape.service);
        if families.copied().unwrap_or(0) >= SERVICE_FAMILIES_MAX {
            return None;
        }
        let mut of_family = shape.clone();
        slots_mut(&mut of_family).for_each(|slot| *slot = None);
        Some(self.push_family(of_family, open, key).number)
    }

    fn family_of(&self, text: &ShapeText<'_>, key: &mut Key) -> Option<KnownFamily> {
        let find = |text: Option<&str>| text.map_or(Some(Symbol::NONE), |text| self.symbol(text));
        key.begin_family(&FamilyHead {
            kind: text.kind,
            debug: text.debug,
            shared: text.shared,
            service: find(text.service)?,
            name: find(text.name)?,
            remote_service: find(text.remote_service)?,
            annotations: text.annotations,
        });
        for tag in &text.keys {
            key.push(self.symbol(tag)?);
        }
        self.family(key)
    }

    /// The shape of a span, if it is there already.
    pub(crate) fn find(&self, fields: &Fields<'_>) -> Option<ShapeNumber> {
        let (text, mut key) = (ShapeText::of_fields(fields), Key::default());
        self.shape_of(self.family_of(&text, &mut key)?, &text, &mut key)
    }

    /// The shape that leaves open what varies in `family`, which is all that `text` does or more.
    fn shape_of(&self, family: KnownFamily, text: &ShapeText<'_>, key: &mut Key) -> Option<ShapeNumber> {
        key.begin_shape(family);
        for (slot, value) in text.values.iter().enumerate() {
            if family.varying >> slot & 1 == 0 {
                key.push(self.symbol((*value)?)?);
            }
        }
        self.shape(key)
    }

    fn insert_family(&mut self, text: &ShapeText<'_>, key: &mut Key) -> Option<KnownFamily> {
        if self.refuses(text) {
            return None;
        }
        let strings = &mut self.table.strings;
        let [service, name, remote_service] =
            [text.service, text.name, text.remote_service].map(|text| strings.insert_option(text));
        let keys = text.keys.iter().map(|key| (strings.insert(key), None));
        let shape = Shape {
            kind: text.kind,
            debug: text.debug,
            shared: text.shared,
            service,
            name,
            remote_service,
            tags: keys.collect(),
            annotations: vec![None; text.annotations].into(),
        };
        begin_family(&shape, key);
        Some(self.push_family(shape, 0, key))
    }

    /// Adds a family. `shape` has its slots open, `key` is its own.
    fn push_family(&mut self, shape: Shape, varying: u64, key: &Key) -> KnownFamily {
        *self.service_families.entry(shape.service).or_default() += 1;
        let number = self.families.len() as FamilyNumber;
        self.families.push(Family {
            seen: vec![Vec::new(); shape.tags.len() + shape.annotations.len()].into(),
            shape,
            shapes: 0,
        });
        self.varying.push(varying);
        self.family_numbers.insert_new(key, number);
        KnownFamily { number, varying }
    }

    /// Learns from spans that no shape of their family fits which slots vary.
    fn note_values(&mut self, family: KnownFamily, text: &ShapeText<'_>) -> KnownFamily {
        let number = family.number;
        let family = &mut self.families[number as usize];
        let varying = &mut self.varying[number as usize];
        let crowded = family.shapes >= FAMILY_SHAPES_MAX;
        for (slot, (seen, value)) in family.seen.iter_mut().zip(&text.values).enumerate() {
            if *varying >> slot & 1 != 0 {
                continue;
            }
            let closed = value.filter(|value| Self::takes(value));
            let symbol = closed.and_then(|value| self.table.strings.find(value));
            let is_known = symbol.is_some_and(|symbol| seen.contains(&symbol));
            let several = seen.len() + usize::from(!is_known) > 1;
            match closed {
                Some(value) if !(crowded && several) && (is_known || seen.len() < FIXED_VALUES_MAX) => {
                    if !is_known {
                        seen.push(self.table.strings.insert(value));
                    }
                }
                _ => {
                    *varying |= 1 << slot;
                    *seen = Vec::new();
                }
            }
        }
        self.known(number)
    }

    fn insert_shape(&mut self, of: KnownFamily, text: &ShapeText<'_>, key: &mut Key) -> ShapeNumber {
        let family = &mut self.families[of.number as usize];
        family.shapes += 1;
        let mut shape = family.shape.clone();
        key.begin_shape(of);
        for (slot, (place, value)) in slots_mut(&mut shape).zip(&text.values).enumerate() {
            if let Some(value) = value.filter(|_| of.varying >> slot & 1 == 0) {
                let value = self.table.strings.insert(value);
                key.push(value);
                *place = Some(value);
            }
        }
        self.push_shape(shape, key)
    }

    /// Adds a shape. `key` is its own.
    fn push_shape(&mut self, shape: Shape, key: &Key) -> ShapeNumber {
        let number = self.table.shapes.len() as ShapeNumber;
        self.table.shapes.push(shape);
        self.shape_numbers.insert_new(key, number);
        number
    }
}

/// Makes the key of a shape's family.
fn begin_family(shape: &Shape, key: &mut Key) {
    key.begin_family(&FamilyHead {
        kind: shape.kind,
        debug: shape.debug,
        shared: shape.shared,
        service: shape.service,
        name: shape.name,
        remote_service: shape.remote_service,
        annotations: shape.annotations.len(),
    });
    shape.tags.iter().for_each(|tag| key.push(tag.0));
}

fn slots_mut(shape: &mut Shape) -> impl Iterator<Item = &mut Slot> {
    let annotations = shape.annotations.iter_mut();
    shape.tags.iter_mut().map(|tag| &mut tag.1).chain(annotations)
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
            let table = registry.table();
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
