//! Log files as the writer thread sees them: rotation, recycling, preallocation, one write and one sync a group.
//!
//! Rules that recovery relies on:
//!
//! 1. A file's header becomes durable only after every record of the files before it. Rotation syncs the old
//!    file first, and nothing is added to it afterwards, even if the new file cannot be had yet.
//! 2. A file is renamed for its next use before its header is replaced, and only when the checkpoint, durably,
//!    is at or beyond its end.
//! 3. Records are written only into space that was filled with zeros before. A full disk thus refuses a group
//!    before a byte of it is written. Should a write fail nevertheless, the first header it may have left behind
//!    is erased and synced before anybody is told that nothing was kept.
//! 4. After a failed sync nothing is written any more.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile};
use crate::error::JournalError;
use crate::format::{
    FILE_HEADER_BYTES, FileHeader, RecordHeader, TERMINATOR_BYTES, file_name, frame_bytes, random_salt,
};
use crate::pending::Outcome;

/// Files grow by this much at once: large enough to be rare, small enough (about half a millisecond) not to be
/// noticed by who waits for a record.
const PREALLOCATE_BYTES: u64 = 1 << 20;
/// The most bytes in one write, larger records apart: more gains nothing (`performance.md` 5) and costs memory.
const WRITE_BYTES_MAX: usize = 1 << 20;

/// A record as it waits to be written.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) position: u64,
    pub(crate) checksum: u32,
    pub(crate) payload: Vec<u8>,
}

/// A file whose records are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedFile {
    pub(crate) sequence: u64,
    pub(crate) base: u64,
}

/// What the writer counts and the journal reports.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) files: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_nanoseconds: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// The durable checkpoint, for recycling.
    pub(crate) checkpoint: AtomicU64,
    /// Files with records, oldest first, the one that is written to included; for those who read them.
    pub(crate) readable: Mutex<Vec<SealedFile>>,
}

/// Where the writer begins: what recovery found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files with records, oldest first.
    pub(crate) files: VecDeque<SealedFile>,
    /// A file without records that may be written over, if there is one: the newest.
    pub(crate) blank: Option<u64>,
    /// End of the last record.
    pub(crate) end: u64,
}

/// The file that records are added to.
#[derive(Debug)]
struct CurrentFile {
    sealed: SealedFile,
    name: String,
    salt: u64,
    file: Box<dyn DiskFile>,
    /// Where the next record goes.
    offset: u64,
    /// Length, all of it written once.
    allocated: u64,
}

enum Failure {
    /// What is on disk is known, and nothing of what failed counts.
    Refused(String),
    Poisoned(String),
}

/// The log, owned by the writer thread.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    directory: String,
    file_bytes: u64,
    counters: Arc<Counters>,
    files: VecDeque<SealedFile>,
    current: Option<CurrentFile>,
    blank: Option<u64>,
    /// Ends of the last record that is in a file, and that is synced.
    written: u64,
    synced: u64,
    /// Records on their way into the current file, and the end of the last of them.
    buffer: Vec<u8>,
    buffered: u64,
    zeros: Vec<u8>,
}

