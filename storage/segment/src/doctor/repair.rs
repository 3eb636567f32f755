//! Mends a store. Every step leaves one that can be opened, or mended by doing it all again: what replaces something
//! is written and synced first, then what it replaces gets another name, then the manifest changes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::Arc;

use model::{Span, SpanBatch};
use storage::StorageError;
use storage_journal::Disk;

use super::examine::{JOURNAL, KEPT, files_of_segments};
use super::{Doctor, segment};
use crate::deployments;
use crate::fields::Fields;
use crate::manifest::{self, DIRECTORY, Manifest, ManifestSegment};
use crate::output::cannot_write;
use crate::reader::SegmentReader;
use crate::registry::Registry;
use crate::rows::TraceRows;
use crate::shape::GENERIC;
use crate::shape_plan::ShapePlan;
use crate::store::{refusal, writer_options};
use crate::trace_table::TraceTimes;
use crate::view::sort_distinct;
use crate::writer::SegmentWriter;

/// Spans of a journal that go into one segment.
const SALVAGED_SPANS_MAX: usize = 200_000;

/// Mends everything that is broken; gives what was done, in words.
pub(super) fn repair(doctor: &mut Doctor<'_>) -> Result<Vec<String>, StorageError> {
    let mut repairs = Vec::new();
    let mut manifest = match Manifest::read(doctor.disk.as_ref()) {
        Ok(manifest) => manifest.unwrap_or_default(),
        Err(StorageError::Corrupt(_)) => make_manifest(doctor, &mut repairs)?,
        Err(error) => return Err(error),
    };
    for entry in manifest.segments.clone() {
        (doctor.progress)(&Manifest::file_name(entry.number));
        mend_segment(doctor, &mut manifest, &entry, &mut repairs)?;
    }
    (doctor.progress)(JOURNAL);
    mend_journal(doctor, &mut manifest, &mut repairs)?;
    set_aside_deployments(doctor, &mut repairs)?;
    Ok(repairs)
}

/// Damaged records of deployments get another name. Versions are written anew from the
/// lines that are whole.
fn set_aside_deployments(doctor: &mut Doctor<'_>, repairs: &mut Vec<String>) -> Result<(), StorageError> {
    (doctor.progress)(deployments::DIRECTORY);
    let disk = doctor.disk.as_ref();
    if deployments::mend_versions(doctor.disk.clone())? {
        repairs.push("deployments/versions: written anew from its whole lines; a copy is kept".to_owned());
    }
    for found in deployments::examine(disk)?
        .into_iter()
        .filter(|found| !found.is_harmless)
    {
        keep(disk, deployments::DIRECTORY, &found.file)?;
        repairs.push(format!("{0}: damaged; kept as {0}{KEPT}", found.file));
    }
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError::Unavailable(format!("the repair stopped, and can be done again: {error}"))
}

/// Gives a file another name under which it is kept, where it is there.
fn keep(disk: &dyn Disk, directory: &str, file: &str) -> Result<(), StorageError> {
    match disk.rename(file, &format!("{file}{KEPT}")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => other.map_err(failed)?,
    }
    disk.sync_directory(directory).map_err(failed)
}

/// A manifest of the segments that are there, in the place of one that cannot be read.
fn make_manifest(doctor: &Doctor<'_>, repairs: &mut Vec<String>) -> Result<Manifest, StorageError> {
    let disk = doctor.disk.as_ref();
    let mut segments = files_of_segments(doctor)?;
    let replaced = replaced_by_others(doctor, &segments)?;
    for number in &replaced {
        let name = Manifest::file_name(*number);
        keep(disk, DIRECTORY, &name)?;
        repairs.push(format!("{name}: others have all its spans; kept as {name}{KEPT}"));
    }
    segments.retain(|segment| !replaced.contains(&segment.number));
    for entry in &mut segments {
        // When it was sealed is not known: it is kept for as long as if that were now.
        entry.sealed_at = (doctor.config.now)();
        let reader = segment::open(doctor, entry.number);
        entry.part = reader.is_ok_and(|reader| reader.footer().summary.traces == 1);
    }
    let list = disk.list(DIRECTORY).map_err(failed)?;
    let number = |name: &str| {
        name.split('.')
            .next()
            .and_then(|number| number.parse::<u64>().ok())
    };
    let last = list
        .iter()
        .filter_map(|(name, _)| number(name))
        .max()
        .unwrap_or(0);
    let mut manifest = Manifest::of_segments(last + 1, segments);
    keep(disk, "", manifest::NAME)?;
    manifest.replace(disk).map_err(failed)?;
    repairs.push(format!(
        "{}: made again from {} segments; the damaged one, if there was one, is kept as {0}{KEPT}; ages of segments \
         count from now",
        manifest::NAME,
        manifest.segments.len()
    ));
    Ok(manifest)
}

