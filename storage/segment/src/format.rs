//! The frame of a segment file: header, sections, footer. `FORMAT.md` describes every byte.
//!
//! ```text
//! file   = magic, page*, footer, footer length u32, footer CRC32C u32, magic
//! footer = version u8, flags u8 (indexed 0), summary, pages, sections, first ids, first terms, bounds
//! ```

use storage::StorageError;
use storage_journal::DiskFile;

use crate::page::{PageEntry, PageNumber, unreadable};
use crate::term::Term;
use crate::trace_table::TraceBounds;
use storage_record::bytes::{Cursor, Malformed, Put};

/// The first and the last bytes of every segment.
pub(crate) const MAGIC: &[u8; 8] = b"TRACEHND";
/// Written into every footer. A reader refuses a greater one, and reads every lesser one.
pub(crate) const VERSION: u8 = 2;

/// Length and checksum of the footer, and the magic.
pub(crate) const TAIL_BYTES: u64 = 16;
/// A footer holds a few bytes a page; this is one of four million pages.
pub(crate) const FOOTER_BYTES_MAX: u32 = 64 << 20;

/// The runs of pages of a segment after its span pages, in the order they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Dictionary, shapes, and where each shape's list of traces is.
    Shapes,
    /// Templates, addresses and codes of the rows.
    Dictionary,
    /// The trace table.
    Traces,
    /// Low identifiers to ordinals, as terms.
    Ids,
    /// For each shape its traces.
    ShapeLists,
    /// For each service its traces and the longest span of each.
    ServiceLists,
    /// (term, traces), sorted by term.
    Terms,
    /// Services, span names, remote services, autocomplete values.
    Names,
    /// Dependency links by minute.
    Links,
    /// Latency sketches by operation, version and minute.
    Sketches,
    /// Traces that were in another segment already when this one was written.
    Stragglers,
    /// Lists of words and an index of the dictionary's words. Not there without a text index.
    Text,
    /// Where the time of every trace went. Not there before version 2.
    Profiles,
}

const SECTIONS: usize = 13;
/// Sections of a footer of version 1.
const SECTIONS_OF_FIRST: usize = 12;

impl Section {
    /// All of them with their names, in the order of the footer.
    pub(crate) const ALL: [(Self, &'static str); SECTIONS] = [
        (Self::Shapes, "shapes"),
        (Self::Dictionary, "dictionary"),
        (Self::Traces, "traces"),
        (Self::Ids, "ids"),
        (Self::ShapeLists, "shape lists"),
        (Self::ServiceLists, "service lists"),
        (Self::Terms, "terms"),
        (Self::Names, "names"),
        (Self::Links, "links"),
        (Self::Sketches, "sketches"),
        (Self::Stragglers, "stragglers"),
        (Self::Text, "text"),
        (Self::Profiles, "profiles"),
    ];
}

/// A run of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: PageNumber,
    pub(crate) count: u32,
}

/// What a segment holds, in figures. Times are microseconds since the epoch, 0 when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) traces: u32,
    pub(crate) spans: u64,
    /// The least and greatest timestamp of a span.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The longest trace, microseconds.
    pub(crate) duration_max: u64,
    /// The most errors of a trace.
    pub(crate) errors_max: u32,
}

/// What is needed to read anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// False for a segment written with search disabled: it has no lists and no names.
    pub(crate) indexed: bool,
    pub(crate) summary: Summary,
    pub(crate) pages: Vec<PageEntry>,
    sections: [Run; SECTIONS],
    /// The least term that every page of [`Section::Ids`] may have.
    pub(crate) first_ids: Vec<u64>,
    /// The least term that every page of [`Section::Terms`] may have.
    pub(crate) first_terms: Vec<Term>,
    /// What the file has beside pages: the footer itself and the magic bytes.
    pub(crate) frame_bytes: u64,
    /// For every page of [`Section::Traces`]: so a search reads those pages that may have what it looks for.
    pub(crate) bounds: Vec<TraceBounds>,
}

impl Footer {
    pub(crate) fn new(indexed: bool, summary: Summary) -> Self {
        Self {
            indexed,
            summary,
            pages: Vec::new(),
            sections: [Run::default(); SECTIONS],
            first_ids: Vec::new(),
            first_terms: Vec::new(),
            frame_bytes: 0,
            bounds: Vec::new(),
        }
    }

    pub(crate) fn section(&self, section: Section) -> Run {
        self.sections[section as usize]
    }

    pub(crate) fn set_section(&mut self, section: Section, run: Run) {
        self.sections[section as usize] = run;
    }

