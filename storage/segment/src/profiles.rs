//! Profiles of the traces of a segment: a section that says where the time of every trace went, so that versions are
//! compared without reading spans.
//!
//! Each trace is profiled as if it were whole in its segment; those that are not are profiled anew by whoever asks. The
//! profiles lie in the order of the trace table, so many to a page that the page of a trace follows from its ordinal.
//!
//! ```text
//! page    = number of traces, length of the bits in bytes, bits, symbols
//! section = page*, last page
//! last    = u8 version, list of names, list of operations, list of instances, list of calls,
//!           list of (first page of a chapter, from the first of the section; codes)
//! ```

use std::io;
use std::sync::Arc;

use model::{Call, Callee, Kind, OperationNumber, ProfileTable, TraceProfile};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::bits::{BitReader, BitWriter};
use crate::format::Run;
use crate::page::PageWriter;
use crate::profile_codes::{CallList, ProfileDecoder, ProfileEncoder, ProfileFrame};
use crate::row::Streams;
use crate::row::codes::{Counts, Decoder, Encoder};
use crate::trace_table::ENTRIES_PER_PAGE;
use storage_record::bytes::{Cursor, Malformed, Put};
use storage_record::{put_addresses, read_addresses, read_port};

/// Pages of the trace table that one page of profiles is about.
pub(crate) const TABLE_PAGES: u32 = 4;
/// Traces of a page.
pub(crate) const TRACES_PER_PAGE: u32 = TABLE_PAGES * ENTRIES_PER_PAGE;

/// Operations, and instances, that a segment may have; beyond that, they count for their service.
pub(crate) const ENTRIES_MAX: usize = 50_000;

/// A section of another version is not read, as if there were none.
const VERSION: u8 = 1;

/// Symbols that are coded together: of some 300,000 spans, in 8 MiB of memory.
const SYMBOLS_MAX: usize = 4 << 20;

/// Collects the profiles of a segment.
#[derive(Debug)]
pub(crate) struct ProfilesBuilder {
    pub(crate) table: ProfileTable,
    list: CallList,
    encoder: ProfileEncoder,
    streams: Streams,
    /// Of the pages that are not coded yet: traces, where their symbols and where their bits end.
    ends: Vec<(u32, usize, usize)>,
    traces: u32,
    pages: Vec<Vec<u8>>,
    chapters: (u64, Vec<u8>),
}

impl Default for ProfilesBuilder {
    fn default() -> Self {
        Self {
            table: ProfileTable::new(ENTRIES_MAX),
            list: CallList::default(),
            encoder: ProfileEncoder::default(),
            streams: Streams::default(),
            ends: Vec::new(),
            traces: 0,
            pages: Vec::new(),
            chapters: (0, Vec::new()),
        }
    }
}

impl ProfilesBuilder {
    /// Adds the profile of the next trace of the trace table.
    pub(crate) fn add(&mut self, profile: &TraceProfile) {
        let Self {
            table,
            list,
            encoder,
            streams,
            ..
        } = self;
        encoder.encode(profile, table, list, streams);
        self.traces += 1;
        if self.traces == TRACES_PER_PAGE {
            self.end_page();
            if self.streams.symbols.len() >= SYMBOLS_MAX {
                self.end_chapter();
            }
        }
    }

    fn end_page(&mut self) {
        let bits = self.streams.bits.align();
        self.ends.push((self.traces, self.streams.symbols.len(), bits));
        self.traces = 0;
    }

    /// Codes the pages that are not coded yet.
    fn end_chapter(&mut self) {
        let mut counts = Counts::new();
        for symbol in &self.streams.symbols {
            counts.add((symbol >> 8) as u8, *symbol as u8);
        }
        let codes = Encoder::new(&counts);
        self.chapters.0 += 1;
        self.chapters.1.put_varint(self.pages.len() as u64);
        codes.put(&mut self.chapters.1);
        let (mut first_symbol, mut first_bits) = (0, 0);
        for &(traces, symbols_end, bits_end) in &self.ends {
            let mut page = Vec::new();
            let bits = &self.streams.bits.bytes()[first_bits..bits_end];
            page.put_varint(u64::from(traces));
            page.put_varint(bits.len() as u64);
            page.extend_from_slice(bits);
            let mut symbols = BitWriter::default();
            for symbol in &self.streams.symbols[first_symbol..symbols_end] {
                codes.write((symbol >> 8) as u8, *symbol as u8, &mut symbols);
            }
            symbols.align();
            page.extend_from_slice(symbols.bytes());
            self.pages.push(page);
            (first_symbol, first_bits) = (symbols_end, bits_end);
        }
        self.ends.clear();
        self.streams.clear();
    }

