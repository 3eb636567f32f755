//! The checkpoint file: overwritten in place, so that a checkpoint can be set on a full disk.

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::error::JournalError;
use crate::format::{CheckpointSlot, SECTOR_BYTES};

/// Name within the journal's directory.
const NAME: &str = "checkpoint";

/// The two slots (`format.rs`). The one that does not count is overwritten, so a torn write costs nothing.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    file: Box<dyn DiskFile>,
    current: CheckpointSlot,
    /// Index of the slot that does not hold `current`.
    next: usize,
}

impl CheckpointFile {
    /// Opens the file, or makes it durable before the first log file exists.
    pub(crate) fn open(disk: &dyn Disk, directory: &str, log_files: bool) -> Result<Self, JournalError> {
        let name = format!("{directory}/{NAME}");
        let damaged = |reason: &str| JournalError::Corrupt {
            file: name.clone(),
            offset: 0,
            reason: reason.to_owned(),
        };
        let unavailable = |error: io::Error| JournalError::Unavailable(format!("{name}: {error}"));
        match disk.open(&name) {
            Ok(file) => match read_slots(&*file).map_err(unavailable)? {
                Some((current, next)) => return Ok(Self { file, current, next }),
                None if log_files => return Err(damaged("neither slot is whole")),
                None => {}
            },
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unavailable(error)),
            Err(_) if log_files => return Err(damaged("it is missing, but there are log files")),
            Err(_) => {}
        }
        Self::create(disk, directory, &name).map_err(unavailable)
    }

    fn create(disk: &dyn Disk, directory: &str, name: &str) -> io::Result<Self> {
        let current = CheckpointSlot::default();
        let file = disk.create(name)?;
        let mut bytes = [0; 2 * SECTOR_BYTES];
        bytes[..SECTOR_BYTES].copy_from_slice(&current.encode());
        file.write_all_at(&bytes, 0)?;
        file.sync()?;
        disk.sync_directory(directory)?;
        Ok(Self {
            file,
            current,
            next: 1,
        })
    }

    pub(crate) fn current(&self) -> CheckpointSlot {
        self.current
    }

    /// Replaces the checkpoint, durably. After an error either may be found at the next opening.
    pub(crate) fn set(&mut self, slot: CheckpointSlot) -> io::Result<()> {
        self.file
            .write_all_at(&slot.encode(), (self.next * SECTOR_BYTES) as u64)?;
        self.file.sync()?;
        self.current = slot;
        self.next = 1 - self.next;
        Ok(())
    }
}

/// The slot that counts and the index of the other one.
fn read_slots(file: &dyn DiskFile) -> io::Result<Option<(CheckpointSlot, usize)>> {
    let mut bytes = [0; 2 * SECTOR_BYTES];
    let length = file.len()?.min(bytes.len() as u64) as usize;
    file.read_exact_at(&mut bytes[..length], 0)?;
    let (first, second) = bytes.split_at(SECTOR_BYTES);
    Ok(
        match (CheckpointSlot::decode(first), CheckpointSlot::decode(second)) {
            (Some(first), Some(second)) if second > first => Some((second, 0)),
            (Some(first), _) => Some((first, 1)),
            (None, Some(second)) => Some((second, 0)),
            (_, None) => None,
        },
    )
}
