//! Reads a segment. Cheap to open; what a question needs is read by pages.
//!
//! In memory for as long as the segment is open: the footer (some bytes a page), a filter of 18 bits a trace
//! that says which traces it cannot hold, its services, and its stragglers. Shapes and pages come through bounded
//! caches. Every error names the file.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Span;
use parking_lot::Mutex;
use storage::StorageError;
use storage::text::TextPart;
use storage_journal::DiskFile;
use xorf::{BinaryFuse16, Filter};

use crate::config::Limits;
use crate::format::{Footer, Run, Section};
use crate::hour_sums::{HourSumsCache, hour_sums_cache};
use crate::names::Names;
use crate::page::{ListRef, PageCache, PageNumber, PageReader, page_cache};
use crate::postings::{page_of, read_service, read_shape};
use crate::profiles::{ProfilesCache, profiles_cache};
use crate::rollup::{MinuteLinks, read_links};
use crate::row::TraceFrame;
use crate::row::chapter::{chapter_of, trace_at};
use crate::row::decode::{Tables, decode};
use crate::rows::TraceRows;
use crate::shape::ShapeNumber;
use crate::shape_cache::{ShapeCache, Shapes, read_dictionary, read_place, read_shapes, shape_cache};
use crate::sketches::{SketchesCache, sketches_cache};
use crate::splits::Splits;
use crate::term::Term;
use crate::term_pages::find_term;
use crate::text::{TextCache, TextIndex, TextMatch, matching_symbols, text_cache};
use crate::trace_pages::{id_term, read_entries};
use crate::trace_set::TraceSet;
use crate::trace_table::{ENTRIES_PER_PAGE, Ordinal, TraceBounds, TraceEntry};
use storage_record::bytes::{Cursor, Malformed};

/// What segments share.
#[derive(Clone, Debug)]
pub(crate) struct Caches {
    /// How many segments were opened so far.
    pub(crate) opened: Arc<AtomicU64>,
    pub(crate) pages: Arc<PageCache>,
    pub(crate) shapes: Arc<ShapeCache>,
    pub(crate) texts: Arc<TextCache>,
    pub(crate) profiles: Arc<ProfilesCache>,
    pub(crate) sketches: Arc<SketchesCache>,
    pub(crate) hour_sums: Arc<HourSumsCache>,
}

impl Caches {
    /// Empty ones.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            opened: Arc::default(),
            pages: Arc::new(page_cache(limits.page_cache_bytes_max)),
            shapes: Arc::new(shape_cache(limits.shape_cache_bytes_max)),
            texts: Arc::new(text_cache(limits.text_cache_bytes_max)),
            profiles: Arc::new(profiles_cache(limits.profiles_cache_bytes_max)),
            sketches: Arc::new(sketches_cache(limits.sketches_cache_bytes_max)),
            hour_sums: Arc::new(hour_sums_cache(limits.hour_sums_cache_bytes_max)),
        }
    }
}

/// One open segment.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    number: u64,
    order: u64,
    pages: Arc<PageReader>,
    footer: Footer,
    /// One trace in 65,000 is said to be here though it is not: with a filter of 8 bits, one in 256, and a fifth of
    /// all traces of the head would have to be read whole to search fifty segments.
    filter: Option<BinaryFuse16>,
    /// Until they are asked for: a view gathers those of all segments and keeps them.
    names: Mutex<Option<Names>>,
    services: HashMap<String, ListRef>,
    stragglers: Vec<u64>,
    /// What is known of its traces that are in other segments, too; see `splits.rs`.
    pub(crate) splits: Mutex<Arc<Splits>>,
    raw_bytes: u64,
    shapes: Arc<ShapeCache>,
    texts: Arc<TextCache>,
    profiles: Arc<ProfilesCache>,
    sketches: Arc<SketchesCache>,
    hour_sums: Arc<HourSumsCache>,
}

mod profiles;
mod times;

type Result<T> = std::result::Result<T, StorageError>;

impl SegmentReader {
    /// Opens a segment; `name` is its file's, `number` tells it apart in the caches.
    pub(crate) fn open(file: Box<dyn DiskFile>, name: &str, number: u64, caches: &Caches) -> Result<Self> {
        let mut reader = Self::open_footer(file, name, number, caches)?;
        let mut ids = reader.all_ids()?;
        ids.sort_unstable();
        ids.dedup();
        // Only a segment without traces has no filter; construction fails on repeated keys, which are gone.
        reader.filter = BinaryFuse16::try_from(&ids).ok();
        let (names, services) = reader.read_names()?;
        reader.names = Mutex::new(Some(names));
        reader.services = services;
        reader.load_stragglers()?;
        Ok(reader)
    }

