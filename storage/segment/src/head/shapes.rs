//! The shapes of a record in a generation: found where they are there, else made.
//!
//! Texts are numbered, so a symbol is looked up once a record and text. All looks of a kind come one after the other:
//! none waits for what another finds, so a processor waits for the memory of several at once.

use model::SpanBatch;
use storage_record::{Family, NO_TEXT, Numbering, RecordSpans};

use super::Generation;
use crate::registry::{FamilyHead, Key, KnownFamily, Placed, Registry};
use crate::shape_text::ShapeText;
use crate::strings::Symbol;

/// What is known of a text of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    NotAsked,
    Missing,
    Found(Symbol),
}

/// Places of the shapes of a record, by their numbers there.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) all: Vec<Placed>,
    /// Numbers of the shapes whose families may have names that are not known: they were made just now, or are generic.
    pub(super) new: Vec<usize>,
}

impl Generation {
    /// For each family of a batch the values that vary, a bit each; nothing for one that is not here.
    pub(crate) fn open_slots(&self, batch: &SpanBatch, numbering: &Numbering) -> Vec<Option<u64>> {
        let text = |number: u32| batch.text(numbering.texts()[number as usize]);
        let mut looks = Looks::new(numbering, text);
        let families = looks.families(&self.registry.read());
        let varying = families.into_iter().map(|family| Some(family?.varying));
        varying.collect()
    }

    /// The places of the shapes of a record. The registry is locked for writing only where there are none.
    pub(super) fn places(&self, spans: RecordSpans<'_>) -> Places {
        let found = find(spans, &self.registry.read());
        let is_new = |placed: &Option<Placed>| placed.is_none_or(|placed| placed == Placed::GENERIC);
        let new: Vec<usize> = (found.iter().enumerate())
            .filter(|(_, placed)| is_new(placed))
            .map(|(number, _)| number)
            .collect();
        let mut all: Vec<Placed> = found
            .iter()
            .map(|found| found.unwrap_or(Placed::GENERIC))
            .collect();
        if found.contains(&None) {
            let missing: Vec<(usize, ShapeText<'_>)> = (new.iter())
                .filter(|&&number| found[number].is_none())
                .map(|&number| (number, ShapeText::of_record(spans, &spans.shapes()[number])))
                .collect();
            let mut registry = self.registry.write();
            for (number, text) in missing {
                all[number] = registry.place(&text);
            }
            self.note_registry_bytes(&registry);
        }
        Places { all, new }
    }
}

/// The places of the shapes of a record as far as they are there, or refused.
fn find(spans: RecordSpans<'_>, registry: &Registry) -> Vec<Option<Placed>> {
    let mut looks = Looks::new(spans.numbering(), |number| spans.text(number));
    let families = looks.families(registry);
    let of_shapes: Vec<Option<KnownFamily>> = (spans.shapes().iter())
        .map(|shape| Some(families[shape.family as usize]?.opened(shape.open)))
        .collect();
    for (shape, family) in spans.shapes().iter().zip(&of_shapes) {
        if let Some(family) = family {
            for (_, value) in spans
                .closed_values(shape)
                .filter(|value| is_closed(family, value.0))
            {
                looks.ask(value);
            }
        }
    }
    looks.look_up(registry);
    let mut keys = Vec::with_capacity(of_shapes.len());
    let mut number_of_key = vec![None; of_shapes.len()];
    for (number, (shape, family)) in spans.shapes().iter().zip(&of_shapes).enumerate() {
        let Some(family) = family else { continue };
        let closed = spans
            .closed_values(shape)
            .filter(|value| is_closed(family, value.0));
        if let Some(key) = looks.shape_key(*family, closed.map(|value| value.1)) {
            number_of_key[number] = Some(keys.len());
            keys.push(key);
        }
    }
    let shapes = registry.shapes(&keys);
    let placed = of_shapes.into_iter().enumerate().map(|(number, family)| {
        let Some(family) = family else {
            let text = ShapeText::of_record(spans, &spans.shapes()[number]);
            return registry.refuses(&text).then_some(Placed::GENERIC);
        };
        Some(Placed {
            number: shapes[number_of_key[number]?]?,
            open: family.varying,
        })
    });
    placed.collect()
}

/// Whether a value is part of the shapes that leave open what varies in a family.
fn is_closed(family: &KnownFamily, slot: usize) -> bool {
    family.varying >> slot & 1 == 0
}

/// Looks for numbered texts, and for what is made of them.
struct Looks<'n, T> {
    numbering: &'n Numbering,
    /// Gives a text by its number.
    text: T,
    /// By number of the text.
    symbols: Vec<Known>,
    /// Numbers of the texts that are to be looked for.
    asked: Vec<u32>,
}

