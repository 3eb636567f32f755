//! Postings: which traces of a segment have what, one list of ordinals a shape, a service and a term.
//!
//! Lists are ascending ordinals (`ordinals.rs`); those of terms are in pages of their own (`term_pages.rs`). They are
//! made in memory while a segment is written, and read one list at a time afterwards.

use std::io;

use crate::bits::{BitReader, BitWriter};
use crate::format::Run;
use crate::ordinals;
use crate::page::{ListRef, Packer, PageWriter};
use crate::shape::ShapeNumber;
use crate::strings::{Strings, Symbol};
use crate::term::{TERM_BITS, Term};
use crate::term_pages;
use crate::trace_table::Ordinal;
use storage_record::bytes::{Cursor, Malformed, Put};

/// A duration as one of four classes an octave: 0 for none, ascending. What a service's list keeps of the
/// longest span of a trace, so that `minDuration` need not read traces that are too fast.
pub(crate) fn duration_class(duration: Option<u64>) -> u8 {
    let Some(duration) = duration.filter(|&duration| duration > 0) else {
        return 0;
    };
    let octave = 63 - duration.leading_zeros();
    let quarter = if octave >= 2 {
        duration >> (octave - 2) & 3
    } else {
        duration << (2 - octave) & 3
    };
    (1 + octave * 4 + quarter as u32).min(255) as u8
}

/// The number of a service while its list is made; the least is of spans without one.
pub(crate) type ServiceNumber = u32;

/// Collects what the traces of a segment have. Traces come in the order of their ordinals.
#[derive(Debug)]
pub(crate) struct PostingsBuilder {
    /// Shapes, each with the trace in the low half; some more than once.
    shapes: Vec<u64>,
    /// Terms, each with the trace in the low bits.
    terms: Vec<u64>,
    service_names: Strings,
    /// Per service its traces in order, each with the class of its longest span.
    services: Vec<Vec<(Ordinal, u8)>>,
}

/// Bits of an ordinal beside a term: a segment has fewer traces.
const ORDINAL_BITS: u32 = 64 - TERM_BITS;

impl Default for PostingsBuilder {
    fn default() -> Self {
        Self {
            shapes: Vec::new(),
            terms: Vec::new(),
            service_names: Strings::default(),
            services: vec![Vec::new()],
        }
    }
}

impl PostingsBuilder {
    /// Traces it can hold.
    pub(crate) const TRACES_MAX: usize = 1 << ORDINAL_BITS;

    pub(crate) fn note_shape(&mut self, number: ShapeNumber, trace: Ordinal) {
        self.shapes.push(u64::from(number) << 32 | u64::from(trace));
    }

    pub(crate) fn note_term(&mut self, term: Term, trace: Ordinal) {
        self.terms.push(term << ORDINAL_BITS | u64::from(trace));
    }

    /// The number of a service's list.
    pub(crate) fn service(&mut self, name: Option<&str>) -> ServiceNumber {
        let number = self.service_names.insert_option(name).0;
        if number as usize >= self.services.len() {
            self.services.resize_with(number as usize + 1, Vec::new);
        }
        number
    }

    /// `service` MUST be from [`PostingsBuilder::service`].
    pub(crate) fn note_service(&mut self, service: ServiceNumber, trace: Ordinal, duration: Option<u64>) {
        let class = duration_class(duration);
        let list = &mut self.services[service as usize];
        match list.last_mut() {
            Some(last) if last.0 == trace => last.1 = last.1.max(class),
            _ => list.push((trace, class)),
        }
    }

    /// Writes the lists of shapes; gives where each shape's list is (`None` where it has no trace).
    pub(crate) fn write_shapes(
        &mut self,
        shapes: usize,
        traces: u32,
        pages: &mut PageWriter,
    ) -> io::Result<Vec<Option<ListRef>>> {
        let mut places = vec![None; shapes];
        let mut packer = Packer::plain();
        let mut pairs = std::mem::take(&mut self.shapes);
        radsort::sort(&mut pairs);
        pairs.dedup();
        for list in pairs.chunk_by(|a, b| a >> 32 == b >> 32) {
            let place = &mut places[(list[0] >> 32) as usize];
            *place = Some(packer.add(pages, |out| {
                out.put_varint(list.len() as u64);
                put_ordinals(traces, list.len(), list.iter().map(|&pair| pair as Ordinal), out);
            })?);
        }
        packer.flush(pages)?;
        Ok(places)
    }

