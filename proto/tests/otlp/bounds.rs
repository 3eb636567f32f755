//! What a sender cannot make of a small request.

use model::SpanBatch;
use opentelemetry_proto::tonic::trace::v1::Span;
use proto::{OtlpEncoding, Wire};

use crate::requests::{attributes, bare_span, decode, json, pair, protobuf, request, resource, text};

const WIRE: Wire = Wire::Otlp {
    encoding: OtlpEncoding::Protobuf,
    resource_prefix: "",
};

#[test]
fn a_long_resource_over_many_spans_is_refused() {
    let long = "x".repeat(100_000);
    let spans = |count| request(Some(resource(&[("k", &long)])), None, vec![bare_span(); count]);
    assert_eq!(
        decode(OtlpEncoding::Protobuf, &protobuf(&spans(60)))
            .unwrap()
            .0
            .len(),
        60
    );
    let refused = decode(OtlpEncoding::Protobuf, &protobuf(&spans(100)))
        .unwrap_err()
        .to_string();
    assert!(
        refused
            .starts_with("Too long: 1 attributes of a resource and its scope, 100001 bytes, are stored with"),
        "{refused}"
    );
    let refused = decode(OtlpEncoding::Json, &json(&spans(200)))
        .unwrap_err()
        .to_string();
    assert!(refused.starts_with("Too long: 1 attributes"), "{refused}");
}

#[test]
fn a_long_service_name_over_many_spans_is_refused() {
    let long = "Ü".repeat(50_000);
    let spans = request(
        Some(resource(&[("service.name", &long)])),
        None,
        vec![bare_span(); 100],
    );
    let refused = decode(OtlpEncoding::Protobuf, &protobuf(&spans))
        .unwrap_err()
        .to_string();
    assert!(refused.starts_with("Too long: 0 attributes"), "{refused}");
}

#[test]
fn many_attributes_over_many_spans_are_refused() {
    let mut many = resource(&[]);
    many.attributes = vec![pair("", text("")); 10_000];
    let spans = request(Some(many), None, vec![bare_span(); 1_000]);
    let refused = decode(OtlpEncoding::Protobuf, &protobuf(&spans))
        .unwrap_err()
        .to_string();
    assert!(refused.starts_with("Too long: 10000 attributes"), "{refused}");
}

#[test]
fn an_honest_resource_is_far_from_the_bound() {
    let pairs: Vec<_> = (0..40)
        .map(|index| (format!("k8s.attribute.{index}"), "v".repeat(60)))
        .collect();
    let mut rich = resource(&[("service.name", "Shop")]);
    rich.attributes
        .extend(pairs.iter().flat_map(|(key, value)| attributes(&[(key, value)])));
    let span = Span {
        name: "a span of some length".to_owned(),
        attributes: attributes(&[
            ("http.request.method", "GET"),
            ("url.path", "/a/path/of/some/length"),
        ]),
        ..bare_span()
    };
    let spans = request(Some(rich), None, vec![span; 5_000]);
    let body = protobuf(&spans);
    let mut batch = SpanBatch::new();
    proto::decode_message(WIRE, &body, &mut batch).unwrap();
    assert_eq!(batch.len(), 5_000);
    // The body is text of the batch as it came; this is what was made on top of it.
    let made = batch.text_bytes() - body.len();
    assert!(
        made < 40 * (20 + 60),
        "{made} bytes of text beside the body's {}: the resource is there once",
        body.len()
    );
}

#[test]
fn a_batch_that_is_full_refuses_the_request_whole() {
    let mut batch = SpanBatch::new();
    batch.set_spans_max(2);
    let body = protobuf(&request(None, None, vec![bare_span(); 3]));
    let refused = proto::decode_message(WIRE, &body, &mut batch)
        .unwrap_err()
        .to_string();
    assert_eq!(
        refused,
        "more than 2 spans reading ExportTraceServiceRequest from protobuf"
    );
    assert_eq!((batch.len(), batch.overflowed()), (0, true));
}
