//! A disk that fails one chosen operation of the segment store, once, and works before and after.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use storage_journal::{Disk, DiskFile, LossyDisk};

/// See the head of this file. Operations of the journal are neither counted nor failed: it has tests of its own.
#[derive(Clone, Debug)]
pub(crate) struct FlakyDisk {
    pub(crate) inner: LossyDisk,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    operations: AtomicU64,
    failing: AtomicU64,
}

impl Faults {
    fn operation(&self) -> io::Result<()> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        if number == self.failing.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk failed this once"));
        }
        Ok(())
    }
}

impl FlakyDisk {
    /// Fails operation number `failing`, counted from 0.
    pub(crate) fn new(failing: u64) -> Self {
        let faults = Faults::default();
        faults.failing.store(failing, Ordering::SeqCst);
        Self {
            inner: LossyDisk::new(),
            faults: Arc::new(faults),
        }
    }

    /// Operations so far that change something.
    pub(crate) fn operations(&self) -> u64 {
        self.faults.operations.load(Ordering::SeqCst)
    }

    fn change(&self, name: &str) -> io::Result<()> {
        if name.starts_with("journal") {
            Ok(())
        } else {
            self.faults.operation()
        }
    }

    fn wrap(&self, name: &str, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        if name.starts_with("journal") {
            return file;
        }
        let faults = self.faults.clone();
        Box::new(FlakyFile { file, faults })
    }
}

impl Disk for FlakyDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.change(name)?;
        Ok(self.wrap(name, self.inner.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.wrap(name, self.inner.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(from)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(name)?;
        self.inner.remove(name)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        self.inner.list(directory)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.change(directory)?;
        self.inner.sync_directory(directory)
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.inner.create_directory(directory)
    }
}

#[derive(Debug)]
struct FlakyFile {
    file: Box<dyn DiskFile>,
    faults: Arc<Faults>,
}

impl DiskFile for FlakyFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.faults.operation()?;
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.operation()?;
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