    /// Writes the lists of services; gives where each service's list is.
    pub(crate) fn write_services(
        &mut self,
        traces: u32,
        pages: &mut PageWriter,
    ) -> io::Result<Vec<(String, ListRef)>> {
        let mut packer = Packer::default();
        let mut places = Vec::with_capacity(self.services.len());
        let names = std::mem::take(&mut self.service_names);
        let lists = std::mem::take(&mut self.services);
        let mut lists: Vec<_> = (0..).map(|number| names.get(Symbol(number))).zip(lists).collect();
        lists.sort_unstable_by_key(|list| list.0);
        for (service, list) in lists.into_iter().filter(|list| !list.1.is_empty()) {
            let place = packer.add(pages, |out| {
                out.put_varint(list.len() as u64);
                out.extend(list.iter().map(|entry| entry.1));
                put_ordinals(traces, list.len(), list.iter().map(|entry| entry.0), out);
            })?;
            places.push((service.to_owned(), place));
        }
        packer.flush(pages)?;
        Ok(places)
    }

    /// Writes the terms; gives the least term that each page may have.
    pub(crate) fn write_terms(&mut self, traces: u32, pages: &mut PageWriter) -> io::Result<Vec<Term>> {
        let pair = |pair: u64| {
            (
                pair >> ORDINAL_BITS,
                (pair & ((1 << ORDINAL_BITS) - 1)) as Ordinal,
            )
        };
        let terms = std::mem::take(&mut self.terms);
        term_pages::write_terms(terms.into_iter().map(pair), traces, pages)
    }
}

fn put_ordinals(traces: u32, count: usize, ordinals: impl Iterator<Item = Ordinal>, out: &mut Vec<u8>) {
    let mut bits = BitWriter::default();
    ordinals::put_ordinals(traces, count as u32, ordinals, &mut bits);
    bits.align();
    out.extend_from_slice(bits.bytes());
}

/// Reads the list of a shape, in a segment of so many traces.
pub(crate) fn read_shape(
    cursor: &mut Cursor<'_>,
    traces: u32,
    visit: impl FnMut(Ordinal) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let count = read_count(cursor)?;
    let mut reader = BitReader::new(cursor.take(cursor.remaining())?);
    ordinals::read_ordinals(traces, count, &mut reader, visit)
}

/// Reads a service's list: its traces whose longest span is of class `least` or more.
pub(crate) fn read_service(
    cursor: &mut Cursor<'_>,
    traces: u32,
    least: u8,
    mut visit: impl FnMut(Ordinal) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let count = read_count(cursor)?;
    let mut classes = cursor.take(count as usize)?.iter();
    let mut reader = BitReader::new(cursor.take(cursor.remaining())?);
    ordinals::read_ordinals(traces, count, &mut reader, |ordinal| {
        if classes.next().is_some_and(|&class| class >= least) {
            visit(ordinal)
        } else {
            Ok(())
        }
    })
}

fn read_count(cursor: &mut Cursor<'_>) -> Result<u32, Malformed> {
    u32::try_from(cursor.varint()?).map_err(|_| Malformed("a count beyond 32 bits"))
}

/// Which page of a run may hold `key`, given the first key of every page.
pub(crate) fn page_of(firsts: &[u64], run: Run, key: u64) -> Option<u32> {
    let after = firsts.partition_point(|&first| first <= key);
    let index = after.checked_sub(1)?;
    if (index as u32) < run.count {
        Some(run.first + index as u32)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn classes_ascend_with_durations(a in any::<u64>(), b in any::<u64>()) {
            let (less, more) = (a.min(b), a.max(b));
            prop_assert!(duration_class(Some(less)) <= duration_class(Some(more)));
            prop_assert!(duration_class(None) <= duration_class(Some(less)));
        }
    }

    #[test]
    fn classes_tell_a_quarter_of_an_octave_apart() {
        assert_eq!(duration_class(Some(1)), 1);
        assert!(duration_class(Some(1000)) < duration_class(Some(1300)));
        assert_eq!(duration_class(Some(u64::MAX)), 255);
    }
}
