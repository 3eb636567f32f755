//! Output: traces become as many segments as they need, and enter the manifest together.
//!
//! A segment ends at a bound of spans or of bytes. A trace too large for one segment is written in parts, each in
//! a segment of its own that is never joined with others; reads put it together.

use std::sync::Arc;

use storage::StorageError;

use crate::config::Limits;
use crate::manifest::{DIRECTORY, Manifest, ManifestSegment, NotReplaced};
use crate::reader::SegmentReader;
use crate::rows::{RowRef, TraceRows};
use crate::shape_plan::ShapePlan;
use crate::store::{Store, open_segment};
use crate::writer::SegmentWriter;

/// Writes traces into as many segments as they need.
pub(crate) struct SegmentOutput<'s> {
    store: &'s Store,
    plan: Arc<ShapePlan>,
    current: Option<(u64, SegmentWriter)>,
    /// Rows of a trace too large for one segment that are not written.
    part: (TraceRows, PartSize),
    /// Written and durable; their files are removed again unless the manifest names them.
    written: Vec<ManifestSegment>,
    sealed_at: u64,
    names_left_out: u64,
}

impl<'s> SegmentOutput<'s> {
    /// All rows to come are coded against the table of `plan`; `sealed_at`: see [`ManifestSegment::sealed_at`].
    pub(crate) fn new(store: &'s Store, plan: Arc<ShapePlan>, sealed_at: u64) -> Self {
        Self {
            store,
            plan,
            current: None,
            part: Default::default(),
            written: Vec::new(),
            sealed_at,
            names_left_out: 0,
        }
    }

    /// Adds a trace: its distinct rows, by time. MUST be called once a trace, in the order of first spans. What is in
    /// `rows` afterwards is of no use.
    pub(crate) fn add(
        &mut self,
        low: u64,
        rows: &mut TraceRows,
        straggler: bool,
    ) -> Result<(), StorageError> {
        if rows.is_empty() {
            return Ok(());
        }
        if !fits(rows, &self.store.limits) {
            self.add_to_parts(low, rows)?;
            return self.end_parts(low);
        }
        let (number, mut writer) = match self.current.take() {
            Some(current) => current,
            None => self.begin()?,
        };
        let added = writer.add_trace(low, rows, straggler);
        let limits = &self.store.limits;
        let is_full = writer.is_full()
            || writer.spans() >= limits.segment_spans_max
            || writer.raw_bytes() >= limits.segment_raw_bytes_max;
        self.current = Some((number, writer));
        added.map_err(cannot_write)?;
        if is_full { self.end_current() } else { Ok(()) }
    }

    /// Adds some of the rows of a trace too large for one segment, in segments of their own. Its last rows may wait
    /// until [`SegmentOutput::end_parts`].
    pub(crate) fn add_to_parts(&mut self, low: u64, rows: &TraceRows) -> Result<(), StorageError> {
        for row in rows.iter() {
            if !self.part.1.take(row, &self.store.limits) && !self.part.0.is_empty() {
                self.end_parts(low)?;
                self.part.1.take(row, &self.store.limits);
            }
            self.part.0.push_row(row);
        }
        Ok(())
    }

    /// Ends the parts of a trace.
    pub(crate) fn end_parts(&mut self, low: u64) -> Result<(), StorageError> {
        let (mut part, _) = std::mem::take(&mut self.part);
        if part.is_empty() {
            return Ok(());
        }
        self.add_part(low, &mut part)
    }

    fn add_part(&mut self, low: u64, part: &mut TraceRows) -> Result<(), StorageError> {
        let (number, mut writer) = self.begin()?;
        match writer.add_trace(low, part, true) {
            Ok(()) => self.end(number, writer, true),
            Err(error) => {
                self.note(number, 0, true);
                Err(cannot_write(error))
            }
        }
    }

    fn begin(&mut self) -> Result<(u64, SegmentWriter), StorageError> {
        let number = self.store.next_segment();
        let begin = || {
            let file = self.store.disk.create(&Manifest::temporary_name(number))?;
            SegmentWriter::new(file, self.store.writer_options(), self.plan.clone())
        };
        let begun = begin();
        if begun.is_err() {
            self.note(number, 0, false);
        }
        Ok((number, begun.map_err(cannot_write)?))
    }

