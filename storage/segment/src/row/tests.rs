//! Traces go through [`encode`](super::encode) and [`decode`](super::decode) and come back.

use model::{Kind, Span, SpanId};
use proptest::prelude::*;

use super::codes::{Counts, Decoder, Encoder};
use super::decode::{Tables, TraceBytes, decode};
use super::dictionary::Dictionary;
use super::encode::RowEncoder;
use super::{Streams, TraceFrame, class_of, class_start};
use crate::bits::BitWriter;
use crate::fields::Fields;
use crate::registry::Registry;
use crate::rows::TraceRows;
use crate::shape::{GENERIC, ShapeTable};
use crate::testing::{arbitrary_spans, span};
use storage_record::bytes::{Cursor, Malformed};

/// A trace that was written.
struct Written {
    registry: Registry,
    frame: TraceFrame,
    symbols: Vec<u8>,
    bits: Vec<u8>,
    text: Vec<u8>,
    dictionary: Vec<u8>,
    codes: Vec<u8>,
}

impl Written {
    /// All spans get the low identifier of the first.
    fn of(spans: &[Span], is_generic: bool) -> Self {
        let (mut registry, mut rows) = (Registry::default(), TraceRows::default());
        for span in spans {
            let fields = Fields::of_span(span);
            let number = if is_generic {
                GENERIC
            } else {
                registry.insert(&fields)
            };
            rows.push_fields(&fields, number, registry.table().get(number).unwrap());
        }
        let frame = TraceFrame {
            low: spans[0].trace_id.low(),
            base: spans.iter().filter_map(|span| span.timestamp).min().unwrap_or(0),
        };
        let (mut encoder, mut streams) = (RowEncoder::default(), Streams::default());
        encoder
            .encode(&rows, registry.table(), frame, &mut streams)
            .unwrap();
        let mut counts = Counts::new();
        for symbol in &streams.symbols {
            counts.add((symbol >> 8) as u8, *symbol as u8);
        }
        let encoder_of_symbols = Encoder::new(&counts);
        let mut symbols = BitWriter::default();
        for symbol in &streams.symbols {
            encoder_of_symbols.write((symbol >> 8) as u8, *symbol as u8, &mut symbols);
        }
        symbols.align();
        streams.bits.align();
        let (mut dictionary, mut codes) = (Vec::new(), Vec::new());
        encoder.dictionary().put(&mut dictionary);
        encoder_of_symbols.put(&mut codes);
        Self {
            registry,
            frame,
            symbols: symbols.bytes().to_vec(),
            bits: streams.bits.bytes().to_vec(),
            text: streams.text,
            dictionary,
            codes,
        }
    }

    fn table(&self) -> &ShapeTable {
        self.registry.table()
    }

    fn read(&self) -> Result<Vec<Span>, Malformed> {
        let dictionary = Dictionary::read(&mut Cursor::new(&self.dictionary), self.table())?;
        let codes = Decoder::read(&mut Cursor::new(&self.codes))?;
        let tables = Tables {
            shapes: self.table(),
            dictionary: &dictionary,
            codes: &codes,
        };
        let bytes = TraceBytes {
            symbols: &self.symbols,
            bits: &self.bits,
            text: &self.text,
        };
        let mut rows = TraceRows::default();
        decode(bytes, tables, self.frame, &mut rows)?;
        rows.to_spans(self.table())
    }
}

fn trace(most: usize) -> impl Strategy<Value = Vec<Span>> {
    let value = prop_oneof![
        "[a-z]{1,3}-[0-9]{1,6}",
        "/api/v1/[a-z]{2}/[0-9]{3,6}",
        "10[.]0[.]0[.][0-9]{1,3}:[0-9]{4}",
        "[0-9a-f]{16}",
        ".{0,20}",
    ];
    (arbitrary_spans(most), prop::collection::vec(value, 1..4)).prop_map(|(mut spans, values)| {
        let low = spans[0].trace_id;
        for (index, span) in spans.iter_mut().enumerate() {
            if span.trace_id.low() != low.low() {
                span.trace_id = low;
            }
            for (tag, value) in span.tags.iter_mut().zip(values.iter().cycle().skip(index)) {
                tag.1.clone_from(value);
            }
        }
        spans
    })
}

proptest! {
    #[test]
    fn traces_come_back(spans in trace(40), is_generic in prop::bool::weighted(0.2)) {
        prop_assert_eq!(Written::of(&spans, is_generic).read(), Ok(spans));
    }

    #[test]
    fn damage_never_panics(
        spans in trace(8), is_generic in any::<bool>(), stream in 0..5, at in any::<prop::sample::Index>(),
        value in any::<u8>(), is_cut in any::<bool>(),
    ) {
        let mut written = Written::of(&spans, is_generic);
        let bytes = match stream {
            0 => &mut written.symbols,
            1 => &mut written.bits,
            2 => &mut written.text,
            3 => &mut written.dictionary,
            _ => &mut written.codes,
        };
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = value;
            if is_cut {
                bytes.truncate(at);
            }
        }
        if let Ok(read) = written.read() {
            prop_assert!(read.len() <= written.symbols.len() * 8);
        }
    }

    #[test]
    fn numbers_are_their_class_and_the_bits_below(value in any::<u64>(), bits in 0u32..64) {
        let value = value >> bits;
        let (class, bits) = class_of(value);
        let (start, same) = class_start(class).unwrap();
        prop_assert_eq!(bits, same);
        prop_assert_eq!(start | value & ((1 << bits) - 1), value);
    }
}

#[test]
fn what_rows_before_tell_costs_next_to_nothing() {
    let once = |count: u64| {
        let spans: Vec<Span> = (0..count)
            .map(|id| {
                let mut span = span(1, id + 1, 1000 + id);
                span.tags[0].1 = "/users/123456/carts/987654".to_owned();
                span.parent_id = (id > 0).then(|| SpanId::new(id));
                span.local_endpoint.as_mut().unwrap().port = 8080;
                span
            })
            .collect();
        let written = Written::of(&spans, false);
        assert_eq!(written.read().unwrap(), spans);
        (written.symbols.len() + written.bits.len() + written.text.len()) as u64
    };
    // Beside the identifier: shape, addresses, times and the value, which are always the same, a bit or two each.
    assert!(once(200) - once(100) < 100 * (8 + 3), "{}", once(200) - once(100));
}

#[test]
fn a_server_that_shares_its_span_is_told_by_the_client() {
    let client = span(1, 7, 1000);
    let server = Span {
        kind: Some(Kind::Server),
        shared: true,
        ..span(1, 7, 1010)
    };
    let elsewhere = Span {
        parent_id: Some(SpanId::new(9)),
        ..server.clone()
    };
    let parent = Span {
        shared: false,
        ..span(1, 5, 1020)
    };
    let [late_client, late_server] = [&client, &server].map(|span| Span {
        parent_id: Some(parent.id),
        ..span.clone()
    });
    for spans in [
        vec![client.clone(), server],
        vec![client, elsewhere],
        vec![late_client, late_server, parent],
    ] {
        let written = Written::of(&spans, false);
        assert_eq!(written.read().unwrap(), spans);
    }
}