/// Segments whose every span other segments have: such as were joined, and not yet removed.
fn replaced_by_others(
    doctor: &Doctor<'_>,
    segments: &[ManifestSegment],
) -> Result<HashSet<u64>, StorageError> {
    let mut readers: BTreeMap<u64, SegmentReader> = BTreeMap::new();
    for entry in segments {
        match segment::open(doctor, entry.number) {
            Ok(reader) => drop(readers.insert(entry.number, reader)),
            Err(StorageError::Corrupt(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let mut holders: HashMap<u64, Vec<(u64, u32)>> = HashMap::new();
    for (number, reader) in &readers {
        segment::read_entries(reader, &mut |ordinal, entry| {
            holders.entry(entry.low).or_default().push((*number, ordinal));
        })?;
    }
    let mut replaced = HashSet::new();
    for (number, reader) in &readers {
        let mut is_replaced = reader.footer().summary.traces > 0;
        let mut lows = Vec::new();
        segment::read_entries(reader, &mut |_, entry| lows.push(entry.low))?;
        is_replaced &= lows.len() == reader.footer().summary.traces as usize;
        for low in lows {
            let others: Vec<_> = holders
                .get(&low)
                .into_iter()
                .flatten()
                .filter(|(other, _)| other != number && !replaced.contains(other))
                .collect();
            if !is_replaced || others.is_empty() {
                is_replaced = false;
                break;
            }
            let mut theirs = Vec::new();
            for (other, ordinal) in others {
                theirs.extend(segment::spans_or_nothing(&readers[other], *ordinal)?);
            }
            let mine = holders[&low].iter().find(|(holder, _)| holder == number);
            let mine = mine.map_or(Ok(Vec::new()), |(_, ordinal)| {
                segment::spans_or_nothing(reader, *ordinal)
            })?;
            is_replaced &= !mine.is_empty() && mine.iter().all(|span| theirs.contains(span));
        }
        if is_replaced {
            replaced.insert(*number);
        }
    }
    Ok(replaced)
}

/// Writes a segment again from its readable traces, if anything is wrong with it.
fn mend_segment(
    doctor: &Doctor<'_>,
    manifest: &mut Manifest,
    entry: &ManifestSegment,
    repairs: &mut Vec<String>,
) -> Result<(), StorageError> {
    let name = Manifest::file_name(entry.number);
    let kept = format!("{name}{KEPT}");
    let reader = match segment::open_salvaged(doctor, entry.number, &name) {
        Err(StorageError::Corrupt(_)) => segment::open_salvaged(doctor, entry.number, &kept),
        other => other,
    };
    let (mut written, mut lost) = (None, None);
    match reader {
        Ok(reader) => {
            let bytes: u64 = reader.sections().iter().map(|section| section.1).sum();
            let found = segment::examine(doctor, &reader)?;
            if found.broken.is_empty() && bytes == entry.bytes && segment::open(doctor, entry.number).is_ok()
            {
                return Ok(());
            }
            let traces = u64::from(found.traces);
            lost = Some(Lost {
                traces: found.lost_traces,
                of: traces,
                spans: found.spans.saturating_sub(found.spans_read),
            });
            if found.lost_traces < traces {
                written = Some(write_again(doctor, manifest, &reader, entry)?);
            }
        }
        Err(StorageError::Corrupt(_)) => {}
        Err(error) => return Err(error),
    }
    let disk = doctor.disk.as_ref();
    keep(disk, DIRECTORY, &name)?;
    let again = written
        .as_ref()
        .map(|written| Manifest::file_name(written.number));
    manifest.segments.retain(|segment| segment.number != entry.number);
    manifest.segments.extend(written);
    manifest.replace(disk).map_err(failed)?;
    let traces = lost.map_or_else(
        || {
            let (bytes, sealed_at) = (entry.bytes, entry.sealed_at);
            format!(
                "its footer cannot be made again, and without it nothing says where its pages are: all that was sealed \
                 into its {bytes} bytes at {sealed_at} (epoch milliseconds) is lost"
            )
        },
        |lost| lost.to_string(),
    );
    let again = again.map_or("left out".to_owned(), |again| format!("written again as {again}"));
    repairs.push(format!(
        "{name}: {again}; {traces}; the damaged file is kept as {kept}"
    ));
    Ok(())
}

/// What cannot be read of a segment.
struct Lost {
    traces: u64,
    of: u64,
    spans: u64,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { traces, of, spans } = self;
        match (traces, spans) {
            (0, 0) => write!(f, "all {of} traces are there"),
            (0, _) => write!(
                f,
                "all {of} traces are there, but its footer counts {spans} spans more, which are lost if it is right"
            ),
            _ => write!(
                f,
                "{traces} of {of} traces, with {spans} spans, cannot be read, and are lost"
            ),
        }
    }
}

fn write_again(
    doctor: &Doctor<'_>,
    manifest: &mut Manifest,
    reader: &SegmentReader,
    entry: &ManifestSegment,
) -> Result<ManifestSegment, StorageError> {
    // Where it is not known which traces are elsewhere, too, all may be: that costs time and is never wrong.
    let stragglers: Option<HashSet<u64>> = segment::stragglers(reader)?;
    let indexed = reader.footer().indexed;
    let mut segment = write_segment(doctor, manifest, indexed, &mut |visit| {
        segment::read_traces(reader, &mut |_, trace| {
            let Ok((entry, spans)) = trace else {
                return Ok(());
            };
            let straggler = stragglers.as_ref().is_none_or(|known| known.contains(&entry.low));
            visit(entry.low, &spans, straggler)
        })
    })?;
    segment.sealed_at = entry.sealed_at;
    segment.part = entry.part;
    Ok(segment)
}

/// Is given the low identifier of a trace, its spans, and whether another segment may have some.
type Visit<'v> = dyn FnMut(u64, &[Span], bool) -> Result<(), StorageError> + 'v;

/// Writes a segment and makes it durable under its name; the manifest does not name it yet. `traces` visits every trace
/// by the order of its first span, each time it is called: shapes are made of all spans before one is written.
fn write_segment(
    doctor: &Doctor<'_>,
    manifest: &mut Manifest,
    indexed: bool,
    traces: &mut dyn FnMut(&mut Visit<'_>) -> Result<(), StorageError>,
) -> Result<ManifestSegment, StorageError> {
    let disk = doctor.disk.as_ref();
    let number = manifest.next_segment;
    manifest.next_segment += 1;
    let (temporary, name) = (Manifest::temporary_name(number), Manifest::file_name(number));
    let mut options = writer_options(&doctor.config);
    options.indexed = indexed;
    let file = disk.create(&temporary).map_err(failed)?;
    let mut registry = Registry::default();
    traces(&mut |_, spans, _| {
        spans.iter().for_each(|span| {
            registry.insert(&Fields::of_span(span));
        });
        Ok(())
    })?;
    let plan = Arc::new(ShapePlan::of(&[registry.table()]));
    let mut writer = SegmentWriter::new(file, options, plan.clone()).map_err(failed)?;
    let mut rows = TraceRows::default();
    traces(&mut |low, spans, straggler| {
        rows.clear();
        for span in spans {
            let fields = Fields::of_span(span);
            let number = registry.find(&fields).unwrap_or(GENERIC);
            let shape = registry.table().get(number).map_err(cannot_write)?;
            rows.push_fields(&fields, number, shape);
        }
        let coded = plan.recode(0, &mut rows);
        let sorted = coded.and_then(|()| rows.sort_distinct(plan.table()));
        sorted.map_err(cannot_write)?;
        writer.add_trace(low, &mut rows, straggler).map_err(cannot_write)
    })?;
    let bytes = writer.finish().map_err(failed)?;
    disk.rename(&temporary, &name).map_err(failed)?;
    disk.sync_directory(DIRECTORY).map_err(failed)?;
    Ok(ManifestSegment {
        number,
        bytes,
        sealed_at: (doctor.config.now)(),
        part: false,
    })
}

/// Makes segments of the whole records of a journal that cannot be opened, and begins another journal.
fn mend_journal(
    doctor: &Doctor<'_>,
    manifest: &mut Manifest,
    repairs: &mut Vec<String>,
) -> Result<(), StorageError> {
    let disk = doctor.disk.as_ref();
    let found = storage_journal::examine(disk, JOURNAL, &mut |_| {}).map_err(refusal)?;
    let Some(damage) = found.damage else {
        return Ok(());
    };
    let mut salvage = Salvage::default();
    let mut failure = None;
    let mut segments = Vec::new();
    let mut visit = |record: Vec<u8>| {
        if failure.is_none() && salvage.add(&record) {
            match salvage.write(doctor, manifest) {
                Ok(segment) => segments.extend(segment),
                Err(error) => failure = Some(error),
            }
        }
    };
    storage_journal::examine(disk, JOURNAL, &mut visit).map_err(refusal)?;
    match failure {
        Some(error) => return Err(error),
        None => segments.extend(salvage.write(doctor, manifest)?),
    }
    manifest.segments.extend(segments);
    manifest.replace(disk).map_err(failed)?;
    for file in &found.files {
        keep(disk, JOURNAL, file)?;
    }
    repairs.push(format!(
        "{JOURNAL}: {} spans of its {} whole records are in segments now; what was not whole is lost ({damage}); the \
         files are kept, their names end in {KEPT}",
        salvage.spans, found.records
    ));
    Ok(())
}

/// Spans of a journal on their way into segments.
#[derive(Default)]
struct Salvage {
    traces: HashMap<u64, Vec<Span>>,
    waiting: usize,
    spans: u64,
    batch: SpanBatch,
}

impl Salvage {
    /// Adds the spans of a record; tells whether it is time to write.
    fn add(&mut self, record: &[u8]) -> bool {
        self.batch.clear();
        if storage_record::decode(record, &mut self.batch).is_ok() {
            for span in self.batch.iter() {
                let span = span.to_span();
                self.traces.entry(span.trace_id.low()).or_default().push(span);
                self.waiting += 1;
            }
        }
        self.waiting >= SALVAGED_SPANS_MAX
    }

    fn write(
        &mut self,
        doctor: &Doctor<'_>,
        manifest: &mut Manifest,
    ) -> Result<Option<ManifestSegment>, StorageError> {
        self.spans += self.waiting as u64;
        self.waiting = 0;
        let mut traces: Vec<(u64, Vec<Span>)> = std::mem::take(&mut self.traces).into_iter().collect();
        if traces.is_empty() {
            return Ok(None);
        }
        traces.iter_mut().for_each(|(_, spans)| sort_distinct(spans));
        traces.sort_by_key(|(low, spans)| (TraceTimes::of_spans(spans).first, *low));
        let indexed = doctor.config.options.search_enabled;
        let segment = write_segment(doctor, manifest, indexed, &mut |visit| {
            // Segments may have spans of them, and so may what is written next.
            let mut traces = traces.iter();
            traces.try_for_each(|(low, spans)| visit(*low, spans, true))
        })?;
        Ok(Some(segment))
    }
}
