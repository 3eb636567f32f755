//! The conditions of a search, as what they say of shapes and terms.
//!
//! Conditions only find candidates; [`TraceQuery::matches`] decides. Different spans of a trace may meet
//! different conditions, so each condition gives a set of traces and the sets are intersected.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use storage::text::TextPart;
use storage::{StorageError, TraceQuery};

use crate::head::Generation;
use crate::postings::duration_class;
use crate::reader::SegmentReader;
use crate::search::check;
use crate::shape::{GENERIC, Shape, ShapeNumber, ShapeTable, Slot};
use crate::shape_cache::Shapes;
use crate::strings::Symbol;
use crate::term::{About, Term, term};
use crate::text::TextMatch;
use crate::trace_set::TraceSet;

/// One thing that some span of a trace must have.
#[derive(Clone, Copy, Debug)]
enum Condition<'q> {
    /// It is local to the service asked for; nothing else.
    Service,
    Name(&'q str),
    RemoteService(&'q str),
    /// A tag key or an annotation value.
    Has(&'q str),
    Tag(&'q str, &'q str),
    /// Its duration is at least this, microseconds.
    Duration(u64),
    /// A text that meets this.
    Text(&'q TextPart),
}

/// Which conditions of a query are met, a bit each.
pub(crate) type Met = u128;

/// The conditions of a query: as many as [`Met`] has bits, which is more than a query can have.
#[derive(Debug)]
pub(crate) struct Conditions<'q> {
    service: Option<&'q str>,
    all: Vec<Condition<'q>>,
}

impl<'q> Conditions<'q> {
    pub(crate) fn of(query: &'q TraceQuery) -> Self {
        let mut all = Vec::new();
        all.extend(query.annotation_query().conditions().iter().map(|(key, value)| {
            if value.is_empty() {
                Condition::Has(key)
            } else {
                Condition::Tag(key, value)
            }
        }));
        all.extend(query.span_name().map(Condition::Name));
        all.extend(query.remote_service_name().map(Condition::RemoteService));
        all.extend(query.text().parts().iter().map(Condition::Text));
        all.extend(query.min_duration().map(Condition::Duration));
        // What meets any other condition is local to the service.
        if query.service_name().is_some() && all.is_empty() {
            all.push(Condition::Service);
        }
        all.truncate(Met::BITS as usize);
        Self {
            service: query.service_name(),
            all,
        }
    }

    /// Numbers of all conditions, as [`Conditions::traces_meeting`] takes them.
    pub(crate) fn numbers(&self) -> std::ops::Range<usize> {
        0..self.all.len()
    }

    /// All of them met.
    pub(crate) fn all_met(&self) -> Met {
        self.numbers().fold(0, |met, number| met | 1 << number)
    }

    /// What a trace in memory may meet by its shapes alone. The shapes are looked at some at a time: whoever adds one
    /// must not wait for all.
    pub(crate) fn of_shapes(&self, generation: &Generation) -> ShapesMeet {
        let (strings, shapes) = generation.with_shapes(|table| (table.strings.len(), table.len()));
        let mut texts: Vec<Vec<bool>> = self
            .all
            .iter()
            .map(|condition| match condition {
                Condition::Text(part) => symbols_in(part, generation, strings),
                _ => Vec::new(),
            })
            .collect();
        let resolved = generation
            .with_shapes(|table| self.resolve_all(table, |number, _| std::mem::take(&mut texts[number])));
        let (service, error) =
            generation.with_shapes(|table| (self.resolve_service(table), table.strings.find("error")));
        let meets = |number: usize, shape: &Shape| {
            let mut meets = ShapeMeets::default();
            if number == GENERIC as usize {
                return ShapeMeets::ANYTHING;
            }
            meets.may_fail = error.is_some_and(|error| shape.tags.iter().any(|tag| tag.0 == error));
            if !is_of_service(service, shape) {
                return meets;
            }
            for (bit, condition) in resolved.iter().enumerate() {
                meets.surely |= Met::from(condition.is_met(shape)) << bit;
                meets.perhaps |= Met::from(condition.may_meet(shape)) << bit;
            }
            meets
        };
        let mut found = ShapesMeet::default();
        for numbers in steps(0..shapes) {
            generation.with_shapes(|table| {
                for number in numbers {
                    found.push(meets(number, &table.shapes[number]));
                }
            });
        }
        found
    }

    /// What a value has that meets a condition which its shape leaves open, for each condition: nothing where it is not
    /// by a text that values are looked at.
    pub(crate) fn values(&self) -> Vec<Option<Wanted<'q>>> {
        let value = |condition: &Condition<'q>| match *condition {
            Condition::Service | Condition::Duration(_) => None,
            Condition::Text(part) => Some(Wanted::Part(part)),
            Condition::Name(text)
            | Condition::RemoteService(text)
            | Condition::Has(text)
            | Condition::Tag(_, text) => Some(Wanted::Value(text)),
        };
        self.all.iter().map(value).collect()
    }

    /// Those met by a trace whose longest span is `longest` microseconds, and all that do not ask for a duration.
    pub(crate) fn met_by_duration(&self, longest: u64) -> Met {
        let fails =
            |condition: &Condition<'_>| matches!(*condition, Condition::Duration(min) if longest < min);
        let failing = self
            .all
            .iter()
            .zip(self.numbers())
            .filter(|(condition, _)| fails(condition));
        failing.fold(Met::MAX, |met, (_, number)| met & !(1 << number))
    }

    /// `find_text` gives, for the condition of a number, the strings that meet it, by their symbols.
    fn resolve_all(
        &self,
        table: &ShapeTable,
        mut find_text: impl FnMut(usize, &TextPart) -> Vec<bool>,
    ) -> Vec<Resolved> {
        let find = |text: &str| table.strings.find(text);
        let resolve = |(number, condition): (usize, &Condition<'_>)| match *condition {
            Condition::Service => Resolved::Any,
            Condition::Duration(_) => Resolved::NotInShapes,
            Condition::Name(name) => Resolved::Name(find(name)),
            Condition::RemoteService(name) => Resolved::RemoteService(find(name)),
            Condition::Has(key) => Resolved::Has(find(key)),
            Condition::Tag(key, value) => Resolved::Tag(find(key), find(value)),
            Condition::Text(part) => Resolved::Text(find_text(number, part)),
        };
        self.all.iter().enumerate().map(resolve).collect()
    }

    /// `None` where any service will do, `Some(None)` where the one asked for is not there.
    fn resolve_service(&self, table: &ShapeTable) -> Option<Slot> {
        self.service.map(|service| table.strings.find(service))
    }

    /// Which traces of a segment may meet each condition: `None` where the service asked for is not there at all.
    pub(crate) fn plan(&self, segment: &SegmentReader) -> Result<Option<Plan>, StorageError> {
        if self.service.is_some_and(|service| !segment.has_service(service)) {
            return Ok(None);
        }
        let shapes = segment.shapes()?;
        let table = &shapes.table;
        let mut texts: Vec<Option<TextMatch>> = Vec::with_capacity(self.all.len());
        for condition in &self.all {
            texts.push(match condition {
                Condition::Text(part) => Some(segment.find_text(part, &shapes)?),
                _ => None,
            });
        }
        let resolved = self.resolve_all(table, |number, _| {
            let found = texts.get_mut(number).and_then(Option::as_mut);
            found.map_or_else(Vec::new, |found| std::mem::take(&mut found.symbols))
        });
        let service = self.resolve_service(table);
        let mut lists = vec![Vec::new(); self.all.len()];
        for (number, shape) in table.iter() {
            if number == GENERIC || !is_of_service(service, shape) {
                continue;
            }
            for (condition, lists) in resolved.iter().zip(&mut lists) {
                if condition.is_met(shape) {
                    lists.push(number);
                }
            }
        }
        let values = texts.into_iter().map(|found| found.map(|found| found.values));
        Ok(Some(Plan {
            lists,
            values: values.collect(),
        }))
    }

    /// About how many entries of lists are read to know what meets a condition.
    pub(crate) fn cost(&self, number: usize, plan: &Plan, segment: &SegmentReader) -> u64 {
        /// Traces that have a span of a shape, on average.
        const TRACES_OF_SHAPE: u64 = 32;
        match self.all[number] {
            Condition::Service | Condition::Duration(_) => {
                let services = if self.service.is_some() {
                    1
                } else {
                    segment.services().count()
                };
                u64::from(segment.footer().summary.traces) * services as u64 / 2
            }
            _ => plan.lists[number].len() as u64 * TRACES_OF_SHAPE,
        }
    }

    /// The traces of a segment that may meet one condition. `cancelled` is looked at between lists.
    pub(crate) fn traces_meeting(
        &self,
        number: usize,
        plan: &Plan,
        segment: &SegmentReader,
        cancelled: &AtomicBool,
    ) -> Result<TraceSet, StorageError> {
        let traces = segment.footer().summary.traces;
        let mut found = plan.values[number]
            .clone()
            .unwrap_or_else(|| TraceSet::empty(traces));
        let least = match self.all[number] {
            Condition::Service => 0,
            Condition::Duration(min) => duration_class(Some(min)),
            condition => {
                let shapes: std::sync::Arc<Shapes> = segment.shapes()?;
                for lists in plan.lists[number].chunks(LISTS_AT_ONCE) {
                    check(cancelled)?;
                    for &shape in lists {
                        segment.add_shape(&shapes, shape, &mut found)?;
                    }
                }
                for term in condition.terms() {
                    segment.add_term(term, &mut found)?;
                }
                // A term is of any service. Where it finds few traces, they are read sooner than the service's list.
                if let Some(service) = self.service
                    && found.len() > FEW_TRACES
                {
                    let mut of_service = TraceSet::empty(segment.footer().summary.traces);
                    segment.add_service(service, 0, &mut of_service)?;
                    found.intersect(&of_service);
                }
                return Ok(found);
            }
        };
        match self.service {
            Some(service) => segment.add_service(service, least, &mut found)?,
            None => {
                for service in segment.services() {
                    check(cancelled)?;
                    segment.add_service(service, least, &mut found)?;
                }
            }
        }
        Ok(found)
    }
}

