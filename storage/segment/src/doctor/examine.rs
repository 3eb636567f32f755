//! Looks at all of a store: what its files say, and whether they agree.

use std::collections::HashSet;

use model::SpanBatch;
use storage::StorageError;
use storage_journal::JournalError;

use super::{Doctor, JournalReport, Report, SectionBytes, SegmentReport, segment};
use crate::deployments;
use crate::manifest::{self, DIRECTORY, Manifest, ManifestSegment};
use crate::store::refusal;

/// Where the journal is.
pub(super) const JOURNAL: &str = "journal";
/// The ending of the name under which a repair keeps what was there before.
pub(super) const KEPT: &str = ".damaged";

/// See [`Doctor::examine`].
pub(super) fn examine(doctor: &mut Doctor<'_>) -> Result<Report, StorageError> {
    let mut report = Report::default();
    (doctor.progress)(manifest::NAME);
    let segments = match Manifest::read(doctor.disk.as_ref()) {
        Ok(Some(manifest)) => manifest.segments,
        Ok(None) => Vec::new(),
        Err(StorageError::Corrupt(reason)) => {
            report.broken(manifest::NAME, reason);
            // Which segments count is not known; those that are there are looked at all the same.
            files_of_segments(doctor)?
        }
        Err(error) => return Err(error),
    };
    if report.is_whole() && !manifest::is_as_written(doctor.disk.as_ref())? {
        report.harmless(
            manifest::NAME,
            "it is not laid out as it was written, and says the same",
        );
    }
    look_for_others(doctor, &segments, &mut report)?;
    for segment in &segments {
        let name = Manifest::file_name(segment.number);
        (doctor.progress)(&name);
        examine_segment(doctor, segment, &name, &mut report)?;
    }
    examine_journal(doctor, &mut report)?;
    (doctor.progress)(deployments::DIRECTORY);
    for found in deployments::examine(doctor.disk.as_ref())? {
        report.add(found.file, &found.what, found.is_harmless);
    }
    Ok(report)
}

/// Every file that has the name of a segment, as if the manifest named it.
pub(super) fn files_of_segments(doctor: &Doctor<'_>) -> Result<Vec<ManifestSegment>, StorageError> {
    let list = doctor.disk.list(DIRECTORY);
    let list = list.map_err(|error| StorageError::Unavailable(format!("{DIRECTORY}: {error}")))?;
    let mut segments: Vec<ManifestSegment> = list
        .iter()
        .filter_map(|(name, bytes)| {
            Some(ManifestSegment {
                number: manifest::number_of(name)?,
                bytes: *bytes,
                sealed_at: 0,
                part: false,
            })
        })
        .collect();
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

/// Files that belong to nothing.
fn look_for_others(
    doctor: &Doctor<'_>,
    segments: &[ManifestSegment],
    report: &mut Report,
) -> Result<(), StorageError> {
    let named: HashSet<String> = segments
        .iter()
        .map(|segment| Manifest::file_name(segment.number))
        .collect();
    for directory in [DIRECTORY, JOURNAL, deployments::DIRECTORY] {
        let list = doctor.disk.list(directory);
        let list = list.map_err(|error| StorageError::Unavailable(format!("{directory}: {error}")))?;
        for (name, bytes) in list {
            let file = format!("{directory}/{name}");
            if name.ends_with(KEPT) {
                report.harmless(
                    file,
                    format!("{bytes} bytes kept by an earlier repair, to be removed by you"),
                );
            } else if directory == DIRECTORY && manifest::is_ours(&name) && !named.contains(&file) {
                report.harmless(file, "never finished, or replaced: the next start removes it");
            }
        }
    }
    Ok(())
}

fn examine_segment(
    doctor: &Doctor<'_>,
    entry: &ManifestSegment,
    name: &str,
    report: &mut Report,
) -> Result<(), StorageError> {
    let reader = match segment::open(doctor, entry.number) {
        Ok(reader) => reader,
        Err(StorageError::Corrupt(reason)) => {
            report.broken(name, reason);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let found = segment::examine(doctor, &reader)?;
    found.broken.iter().for_each(|what| report.broken(name, what));
    let sections = found.sections.iter();
    let sections: Vec<_> = sections
        .map(|&(name, bytes)| SectionBytes { name, bytes })
        .collect();
    let bytes: u64 = sections.iter().map(|section| section.bytes).sum();
    if bytes != entry.bytes {
        let reason = format!("it has {bytes} bytes; the manifest says {}", entry.bytes);
        report.broken(name, reason);
    }
    report.segments.push(SegmentReport {
        file: name.to_owned(),
        bytes,
        traces: u64::from(found.traces),
        spans: found.spans,
        sections,
        lost_traces: found.lost_traces,
    });
    Ok(())
}

fn examine_journal(doctor: &mut Doctor<'_>, report: &mut Report) -> Result<(), StorageError> {
    (doctor.progress)(JOURNAL);
    let (mut spans, mut unread) = (0, 0);
    let mut batch = SpanBatch::new();
    let mut visit = |record: Vec<u8>| {
        batch.clear();
        match storage_record::decode(&record, &mut batch) {
            Ok(()) => spans += batch.len() as u64,
            Err(_) => unread += 1,
        }
    };
    let disk = doctor.disk.as_ref();
    let found = storage_journal::examine(disk, JOURNAL, &mut visit).map_err(refusal)?;
    for told in found.damage.iter().chain(&found.harmless) {
        let JournalError::Corrupt { file, .. } = told else {
            continue;
        };
        let harmless = found.harmless.contains(told);
        report.add(file.clone(), &told.to_string(), harmless);
    }
    if let Some(torn) = &found.recovery.torn_tail {
        let file = torn.split(':').next().unwrap_or(JOURNAL);
        report.harmless(
            file,
            format!("{torn}: what a crash left, and nobody was told that it is stored"),
        );
    }
    if unread > 0 {
        report.broken(
            JOURNAL,
            format!("{unread} records are whole, but hold no spans that can be read"),
        );
    }
    let list = disk.list(JOURNAL);
    let list = list.map_err(|error| StorageError::Unavailable(format!("{JOURNAL}: {error}")))?;
    report.journal = JournalReport {
        files: found.files.len(),
        bytes: list.iter().map(|(_, bytes)| bytes).sum(),
        records: found.records,
        spans,
    };
    Ok(())
}