impl Log {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: String,
        file_bytes: u64,
        found: Found,
        counters: Arc<Counters>,
    ) -> Self {
        let log = Self {
            disk,
            directory,
            file_bytes,
            counters,
            files: found.files,
            current: None,
            blank: found.blank,
            written: found.end,
            // Recovery synced the file it read last.
            synced: found.end,
            buffer: Vec::new(),
            buffered: found.end,
            zeros: vec![0; PREALLOCATE_BYTES.min(file_bytes).max(FILE_HEADER_BYTES) as usize],
        };
        log.publish_files();
        log
    }

    /// End of the last record that is synced.
    pub(crate) fn synced(&self) -> u64 {
        self.synced
    }

    /// Whether records are written that are not synced.
    pub(crate) fn is_dirty(&self) -> bool {
        self.written != self.synced
    }

    /// Writes records, and syncs them if asked to.
    pub(crate) fn commit(&mut self, records: &[Queued], sync: bool) -> Outcome {
        let mut failure = self.write(records).err();
        self.buffer.clear();
        if sync && !matches!(failure, Some(Failure::Poisoned(_))) {
            // What was written before a refusal is kept.
            failure = self.sync().err().or(failure);
        }
        match failure {
            None => Outcome {
                kept: self.written,
                error: None,
            },
            Some(Failure::Refused(why)) => Outcome {
                kept: self.written,
                error: Some(JournalError::Unavailable(why)),
            },
            Some(Failure::Poisoned(why)) => Outcome {
                kept: self.synced,
                error: Some(JournalError::Poisoned(why)),
            },
        }
    }

    /// Makes space for the next group while nobody waits. A failure is left for that group to meet.
    pub(crate) fn preallocate(&mut self) {
        let Some(current) = &self.current else { return };
        if current.allocated < self.file_bytes && current.allocated < current.offset + PREALLOCATE_BYTES {
            let _ = self.allocate(current.allocated + 1);
        }
    }

    fn write(&mut self, records: &[Queued]) -> Result<(), Failure> {
        for record in records {
            let frame = frame_bytes(record.payload.len());
            if !self.fits(frame) {
                self.flush()?;
                self.rotate()?;
            }
            if !self.buffer.is_empty() && self.buffer.len() as u64 + frame > WRITE_BYTES_MAX as u64 {
                self.flush()?;
            }
            self.encode(record, frame);
        }
        self.flush()
    }

    /// Whether the current file takes a record of this size. A new file takes any.
    fn fits(&self, frame: u64) -> bool {
        self.current.as_ref().is_some_and(|current| {
            let offset = current.offset + self.buffer.len() as u64;
            offset == FILE_HEADER_BYTES || offset + frame + TERMINATOR_BYTES as u64 <= self.file_bytes
        })
    }

    fn encode(&mut self, record: &Queued, frame: u64) {
        let salt = self.current.as_ref().map_or(0, |current| current.salt);
        let header = RecordHeader {
            length: record.payload.len() as u32,
            payload_checksum: record.checksum,
            position: record.position,
            durable: self.synced,
        };
        let end = self.buffer.len() + frame as usize;
        self.buffer.extend_from_slice(&header.encode(salt));
        self.buffer.extend_from_slice(&record.payload);
        self.buffer.resize(end, 0);
        self.buffered = record.position + frame;
    }

    /// Writes what is buffered, and zeros that end it.
    fn flush(&mut self) -> Result<(), Failure> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = self.buffer.len() as u64;
        self.buffer.resize(self.buffer.len() + TERMINATOR_BYTES, 0);
        let end = self.offset() + self.buffer.len() as u64;
        self.allocate(end)
            .map_err(|error| Failure::Refused(error.to_string()))?;
        let Some(current) = &mut self.current else {
            unreachable!("records are buffered only for a current file")
        };
        if let Err(error) = current.file.write_all_at(&self.buffer, current.offset) {
            return Err(self.erase(&error));
        }
        current.offset += bytes;
        self.written = self.buffered;
        self.buffer.clear();
        Ok(())
    }

    fn offset(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.offset)
    }

    /// Undoes a failed write (rule 3).
    fn erase(&mut self, error: &io::Error) -> Failure {
        let Some(current) = &self.current else {
            unreachable!("a write failed in the current file")
        };
        let why = format!("{}: {error}", current.name);
        if let Err(error) = current.file.write_all_at(&[0; TERMINATOR_BYTES], current.offset) {
            return Failure::Poisoned(format!("{why}, and what it left cannot be erased: {error}"));
        }
        self.sync_current().err().unwrap_or(Failure::Refused(why))
    }

    fn sync(&mut self) -> Result<(), Failure> {
        if self.is_dirty() {
            self.sync_current()
        } else {
            Ok(())
        }
    }

    fn sync_current(&mut self) -> Result<(), Failure> {
        if let Some(current) = &self.current {
            sync_file(&*current.file, &current.name, &self.counters)?;
        }
        self.synced = self.written;
        Ok(())
    }

    /// Makes the current file at least `end` long, and longer if the disk has the space.
    fn allocate(&mut self, end: u64) -> io::Result<()> {
        let allocated = self.current.as_ref().map_or(0, |current| current.allocated);
        if end <= allocated {
            return Ok(());
        }
        let target = (allocated + PREALLOCATE_BYTES).min(self.file_bytes).max(end);
        match self.fill_with_zeros(target) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => self.fill_with_zeros(end),
            result => result,
        }
    }

    fn fill_with_zeros(&mut self, target: u64) -> io::Result<()> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        while current.allocated < target {
            let bytes = (target - current.allocated).min(self.zeros.len() as u64);
            let zeros = &self.zeros[..bytes as usize];
            current
                .file
                .write_all_at(zeros, current.allocated)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", current.name)))?;
            current.allocated += bytes;
        }
        Ok(())
    }

    /// Seals the current file and begins the next.
    fn rotate(&mut self) -> Result<(), Failure> {
        self.sync()?;
        if let Some(current) = self.current.take() {
            self.files.push_back(current.sealed);
        }
        let (sequence, name, file) = self.next_file()?;
        let salt = random_salt();
        let sealed = SealedFile {
            sequence,
            base: self.written,
        };
        let header = FileHeader {
            sequence,
            salt,
            base: sealed.base,
        };
        let refused = |error: io::Error| Failure::Refused(format!("{name}: {error}"));
        file.write_all_at(&header.encode(), 0).map_err(refused)?;
        let allocated = file.len().map_err(refused)?;
        // Whatever a record header of this salt would say, a new file ends here.
        file.write_all_at(&[0; TERMINATOR_BYTES], FILE_HEADER_BYTES)
            .map_err(refused)?;
        let allocated = allocated.max(FILE_HEADER_BYTES + TERMINATOR_BYTES as u64);
        sync_file(&*file, &name, &self.counters)?;
        self.blank = None;
        self.current = Some(CurrentFile {
            sealed,
            name,
            salt,
            file,
            offset: FILE_HEADER_BYTES,
            allocated,
        });
        self.publish_files();
        Ok(())
    }

    /// A file with the next sequence number and a durable name: the blank one, a recycled one, or a new one.
    fn next_file(&mut self) -> Result<(u64, String, Box<dyn DiskFile>), Failure> {
        let path = |sequence| format!("{}/{}", self.directory, file_name(sequence));
        if let Some(sequence) = self.blank {
            let name = path(sequence);
            let file = self
                .disk
                .open(&name)
                .map_err(|error| Failure::Refused(format!("{name}: {error}")))?;
            return Ok((sequence, name, file));
        }
        let sequence = self.files.back().map_or(1, |last| last.sequence + 1);
        let name = path(sequence);
        let refused = |error: io::Error| Failure::Refused(format!("{name}: {error}"));
        let file = if let Some(oldest) = self.recyclable() {
            self.disk.rename(&path(oldest.sequence), &name).map_err(refused)?;
            self.files.pop_front();
            self.disk.open(&name)
        } else {
            self.disk.create(&name)
        }
        .map_err(refused)?;
        // The same rule as for contents: a directory that failed to sync is in an unknown state.
        self.disk
            .sync_directory(&self.directory)
            .map_err(|error| Failure::Poisoned(format!("{}: {error}", self.directory)))?;
        self.blank = Some(sequence);
        Ok((sequence, name, file))
    }

    /// The oldest file, if everything in it lies before the checkpoint. The newest is kept in any case: it says
    /// where the records end.
    fn recyclable(&self) -> Option<SealedFile> {
        let end = self.files.get(1)?.base;
        (end <= self.counters.checkpoint.load(Ordering::Acquire)).then(|| self.files[0])
    }

    /// Tells the others which files there are.
    fn publish_files(&self) {
        let current = self.current.as_ref().map(|current| current.sealed);
        let readable: Vec<SealedFile> = self.files.iter().copied().chain(current).collect();
        let files = readable.len() + usize::from(self.blank.is_some());
        self.counters.files.store(files as u64, Ordering::Relaxed);
        *self.counters.readable.lock() = readable;
    }
}

fn sync_file(file: &dyn DiskFile, name: &str, counters: &Counters) -> Result<(), Failure> {
    let begin = Instant::now();
    file.sync()
        .map_err(|error| Failure::Poisoned(format!("{name}: sync: {error}")))?;
    counters.syncs.fetch_add(1, Ordering::Relaxed);
    let nanoseconds = begin.elapsed().as_nanos().min(u128::from(u64::MAX)) as u64;
    counters
        .sync_nanoseconds
        .fetch_add(nanoseconds, Ordering::Relaxed);
    Ok(())
}
