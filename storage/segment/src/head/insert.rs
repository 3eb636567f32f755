//! Spans on their way into a generation: every one to its shape, and as a row to its trace.
//!
//! Texts are numbered by then ([`Numbering`]), so a symbol is looked up once a batch and text, a family once a batch
//! and family. All looks of a kind come one after the other: none waits for what another finds, so a processor waits for
//! the memory of several at once. Spans whose shape is known are added with the registry locked for reading; for the
//! others it is locked for writing once.

use storage_record::{Family, NO_TEXT, Numbering};

use super::Generation;
use super::runs::Runs;
use crate::fields::Fields;
use crate::registry::{FamilyHead, Key, KnownFamily, Registry};
use crate::rows::{GenericRow, RowHead};
use crate::shape::{GENERIC, ShapeNumber};
use crate::spans::Spans;
use crate::strings::Symbol;

/// What the registry knows of something of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known<T> {
    NotAsked,
    Missing,
    Found(T),
}

/// How spans of a family of a batch are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Shaped(KnownFamily),
    /// Against [`GENERIC`].
    Generic,
}

/// A family of a batch.
#[derive(Clone, Copy, Debug)]
struct BatchFamily {
    /// Not asked: the registry has no such family, and was not asked whether it takes one.
    coding: Known<Coding>,
    /// The number of the key of its last span's shape, if that has one.
    last: Option<usize>,
}

/// What is known of a span before its shape is looked for.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// The shape of the key of this number.
    Shape(usize),
    Generic,
    /// There is no such shape.
    Missing,
}

/// The spans of a batch that need more than a row.
#[derive(Debug, Default)]
struct Rest {
    /// No shape fits them.
    missing: Vec<usize>,
    /// They are of no shape, so nothing says that their names are known.
    generic: Vec<usize>,
}

impl Generation {
    /// Adds the rows of spans.
    pub(super) fn insert_rows(
        &self,
        spans: &impl Spans,
        numbering: &Numbering,
        runs: &mut Runs<'_>,
        autocomplete_keys: &[String],
    ) {
        let mut rows = Rows::new(spans, numbering);
        // Writing takes as long as finding, and needs no registry.
        let shapes = rows.find_shapes(&self.registry.read());
        let mut rest = rows.add_known(&shapes, runs);
        if !rest.missing.is_empty() {
            let numbers = self.shapes_for(spans, numbering, &rest.missing);
            let registry = self.registry.read();
            for (&index, number) in rest.missing.iter().zip(numbers) {
                rows.open_slots(index, number, &registry);
                rows.add_open(index, number, runs);
            }
        }
        rest.missing.retain(|&index| !rows.has_known_family(index));
        rest.missing.append(&mut rest.generic);
        self.note_names(spans, numbering, &rest.missing, autocomplete_keys);
    }

    /// Makes the shapes that spans of a batch lack: the only time the registry is locked for writing.
    fn shapes_for(&self, spans: &impl Spans, numbering: &Numbering, indexes: &[usize]) -> Vec<ShapeNumber> {
        let mut registry = self.registry.write();
        let numbers = indexes
            .iter()
            .map(|&index| registry.insert(&Fields::of_numbered(spans, numbering, index)))
            .collect();
        self.note_registry_bytes(&registry);
        numbers
    }

    /// A span with a family that was known has names that are known: only those of the spans in `indexes` may be new.
    fn note_names(
        &self,
        spans: &impl Spans,
        numbering: &Numbering,
        indexes: &[usize],
        autocomplete_keys: &[String],
    ) {
        let values = values_of_keys(spans, numbering, autocomplete_keys);
        if indexes.is_empty() && values.is_empty() {
            return;
        }
        let mut families: Vec<u32> = indexes.iter().map(|&index| numbering.span(index).0).collect();
        families.sort_unstable();
        families.dedup();
        let text = |number: u32| spans.text(numbering.texts()[number as usize]);
        let optional = |number: u32| (number != NO_TEXT).then(|| text(number));
        let mut names = self.names.lock();
        for number in families {
            let family = &numbering.families()[number as usize];
            names.note(
                optional(family.service),
                optional(family.name),
                optional(family.remote_service),
            );
        }
        for (key, value) in values {
            names.note_value(text(key), text(value));
        }
        self.note_names_bytes(&names);
    }
}