/// What a value must be or have, to meet a condition.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'q> {
    Value(&'q str),
    Part(&'q TextPart),
}

impl Wanted<'_> {
    pub(crate) fn is_met_by(&self, value: &str) -> bool {
        match self {
            Self::Value(wanted) => value == *wanted,
            Self::Part(part) => part.is_in(value),
        }
    }
}

/// For each of the first `count` strings of a generation whether it meets a condition.
fn symbols_in(part: &TextPart, generation: &Generation, count: usize) -> Vec<bool> {
    let mut found = Vec::with_capacity(count);
    for numbers in steps(0..count) {
        generation.with_shapes(|table| {
            let is_in = |number| number != 0 && part.is_in(table.strings.get(Symbol(number as u32)));
            found.extend(numbers.map(is_in));
        });
    }
    found
}

/// Cuts a range into pieces that take some tens of microseconds.
fn steps(all: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    const STEP: usize = 512;
    let end = all.end;
    all.step_by(STEP).map(move |start| start..end.min(start + STEP))
}

/// Traces that are rather read than looked up in the list of a service.
const FEW_TRACES: u32 = 32;

/// Lists read between two looks whether anybody waits for the answer.
const LISTS_AT_ONCE: usize = 256;

/// For each condition what is known before its lists are read.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The shapes whose every span meets it.
    lists: Vec<Vec<ShapeNumber>>,
    /// For text, the traces with a value that may meet it.
    values: Vec<Option<TraceSet>>,
}

