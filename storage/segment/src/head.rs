//! The head: traces still arriving, in memory, searchable.
//!
//! The head is a row of generations. The newest, the active one, takes spans; older ones are frozen and on
//! their way into a segment. A generation has its own shape registry, so nothing in memory outlives the traces
//! that needed it. Traces are in shards (`shard.rs`), so writers meet only on the same shard, and no lock is
//! held across I/O.
//!
//! ```text
//! Generation { registry, names, shards: traces: low identifier → HeadTrace { runs of rows, shapes, times } }
//! ```
//!
//! The registry, the names and a shard are each locked alone, and never for longer than a few hundred spans take.

use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use model::Span;
use parking_lot::{Mutex, RwLock};
use std::hash::BuildHasher;
use storage_journal::Position;

use crate::names::Names;
use crate::registry::Registry;
use crate::rows::TraceRows;
use crate::shape::ShapeTable;
use storage_record::RecordSpans;
use storage_record::bytes::Malformed;

mod arena;
mod carry;
mod elsewhere;
mod held;
mod insert;
mod row;
mod runs;
mod shapes;
mod shard;
mod trace;

pub(crate) use carry::CarryOver;
pub(crate) use elsewhere::Asking;
pub(crate) use held::Held;
use runs::Runs;
use shard::{Reading, Shard};
pub(crate) use trace::HeadTrace;

/// Parts that are locked by themselves: many more than there are processors. A power of two.
const SHARDS: usize = 64;
const _: () = assert!(SHARDS.is_power_of_two());
/// Rows read, and traces looked at, before a shard is let go for a moment: writers must not wait for a huge trace.
const ROWS_AT_ONCE: usize = 256;
const TRACES_AT_ONCE: usize = 256;

