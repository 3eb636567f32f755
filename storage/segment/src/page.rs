//! Pages: the unit in which a segment is written, checked and read.
//!
//! A segment's file is a row of pages. A page is a part that is packed, as one zstd frame where that is smaller, and
//! a part that is plain, as it is; most have only one of them. It has a CRC32C of what is stored, and is read whole,
//! through a bounded cache. Sections (`format.rs`) are runs of pages.

use std::io;
use std::ops::Deref;
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
    /// Of the plain part, which both of the others include.
    plain_bytes: u32,
    checksum: u32,
}

impl PageEntry {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_varint(u64::from(self.stored_bytes));
        out.put_varint(u64::from(self.raw_bytes));
        out.put_varint(u64::from(self.plain_bytes));
        out.put_u32(self.checksum);
    }

    /// Pages follow each other, so a page begins where the one before ends.
    pub(crate) fn read(cursor: &mut Cursor<'_>, offset: u64) -> Result<Self, Malformed> {
        let size = |cursor: &mut Cursor<'_>| match cursor.varint()? {
            size if size <= u64::from(PAGE_BYTES_MAX) => Ok(size as u32),
            _ => Err(Malformed("a page beyond the largest size")),
        };
        let (stored_bytes, raw_bytes, plain_bytes) = (size(cursor)?, size(cursor)?, size(cursor)?);
        if plain_bytes > stored_bytes.min(raw_bytes) {
            return Err(Malformed("a page of a part larger than itself"));
        }
        Ok(Self {
            offset,
            stored_bytes,
            raw_bytes,
            plain_bytes,
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
    unsynced_bytes: usize,
}

const PENDING_BYTES_MAX: usize = 1 << 20;

/// Bytes that are made durable at once: the journal's next record waits behind them on the same disk.
const UNSYNCED_BYTES_MAX: usize = 2 << 20;

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
            unsynced_bytes: 0,
        })
    }

    /// Writes a page that is all packed.
    pub(crate) fn write(&mut self, packed: &[u8]) -> io::Result<PageNumber> {
        self.write_parts(packed, &[])
    }

    /// Writes a page of two parts; the packed one is compressed if that makes it smaller.
    pub(crate) fn write_parts(&mut self, packed: &[u8], plain: &[u8]) -> io::Result<PageNumber> {
        let raw_bytes = packed.len() + plain.len();
        if raw_bytes > PAGE_BYTES_MAX as usize {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a page beyond 1 GiB"));
        }
        let start = self.pending.len();
        let compressed = if packed.is_empty() {
            Vec::new()
        } else {
            self.compressor.compress(packed)?
        };
        let is_smaller = compressed.len() < packed.len();
        self.pending
            .extend_from_slice(if is_smaller { &compressed } else { packed });
        self.pending.extend_from_slice(plain);
        let stored = &self.pending[start..];
        let number = self.pages.len() as PageNumber;
        self.pages.push(PageEntry {
            offset: self.offset,
            stored_bytes: stored.len() as u32,
            raw_bytes: raw_bytes as u32,
            plain_bytes: plain.len() as u32,
            checksum: crc32c::crc32c(stored),
        });
        self.offset += stored.len() as u64;
        self.raw_bytes += raw_bytes as u64;
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
        self.unsynced_bytes += self.pending.len();
        self.pending.clear();
        if self.unsynced_bytes >= UNSYNCED_BYTES_MAX {
            self.file.sync()?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }
}

/// A page in memory.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    bytes: Arc<[u8]>,
    packed_bytes: usize,
}

impl Page {
    /// What was packed, and what was plain.
    pub(crate) fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at(self.packed_bytes)
    }
}

impl Deref for Page {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Pages lately read, of all segments, bounded by their bytes.
pub(crate) type PageCache = Cache<(u64, PageNumber), Page, PageWeight>;

/// Weighs a page by its bytes.
#[derive(Clone, Debug)]
pub(crate) struct PageWeight;

impl Weighter<(u64, PageNumber), Page> for PageWeight {
    fn weight(&self, _: &(u64, PageNumber), page: &Page) -> u64 {
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

    /// Memory that the places of pages take, bytes.
    pub(crate) fn table_bytes(&self) -> u64 {
        (self.pages.len() * size_of::<PageEntry>()) as u64
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
    pub(crate) fn page(&self, number: PageNumber) -> Result<Page, StorageError> {
        if let Some(page) = self.cache.get(&(self.segment, number)) {
            return Ok(page);
        }
        let bytes = self.page_uncached(number)?;
        let entry = &self.pages[number as usize];
        let page = Page {
            packed_bytes: bytes.len() - entry.plain_bytes as usize,
            bytes: bytes.into(),
        };
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
        let (packed, plain) = stored.split_at((entry.stored_bytes - entry.plain_bytes) as usize);
        let packed_bytes = (entry.raw_bytes - entry.plain_bytes) as usize;
        let mut raw =
            zstd::bulk::decompress(packed, packed_bytes).map_err(|error| self.corrupt(number, error))?;
        if raw.len() != packed_bytes {
            return Err(self.corrupt(number, "its length is wrong"));
        }
        raw.extend_from_slice(plain);
        Ok(raw)
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
    is_plain: bool,
}

impl Packer {
    /// For pieces that cannot be compressed.
    pub(crate) fn plain() -> Self {
        Self {
            buffer: Vec::new(),
            is_plain: true,
        }
    }

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
            let (packed, plain): (&[u8], &[u8]) = if self.is_plain {
                (&[], &self.buffer)
            } else {
                (&self.buffer, &[])
            };
            pages.write_parts(packed, plain)?;
            self.buffer.clear();
        }
        Ok(())
    }
}
