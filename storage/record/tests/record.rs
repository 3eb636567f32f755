//! A record gives back the spans it was made of, whatever they are, and refuses to be anything else.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use model::{
    Annotation, Endpoint, EndpointDraft, EndpointRef, IpAddresses, Kind, Span, SpanBatch, SpanDraft, SpanId,
    SpanRef, TraceId,
};
use proptest::prelude::*;
use storage_record::{NO_TEXT, Numbering, RecordReader, RecordSpan, RecordSpans, SpanHead};

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

/// Spans as they are once they have been normalised, which a batch does. Some come again, with other values.
fn batch(most: usize) -> impl Strategy<Value = SpanBatch> {
    let again = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), text());
    let spans = (
        prop::collection::vec(span(), 0..=most),
        prop::collection::vec(again, 0..=most),
    );
    spans.prop_map(|(mut spans, again)| {
        for (which, tag, value) in again {
            let Some(mut span) = (!spans.is_empty()).then(|| which.get(&spans).clone()) else {
                continue;
            };
            if !span.tags.is_empty() {
                let tag = tag.index(span.tags.len());
                span.tags[tag].1 = value;
            }
            spans.push(span);
        }
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span));
        batch
    })
}

/// One that has nothing else.
fn tagged(id: u64, tags: Vec<(String, String)>) -> Span {
    Span {
        trace_id: TraceId::new(0, 1).unwrap(),
        parent_id: None,
        id: SpanId::new(id),
        kind: None,
        name: None,
        timestamp: None,
        duration: None,
        local_endpoint: None,
        remote_endpoint: None,
        annotations: Vec::new(),
        tags,
        debug: false,
        shared: false,
    }
}

/// What the numbers of a span stand for is the span.
fn check_numbers(span: SpanRef<'_>, batch: &SpanBatch, numbering: &Numbering, index: usize) {
    let text = |number: u32| batch.text(numbering.texts()[number as usize]);
    let optional = |number: u32| (number != NO_TEXT).then(|| text(number));
    let (family, values) = numbering.span(index);
    let family = &numbering.families()[family as usize];
    assert_eq!(
        (family.kind, family.debug, family.shared),
        (span.kind(), span.debug(), span.shared())
    );
    let service =
        |endpoint: Option<EndpointRef<'_>>| endpoint.and_then(|e| e.service_name.map(str::to_owned));
    assert_eq!(
        optional(family.service).map(str::to_owned),
        service(span.local_endpoint())
    );
    assert_eq!(optional(family.name), span.name());
    assert_eq!(
        optional(family.remote_service).map(str::to_owned),
        service(span.remote_endpoint())
    );
    let keys = numbering.keys(family).iter().map(|&key| text(key));
    let mut values = values.iter().map(|&value| text(value));
    let tags: Vec<_> = keys.zip(values.by_ref()).collect();
    assert_eq!(tags, span.tags().collect::<Vec<_>>());
    let annotations: Vec<_> = span.annotations().map(|annotation| annotation.value).collect();
    assert_eq!(values.collect::<Vec<_>>(), annotations);
}

/// The values that are said to be those of the span before of the family are, and the others are not.
fn check_same(numbering: &Numbering, index: usize) {
    let (family, values) = numbering.span(index);
    let before = (0..index).rev().map(|before| numbering.span(before));
    let before = before.into_iter().find(|before| before.0 == family);
    let same = before.map_or(0, |(_, before)| {
        let same = values.iter().zip(before).enumerate().take(64);
        same.fold(0, |bits, (slot, (value, before))| {
            bits | u64::from(value == before) << slot
        })
    });
    assert_eq!(numbering.same(index), same);
}

