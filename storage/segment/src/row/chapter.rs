//! Chapters: traces that are coded together, with codes made from what they have.
//!
//! While a segment is written, the streams of its traces are gathered until there is enough to know how often each
//! symbol comes. Then the chapter is coded and cut into pages: the text of a page is compressed, symbols and bits are
//! not, as there is nothing left in them to compress. A page is of one chapter.
//!
//! ```text
//! trace = length of its bits in bytes shifted by one, lowest bit: it has text; [where in the text of the page];
//!         bits, symbols; both end with a whole byte
//! ```

use std::io;

use super::Streams;
use super::codes::{Counts, Encoder};
use super::decode::TraceBytes;
use crate::bits::BitWriter;
use crate::page::{ListRef, PAGE_BYTES, Page, PageNumber, PageWriter};
use storage_record::bytes::{Cursor, Malformed, Put};

/// Symbols of a chapter: some 300,000 spans, in 8 MiB of memory.
const SYMBOLS_MAX: usize = 4 << 20;
/// Bytes of bits and text of a chapter.
const BYTES_MAX: usize = 16 << 20;

/// A chapter that is being written.
#[derive(Debug, Default)]
pub(crate) struct Chapter {
    streams: Streams,
    /// Where the streams of each trace end.
    ends: Vec<Ends>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    symbols: usize,
    bits: usize,
    text: usize,
}

impl Chapter {
    /// Where the streams of the next trace go.
    pub(crate) fn streams(&mut self) -> &mut Streams {
        &mut self.streams
    }

    /// Ends a trace.
    pub(crate) fn end_trace(&mut self) {
        let bits = self.streams.bits.align();
        self.ends.push(Ends {
            symbols: self.streams.symbols.len(),
            bits,
            text: self.streams.text.len(),
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.streams.symbols.len() >= SYMBOLS_MAX || self.bytes() >= BYTES_MAX
    }

    /// About the bytes it will take, not compressed.
    pub(crate) fn bytes(&self) -> usize {
        self.streams.symbols.len() / 2 + self.streams.bits.bytes().len() + self.streams.text.len()
    }

    /// Writes all traces into pages and begins again; gives the codes, and puts where each trace is into `places`.
    pub(crate) fn write(&mut self, pages: &mut PageWriter, places: &mut Vec<ListRef>) -> io::Result<Encoder> {
        let mut counts = Counts::new();
        for symbol in &self.streams.symbols {
            counts.add((symbol >> 8) as u8, *symbol as u8);
        }
        let codes = Encoder::new(&counts);
        let (mut text, mut plain, mut symbols) = (Vec::new(), Vec::new(), BitWriter::default());
        let mut start = Ends::default();
        for &end in &self.ends {
            places.push(ListRef {
                page: pages.page_count(),
                offset: plain.len() as u32,
            });
            let has_text = end.text > start.text;
            plain.put_varint(((end.bits - start.bits) as u64) << 1 | u64::from(has_text));
            if has_text {
                plain.put_varint(text.len() as u64);
                text.extend_from_slice(&self.streams.text[start.text..end.text]);
            }
            plain.extend_from_slice(&self.streams.bits.bytes()[start.bits..end.bits]);
            symbols.clear();
            for symbol in &self.streams.symbols[start.symbols..end.symbols] {
                codes.write((symbol >> 8) as u8, *symbol as u8, &mut symbols);
            }
            symbols.align();
            plain.extend_from_slice(symbols.bytes());
            start = end;
            if plain.len() + text.len() >= PAGE_BYTES {
                pages.write_parts(&text, &plain)?;
                text.clear();
                plain.clear();
            }
        }
        if !plain.is_empty() {
            pages.write_parts(&text, &plain)?;
        }
        self.ends.clear();
        self.streams.clear();
        Ok(codes)
    }
}

/// The streams of the trace at `offset` of a page.
///
/// # Errors
/// [`Malformed`] where there is none.
pub(crate) fn trace_at(page: &Page, offset: u32) -> Result<TraceBytes<'_>, Malformed> {
    let (text, plain) = page.parts();
    let plain = plain
        .get(offset as usize..)
        .ok_or(Malformed("a trace beyond its page"))?;
    let mut cursor = Cursor::new(plain);
    let header = cursor.varint()?;
    let text = if header & 1 == 0 {
        &[]
    } else {
        let start = usize::try_from(cursor.varint()?).ok();
        start
            .and_then(|start| text.get(start..))
            .ok_or(Malformed("a text beyond its page"))?
    };
    let length = usize::try_from(header >> 1).map_err(|_| Malformed("bits beyond their page"))?;
    let bits = cursor.take(length)?;
    let symbols = cursor.take(cursor.remaining())?;
    Ok(TraceBytes { symbols, bits, text })
}

/// Which chapter a page is of, given the first page of each.
pub(crate) fn chapter_of(firsts: &[PageNumber], page: PageNumber) -> Option<usize> {
    firsts.partition_point(|&first| first <= page).checked_sub(1)
}
