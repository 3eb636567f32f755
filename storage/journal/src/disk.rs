//! Everything the journal and the store do to a file system, so that a test can stop the machine at any write.
//!
//! Names are relative to the disk's root, with `/` between, and flat or one level deep (`journal/checkpoint`).
//! They are made by code, never taken from input.

use std::fmt::Debug;
use std::io;

/// A directory tree. Nothing is durable until it is synced: contents by [`DiskFile::sync`], names by
/// [`Disk::sync_directory`].
pub trait Disk: Send + Sync + Debug {
    /// Creates a file, or empties an existing one, for reading and writing.
    ///
    /// # Errors
    /// The directory does not exist, or the file system refuses.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], or the file system refuses.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file, replacing one that has the new name.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], or the file system refuses.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], or the file system refuses.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Names of the files in a directory and their lengths in bytes, in no particular order. Empty if the
    /// directory does not exist; the root is the empty name. Directories are left out.
    ///
    /// # Errors
    /// The file system refuses.
    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>>;

    /// Makes the creations, renames and removals in a directory durable.
    ///
    /// # Errors
    /// The directory does not exist, or its state on disk is now unknown.
    fn sync_directory(&self, directory: &str) -> io::Result<()>;

    /// Creates a directory unless it exists. Durable after [`Disk::sync_directory`] of the root.
    ///
    /// # Errors
    /// The file system refuses.
    fn create_directory(&self, directory: &str) -> io::Result<()>;
}

/// An open file. Calls carry their offset, so one handle serves many threads.
#[expect(clippy::len_without_is_empty, reason = "a length on disk, not a collection")]
pub trait DiskFile: Send + Sync + Debug {
    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before, or the disk fails.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all bytes at an offset, making the file longer if need be.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`], or the disk fails. Any part of the bytes may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes contents and length durable (`fdatasync`).
    ///
    /// # Errors
    /// The disk fails. What had been written since the last success is then unknown, and a later success does
    /// not say otherwise: the kernel may have dropped the pages it could not write.
    fn sync(&self) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// The disk fails.
    fn len(&self) -> io::Result<u64>;
}