/// What is read without a batch is what the spans say: by whole runs, and of each row what is asked of it.
fn check_rows(written: &SpanBatch, of_record: RecordSpans<'_>) {
    let address = |draft: &EndpointDraft| (draft.ip, draft.port);
    let mut expected = written.iter();
    for run in of_record.runs() {
        let (mut times, mut end, mut longest) = (Vec::new(), 0, 0);
        let mut rows = of_record.rows(run).iter();
        let visit = |read: RecordSpan<'_, '_>| {
            let (span, row) = (expected.next().unwrap(), rows.next().unwrap());
            let head = SpanHead {
                trace_id: span.trace_id(),
                id: span.id(),
                parent_id: span.parent_id(),
                timestamp: span.timestamp(),
                duration: span.duration(),
                local: address(span.local_draft()),
                remote: address(span.remote_draft()),
            };
            assert_eq!(read.head, head);
            assert_eq!(
                (row.shape, row.timestamp),
                (read.shape, span.timestamp().unwrap_or(0))
            );
            assert_eq!(of_record.local(row), head.local);
            assert_eq!(run.low, span.trace_id().low());
            let family = of_record.family_of(&of_record.shapes()[read.shape as usize]);
            let keys = of_record.numbering().keys(family).iter();
            let values: Vec<&str> = read.values.iter().map(|value| value.text).collect();
            let tags = keys.map(|&key| of_record.text(key)).zip(values.iter().copied());
            assert!(tags.eq(span.tags()));
            let of_annotations = values[family.tags as usize..].iter().copied();
            let annotations = read.annotation_times.iter().copied().zip(of_annotations);
            assert!(annotations.eq(span.annotations().map(|a| (a.timestamp, a.value))));
            for (slot, &value) in values.iter().enumerate() {
                assert_eq!(of_record.value(row, slot), Ok(value));
            }
            times.extend(span.timestamp());
            end = end.max(
                span.timestamp()
                    .map_or(0, |start| start.saturating_add(span.duration().unwrap_or(0))),
            );
            longest = longest.max(span.duration().unwrap_or(0));
            Ok(())
        };
        of_record.read_run(run, visit).unwrap();
        let bound = |time: Option<&u64>| time.copied().unwrap_or(0);
        assert_eq!(run.times, (bound(times.iter().min()), bound(times.iter().max())));
        assert_eq!((run.end, run.longest), (end, longest));
    }
    assert!(expected.next().is_none());
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
    fn numbers_say_what_the_spans_do(written in batch(12)) {
        let numbering = Numbering::of(&written);
        prop_assert_eq!(numbering.len(), written.len());
        for (index, span) in written.iter().enumerate() {
            check_numbers(span, &written, &numbering, index);
            check_same(&numbering, index);
        }
        let mut texts: Vec<&str> = numbering.texts().iter().map(|&text| written.text(text)).collect();
        texts.sort_unstable();
        let all = texts.len();
        texts.dedup();
        prop_assert_eq!(texts.len(), all, "each text has one number");
        prop_assert!(numbering.families().len() <= written.len());
    }

    #[test]
    fn rows_say_what_the_spans_do_whatever_is_open(
        written in batch(12), other in batch(12), open in prop::collection::vec(any::<Option<u64>>(), 0..12),
    ) {
        let numbering = Numbering::of(&written);
        let record = storage_record::encode_numbered(&written, &numbering, &open);
        // Whatever was read before.
        let (mut reader, before) = (RecordReader::default(), storage_record::encode(&other));
        reader.read(&before).unwrap();
        let of_record = reader.read(&record).unwrap();
        prop_assert_eq!(of_record.len(), written.len());
        check_rows(&written, of_record);
        for shape in of_record.shapes() {
            let known = open.get(shape.family as usize).copied().flatten();
            let all = of_record.family_of(shape).all_bits();
            prop_assert!(known.is_none_or(|known| shape.open == known & all));
        }
        let mut read = SpanBatch::new();
        of_record.append_to(&mut read).unwrap();
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
        let mut reader = RecordReader::default();
        if let Ok(of_record) = reader.read(&record) {
            for row in of_record.runs().iter().flat_map(|run| of_record.rows(run)) {
                let _ = (of_record.value(row, 0), of_record.value(row, 70));
            }
        }
    }
}