    /// Writes the section.
    pub(crate) fn write(self, pages: &mut PageWriter) -> io::Result<Run> {
        let first = pages.page_count();
        let (directory, profiles) = self.into_pages();
        for page in &profiles {
            pages.write_parts(&[], page)?;
        }
        pages.write(&directory)?;
        Ok(Run {
            first,
            count: pages.page_count() - first,
        })
    }

    /// The last page of the section, and those before it.
    pub(crate) fn into_pages(mut self) -> (Vec<u8>, Vec<Vec<u8>>) {
        if self.traces > 0 {
            self.end_page();
        }
        if !self.ends.is_empty() {
            self.end_chapter();
        }
        let mut directory = vec![VERSION];
        put_table(&self.table, &self.list, &mut directory);
        directory.put_varint(self.chapters.0);
        directory.extend_from_slice(&self.chapters.1);
        (directory, self.pages)
    }
}

fn put_table(table: &ProfileTable, list: &CallList, out: &mut Vec<u8>) {
    // Number 0 of everything is nothing, and not written.
    out.put_varint(table.names().len() as u64 - 1);
    table.names()[1..].iter().for_each(|name| out.put_text(name));
    out.put_varint(table.operations().len() as u64 - 1);
    for operation in &table.operations()[1..] {
        out.put_varint(u64::from(operation.service));
        out.put_varint(u64::from(operation.span_name));
        out.push(operation.kind.map_or(0, |kind| kind as u8));
    }
    out.put_varint(table.instances().len() as u64 - 1);
    for instance in &table.instances()[1..] {
        out.put_varint(u64::from(instance.service));
        out.put_varint(u64::from(instance.version));
        put_addresses(instance.ip, 0, out);
        out.put_varint(u64::from(instance.port));
    }
    out.put_varint(list.calls().len() as u64);
    for call in list.calls() {
        out.put_varint(call.caller.map_or(0, |caller| u64::from(caller) + 1));
        out.put_varint(u64::from(call.operation));
        let callee = match call.callee {
            Callee::None => 0,
            Callee::Instrumented(callee) => 1 + 2 * u64::from(callee),
            Callee::Uninstrumented(callee) => 2 + 2 * u64::from(callee),
        };
        out.put_varint(callee);
    }
}

/// What is needed to read the pages of a section.
#[derive(Debug)]
pub(crate) struct ProfilesDirectory {
    pub(crate) table: ProfileTable,
    list: CallList,
    /// The first page of each chapter, from the first of the section.
    firsts: Vec<u32>,
    codes: Vec<Decoder>,
    bytes: u64,
}

/// Directories of sections lately read, by the number of the segment, bounded by their bytes.
pub(crate) type ProfilesCache = Cache<u64, Arc<ProfilesDirectory>, DirectoryWeight>;

/// Weighs a directory by the memory it takes.
#[derive(Clone, Debug)]
pub(crate) struct DirectoryWeight;

impl Weighter<u64, Arc<ProfilesDirectory>> for DirectoryWeight {
    fn weight(&self, _: &u64, directory: &Arc<ProfilesDirectory>) -> u64 {
        directory.bytes()
    }
}

/// A cache of at most `bytes_max`.
pub(crate) fn profiles_cache(bytes_max: u64) -> ProfilesCache {
    Cache::with_weighter(64, bytes_max, DirectoryWeight)
}

