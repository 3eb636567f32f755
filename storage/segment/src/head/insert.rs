//! A batch on its way into a generation: every span to its shape, and as a row to its trace.
//!
//! Texts are numbered by then ([`Numbering`]), so a symbol is looked up once a batch and text, a family once a batch
//! and family. Spans whose shape is known are added in one pass with the registry locked for reading; for the others
//! it is locked for writing once.

use model::SpanBatch;
use storage_record::{NO_TEXT, Numbering};

use super::Generation;
use super::runs::Runs;
use crate::fields::Fields;
use crate::registry::{FamilyHead, Key, KnownFamily, Registry};
use crate::rows::{GenericRow, RowHead};
use crate::shape::{GENERIC, ShapeNumber};
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
    coding: Known<Coding>,
    /// Its last span whose shape was found, and that shape.
    last: Option<(usize, ShapeNumber)>,
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
    /// Adds the rows of a batch.
    pub(super) fn insert_rows(
        &self,
        batch: &SpanBatch,
        numbering: &Numbering,
        runs: &mut Runs<'_>,
        autocomplete_keys: &[String],
    ) {
        let mut rows = Rows::new(batch, numbering);
        let mut rest = rows.add_known(&self.registry.read(), runs);
        if !rest.missing.is_empty() {
            let numbers = self.shapes_for(batch, &rest.missing);
            let registry = self.registry.read();
            for (&index, number) in rest.missing.iter().zip(numbers) {
                rows.open_slots(index, number, &registry);
                rows.add(index, number, runs);
            }
        }
        rest.missing.append(&mut rest.generic);
        self.note_names(batch, numbering, &rest.missing, autocomplete_keys);
    }

    /// Makes the shapes that spans of a batch lack: the only time the registry is locked for writing.
    fn shapes_for(&self, batch: &SpanBatch, indexes: &[usize]) -> Vec<ShapeNumber> {
        let mut registry = self.registry.write();
        let numbers = indexes
            .iter()
            .map(|&index| registry.insert(&Fields::of_ref(batch.get(index))))
            .collect();
        self.note_registry_bytes(&registry);
        numbers
    }

    /// A span with a shape that was known has names that are known: only those of the spans in `indexes` may be new.
    fn note_names(
        &self,
        batch: &SpanBatch,
        numbering: &Numbering,
        indexes: &[usize],
        autocomplete_keys: &[String],
    ) {
        let values = values_of_keys(batch, numbering, autocomplete_keys);
        if indexes.is_empty() && values.is_empty() {
            return;
        }
        let mut families: Vec<u32> = indexes.iter().map(|&index| numbering.span(index).0).collect();
        families.sort_unstable();
        families.dedup();
        let text = |number: u32| batch.text(numbering.texts()[number as usize]);
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
fn values_of_keys(batch: &SpanBatch, numbering: &Numbering, wanted: &[String]) -> Vec<(u32, u32)> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let is_wanted = |&(_, &key): &(usize, &u32)| {
        let key = batch.text(numbering.texts()[key as usize]);
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

/// Makes rows of the spans of a batch.
struct Rows<'b> {
    batch: &'b SpanBatch,
    numbering: &'b Numbering,
    /// By number of the text, and of the family.
    symbols: Vec<Known<Symbol>>,
    families: Vec<BatchFamily>,
    /// What is being looked for.
    key: Key,
    /// Numbers of the values that are in the row of the span at hand.
    open: Vec<u32>,
}

impl<'b> Rows<'b> {
    fn new(batch: &'b SpanBatch, numbering: &'b Numbering) -> Self {
        Self {
            batch,
            numbering,
            symbols: vec![Known::NotAsked; numbering.texts().len()],
            families: vec![
                BatchFamily {
                    coding: Known::NotAsked,
                    last: None,
                };
                numbering.families().len()
            ],
            key: Key::default(),
            open: Vec::new(),
        }
    }

    /// Adds the spans whose shapes are known; gives the others.
    fn add_known(&mut self, registry: &Registry, runs: &mut Runs<'_>) -> Rest {
        let mut rest = Rest::default();
        for index in 0..self.numbering.len() {
            match self.shape(index, registry) {
                Some(number) => {
                    self.add(index, number, runs);
                    if number == GENERIC {
                        rest.generic.push(index);
                    }
                }
                None => rest.missing.push(index),
            }
        }
        rest
    }

    /// The shape of a span, if it is known.
    fn shape(&mut self, index: usize, registry: &Registry) -> Option<ShapeNumber> {
        let (number, values) = self.numbering.span(index);
        let family = match self.coding(index, number, registry)? {
            Coding::Shaped(family) => family,
            Coding::Generic => {
                self.open_generic(index);
                return Some(GENERIC);
            }
        };
        let is_open = |slot: usize| family.varying >> slot & 1 != 0;
        self.open.clear();
        let open = values.iter().enumerate().filter(|&(slot, _)| is_open(slot));
        self.open.extend(open.map(|(_, &value)| value));
        if let Some((last, shape)) = self.families[number as usize].last {
            let mut pairs = values.iter().zip(self.numbering.span(last).1).enumerate();
            if pairs.all(|(slot, (value, last))| value == last || is_open(slot)) {
                return Some(shape);
            }
        }
        self.key.begin_shape(family);
        for (slot, &value) in values.iter().enumerate() {
            if !is_open(slot) {
                let symbol = self.symbol(value, registry)?;
                self.key.push(symbol);
            }
        }
        let shape = registry.shape(&self.key)?;
        self.families[number as usize].last = Some((index, shape));
        Some(shape)
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

    fn coding(&mut self, index: usize, number: u32, registry: &Registry) -> Option<Coding> {
        let known = match self.families[number as usize].coding {
            Known::NotAsked => self.find_coding(index, number, registry),
            known => known,
        };
        self.families[number as usize].coding = known;
        match known {
            Known::Found(coding) => Some(coding),
            _ => None,
        }
    }

    #[cold]
    fn find_coding(&mut self, index: usize, number: u32, registry: &Registry) -> Known<Coding> {
        if let Some(family) = self.look_up_family(number, registry) {
            return Known::Found(Coding::Shaped(family));
        }
        if registry.refuses(&Fields::of_ref(self.batch.get(index))) {
            return Known::Found(Coding::Generic);
        }
        Known::Missing
    }

    fn look_up_family(&mut self, number: u32, registry: &Registry) -> Option<KnownFamily> {
        let numbering = self.numbering;
        let family = &numbering.families()[number as usize];
        let head = FamilyHead {
            kind: family.kind,
            debug: family.debug,
            shared: family.shared,
            service: self.symbol(family.service, registry)?,
            name: self.symbol(family.name, registry)?,
            remote_service: self.symbol(family.remote_service, registry)?,
            annotations: family.annotations as usize,
        };
        self.key.begin_family(&head);
        for &key in numbering.keys(family) {
            let symbol = self.symbol(key, registry)?;
            self.key.push(symbol);
        }
        registry.family(&self.key)
    }

    fn symbol(&mut self, number: u32, registry: &Registry) -> Option<Symbol> {
        if number == NO_TEXT {
            return Some(Symbol::NONE);
        }
        let known = match self.symbols[number as usize] {
            Known::NotAsked => {
                let text = self.batch.text(self.numbering.texts()[number as usize]);
                registry.symbol(text).map_or(Known::Missing, Known::Found)
            }
            known => known,
        };
        self.symbols[number as usize] = known;
        match known {
            Known::Found(symbol) => Some(symbol),
            _ => None,
        }
    }

    /// Adds a span as a row of the shape, with the values that were taken for it.
    fn add(&self, index: usize, shape: ShapeNumber, runs: &mut Runs<'_>) {
        let span = self.batch.get(index);
        let (number, _) = self.numbering.span(index);
        let family = &self.numbering.families()[number as usize];
        let (local, remote) = (span.local_draft(), span.remote_draft());
        let generic = (shape == GENERIC).then_some(GenericRow {
            kind: family.kind,
            debug: family.debug,
            shared: family.shared,
            has_service: family.service != NO_TEXT,
            has_name: family.name != NO_TEXT,
            has_remote_service: family.remote_service != NO_TEXT,
            tags: family.tags,
            annotations: family.annotations,
        });
        let head = RowHead {
            shape,
            trace_id: span.trace_id(),
            id: span.id(),
            parent_id: span.parent_id(),
            timestamp: span.timestamp(),
            duration: span.duration(),
            local: (local.ip, local.port),
            remote: (remote.ip, remote.port),
            generic,
        };
        let texts = self.numbering.texts();
        let values = self
            .open
            .iter()
            .map(|&value| self.batch.bytes(texts[value as usize]));
        runs.add(&head, values, span.annotation_texts().iter().map(|a| a.0));
    }
}
