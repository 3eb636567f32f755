//! Output: traces become as many segments as they need, and enter the manifest together.
//!
//! A segment ends at a bound of spans or of bytes. A trace too large for one segment is written in parts, each in
//! a segment of its own that is never joined with others; reads put it together.

use std::sync::Arc;

use model::Span;
use storage::StorageError;

use crate::config::Limits;
use crate::manifest::{DIRECTORY, Manifest, ManifestSegment, NotReplaced};
use crate::reader::SegmentReader;
use crate::store::{Store, open_segment};
use crate::writer::SegmentWriter;

/// Writes traces into as many segments as they need.
pub(crate) struct SegmentOutput<'s> {
    store: &'s Store,
    current: Option<(u64, SegmentWriter)>,
    /// Written and durable; their files are removed again unless the manifest names them.
    written: Vec<ManifestSegment>,
    sealed_at: u64,
    names_left_out: u64,
}

impl<'s> SegmentOutput<'s> {
    /// `sealed_at`: see [`ManifestSegment::sealed_at`].
    pub(crate) fn new(store: &'s Store, sealed_at: u64) -> Self {
        Self {
            store,
            current: None,
            written: Vec::new(),
            sealed_at,
            names_left_out: 0,
        }
    }

    /// Adds a trace; MUST be called once a trace, in the order of first spans.
    pub(crate) fn add(&mut self, low: u64, spans: &[Span], straggler: bool) -> Result<(), StorageError> {
        if spans.is_empty() {
            return Ok(());
        }
        if first_part(spans, &self.store.limits) < spans.len() {
            return self.add_parts(low, spans);
        }
        let (number, mut writer) = match self.current.take() {
            Some(current) => current,
            None => self.begin()?,
        };
        let added = writer.add_trace(low, spans, straggler);
        let limits = &self.store.limits;
        let is_full =
            writer.spans() >= limits.segment_spans_max || writer.raw_bytes() >= limits.segment_raw_bytes_max;
        self.current = Some((number, writer));
        added.map_err(cannot_write)?;
        if is_full { self.end_current() } else { Ok(()) }
    }

    /// Adds some of the spans of a trace too large for one segment, in segments of their own.
    pub(crate) fn add_parts(&mut self, low: u64, mut spans: &[Span]) -> Result<(), StorageError> {
        while !spans.is_empty() {
            let (part, rest) = spans.split_at(first_part(spans, &self.store.limits));
            let (number, mut writer) = self.begin()?;
            match writer.add_trace(low, part, true) {
                Ok(()) => self.end(number, writer, true)?,
                Err(error) => {
                    self.note(number, 0, true);
                    return Err(cannot_write(error));
                }
            }
            spans = rest;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(u64, SegmentWriter), StorageError> {
        let number = self.store.next_segment();
        let begin = || {
            let file = self.store.disk.create(&Manifest::temporary_name(number))?;
            SegmentWriter::new(file, self.store.writer_options())
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

/// How many of the spans go into one segment; at least one.
fn first_part(spans: &[Span], limits: &Limits) -> usize {
    let mut bytes = 0;
    let fitting = spans.iter().take(limits.part_spans_max).take_while(|span| {
        bytes += bytes_of(span);
        bytes <= limits.part_bytes_max
    });
    fitting.count().max(1)
}

/// At least what a span's row takes.
fn bytes_of(span: &Span) -> usize {
    // Identifiers, times, addresses and flags; a length or a time beside every text.
    const FIXED_BYTES: usize = 128;
    const TEXT_BYTES: usize = 16;
    let text = |text: Option<&str>| text.map_or(0, |text| text.len() + TEXT_BYTES);
    let tags = span.tags.iter().map(|(key, value)| (key, value));
    FIXED_BYTES
        + text(span.name.as_deref())
        + text(span.local_service_name())
        + text(span.remote_service_name())
        + tags
            .map(|(key, value)| key.len() + value.len() + 2 * TEXT_BYTES)
            .sum::<usize>()
        + span
            .annotations
            .iter()
            .map(|annotation| annotation.value.len() + 2 * TEXT_BYTES)
            .sum::<usize>()
}

pub(crate) fn cannot_write(error: impl std::fmt::Display) -> StorageError {
    StorageError::Unavailable(format!("a segment cannot be written: {error}"))
}