/// Traces that arrived between two freezes.
#[derive(Debug)]
pub(crate) struct Generation {
    registry: RwLock<Registry>,
    names: Mutex<Names>,
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    /// Memory of traces, of the registry and of the names.
    bytes: AtomicU64,
    registry_bytes: AtomicU64,
    names_bytes: AtomicU64,
    spans: AtomicU64,
    /// The least journal position of a record that has spans here; `u64::MAX` when there is none.
    position: AtomicU64,
    /// Epoch milliseconds.
    pub(crate) since: u64,
    /// Greater than that of every older one.
    number: u64,
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
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::default(),
            bytes: AtomicU64::new(0),
            registry_bytes: AtomicU64::new(0),
            names_bytes: AtomicU64::new(0),
            spans: AtomicU64::new(0),
            position: AtomicU64::new(u64::MAX),
            since: now,
            number: 0,
        }
    }

    /// The one that takes spans after this one.
    pub(crate) fn next(&self, now: u64) -> Self {
        Self {
            number: self.number + 1,
            ..Self::new(now)
        }
    }

    /// Memory it holds, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        [&self.bytes, &self.registry_bytes, &self.names_bytes]
            .iter()
            .map(|bytes| bytes.load(Ordering::Relaxed))
            .sum()
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

    /// Adds spans.
    ///
    /// # Errors
    /// [`Malformed`] where the record is not what was written; some of them may be here then.
    pub(crate) fn insert(
        &self,
        spans: RecordSpans<'_>,
        arrival: Arrival,
        autocomplete_keys: &[String],
    ) -> Result<(), Malformed> {
        self.insert_into(Runs::new(self, arrival), spans, arrival, autocomplete_keys)
    }

    /// As [`Generation::insert`], but what is in `held` is not there until [`Generation::add_held`]. The record MUST be given
    /// to [`Held::keep`] next: that is where its rows are.
    ///
    /// # Errors
    /// Those of [`Generation::insert`].
    pub(crate) fn insert_held(
        &self,
        spans: RecordSpans<'_>,
        arrival: Arrival,
        autocomplete_keys: &[String],
        held: &mut Held,
    ) -> Result<(), Malformed> {
        self.insert_into(
            Runs::held_in(held, self, arrival),
            spans,
            arrival,
            autocomplete_keys,
        )
    }

    fn insert_into(
        &self,
        mut runs: Runs<'_>,
        spans: RecordSpans<'_>,
        arrival: Arrival,
        autocomplete_keys: &[String],
    ) -> Result<(), Malformed> {
        self.note_position(arrival);
        let inserted = self.insert_rows(spans, &mut runs, autocomplete_keys);
        self.note_rows(runs.finish(), spans.len() as u64);
        inserted
    }

    /// To be called before the first row: from then on the journal keeps what is needed for them.
    fn note_position(&self, arrival: Arrival) {
        self.position
            .fetch_min(arrival.position.as_u64(), Ordering::SeqCst);
    }

    /// Counts what was added.
    fn note_rows(&self, bytes: u64, spans: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.spans.fetch_add(spans, Ordering::Relaxed);
    }

    /// To be called by who changed the registry, as long as it is locked.
    fn note_registry_bytes(&self, registry: &Registry) {
        self.registry_bytes
            .store(registry.bytes() as u64, Ordering::Relaxed);
    }

    /// To be called by who changed the names, as long as they are locked.
    fn note_names_bytes(&self, names: &Names) {
        self.names_bytes.store(names.bytes(), Ordering::Relaxed);
    }

    /// Reads its names; none is added meanwhile.
    pub(crate) fn with_names<T>(&self, read: impl FnOnce(&Names) -> T) -> T {
        read(&self.names.lock())
    }

    /// Reads with its shapes; nothing is added meanwhile. `read` MUST NOT ask for them again: a writer that waits
    /// between two readers would wait for ever.
    pub(crate) fn with_shapes<T>(&self, read: impl FnOnce(&ShapeTable) -> T) -> T {
        read(self.registry.read().table())
    }

    /// The spans of a trace; nothing where it is not here.
    pub(crate) fn spans_of(&self, low: u64) -> Vec<Span> {
        self.rows_of(low)
            .map_or_else(Vec::new, |mut rows| rows.take(usize::MAX))
    }

    /// The spans of a trace that came first, so many.
    pub(crate) fn first_spans_of(&self, low: u64, count: usize) -> Vec<Span> {
        let mut spans = self.spans_of(low);
        let later = spans.len().saturating_sub(count);
        spans.split_off(later)
    }

    /// The spans of a trace, to be read some at a time.
    pub(crate) fn rows_of(&self, low: u64) -> Option<RowsOfTrace<'_>> {
        let shard = self.shard(low);
        let trace = shard.lock().find(low, &self.hasher).map(Reading::of);
        trace.map(|reading| RowsOfTrace {
            generation: self,
            shard,
            reading,
        })
    }

    fn shard(&self, low: u64) -> &Mutex<Shard> {
        &self.shards[self.part_of(low)]
    }

    fn part_of(&self, low: u64) -> usize {
        // Not the bits by which a shard finds its traces.
        let hash = (self.hasher.hash_one(low) >> 40) as usize;
        hash % self.shards.len()
    }

    /// How many spans a trace has here.
    pub(crate) fn span_count(&self, low: u64) -> u64 {
        self.shard(low)
            .lock()
            .find(low, &self.hasher)
            .map_or(0, |trace| trace.span_count() as u64)
    }

    /// The number of the part of the traces that a trace is in, and its index there, which both stay as they are.
    pub(crate) fn place_of(&self, low: u64) -> Option<(usize, usize)> {
        let part = self.part_of(low);
        let index = self.shards[part].lock().index_of(low, &self.hasher)?;
        Some((part, index))
    }

    /// What is known of a trace without its rows; nothing where it is not here.
    pub(crate) fn with_trace<T>(&self, low: u64, read: impl FnOnce(&HeadTrace) -> T) -> Option<T> {
        self.shard(low).lock().find(low, &self.hasher).map(read)
    }

    /// Gives `visit` every trace's low identifier and what is known of it without its rows: all that were here when
    /// this was called, perhaps later ones. `visit` MUST NOT touch this generation's traces: it runs while a part of
    /// them is locked.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(u64, &HeadTrace)) {
        self.for_each_mut(|_, trace| visit(trace.low, trace));
    }

    /// As [`Generation::for_each`], with the number of the part of the traces, as [`Generation::parts_with`] numbers
    /// them.
    pub(crate) fn for_each_of_parts(&self, mut visit: impl FnMut(usize, &HeadTrace)) {
        self.for_each_mut(|part, trace| visit(part, trace));
    }

    /// How many parts its traces are in.
    pub(crate) fn parts(&self) -> usize {
        self.shards.len()
    }

    /// Whether `has` is true of some of the bytes of the rows of a trace, each row whole.
    pub(crate) fn trace_has(&self, low: u64, has: impl Fn(&[u8]) -> bool) -> bool {
        let Some(mut rows) = self.rows_of(low) else {
            return false;
        };
        loop {
            match rows.reading.run_bytes(&rows.shard.lock()) {
                Ok(None) => return false,
                Ok(Some(bytes)) if has(bytes) => return true,
                Ok(Some(_)) => {}
                Err(error) => {
                    tell(error);
                    return true;
                }
            }
        }
    }

    /// For each part of the traces whether `has` is true of some of the bytes of its rows, each row whole: false only if
    /// it is of none. Some are locked at a time.
    pub(crate) fn parts_with(&self, has: impl Fn(&[u8]) -> bool) -> Vec<bool> {
        let part_has = |shard: &Mutex<Shard>| {
            for first in 0.. {
                match shard.lock().row_bytes(first) {
                    None => return false,
                    Some(bytes) if has(bytes) => return true,
                    Some(_) => {}
                }
            }
            false
        };
        self.shards.iter().map(part_has).collect()
    }

    fn for_each_mut(&self, mut visit: impl FnMut(usize, &mut HeadTrace)) {
        for (part, shard) in self.shards.iter().enumerate() {
            for start in (0..).step_by(TRACES_AT_ONCE) {
                let mut shard = shard.lock();
                let traces = shard.traces(start..start + TRACES_AT_ONCE);
                if traces.is_empty() {
                    break;
                }
                traces.iter_mut().for_each(|trace| visit(part, trace));
            }
        }
    }
}

