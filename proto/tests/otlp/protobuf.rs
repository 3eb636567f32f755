//! What protobuf allows beyond what one encoder writes.

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;
use proto::{OtlpEncoding, Rejected};

use crate::requests::{bare_span, decode, resource, scope, tags};

/// A message of which only the first field is known, as bytes.
#[derive(PartialEq, Message)]
struct Outer {
    #[prost(bytes = "vec", tag = "1")]
    first: Vec<u8>,
    #[prost(string, tag = "99")]
    unknown: String,
}

#[test]
fn fields_come_in_any_order_and_unknown_ones_are_passed_over() {
    let spans = ScopeSpans {
        spans: vec![bare_span()],
        ..ScopeSpans::default()
    };
    let about = ScopeSpans {
        scope: Some(scope("lib", "1")),
        ..ScopeSpans::default()
    };
    // The fields of one message may be written one after the other in any order.
    let scope_spans = [spans.encode_to_vec(), about.encode_to_vec()].concat();
    let mut resource_spans = vec![2 << 3 | 2, scope_spans.len() as u8];
    resource_spans.extend(scope_spans);
    let about = ResourceSpans {
        resource: Some(resource(&[("service.name", "late"), ("k", "v")])),
        ..ResourceSpans::default()
    };
    resource_spans.extend(about.encode_to_vec());
    let unknown = Outer {
        first: Vec::new(),
        unknown: "from the future".to_owned(),
    };
    resource_spans.extend(unknown.encode_to_vec());
    let body = Outer {
        first: resource_spans,
        unknown: "too".to_owned(),
    };
    let (read, rejected) = decode(OtlpEncoding::Protobuf, &body.encode_to_vec()).unwrap();
    assert_eq!(rejected, Rejected::default());
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].local_service_name(), Some("late"));
    assert_eq!(
        tags(&read[0]),
        ["k=v", "otel.scope.name=lib", "otel.scope.version=1"]
    );
}

#[test]
fn text_that_is_not_utf_8_is_replaced_and_not_refused() {
    let mut span = bare_span().encode_to_vec();
    span.extend([5 << 3 | 2, 3, b'a', 0xff, b'b']);
    let mut scope_spans = vec![2 << 3 | 2, span.len() as u8];
    scope_spans.extend(span);
    let mut resource_spans = vec![2 << 3 | 2, scope_spans.len() as u8];
    resource_spans.extend(scope_spans);
    let body = Outer {
        first: resource_spans,
        unknown: String::new(),
    };
    let (read, _) = decode(OtlpEncoding::Protobuf, &body.encode_to_vec()).unwrap();
    assert_eq!(read[0].name.as_deref(), Some("a\u{fffd}b"));
}
