//! Writes v1 spans in TBinaryProtocol, fields in Zipkin's order.

use super::{annotation, binary_annotation, endpoint, span};
use crate::thrift::{BOOL, Field, I16, I32, I64, LIST, STOP, STRING, STRUCT};
use crate::v1::{Annotation, BinaryAnnotation, BinaryValue, Endpoint, Span};

pub(super) fn write_list(spans: &[model::Span]) -> Vec<u8> {
    let mut out = Vec::new();
    if !spans.is_empty() {
        write_structs(&mut out, spans, |out, span| {
            write_span(out, &crate::v1::from_v2(span))
        });
    }
    out
}

fn write_span(out: &mut Vec<u8>, span: &Span<'_>) {
    write_i64(out, span::TRACE_ID, span.trace_id as i64);
    write_bytes(out, span::NAME, span.name.as_bytes());
    write_i64(out, span::ID, span.id as i64);
    if span.parent_id != 0 {
        write_i64(out, span::PARENT_ID, span.parent_id as i64);
    }
    // Lists are written even when empty, as Finagle does.
    write_field(out, span::ANNOTATIONS);
    write_structs(out, &span.annotations, write_annotation);
    write_field(out, span::BINARY_ANNOTATIONS);
    write_structs(out, &span.binary_annotations, write_binary_annotation);
    if span.debug {
        write_field(out, span::DEBUG);
        out.push(1);
    }
    if span.timestamp != 0 {
        write_i64(out, span::TIMESTAMP, span.timestamp);
    }
    if span.duration != 0 {
        write_i64(out, span::DURATION, span.duration);
    }
    if span.trace_id_high != 0 {
        write_i64(out, span::TRACE_ID_HIGH, span.trace_id_high as i64);
    }
    out.push(STOP);
}

fn write_annotation(out: &mut Vec<u8>, annotation: &Annotation<'_>) {
    write_i64(out, annotation::TIMESTAMP, annotation.timestamp);
    write_bytes(out, annotation::VALUE, annotation.value.as_bytes());
    write_endpoint(out, annotation::ENDPOINT, annotation.endpoint.as_ref());
    out.push(STOP);
}

fn write_binary_annotation(out: &mut Vec<u8>, binary_annotation: &BinaryAnnotation<'_>) {
    let (kind, value) = match &binary_annotation.value {
        BinaryValue::Text(value) => (binary_annotation::TYPE_STRING, value.as_bytes()),
        BinaryValue::Address => (binary_annotation::TYPE_BOOL, &binary_annotation::TRUE[..]),
    };
    write_bytes(out, binary_annotation::KEY, binary_annotation.key.as_bytes());
    write_bytes(out, binary_annotation::VALUE, value);
    write_field(out, binary_annotation::TYPE);
    out.extend(kind.to_be_bytes());
    write_endpoint(
        out,
        binary_annotation::ENDPOINT,
        binary_annotation.endpoint.as_ref(),
    );
    out.push(STOP);
}

/// All fields but IPv6 are written, known or not.
fn write_endpoint(out: &mut Vec<u8>, field: Field, endpoint: Option<&Endpoint<'_>>) {
    let Some(endpoint) = endpoint else { return };
    write_field(out, field);
    write_field(out, endpoint::IPV4);
    out.extend(endpoint.ip.v4.map_or([0; 4], |v4| v4.octets()));
    write_field(out, endpoint::PORT);
    out.extend(endpoint.port.to_be_bytes());
    write_bytes(out, endpoint::SERVICE_NAME, endpoint.service_name.as_bytes());
    if let Some(v6) = endpoint.ip.v6 {
        write_bytes(out, endpoint::IPV6, &v6.octets());
    }
    out.push(STOP);
}

fn write_structs<T>(out: &mut Vec<u8>, elements: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(STRUCT);
    out.extend((elements.len() as u32).to_be_bytes());
    for element in elements {
        write(out, element);
    }
}

fn write_i64(out: &mut Vec<u8>, field: Field, value: i64) {
    write_field(out, field);
    out.extend(value.to_be_bytes());
}

fn write_bytes(out: &mut Vec<u8>, field: Field, bytes: &[u8]) {
    write_field(out, field);
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn write_field(out: &mut Vec<u8>, (kind, number): Field) {
    debug_assert!(
        matches!(kind, BOOL | I16 | I32 | I64 | STRING | STRUCT | LIST),
        "a type that zipkin uses"
    );
    out.push(kind);
    out.extend(number.to_be_bytes());
}
