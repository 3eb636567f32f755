//! A batch on its way into a generation: every span to its shape, and as a row to its trace.
//!
//! Texts are numbered by then ([`Numbering`]), so a symbol is looked up once a batch and text, a family once a batch
//! and family. All looks of a kind come one after the other: none waits for what another finds, so a processor waits for
//! the memory of several at once. Spans whose shape is known are added with the registry locked for reading; for the
//! others it is locked for writing once.

use model::SpanBatch;
use storage_record::{Family, NO_TEXT, Numbering};

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
    /// Not asked: the registry has no such family, and was not asked whether it takes one.
    coding: Known<Coding>,
    /// Its last span, and the number of the key of that one's shape.
    last: Option<(usize, usize)>,
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
        rest.missing.retain(|&index| !rows.has_known_family(index));
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

    /// A span with a family that was known has names that are known: only those of the spans in `indexes` may be new.
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
    /// What is looked for: families first, then shapes.
    keys: Vec<Key>,
    /// Numbers of the texts that are to be looked for.
    asked: Vec<u32>,
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

    /// Adds the spans whose shapes are known; gives the others.
    fn add_known(&mut self, registry: &Registry, runs: &mut Runs<'_>) -> Rest {
        self.look_up_families(registry);
        self.look_up_values(registry);
        self.keys.clear();
        let wanted: Vec<Wanted> = (0..self.numbering.len())
            .map(|index| self.wanted(index, registry))
            .collect();
        let shapes = registry.shapes(&self.keys);
        let mut rest = Rest::default();
        for (index, wanted) in wanted.into_iter().enumerate() {
            let shape = match wanted {
                Wanted::Shape(key) => shapes[key],
                Wanted::Generic => Some(GENERIC),
                Wanted::Missing => None,
            };
            let Some(shape) = shape else {
                rest.missing.push(index);
                continue;
            };
            self.open_known(index);
            self.add(index, shape, runs);
            if shape == GENERIC {
                rest.generic.push(index);
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
                for value in slots(values, |slot| !is_open(family, slot)) {
                    self.ask(value);
                }
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
        let text_of = |&number: &u32| self.batch.text(texts[number as usize]);
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
        if let Some((last, key)) = last {
            let mut pairs = values.iter().zip(self.numbering.span(last).1).enumerate();
            if pairs.all(|(slot, (value, last))| value == last || is_open(family, slot)) {
                return Wanted::Shape(key);
            }
        }
        let mut key = Key::default();
        key.begin_shape(family);
        for value in slots(values, |slot| !is_open(family, slot)) {
            match self.symbol(value) {
                Some(symbol) => key.push(symbol),
                None => return Wanted::Missing,
            }
        }
        self.families[number as usize].last = Some((index, self.keys.len()));
        self.keys.push(key);
        Wanted::Shape(self.keys.len() - 1)
    }

    #[cold]
    fn without_family(&mut self, index: usize, number: u32, registry: &Registry) -> Wanted {
        let is_refused = registry.refuses(&Fields::of_ref(self.batch.get(index)));
        let (coding, wanted) = match is_refused {
            true => (Known::Found(Coding::Generic), Wanted::Generic),
            false => (Known::Missing, Wanted::Missing),
        };
        self.families[number as usize].coding = coding;
        wanted
    }

    /// Takes the values that the known shape of a span leaves open.
    fn open_known(&mut self, index: usize) {
        let (number, values) = self.numbering.span(index);
        let Known::Found(Coding::Shaped(family)) = self.families[number as usize].coding else {
            return self.open_generic(index);
        };
        self.open.clear();
        let open = slots(values, |slot| is_open(family, slot));
        self.open.extend(open);
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

/// The values of some slots.
fn slots(values: &[u32], wanted: impl Fn(usize) -> bool) -> impl Iterator<Item = u32> {
    let wanted = values.iter().enumerate().filter(move |&(slot, _)| wanted(slot));
    wanted.map(|(_, &value)| value)
}

/// Whether shapes of a family leave a slot open.
fn is_open(family: KnownFamily, slot: usize) -> bool {
    family.varying >> slot & 1 != 0
}
