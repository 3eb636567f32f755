//! Sealing: a frozen generation becomes segments.
//!
//! 1. Traces that are still arriving go over into the active generation.
//! 2. The others are written by the order of their first span; what a segment has already is left out.
//! 3. The files get their names, then the manifest names them, then the view has them instead of the
//!    generation, and only then the journal's checkpoint moves.
//!
//! If anything fails, the generation stays frozen and searchable, its records stay in the journal, and sealing
//! is tried again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Span, SpanBatch};
use storage::StorageError;

use crate::head::{Arrival, Generation};
use crate::manifest::{DIRECTORY, Manifest, ManifestSegment};
use crate::reader::SegmentReader;
use crate::store::{Store, open_segment};
use crate::view::{View, sort_distinct};
use crate::writer::{SegmentWriter, Written};

/// Spans of one trace that go into one segment: what a reader must take into memory at once.
const TRACE_SPANS_MAX: usize = 500_000;

/// Which traces are still arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Those that had a span within so many milliseconds.
    For(u64),
    /// None: everything is sealed.
    Everything,
}

struct Trace {
    low: u64,
    first: u64,
    bytes: u64,
    arrival: Arrival,
}

/// Seals a frozen generation. See the head of this file.
pub(crate) fn seal(store: &Store, frozen: &Arc<Generation>, quiet: Quiet) -> Result<(), StorageError> {
    let (mut traces, arriving) = divide(store, frozen, quiet);
    for trace in arriving {
        let mut batch = SpanBatch::new();
        frozen
            .spans_of(trace.low)
            .iter()
            .for_each(|span| batch.push_span(span));
        store.carry_over(&batch, trace.arrival);
    }
    traces.sort_unstable_by_key(|trace| (trace.first, trace.low));
    let mut output = SegmentOutput::new(store);
    let view = store.view();
    for trace in traces {
        let mut spans = frozen.spans_of(trace.low);
        sort_distinct(&mut spans);
        let straggler = leave_out_stored(&view, trace.low, &mut spans)?;
        output.add(trace.low, &spans, straggler)?;
    }
    let segments = output.finish()?;
    let spans: u64 = segments
        .iter()
        .map(|segment| segment.footer().summary.spans)
        .sum();
    store
        .counters
        .sealed_segments
        .fetch_add(segments.len() as u64, Ordering::Relaxed);
    store.counters.sealed_spans.fetch_add(spans, Ordering::Relaxed);
    store.change_view(|view| {
        let mut changed = view.with_segments(view.segments.iter().cloned().chain(segments).collect());
        changed
            .frozen
            .retain(|generation| !Arc::ptr_eq(generation, frozen));
        changed
    });
    store.move_checkpoint()
}

/// Traces to seal, and traces that are still arriving.
fn divide(store: &Store, frozen: &Generation, quiet: Quiet) -> (Vec<Trace>, Vec<Trace>) {
    let now = (store.config.now)();
    let mut traces = Vec::new();
    frozen.for_each(|low, trace| {
        let (first, bytes, arrival) = (trace.first, trace.bytes(), trace.arrival);
        traces.push(Trace {
            low,
            first,
            bytes,
            arrival,
        });
    });
    let Quiet::For(quiet_ms) = quiet else {
        return (traces, Vec::new());
    };
    let is_arriving = |trace: &Trace| {
        trace.arrival.last.saturating_add(quiet_ms) > now
            && trace.arrival.first.saturating_add(store.limits.trace_age_max_ms) > now
    };
    let bytes = |traces: &[Trace]| traces.iter().map(|trace| trace.bytes).sum::<u64>();
    let all = bytes(&traces);
    let (arriving, whole): (Vec<_>, Vec<_>) = traces.into_iter().partition(is_arriving);
    if bytes(&arriving) > all / 2 && all > store.config.head_bytes_max / 4 {
        // One huge trace, or a clock that stands still: carrying it over again and again would free no memory.
        let everything = whole.into_iter().chain(arriving).collect();
        return (everything, Vec::new());
    }
    (whole, arriving)
}

/// Removes spans that a segment has; tells whether a segment has any of the trace.
fn leave_out_stored(view: &View, low: u64, spans: &mut Vec<Span>) -> Result<bool, StorageError> {
    let mut stored: Vec<Span> = Vec::new();
    for segment in view.segments.iter().filter(|segment| segment.may_hold(low)) {
        match segment.spans_of(low) {
            Ok(found) => stored.extend(found),
            // What cannot be read cannot be left out; a search will set the segment aside.
            Err(StorageError::Corrupt(reason)) => {
                tracing::warn!(reason, "a damaged segment was met while sealing")
            }
            Err(error) => return Err(error),
        }
    }
    if stored.is_empty() {
        return Ok(false);
    }
    sort_distinct(&mut stored);
    let order = |a: &Span, b: &Span| a.timestamp.cmp(&b.timestamp).then_with(|| a.cmp(b));
    spans.retain(|span| stored.binary_search_by(|other| order(other, span)).is_err());
    Ok(true)
}

