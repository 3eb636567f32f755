//! The spans of one trace as rows against a table of shapes: what sealing, compaction and reading hand on.
//!
//! A row is a shape's number, identifiers, times and addresses, and the texts that the shape leaves open. Rows of a
//! trace share a few buffers, which are filled, used and cleared again: no allocation a span, and no text is
//! compared or hashed unless two spans agree in everything else.
//!
//! Filling: [`TraceRows::push_value`] and [`TraceRows::push_annotation_time`] for everything a row has of them, then
//! [`TraceRows::push`]. Reading: [`TraceRows::iter`] for rows as they are coded, [`RowRef::span`] for what they say.

use std::cmp::Ordering;
use std::ops::Range;

use model::{Annotation, Endpoint, EndpointRef, Kind, Span, SpanId, TraceId};

use crate::fields::Fields;
use crate::shape::{GENERIC, Shape, ShapeNumber, ShapeTable, Slot};
use crate::strings::{Strings, Symbol};
use storage_record::bytes::Malformed;

/// What of an endpoint is in the row and not in the shape.
pub(crate) use storage_record::Address;

/// Everything of a row but its values and annotation times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowHead {
    pub(crate) shape: ShapeNumber,
    pub(crate) trace_id: TraceId,
    pub(crate) id: SpanId,
    pub(crate) parent_id: Option<SpanId>,
    /// Microseconds since the epoch.
    pub(crate) timestamp: Option<u64>,
    /// Microseconds.
    pub(crate) duration: Option<u64>,
    pub(crate) local: Address,
    pub(crate) remote: Address,
    /// There if, and only if, the shape is [`GENERIC`].
    pub(crate) generic: Option<GenericRow>,
}

/// What a generic row says in place of a shape. Its values are, in this order: service, name and remote service where
/// it has them, the keys of its tags, their values, the values of its annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GenericRow {
    pub(crate) kind: Option<Kind>,
    pub(crate) debug: bool,
    pub(crate) shared: bool,
    pub(crate) has_service: bool,
    pub(crate) has_name: bool,
    pub(crate) has_remote_service: bool,
    pub(crate) tags: u32,
    pub(crate) annotations: u32,
}

/// Rows of one trace. See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct TraceRows {
    rows: Vec<Row>,
    /// Indexes into `rows`, in the order in which they are read.
    order: Vec<u32>,
    values: Vec<Value>,
    annotation_times: Vec<u64>,
    text: String,
    /// Where the values and annotation times of the row that is being filled begin.
    open: (usize, usize),
}

#[derive(Debug)]
struct Row {
    head: RowHead,
    /// Which of the values and annotation times are its own.
    values: Range<usize>,
    annotation_times: Range<usize>,
}

/// How rows of a shape are coded against another table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowCoding<'a> {
    /// A shape that leaves the same values open.
    Shape(ShapeNumber),
    /// A shape that leaves more open. For each value that it does: the string to put there, or `None` for the next one
    /// of the row.
    Opened(ShapeNumber, &'a [Slot], &'a Strings),
    /// Generic: everything is in the row.
    Generic,
}

/// Where the text of a value is.
#[derive(Clone, Copy, Debug)]
struct Value {
    start: usize,
    end: usize,
}

impl TraceRows {
    /// Forgets all rows and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.order.clear();
        self.values.clear();
        self.annotation_times.clear();
        self.text.clear();
        self.open = (0, 0);
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Bytes of the texts of all rows.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Adds a value to the row that is being filled: what its shape leaves open, tags in order and then annotations; or
    /// what [`GenericRow`] says.
    pub(crate) fn push_value(&mut self, value: &str) {
        let start = self.text.len();
        self.text.push_str(value);
        let end = self.text.len();
        self.values.push(Value { start, end });
    }

    /// As [`TraceRows::push_value`]: `write` appends the value to the text it is given.
    pub(crate) fn push_value_with<E>(
        &mut self,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.text.len();
        write(&mut self.text)?;
        let end = self.text.len();
        self.values.push(Value { start, end });
        Ok(())
    }

    /// Adds the time of an annotation, microseconds since the epoch, to the row that is being filled.
    pub(crate) fn push_annotation_time(&mut self, time: u64) {
        self.annotation_times.push(time);
    }

    /// Ends the row that is being filled: its values and annotation times are those pushed since the row before.
    pub(crate) fn push(&mut self, head: RowHead) {
        self.order.push(self.rows.len() as u32);
        self.rows.push(Row {
            head,
            values: self.open.0..self.values.len(),
            annotation_times: self.open.1..self.annotation_times.len(),
        });
        self.open = (self.values.len(), self.annotation_times.len());
    }

