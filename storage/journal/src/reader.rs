//! Reading records back while the journal runs, from its files: memory is bounded however much there is to read.
//!
//! A reader takes part in nothing: it holds no file back from being recycled, the checkpoint does. So whoever sets
//! the checkpoint sets it no further than what has been read. A reader that is overtaken goes on at the checkpoint.
//!
//! What it relies on: the bytes of a record that was kept never change before the checkpoint passes it; the writer
//! names a file as readable before it calls a record in it kept; and a file that is being used again does not check
//! as what it was, by its sequence number and its salt.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::commit::Shared;
use crate::disk::Disk;
use crate::error::JournalError;
use crate::format::{
    ALIGNMENT, FILE_HEADER_BYTES, FileHeader, FileStart, Position, RECORD_HEADER_BYTES, RecordHeader,
    file_name,
};
use crate::log_file::{LogEnd, LogFile, damage, later_record};
use crate::write::SealedFile;

/// Reads the records of a running journal in order, each once; from [`crate::Journal::reader`].
///
/// Memory: a chunk of a file, and the largest record. It may outlive the journal, and then ends where that did.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    directory: String,
    /// The next record is the first that begins here or later.
    position: u64,
    open: Option<OpenFile>,
}

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// As [`crate::Pending::position`] said.
    pub position: Position,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// The file that holds the next record.
#[derive(Debug)]
struct OpenFile {
    file: LogFile,
    /// Where reading goes on: at a record, or where one will be.
    end: LogEnd,
}

