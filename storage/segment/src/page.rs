//! Pages: the unit in which a segment is written, checked and read.
//!
//! A segment's file is a row of pages. Each is stored as it is or as one zstd frame, has a CRC32C of what is
//! stored, and is read whole, through a bounded cache. Sections (`format.rs`) are runs of pages.

use std::io;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use storage::StorageError;
use storage_journal::DiskFile;

use crate::format::Run;
use storage_record::bytes::{Cursor, Malformed, Put};

/// Where rows and lists are cut into pages: large enough to compress, small enough that one trace costs
/// little to read.
pub(crate) const PAGE_BYTES: usize = 16 << 10;

/// No page is larger than this, stored or not: the largest trace the head may hold is smaller.
const PAGE_BYTES_MAX: u32 = 1 << 30;

/// Level 1: level 3 costs four times as much for 2 % (shapes have removed what repeats).
const COMPRESSION_LEVEL: i32 = 1;

/// The number of a page in its segment.
pub(crate) type PageNumber = u32;

/// Where a page is and how it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageEntry {
    offset: u64,
    stored_bytes: u32,
    raw_bytes: u32,
    checksum: u32,
}

impl PageEntry {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_varint(u64::from(self.stored_bytes));
        out.put_varint(u64::from(self.raw_bytes));
        out.put_u32(self.checksum);
    }

    /// Pages follow each other, so a page begins where the one before ends.
    pub(crate) fn read(cursor: &mut Cursor<'_>, offset: u64) -> Result<Self, Malformed> {
        let size = |cursor: &mut Cursor<'_>| match cursor.varint()? {
            size if size <= u64::from(PAGE_BYTES_MAX) => Ok(size as u32),
            _ => Err(Malformed("a page beyond the largest size")),
        };
        Ok(Self {
            offset,
            stored_bytes: size(cursor)?,
            raw_bytes: size(cursor)?,
            checksum: cursor.u32()?,
        })
    }

    pub(crate) fn end(&self) -> u64 {
        self.offset + u64::from(self.stored_bytes)
    }
}

/// Writes pages one after the other.
pub(crate) struct PageWriter {
    file: Box<dyn DiskFile>,
    offset: u64,
    raw_bytes: u64,
    pages: Vec<PageEntry>,
    compressor: zstd::bulk::Compressor<'static>,
    // Pages are gathered, so that the disk is not asked for every 16 KiB.
    pending: Vec<u8>,
}

const PENDING_BYTES_MAX: usize = 1 << 20;

impl PageWriter {
    /// Writes from the start of an empty file.
    pub(crate) fn new(file: Box<dyn DiskFile>, header: &[u8]) -> io::Result<Self> {
        let compressor = zstd::bulk::Compressor::new(COMPRESSION_LEVEL)?;
        Ok(Self {
            file,
            offset: header.len() as u64,
            raw_bytes: 0,
            pages: Vec::new(),
            compressor,
            pending: header.to_vec(),
        })
    }

    /// Writes a page, compressed if that makes it smaller.
    pub(crate) fn write(&mut self, raw: &[u8]) -> io::Result<PageNumber> {
        if raw.len() > PAGE_BYTES_MAX as usize {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a page beyond 1 GiB"));
        }
        let compressed = self.compressor.compress(raw)?;
        let stored = if compressed.len() < raw.len() {
            compressed.as_slice()
        } else {
            raw
        };
        let number = self.pages.len() as PageNumber;
        self.pages.push(PageEntry {
            offset: self.offset,
            stored_bytes: stored.len() as u32,
            raw_bytes: raw.len() as u32,
            checksum: crc32c::crc32c(stored),
        });
        self.pending.extend_from_slice(stored);
        self.offset += stored.len() as u64;
        self.raw_bytes += raw.len() as u64;
        if self.pending.len() >= PENDING_BYTES_MAX {
            self.flush()?;
        }
        Ok(number)
    }

    /// Bytes of all pages so far, not compressed.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    pub(crate) fn page_count(&self) -> PageNumber {
        self.pages.len() as PageNumber
    }

    pub(crate) fn pages(&self) -> &[PageEntry] {
        &self.pages
    }

    /// Appends the footer and makes the file durable; gives its length in bytes.
    pub(crate) fn finish(mut self, footer: &[u8]) -> io::Result<u64> {
        self.pending.extend_from_slice(footer);
        self.offset += footer.len() as u64;
        self.flush()?;
        self.file.sync()?;
        Ok(self.offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        let at = self.offset - self.pending.len() as u64;
        self.file.write_all_at(&self.pending, at)?;
        self.pending.clear();
        Ok(())
    }
}

/// Pages lately read, of all segments, bounded by their bytes.
pub(crate) type PageCache = Cache<(u64, PageNumber), Arc<[u8]>, PageWeight>;

/// Weighs a page by its bytes.
#[derive(Clone, Debug)]
pub(crate) struct PageWeight;

