//! The text section of a segment: written with the segment, opened when text is first looked for.
//!
//! `FORMAT.md` describes it: lists, the files of the tantivy index, and a last page that says where both are.

use std::io;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use storage::StorageError;
use tantivy::schema::Field;
use tantivy::{Index, InvertedIndexReader, SegmentReader, TantivyError};

use super::TextBuilder;
use super::directory::{PagesDirectory, storage_error};
use super::documents::{self, FIELD};
use crate::format::Run;
use crate::page::{ListRef, PAGE_BYTES, Packer, PageNumber, PageReader, PageWriter};
use crate::strings::Strings;
use crate::trace_set::TraceSet;
use storage_record::bytes::{Cursor, Malformed, Put};

/// Of the section. A section of another version is not read: text is searched without it.
const VERSION: u8 = 1;

impl TextBuilder {
    /// Writes the section of a segment with this dictionary.
    pub(crate) fn write(&self, strings: &Strings, pages: &mut PageWriter) -> io::Result<Run> {
        let first = pages.page_count();
        let mut places = Vec::with_capacity(self.lists().len());
        let mut packer = Packer::default();
        for list in self.lists() {
            places.push(packer.add(pages, |out| list.put(out))?);
        }
        packer.flush(pages)?;

        let documents = documents::index(strings, self.listed()).map_err(io::Error::other)?;
        let first_of_files = pages.page_count();
        let files: Vec<u8> = documents.files.iter().flat_map(|file| &file.1).copied().collect();
        for page in files.chunks(PAGE_BYTES) {
            pages.write(page)?;
        }

        let mut out = vec![VERSION];
        out.put_varint(u64::from(documents.symbols));
        out.put_varint(u64::from(first_of_files - first));
        out.put_varint(documents.files.len() as u64);
        for (name, bytes) in &documents.files {
            out.put_text(name);
            out.put_varint(bytes.len() as u64);
        }
        out.put_varint(places.len() as u64);
        let mut page = first;
        for place in places {
            out.put_varint(u64::from(place.page - page));
            out.put_varint(u64::from(place.offset));
            page = place.page;
        }
        pages.write(&out)?;
        Ok(Run {
            first,
            count: pages.page_count() - first,
        })
    }
}

/// Gives `found` the traces of a list as it is written while it grows: count, differences.
fn read_list(bytes: &[u8], found: &mut TraceSet) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(bytes);
    let mut ordinal = 0u64;
    for _ in 0..cursor.count(1)? {
        ordinal = ordinal.saturating_add(cursor.varint()?);
        found.insert(u32::try_from(ordinal).map_err(|_| Malformed("an ordinal beyond 32 bits"))?)?;
    }
    Ok(())
}

/// Text indexes of segments lately searched, bounded by their bytes.
pub(crate) type TextCache = Cache<u64, Arc<TextIndex>, TextWeight>;

/// Weighs an index by the memory it takes.
#[derive(Clone, Debug)]
pub(crate) struct TextWeight;

impl Weighter<u64, Arc<TextIndex>> for TextWeight {
    fn weight(&self, _: &u64, index: &Arc<TextIndex>) -> u64 {
        index.bytes
    }
}

/// A cache of at most `bytes_max`.
pub(crate) fn text_cache(bytes_max: u64) -> TextCache {
    Cache::with_weighter(64, bytes_max, TextWeight)
}

/// The text index of a segment, open.
pub(crate) struct TextIndex {
    /// Names the segment in errors.
    pages: std::sync::Weak<PageReader>,
    last: PageNumber,
    /// How many symbols are indexed, from 1.
    pub(super) symbols: u32,
    pub(super) words: Arc<InvertedIndexReader>,
    places: Vec<ListRef>,
    bytes: u64,
}

