//! What is left out one by one, what is refused whole, and how both are told.

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use prost::Message;
use proto::{OtlpEncoding, Rejected};

use crate::requests::{
    any, array, attributes, bare_span, decode, json, object, only, pair, protobuf, read_both, request,
    resource, text,
};

fn rejected(spans: Vec<Span>) -> (usize, Rejected) {
    let (spans, rejected) = read_both(&only(spans));
    (spans.len(), rejected)
}

fn told(spans: usize, reason: &str) -> Rejected {
    Rejected {
        spans,
        reason: Some(reason.to_owned()),
    }
}

#[test]
fn spans_without_identifiers_are_left_out_and_the_others_kept() {
    let no_trace = Span {
        trace_id: vec![0; 16],
        attributes: attributes(&[("lost", "1")]),
        ..bare_span()
    };
    let no_id = Span {
        span_id: vec![],
        ..bare_span()
    };
    let (kept, rejected) = rejected(vec![bare_span(), no_trace.clone(), bare_span(), no_id.clone()]);
    assert_eq!(kept, 2);
    let reason = "traceId is missing or all zeros at resourceSpans[0].scopeSpans[0].spans[1]";
    assert_eq!(rejected, told(2, reason));

    let mut whole = request(Some(resource(&[("service.name", "a")])), None, vec![bare_span()]);
    whole
        .resource_spans
        .extend(only(vec![bare_span()]).resource_spans);
    whole.resource_spans[1]
        .scope_spans
        .extend(only(vec![no_id]).resource_spans[0].scope_spans.clone());
    let (spans, rejected) = read_both(&whole);
    assert_eq!(spans.len(), 2);
    let reason = "spanId is missing or all zeros at resourceSpans[1].scopeSpans[1].spans[0]";
    assert_eq!(rejected, told(1, reason));
}

#[test]
fn tags_and_events_of_a_span_that_is_left_out_go_with_it() {
    let lost = Span {
        trace_id: vec![],
        attributes: attributes(&[("lost", "1")]),
        events: vec![Event {
            time_unix_nano: 1_000,
            name: "lost".to_owned(),
            ..Event::default()
        }],
        ..bare_span()
    };
    let (spans, _) = read_both(&only(vec![lost, bare_span()]));
    assert_eq!((spans[0].tags.len(), spans[0].annotations.len()), (0, 0));
}

#[test]
fn identifiers_of_another_length_are_told_with_it() {
    let first = |span: Span| {
        let body = protobuf(&only(vec![span]));
        decode(OtlpEncoding::Protobuf, &body).unwrap().1.reason.unwrap()
    };
    let at = " at resourceSpans[0].scopeSpans[0].spans[0]";
    let short = Span {
        trace_id: vec![1; 8],
        ..bare_span()
    };
    assert_eq!(first(short), format!("traceId is 8 bytes long, not 16{at}"));
    let long = Span {
        span_id: vec![1; 16],
        ..bare_span()
    };
    assert_eq!(first(long), format!("spanId is 16 bytes long, not 8{at}"));
    let parent = Span {
        parent_span_id: vec![1; 3],
        ..bare_span()
    };
    assert_eq!(first(parent), format!("parentSpanId is 3 bytes long, not 8{at}"));
}

/// Arrays in arrays, `levels` of them.
fn nested_arrays(levels: usize) -> AnyValue {
    (0..levels).fold(any(Value::IntValue(1)), |inner, _| array(vec![inner]))
}

/// Objects in objects, `levels` of them.
fn nested_objects(levels: usize) -> AnyValue {
    (0..levels).fold(text("x"), |inner, _| object(vec![pair("k", inner)]))
}

#[test]
fn attributes_may_be_nested_twelve_levels() {
    let with = |value: AnyValue| Span {
        attributes: vec![pair("deep", value)],
        ..bare_span()
    };
    assert_eq!(
        rejected(vec![with(nested_arrays(12)), with(nested_objects(12))]),
        (2, Rejected::default())
    );
    let reason = "an attribute is nested deeper than 12 levels at resourceSpans[0].scopeSpans[0].spans[1]";
    let (kept, told_of) = rejected(vec![
        bare_span(),
        with(nested_arrays(13)),
        with(nested_objects(13)),
        bare_span(),
    ]);
    assert_eq!((kept, told_of), (2, told(2, reason)));
}

#[test]
fn a_resource_that_is_nested_too_deep_costs_its_own_spans_only() {
    let mut deep = resource(&[("service.name", "a")]);
    deep.attributes.push(pair("deep", nested_objects(13)));
    let mut whole = request(Some(deep), None, vec![bare_span(), bare_span()]);
    whole
        .resource_spans
        .extend(only(vec![bare_span()]).resource_spans);
    let (spans, rejected) = read_both(&whole);
    assert_eq!((spans.len(), rejected.spans), (1, 2));
}

#[test]
fn a_body_that_is_no_request_is_refused_whole() {
    let refused = |encoding, body: &[u8]| decode(encoding, body).unwrap_err().to_string();
    let mut cut = protobuf(&only(vec![bare_span(), bare_span()]));
    cut.truncate(cut.len() - 1);
    assert_eq!(
        refused(OtlpEncoding::Protobuf, &cut),
        "Truncated: length 62 > bytes available 61 reading ExportTraceServiceRequest from protobuf"
    );
    assert_eq!(
        refused(
            OtlpEncoding::Json,
            br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":true}]}]}]}"#
        ),
        "Expected a string but was BOOLEAN at line 1 column 56 path $.resourceSpans[0].scopeSpans[0].spans[0].kind \
         reading ExportTraceServiceRequest from json"
    );
    assert!(refused(OtlpEncoding::Json, b"[]").ends_with("reading ExportTraceServiceRequest from json"));
    assert!(!json(&only(vec![])).is_empty());
}

#[test]
fn answers_are_what_opentelemetry_reads() {
    let rejected = told(3, "traceId is \"bad\"");
    let body = proto::write_otlp_response(OtlpEncoding::Protobuf, &rejected);
    let expected = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 3,
            error_message: "traceId is \"bad\"".to_owned(),
        }),
    };
    assert_eq!(ExportTraceServiceResponse::decode(&body[..]).unwrap(), expected);
    assert_eq!(
        proto::write_otlp_response(OtlpEncoding::Json, &rejected),
        br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"traceId is \"bad\""}}"#
    );
    assert_eq!(
        proto::write_otlp_response(OtlpEncoding::Protobuf, &Rejected::default()),
        b""
    );
    assert_eq!(
        proto::write_otlp_response(OtlpEncoding::Json, &Rejected::default()),
        b"{}"
    );
}

#[test]
fn a_status_is_googles() {
    /// `google.rpc.Status` without its details.
    #[derive(PartialEq, Message)]
    struct RpcStatus {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
    }
    let body = proto::write_otlp_status(OtlpEncoding::Protobuf, 3, "no");
    let expected = RpcStatus {
        code: 3,
        message: "no".to_owned(),
    };
    assert_eq!(RpcStatus::decode(&body[..]).unwrap(), expected);
    assert_eq!(
        proto::write_otlp_status(OtlpEncoding::Json, 14, "later\n"),
        br#"{"code":14,"message":"later\n"}"#
    );
}
