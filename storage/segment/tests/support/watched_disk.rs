//! A disk in memory that tells of every read of a file before it is done.

use std::fmt;
use std::io;
use std::sync::Arc;

use storage_journal::{Disk, DiskFile, LossyDisk};

/// See the head of this file.
#[derive(Clone)]
pub(crate) struct WatchedDisk {
    inner: LossyDisk,
    on_read: Arc<dyn Fn() + Send + Sync>,
}

struct WatchedFile {
    inner: Box<dyn DiskFile>,
    on_read: Arc<dyn Fn() + Send + Sync>,
}

impl WatchedDisk {
    pub(crate) fn new(on_read: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            inner: LossyDisk::new(),
            on_read: Arc::new(on_read),
        }
    }

    fn watch(&self, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let on_read = self.on_read.clone();
        Box::new(WatchedFile { inner, on_read })
    }
}

impl fmt::Debug for WatchedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for WatchedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Disk for WatchedDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.inner.create(name).map(|file| self.watch(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.inner.open(name).map(|file| self.watch(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        self.inner.list(directory)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.inner.sync_directory(directory)
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.inner.create_directory(directory)
    }
}

impl DiskFile for WatchedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (self.on_read)();
        self.inner.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}
