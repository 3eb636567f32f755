//! The shapes of a segment that is being written, and what each of them decides for every span that has it.

use std::sync::Arc;

use model::{Kind, NameNumber};

use crate::names::Names;
use crate::postings::{PostingsBuilder, ServiceNumber};
use crate::registry::{SHAPES_MAX, TEXT_BYTES_MAX};
use crate::rollup::RollupBuilder;
use crate::rows::{RowCoding, TraceRows};
use crate::shape::{GENERIC, Shape, ShapeNumber, ShapeTable, Slot};
use crate::shape_plan::ShapePlan;
use crate::sketches::OperationNumber;
use crate::strings::Symbol;
use crate::term::{About, TermKey};
use crate::writer::WriterOptions;
use storage_record::bytes::Malformed;

/// What a shape says of all its spans.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShapeFacts {
    pub(crate) kind: Option<Kind>,
    pub(crate) shared: bool,
    pub(crate) is_error: bool,
    /// Whose list of traces they are in.
    pub(crate) service: ServiceNumber,
    /// As numbered by the rollups.
    pub(crate) local_name: Option<NameNumber>,
    pub(crate) remote_name: Option<NameNumber>,
    pub(crate) operation: Operation,
    /// One for each value that the shape leaves open.
    pub(crate) term_keys: Box<[TermKey]>,
    /// Values to be completed: which of the writer's keys, which of the row's values.
    pub(crate) completed: Box<[(usize, usize)]>,
}

/// Which operation a span counts for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Operation {
    /// This one.
    Known(OperationNumber),
    /// The version is a value of the row.
    Versioned(usize),
    /// Everything is in the row.
    #[default]
    OfRow,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct SegmentShapes {
    table: ShapeTable,
    facts: Vec<ShapeFacts>,
    plan: Arc<ShapePlan>,
    /// The segment's number of a shape of the plan; [`UNUSED`] where no row has had it.
    numbers: Vec<ShapeNumber>,
    /// The segment's symbol of a symbol of the plan; none where it is not used.
    symbols: Vec<Symbol>,
}

const UNUSED: ShapeNumber = ShapeNumber::MAX;

/// What learns of a shape that is new to the segment.
pub(crate) struct Learners<'w> {
    pub(crate) options: &'w WriterOptions,
    pub(crate) names: &'w mut Names,
    pub(crate) postings: &'w mut PostingsBuilder,
    pub(crate) rollup: &'w mut RollupBuilder,
}

impl SegmentShapes {
    pub(crate) fn new(plan: Arc<ShapePlan>) -> Self {
        let generic = ShapeFacts::default();
        Self {
            table: ShapeTable::default(),
            facts: vec![generic],
            numbers: vec![UNUSED; plan.table().len()],
            symbols: vec![Symbol::NONE; plan.table().strings.len()],
            plan,
        }
    }

    pub(crate) fn table(&self) -> &ShapeTable {
        &self.table
    }

    /// What the shape of a row says. The row is coded against this table.
    pub(crate) fn facts(&self, number: ShapeNumber) -> &ShapeFacts {
        // Rows have numbers that `recode` gave them.
        self.facts.get(number as usize).unwrap_or(&self.facts[0])
    }

    /// Codes rows that are coded against the plan's table against this one.
    pub(crate) fn recode(
        &mut self,
        rows: &mut TraceRows,
        learners: &mut Learners<'_>,
    ) -> Result<(), Malformed> {
        let plan = self.plan.clone();
        rows.recode(plan.table(), |number| {
            Ok(match self.number_of(number, learners)? {
                GENERIC => RowCoding::Generic,
                number => RowCoding::Shape(number),
            })
        })
    }