    /// Adds a span as a row of shape `number`, which MUST be a shape of this span, or [`GENERIC`].
    pub(crate) fn push_fields(&mut self, fields: &Fields<'_>, number: ShapeNumber, shape: &Shape) {
        let generic = (number == GENERIC).then(|| self.push_generic_values(fields));
        if generic.is_none() {
            let tags = shape.tags.iter().zip(&fields.tags);
            let tags = tags.map(|((_, slot), (_, value))| (slot, value));
            let annotations = shape.annotations.iter().zip(&fields.annotations);
            let annotations = annotations.map(|(slot, (_, value))| (slot, value));
            for (_, value) in tags.chain(annotations).filter(|(slot, _)| slot.is_none()) {
                self.push_value(value);
            }
        }
        for &(time, _) in &fields.annotations {
            self.push_annotation_time(time);
        }
        let address =
            |endpoint: Option<EndpointRef<'_>>| endpoint.map_or_else(Address::default, |e| (e.ip, e.port));
        self.push(RowHead {
            shape: number,
            trace_id: fields.trace_id,
            id: fields.id,
            parent_id: fields.parent_id,
            timestamp: fields.timestamp,
            duration: fields.duration,
            local: address(fields.local),
            remote: address(fields.remote),
            generic,
        });
    }

    fn push_generic_values(&mut self, fields: &Fields<'_>) -> GenericRow {
        let texts = [fields.local_service(), fields.name, fields.remote_service()];
        let keys = fields.tags.iter().map(|tag| tag.0);
        let values = fields.tags.iter().map(|tag| tag.1);
        let annotations = fields.annotations.iter().map(|annotation| annotation.1);
        for text in texts
            .into_iter()
            .flatten()
            .chain(keys)
            .chain(values)
            .chain(annotations)
        {
            self.push_value(text);
        }
        GenericRow {
            kind: fields.kind,
            debug: fields.debug,
            shared: fields.shared,
            has_service: texts[0].is_some(),
            has_name: texts[1].is_some(),
            has_remote_service: texts[2].is_some(),
            tags: fields.tags.len() as u32,
            annotations: fields.annotations.len() as u32,
        }
    }

    /// Adds a copy of a row of another buffer.
    pub(crate) fn push_row(&mut self, row: RowRef<'_>) {
        row.values().for_each(|value| self.push_value(value));
        self.annotation_times.extend_from_slice(row.annotation_times);
        self.push(*row.head);
    }

