//! proto3 against itself and against prost, in both directions.

use model::{Span, SpanBatch};
use proptest::prelude::*;
use prost::Message;
use proto::Format;

use crate::prost_messages::{self, ListOfSpans};
use crate::spans::any_span;

fn decode(body: &[u8]) -> Vec<Span> {
    let mut batch = SpanBatch::new();
    proto::decode(Format::Proto3, body, &mut batch).expect("spans");
    batch.iter().map(|span| span.to_span()).collect()
}

fn any_spans() -> impl Strategy<Value = Vec<Span>> {
    proptest::collection::vec(any_span(), 0..4)
}

proptest! {
    #[test]
    fn what_is_written_is_read(spans in any_spans()) {
        prop_assert_eq!(decode(&proto::encode(Format::Proto3, &spans)), spans);
    }

    #[test]
    fn what_we_write_prost_reads(spans in any_spans()) {
        let expected = ListOfSpans { spans: spans.iter().map(prost_messages::Span::from).collect() };
        let read = ListOfSpans::decode(proto::encode(Format::Proto3, &spans).as_slice());
        prop_assert_eq!(read, Ok(expected));
    }

    #[test]
    fn what_prost_writes_we_read(spans in any_spans()) {
        let list = ListOfSpans { spans: spans.iter().map(prost_messages::Span::from).collect() };
        prop_assert_eq!(decode(&list.encode_to_vec()), spans);
    }

    /// Whatever happens to a body on its way, prost and we agree on whether its structure is sound, except
    /// that we tolerate text that is not UTF-8 and refuse what is no span.
    #[test]
    fn damage_that_prost_tolerates_is_no_truncation(
        spans in proptest::collection::vec(any_span(), 1..3), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut body = proto::encode(Format::Proto3, &spans);
        let at = at.index(body.len());
        body[at] = byte;
        let outcome = proto::decode(Format::Proto3, &body, &mut SpanBatch::new());
        if let (Ok(_), Err(error)) = (ListOfSpans::decode(body.as_slice()), outcome) {
            prop_assert!(!error.to_string().starts_with("Truncated"), "{error}");
        }
    }
}

#[test]
fn every_prefix_is_refused_or_ends_between_spans() {
    let span = prost_messages::Span {
        trace_id: vec![1; 16],
        id: vec![2; 8],
        tags: [("a".repeat(200), "b".to_owned())].into(),
        ..Default::default()
    };
    let body = ListOfSpans {
        spans: vec![span.clone(), span],
    }
    .encode_to_vec();
    for length in 0..body.len() {
        let outcome = proto::decode(Format::Proto3, &body[..length], &mut SpanBatch::new());
        let whole_spans = length % (body.len() / 2) == 0;
        assert_eq!(outcome.is_ok(), whole_spans, "{length} bytes: {outcome:?}");
    }
}