impl ProfilesDirectory {
    /// Reads the last page of a section; `None` if it is of another version.
    pub(crate) fn read(page: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut cursor = Cursor::new(page);
        if cursor.u8()? != VERSION {
            return Ok(None);
        }
        let (table, list) = read_table(&mut cursor)?;
        let (mut firsts, mut codes) = (Vec::new(), Vec::new());
        // Every code takes a byte a context.
        for _ in 0..cursor.count(1 + crate::row::codes::CONTEXTS)? {
            firsts.push(u32::try_from(cursor.varint()?).map_err(|_| BEYOND)?);
            codes.push(Decoder::read(&mut cursor)?);
        }
        // A name, an operation, an instance or a call takes some ten times in a table what it takes when written.
        let tables = 10 * page.len();
        let bytes = tables + codes.iter().map(Decoder::bytes).sum::<usize>();
        Ok(Some(Self {
            table,
            list,
            firsts,
            codes,
            bytes: bytes as u64,
        }))
    }

    /// Memory it takes, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives `visit` the profiles of a page, `number` from the first of the section, of the traces that `frames` has;
    /// their calls are in no order.
    pub(crate) fn visit(
        &self,
        number: u32,
        page: &[u8],
        frames: &[ProfileFrame],
        mut visit: impl FnMut(&TraceProfile),
    ) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(page);
        if cursor.varint()? != frames.len() as u64 {
            return Err(Malformed("another number of traces than the trace table has"));
        }
        let length = cursor.count(1)?;
        let bits = BitReader::new(cursor.take(length)?);
        let symbols = BitReader::new(cursor.take(cursor.remaining())?);
        let chapter = self
            .firsts
            .partition_point(|&first| first <= number)
            .checked_sub(1);
        let codes = chapter
            .and_then(|chapter| self.codes.get(chapter))
            .ok_or(Malformed("a page of no chapter"))?;
        let mut decoder = ProfileDecoder::new(codes, bits, symbols, &self.table, &self.list);
        for &frame in frames {
            let profile = decoder.next(frame)?;
            visit(&profile);
            decoder.reuse(profile);
        }
        Ok(())
    }
}

const BEYOND: Malformed = Malformed("a number beyond what it may be");

fn read_table(cursor: &mut Cursor<'_>) -> Result<(ProfileTable, CallList), Malformed> {
    let mut names = vec![String::new()];
    for _ in 0..cursor.count(1)? {
        names.push(cursor.text()?.to_owned());
    }
    let name = |cursor: &mut Cursor<'_>| {
        let number = usize::try_from(cursor.varint()?).map_err(|_| BEYOND)?;
        names.get(number).map(String::as_str).ok_or(BEYOND)
    };
    // What is written was bounded.
    let mut table = ProfileTable::new(usize::MAX / 2);
    for expected in 1..=cursor.count(3)? {
        let (service, span_name) = (name(cursor)?, name(cursor)?);
        let kind = Kind::from_number(u64::from(cursor.u8()?));
        if table.operation(service, span_name, kind) as usize != expected {
            return Err(Malformed("an operation twice"));
        }
    }
    for expected in 1..=cursor.count(4)? {
        let (service, version) = (name(cursor)?, name(cursor)?);
        let ((ip, _), port) = (read_addresses(cursor)?, read_port(cursor)?);
        if table.instance(service, version, ip, port) as usize != expected {
            return Err(Malformed("an instance twice"));
        }
    }
    let count = table.operations().len() as u64;
    let operation = |number: u64| -> Result<OperationNumber, Malformed> {
        if number < count {
            Ok(number as OperationNumber)
        } else {
            Err(BEYOND)
        }
    };
    let mut list = CallList::default();
    list.learn(&table);
    for expected in 0..cursor.count(3)? {
        let call = Call {
            caller: match cursor.varint()? {
                0 => None,
                caller => Some(operation(caller - 1)?),
            },
            operation: operation(cursor.varint()?)?,
            callee: match cursor.varint()? {
                0 => Callee::None,
                callee if callee & 1 == 1 => Callee::Instrumented(operation((callee - 1) / 2)?),
                callee => Callee::Uninstrumented(operation((callee - 2) / 2)?),
            },
        };
        if list.number(call) as usize != expected {
            return Err(Malformed("a call twice"));
        }
    }
    Ok((table, list))
}