    /// The rows in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = RowRef<'_>> + Clone {
        self.order
            .iter()
            .map(|&index| self.content().row(&self.rows[index as usize]))
    }

    /// Codes every row against another table than `table`. `coding_of` says how, by the number of a shape; generic rows
    /// stay as they are.
    ///
    /// # Errors
    /// Those of `coding_of`, and [`Malformed`] where a row has a shape that `table` lacks.
    pub(crate) fn recode<'a>(
        &mut self,
        table: &ShapeTable,
        mut coding_of: impl FnMut(ShapeNumber) -> Result<RowCoding<'a>, Malformed>,
    ) -> Result<(), Malformed> {
        for index in 0..self.rows.len() {
            let number = self.rows[index].head.shape;
            if number == GENERIC {
                continue;
            }
            match coding_of(number)? {
                RowCoding::Shape(number) => self.rows[index].head.shape = number,
                RowCoding::Opened(number, values, strings) => {
                    self.rows[index].head.shape = number;
                    self.open_values(index, values, strings);
                }
                RowCoding::Generic => self.make_generic(index, table)?,
            }
        }
        self.open = (self.values.len(), self.annotation_times.len());
        Ok(())
    }

    fn open_values(&mut self, index: usize, opened: &[Slot], strings: &Strings) {
        let mut own = self.rows[index].values.clone();
        let start = self.values.len();
        for value in opened {
            match value {
                Some(symbol) => self.push_value(strings.get(*symbol)),
                None => {
                    if let Some(next) = own.next() {
                        self.values.push(self.values[next]);
                    }
                }
            }
        }
        self.rows[index].values = start..self.values.len();
    }

    fn make_generic(&mut self, index: usize, table: &ShapeTable) -> Result<(), Malformed> {
        let span = self.content().row(&self.rows[index]).span(table)?.to_span();
        let start = self.values.len();
        let generic = self.push_generic_values(&Fields::of_span(&span));
        let row = &mut self.rows[index];
        row.values = start..self.values.len();
        row.head.shape = GENERIC;
        row.head.generic = Some(generic);
        Ok(())
    }

    /// Drops the rows of which `keep`, asked in order, is false.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(RowRef<'_>) -> bool) {
        let mut order = std::mem::take(&mut self.order);
        order.retain(|&index| keep(self.content().row(&self.rows[index as usize])));
        self.order = order;
    }

    /// Orders rows as [`crate::view::sort_distinct`] orders their spans, and drops all but one of those that are the
    /// same span.
    ///
    /// # Errors
    /// [`Malformed`] where a row has a shape that the table lacks.
    pub(crate) fn sort_distinct(&mut self, table: &ShapeTable) -> Result<(), Malformed> {
        for row in &self.rows {
            table.get(row.head.shape)?;
        }
        let Self {
            rows,
            order,
            values,
            annotation_times,
            text,
            ..
        } = self;
        let content = Content {
            values,
            annotation_times,
            text,
        };
        let span = |index: u32| content.row(&rows[index as usize]).span(table);
        let compare = |a: &u32, b: &u32| {
            let (left, right) = (&rows[*a as usize].head, &rows[*b as usize].head);
            compare_heads(left, right).then_with(|| match (span(*a), span(*b)) {
                (Ok(left), Ok(right)) => left.compare_rest(&right),
                _ => Ordering::Equal,
            })
        };
        if !order.is_sorted_by(|a, b| compare(a, b).is_lt()) {
            order.sort_unstable_by(compare);
            order.dedup_by(|a, b| compare(a, b).is_eq());
        }
        Ok(())
    }

    /// The spans, in order.
    ///
    /// # Errors
    /// [`Malformed`] where a row has a shape that the table lacks.
    pub(crate) fn to_spans(&self, table: &ShapeTable) -> Result<Vec<Span>, Malformed> {
        self.iter().map(|row| Ok(row.span(table)?.to_span())).collect()
    }

    fn content(&self) -> Content<'_> {
        Content {
            values: &self.values,
            annotation_times: &self.annotation_times,
            text: &self.text,
        }
    }
}

/// What rows point into.
#[derive(Clone, Copy)]
struct Content<'a> {
    values: &'a [Value],
    annotation_times: &'a [u64],
    text: &'a str,
}

impl<'a> Content<'a> {
    fn row(&self, row: &'a Row) -> RowRef<'a> {
        RowRef {
            head: &row.head,
            values: &self.values[row.values.clone()],
            annotation_times: &self.annotation_times[row.annotation_times.clone()],
            text: self.text,
        }
    }
}

/// The part of the order of spans that needs no text.
fn compare_heads(a: &RowHead, b: &RowHead) -> Ordering {
    let key = |head: &RowHead| (head.timestamp, head.trace_id, head.parent_id, head.id);
    key(a).cmp(&key(b))
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowRef<'a> {
    pub(crate) head: &'a RowHead,
    values: &'a [Value],
    annotation_times: &'a [u64],
    text: &'a str,
}

impl<'a> RowRef<'a> {
    /// The values it has beside its shape, see [`TraceRows::push_value`].
    pub(crate) fn values(self) -> impl ExactSizeIterator<Item = &'a str> + Clone {
        self.values
            .iter()
            .map(move |value| &self.text[value.start..value.end])
    }

    /// The value at `index`; empty where there is none.
    pub(crate) fn value(self, index: usize) -> &'a str {
        self.values
            .get(index)
            .map_or("", |value| &self.text[value.start..value.end])
    }

    /// One a annotation, microseconds since the epoch.
    pub(crate) fn annotation_times(self) -> &'a [u64] {
        self.annotation_times
    }

    /// What it says, with the table that its shape is from.
    ///
    /// # Errors
    /// [`Malformed`] where the table lacks the shape.
    pub(crate) fn span(self, table: &'a ShapeTable) -> Result<RowSpan<'a>, Malformed> {
        let shape = table.get(self.head.shape)?;
        Ok(RowSpan {
            row: self,
            table,
            shape,
        })
    }
}

/// A row with its shape: everything a span has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowSpan<'a> {
    pub(crate) row: RowRef<'a>,
    table: &'a ShapeTable,
    pub(crate) shape: &'a Shape,
}