/// Writes traces into as many segments as they need.
pub(crate) struct SegmentOutput<'s> {
    store: &'s Store,
    current: Option<(u64, SegmentWriter, u64)>,
    written: Vec<(u64, Written)>,
    /// Parts of traces too large for one segment.
    parts: Vec<(u64, Vec<Span>)>,
}

impl<'s> SegmentOutput<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self {
            store,
            current: None,
            written: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Adds a trace; MUST be called in the order of first spans.
    pub(crate) fn add(&mut self, low: u64, spans: &[Span], straggler: bool) -> Result<(), StorageError> {
        if spans.is_empty() {
            return Ok(());
        }
        let (here, rest) = spans.split_at(spans.len().min(TRACE_SPANS_MAX));
        rest.chunks(TRACE_SPANS_MAX)
            .for_each(|part| self.parts.push((low, part.to_vec())));
        self.write(low, here, straggler)
    }

    fn write(&mut self, low: u64, spans: &[Span], straggler: bool) -> Result<(), StorageError> {
        let (number, mut writer, before) = match self.current.take() {
            Some(current) => current,
            None => {
                let number = self.next_number();
                let file = self
                    .store
                    .disk
                    .create(&Manifest::temporary_name(number))
                    .map_err(cannot_write)?;
                (
                    number,
                    SegmentWriter::new(file, self.store.writer_options()).map_err(cannot_write)?,
                    0,
                )
            }
        };
        let added = writer.add_trace(low, spans, straggler);
        let total = before + spans.len() as u64;
        self.current = Some((number, writer, total));
        added.map_err(cannot_write)?;
        if total >= self.store.limits.segment_spans_max {
            self.close()
        } else {
            Ok(())
        }
    }

    fn close(&mut self) -> Result<(), StorageError> {
        let Some((number, writer, _)) = self.current.take() else {
            return Ok(());
        };
        // Kept before it is finished, so that a failure removes its file.
        let written = writer.finish();
        let bytes = written.as_ref().map_or(0, |written| written.bytes);
        let summary = written
            .as_ref()
            .map(|written| written.summary)
            .unwrap_or_default();
        self.written.push((number, Written { bytes, summary }));
        written.map(|_| ()).map_err(cannot_write)
    }

    fn next_number(&self) -> u64 {
        let mut manifest = self.store.manifest.lock();
        manifest.next_segment += 1;
        manifest.next_segment - 1
    }

    /// Names the files, enters them in the manifest and opens them.
    pub(crate) fn finish(self) -> Result<Vec<Arc<SegmentReader>>, StorageError> {
        self.finish_instead_of(&[])
    }

    /// The same, in the place of segments that the manifest then does not name any more.
    pub(crate) fn finish_instead_of(
        mut self,
        replaced: &[u64],
    ) -> Result<Vec<Arc<SegmentReader>>, StorageError> {
        self.close()?;
        for (low, spans) in std::mem::take(&mut self.parts) {
            // A part is a straggler of the first: their links are not those of the whole trace.
            self.write(low, &spans, true)?;
            self.close()?;
        }
        let Self {
            store, ref written, ..
        } = self;
        let disk = store.disk.as_ref();
        for (number, _) in written {
            disk.rename(&Manifest::temporary_name(*number), &Manifest::file_name(*number))
                .map_err(cannot_write)?;
        }
        disk.sync_directory(DIRECTORY).map_err(cannot_write)?;
        let mut segments = Vec::with_capacity(written.len());
        for (number, _) in written {
            segments.push(Arc::new(open_segment(disk, *number, &store.caches)?));
        }
        let mut manifest = store.manifest.lock();
        let mut changed = manifest.clone();
        changed
            .segments
            .retain(|segment| !replaced.contains(&segment.number));
        changed
            .segments
            .extend(written.iter().map(|(number, w)| ManifestSegment {
                number: *number,
                bytes: w.bytes,
            }));
        changed.write(disk).map_err(cannot_write)?;
        *manifest = changed;
        drop(manifest);
        self.written.clear();
        Ok(segments)
    }
}

/// Files that did not make it into the manifest are removed.
impl Drop for SegmentOutput<'_> {
    fn drop(&mut self) {
        let current = self.current.take().map(|current| current.0);
        for number in self.written.drain(..).map(|(number, _)| number).chain(current) {
            for name in [Manifest::temporary_name(number), Manifest::file_name(number)] {
                // It may have either name; if it cannot be removed now, the next start does.
                let _ = self.store.disk.remove(&name);
            }
        }
    }
}

pub(crate) fn cannot_write(error: std::io::Error) -> StorageError {
    StorageError::Unavailable(format!("a segment cannot be written: {error}"))
}
