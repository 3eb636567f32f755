//! A tantivy directory that is a run of pages of a segment's file, and can only be read.
//!
//! Files follow each other in pages of [`PAGE_BYTES`]. What is read comes through the segment's pages: checked before
//! tantivy sees a byte of it, and kept in the bounded cache.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use storage::StorageError;
use tantivy::directory::error::{DeleteError, OpenReadError, OpenWriteError};
use tantivy::directory::{FileHandle, OwnedBytes, WatchCallback, WatchHandle, WritePtr};
use tantivy::{Directory, HasLen};

use crate::page::{PAGE_BYTES, PageNumber, PageReader};

/// The files of an index in the pages of a segment.
#[derive(Clone, Debug)]
pub(super) struct PagesDirectory {
    files: Arc<BTreeMap<PathBuf, PagesFile>>,
}

/// Bytes that begin somewhere in a run of pages.
#[derive(Clone, Debug)]
struct PagesFile {
    /// Gone when the segment is: an index that is still in a cache does not hold its file.
    pages: Weak<PageReader>,
    first: PageNumber,
    start: usize,
    length: usize,
}

impl PagesDirectory {
    /// Files of these names and lengths, one after the other from a page on.
    pub(super) fn new(pages: &Arc<PageReader>, first: PageNumber, files: &[(String, usize)]) -> Self {
        let mut start = 0usize;
        let mut all = BTreeMap::new();
        for (name, length) in files {
            let file = PagesFile {
                pages: Arc::downgrade(pages),
                first,
                start,
                length: *length,
            };
            start = start.saturating_add(*length);
            all.insert(PathBuf::from(name), file);
        }
        Self { files: Arc::new(all) }
    }

    fn file(&self, path: &Path) -> Result<&PagesFile, OpenReadError> {
        self.files
            .get(path)
            .ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }
}

impl HasLen for PagesFile {
    fn len(&self) -> usize {
        self.length
    }
}

impl FileHandle for PagesFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.start > range.end || range.end > self.length {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a range beyond the file",
            ));
        }
        let pages = self.pages.upgrade().ok_or_else(|| {
            io::Error::other(StorageError::Unavailable(
                "the segment was dropped meanwhile".to_owned(),
            ))
        })?;
        let (mut at, end) = (self.start + range.start, self.start + range.end);
        let mut bytes = Vec::with_capacity(range.len());
        while at < end {
            let number = self.first.saturating_add((at / PAGE_BYTES) as PageNumber);
            let page = pages.page(number).map_err(io::Error::other)?;
            let offset = at % PAGE_BYTES;
            let piece = page.get(offset..).unwrap_or_default();
            let piece = &piece[..piece.len().min(end - at)];
            if piece.is_empty() {
                let error = pages.corrupt(number, "it is shorter than the text index says");
                return Err(io::Error::other(error));
            }
            bytes.extend_from_slice(piece);
            at += piece.len();
        }
        Ok(OwnedBytes::new(bytes))
    }
}

impl Directory for PagesDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(self.file(path)?.clone()))
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.files.contains_key(path))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let file = self.file(path)?;
        let bytes = file
            .read_bytes(0..file.length)
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        Ok(bytes.to_vec())
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError {
            io_error: Arc::new(read_only()),
            filepath: path.to_owned(),
        })
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(), path.to_owned()))
    }

    fn atomic_write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "a segment is never changed")
}

/// What was wrong with a page, out of what tantivy made of it.
pub(super) fn storage_error(error: &io::Error) -> Option<StorageError> {
    error.get_ref()?.downcast_ref::<StorageError>().cloned()
}
