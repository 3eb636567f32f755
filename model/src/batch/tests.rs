//! What comes out of a batch is normalised as Zipkin does, whatever went in.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn draft() -> SpanDraft {
    SpanDraft {
        trace_id: TraceId::new(0, 1),
        id: Some(SpanId::new(2)),
        ..SpanDraft::default()
    }
}

#[test]
fn normalises_as_zipkin_does() {
    let mut batch = SpanBatch::new();
    let name = batch.add_text("GET /Über");
    let draft = SpanDraft {
        parent_id: Some(SpanId::new(2)),
        kind: Some(Kind::Client),
        name,
        timestamp: -1,
        duration: 0,
        shared: true,
        ..draft()
    };
    batch.finish(&draft).unwrap();
    let span = batch.get(0);
    assert_eq!(span.name(), Some("get /über"));
    assert_eq!(
        (span.parent_id(), span.timestamp(), span.duration()),
        (None, None, None)
    );
    assert!(!span.shared());
    assert_eq!(span.local_endpoint(), None);
}

#[test]
fn the_last_of_equal_tag_keys_wins_and_tags_are_sorted() {
    let mut batch = SpanBatch::new();
    for (key, value) in [("b", "1"), ("a", "1"), ("b", "2"), ("", ""), ("b", "3")] {
        let tag = (batch.add_text(key), batch.add_text(value));
        batch.push_tag(tag.0, tag.1);
    }
    batch.finish(&draft()).unwrap();
    assert_eq!(
        batch.get(0).tags().collect::<Vec<_>>(),
        [("", ""), ("a", "1"), ("b", "3")]
    );
}

/// The tags that a batch makes of keys pushed in this order, each with its place as value.
fn tags_of(keys: &[&str]) -> Vec<(String, String)> {
    let mut batch = SpanBatch::new();
    for (place, key) in keys.iter().enumerate() {
        let tag = (batch.add_text(key), batch.add_text(&place.to_string()));
        batch.push_tag(tag.0, tag.1);
    }
    batch.finish(&draft()).unwrap();
    batch.get(0).to_span().tags.into_iter().collect()
}

proptest! {
    #[test]
    fn tags_are_those_of_a_sorted_map(keys in prop::collection::vec("[ab\0é]{0,3}|http\\.[a-c]{1,4}", 0..6)) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let expected: BTreeMap<_, _> = keys
            .iter()
            .enumerate()
            .map(|(place, key)| (key.to_string(), place.to_string()))
            .collect();
        prop_assert_eq!(tags_of(&keys), expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn names_are_in_lower_case(name in "[a-zA-Z@\\[`{ÄäÅ]{0,20}") {
        let mut batch = SpanBatch::new();
        let name_text = batch.add_text(&name);
        batch.finish(&SpanDraft { name: name_text, ..draft() }).unwrap();
        let lower = name.to_lowercase();
        prop_assert_eq!(batch.get(0).name(), (!lower.is_empty()).then_some(lower.as_str()));
    }
}

#[test]
fn annotations_are_sorted_and_distinct() {
    let mut batch = SpanBatch::new();
    for (timestamp, value) in [(2, "b"), (1, "z"), (2, "a"), (2, "b")] {
        let value = batch.add_text(value);
        batch.push_annotation(timestamp, value);
    }
    batch.finish(&draft()).unwrap();
    let read: Vec<_> = batch
        .get(0)
        .annotations()
        .map(|a| (a.timestamp, a.value))
        .collect();
    assert_eq!(read, [(1, "z"), (2, "a"), (2, "b")]);
}

#[test]
fn a_span_without_identifiers_leaves_nothing_behind() {
    let mut batch = SpanBatch::new();
    let key = batch.add_text("lost");
    batch.push_tag(key, key);
    let missing = SpanDraft { id: None, ..draft() };
    assert_eq!(batch.finish(&missing), Err(SpanError::MissingId));
    assert_eq!(
        batch.finish(&SpanDraft {
            trace_id: None,
            ..draft()
        }),
        Err(SpanError::MissingTraceId)
    );
    assert_eq!(batch.finish(&SpanDraft::default()), Err(SpanError::MissingIds));
    batch.finish(&draft()).unwrap();
    assert_eq!(batch.len(), 1);
    assert_eq!(batch.get(0).tags().len(), 0);
}

#[test]
fn a_full_batch_takes_no_span_and_says_so() {
    let mut batch = SpanBatch::new();
    batch.set_spans_max(1);
    batch.finish(&draft()).unwrap();
    assert!(!batch.overflowed());
    let key = batch.add_text("lost");
    batch.push_tag(key, key);
    assert_eq!(batch.finish(&draft()), Err(SpanError::TooMany(1)));
    assert_eq!((batch.len(), batch.overflowed()), (1, true));
    batch.clear();
    assert!(batch.overflowed());
    batch.set_spans_max(2);
    batch.finish(&draft()).unwrap();
    batch.finish(&draft()).unwrap();
    assert_eq!((batch.overflowed(), batch.get(1).tags().len()), (false, 0));
}

#[test]
fn a_normalised_span_needs_no_normalising() {
    let mut first = SpanBatch::new();
    for (key, value) in [("b", "1"), ("a", "2")] {
        let tag = (first.add_text(key), first.add_text(value));
        first.push_tag(tag.0, tag.1);
    }
    let name = first.add_text("GET");
    let draft = SpanDraft {
        name,
        timestamp: 7,
        ..draft()
    };
    first.finish(&draft).unwrap();
    let span = first.get(0).to_span();

    let mut second = SpanBatch::new();
    for (key, value) in &span.tags {
        let tag = (second.add_text(key), second.add_text(value));
        second.push_tag(tag.0, tag.1);
    }
    let name = second.add_text(span.name.as_deref().unwrap());
    second.finish_normalised(&SpanDraft { name, ..draft }).unwrap();
    second.finish_normalised(&SpanDraft { name, ..draft }).unwrap();
    assert_eq!(second.get(0).to_span(), span);
    assert_eq!(
        second.get(1).tags().len(),
        0,
        "tags belong to the span they were pushed for"
    );
    assert_eq!(
        second.finish_normalised(&SpanDraft::default()),
        Err(SpanError::MissingIds)
    );
}

#[test]
fn owned_spans_survive_the_batch() {
    let mut batch = SpanBatch::new();
    let tag = (batch.add_text("k"), batch.add_text("v"));
    batch.push_tag(tag.0, tag.1);
    let local_endpoint = EndpointDraft {
        service_name: batch.add_text("Web"),
        port: 80,
        ..Default::default()
    };
    batch
        .finish(&SpanDraft {
            local_endpoint,
            timestamp: 5,
            ..draft()
        })
        .unwrap();
    let span = batch.get(0).to_span();
    assert_eq!(span.local_service_name(), Some("web"));
    let mut again = SpanBatch::new();
    again.push_span(&span);
    assert_eq!(again.get(0).to_span(), span);
    assert_eq!(again.get(0).to_span().tag("k"), Some("v"));
}
