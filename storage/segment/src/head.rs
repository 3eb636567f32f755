//! The head: traces still arriving, in memory, searchable.
//!
//! The head is a row of generations. The newest, the active one, takes spans; older ones are frozen and on
//! their way into a segment. A generation has its own shape registry, so nothing in memory outlives the traces
//! that needed it. Traces are in a sharded map, so writers meet only on the same shard, and no lock is
//! held across I/O.
//!
//! ```text
//! Generation { registry, names, traces: low identifier → HeadTrace { rows, shapes, times } }
//! ```
//!
//! Locks are taken in this order: the registry, then one shard of the traces. Names are locked alone. Who holds a
//! shard (`for_each`, `also_in`) takes no lock of this generation, and nobody locks the registry twice: a writer
//! that waits between two readers would wait for ever.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use model::{Span, SpanBatch};
use parking_lot::{Mutex, RwLock};
use storage_journal::Position;

use crate::fields::Fields;
use crate::names::Names;
use crate::registry::Registry;
use crate::shape::{ShapeNumber, ShapeTable};
use storage_record::bytes::Cursor;

mod row;

use row::TraceFrame;

/// What a trace takes beside its rows: its entry in the map and what is known of it.
const TRACE_BYTES: u64 = 208;
/// Rows read before the registry is let go for a moment: writers must not wait for a huge trace.
const ROWS_AT_ONCE: usize = 4096;

/// Traces that arrived between two freezes.
#[derive(Debug)]
pub(crate) struct Generation {
    registry: RwLock<Registry>,
    names: Mutex<Names>,
    traces: DashMap<u64, HeadTrace, RandomState>,
    bytes: AtomicU64,
    spans: AtomicU64,
    /// The least journal position of a record that has spans here; `u64::MAX` when there is none.
    position: AtomicU64,
    /// Epoch milliseconds.
    pub(crate) since: u64,
}

/// A trace in the head.
#[derive(Clone, Debug)]
pub(crate) struct HeadTrace {
    frame: TraceFrame,
    rows: Vec<u8>,
    span_count: u32,
    /// Distinct, sorted.
    shapes: Vec<ShapeNumber>,
    /// Least and greatest timestamp of a span, microseconds, 0 when no span has one.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) arrival: Arrival,
    /// Segments of lesser numbers were asked whether they may hold it, too, and whether one said so.
    asked_below: u64,
    elsewhere: bool,
}

/// When spans arrived, and what of the journal they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Epoch milliseconds.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// No record of them is before this.
    pub(crate) position: Position,
}

impl Arrival {
    /// All at one moment, epoch milliseconds.
    pub(crate) fn at(now: u64, position: Position) -> Self {
        Self {
            first: now,
            last: now,
            position,
        }
    }

    fn join(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.position = self.position.min(other.position);
    }
}