/// Numbers of the values in a batch of these keys, distinct.
fn values_of_keys(spans: &impl Spans, numbering: &Numbering, wanted: &[String]) -> Vec<(u32, u32)> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let is_wanted = |&(_, &key): &(usize, &u32)| {
        let key = spans.text(numbering.texts()[key as usize]);
        wanted.iter().any(|wanted| wanted == key)
    };
    let places: Vec<Vec<(usize, u32)>> = numbering
        .families()
        .iter()
        .map(|family| {
            let keys = numbering.keys(family).iter().enumerate().filter(is_wanted);
            keys.map(|(place, &key)| (place, key)).collect()
        })
        .collect();
    let mut values = Vec::new();
    for index in 0..numbering.len() {
        let (family, of_span) = numbering.span(index);
        values.extend(
            places[family as usize]
                .iter()
                .map(|&(place, key)| (key, of_span[place])),
        );
    }
    values.sort_unstable();
    values.dedup();
    values
}

/// Makes rows of spans.
struct Rows<'b, S> {
    spans: &'b S,
    numbering: &'b Numbering,
    /// By number of the text, and of the family.
    symbols: Vec<Known<Symbol>>,
    families: Vec<BatchFamily>,
    /// What is looked for: families first, then shapes.
    keys: Vec<Key>,
    /// Numbers of the texts that are to be looked for.
    asked: Vec<u32>,
    /// Numbers of the values that are in the row of the span at hand.
    open: Vec<u32>,
}

