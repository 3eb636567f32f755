//! How far an import is: on the terminal, and in a file from which it goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::items::Place;

/// How often the file is written: as much is sent again after an import was killed.
const REMEMBER_EVERY: Duration = Duration::from_millis(500);

/// Everything of each file before its place is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Reached {
    files: BTreeMap<PathBuf, Place>,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Progress {
    path: Option<PathBuf>,
    reached: Reached,
    remembered: Instant,
    /// Batches of the current file that are stored, while one before them is not, and where they end.
    waiting: BTreeMap<u64, Place>,
    next: u64,
    bar: ProgressBar,
    pub(super) spans: u64,
    pub(super) skipped: u64,
    begin: Instant,
}

impl Progress {
    /// Reads what an interrupted import left, if there is something. `bytes` of all files, if that is known.
    pub(super) fn new(path: Option<PathBuf>, bytes: Option<u64>) -> anyhow::Result<Self> {
        let reached = match &path {
            Some(path) if path.exists() => {
                let read = std::fs::read(path).map_err(anyhow::Error::from);
                let read = read.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
                read.with_context(|| format!("cannot go on from {}", path.display()))?
            }
            _ => Reached::default(),
        };
        let bar = bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template = match bytes {
            Some(_) => "{bar:30} {percent}% {bytes}/{total_bytes} {msg} {eta} left",
            None => "{spinner} {bytes} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Ok(Self {
            path,
            reached,
            remembered: Instant::now(),
            waiting: BTreeMap::new(),
            next: 0,
            bar,
            spans: 0,
            skipped: 0,
            begin: Instant::now(),
        })
    }

    /// Where a file goes on.
    pub(super) fn begin_file(&mut self, file: &Path) -> Place {
        (self.next, self.waiting) = (0, BTreeMap::new());
        self.reached.files.get(file).copied().unwrap_or_default()
    }

    /// A batch of the current file is stored, or left out.
    pub(super) fn stored(&mut self, file: &Path, batch: u64, end: Place, spans: u64) -> anyhow::Result<()> {
        self.spans += spans;
        self.waiting.insert(batch, end);
        while let Some(end) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.reached.files.insert(file.to_owned(), end);
        }
        let rate = self.spans as f64 / self.begin.elapsed().as_secs_f64().max(1e-3);
        self.bar.set_message(format!("{} spans, {rate:.0}/s", self.spans));
        if self.remembered.elapsed() >= REMEMBER_EVERY {
            self.remember()?;
        }
        Ok(())
    }

    pub(super) fn read(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Tells of something that is left out.
    pub(super) fn skip(&mut self, file: &Path, reason: &str) {
        self.skipped += 1;
        self.bar
            .suspend(|| eprintln!("tracehound: skipped: {}: {reason}", file.display()));
    }

    /// Writes down how far it is: under another name first, so that there is always a whole one.
    pub(super) fn remember(&mut self) -> anyhow::Result<()> {
        self.remembered = Instant::now();
        let Some(path) = &self.path else { return Ok(()) };
        let mut temporary = path.clone().into_os_string();
        temporary.push(".writing");
        let written = std::fs::write(&temporary, serde_json::to_vec(&self.reached)?);
        let written = written.and_then(|()| std::fs::rename(&temporary, path));
        written.with_context(|| format!("cannot remember how far it is in {}", path.display()))
    }

    /// Everything is stored.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        if let Some(path) = self.path.filter(|path| path.exists()) {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        let seconds = self.begin.elapsed().as_secs_f64();
        let rate = self.spans as f64 / seconds.max(1e-3);
        eprintln!(
            "imported {} spans in {seconds:.1} s, {rate:.0} a second",
            self.spans
        );
        if self.skipped > 0 {
            eprintln!("skipped {} that are no spans", self.skipped);
        }
        Ok(())
    }
}
