//! The doctor: looks at a store that nobody has open, says what is broken, and mends what can be mended.
//!
//! 1. Look (`examine.rs`, `segment.rs`): the manifest, every byte of the journal, every page and trace of every
//!    segment, and whether a search finds the traces that are there.
//! 2. Mend (`repair.rs`): a manifest is made again from the segments, a segment from those of its traces that can be
//!    read, a journal's whole records become a segment. What was there before stays beside it under another name.

mod examine;
mod footer;
mod questions;
mod repair;
mod segment;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;
use storage::StorageError;
use storage_journal::{Disk, RealDisk};

use crate::config::{Limits, SegmentConfig};
use crate::reader::Caches;

/// What a store is, and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Everything that is not as it was written, harmless or not.
    pub findings: Vec<Finding>,
    /// Spans that wait in the journal.
    pub journal: JournalReport,
    /// Those that can be read at all.
    pub segments: Vec<SegmentReport>,
    /// What was mended, in words.
    pub repairs: Vec<String>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file, by its name in the store's directory.
    pub file: String,
    /// Where in the file, and what is wrong there.
    pub what: String,
    /// It costs nothing: what it stands for is there a second time, or is about to be removed anyway.
    pub harmless: bool,
}

/// What the journal holds.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalReport {
    /// Its files, the one of the checkpoint included.
    pub files: usize,
    /// Bytes of those files.
    pub bytes: u64,
    /// Batches since the checkpoint that can be read.
    pub records: u64,
    /// Spans in them.
    pub spans: u64,
}

/// What a segment holds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentReport {
    /// Its file, by its name in the store's directory.
    pub file: String,
    /// The length of the file.
    pub bytes: u64,
    /// Traces, those included that cannot be read.
    pub traces: u64,
    /// Spans, those included that cannot be read.
    pub spans: u64,
    /// What takes how many bytes of the file.
    pub sections: Vec<SectionBytes>,
    /// Traces that cannot be read.
    pub lost_traces: u64,
}

/// Bytes of a part of a segment.
#[derive(Clone, Debug, Serialize)]
pub struct SectionBytes {
    /// As `FORMAT.md` calls it.
    pub name: &'static str,
    /// Stored, compressed where it is.
    pub bytes: u64,
}

impl Report {
    /// Whether nothing is broken. What is harmless is not.
    pub fn is_whole(&self) -> bool {
        self.findings.iter().all(|finding| finding.harmless)
    }

    fn broken(&mut self, file: impl Into<String>, what: impl ToString) {
        self.add(file.into(), &what.to_string(), false);
    }

    fn harmless(&mut self, file: impl Into<String>, what: impl ToString) {
        self.add(file.into(), &what.to_string(), true);
    }

    /// Errors begin with the name of their file.
    fn add(&mut self, file: String, what: &str, harmless: bool) {
        let what = what.strip_prefix("corrupt: ").unwrap_or(what);
        let what = what.strip_prefix(file.as_str()).unwrap_or(what);
        let what = what.trim_start_matches([':', ' ']).to_owned();
        let finding = Finding { file, what, harmless };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

/// Looks at one store, and mends it.
pub struct Doctor<'p> {
    disk: Arc<dyn Disk>,
    config: SegmentConfig,
    progress: Box<dyn FnMut(&str) + 'p>,
}

impl std::fmt::Debug for Doctor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doctor")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<'p> Doctor<'p> {
    /// For the store in the configured directory, which nobody else may have open meanwhile. The configuration should
    /// be the server's: a repaired segment is written by it. `progress` is told what is being looked at.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where there is no such directory.
    pub fn new(config: SegmentConfig, progress: impl FnMut(&str) + 'p) -> Result<Self, StorageError> {
        let unusable = |error: &dyn std::fmt::Display| {
            StorageError::Unavailable(format!("{} cannot be used: {error}", config.directory.display()))
        };
        if !config.directory.is_dir() {
            return Err(unusable(&"there is no such directory"));
        }
        let disk = RealDisk::new(config.directory.clone()).map_err(|error| unusable(&error))?;
        Ok(Self::on(Arc::new(disk), config, progress))
    }

    /// As [`Doctor::new`], for a store on any disk; the configured directory is not used.
    pub fn on(disk: Arc<dyn Disk>, config: SegmentConfig, progress: impl FnMut(&str) + 'p) -> Self {
        Self {
            disk,
            config,
            progress: Box::new(progress),
        }
    }

    /// For one opening of a segment: the same number may be another file's the next time.
    fn caches(&self) -> Caches {
        Caches::new(&Limits::default())
    }

    /// Looks at everything and changes nothing.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where the disk fails in another way than by not reading a segment's bytes.
    pub fn examine(&mut self) -> Result<Report, StorageError> {
        examine::examine(self)
    }

    /// Mends what can be mended, and looks at everything again.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where the disk fails or is full: what was mended until then is, and the rest can
    /// be tried again.
    pub fn repair(&mut self) -> Result<Report, StorageError> {
        let repairs = repair::repair(self)?;
        let mut report = self.examine()?;
        report.repairs = repairs;
        Ok(report)
    }
}