#[test]
fn repeated_texts_are_stored_once() {
    let record_bytes = |count: usize| {
        let mut batch = SpanBatch::new();
        for id in 1..=count as u64 {
            let tags = vec![("k8s.pod.name".to_owned(), "cart-".repeat(10))];
            batch.push_span(&Span {
                kind: Some(Kind::Client),
                name: Some("get /cart".to_owned()),
                timestamp: Some(1_600_000_000_000_000),
                duration: Some(1000),
                ..tagged(id, tags)
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
    record[0] = 3;
    let refused = storage_record::decode(&record, &mut SpanBatch::new()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "malformed: a journal record of an unknown version"
    );
}

#[test]
fn bytes_behind_the_last_span_are_refused() {
    let mut batch = SpanBatch::new();
    batch.push_span(&tagged(1, Vec::new()));
    let mut record = storage_record::encode(&batch);
    record.push(0);
    let refused = storage_record::decode(&record, &mut SpanBatch::new()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "malformed: other spans than a record says it has"
    );
}

/// Texts of every length around those that are compared in a special way, which differ in one byte.
#[test]
fn texts_that_are_nearly_the_same_have_numbers_of_their_own() {
    let mut texts = std::collections::BTreeSet::new();
    for length in 0..40 {
        let text = "x".repeat(length);
        for at in 0..length {
            let mut other = text.clone();
            other.replace_range(at..=at, "y");
            texts.insert(other);
        }
        texts.insert(text);
    }
    let mut batch = SpanBatch::new();
    let tags = texts
        .iter()
        .enumerate()
        .map(|(number, text)| (format!("k{number:04}"), text.clone()));
    let span = tagged(1, tags.collect());
    batch.push_span(&span);
    let numbering = Numbering::of(&batch);
    check_numbers(batch.get(0), &batch, &numbering, 0);
    assert_eq!(numbering.texts().len(), 2 * texts.len());
    let mut read = SpanBatch::new();
    storage_record::decode(&storage_record::encode(&batch), &mut read).unwrap();
    assert_eq!(spans(&read), [span]);
}

/// There is a bit for the first 64 of them.
#[test]
fn spans_of_many_values_are_read_as_written() {
    let mut batch = SpanBatch::new();
    for (id, changed) in [
        (1, None),
        (2, None),
        (3, Some(0)),
        (4, Some(63)),
        (5, Some(64)),
        (6, None),
        (7, Some(69)),
    ] {
        let value = |tag: usize| format!("{}", if Some(tag) == changed { id } else { 0 });
        let tags = (0..70).map(|tag| (format!("k{tag}"), value(tag)));
        batch.push_span(&tagged(id, tags.collect()));
    }
    let numbering = Numbering::of(&batch);
    (0..batch.len()).for_each(|index| check_same(&numbering, index));
    let mut read = SpanBatch::new();
    storage_record::decode(&storage_record::encode(&batch), &mut read).unwrap();
    assert_eq!(spans(&read), spans(&batch));
}

/// Four values of a tag are part of shapes, a fifth is one too many.
#[test]
fn what_takes_many_forms_is_in_rows() {
    for (values, open) in [(4, 0), (5, 1)] {
        let mut batch = SpanBatch::new();
        for id in 1..=100 {
            let tags = vec![
                ("a".to_owned(), format!("value-{}", id % values)),
                ("b".to_owned(), "same".to_owned()),
            ];
            batch.push_span(&tagged(id, tags));
        }
        let (record, mut reader) = (storage_record::encode(&batch), RecordReader::default());
        let of_record = reader.read(&record).unwrap();
        assert!(of_record.shapes().iter().all(|shape| shape.open == open));
        assert_eq!(of_record.shapes().len(), if open == 0 { 4 } else { 1 });
    }
}

/// What a process says of itself is kept once, also where it is known to vary between processes.
#[test]
fn long_values_that_come_again_are_stored_once() {
    let record_bytes = |values: u64| {
        let mut batch = SpanBatch::new();
        for id in 1..=100 {
            let line = format!("java {} {}", "-Dsome.setting=on ".repeat(100), id % values);
            let tags = vec![
                ("error".to_owned(), id.to_string()),
                ("process.command_line".to_owned(), line),
            ];
            batch.push_span(&tagged(id, tags));
        }
        let numbering = Numbering::of(&batch);
        let record = storage_record::encode_numbered(&batch, &numbering, &[Some(0b11)]);
        let mut read = SpanBatch::new();
        storage_record::decode(&record, &mut read).unwrap();
        assert_eq!(spans(&read), spans(&batch));
        record.len()
    };
    assert!(record_bytes(1) < 10_000, "{} bytes", record_bytes(1));
    assert!(record_bytes(50) > 180_000, "{} bytes", record_bytes(50));
}

/// Spans of one process may share what would not fit into memory as often as they say it.
#[test]
fn a_record_does_not_grow_beyond_its_bound() {
    let mut batch = SpanBatch::new();
    let large = batch.add_text(&"x".repeat(1 << 20));
    let keys: Vec<_> = (0..70).map(|key| batch.add_text(&format!("k{key:02}"))).collect();
    for id in 1..=200 {
        // None of the last has a bit.
        batch.push_tags(keys.iter().map(|&key| (key, large)));
        let draft = SpanDraft {
            trace_id: TraceId::new(0, 1),
            id: Some(SpanId::new(id)),
            ..SpanDraft::default()
        };
        batch.finish_normalised(&draft).unwrap();
    }
    let record = storage_record::encode(&batch);
    let most = storage_record::RECORD_BYTES_MAX as usize;
    assert!(
        (most + 1..most + (16 << 20)).contains(&record.len()),
        "{} bytes",
        record.len()
    );
}

/// Each is whole in one run, and a run ends after some bytes.
#[test]
fn a_large_trace_comes_in_several_runs() {
    let mut batch = SpanBatch::new();
    for id in 1..=5000 {
        batch.push_span(&tagged(id, vec![("text".to_owned(), format!("value-{id}"))]));
    }
    let (record, mut reader) = (storage_record::encode(&batch), RecordReader::default());
    let of_record = reader.read(&record).unwrap();
    check_rows(&batch, of_record);
    let runs = of_record.runs();
    assert!((4..20).contains(&runs.len()), "{} runs", runs.len());
}

/// A record of a few bytes cannot ask for memory by its counts.
#[test]
fn counts_beyond_what_follows_are_refused() {
    // No texts, 2,000 families without tags and of 2,000 annotations each, no shapes.
    let mut record = vec![2, 0, 0xd0, 0x0f];
    for _ in 0..2000 {
        record.extend([0, 0, 0xd0, 0x0f]);
    }
    let refused = storage_record::decode(&record, &mut SpanBatch::new()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "malformed: a count beyond the bytes that follow"
    );
}