impl std::fmt::Debug for TextIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextIndex")
            .field("symbols", &self.symbols)
            .field("lists", &self.places.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// What the last page of the section says.
struct Header {
    symbols: u32,
    first_of_files: PageNumber,
    files: Vec<(String, usize)>,
    places: Vec<ListRef>,
}

impl TextIndex {
    /// Opens the section in a run of pages; `None` where there is none that can be read by this version.
    pub(crate) fn open(pages: &Arc<PageReader>, run: Run) -> Result<Option<Self>, StorageError> {
        if run.count == 0 {
            return Ok(None);
        }
        let last = run.first + run.count - 1;
        let page = pages.page_uncached(last)?;
        if page.first() != Some(&VERSION) {
            return Ok(None);
        }
        let header = Header::read(&page, run).map_err(|error| pages.corrupt(last, error))?;
        let directory = PagesDirectory::new(pages, header.first_of_files, &header.files);
        let opened = open_words(directory).map_err(|error| match from_tantivy(&error) {
            Some(error) => error,
            None => pages.corrupt(last, format_args!("its text index: {error}")),
        })?;
        let files: usize = header.files.iter().map(|file| file.1).sum();
        Ok(Some(Self {
            pages: Arc::downgrade(pages),
            last,
            symbols: header.symbols,
            words: opened,
            bytes: files as u64 + header.places.len() as u64 * 8 + 4096,
            places: header.places,
        }))
    }

    /// Adds the traces of a list; none where there is no such list.
    pub(super) fn add_list(&self, number: usize, found: &mut TraceSet) -> Result<(), StorageError> {
        let Some(place) = self.places.get(number) else {
            return Ok(());
        };
        let pages = self.reader()?;
        let page = pages.page(place.page)?;
        let bytes = page.get(place.offset as usize..).unwrap_or_default();
        read_list(bytes, found).map_err(|error| pages.corrupt(place.page, error))
    }

    /// What an error of tantivy means: a page that is damaged, or an index that is.
    pub(super) fn error(&self, error: &io::Error) -> StorageError {
        storage_error(error).unwrap_or_else(|| match self.reader() {
            Ok(pages) => pages.corrupt(self.last, format_args!("its text index: {error}")),
            Err(gone) => gone,
        })
    }

    fn reader(&self) -> Result<Arc<PageReader>, StorageError> {
        self.pages
            .upgrade()
            .ok_or_else(|| StorageError::Unavailable("the segment was dropped meanwhile".to_owned()))
    }
}

impl Header {
    fn read(page: &[u8], run: Run) -> Result<Self, Malformed> {
        let small = |cursor: &mut Cursor<'_>| {
            u32::try_from(cursor.varint()?).map_err(|_| Malformed("a figure beyond 32 bits"))
        };
        let in_run = |page: u32| match page {
            page if page < run.count => Ok(run.first + page),
            _ => Err(Malformed("a place beyond the text section")),
        };
        let mut cursor = Cursor::new(page);
        let _version = cursor.u8()?;
        let symbols = small(&mut cursor)?;
        let first_of_files = in_run(small(&mut cursor)?)?;
        let files = (0..cursor.count(2)?)
            .map(|_| Ok((cursor.text()?.to_owned(), small(&mut cursor)? as usize)))
            .collect::<Result<_, Malformed>>()?;
        let mut page = 0u32;
        let places = (0..cursor.count(2)?)
            .map(|_| {
                page = page.saturating_add(small(&mut cursor)?);
                let offset = small(&mut cursor)?;
                Ok(ListRef {
                    page: in_run(page)?,
                    offset,
                })
            })
            .collect::<Result<_, Malformed>>()?;
        Ok(Self {
            symbols,
            first_of_files,
            files,
            places,
        })
    }
}

/// The terms and postings of the one segment of an index.
fn open_words(directory: PagesDirectory) -> tantivy::Result<Arc<InvertedIndexReader>> {
    let index = Index::open(directory)?;
    let field: Field = index.schema().get_field(FIELD)?;
    let segments = index.searchable_segments()?;
    let [segment] = segments.as_slice() else {
        return Err(TantivyError::InternalError("it has not one segment".to_owned()));
    };
    SegmentReader::open(segment)?.inverted_index(field)
}

fn from_tantivy(error: &TantivyError) -> Option<StorageError> {
    use tantivy::directory::error::OpenReadError;
    match error {
        TantivyError::IoError(error) => storage_error(error),
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) => storage_error(io_error),
        _ => None,
    }
}