/// A file to read from, and where the next one begins if there is one.
struct Located {
    file: SealedFile,
    next_base: Option<u64>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, disk: Arc<dyn Disk>, directory: String) -> Self {
        let position = shared.counters.checkpoint.load(Ordering::Acquire);
        Self {
            shared,
            disk,
            directory,
            position,
            open: None,
        }
    }

    /// The next record, or nothing if all that are as durable as promised have been read. Never waits for one; reads
    /// the disk.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] where the record is not what was written: so is the next call, until
    /// [`Reader::skip_damaged`]. [`JournalError::Unavailable`] where the disk fails: the next call tries again.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that fails and goes on is none"
    )]
    pub fn next(&mut self) -> Result<Option<Record>, JournalError> {
        let mut again = true;
        loop {
            // In this order: a record is in a file that is readable before it counts as kept.
            let kept = self.shared.queue.lock().kept;
            self.position = self.position.max(self.checkpoint());
            if self.position >= kept {
                return Ok(None);
            }
            match self.read(kept) {
                Ok(Some(record)) => return Ok(Some(record)),
                Ok(None) => {}
                // It was let go meanwhile, and its file used again.
                Err(_) if self.checkpoint() > self.position => self.open = None,
                // What was read ahead may be from before it was written.
                Err(_) if again => {
                    again = false;
                    self.forget_chunk();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes on after what [`Reader::next`] found damaged: at the next record of the file that checks, or at the next
    /// file. Returns where that is.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] where the disk fails; nothing is skipped then.
    pub fn skip_damaged(&mut self) -> Result<Position, JournalError> {
        let kept = self.shared.queue.lock().kept;
        let file_end = self
            .locate()
            .and_then(|located| located.next_base)
            .unwrap_or(kept);
        let later = match &mut self.open {
            Some(open) => open.skip_to_later_record(file_end)?,
            None => false,
        };
        let position = match &self.open {
            Some(open) if later => open.end.position,
            _ => file_end,
        };
        self.position = self.position.max(position);
        Ok(Position(self.position))
    }

    /// Where the next record begins, or later: everything before it has been read. A checkpoint for those who are
    /// done with all they read.
    pub fn position(&self) -> Position {
        Position(self.position)
    }

    fn checkpoint(&self) -> u64 {
        self.shared.counters.checkpoint.load(Ordering::Acquire)
    }

    fn forget_chunk(&mut self) {
        if let Some(open) = &mut self.open {
            open.file.forget_chunk();
        }
    }

    /// The newest file that begins at or before the position: its records go on to the next one's base, or to the end.
    fn locate(&self) -> Option<Located> {
        let files = self.shared.counters.readable.lock();
        let after = files.partition_point(|file| file.base <= self.position);
        Some(Located {
            file: *files.get(after.checked_sub(1)?)?,
            next_base: files.get(after).map(|next| next.base),
        })
    }

    /// Reads the record at the position, or takes a step towards it. There is one: `kept` lies behind it.
    fn read(&mut self, kept: u64) -> Result<Option<Record>, JournalError> {
        let Some(located) = self.locate() else {
            let reason = format!("no log file holds the record at {}", self.position);
            return Err(damage(&self.directory, 0, &reason));
        };
        let open = match self.open.take() {
            Some(open) if open.file.sealed() == located.file => open,
            _ => open_file(&*self.disk, &self.directory, located.file)?,
        };
        let open = self.open.insert(open);
        open.bound(kept)?;
        open.skip_before(self.position)?;
        if open.end.position > self.position {
            // The position lay within a record.
            self.position = open.end.position;
            return Ok(None);
        }
        let record = open.record()?;
        self.position = open.end.position;
        Ok(Some(record))
    }
}

impl OpenFile {
    /// Leaves out what is not kept yet: it may still change. Records take no more bytes than positions.
    fn bound(&mut self, kept: u64) -> Result<(), JournalError> {
        let length = self
            .file
            .file
            .len()
            .map_err(|error| self.file.unavailable(&error))?;
        let readable = self.end.offset + kept.saturating_sub(self.end.position);
        self.file.length = length.min(readable);
        Ok(())
    }

    /// Passes over records that begin before a position.
    fn skip_before(&mut self, position: u64) -> Result<(), JournalError> {
        while self.end.position < position {
            match self.file.record_header(&self.end)? {
                Ok(header) if header.position < position => self.pass(&header),
                // The position lies in a gap before this record.
                Ok(_) => return Ok(()),
                Err(reason) => return Err(self.damaged(reason)),
            }
        }
        Ok(())
    }

    fn record(&mut self) -> Result<Record, JournalError> {
        match self.file.record(&self.end)? {
            Ok((header, payload)) => {
                self.pass(&header);
                let position = Position(header.position);
                Ok(Record { position, payload })
            }
            Err(reason) => Err(self.damaged(reason)),
        }
    }

    fn pass(&mut self, header: &RecordHeader) {
        self.end.offset += header.frame_bytes();
        self.end.position = header.position + header.frame_bytes();
    }

    fn damaged(&self, reason: Option<&'static str>) -> JournalError {
        let reason = reason.unwrap_or("the records end, but it had been durable");
        self.file.damaged(&self.end, reason)
    }

    /// Goes to the next place that holds the header of a record before `file_end`; false if there is none.
    fn skip_to_later_record(&mut self, file_end: u64) -> Result<bool, JournalError> {
        let (start, salt) = (self.end.offset, self.file.header.salt);
        let mut offset = start + ALIGNMENT as u64;
        while let Some(bytes) = self.file.bytes(offset, RECORD_HEADER_BYTES)? {
            let least = self.end.position + (offset - start);
            if let Some(header) = later_record(bytes, salt, least)
                && header.position + header.frame_bytes() <= file_end
            {
                self.end.offset = offset;
                self.end.position = header.position;
                return Ok(true);
            }
            offset += ALIGNMENT as u64;
        }
        Ok(false)
    }
}

fn open_file(disk: &dyn Disk, directory: &str, sealed: SealedFile) -> Result<OpenFile, JournalError> {
    let name = format!("{directory}/{}", file_name(sealed.sequence));
    let unavailable = |error: io::Error| JournalError::Unavailable(format!("{name}: {error}"));
    let file = disk.open(&name).map_err(unavailable)?;
    let mut start = [0; FILE_HEADER_BYTES as usize];
    file.read_exact_at(&mut start, 0).map_err(unavailable)?;
    match FileHeader::decode(&start, sealed.sequence) {
        FileStart::Begun(header) => Ok(OpenFile {
            file: LogFile::new(name, header, file, FILE_HEADER_BYTES),
            end: LogEnd {
                offset: FILE_HEADER_BYTES,
                position: sealed.base,
                ..LogEnd::default()
            },
        }),
        _ => Err(damage(&name, 0, "its header is not the one that was written")),
    }
}