    /// The segment's number of a shape of the plan; [`GENERIC`] where there is no room for it.
    fn number_of(
        &mut self,
        planned: ShapeNumber,
        learners: &mut Learners<'_>,
    ) -> Result<ShapeNumber, Malformed> {
        match self.numbers.get(planned as usize) {
            Some(&UNUSED) => {}
            Some(&known) => return Ok(known),
            None => return Err(Malformed("a shape number beyond the plan's")),
        }
        let strings = &self.table.strings;
        if self.table.shapes.len() >= SHAPES_MAX || strings.text_bytes() >= TEXT_BYTES_MAX {
            return Ok(GENERIC);
        }
        let plan = self.plan.clone();
        let mut own = |symbol: Symbol| {
            let known = &mut self.symbols[symbol.0 as usize];
            if *known == Symbol::NONE && symbol != Symbol::NONE {
                *known = self.table.strings.insert(plan.table().strings.get(symbol));
            }
            *known
        };
        let shape = &plan.table().shapes[planned as usize];
        let shape = Shape {
            service: own(shape.service),
            name: own(shape.name),
            remote_service: own(shape.remote_service),
            tags: shape
                .tags
                .iter()
                .map(|&(key, slot)| (own(key), slot.map(&mut own)))
                .collect(),
            annotations: shape.annotations.iter().map(|slot| slot.map(&mut own)).collect(),
            ..*shape
        };
        let number = self.table.shapes.len() as ShapeNumber;
        self.facts.push(learners.learn(&shape, &self.table));
        self.table.shapes.push(shape);
        self.numbers[planned as usize] = number;
        Ok(number)
    }
}

impl Learners<'_> {
    fn learn(&mut self, shape: &Shape, table: &ShapeTable) -> ShapeFacts {
        let option = |symbol: Symbol| (symbol != Symbol::NONE).then(|| table.strings.get(symbol));
        let [service, name, remote_service] = [shape.service, shape.name, shape.remote_service].map(option);
        let rollup = &mut self.rollup;
        let facts = ShapeFacts {
            kind: shape.kind,
            shared: shape.shared,
            is_error: shape.tags.iter().any(|tag| table.strings.get(tag.0) == "error"),
            local_name: service.map(|name| rollup.name(name)),
            remote_name: remote_service.map(|name| rollup.name(name)),
            operation: self.operation(shape, table, service, name),
            ..ShapeFacts::default()
        };
        if !self.options.indexed {
            return facts;
        }
        self.names.note(service, name, remote_service);
        ShapeFacts {
            service: self.postings.service(service),
            term_keys: term_keys(shape, table),
            completed: self.completed(shape, table),
            ..facts
        }
    }

    fn operation(
        &mut self,
        shape: &Shape,
        table: &ShapeTable,
        service: Option<&str>,
        name: Option<&str>,
    ) -> Operation {
        let mut tags = self.options.version_tags.iter();
        let found = tags.find_map(|key| tags_of(shape, table).find(|tag| tag.0 == key.as_str()));
        let version = match found {
            Some((_, Value::Open(index))) => return Operation::Versioned(index),
            Some((_, Value::Fixed(version))) => version,
            None => "",
        };
        let operation = (service.unwrap_or_default(), name.unwrap_or_default(), shape.kind);
        Operation::Known(self.rollup.operation(operation, version))
    }

    /// Notes the values that the shape has of the keys that are completed; gives those that it leaves open.
    fn completed(&mut self, shape: &Shape, table: &ShapeTable) -> Box<[(usize, usize)]> {
        let mut open = Vec::new();
        for (number, key) in self.options.autocomplete_keys.iter().enumerate() {
            match tags_of(shape, table).find(|tag| tag.0 == key.as_str()) {
                Some((_, Value::Open(index))) => open.push((number, index)),
                Some((_, Value::Fixed(value))) => self.names.note_value(key, value),
                None => {}
            }
        }
        open.into()
    }
}

enum Value<'t> {
    Fixed(&'t str),
    /// The index among the values that the shape leaves open.
    Open(usize),
}

/// The tags of a shape.
fn tags_of<'t>(shape: &'t Shape, table: &'t ShapeTable) -> impl Iterator<Item = (&'t str, Value<'t>)> {
    let mut open = 0;
    shape.tags.iter().map(move |&(key, slot)| {
        let value = match slot {
            Some(symbol) => Value::Fixed(table.strings.get(symbol)),
            None => {
                open += 1;
                Value::Open(open - 1)
            }
        };
        (table.strings.get(key), value)
    })
}

fn term_keys(shape: &Shape, table: &ShapeTable) -> Box<[TermKey]> {
    let is_open = |slot: &Slot| slot.is_none();
    let tags = shape.tags.iter().filter(|tag| is_open(&tag.1));
    let tags = tags.map(|tag| TermKey::new(About::Tag, table.strings.get(tag.0)));
    let annotations = shape.annotations.iter().filter(|slot| is_open(slot));
    tags.chain(annotations.map(|_| TermKey::new(About::Annotation, "")))
        .collect()
}
