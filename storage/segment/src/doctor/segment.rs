//! Looks at one segment: every page, every trace, and whether a search finds the traces that are there.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::Span;
use storage::StorageError;

use super::questions::questions;
use super::{Doctor, footer};
use crate::head::Generation;
use crate::manifest::Manifest;
use crate::page::unreadable;
use crate::reader::SegmentReader;
use crate::search;
use crate::trace_table::{TraceEntry, TraceTimes};
use crate::view::{Reading, View};

/// Traces of a segment that are searched for, evenly chosen where there are more: reading finds what is damaged,
/// searching what was written wrongly.
const SEARCHES_MAX: u32 = 2000;
/// What is told of one segment; more is counted.
const TOLD_MAX: usize = 20;

/// What there is in a segment, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) broken: Vec<String>,
    pub(super) traces: u32,
    /// As its footer says.
    pub(super) spans: u64,
    pub(super) spans_read: u64,
    pub(super) lost_traces: u64,
    pub(super) sections: Vec<(&'static str, u64)>,
    left_out: u64,
}

impl Found {
    fn tell(&mut self, what: impl ToString) {
        if self.broken.len() < TOLD_MAX {
            self.broken.push(what.to_string());
        } else {
            self.left_out += 1;
        }
    }
}

/// Opens a segment with as little as is needed to read its traces: its footer.
pub(super) fn open(doctor: &Doctor<'_>, number: u64) -> Result<SegmentReader, StorageError> {
    open_file(doctor, number, &Manifest::file_name(number))
}

/// As [`open`], from a file of another name.
pub(super) fn open_file(doctor: &Doctor<'_>, number: u64, name: &str) -> Result<SegmentReader, StorageError> {
    let file = doctor.disk.open(name).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => StorageError::Corrupt(format!("{name}: the file is missing")),
        _ => unreadable(name, &error),
    })?;
    SegmentReader::open_footer(file, name, number, &doctor.caches())
}

/// As [`open_file`], with a footer that was made again if it is damaged.
pub(super) fn open_salvaged(
    doctor: &Doctor<'_>,
    number: u64,
    name: &str,
) -> Result<SegmentReader, StorageError> {
    open_file(doctor, number, name).or_else(|error| {
        let file = doctor.disk.open(name).ok().filter(|_| is_damage(&error));
        let salvaged = file.and_then(|file| Some((footer::salvage(file.as_ref())?, file)));
        let (footer, file) = salvaged.ok_or(error)?;
        Ok(SegmentReader::with_footer(
            footer,
            file,
            name,
            number,
            &doctor.caches(),
        ))
    })
}

fn is_damage(error: &StorageError) -> bool {
    matches!(error, StorageError::Corrupt(_))
}

/// Reads entry after entry of the trace table; those that cannot be read are passed over.
pub(super) fn read_entries(
    reader: &SegmentReader,
    visit: &mut dyn FnMut(u32, TraceEntry),
) -> Result<(), StorageError> {
    for ordinal in 0..reader.footer().summary.traces {
        if let Ok(entry) = damage(reader.entry(ordinal))? {
            visit(ordinal, entry);
        }
    }
    Ok(())
}

/// The spans of a trace, none where they cannot be read.
pub(super) fn spans_or_nothing(reader: &SegmentReader, ordinal: u32) -> Result<Vec<Span>, StorageError> {
    let spans = reader.entry(ordinal).and_then(|entry| reader.spans(&entry));
    Ok(damage(spans)?.unwrap_or_default())
}

/// Traces that were elsewhere, too, if that can be read.
pub(super) fn stragglers(reader: &SegmentReader) -> Result<Option<HashSet<u64>>, StorageError> {
    let read = damage(reader.read_stragglers())?;
    Ok(read.ok().map(|lows| lows.into_iter().collect()))
}

/// See the head of this file.
pub(super) fn examine(doctor: &Doctor<'_>, reader: &SegmentReader) -> Result<Found, StorageError> {
    let mut found = Found {
        traces: reader.footer().summary.traces,
        spans: reader.footer().summary.spans,
        sections: reader.sections(),
        ..Found::default()
    };
    for page in 0..reader.page_count() {
        if let Err(error) = damage(reader.check_page(page))? {
            let section = reader.section_of(page);
            found.tell(format!("{error}, in its {section}"));
        }
    }
    let mut spans = 0;
    read_traces(reader, &mut |ordinal, trace| {
        match trace {
            Ok((entry, trace)) => {
                spans += trace.len() as u64;
                compare(ordinal, &entry, &trace, &mut found);
            }
            Err(_) => found.lost_traces += 1,
        }
        Ok(())
    })?;
    found.spans_read = spans;
    if found.broken.is_empty() && spans != found.spans {
        found.tell(format!("it has {spans} spans; its footer says {}", found.spans));
    }
    if found.broken.is_empty() {
        check_indexes(doctor, reader.number(), &mut found)?;
    }
    if found.left_out > 0 {
        found.broken.push(format!("and {} more", found.left_out));
    }
    Ok(found)
}

