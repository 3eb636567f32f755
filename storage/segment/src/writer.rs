//! Writes a segment: traces go in by the order of their first span, an immutable file comes out.
//!
//! Nothing but [`SegmentWriter::finish`] makes a segment. Sealing and compaction both use it, on rows, so there is one
//! way in which a segment comes to be. What a shape says of all its spans is found out once (`segment_shapes.rs`).

use std::io;
use std::sync::Arc;

use storage_journal::DiskFile;

use crate::format::{Footer, MAGIC, Run, Section, Summary};
use crate::names::Names;
use crate::page::{ListRef, PageNumber, PageWriter};
use crate::postings::PostingsBuilder;
use crate::rollup::RollupBuilder;
use crate::row::TraceFrame;
use crate::row::chapter::Chapter;
use crate::row::encode::RowEncoder;
use crate::rows::{RowRef, TraceRows};
use crate::segment_shapes::{Learners, SegmentShapes};
use crate::shape::GENERIC;
use crate::shape_plan::ShapePlan;
use crate::sketch_codes;
use crate::term;
use crate::term_pages::write_terms;
use crate::text::TextBuilder;
use crate::trace_pages::{id_term, put_entries};
use crate::trace_table::{ENTRIES_PER_PAGE, Ordinal, TraceBounds, TraceEntry, TraceTimes};
use storage_record::bytes::{Malformed, Put};

/// What decides what a segment keeps beside spans.
#[derive(Clone, Debug)]
pub(crate) struct WriterOptions {
    /// False: no lists and no names.
    pub(crate) indexed: bool,
    /// False: no text index. Text is searched all the same, by reading spans.
    pub(crate) text_indexed: bool,
    /// Tag keys whose values are kept for completion.
    pub(crate) autocomplete_keys: Arc<[String]>,
    /// Tags that tell the version of a service, the first that a span bears counts.
    pub(crate) version_tags: Arc<[String]>,
}

/// Writes one segment. See the head of this file.
pub(crate) struct SegmentWriter {
    options: WriterOptions,
    pages: PageWriter,
    encoder: RowEncoder,
    chapter: Chapter,
    /// How many chapters are written, then the first page and the codes of each.
    chapters: (u64, Vec<u8>),
    /// Where the traces are that are written.
    places: Vec<ListRef>,
    shapes: SegmentShapes,
    postings: PostingsBuilder,
    text: TextBuilder,
    names: Names,
    rollup: RollupBuilder,
    traces: Vec<TraceEntry>,
    stragglers: Vec<u64>,
    summary: Summary,
}

impl SegmentWriter {
    /// Writes into an empty file. `plan` has the shapes of all rows to come.
    pub(crate) fn new(
        file: Box<dyn DiskFile>,
        options: WriterOptions,
        plan: Arc<ShapePlan>,
    ) -> io::Result<Self> {
        Ok(Self {
            options,
            pages: PageWriter::new(file, MAGIC)?,
            encoder: RowEncoder::default(),
            chapter: Chapter::default(),
            chapters: (0, Vec::new()),
            places: Vec::new(),
            shapes: SegmentShapes::new(plan),
            postings: PostingsBuilder::default(),
            text: TextBuilder::default(),
            names: Names::default(),
            rollup: RollupBuilder::default(),
            traces: Vec::new(),
            stragglers: Vec::new(),
            summary: Summary::default(),
        })
    }

    /// Spans added so far.
    pub(crate) fn spans(&self) -> u64 {
        self.summary.spans
    }