impl Condition<'_> {
    /// What a span that meets it in its varying part is found by.
    fn terms(&self) -> Vec<Term> {
        match *self {
            Self::Service | Self::Duration(_) | Self::Text(_) => Vec::new(),
            Self::Name(name) => vec![term(About::Name, "", name)],
            Self::RemoteService(name) => vec![term(About::RemoteService, "", name)],
            Self::Has(key) => vec![term(About::TagKey, "", key), term(About::Annotation, "", key)],
            Self::Tag(key, value) => vec![term(About::Tag, key, value)],
        }
    }
}

/// A condition, its texts looked up in a table; a text that is not there is `None`, and no slot bears it.
#[derive(Debug)]
enum Resolved {
    Any,
    NotInShapes,
    Name(Slot),
    RemoteService(Slot),
    Has(Slot),
    Tag(Slot, Slot),
    /// For each symbol whether its string meets it.
    Text(Vec<bool>),
}

impl Resolved {
    /// Whether every span of the shape meets the condition.
    fn is_met(&self, shape: &Shape) -> bool {
        let is = |symbol: Symbol, text: Slot| text == Some(symbol);
        match *self {
            Self::Any => true,
            Self::NotInShapes => false,
            Self::Name(name) => is(shape.name, name),
            Self::RemoteService(name) => is(shape.remote_service, name),
            Self::Has(key) => {
                shape.tags.iter().any(|tag| is(tag.0, key))
                    || shape.annotations.iter().flatten().any(|&value| is(value, key))
            }
            Self::Tag(key, value) => shape
                .tags
                .iter()
                .any(|tag| is(tag.0, key) && tag.1.is_some_and(|fixed| is(fixed, value))),
            Self::Text(ref symbols) => shape.names_any(symbols),
        }
    }