impl Generation {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            registry: RwLock::default(),
            names: Mutex::default(),
            traces: DashMap::default(),
            bytes: AtomicU64::new(0),
            spans: AtomicU64::new(0),
            position: AtomicU64::new(u64::MAX),
            since: now,
        }
    }

    /// Memory it holds, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        let names = self.names.lock().bytes();
        self.bytes.load(Ordering::Relaxed) + self.registry.read().bytes() as u64 + names
    }

    pub(crate) fn spans(&self) -> u64 {
        self.spans.load(Ordering::Relaxed)
    }

    /// The least journal position it needs, if any.
    pub(crate) fn position(&self) -> Option<Position> {
        Some(self.position.load(Ordering::SeqCst))
            .filter(|&position| position != u64::MAX)
            .map(Position::from_u64)
    }

    /// Adds a batch.
    pub(crate) fn insert(&self, batch: &SpanBatch, arrival: Arrival, autocomplete_keys: &[String]) {
        self.position
            .fetch_min(arrival.position.as_u64(), Ordering::SeqCst);
        let missing = self.insert_known(batch, arrival);
        if !missing.is_empty() {
            let numbers = self.shapes_for(batch, &missing);
            let registry = self.registry.read();
            let mut added = 0;
            for (&index, number) in missing.iter().zip(numbers) {
                added += self.add_row(
                    registry.table(),
                    &Fields::of_ref(batch.get(index)),
                    number,
                    arrival,
                );
            }
            self.bytes.fetch_add(added, Ordering::Relaxed);
        }
        if !missing.is_empty() || !autocomplete_keys.is_empty() {
            self.note_names(batch, &missing, autocomplete_keys);
        }
        self.spans.fetch_add(batch.len() as u64, Ordering::Relaxed);
    }

    /// Adds the spans of a batch whose shapes are known, in one pass; gives the indexes of the others.
    fn insert_known(&self, batch: &SpanBatch, arrival: Arrival) -> Vec<usize> {
        let registry = self.registry.read();
        let (mut missing, mut added) = (Vec::new(), 0);
        let mut fields: Option<Fields<'_>> = None;
        for (index, span) in batch.iter().enumerate() {
            let filled = match fields.take() {
                None => Fields::of_ref(span),
                Some(previous) => previous.next_ref(span),
            };
            match registry.find(&filled) {
                Some(number) => added += self.add_row(registry.table(), &filled, number, arrival),
                None => missing.push(index),
            }
            fields = Some(filled);
        }
        self.bytes.fetch_add(added, Ordering::Relaxed);
        missing
    }

    /// Makes the shapes that spans of a batch lack: the only time the registry is locked for writing.
    fn shapes_for(&self, batch: &SpanBatch, indexes: &[usize]) -> Vec<ShapeNumber> {
        let mut registry = self.registry.write();
        indexes
            .iter()
            .map(|&index| registry.insert(&Fields::of_ref(batch.get(index))))
            .collect()
    }

    /// Adds a span to its trace; gives the memory that took, bytes.
    fn add_row(&self, table: &ShapeTable, fields: &Fields<'_>, number: ShapeNumber, arrival: Arrival) -> u64 {
        let Ok(shape) = table.get(number) else {
            debug_assert!(false, "the registry gave a number that its table lacks");
            return 0;
        };
        let mut added = 0;
        let mut trace = self.traces.entry(fields.trace_id.low()).or_insert_with(|| {
            added += TRACE_BYTES;
            HeadTrace::new(fields, arrival)
        });
        let before = trace.rows.capacity();
        trace.note(fields, number, arrival);
        let frame = trace.frame;
        row::encode(fields, number, shape, frame, &mut trace.rows);
        added + (trace.rows.capacity() - before) as u64
    }

    /// A span with a shape that was known has names that are known.
    fn note_names(&self, batch: &SpanBatch, missing: &[usize], autocomplete_keys: &[String]) {
        let mut names = self.names.lock();
        for &index in missing {
            let fields = Fields::of_ref(batch.get(index));
            names.note(fields.local_service(), fields.name, fields.remote_service());
        }
        if autocomplete_keys.is_empty() {
            return;
        }
        for span in batch.iter() {
            for (key, value) in span
                .tags()
                .filter(|(key, _)| autocomplete_keys.iter().any(|wanted| wanted == key))
            {
                names.note_value(key, value);
            }
        }
    }

    /// Reads its names; none is added meanwhile.
    pub(crate) fn with_names<T>(&self, read: impl FnOnce(&Names) -> T) -> T {
        read(&self.names.lock())
    }

    /// Reads with its shapes; nothing is added meanwhile.
    pub(crate) fn with_shapes<T>(&self, read: impl FnOnce(&ShapeTable) -> T) -> T {
        read(self.registry.read().table())
    }

    /// The spans of a trace; nothing where it is not here.
    pub(crate) fn spans_of(&self, low: u64) -> Vec<Span> {
        self.rows_of(low)
            .map_or_else(Vec::new, |mut rows| rows.take(usize::MAX))
    }

    /// The spans of a trace, to be read some at a time.
    pub(crate) fn rows_of(&self, low: u64) -> Option<RowsOfTrace<'_>> {
        let trace = self.traces.get(&low)?;
        Some(RowsOfTrace {
            generation: self,
            frame: trace.frame,
            rows: trace.rows.clone(),
            read: 0,
            left: trace.span_count as usize,
        })
    }

    /// How many spans a trace has here.
    pub(crate) fn span_count(&self, low: u64) -> u64 {
        self.traces
            .get(&low)
            .map_or(0, |trace| u64::from(trace.span_count))
    }

    /// Traces that a segment may hold, too. `may_hold(low, from)` asks the segments of number `from` or more;
    /// what it says is remembered, so a trace is asked for once a segment. There are none of number `end` or more.
    pub(crate) fn also_in(&self, end: u64, may_hold: impl Fn(u64, u64) -> bool) -> Vec<u64> {
        let mut found = Vec::new();
        for mut entry in self.traces.iter_mut() {
            let (&low, trace) = entry.pair_mut();
            if trace.asked_below < end {
                trace.elsewhere = trace.elsewhere || may_hold(low, trace.asked_below);
                trace.asked_below = end;
            }
            if trace.elsewhere {
                found.push(low);
            }
        }
        found
    }

    /// Gives `visit` every trace's low identifier and what is known of it without its rows. `visit` MUST NOT touch this
    /// generation's traces: it runs while a part of them is locked.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(u64, &HeadTrace)) {
        for entry in &self.traces {
            visit(*entry.key(), entry.value());
        }
    }
}