    fn end_current(&mut self) -> Result<(), StorageError> {
        match self.current.take() {
            Some((number, writer)) => self.end(number, writer, false),
            None => Ok(()),
        }
    }

    fn end(&mut self, number: u64, writer: SegmentWriter, part: bool) -> Result<(), StorageError> {
        let names_left_out = writer.names_left_out();
        if names_left_out > 0 {
            tracing::warn!(
                segment = number,
                names_left_out,
                "there are too many names; some are left out of lists of names, none of traces and searches"
            );
        }
        self.names_left_out += names_left_out;
        let written = writer.finish();
        self.note(number, *written.as_ref().unwrap_or(&0), part);
        written.map(|_| ()).map_err(cannot_write)
    }

    /// Remembers a file, finished or not.
    fn note(&mut self, number: u64, bytes: u64, part: bool) {
        self.written.push(ManifestSegment {
            number,
            bytes,
            sealed_at: self.sealed_at,
            part,
        });
    }

    /// Names the files, enters them in the manifest in the place of `replaced`, and opens them.
    pub(crate) fn finish(mut self, replaced: &[u64]) -> Result<Vec<Arc<SegmentReader>>, StorageError> {
        self.end_current()?;
        if self.written.is_empty() && replaced.is_empty() {
            return Ok(Vec::new());
        }
        let (store, disk) = (self.store, self.store.disk.as_ref());
        for ManifestSegment { number, .. } in &self.written {
            disk.rename(&Manifest::temporary_name(*number), &Manifest::file_name(*number))
                .map_err(cannot_write)?;
        }
        disk.sync_directory(DIRECTORY).map_err(cannot_write)?;
        let mut segments = Vec::with_capacity(self.written.len());
        for ManifestSegment { number, .. } in &self.written {
            segments.push(Arc::new(open_segment(disk, *number, &store.caches)?));
        }
        let entered = store.change_manifest(|manifest| {
            manifest
                .segments
                .retain(|segment| !replaced.contains(&segment.number));
            manifest.segments.extend(self.written.iter().cloned());
        });
        if !matches!(entered, Err(NotReplaced::Certainly(_))) {
            // Where it is unknown whether the manifest on disk names them, the next start finds out.
            self.written.clear();
        }
        entered.map_err(cannot_write)?;
        let left_out = self.names_left_out;
        let counter = &store.counters.names_left_out;
        counter.fetch_add(left_out, std::sync::atomic::Ordering::Relaxed);
        Ok(segments)
    }
}

/// Files that did not make it into the manifest are removed.
impl Drop for SegmentOutput<'_> {
    fn drop(&mut self) {
        let current = self.current.take().map(|current| current.0);
        for number in self.written.drain(..).map(|w| w.number).chain(current) {
            for name in [Manifest::temporary_name(number), Manifest::file_name(number)] {
                // It may have either name; if it cannot be removed now, the next start does.
                let _ = self.store.disk.remove(&name);
            }
        }
    }
}

/// Whether rows may go into one segment.
fn fits(rows: &TraceRows, limits: &Limits) -> bool {
    let mut size = PartSize::default();
    let is_small = rows.len() == 1;
    is_small || rows.iter().all(|row| size.take(row, limits))
}

/// How much of a trace goes into one segment.
#[derive(Default)]
struct PartSize {
    rows: usize,
    bytes: usize,
}

impl PartSize {
    /// Counts a row; tells whether there was room for it.
    fn take(&mut self, row: RowRef<'_>, limits: &Limits) -> bool {
        self.rows += 1;
        self.bytes += bytes_of(row);
        self.rows <= limits.part_spans_max && self.bytes <= limits.part_bytes_max
    }
}

/// At least what a row takes.
fn bytes_of(row: RowRef<'_>) -> usize {
    // Identifiers, times, addresses and flags; a length or a time beside every text.
    const FIXED_BYTES: usize = 128;
    const TEXT_BYTES: usize = 16;
    let texts = row.values().map(|value| value.len() + TEXT_BYTES);
    FIXED_BYTES + texts.sum::<usize>() + row.annotation_times().len() * TEXT_BYTES
}

pub(crate) fn cannot_write(error: impl std::fmt::Display) -> StorageError {
    StorageError::Unavailable(format!("a segment cannot be written: {error}"))
}