    /// Opens a segment of which only the footer need be whole: traces are read by their ordinals and nothing is found,
    /// there are no names and no stragglers.
    pub(crate) fn open_footer(
        file: Box<dyn DiskFile>,
        name: &str,
        number: u64,
        caches: &Caches,
    ) -> Result<Self> {
        let footer = Footer::read(file.as_ref(), name)?;
        Ok(Self::with_footer(footer, file, name, number, caches))
    }

    /// As [`SegmentReader::open_footer`], with a footer that was read already.
    pub(crate) fn with_footer(
        mut footer: Footer,
        file: Box<dyn DiskFile>,
        name: &str,
        number: u64,
        caches: &Caches,
    ) -> Self {
        let entries = std::mem::take(&mut footer.pages);
        let pages = PageReader::new(file, name.to_owned(), number, entries, caches.pages.clone());
        let raw_bytes = pages.raw_bytes();
        Self {
            number,
            order: caches.opened.fetch_add(1, Ordering::Relaxed),
            pages: Arc::new(pages),
            footer,
            filter: None,
            names: Mutex::default(),
            services: HashMap::new(),
            stragglers: Vec::new(),
            splits: Mutex::default(),
            raw_bytes,
            shapes: caches.shapes.clone(),
            texts: caches.texts.clone(),
            profiles: caches.profiles.clone(),
            sketches: caches.sketches.clone(),
            hour_sums: caches.hour_sums.clone(),
        }
    }

    /// How many pages it has.
    pub(crate) fn page_count(&self) -> PageNumber {
        self.pages.count()
    }

    /// Reads a page, past the cache, and checks it.
    pub(crate) fn check_page(&self, number: PageNumber) -> Result<()> {
        self.pages.page_uncached(number).map(drop)
    }

    /// What a page belongs to: `spans`, or the name of a section.
    pub(crate) fn section_of(&self, number: PageNumber) -> &'static str {
        let holds = |section: &&(Section, &str)| {
            let run = self.footer.section(section.0);
            (run.first..run.first.saturating_add(run.count)).contains(&number)
        };
        Section::ALL
            .iter()
            .find(holds)
            .map_or("spans", |section| section.1)
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Segments come into views in this order, ascending. Not by their numbers: joining takes one long before it ends,
    /// and segments are sealed meanwhile.
    pub(crate) fn order(&self) -> u64 {
        self.order
    }

    pub(crate) fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Its names; from memory the first time, then from its file.
    pub(crate) fn names(&self) -> Result<Names> {
        let first = self.names.lock().take();
        first.map_or_else(|| Ok(self.read_names()?.0), Ok)
    }

    /// Low identifiers of traces that were elsewhere already when this segment was written.
    pub(crate) fn stragglers(&self) -> &[u64] {
        &self.stragglers
    }

    /// Bytes of all it holds, not compressed.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// What takes how many bytes in the file: `spans`, each section by its name, and `frame`, which is the rest.
    pub(crate) fn sections(&self) -> Vec<(&'static str, u64)> {
        let all = Run {
            first: 0,
            count: self.pages.count(),
        };
        let mut spans = self.pages.stored_bytes(all);
        let mut sections = vec![("spans", 0)];
        for (section, name) in Section::ALL {
            let bytes = self.pages.stored_bytes(self.footer.section(section));
            spans -= bytes;
            sections.push((name, bytes));
        }
        sections[0].1 = spans;
        sections.push(("frame", self.footer.frame_bytes));
        sections
    }