/// What can be read of a trace.
type Trace = Result<(TraceEntry, Vec<Span>), String>;

/// Reads trace after trace; those that cannot be read come as the reason.
pub(super) fn read_traces(
    reader: &SegmentReader,
    visit: &mut dyn FnMut(u32, Trace) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    for ordinal in 0..reader.footer().summary.traces {
        let read = || {
            let entry = reader.entry(ordinal)?;
            let spans = reader.spans(&entry)?;
            Ok((entry, spans))
        };
        visit(ordinal, damage(read())?)?;
    }
    Ok(())
}

/// Tells damage, which is what is looked for, from a disk that fails.
fn damage<T>(read: Result<T, StorageError>) -> Result<Result<T, String>, StorageError> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(StorageError::Corrupt(reason)) => Ok(Err(reason)),
        Err(error) => Err(error),
    }
}

/// Compares a trace with what the table says of it.
fn compare(ordinal: u32, entry: &TraceEntry, spans: &[Span], found: &mut Found) {
    let errors = spans.iter().filter(|span| span.is_error()).count();
    let is_other = |span: &Span| span.trace_id.low() != entry.low;
    let agrees = spans.len() == entry.span_count as usize
        && errors == entry.error_count as usize
        && TraceTimes::of_spans(spans) == entry.times
        && !spans.iter().any(is_other);
    if !agrees {
        let low = entry.low;
        found.tell(format!(
            "trace {ordinal}, {low:016x}, is not what the trace table says of it"
        ));
    }
}

/// Looks for traces by their identifiers and by what their spans have.
fn check_indexes(doctor: &Doctor<'_>, number: u64, found: &mut Found) -> Result<(), StorageError> {
    let opened = damage(crate::store::open_segment(
        doctor.disk.as_ref(),
        number,
        &doctor.caches(),
    ))?;
    let reader = match opened {
        Ok(reader) => Arc::new(reader),
        Err(reason) => {
            found.tell(reason);
            return Ok(());
        }
    };
    let active = Arc::new(Generation::new((doctor.config.now)()));
    let view = View::of(active).with_segments(&[], vec![reader.clone()]);
    let every = (found.traces / SEARCHES_MAX).max(1);
    let mut wrong = Vec::new();
    read_traces(&reader, &mut |ordinal, trace| {
        let Ok((entry, spans)) = trace else {
            return Ok(());
        };
        let low = entry.low;
        match damage(reader.find(low))? {
            Ok(Some(place)) if place == ordinal => {}
            Ok(_) => wrong.push(format!(
                "trace {ordinal}, {low:016x}, is not found by its identifier"
            )),
            Err(reason) => wrong.push(reason),
        }
        if reader.footer().indexed && ordinal % every == 0 {
            wrong.extend(search_for(&view, (ordinal, &entry), &spans)?);
        }
        Ok(())
    })?;
    for read in [
        damage(reader.links().map(drop))?,
        damage(reader.sketches().map(drop))?,
        damage(reader.check_text())?,
    ] {
        wrong.extend(read.err());
    }
    wrong.into_iter().for_each(|what| found.tell(what));
    Ok(())
}

/// Searches for a trace by what its spans have; gives what is wrong where it is not found.
fn search_for(
    view: &View,
    (ordinal, entry): (u32, &TraceEntry),
    spans: &[Span],
) -> Result<Vec<String>, StorageError> {
    let (low, mut wrong) = (entry.low, Vec::new());
    for (what, query) in questions(spans, ordinal as usize) {
        let mut reading = Reading::new(view, u64::MAX);
        let found = search::search(&mut reading, &query, true, &AtomicBool::new(false))?;
        let is_it = |trace: &Vec<Span>| trace.iter().any(|span| span.trace_id.low() == low);
        // As many as the limit, and this one may have been left out.
        if !found.traces.iter().any(is_it) && found.traces.len() < query.limit() {
            wrong.push(format!("trace {low:016x} is not found by {what}"));
        }
    }
    Ok(wrong)
}
