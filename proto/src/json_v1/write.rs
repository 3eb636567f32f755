//! Writes v1 spans as JSON, members in Zipkin's order and no spaces.

use model::{SpanId, TraceId};

use crate::json::{write_ipv4, write_ipv6, write_number, write_span_id, write_string, write_trace_id};
use crate::v1::{self, Annotation, BinaryAnnotation, BinaryValue, Endpoint, Span};

pub(super) fn write_list(spans: &[model::Span]) -> Vec<u8> {
    let mut out = Vec::new();
    write_elements(&mut out, spans, |out, span| write_span(out, &v1::from_v2(span)));
    out
}

fn write_span(out: &mut Vec<u8>, span: &Span<'_>) {
    out.extend_from_slice(b"{\"traceId\":");
    match TraceId::new(span.trace_id_high, span.trace_id) {
        Some(trace_id) => write_trace_id(out, trace_id),
        None => write_span_id(out, SpanId::new(0)),
    }
    if span.parent_id != 0 {
        out.extend_from_slice(b",\"parentId\":");
        write_span_id(out, SpanId::new(span.parent_id));
    }
    out.extend_from_slice(b",\"id\":");
    write_span_id(out, SpanId::new(span.id));
    // Written even when empty.
    out.extend_from_slice(b",\"name\":");
    write_string(out, &span.name);
    if span.timestamp != 0 {
        out.extend_from_slice(b",\"timestamp\":");
        write_signed(out, span.timestamp);
    }
    if span.duration != 0 {
        out.extend_from_slice(b",\"duration\":");
        write_signed(out, span.duration);
    }
    if !span.annotations.is_empty() {
        out.extend_from_slice(b",\"annotations\":");
        write_elements(out, &span.annotations, write_annotation);
    }
    if !span.binary_annotations.is_empty() {
        out.extend_from_slice(b",\"binaryAnnotations\":");
        write_elements(out, &span.binary_annotations, write_binary_annotation);
    }
    if span.debug {
        out.extend_from_slice(b",\"debug\":true");
    }
    out.push(b'}');
}

fn write_annotation(out: &mut Vec<u8>, annotation: &Annotation<'_>) {
    out.extend_from_slice(b"{\"timestamp\":");
    write_signed(out, annotation.timestamp);
    out.extend_from_slice(b",\"value\":");
    write_string(out, &annotation.value);
    write_endpoint(out, annotation.endpoint.as_ref());
    out.push(b'}');
}

fn write_binary_annotation(out: &mut Vec<u8>, binary_annotation: &BinaryAnnotation<'_>) {
    out.extend_from_slice(b"{\"key\":");
    write_string(out, &binary_annotation.key);
    out.extend_from_slice(b",\"value\":");
    match &binary_annotation.value {
        BinaryValue::Text(value) => write_string(out, value),
        BinaryValue::Address => out.extend_from_slice(b"true"),
    }
    write_endpoint(out, binary_annotation.endpoint.as_ref());
    out.push(b'}');
}

/// Unlike in v2, the name is written even when it is not known.
fn write_endpoint(out: &mut Vec<u8>, endpoint: Option<&Endpoint<'_>>) {
    let Some(endpoint) = endpoint else { return };
    out.extend_from_slice(b",\"endpoint\":{\"serviceName\":");
    write_string(out, &endpoint.service_name);
    if let Some(address) = endpoint.ip.v4 {
        out.extend_from_slice(b",\"ipv4\":");
        write_ipv4(out, address);
    }
    if let Some(address) = endpoint.ip.v6 {
        out.extend_from_slice(b",\"ipv6\":");
        write_ipv6(out, address);
    }
    if endpoint.port != 0 {
        out.extend_from_slice(b",\"port\":");
        write_number(out, endpoint.port.into());
    }
    out.push(b'}');
}

fn write_elements<T>(out: &mut Vec<u8>, elements: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, element);
    }
    out.push(b']');
}

fn write_signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    write_number(out, number.unsigned_abs());
}