impl<'b, S: Spans> Rows<'b, S> {
    fn new(spans: &'b S, numbering: &'b Numbering) -> Self {
        Self {
            spans,
            numbering,
            symbols: vec![Known::NotAsked; numbering.texts().len()],
            families: vec![
                BatchFamily {
                    coding: Known::NotAsked,
                    last: None,
                };
                numbering.families().len()
            ],
            keys: Vec::new(),
            asked: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Whether the registry had the family of a span.
    fn has_known_family(&self, index: usize) -> bool {
        let (number, _) = self.numbering.span(index);
        matches!(
            self.families[number as usize].coding,
            Known::Found(Coding::Shaped(_))
        )
    }

    /// The shapes of all spans, as far as they are known.
    fn find_shapes(&mut self, registry: &Registry) -> Vec<Option<ShapeNumber>> {
        self.look_up_families(registry);
        self.look_up_values(registry);
        self.keys.clear();
        let wanted: Vec<Wanted> = (0..self.numbering.len())
            .map(|index| self.wanted(index, registry))
            .collect();
        let shapes = registry.shapes(&self.keys);
        let found = wanted.into_iter().map(|wanted| match wanted {
            Wanted::Shape(key) => shapes[key],
            Wanted::Generic => Some(GENERIC),
            Wanted::Missing => None,
        });
        found.collect()
    }

    /// Adds the spans whose shapes are known; gives the others.
    fn add_known(&mut self, shapes: &[Option<ShapeNumber>], runs: &mut Runs<'_>) -> Rest {
        let mut rest = Rest::default();
        for (index, shape) in shapes.iter().enumerate() {
            match *shape {
                Some(GENERIC) => {
                    self.open_generic(index);
                    self.add_open(index, GENERIC, runs);
                    rest.generic.push(index);
                }
                Some(shape) => self.add_known_shape(index, shape, runs),
                None => rest.missing.push(index),
            }
        }
        rest
    }

    fn look_up_families(&mut self, registry: &Registry) {
        let numbering = self.numbering;
        for family in numbering.families() {
            for text in [family.service, family.name, family.remote_service] {
                self.ask(text);
            }
            for &key in numbering.keys(family) {
                self.ask(key);
            }
        }
        self.look_up(registry);
        let mut numbers = Vec::with_capacity(numbering.families().len());
        for (number, family) in numbering.families().iter().enumerate() {
            if let Some(key) = self.family_key(family) {
                numbers.push(number);
                self.keys.push(key);
            }
        }
        for (number, found) in numbers.into_iter().zip(registry.families(&self.keys)) {
            if let Some(found) = found {
                self.families[number].coding = Known::Found(Coding::Shaped(found));
            }
        }
    }

    /// Looks up the values that are part of shapes.
    fn look_up_values(&mut self, registry: &Registry) {
        let numbering = self.numbering;
        for index in 0..numbering.len() {
            let (number, values) = numbering.span(index);
            if let Known::Found(Coding::Shaped(family)) = self.families[number as usize].coding {
                // The others have been asked for.
                let different = closed_slots(family, values) & !numbering.same(index);
                Bits(different).for_each(|slot| self.ask(values[slot]));
            }
        }
        self.look_up(registry);
    }

    /// Has a text looked for with the next ones, unless it was already.
    fn ask(&mut self, number: u32) {
        if number != NO_TEXT && self.symbols[number as usize] == Known::NotAsked {
            self.symbols[number as usize] = Known::Missing;
            if Registry::takes(self.numbering.texts()[number as usize]) {
                self.asked.push(number);
            }
        }
    }

    fn look_up(&mut self, registry: &Registry) {
        let texts = self.numbering.texts();
        let text_of = |&number: &u32| self.spans.text(texts[number as usize]);
        let asked: Vec<&str> = self.asked.iter().map(text_of).collect();
        for (number, found) in self.asked.drain(..).zip(registry.symbols(&asked)) {
            if let Some(symbol) = found {
                self.symbols[number as usize] = Known::Found(symbol);
            }
        }
    }

    /// The symbol of a text that was looked up, if there is one.
    fn symbol(&self, number: u32) -> Option<Symbol> {
        if number == NO_TEXT {
            return Some(Symbol::NONE);
        }
        match self.symbols[number as usize] {
            Known::Found(symbol) => Some(symbol),
            _ => None,
        }
    }

    /// The key of a family; nothing where not all of its texts are known, so that the family is not.
    fn family_key(&self, family: &Family) -> Option<Key> {
        let mut key = Key::default();
        key.begin_family(&FamilyHead {
            kind: family.kind,
            debug: family.debug,
            shared: family.shared,
            service: self.symbol(family.service)?,
            name: self.symbol(family.name)?,
            remote_service: self.symbol(family.remote_service)?,
            annotations: family.annotations as usize,
        });
        for &tag in self.numbering.keys(family) {
            key.push(self.symbol(tag)?);
        }
        Some(key)
    }

    /// What is to be looked for to know the shape of a span.
    fn wanted(&mut self, index: usize, registry: &Registry) -> Wanted {
        let (number, values) = self.numbering.span(index);
        let BatchFamily { coding, last } = self.families[number as usize];
        let family = match coding {
            Known::Found(Coding::Shaped(family)) => family,
            Known::Found(Coding::Generic) => return Wanted::Generic,
            Known::Missing => return Wanted::Missing,
            Known::NotAsked => return self.without_family(index, number, registry),
        };
        let closed = closed_slots(family, values);
        if let Some(key) = last.filter(|_| closed & !self.numbering.same(index) == 0) {
            return Wanted::Shape(key);
        }
        let key = self.shape_key(family, Bits(closed).map(|slot| values[slot]));
        let number_of_key = key.is_some().then_some(self.keys.len());
        self.keys.extend(key);
        self.families[number as usize].last = number_of_key;
        number_of_key.map_or(Wanted::Missing, Wanted::Shape)
    }

    /// The key of a shape with these values; nothing where not all of them are known, so that the shape is not.
    fn shape_key(&self, family: KnownFamily, values: impl Iterator<Item = u32>) -> Option<Key> {
        let mut key = Key::default();
        key.begin_shape(family);
        for value in values {
            key.push(self.symbol(value)?);
        }
        Some(key)
    }

    #[cold]
    fn without_family(&mut self, index: usize, number: u32, registry: &Registry) -> Wanted {
        let fields = Fields::of_numbered(self.spans, self.numbering, index);
        let is_refused = registry.refuses(&fields);
        let (coding, wanted) = match is_refused {
            true => (Known::Found(Coding::Generic), Wanted::Generic),
            false => (Known::Missing, Wanted::Missing),
        };
        self.families[number as usize].coding = coding;
        wanted
    }

    /// Adds a span whose family has a shape for it: that leaves open what varies in the family.
    fn add_known_shape(&self, index: usize, shape: ShapeNumber, runs: &mut Runs<'_>) {
        let (number, values) = self.numbering.span(index);
        let open = match self.families[number as usize].coding {
            Known::Found(Coding::Shaped(family)) => family.varying & all_slots(values),
            _ => unreachable!("a shape was found by its family"),
        };
        self.add(index, shape, Bits(open).map(|slot| values[slot]), runs);
    }

    /// Takes the values that a shape leaves open from a span.
    fn open_slots(&mut self, index: usize, number: ShapeNumber, registry: &Registry) {
        if number == GENERIC {
            return self.open_generic(index);
        }
        let (_, values) = self.numbering.span(index);
        self.open.clear();
        let Ok(shape) = registry.table().get(number) else {
            debug_assert!(false, "the registry gave a number that its table lacks");
            return;
        };
        let open = shape.slots().zip(values).filter(|(slot, _)| slot.is_none());
        self.open.extend(open.map(|(_, &value)| value));
    }

    /// Takes all texts of a span.
    fn open_generic(&mut self, index: usize) {
        let (number, values) = self.numbering.span(index);
        let family = &self.numbering.families()[number as usize];
        let texts = [family.service, family.name, family.remote_service];
        self.open.clear();
        self.open.extend(texts.iter().filter(|&&text| text != NO_TEXT));
        self.open.extend_from_slice(self.numbering.keys(family));
        self.open.extend_from_slice(values);
    }

    /// As [`Rows::add`], with the values that were taken for it.
    fn add_open(&self, index: usize, shape: ShapeNumber, runs: &mut Runs<'_>) {
        self.add(index, shape, self.open.iter().copied(), runs);
    }

    /// Adds a span as a row of the shape, with the values of these numbers.
    #[inline]
    fn add(
        &self,
        index: usize,
        shape: ShapeNumber,
        values: impl ExactSizeIterator<Item = u32>,
        runs: &mut Runs<'_>,
    ) {
        let head = self.spans.head(index);
        let row = RowHead {
            shape,
            trace_id: head.trace_id,
            id: head.id,
            parent_id: head.parent_id,
            timestamp: head.timestamp,
            duration: head.duration,
            local: head.local,
            remote: head.remote,
            generic: (shape == GENERIC).then(|| self.generic_row(index)),
        };
        let texts = self.numbering.texts();
        let values = values.map(|value| self.spans.bytes(texts[value as usize]));
        runs.add(&row, values, self.spans.annotation_times(index));
    }

    fn generic_row(&self, index: usize) -> GenericRow {
        let (number, _) = self.numbering.span(index);
        let family = &self.numbering.families()[number as usize];
        GenericRow {
            kind: family.kind,
            debug: family.debug,
            shared: family.shared,
            has_service: family.service != NO_TEXT,
            has_name: family.name != NO_TEXT,
            has_remote_service: family.remote_service != NO_TEXT,
            tags: family.tags,
            annotations: family.annotations,
        }
    }
}

/// A bit for each value of a span; a family that the registry has takes no more than there are bits.
fn all_slots(values: &[u32]) -> u64 {
    let beyond = u64::BITS.saturating_sub(values.len() as u32);
    u64::MAX.checked_shr(beyond).unwrap_or(0)
}

/// A bit for each value of a span that is part of its shape.
fn closed_slots(family: KnownFamily, values: &[u32]) -> u64 {
    !family.varying & all_slots(values)
}

/// The places of the bits that are set, the lowest first.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let place = (self.0 != 0).then(|| self.0.trailing_zeros() as usize);
        self.0 &= self.0.wrapping_sub(1);
        place
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.count_ones() as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Bits {}