impl<'n, T: Fn(u32) -> &'n str> Looks<'n, T> {
    fn new(numbering: &'n Numbering, text: T) -> Self {
        Self {
            numbering,
            text,
            symbols: vec![Known::NotAsked; numbering.texts().len()],
            asked: Vec::new(),
        }
    }

    /// The families, by their numbers, as far as they are there.
    fn families(&mut self, registry: &Registry) -> Vec<Option<KnownFamily>> {
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
        let mut families = vec![None; numbering.families().len()];
        let (mut numbers, mut keys) = (
            Vec::with_capacity(families.len()),
            Vec::with_capacity(families.len()),
        );
        for (number, family) in numbering.families().iter().enumerate() {
            if let Some(key) = self.family_key(family) {
                numbers.push(number);
                keys.push(key);
            }
        }
        for (number, found) in numbers.into_iter().zip(registry.families(&keys)) {
            families[number] = found;
        }
        families
    }

    /// Has a text looked for with the next ones, unless it was already.
    fn ask(&mut self, number: u32) {
        if number != NO_TEXT && self.symbols[number as usize] == Known::NotAsked {
            self.symbols[number as usize] = Known::Missing;
            self.asked.push(number);
        }
    }

    fn look_up(&mut self, registry: &Registry) {
        self.asked.retain(|&number| Registry::takes((self.text)(number)));
        let asked: Vec<&str> = self.asked.iter().map(|&number| (self.text)(number)).collect();
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

    /// The key of a shape with these values; nothing where not all of them are known, so that the shape is not.
    fn shape_key(&self, family: KnownFamily, values: impl Iterator<Item = u32>) -> Option<Key> {
        let mut key = Key::default();
        key.begin_shape(family);
        for value in values {
            key.push(self.symbol(value)?);
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Arrival, Held};
    use crate::shape::ShapeTable;
    use crate::testing::{batch_of, insert_batch, span};
    use model::Span;
    use storage_journal::Position;
    use storage_record::RecordReader;

    fn of_instance(id: u64, instance: u64) -> Span {
        let mut span = span(id, id, 50);
        span.tags[1].1 = format!("instance-{instance}");
        span
    }

    fn arrival() -> Arrival {
        Arrival::at(0, Position::START)
    }

    #[test]
    fn what_varies_in_a_family_is_known_of_later_batches() {
        let generation = Generation::new(0);
        let open = |spans: &[Span]| {
            let batch = batch_of(spans);
            generation.open_slots(&batch, &Numbering::of(&batch))
        };
        let one = [of_instance(90, 1)];
        assert_eq!(open(&one), [None]);
        for instance in 1..=4 {
            insert_batch(
                &generation,
                &batch_of(&[of_instance(instance, instance)]),
                arrival(),
                &[],
            );
            assert_eq!(open(&one), [Some(0)]);
        }
        // The fifth value of the second tag is one too many.
        insert_batch(&generation, &batch_of(&[of_instance(5, 5)]), arrival(), &[]);
        assert_eq!(open(&one), [Some(0b10)]);
        let other = Span {
            name: Some("other".to_owned()),
            ..of_instance(91, 1)
        };
        assert_eq!(open(&[one[0].clone(), other]), [Some(0b10), None]);
    }

    /// Records that were written before that was known have the value in their shapes; their rows are written anew.
    #[test]
    fn rows_of_records_from_before_are_as_those_after() {
        let (generation, mut held) = (Generation::new(0), Held::default());
        let spans: Vec<Span> = (1..=20).map(|id| of_instance(id % 3 + 1, id)).collect();
        for spans in spans.chunks(2) {
            let (record, mut reader) = (storage_record::encode(&batch_of(spans)), RecordReader::default());
            let spans = reader.read(&record).unwrap();
            assert!(spans.shapes().iter().all(|shape| shape.open == 0));
            generation.insert_held(spans, arrival(), &[], &mut held).unwrap();
            held.keep(record);
        }
        generation.add_held(&mut held);
        // The generic one, one for each of the first values, and one that leaves it open.
        assert_eq!(generation.with_shapes(ShapeTable::len), 1 + 4 + 1);
        for low in 1..=3 {
            let mut found = generation.spans_of(low);
            found.sort();
            let mut expected: Vec<Span> = spans
                .iter()
                .filter(|span| span.trace_id.low() == low)
                .cloned()
                .collect();
            expected.sort();
            assert_eq!(found, expected);
        }
    }
}