    /// Bytes of rows added so far, not compressed.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.pages.raw_bytes() + self.chapter.bytes() as u64
    }

    /// How often a name was left out because there are too many.
    pub(crate) fn names_left_out(&self) -> u64 {
        self.names.left_out()
    }

    /// Whether it takes no more traces.
    pub(crate) fn is_full(&self) -> bool {
        self.traces.len() >= PostingsBuilder::TRACES_MAX
    }

    /// Adds a trace: all spans with the low identifier `low`, distinct, by time, coded against the plan's
    /// table; leaves them coded against this segment's. MUST be called in the order of [`TraceTimes::first`]. `straggler` says that another segment has
    /// spans of it too.
    pub(crate) fn add_trace(&mut self, low: u64, rows: &mut TraceRows, straggler: bool) -> io::Result<()> {
        let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut learners = Learners {
            options: &self.options,
            names: &mut self.names,
            postings: &mut self.postings,
            rollup: &mut self.rollup,
        };
        self.shapes.recode(rows, &mut learners).map_err(malformed)?;
        let times = TraceTimes::of_rows(rows);
        let frame = TraceFrame {
            low,
            base: times.first,
        };
        self.encoder
            .encode(rows, self.shapes.table(), frame, self.chapter.streams())
            .map_err(malformed)?;
        self.chapter.end_trace();
        let ordinal = self.traces.len() as Ordinal;
        if self.options.indexed && self.options.text_indexed {
            let Self { text, postings, .. } = self;
            for value in rows.iter().flat_map(RowRef::values) {
                text.add(ordinal, value, |term| postings.note_term(term, ordinal));
            }
        }
        let mut errors = 0;
        for row in rows.iter() {
            errors += u32::from(self.note(row, ordinal).map_err(malformed)?);
        }
        self.rollup
            .add_trace(times.timestamp, rows, &self.shapes, &self.options.version_tags)
            .map_err(malformed)?;
        if straggler {
            self.stragglers.push(low);
        }
        let entry = TraceEntry {
            low,
            times,
            span_count: rows.len() as u32,
            error_count: errors,
            // Known when the chapter is written.
            spans: ListRef::default(),
        };
        self.summarise(&entry);
        self.traces.push(entry);
        if self.chapter.is_full() {
            self.end_chapter()?;
        }
        Ok(())
    }

    fn end_chapter(&mut self) -> io::Result<()> {
        if self.chapter.is_empty() {
            return Ok(());
        }
        let (count, bytes) = &mut self.chapters;
        *count += 1;
        bytes.put_varint(u64::from(self.pages.page_count()));
        let codes = self.chapter.write(&mut self.pages, &mut self.places)?;
        codes.put(bytes);
        Ok(())
    }

    /// Notes what a span can be found by; tells whether it failed.
    fn note(&mut self, row: RowRef<'_>, ordinal: Ordinal) -> Result<bool, Malformed> {
        let number = row.head.shape;
        if number == GENERIC {
            return self.note_generic(row, ordinal);
        }
        let facts = self.shapes.facts(number);
        if self.options.indexed {
            let postings = &mut self.postings;
            postings.note_shape(number, ordinal);
            // Spans without a service have a list too: a search without a service must find them.
            postings.note_service(facts.service, ordinal, row.head.duration);
            for (key, value) in facts.term_keys.iter().zip(row.values()) {
                postings.note_term(key.term(value), ordinal);
            }
            for &(key, value) in &facts.completed {
                self.names
                    .note_value(&self.options.autocomplete_keys[key], row.value(value));
            }
        }
        Ok(facts.is_error)
    }

    fn note_generic(&mut self, row: RowRef<'_>, ordinal: Ordinal) -> Result<bool, Malformed> {
        let span = row.span(self.shapes.table())?;
        if self.options.indexed {
            let postings = &mut self.postings;
            postings.note_shape(GENERIC, ordinal);
            let service = postings.service(span.service());
            postings.note_service(service, ordinal, row.head.duration);
            term::terms_of_generic(&span, |term| postings.note_term(term, ordinal));
            self.names
                .note(span.service(), span.name(), span.remote_service());
            for key in self.options.autocomplete_keys.iter() {
                if let Some((_, value)) = span.tags().find(|tag| tag.0 == key.as_str()) {
                    self.names.note_value(key, value);
                }
            }
        }
        Ok(span.tags().any(|(key, _)| key == "error"))
    }

    fn summarise(&mut self, entry: &TraceEntry) {
        let summary = &mut self.summary;
        summary.traces += 1;
        summary.spans += u64::from(entry.span_count);
        if entry.times.first != 0 && (summary.first == 0 || entry.times.first < summary.first) {
            summary.first = entry.times.first;
        }
        summary.last = summary.last.max(entry.times.last);
        summary.duration_max = summary.duration_max.max(entry.times.duration);
        summary.errors_max = summary.errors_max.max(entry.error_count);
    }

    /// Writes the sections and the footer, and makes the file durable; gives its length in bytes.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.end_chapter()?;
        for (entry, place) in self.traces.iter_mut().zip(&self.places) {
            entry.spans = *place;
        }
        let mut footer = Footer::new(self.options.indexed, self.summary);
        let traces = self.summary.traces;

        let start = self.pages.page_count();
        let lists = self
            .postings
            .write_shapes(self.shapes.table().len(), traces, &mut self.pages)?;
        footer.set_section(Section::ShapeLists, self.run_since(start));

        let start = self.pages.page_count();
        let services = self.postings.write_services(traces, &mut self.pages)?;
        footer.set_section(Section::ServiceLists, self.run_since(start));

        let start = self.pages.page_count();
        footer.first_terms = self.postings.write_terms(traces, &mut self.pages)?;
        footer.set_section(Section::Terms, self.run_since(start));

        self.write_traces(&mut footer)?;
        let mut shapes = Vec::new();
        self.shapes.table().put(&mut shapes);
        for list in lists {
            put_place(list, &mut shapes);
        }
        self.write_page(Section::Shapes, &shapes, &mut footer)?;

        let mut dictionary = Vec::new();
        self.encoder.dictionary().put(&mut dictionary);
        dictionary.put_varint(self.chapters.0);
        dictionary.extend_from_slice(&self.chapters.1);
        self.write_page(Section::Dictionary, &dictionary, &mut footer)?;

        let mut names = Vec::new();
        self.names.put(&mut names);
        names.put_varint(services.len() as u64);
        for (service, list) in &services {
            names.put_text(service);
            put_place(Some(*list), &mut names);
        }
        self.write_page(Section::Names, &names, &mut footer)?;

        let (links, sketches) = (self.rollup.links_bytes(), self.rollup.sketches_bytes());
        self.write_page(Section::Links, &links, &mut footer)?;
        let mut packed = Vec::new();
        sketch_codes::pack(&sketches, &mut packed)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.write_page(Section::Sketches, &packed, &mut footer)?;
        let mut stragglers = Vec::new();
        self.stragglers.iter().for_each(|&low| stragglers.put_u64(low));
        self.write_page(Section::Stragglers, &stragglers, &mut footer)?;

        if self.options.indexed && self.options.text_indexed {
            let run = self.text.write(&self.shapes.table().strings, &mut self.pages)?;
            footer.set_section(Section::Text, run);
        }

        let run = self.rollup.write_profiles(&mut self.pages)?;
        footer.set_section(Section::Profiles, run);

        footer.pages = self.pages.pages().to_vec();
        self.pages.finish(&footer.to_bytes())
    }

    fn run_since(&self, first: PageNumber) -> Run {
        Run {
            first,
            count: self.pages.page_count() - first,
        }
    }

    fn write_page(&mut self, section: Section, bytes: &[u8], footer: &mut Footer) -> io::Result<()> {
        let first = self.pages.write(bytes)?;
        footer.set_section(section, Run { first, count: 1 });
        Ok(())
    }

    /// The trace table and the identifiers.
    fn write_traces(&mut self, footer: &mut Footer) -> io::Result<()> {
        let start = self.pages.page_count();
        for entries in self.traces.chunks(ENTRIES_PER_PAGE as usize) {
            let mut page = Vec::new();
            put_entries(entries, &mut page);
            self.pages.write_parts(&[], &page)?;
            footer.bounds.push(TraceBounds::of(entries));
        }
        footer.set_section(Section::Traces, self.run_since(start));

        let ids = self.traces.iter().enumerate();
        let ids = ids.map(|(ordinal, entry)| (id_term(entry.low), ordinal as Ordinal));
        let start = self.pages.page_count();
        footer.first_ids = write_terms(ids, self.summary.traces, &mut self.pages)?;
        footer.set_section(Section::Ids, self.run_since(start));
        Ok(())
    }
}

/// A place as page plus one and offset; nothing as zero.
fn put_place(place: Option<ListRef>, out: &mut Vec<u8>) {
    match place {
        None => out.put_varint(0),
        Some(place) => {
            out.put_varint(u64::from(place.page) + 1);
            out.put_varint(u64::from(place.offset));
        }
    }
}