impl Weighter<(u64, PageNumber), Arc<[u8]>> for PageWeight {
    fn weight(&self, _: &(u64, PageNumber), page: &Arc<[u8]>) -> u64 {
        page.len() as u64 + 64
    }
}

/// A cache of at most `bytes_max`.
pub(crate) fn page_cache(bytes_max: u64) -> PageCache {
    Cache::with_weighter((bytes_max / PAGE_BYTES as u64) as usize, bytes_max, PageWeight)
}

/// Reads pages of one segment.
#[derive(Debug)]
pub(crate) struct PageReader {
    file: Box<dyn DiskFile>,
    /// Names the file in errors.
    name: String,
    segment: u64,
    pages: Vec<PageEntry>,
    cache: Arc<PageCache>,
}

impl PageReader {
    pub(crate) fn new(
        file: Box<dyn DiskFile>,
        name: String,
        segment: u64,
        pages: Vec<PageEntry>,
        cache: Arc<PageCache>,
    ) -> Self {
        Self {
            file,
            name,
            segment,
            pages,
            cache,
        }
    }

    /// Bytes of all pages, not compressed.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.pages.iter().map(|page| u64::from(page.raw_bytes)).sum()
    }

    /// Bytes that a run of pages takes in the file.
    pub(crate) fn stored_bytes(&self, run: Run) -> u64 {
        let pages = self.pages.iter().skip(run.first as usize);
        pages
            .take(run.count as usize)
            .map(|page| u64::from(page.stored_bytes))
            .sum()
    }

    /// How many pages there are.
    pub(crate) fn count(&self) -> u32 {
        self.pages.len() as u32
    }

    /// Reads every page and checks it.
    pub(crate) fn verify(&self) -> Result<(), StorageError> {
        (0..self.pages.len()).try_for_each(|number| self.page_uncached(number as PageNumber).map(|_| ()))
    }

    /// An error that names the file and the page.
    pub(crate) fn corrupt(&self, page: PageNumber, what: impl std::fmt::Display) -> StorageError {
        StorageError::Corrupt(format!("{} page {page}: {what}", self.name))
    }

    /// A page's bytes, checked.
    pub(crate) fn page(&self, number: PageNumber) -> Result<Arc<[u8]>, StorageError> {
        if let Some(page) = self.cache.get(&(self.segment, number)) {
            return Ok(page);
        }
        let page: Arc<[u8]> = self.page_uncached(number)?.into();
        self.cache.insert((self.segment, number), page.clone());
        Ok(page)
    }

    /// A page's bytes, checked, without a place in the cache: for what is read once.
    pub(crate) fn page_uncached(&self, number: PageNumber) -> Result<Vec<u8>, StorageError> {
        let entry = self
            .pages
            .get(number as usize)
            .ok_or_else(|| self.corrupt(number, "there is no such page"))?;
        let mut stored = vec![0; entry.stored_bytes as usize];
        self.file
            .read_exact_at(&mut stored, entry.offset)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => self.corrupt(number, "the file ends before the page"),
                _ => unreadable(&format!("{} page {number}", self.name), &error),
            })?;
        if crc32c::crc32c(&stored) != entry.checksum {
            return Err(self.corrupt(number, "its checksum is wrong"));
        }
        if entry.stored_bytes == entry.raw_bytes {
            return Ok(stored);
        }
        let raw = zstd::bulk::decompress(&stored, entry.raw_bytes as usize)
            .map_err(|error| self.corrupt(number, error))?;
        if raw.len() == entry.raw_bytes as usize {
            Ok(raw)
        } else {
            Err(self.corrupt(number, "its length is wrong"))
        }
    }
}

/// What a failed read of a segment means. A sector that the disk cannot read is damage, as a wrong checksum is: the
/// rest of the store must go on answering without it.
pub(crate) fn unreadable(place: &str, error: &io::Error) -> StorageError {
    /// Linux's number for an error of input or output; the standard library has no name for it.
    const EIO: i32 = 5;
    let what = format!("{place} cannot be read: {error}");
    if error.raw_os_error() == Some(EIO) {
        StorageError::Corrupt(what)
    } else {
        StorageError::Unavailable(what)
    }
}

/// Where a list is: in which page of its section, and where in that page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListRef {
    pub(crate) page: PageNumber,
    pub(crate) offset: u32,
}

/// Gathers pieces into pages of about [`PAGE_BYTES`]; a piece is never cut.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    buffer: Vec<u8>,
}

impl Packer {
    /// Adds a piece written by `put`; tells where it will be.
    pub(crate) fn add(
        &mut self,
        pages: &mut PageWriter,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<ListRef> {
        let place = ListRef {
            page: pages.page_count(),
            offset: self.buffer.len() as u32,
        };
        put(&mut self.buffer);
        if self.buffer.len() >= PAGE_BYTES {
            self.flush(pages)?;
        }
        Ok(place)
    }

    /// Writes what is gathered. MUST be called before anything else writes pages.
    pub(crate) fn flush(&mut self, pages: &mut PageWriter) -> io::Result<()> {
        if !self.buffer.is_empty() {
            pages.write(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}