    /// Whether some span of the shape may meet the condition.
    fn may_meet(&self, shape: &Shape) -> bool {
        self.is_met(shape)
            || match *self {
                Self::Text(_) => shape.has_open_slot(),
                Self::NotInShapes => true,
                Self::Has(_) => shape.annotations.iter().any(Option::is_none),
                Self::Tag(key, _) => shape.tags.iter().any(|tag| tag.1.is_none() && key == Some(tag.0)),
                _ => false,
            }
    }
}

fn is_of_service(service: Option<Slot>, shape: &Shape) -> bool {
    service.is_none_or(|service| service == Some(shape.service))
}

/// What the spans of a shape meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShapeMeets {
    /// Every span does.
    pub(crate) surely: Met,
    /// Some span may.
    pub(crate) perhaps: Met,
    /// Whether some span may be an error.
    pub(crate) may_fail: bool,
}

impl ShapeMeets {
    const ANYTHING: Self = Self {
        surely: 0,
        perhaps: Met::MAX,
        may_fail: true,
    };
}

/// What the spans of each shape meet: there are tens of thousands of shapes and a few things that they meet, and all
/// traces of the head are asked, so a shape takes a byte.
#[derive(Debug)]
pub(crate) struct ShapesMeet {
    shapes: Vec<u8>,
    /// The different ones, the first is [`ShapeMeets::ANYTHING`].
    kinds: Vec<ShapeMeets>,
}

impl Default for ShapesMeet {
    fn default() -> Self {
        Self {
            shapes: Vec::new(),
            kinds: vec![ShapeMeets::ANYTHING],
        }
    }
}

impl ShapesMeet {
    /// Adds what the spans of the next shape meet.
    fn push(&mut self, shape: ShapeMeets) {
        /// Beyond that a shape is said to meet anything.
        const KINDS_MAX: usize = 64;
        let known = self.kinds.iter().position(|kind| *kind == shape);
        let kind = match known {
            Some(known) => known,
            None if self.kinds.len() == KINDS_MAX => 0,
            None => {
                self.kinds.push(shape);
                self.kinds.len() - 1
            }
        };
        self.shapes.push(kind as u8);
    }

    /// What spans of these shapes meet together.
    pub(crate) fn together(&self, shapes: impl Iterator<Item = ShapeNumber>) -> ShapeMeets {
        // One that is newer than this may meet anything.
        let kind = |shape: ShapeNumber| self.shapes.get(shape as usize).copied().unwrap_or(0);
        let kinds = shapes.fold(0u64, |kinds, shape| kinds | 1 << kind(shape));
        let (mut together, mut left) = (ShapeMeets::default(), kinds);
        while left != 0 {
            let kind = &self.kinds[left.trailing_zeros() as usize];
            left &= left - 1;
            together.surely |= kind.surely;
            together.perhaps |= kind.perhaps;
            together.may_fail |= kind.may_fail;
        }
        together
    }

    /// Conditions that spans of a shape other than the generic one may meet or not.
    pub(crate) fn open(&self) -> Met {
        let kinds = self.kinds.iter().skip(1);
        kinds.fold(0, |open, kind| open | kind.perhaps & !kind.surely)
    }
}