impl<'a> RowSpan<'a> {
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.row
            .head
            .generic
            .map_or(self.shape.kind, |generic| generic.kind)
    }

    pub(crate) fn debug(&self) -> bool {
        self.row
            .head
            .generic
            .map_or(self.shape.debug, |generic| generic.debug)
    }

    pub(crate) fn shared(&self) -> bool {
        self.row
            .head
            .generic
            .map_or(self.shape.shared, |generic| generic.shared)
    }

    pub(crate) fn service(&self) -> Option<&'a str> {
        match self.row.head.generic {
            None => self.option(self.shape.service),
            Some(generic) => generic.has_service.then(|| self.row.value(0)),
        }
    }

    pub(crate) fn name(&self) -> Option<&'a str> {
        match self.row.head.generic {
            None => self.option(self.shape.name),
            Some(generic) => generic
                .has_name
                .then(|| self.row.value(usize::from(generic.has_service))),
        }
    }

    pub(crate) fn remote_service(&self) -> Option<&'a str> {
        match self.row.head.generic {
            None => self.option(self.shape.remote_service),
            Some(generic) => generic.has_remote_service.then(|| {
                let before = usize::from(generic.has_service) + usize::from(generic.has_name);
                self.row.value(before)
            }),
        }
    }

    pub(crate) fn local(&self) -> Option<EndpointRef<'a>> {
        endpoint(self.service(), self.row.head.local)
    }

    pub(crate) fn remote(&self) -> Option<EndpointRef<'a>> {
        endpoint(self.remote_service(), self.row.head.remote)
    }

    /// Keys and values, in order.
    pub(crate) fn tags(self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        let generic = self.row.head.generic;
        let count = generic.map_or(self.shape.tags.len(), |generic| generic.tags as usize);
        let keys = generic.map_or(0, GenericRow::names);
        let mut open = 0;
        (0..count).map(move |index| match generic {
            Some(_) => (self.row.value(keys + index), self.row.value(keys + count + index)),
            None => {
                let (key, slot) = self.shape.tags[index];
                (self.table.strings.get(key), self.slot(slot, &mut open))
            }
        })
    }

    /// Times and values, in order.
    pub(crate) fn annotations(self) -> impl Iterator<Item = (u64, &'a str)> + Clone {
        let generic = self.row.head.generic;
        let mut open = match generic {
            Some(generic) => generic.names() + 2 * generic.tags as usize,
            None => self.shape.tags.iter().filter(|tag| tag.1.is_none()).count(),
        };
        let times = self.row.annotation_times.iter().enumerate();
        times.map(move |(index, &time)| {
            let slot = self.shape.annotations.get(index).copied().flatten();
            (time, self.slot(slot, &mut open))
        })
    }

    /// An owned copy.
    pub(crate) fn to_span(self) -> Span {
        let head = self.row.head;
        let owned = |endpoint: EndpointRef<'_>| Endpoint {
            service_name: endpoint.service_name.map(str::to_owned),
            ip: endpoint.ip,
            port: endpoint.port,
        };
        let annotation = |(timestamp, value): (u64, &str)| Annotation {
            timestamp,
            value: value.to_owned(),
        };
        Span {
            trace_id: head.trace_id,
            parent_id: head.parent_id,
            id: head.id,
            kind: self.kind(),
            name: self.name().map(str::to_owned),
            timestamp: head.timestamp,
            duration: head.duration,
            local_endpoint: self.local().map(owned),
            remote_endpoint: self.remote().map(owned),
            annotations: self.annotations().map(annotation).collect(),
            tags: self
                .tags()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            debug: self.debug(),
            shared: self.shared(),
        }
    }

    /// The order of [`Span`] from where [`compare_heads`] leaves off.
    fn compare_rest(&self, other: &Self) -> Ordering {
        let order = |endpoint: Option<EndpointRef<'a>>| endpoint.map(|e| (e.service_name, e.ip, e.port));
        self.kind()
            .cmp(&other.kind())
            .then_with(|| self.name().cmp(&other.name()))
            .then_with(|| self.row.head.duration.cmp(&other.row.head.duration))
            .then_with(|| order(self.local()).cmp(&order(other.local())))
            .then_with(|| order(self.remote()).cmp(&order(other.remote())))
            .then_with(|| self.annotations().cmp(other.annotations()))
            .then_with(|| self.tags().cmp(other.tags()))
            .then_with(|| self.debug().cmp(&other.debug()))
            .then_with(|| self.shared().cmp(&other.shared()))
    }

    fn slot(&self, slot: Slot, open: &mut usize) -> &'a str {
        match slot {
            Some(symbol) => self.table.strings.get(symbol),
            None => {
                *open += 1;
                self.row.value(*open - 1)
            }
        }
    }

    fn option(&self, symbol: Symbol) -> Option<&'a str> {
        (symbol != Symbol::NONE).then(|| self.table.strings.get(symbol))
    }
}