impl HeadTrace {
    fn new(fields: &Fields<'_>, arrival: Arrival) -> Self {
        let frame = TraceFrame {
            low: fields.trace_id.low(),
            high: fields.trace_id.high(),
            base: fields.timestamp.unwrap_or(0),
        };
        Self {
            frame,
            rows: Vec::new(),
            span_count: 0,
            shapes: Vec::new(),
            first: 0,
            last: 0,
            arrival,
            asked_below: 0,
            elsewhere: false,
        }
    }

    fn note(&mut self, fields: &Fields<'_>, number: ShapeNumber, arrival: Arrival) {
        if let Err(place) = self.shapes.binary_search(&number) {
            self.shapes.insert(place, number);
        }
        if let Some(timestamp) = fields.timestamp {
            self.first = if self.first == 0 {
                timestamp
            } else {
                self.first.min(timestamp)
            };
            self.last = self.last.max(timestamp);
        }
        self.arrival.join(arrival);
        self.span_count += 1;
    }

    /// Distinct, sorted.
    pub(crate) fn shapes(&self) -> &[ShapeNumber] {
        &self.shapes
    }

    /// Memory it holds, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        self.heap_bytes() + TRACE_BYTES
    }

    pub(crate) fn span_count(&self) -> usize {
        self.span_count as usize
    }

    fn heap_bytes(&self) -> u64 {
        (self.rows.capacity() + self.shapes.capacity() * size_of::<ShapeNumber>()) as u64
    }
}

/// Rows of a trace as they were at one moment, being read.
#[derive(Debug)]
pub(crate) struct RowsOfTrace<'g> {
    generation: &'g Generation,
    frame: TraceFrame,
    rows: Vec<u8>,
    /// Bytes of rows read.
    read: usize,
    /// Rows not read.
    left: usize,
}

