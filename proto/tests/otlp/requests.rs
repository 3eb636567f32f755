//! Requests in OpenTelemetry's own types, written by its own code, and what this package reads of them.

use model::{Span, SpanBatch};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans, ScopeSpans};
use prost::Message;
use proto::{DecodeError, OtlpEncoding, Rejected, Wire};

pub(crate) const TRACE_ID: [u8; 16] = [
    0x5b, 0x8e, 0xff, 0xf7, 0x98, 3, 0x81, 3, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 12,
];
pub(crate) const SPAN_ID: [u8; 8] = [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74];

/// A span with no more than it must have.
pub(crate) fn bare_span() -> otlp::Span {
    otlp::Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: SPAN_ID.to_vec(),
        ..otlp::Span::default()
    }
}

pub(crate) fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(crate) fn text(text: &str) -> AnyValue {
    any(Value::StringValue(text.to_owned()))
}

pub(crate) fn array(values: Vec<AnyValue>) -> AnyValue {
    any(Value::ArrayValue(ArrayValue { values }))
}

pub(crate) fn object(values: Vec<KeyValue>) -> AnyValue {
    any(Value::KvlistValue(KeyValueList { values }))
}

pub(crate) fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
        ..KeyValue::default()
    }
}

/// Attributes of text.
pub(crate) fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| pair(key, text(value))).collect()
}

pub(crate) fn resource(pairs: &[(&str, &str)]) -> Resource {
    Resource {
        attributes: attributes(pairs),
        ..Resource::default()
    }
}

pub(crate) fn scope(name: &str, version: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    }
}

/// The spans of one resource and one scope.
pub(crate) fn request(
    resource: Option<Resource>,
    scope: Option<InstrumentationScope>,
    spans: Vec<otlp::Span>,
) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource,
            scope_spans: vec![ScopeSpans {
                scope,
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// The same spans without resource and scope.
pub(crate) fn only(spans: Vec<otlp::Span>) -> ExportTraceServiceRequest {
    request(None, None, spans)
}

pub(crate) fn protobuf(request: &ExportTraceServiceRequest) -> Vec<u8> {
    request.encode_to_vec()
}

pub(crate) fn json(request: &ExportTraceServiceRequest) -> Vec<u8> {
    serde_json::to_vec(request).expect("JSON")
}

pub(crate) fn decode(encoding: OtlpEncoding, body: &[u8]) -> Result<(Vec<Span>, Rejected), DecodeError> {
    let mut batch = SpanBatch::new();
    let wire = Wire::Otlp {
        encoding,
        resource_prefix: "",
    };
    let rejected = proto::decode_message(wire, body, &mut batch)?;
    Ok((batch.iter().map(|span| span.to_span()).collect(), rejected))
}

/// What both readers make of a request, which must be the same.
pub(crate) fn read_both(request: &ExportTraceServiceRequest) -> (Vec<Span>, Rejected) {
    let binary = decode(OtlpEncoding::Protobuf, &protobuf(request)).expect("a request");
    let text = decode(OtlpEncoding::Json, &json(request)).expect("a request");
    assert_eq!(binary, text, "protobuf and JSON say the same");
    binary
}

/// The one span of a request of which nothing is rejected.
pub(crate) fn read_one(request: &ExportTraceServiceRequest) -> Span {
    let (mut spans, rejected) = read_both(request);
    assert_eq!((spans.len(), rejected), (1, Rejected::default()));
    spans.remove(0)
}

/// As Zipkin writes it: what users will see.
pub(crate) fn zipkin(span: &Span) -> String {
    let mut out = Vec::new();
    proto::write_span(&mut out, span);
    String::from_utf8(out).expect("UTF-8")
}

/// The tags of a span, as `key=value`.
pub(crate) fn tags(span: &Span) -> Vec<String> {
    span.tags
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}