impl GenericRow {
    /// How many of its values come before the keys of its tags.
    fn names(self) -> usize {
        usize::from(self.has_service) + usize::from(self.has_name) + usize::from(self.has_remote_service)
    }
}

/// An endpoint, if anything of it is known.
pub(crate) fn endpoint(service_name: Option<&str>, (ip, port): Address) -> Option<EndpointRef<'_>> {
    let is_there = service_name.is_some() || !ip.is_empty() || port != 0;
    is_there.then_some(EndpointRef {
        service_name,
        ip,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;
    use crate::testing::arbitrary_spans;
    use crate::view::sort_distinct;
    use proptest::prelude::*;

    /// Every span as a row: of its shape as it is by then, or generic where `generic` says so.
    fn rows_of(spans: &[Span], generic: &[bool], registry: &mut Registry, rows: &mut TraceRows) {
        for (span, generic) in spans.iter().zip(generic.iter().cycle()) {
            let fields = Fields::of_span(span);
            let number = if *generic {
                GENERIC
            } else {
                registry.insert(&fields)
            };
            rows.push_fields(&fields, number, registry.table().get(number).unwrap());
        }
    }

    proptest! {
        #[test]
        fn rows_give_back_their_spans(
            spans in arbitrary_spans(30), generic in prop::collection::vec(any::<bool>(), 1..5),
        ) {
            let (mut registry, mut rows) = (Registry::default(), TraceRows::default());
            for _ in 0..2 {
                rows.clear();
                rows_of(&spans, &generic, &mut registry, &mut rows);
                prop_assert_eq!(rows.len(), spans.len());
                prop_assert_eq!(&rows.to_spans(registry.table()).unwrap(), &spans);
            }
        }

        #[test]
        fn rows_are_sorted_as_spans_are(
            mut spans in arbitrary_spans(30), again in any::<prop::sample::Index>(),
            generic in prop::collection::vec(any::<bool>(), 1..5),
        ) {
            // Coded once more, perhaps by another shape.
            spans.extend_from_within(again.index(spans.len())..);
            for span in &mut spans[..] {
                span.timestamp = span.timestamp.map(|timestamp| timestamp % 3 + 1);
            }
            let (mut registry, mut rows) = (Registry::default(), TraceRows::default());
            rows_of(&spans, &generic, &mut registry, &mut rows);
            rows.sort_distinct(registry.table()).unwrap();
            sort_distinct(&mut spans);
            prop_assert_eq!(rows.to_spans(registry.table()).unwrap(), spans);
        }

        #[test]
        fn rows_may_become_generic_or_go(
            spans in arbitrary_spans(20), generic in prop::collection::vec(any::<bool>(), 1..5),
            kept in prop::collection::vec(any::<bool>(), 20),
        ) {
            let (mut registry, mut rows) = (Registry::default(), TraceRows::default());
            rows_of(&spans, &generic, &mut registry, &mut rows);
            rows.recode(registry.table(), |_| Ok(RowCoding::Generic)).unwrap();
            prop_assert!(rows.iter().all(|row| row.head.shape == GENERIC));
            let nothing = ShapeTable::default();
            prop_assert_eq!(&rows.to_spans(&nothing).unwrap(), &spans);
            // More may be added afterwards.
            rows_of(&spans, &[true], &mut registry, &mut rows);
            prop_assert_eq!(&rows.to_spans(&nothing).unwrap()[spans.len()..], &spans);
            let mut keep = kept.iter().cycle();
            rows.retain(|_| *keep.next().unwrap());
            let mut keep = kept.iter().cycle();
            let expected = spans.iter().chain(&spans).filter(|_| *keep.next().unwrap());
            prop_assert_eq!(rows.to_spans(&nothing).unwrap(), expected.cloned().collect::<Vec<_>>());
        }

        #[test]
        fn a_row_of_a_shape_that_is_not_there_is_refused(spans in arbitrary_spans(5)) {
            let (mut registry, mut rows) = (Registry::default(), TraceRows::default());
            rows_of(&spans, &[false], &mut registry, &mut rows);
            rows.recode(registry.table(), |number| Ok(RowCoding::Shape(number + 1000))).unwrap();
            prop_assert!(rows.to_spans(registry.table()).is_err());
            prop_assert!(rows.sort_distinct(registry.table()).is_err());
        }
    }
}
