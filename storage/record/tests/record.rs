//! A record gives back the spans it was made of, whatever they are, and refuses to be anything else.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use model::{Annotation, Endpoint, IpAddresses, Kind, Span, SpanBatch, SpanId, SpanRef, TraceId};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["", "a", "web", "http.path", "200", "über"]).prop_map(str::to_owned),
        1 => ".{0,12}",
    ]
}

fn endpoint() -> impl Strategy<Value = Option<Endpoint>> {
    let ip = (
        any::<Option<std::net::Ipv4Addr>>(),
        any::<Option<std::net::Ipv6Addr>>(),
    );
    let endpoint =
        (prop::option::of(text()), ip, any::<u16>()).prop_map(|(service_name, (v4, v6), port)| Endpoint {
            service_name,
            ip: IpAddresses { v4, v6 },
            port,
        });
    prop::option::of(endpoint)
}

prop_compose! {
    fn span()(
        ids in (0..2_u64, 1..4_u64, prop::option::of(0..6_u64), 0..6_u64),
        kind in 0..5_u64,
        name in prop::option::of(text()),
        times in (any::<Option<u64>>(), prop::option::of(0..10_000_u64)),
        endpoints in (endpoint(), endpoint()),
        annotations in prop::collection::vec((any::<u64>(), text()), 0..4),
        tags in prop::collection::vec((text(), text()), 0..6),
        flags in any::<(bool, bool)>(),
    ) -> Span {
        Span {
            trace_id: TraceId::new(ids.0, ids.1).unwrap(),
            parent_id: ids.2.map(SpanId::new),
            id: SpanId::new(ids.3),
            kind: Kind::from_number(kind),
            name,
            timestamp: times.0,
            duration: times.1,
            local_endpoint: endpoints.0,
            remote_endpoint: endpoints.1,
            annotations: annotations.into_iter().map(|(timestamp, value)| Annotation { timestamp, value }).collect(),
            tags,
            debug: flags.0,
            shared: flags.1,
        }
    }
}

/// Spans as they are once they have been normalised, which a batch does.
fn batch(most: usize) -> impl Strategy<Value = SpanBatch> {
    prop::collection::vec(span(), 0..=most).prop_map(|spans| {
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span));
        batch
    })
}

fn spans(batch: &SpanBatch) -> Vec<Span> {
    batch.iter().map(SpanRef::to_span).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_gives_back_its_spans(written in batch(12)) {
        let mut read = SpanBatch::new();
        prop_assert_eq!(storage_record::decode(&storage_record::encode(&written), &mut read), Ok(()));
        prop_assert_eq!(spans(&read), spans(&written));
    }

    #[test]
    fn records_are_appended_to_what_is_there(first in batch(4), second in batch(4)) {
        let mut bytes = b"head".to_vec();
        storage_record::encode_to(&second, &mut bytes);
        let mut read = first.clone();
        prop_assert_eq!(storage_record::decode(&bytes[4..], &mut read), Ok(()));
        prop_assert_eq!(spans(&read), [spans(&first), spans(&second)].concat());
    }

    #[test]
    fn a_damaged_record_is_an_error_or_other_spans_but_never_a_panic(
        written in batch(4), at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut record = storage_record::encode(&written);
        let shorter = cut.index(record.len());
        prop_assert!(storage_record::decode(&record[..shorter], &mut SpanBatch::new()).is_err());
        let at = at.index(record.len());
        record[at] = value;
        let _ = storage_record::decode(&record, &mut SpanBatch::new());
    }
}

#[test]
fn repeated_texts_are_stored_once() {
    let record_bytes = |count: usize| {
        let mut batch = SpanBatch::new();
        for id in 1..=count as u64 {
            batch.push_span(&Span {
                trace_id: TraceId::new(1, 1).unwrap(),
                parent_id: None,
                id: SpanId::new(id),
                kind: Some(Kind::Client),
                name: Some("get /cart".to_owned()),
                timestamp: Some(1_600_000_000_000_000),
                duration: Some(1000),
                local_endpoint: None,
                remote_endpoint: None,
                annotations: Vec::new(),
                tags: vec![("k8s.pod.name".to_owned(), "cart-".repeat(10))],
                debug: false,
                shared: false,
            });
        }
        storage_record::encode(&batch).len()
    };
    let (one, hundred) = (record_bytes(1), record_bytes(100));
    assert!(
        hundred < one + 100 * 40,
        "{one} bytes for one span, {hundred} for a hundred"
    );
}

#[test]
fn a_record_of_another_version_is_refused() {
    let mut record = storage_record::encode(&SpanBatch::new());
    record[0] += 1;
    let refused = storage_record::decode(&record, &mut SpanBatch::new()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "malformed: a journal record of an unknown version"
    );
}
