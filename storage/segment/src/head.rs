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

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use model::{Span, SpanBatch};
use parking_lot::{Mutex, RwLock};
use storage_journal::Position;

use crate::bytes::Cursor;
use crate::fields::Fields;
use crate::names::Names;
use crate::row::{self, TraceFrame};
use crate::shape::{GENERIC, Registry, ShapeNumber, ShapeTable};

/// What a trace takes beside its rows: its entry in the map and what is known of it.
const TRACE_BYTES: u64 = 192;

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
        self.bytes.load(Ordering::Relaxed) + self.registry.read().bytes() as u64
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
        let numbers = self.shapes_of(batch, autocomplete_keys);
        let registry = self.registry.read();
        let mut fields: Option<Fields<'_>> = None;
        let mut added = 0;
        for (span, number) in batch.iter().zip(numbers) {
            let filled = match fields.take() {
                None => Fields::of_ref(span),
                Some(previous) => previous.next_ref(span),
            };
            if let Ok(shape) = registry.table().get(number) {
                let low = span.trace_id().low();
                let mut trace = self.traces.entry(low).or_insert_with(|| {
                    added += TRACE_BYTES;
                    HeadTrace::new(&filled, arrival)
                });
                let before = trace.rows.capacity();
                trace.note(&filled, number, arrival);
                let frame = trace.frame;
                row::encode(&filled, number, shape, frame, &mut trace.rows);
                added += (trace.rows.capacity() - before) as u64;
            }
            fields = Some(filled);
        }
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.spans.fetch_add(batch.len() as u64, Ordering::Relaxed);
    }

    /// The shapes of a batch's spans, in order. The registry is locked for writing only for shapes it lacks.
    fn shapes_of(&self, batch: &SpanBatch, autocomplete_keys: &[String]) -> Vec<ShapeNumber> {
        let mut numbers = Vec::with_capacity(batch.len());
        let mut missing = Vec::new();
        {
            let registry = self.registry.read();
            let mut fields: Option<Fields<'_>> = None;
            for (index, span) in batch.iter().enumerate() {
                let filled = match fields.take() {
                    None => Fields::of_ref(span),
                    Some(previous) => previous.next_ref(span),
                };
                let found = registry.find(&filled);
                if found.is_none() {
                    missing.push(index);
                }
                numbers.push(found.unwrap_or(GENERIC));
                fields = Some(filled);
            }
        }
        if !missing.is_empty() {
            let mut registry = self.registry.write();
            for &index in &missing {
                numbers[index] = registry.insert(&Fields::of_ref(batch.get(index)));
            }
        }
        if !missing.is_empty() || !autocomplete_keys.is_empty() {
            self.note_names(batch, &missing, autocomplete_keys);
        }
        numbers
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

    /// Adds its names to `all`.
    pub(crate) fn add_names(&self, all: &mut Names) {
        all.add(&self.names.lock());
    }

    /// Reads with its shapes; nothing is added meanwhile.
    pub(crate) fn with_shapes<T>(&self, read: impl FnOnce(&ShapeTable) -> T) -> T {
        read(self.registry.read().table())
    }

    /// The spans of a trace; nothing where it is not here.
    pub(crate) fn spans_of(&self, low: u64) -> Vec<Span> {
        // The registry first, then the shard: the order of `insert`.
        let registry = self.registry.read();
        let trace = self.traces.get(&low).map(|trace| trace.clone());
        trace.map_or_else(Vec::new, |trace| trace.spans(registry.table()))
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
        self.rows.capacity() as u64 + TRACE_BYTES
    }

    fn spans(&self, table: &ShapeTable) -> Vec<Span> {
        let mut cursor = Cursor::new(&self.rows);
        let mut spans = Vec::with_capacity(self.span_count as usize);
        for _ in 0..self.span_count {
            match row::decode(&mut cursor, table, self.frame) {
                Ok(span) => spans.push(span),
                Err(error) => {
                    // Rows were written by this process with this table: a failure is a mistake in the coder.
                    debug_assert!(false, "a row of the head cannot be read: {error}");
                    tracing::error!(%error, "a row of the head cannot be read; the rest of its trace is left out");
                    break;
                }
            }
        }
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
        let mut names = Names::default();
        generation.add_names(&mut names);
        assert_eq!(
            names.services["web"].remote_services.first().map(String::as_str),
            Some("cart")
        );
        assert!(names.values["instance"].contains("a"));
        assert!(generation.bytes() > 0);
    }

    proptest! {
        #[test]
        fn gives_back_the_spans_of_a_trace(spans in arbitrary_spans(20)) {
            let generation = Generation::new(0);
            generation.insert(&batch_of(&spans), Arrival::at(0, Position::START), &[]);
            for low in 0..5 {
                let expected: Vec<_> = spans.iter().filter(|span| span.trace_id.low() == low).cloned().collect();
                prop_assert_eq!(generation.spans_of(low), expected);
            }
        }
    }
}