impl RowsOfTrace<'_> {
    /// The next spans, at most so many; none at the end.
    pub(crate) fn take(&mut self, most: usize) -> Vec<Span> {
        let most = most.min(self.left);
        let mut spans = Vec::with_capacity(most);
        while spans.len() < most {
            let end = most.min(spans.len() + ROWS_AT_ONCE);
            let registry = self.generation.registry.read();
            let mut cursor = Cursor::new(&self.rows[self.read..]);
            while spans.len() < end {
                match row::decode(&mut cursor, registry.table(), self.frame) {
                    Ok(span) => spans.push(span),
                    Err(error) => {
                        // Rows were written by this process with this table: a failure is a mistake in the coder.
                        debug_assert!(false, "a row of the head cannot be read: {error}");
                        tracing::error!(%error, "a row of the head cannot be read; the rest of its trace is left out");
                        self.left = 0;
                        return spans;
                    }
                }
            }
            self.read = self.rows.len() - cursor.remaining();
        }
        self.left -= spans.len();
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arbitrary_spans, span};
    use proptest::prelude::*;

    fn batch_of(spans: &[Span]) -> SpanBatch {
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span));
        batch
    }

    #[test]
    fn knows_names_times_and_positions() {
        let generation = Generation::new(0);
        assert_eq!(generation.position(), None);
        let arrival = |now, position| Arrival::at(now, Position::from_u64(position));
        generation.insert(
            &batch_of(&[span(1, 1, 50)]),
            arrival(10, 7),
            &["instance".to_owned()],
        );
        generation.insert(&batch_of(&[span(1, 2, 20)]), arrival(12, 3), &[]);
        assert_eq!(generation.position(), Some(Position::from_u64(3)));
        let mut seen = Vec::new();
        generation.for_each(|low, trace| {
            seen.push((
                low,
                trace.first,
                trace.last,
                trace.arrival.first,
                trace.arrival.last,
            ))
        });
        assert_eq!(seen, [(1, 20, 50, 10, 12)]);
        let names = generation.with_names(Names::clone);
        assert_eq!(
            names.services["web"].remote_services.first().map(String::as_str),
            Some("cart")
        );
        assert!(names.values["instance"].contains("a"));
        assert!(generation.bytes() > 0);
    }

    #[test]
    fn a_segment_is_asked_once_for_a_trace() {
        let generation = Generation::new(0);
        let add = |trace| {
            let batch = batch_of(&[span(trace, 1, 50)]);
            generation.insert(&batch, Arrival::at(0, Position::START), &[]);
        };
        let ask = |end, held: &[(u64, u64)]| {
            let asked = std::cell::RefCell::new(Vec::new());
            let mut found = generation.also_in(end, |low, from| {
                asked.borrow_mut().push((low, from));
                held.iter().any(|&(number, of)| number >= from && of == low)
            });
            found.sort_unstable();
            let mut asked = asked.into_inner();
            asked.sort_unstable();
            (found, asked)
        };
        add(1);
        add(2);
        assert_eq!(ask(4, &[(3, 1)]), (vec![1], vec![(1, 0), (2, 0)]));
        assert_eq!(ask(4, &[(3, 1)]), (vec![1], vec![]));
        add(3);
        assert_eq!(ask(4, &[(3, 1)]), (vec![1], vec![(3, 0)]));
        assert_eq!(ask(5, &[(3, 1), (4, 2)]), (vec![1, 2], vec![(2, 4), (3, 4)]));
    }

    proptest! {
        #[test]
        fn gives_back_the_spans_of_a_trace(spans in arbitrary_spans(20)) {
            let generation = Generation::new(0);
            generation.insert(&batch_of(&spans), Arrival::at(0, Position::START), &[]);
            for low in 0..5 {
                let expected: Vec<_> = spans.iter().filter(|span| span.trace_id.low() == low).cloned().collect();
                prop_assert_eq!(generation.span_count(low), expected.len() as u64);
                prop_assert_eq!(generation.spans_of(low), &expected[..]);
                let mut some = Vec::new();
                if let Some(mut rows) = generation.rows_of(low) {
                    while let [first, rest @ ..] = &rows.take(3)[..] {
                        some.push(first.clone());
                        some.extend_from_slice(rest);
                    }
                }
                prop_assert_eq!(some, expected);
            }
        }
    }
}
