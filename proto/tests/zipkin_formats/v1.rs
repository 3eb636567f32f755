//! v1 in both of its formats: what it can express survives the way there and back, and no span of it grows on
//! the way.

use model::{Annotation, Kind, Span, SpanBatch};
use proptest::prelude::*;
use proto::Format;
use serde_json::json;

use crate::spans::any_span;

fn decode(format: Format, body: &[u8]) -> SpanBatch {
    let mut batch = SpanBatch::new();
    proto::decode(format, body, &mut batch).expect("spans");
    batch
}

fn owned(batch: &SpanBatch) -> Vec<Span> {
    batch.iter().map(|span| span.to_span()).collect()
}

/// The nearest span that v1 can express. It can not when
/// - there is a duration without a timestamp, or a kind without a timestamp or a local endpoint: the kind is
///   what an annotation says, and that needs a time and a host;
/// - a span that is not a server's is shared;
/// - a server's caller is of the same service: it loses its name;
/// - the sum of timestamp and duration does not fit 63 bits;
/// - annotations or tags have reserved names.
fn expressible(mut span: Span) -> Span {
    let small = |microseconds: u64| (microseconds >> 1).max(1);
    span.timestamp = span.timestamp.map(small);
    span.duration = span.duration.filter(|_| span.timestamp.is_some()).map(small);
    span.kind = span
        .kind
        .filter(|_| span.timestamp.is_some() && span.local_endpoint.is_some());
    span.shared = span.shared && span.kind == Some(Kind::Server);
    if let (Some(Kind::Server), Some(local), Some(remote)) =
        (span.kind, &span.local_endpoint, &mut span.remote_endpoint)
        && local.service_name == remote.service_name
    {
        remote.service_name = Some(format!(
            "caller of {}",
            local.service_name.as_deref().unwrap_or_default()
        ));
    }
    let is_core = |value: &str| ["cs", "cr", "sr", "ss", "ms", "ws", "wr", "mr"].contains(&value);
    span.annotations.retain(|annotation| !is_core(&annotation.value));
    span.tags.retain(|(key, value)| {
        let is_local_component = key == "lc" && value.is_empty();
        !is_local_component && !["sa", "ca", "ma"].contains(&key.as_str())
    });
    span
}

proptest! {
    #[test]
    fn what_v1_can_express_survives_it(spans in proptest::collection::vec(any_span().prop_map(expressible), 0..4)) {
        for format in [Format::JsonV1, Format::Thrift] {
            let read = owned(&decode(format, &proto::encode(format, &spans)));
            prop_assert_eq!(&read, &spans, "{:?}", format);
        }
    }

    /// Whatever v1 makes of a span, it makes the same of that.
    #[test]
    fn both_formats_say_the_same_of_any_span(span in any_span()) {
        let spans = std::slice::from_ref(&span);
        let json = owned(&decode(Format::JsonV1, &proto::encode(Format::JsonV1, spans)));
        let thrift = owned(&decode(Format::Thrift, &proto::encode(Format::Thrift, spans)));
        prop_assert_eq!(json, thrift);
    }

    #[test]
    fn damage_is_survived(spans in proptest::collection::vec(any_span(), 1..3), at: prop::sample::Index, byte: u8) {
        for format in [Format::JsonV1, Format::Thrift, Format::Proto3] {
            let mut body = proto::encode(format, &spans);
            let at = at.index(body.len());
            body[at] = byte;
            let mut batch = SpanBatch::new();
            if proto::decode(format, &body, &mut batch).is_err() {
                prop_assert!(batch.is_empty());
            }
            prop_assert!(batch.text_bytes() <= 4 * body.len());
        }
    }
}

#[test]
fn one_span_of_many_hosts_does_not_multiply() {
    const HOSTS: usize = 20_000;
    let annotations: Vec<_> = (0..HOSTS)
        .map(|host| json!({ "timestamp": 1, "value": "x", "endpoint": { "serviceName": format!("host{host}") } }))
        .collect();
    let name = "LONG".repeat(10_000);
    let body = json!([{ "traceId": "1", "id": "2", "name": name, "annotations": annotations }]).to_string();
    let batch = decode(Format::JsonV1, body.as_bytes());
    assert_eq!(batch.len(), HOSTS);
    assert_eq!(batch.get(HOSTS - 1).name(), Some(name.to_lowercase().as_str()));
    assert!(
        batch.text_bytes() <= 3 * body.len(),
        "{} bytes of {}",
        batch.text_bytes(),
        body.len()
    );
}

#[test]
fn a_thrift_span_may_stand_alone() {
    let read = decode(Format::JsonV2, br#"[{"traceId":"1","id":"2","name":"alone"}]"#);
    let span = Span {
        annotations: vec![Annotation {
            timestamp: 3,
            value: "x".to_owned(),
        }],
        ..owned(&read)[0].clone()
    };
    let list = proto::encode(Format::Thrift, std::slice::from_ref(&span));
    // A list begins with the type of its elements and their number.
    let alone = &list[5..];
    let mut batch = SpanBatch::new();
    proto::decode_thrift_span(alone, &mut batch).expect("a span");
    assert_eq!(owned(&batch), [span]);
    let error = proto::decode_thrift_span(&alone[..8], &mut batch).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Truncated: length 8 > bytes available 5 reading Span from TBinary"
    );
    assert!(batch.is_empty());
}