    /// Memory it takes for as long as it is open, bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        /// A service, its name, and where its list is.
        const SERVICE_BYTES: usize = 96;
        let footer = &self.footer;
        let filter = self.filter.as_ref().map_or(0, |filter| filter.len() * 2);
        let firsts = (footer.first_ids.len() + footer.first_terms.len()) * size_of::<u64>();
        let bounds = footer.bounds.len() * size_of::<TraceBounds>();
        let stragglers = self.stragglers.len() * size_of::<u64>();
        let splits = self.splits.lock().bytes();
        let services = self.services.len() * SERVICE_BYTES;
        (filter + firsts + bounds + stragglers + splits + services) as u64 + self.pages.table_bytes()
    }

    /// False only if it certainly has no span of the trace.
    pub(crate) fn may_hold(&self, low: u64) -> bool {
        self.footer.summary.traces != 0 && self.filter.as_ref().is_none_or(|filter| filter.contains(&low))
    }

    /// The ordinal of a trace.
    pub(crate) fn find(&self, low: u64) -> Result<Option<Ordinal>> {
        Ok(self.find_entry(low)?.map(|(ordinal, _)| ordinal))
    }

    /// The ordinal of a trace, and what is known of it without its spans.
    pub(crate) fn find_entry(&self, low: u64) -> Result<Option<(Ordinal, TraceEntry)>> {
        if !self.may_hold(low) {
            return Ok(None);
        }
        let mut candidates = Vec::new();
        let (run, firsts) = (self.footer.section(Section::Ids), &self.footer.first_ids);
        self.find_in_terms(run, firsts, id_term(low), |ordinal| {
            candidates.push(ordinal);
            Ok(())
        })?;
        for ordinal in candidates {
            let entry = self.entry(ordinal)?;
            if entry.low == low {
                return Ok(Some((ordinal, entry)));
            }
        }
        Ok(None)
    }

    /// What is known of a trace without its spans.
    pub(crate) fn entry(&self, ordinal: Ordinal) -> Result<TraceEntry> {
        let number = self.page_of_entry(ordinal)?;
        let page = self.pages.page(number)?;
        let mut last = TraceEntry::default();
        let visit = |entry| {
            last = entry;
            Ok(())
        };
        read_entries(&page, ordinal % ENTRIES_PER_PAGE + 1, visit)
            .map_err(|error| self.pages.corrupt(number, error))?;
        Ok(last)
    }

    fn page_of_entry(&self, ordinal: Ordinal) -> Result<PageNumber> {
        let run = self.footer.section(Section::Traces);
        let index = ordinal / ENTRIES_PER_PAGE;
        if ordinal < self.footer.summary.traces && index < run.count {
            Ok(run.first + index)
        } else {
            Err(self.pages.corrupt(run.first, "a trace beyond the table"))
        }
    }

    /// Entries of all traces in order, page by page.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<TraceEntry>> {
        (0..self.footer.bounds.len() as u32).flat_map(move |page| match self.entries_of_page(page) {
            Ok(entries) => entries.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// Those of `chosen` that are in a page of the trace table.
    pub(crate) fn entries_chosen(&self, page: u32, chosen: &TraceSet) -> Result<Vec<TraceEntry>> {
        let first = page * ENTRIES_PER_PAGE;
        let number = self.page_of_entry(first)?;
        let page = self.pages.page(number)?;
        let count = ENTRIES_PER_PAGE.min(self.footer.summary.traces - first);
        let (mut entries, mut ordinal) = (Vec::new(), first);
        let visit = |entry| {
            if chosen.contains(ordinal) {
                entries.push(entry);
            }
            ordinal += 1;
            Ok(())
        };
        read_entries(&page, count, visit).map_err(|error| self.pages.corrupt(number, error))?;
        Ok(entries)
    }

    /// The entries of a page of the trace table.
    pub(crate) fn entries_of_page(&self, page: u32) -> Result<Vec<TraceEntry>> {
        let all = TraceSet::all(self.footer.summary.traces);
        self.entries_chosen(page, &all)
    }

    /// How many spans it has of a trace, by its low identifier.
    pub(crate) fn span_count(&self, low: u64) -> Result<u64> {
        match self.find(low)? {
            Some(ordinal) => Ok(u64::from(self.entry(ordinal)?.span_count)),
            None => Ok(0),
        }
    }

    /// The spans of a trace.
    pub(crate) fn spans(&self, entry: &TraceEntry) -> Result<Vec<Span>> {
        let mut rows = TraceRows::default();
        let shapes = self.rows(entry, &mut rows)?;
        rows.to_spans(&shapes.table)
            .map_err(|error| self.pages.corrupt(entry.spans.page, error))
    }

    /// Appends the rows of a trace; gives the shapes they are of.
    pub(crate) fn rows(&self, entry: &TraceEntry, rows: &mut TraceRows) -> Result<Arc<Shapes>> {
        let shapes = self.shapes()?;
        self.rows_with(&shapes, entry, rows)?;
        Ok(shapes)
    }

    /// Appends the rows of a trace, which are of `shapes`, this segment's.
    pub(crate) fn rows_with(&self, shapes: &Shapes, entry: &TraceEntry, rows: &mut TraceRows) -> Result<()> {
        let page = self.pages.page(entry.spans.page)?;
        let frame = TraceFrame {
            low: entry.low,
            base: entry.times.first,
        };
        let mut read = || {
            let codes = chapter_of(&shapes.chapters, entry.spans.page)
                .and_then(|chapter| shapes.codes.get(chapter))
                .ok_or(Malformed("a page of no chapter"))?;
            let tables = Tables {
                shapes: &shapes.table,
                dictionary: &shapes.dictionary,
                codes,
            };
            decode(trace_at(&page, entry.spans.offset)?, tables, frame, rows)
        };
        read().map_err(|error| self.pages.corrupt(entry.spans.page, error))
    }

    /// Says that the rows of a trace are not what was written.
    pub(crate) fn corrupt_spans(&self, entry: &TraceEntry, error: Malformed) -> StorageError {
        self.pages.corrupt(entry.spans.page, error)
    }

    /// The spans of a trace by its low identifier; nothing where it is not here.
    pub(crate) fn spans_of(&self, low: u64) -> Result<Vec<Span>> {
        match self.find(low)? {
            Some(ordinal) => self.spans(&self.entry(ordinal)?),
            None => Ok(Vec::new()),
        }
    }

    /// The segment's shapes, through the cache.
    pub(crate) fn shapes(&self) -> Result<Arc<Shapes>> {
        if let Some(shapes) = self.shapes.get(&self.number) {
            return Ok(shapes);
        }
        let number = self.footer.section(Section::Shapes).first;
        let page = self.pages.page_uncached(number)?;
        let mut shapes = read_shapes(&page).map_err(|error| self.pages.corrupt(number, error))?;
        let number = self.footer.section(Section::Dictionary).first;
        let page = self.pages.page_uncached(number)?;
        read_dictionary(&page, &mut shapes).map_err(|error| self.pages.corrupt(number, error))?;
        let shapes = Arc::new(shapes);
        self.shapes.insert(self.number, shapes.clone());
        Ok(shapes)
    }

    /// Adds the traces that have a span of a shape.
    pub(crate) fn add_shape(&self, shapes: &Shapes, shape: ShapeNumber, found: &mut TraceSet) -> Result<()> {
        match shapes.lists.get(shape as usize).copied().flatten() {
            None => Ok(()),
            Some(list) => self.read_list(list, |cursor| {
                read_shape(cursor, self.footer.summary.traces, |ordinal| {
                    found.insert(ordinal)
                })
            }),
        }
    }

    /// Adds the traces that have a span local to a service, of a duration of class `least` or more.
    pub(crate) fn add_service(&self, service: &str, least: u8, found: &mut TraceSet) -> Result<()> {
        match self.services.get(service) {
            None => Ok(()),
            Some(&list) => self.read_list(list, |cursor| {
                let traces = self.footer.summary.traces;
                read_service(cursor, traces, least, |ordinal| found.insert(ordinal))
            }),
        }
    }

    /// Whether a service has a list.
    pub(crate) fn has_service(&self, service: &str) -> bool {
        self.services.contains_key(service)
    }

    /// Services that have a list.
    pub(crate) fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// Adds the traces that may have a term.
    pub(crate) fn add_term(&self, term: Term, found: &mut TraceSet) -> Result<()> {
        let (run, firsts) = (self.footer.section(Section::Terms), &self.footer.first_terms);
        self.find_in_terms(run, firsts, term, |ordinal| found.insert(ordinal))
    }

    fn find_in_terms(
        &self,
        run: Run,
        firsts: &[Term],
        term: Term,
        visit: impl FnMut(Ordinal) -> std::result::Result<(), Malformed>,
    ) -> Result<()> {
        let Some(number) = page_of(firsts, run, term) else {
            return Ok(());
        };
        let page = self.pages.page(number)?;
        find_term(&page, self.footer.summary.traces, term, visit)
            .map_err(|error| self.pages.corrupt(number, error))
    }

    /// What may meet a condition of text: exactly the strings of `shapes` that do, and the traces with a value that
    /// may. A damaged text index is done without.
    pub(crate) fn find_text(&self, part: &TextPart, shapes: &Shapes) -> Result<TextMatch> {
        let strings = &shapes.table.strings;
        let add_term = |term, found: &mut TraceSet| self.add_term(term, found);
        let found = self.text_index().and_then(|index| {
            index
                .map(|index| index.find(part, strings, self.footer.summary.traces, add_term))
                .transpose()
        });
        match found {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(StorageError::Corrupt(reason)) => {
                tracing::warn!(
                    reason,
                    "a text index is damaged; its segment is searched without it"
                );
            }
            Err(error) => return Err(error),
        }
        Ok(TextMatch {
            symbols: matching_symbols(part, strings, 1),
            values: TraceSet::all(self.footer.summary.traces),
        })
    }

    /// Whether its text index can be opened, where it has one: a search does without one that cannot.
    pub(crate) fn check_text(&self) -> Result<()> {
        self.text_index().map(drop)
    }

    /// The segment's text index, through the cache.
    fn text_index(&self) -> Result<Option<Arc<TextIndex>>> {
        if let Some(index) = self.texts.get(&self.number) {
            return Ok(Some(index));
        }
        let index = TextIndex::open(&self.pages, self.footer.section(Section::Text))?.map(Arc::new);
        if let Some(index) = &index {
            self.texts.insert(self.number, index.clone());
        }
        Ok(index)
    }

    /// Links by minute.
    pub(crate) fn links(&self) -> Result<Vec<MinuteLinks>> {
        let number = self.footer.section(Section::Links).first;
        let page = self.pages.page(number)?;
        read_links(&page).map_err(|error| self.pages.corrupt(number, error))
    }

    /// Reads everything: the first that is not what was written is the error.
    pub(crate) fn verify(&self) -> Result<()> {
        self.pages.verify()?;
        for ordinal in 0..self.footer.summary.traces {
            let entry = self.entry(ordinal)?;
            let spans = self.spans(&entry)?;
            if spans.len() != entry.span_count as usize || self.find(entry.low)? != Some(ordinal) {
                return Err(self
                    .pages
                    .corrupt(entry.spans.page, "a trace is not what the trace table says"));
            }
        }
        self.links()?;
        self.text_index()?;
        self.verify_profiles()?;
        self.read_sketches().map(|_| ())
    }

    fn read_list<T>(
        &self,
        list: ListRef,
        read: impl FnOnce(&mut Cursor<'_>) -> std::result::Result<T, Malformed>,
    ) -> Result<T> {
        let page = self.pages.page(list.page)?;
        let bytes = page.get(list.offset as usize..).unwrap_or_default();
        read(&mut Cursor::new(bytes)).map_err(|error| self.pages.corrupt(list.page, error))
    }

    fn all_ids(&self) -> Result<Vec<u64>> {
        let run = self.footer.section(Section::Traces);
        let mut left = self.footer.summary.traces;
        let mut ids = Vec::new();
        for number in run.first..run.first.saturating_add(run.count) {
            let page = self.pages.page_uncached(number)?;
            let count = left.min(ENTRIES_PER_PAGE);
            let visit = |entry: TraceEntry| {
                ids.push(entry.low);
                Ok(())
            };
            read_entries(&page, count, visit).map_err(|error| self.pages.corrupt(number, error))?;
            left -= count;
        }
        Ok(ids)
    }

    fn read_names(&self) -> Result<(Names, HashMap<String, ListRef>)> {
        let number = self.footer.section(Section::Names).first;
        let page = self.pages.page_uncached(number)?;
        let mut cursor = Cursor::new(&page);
        let read = |cursor: &mut Cursor<'_>| {
            let names = Names::read(cursor)?;
            let mut services = HashMap::new();
            for _ in 0..cursor.count(3)? {
                let service = cursor.text()?.to_owned();
                services.insert(
                    service,
                    read_place(cursor)?.ok_or(Malformed("a service without a list"))?,
                );
            }
            Ok((names, services))
        };
        read(&mut cursor).map_err(|error: Malformed| self.pages.corrupt(number, error))
    }

    fn load_stragglers(&mut self) -> Result<()> {
        self.stragglers = self.read_stragglers()?;
        Ok(())
    }

    /// See [`SegmentReader::stragglers`]; from the file.
    pub(crate) fn read_stragglers(&self) -> Result<Vec<u64>> {
        let number: PageNumber = self.footer.section(Section::Stragglers).first;
        let page = self.pages.page_uncached(number)?;
        let (lows, _) = page.as_chunks::<8>();
        Ok(lows.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }
}
