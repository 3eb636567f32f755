//! Where exported traces go: a file or standard output, compressed if asked for, and a small file that remembers how
//! much of it is whole.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::ExportConfig;

/// Everything before a moment is in the first bytes of the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reached {
    /// Where the next window begins, epoch milliseconds.
    next_ms: u64,
    /// Bytes of the file that count.
    bytes: u64,
    traces: u64,
    /// Traces of the last window: those at its end come again.
    last_ids: HashSet<String>,
    /// The last trace without a timestamp; empty before the first.
    #[serde(default)]
    last_untimed: String,
}

/// See the head of this file.
pub(super) struct Output {
    writer: BufWriter<Box<dyn Write>>,
    /// Lines of the current window, compressed at its end: as a member of its own, so that a file can be cut there.
    window: Vec<u8>,
    gzip: bool,
    resume: Option<PathBuf>,
    reached: Reached,
}

impl Output {
    /// Goes on where an export was interrupted, if that is remembered.
    pub(super) fn open(config: &ExportConfig) -> anyhow::Result<Self> {
        let reached = match &config.resume {
            Some(path) if path.exists() => {
                let read = std::fs::read(path).map_err(anyhow::Error::from);
                let read = read.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
                read.with_context(|| format!("cannot go on from {}", path.display()))?
            }
            _ => Reached::default(),
        };
        let writer: Box<dyn Write> = match &config.file {
            None => Box::new(io::stdout()),
            Some(path) => {
                let open = || {
                    let mut options = OpenOptions::new();
                    let mut file = options.write(true).create(true).truncate(false).open(path)?;
                    file.set_len(reached.bytes)?;
                    file.seek(SeekFrom::End(0))?;
                    Ok::<_, io::Error>(file)
                };
                Box::new(open().with_context(|| format!("cannot write {}", path.display()))?)
            }
        };
        Ok(Self {
            writer: BufWriter::new(writer),
            window: Vec::new(),
            gzip: config.gzip,
            resume: config.resume.clone(),
            reached,
        })
    }

    pub(super) fn next_ms(&self) -> u64 {
        self.reached.next_ms
    }

    pub(super) fn last_ids(&self) -> HashSet<String> {
        self.reached.last_ids.clone()
    }

    pub(super) fn last_untimed(&self) -> &str {
        &self.reached.last_untimed
    }

    pub(super) fn traces(&self) -> u64 {
        self.reached.traces
    }

    /// Adds a trace.
    pub(super) fn write(&mut self, trace: &str) {
        self.reached.traces += 1;
        // Between values JSON may have line breaks, and here a line is a trace; within them they are escaped.
        self.window.extend(trace.bytes().filter(|byte| *byte != b'\n'));
        self.window.push(b'\n');
    }

    /// Everything before a moment is written.
    pub(super) fn end_window(&mut self, next_ms: u64, ids: &HashSet<String>) -> anyhow::Result<()> {
        self.reached.next_ms = next_ms;
        if self.resume.is_some() {
            self.reached.last_ids.clone_from(ids);
        }
        self.end_page()
    }

    /// Traces without a timestamp are written up to one.
    pub(super) fn end_untimed(&mut self, last: &str) -> anyhow::Result<()> {
        last.clone_into(&mut self.reached.last_untimed);
        self.end_page()
    }

    /// Writes what was gathered, and remembers how far that is.
    fn end_page(&mut self) -> anyhow::Result<()> {
        let mut window = std::mem::take(&mut self.window);
        if self.gzip && !window.is_empty() {
            // The usual level takes twice as long as everything else, for a third less.
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&window)?;
            window = encoder.finish()?;
        }
        self.writer.write_all(&window).context("cannot write")?;
        self.reached.bytes += window.len() as u64;
        let Some(path) = &self.resume else {
            return Ok(());
        };
        self.writer.flush().context("cannot write")?;
        let mut temporary = path.clone().into_os_string();
        temporary.push(".writing");
        let written = std::fs::write(&temporary, serde_json::to_vec(&self.reached)?);
        let written = written.and_then(|()| std::fs::rename(&temporary, path));
        written.with_context(|| format!("cannot remember how far it is in {}", path.display()))
    }

    /// Everything is written; gives how many traces there are.
    pub(super) fn finish(mut self) -> anyhow::Result<u64> {
        self.writer.flush().context("cannot write")?;
        if let Some(path) = self.resume.filter(|path| path.exists()) {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(self.reached.traces)
    }
}
