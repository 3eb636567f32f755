//! What the backend can never take, put aside where somebody can look at it, mend it and send it again.
//!
//! `refused/<position>.json` is a list of spans as Zipkin's API takes it, `refused/<position>.record` a record that
//! cannot be read; beside either, `.txt` says why. The position is that of the first record of the batch.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Span;
use proto::Format;
use storage_journal::{Disk, Position};

const DIRECTORY: &str = "refused";
/// What the smallest file takes of a disk: many small ones are bounded too.
const BLOCK_BYTES: u64 = 4096;

/// The directory.
#[derive(Debug)]
pub(crate) struct Refused {
    disk: Arc<dyn Disk>,
    bytes_max: u64,
    /// Files that hold spans.
    files: AtomicU64,
}

/// Why something could not be put aside.
#[derive(Debug)]
pub(crate) enum NotPutAside {
    Full { bytes: u64, bytes_max: u64 },
    Disk(io::Error),
}

impl std::fmt::Display for NotPutAside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full { bytes, bytes_max } => {
                write!(f, "{DIRECTORY} would have {bytes} of at most {bytes_max} bytes")
            }
            Self::Disk(error) => write!(f, "{DIRECTORY}: {error}"),
        }
    }
}

impl From<io::Error> for NotPutAside {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl Refused {
    pub(crate) fn open(disk: Arc<dyn Disk>, bytes_max: u64) -> io::Result<Self> {
        disk.create_directory(DIRECTORY)?;
        disk.sync_directory("")?;
        let refused = Self {
            disk,
            bytes_max,
            files: AtomicU64::new(0),
        };
        refused.look()?;
        Ok(refused)
    }

    /// Files that hold spans, when it was last looked.
    pub(crate) fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Puts spans aside, each with the reason. They are on disk when this returns. Once more under the same position
    /// takes the place of what was there.
    pub(crate) fn put_spans(&self, at: Position, refused: &[(Span, String)]) -> Result<(), NotPutAside> {
        let spans: Vec<Span> = refused.iter().map(|(span, _)| span.clone()).collect();
        let mut reasons = String::new();
        for (span, reason) in refused {
            reasons.push_str(&format!("trace {} span {}: {reason}\n", span.trace_id, span.id));
        }
        self.put(at, "json", &proto::encode(Format::JsonV2, &spans), &reasons)
    }

    /// Puts a record aside that cannot be read.
    pub(crate) fn put_record(&self, at: Position, record: &[u8], reason: &str) -> Result<(), NotPutAside> {
        self.put(at, "record", record, &format!("{reason}\n"))
    }

    fn put(&self, at: Position, kind: &str, bytes: &[u8], reasons: &str) -> Result<(), NotPutAside> {
        let bytes_there = self.look()?;
        let more = blocks(bytes.len() as u64) + blocks(reasons.len() as u64);
        if bytes_there + more > self.bytes_max {
            return Err(NotPutAside::Full {
                bytes: bytes_there + more,
                bytes_max: self.bytes_max,
            });
        }
        let name = format!("{DIRECTORY}/{:020}", at.as_u64());
        for (kind, bytes) in [(kind, bytes), ("txt", reasons.as_bytes())] {
            let file = self.disk.create(&format!("{name}.{kind}"))?;
            file.write_all_at(bytes, 0)?;
            file.sync()?;
        }
        self.disk.sync_directory(DIRECTORY)?;
        self.look()?;
        Ok(())
    }

    /// Bytes that are there. Somebody may have taken files away.
    fn look(&self) -> io::Result<u64> {
        let files = self.disk.list(DIRECTORY)?;
        let holding = files.iter().filter(|(name, _)| !name.ends_with(".txt")).count();
        self.files.store(holding as u64, Ordering::Relaxed);
        Ok(files.iter().map(|(_, bytes)| blocks(*bytes)).sum())
    }
}

fn blocks(bytes: u64) -> u64 {
    bytes.max(1).next_multiple_of(BLOCK_BYTES)
}