    /// Footer, its length, its checksum and the magic.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.indexed)];
        let summary = &self.summary;
        for number in [
            u64::from(summary.traces),
            summary.spans,
            summary.first,
            summary.last,
            summary.duration_max,
            u64::from(summary.errors_max),
        ] {
            out.put_varint(number);
        }
        out.put_varint(self.pages.len() as u64);
        self.pages.iter().for_each(|page| page.put(&mut out));
        for run in self.sections {
            out.put_varint(u64::from(run.first));
            out.put_varint(u64::from(run.count));
        }
        for firsts in [&self.first_ids, &self.first_terms] {
            out.put_varint(firsts.len() as u64);
            firsts.iter().for_each(|&first| out.put_u64(first));
        }
        self.bounds.iter().for_each(|bounds| bounds.put(&mut out));
        let (length, checksum) = (out.len() as u32, crc32c::crc32c(&out));
        out.put_u32(length);
        out.put_u32(checksum);
        out.extend_from_slice(MAGIC);
        out
    }

    /// Reads and checks the footer of a file; `name` is the file's, for errors.
    pub(crate) fn read(file: &dyn DiskFile, name: &str) -> Result<Self, StorageError> {
        let io = |error: std::io::Error| unreadable(name, &error);
        let corrupt = |what: &dyn std::fmt::Display| StorageError::Corrupt(format!("{name}: {what}"));
        let length = file.len().map_err(io)?;
        let header_bytes = MAGIC.len() as u64;
        if length < header_bytes + TAIL_BYTES {
            return Err(corrupt(&"shorter than the shortest segment"));
        }
        let mut header = [0; 8];
        file.read_exact_at(&mut header, 0).map_err(io)?;
        let mut tail = [0; TAIL_BYTES as usize];
        file.read_exact_at(&mut tail, length - TAIL_BYTES).map_err(io)?;
        let mut cursor = Cursor::new(&tail);
        let read = |cursor: &mut Cursor<'_>| {
            Ok::<_, Malformed>((cursor.u32()?, cursor.u32()?, cursor.array::<8>()?))
        };
        let (footer_bytes, checksum, magic) = read(&mut cursor).map_err(|error| corrupt(&error))?;
        if header != *MAGIC || magic != *MAGIC {
            return Err(corrupt(&"not a segment: its magic bytes are missing"));
        }
        if footer_bytes > FOOTER_BYTES_MAX || u64::from(footer_bytes) > length - header_bytes - TAIL_BYTES {
            return Err(corrupt(&"the length of its footer is wrong"));
        }
        let start = length - TAIL_BYTES - u64::from(footer_bytes);
        let mut footer = vec![0; footer_bytes as usize];
        file.read_exact_at(&mut footer, start).map_err(io)?;
        if crc32c::crc32c(&footer) != checksum {
            return Err(corrupt(&"the checksum of its footer is wrong"));
        }
        if footer.first().is_some_and(|&version| version > VERSION) {
            return Err(corrupt(&format_args!(
                "format version {}; this server reads up to {VERSION}",
                footer[0]
            )));
        }
        let (mut footer, rest) = Self::parse(&footer, header_bytes).map_err(|error| corrupt(&error))?;
        if rest > 0 {
            return Err(corrupt(&"bytes after the end of the footer"));
        }
        footer.frame_bytes = header_bytes + u64::from(footer_bytes) + TAIL_BYTES;
        let end = footer.pages.last().map_or(header_bytes, PageEntry::end);
        if end == start {
            Ok(footer)
        } else {
            Err(corrupt(&"its pages do not end where its footer begins"))
        }
    }

    /// Reads a footer that `bytes` begin with, of a file whose first page is at `offset`; gives how many bytes come
    /// after it.
    pub(crate) fn parse(bytes: &[u8], mut offset: u64) -> Result<(Self, usize), Malformed> {
        let small = |cursor: &mut Cursor<'_>| {
            u32::try_from(cursor.varint()?).map_err(|_| Malformed("a figure beyond 32 bits"))
        };
        let mut cursor = Cursor::new(bytes);
        let sections = if cursor.u8()? == 1 {
            SECTIONS_OF_FIRST
        } else {
            SECTIONS
        };
        let mut footer = Self::new(cursor.u8()? & 1 != 0, Summary::default());
        footer.summary = Summary {
            traces: small(&mut cursor)?,
            spans: cursor.varint()?,
            first: cursor.varint()?,
            last: cursor.varint()?,
            duration_max: cursor.varint()?,
            errors_max: small(&mut cursor)?,
        };
        for _ in 0..cursor.count(7)? {
            let page = PageEntry::read(&mut cursor, offset)?;
            offset = page.end();
            footer.pages.push(page);
        }
        let page_count = footer.pages.len() as u64;
        for run in &mut footer.sections[..sections] {
            let (first, count) = (cursor.varint()?, cursor.varint()?);
            if first.saturating_add(count) > page_count {
                return Err(Malformed("a section beyond the pages"));
            }
            *run = Run {
                first: first as PageNumber,
                count: count as u32,
            };
        }
        for firsts in [&mut footer.first_ids, &mut footer.first_terms] {
            for _ in 0..cursor.count(8)? {
                firsts.push(cursor.u64()?);
            }
        }
        for _ in 0..footer.section(Section::Traces).count {
            footer.bounds.push(TraceBounds::read(&mut cursor)?);
        }
        Ok((footer, cursor.remaining()))
    }
}