/// Rows of a trace as they were at one moment, being read: those that arrived last first.
#[derive(Debug)]
pub(crate) struct RowsOfTrace<'g> {
    generation: &'g Generation,
    shard: &'g Mutex<Shard>,
    reading: Reading,
}

impl RowsOfTrace<'_> {
    /// Adds the next rows, at most so many, none at the end. Their shapes are those of [`Generation::with_shapes`].
    pub(crate) fn read(&mut self, most: usize, rows: &mut TraceRows) {
        let end = rows.len().saturating_add(most);
        while rows.len() < end {
            let before = rows.len();
            let read = self
                .reading
                .read(&self.shard.lock(), (end - before).min(ROWS_AT_ONCE), rows);
            if let Err(error) = read {
                return tell(error);
            }
            if rows.len() == before {
                return;
            }
        }
    }

    /// The next spans, at most so many; none at the end.
    pub(crate) fn take(&mut self, most: usize) -> Vec<Span> {
        let mut rows = TraceRows::default();
        self.read(most, &mut rows);
        self.generation
            .with_shapes(|table| rows.to_spans(table))
            .unwrap_or_else(|error| {
                tell(error);
                Vec::new()
            })
    }
}

/// Rows were written by this process: a failure is a mistake in the coder.
fn tell(error: Malformed) {
    debug_assert!(false, "a row of the head cannot be read: {error}");
    tracing::error!(%error, "a row of the head cannot be read; the rest of its trace is left out");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::{arbitrary_spans, batch_of, insert_batch, span};
    use crate::view::sort_distinct;
    use proptest::prelude::*;

    fn insert(generation: &Generation, spans: &[Span], arrival: Arrival, autocomplete_keys: &[String]) {
        insert_batch(generation, &batch_of(spans), arrival, autocomplete_keys);
    }

    #[test]
    fn knows_names_times_and_positions() {
        let generation = Generation::new(0);
        assert_eq!(generation.position(), None);
        let arrival = |now, position| Arrival::at(now, Position::from_u64(position));
        insert(
            &generation,
            &[span(1, 1, 50)],
            arrival(10, 7),
            &["instance".to_owned()],
        );
        insert(&generation, &[span(1, 2, 20)], arrival(12, 3), &[]);
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
            insert(
                &generation,
                &[span(trace, 1, 50)],
                Arrival::at(0, Position::START),
                &[],
            );
        };
        let ask = |end, held: &[(u64, u64)]| {
            let mut asked = Vec::new();
            let mut found = generation.also_in(end, |asking| {
                for asking in asking {
                    asked.push((asking.low, asking.from));
                    asking.is_there = held
                        .iter()
                        .any(|&(number, of)| number >= asking.from && of == asking.low);
                }
            });
            found.sort_unstable();
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
        // A question that began when there were fewer segments: what it asks says nothing of the others.
        add(4);
        assert_eq!(ask(4, &[(3, 1)]).1, [(4, 0)]);
        assert_eq!(ask(5, &[(4, 4)]).0, [1, 2, 4]);
    }

    #[test]
    fn values_are_found_in_the_bytes_of_their_trace_alone() {
        let generation = Generation::new(0);
        let with_value = |trace: u64, number: u64| Span {
            tags: vec![("instance".into(), format!("value-{trace}-{number}."))],
            ..span(trace, number, 1)
        };
        for part in 0..10 {
            let numbers = part * 20..part * 20 + 20;
            let spans: Vec<Span> = numbers
                .flat_map(|n| [with_value(1, n + 1), with_value(2, n + 1)])
                .collect();
            insert(&generation, &spans, Arrival::at(0, Position::START), &[]);
        }
        let has = |low: u64, value: &str| {
            generation.trace_has(low, |bytes| {
                memchr::memmem::find(bytes, value.as_bytes()).is_some()
            })
        };
        let mut rows = TraceRows::default();
        generation.rows_of(1).unwrap().read(usize::MAX, &mut rows);
        let values: Vec<&str> = rows.iter().flat_map(crate::rows::RowRef::values).collect();
        assert!(values.len() > 100, "most values are in rows");
        for value in values {
            assert!(has(1, value), "{value}");
            assert!(!has(2, value), "{value}");
            let with = generation.parts_with(|bytes| memchr::memmem::find(bytes, value.as_bytes()).is_some());
            assert!(with[generation.part_of(1)], "{value}");
        }
        assert!(!has(3, ""));
    }

    #[test]
    fn tells_which_traces_are_in_older_generations() {
        let arrival = Arrival::at(0, Position::START);
        let oldest = Arc::new(Generation::new(0));
        insert(&oldest, &[span(1, 1, 1), span(2, 1, 1)], arrival, &[]);
        let older = Arc::new(oldest.next(0));
        insert(&older, &[span(3, 1, 1)], arrival, &[]);
        let newest = older.next(0);
        insert(
            &newest,
            &[span(2, 2, 2), span(3, 2, 2), span(4, 2, 2)],
            arrival,
            &[],
        );
        let also_in = |older: &[&Arc<Generation>]| {
            let older: Vec<_> = older.iter().map(|&older| older.clone()).collect();
            let mut found = newest.also_in_older(&older);
            found.sort_unstable();
            found
        };
        assert!(also_in(&[]).is_empty());
        assert_eq!(also_in(&[&older]), [3]);
        assert_eq!(also_in(&[&oldest, &older]), [2, 3]);
        insert(&newest, &[span(1, 2, 2)], arrival, &[]);
        assert_eq!(also_in(&[&older]), [2, 3]);
        assert_eq!(also_in(&[&oldest, &older]), [1, 2, 3]);
    }

    proptest! {
        #[test]
        fn gives_back_the_spans_of_a_trace(spans in arbitrary_spans(20)) {
            let generation = Generation::new(0);
            insert(&generation, &spans, Arrival::at(0, Position::START), &[]);
            for low in 0..5 {
                let mut expected: Vec<_> = spans.iter().filter(|span| span.trace_id.low() == low).cloned().collect();
                prop_assert_eq!(generation.span_count(low), expected.len() as u64);
                let mut found = generation.spans_of(low);
                sort_distinct(&mut found);
                sort_distinct(&mut expected);
                prop_assert_eq!(&found, &expected);
                let mut some = Vec::new();
                if let Some(mut rows) = generation.rows_of(low) {
                    while let [first, rest @ ..] = &rows.take(3)[..] {
                        prop_assert!(rest.len() < 3);
                        some.push(first.clone());
                        some.extend_from_slice(rest);
                    }
                }
                prop_assert_eq!(some.len() as u64, generation.span_count(low));
                sort_distinct(&mut some);
                prop_assert_eq!(some, expected);
            }
        }
    }
}
