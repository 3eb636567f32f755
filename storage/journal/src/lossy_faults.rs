//! What a [`crate::LossyDisk`] is told to do wrong.

use std::io;

use crate::lossy_image::Choice;

/// The number of Linux for an error of input or output.
const EIO: i32 = 5;

/// Faults until they are taken back.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// How many more operations succeed.
    pub(crate) operations_left: Option<u64>,
    /// The sum of all file lengths.
    pub(crate) capacity_bytes: Option<u64>,
    /// Syncs of these fail: names with this beginning, a directory's with `/` after it.
    pub(crate) failing_syncs: Option<String>,
    /// Reads of files fail that have a name with this beginning.
    pub(crate) failing_reads: Option<String>,
    /// How many bytes of the next write are done.
    pub(crate) torn_write: Option<usize>,
    /// One in so many operations fails.
    pub(crate) chance: Option<(Choice, usize)>,
}

/// What becomes of an operation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    Undone,
    /// It was done all the same.
    Done,
}

impl Faults {
    /// Before anything that changes the disk.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("the disk stopped")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether an operation fails by chance, and what becomes of it.
    pub(crate) fn chance(&mut self) -> Option<Failing> {
        let (choice, one_in) = self.chance.as_mut()?;
        if choice.below(*one_in) != 0 {
            return None;
        }
        Some(if choice.below(2) == 0 {
            Failing::Undone
        } else {
            Failing::Done
        })
    }

    pub(crate) fn sync(&mut self, name: &str) -> io::Result<()> {
        let told = self
            .failing_syncs
            .as_deref()
            .is_some_and(|failing| name.starts_with(failing));
        if told || self.chance().is_some() {
            return Err(broken());
        }
        Ok(())
    }

    pub(crate) fn read(&mut self, name: &str) -> io::Result<()> {
        let told = self
            .failing_reads
            .as_deref()
            .is_some_and(|failing| name.starts_with(failing));
        if told || self.chance().is_some() {
            return Err(broken());
        }
        Ok(())
    }

    /// How much of a write is done, and how it ends. `room` is what the disk has left for it, in bytes.
    pub(crate) fn write(&mut self, bytes: usize, room: usize) -> (usize, io::Result<()>) {
        if let Some(kept) = self.torn_write.take().filter(|&kept| kept < bytes) {
            return (kept, Err(broken()));
        }
        if room < bytes {
            return (room, Err(io::ErrorKind::StorageFull.into()));
        }
        match self.chance() {
            None => (bytes, Ok(())),
            Some(_) => {
                let kept = self
                    .chance
                    .as_mut()
                    .map_or(0, |(choice, _)| choice.below(bytes + 1));
                (kept, Err(broken()))
            }
        }
    }
}

/// What a disk says that cannot read or write.
pub(crate) fn broken() -> io::Error {
    io::Error::from_raw_os_error(EIO)
}
