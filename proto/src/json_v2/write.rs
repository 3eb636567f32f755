//! Writes v2 JSON exactly as Zipkin: its order of fields, its escapes, no spaces, nothing that is absent.

use model::{Annotation, Endpoint, Span};

use crate::json::{write_ipv4, write_ipv6, write_number, write_span_id, write_string, write_trace_id};

/// Appends `[span,…]`.
pub fn write_spans(out: &mut Vec<u8>, spans: &[Span]) {
    out.push(b'[');
    for (index, span) in spans.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_span(out, span);
    }
    out.push(b']');
}

/// Appends one span, an object.
pub fn write_span(out: &mut Vec<u8>, span: &Span) {
    out.extend_from_slice(b"{\"traceId\":");
    write_trace_id(out, span.trace_id);
    if let Some(parent_id) = span.parent_id {
        out.extend_from_slice(b",\"parentId\":");
        write_span_id(out, parent_id);
    }
    out.extend_from_slice(b",\"id\":");
    write_span_id(out, span.id);
    if let Some(kind) = span.kind {
        out.extend_from_slice(b",\"kind\":\"");
        out.extend_from_slice(kind.as_str().as_bytes());
        out.push(b'"');
    }
    if let Some(name) = &span.name {
        out.extend_from_slice(b",\"name\":");
        write_string(out, name);
    }
    if let Some(timestamp) = span.timestamp {
        out.extend_from_slice(b",\"timestamp\":");
        write_number(out, timestamp);
    }
    if let Some(duration) = span.duration {
        out.extend_from_slice(b",\"duration\":");
        write_number(out, duration);
    }
    if let Some(endpoint) = &span.local_endpoint {
        out.extend_from_slice(b",\"localEndpoint\":");
        write_endpoint(out, endpoint);
    }
    if let Some(endpoint) = &span.remote_endpoint {
        out.extend_from_slice(b",\"remoteEndpoint\":");
        write_endpoint(out, endpoint);
    }
    write_annotations(out, &span.annotations);
    write_tags(out, &span.tags);
    if span.debug {
        out.extend_from_slice(b",\"debug\":true");
    }
    if span.shared {
        out.extend_from_slice(b",\"shared\":true");
    }
    out.push(b'}');
}

fn write_endpoint(out: &mut Vec<u8>, endpoint: &Endpoint) {
    // Every field writes its comma in front; the first one's becomes the brace.
    let open = out.len();
    if let Some(name) = &endpoint.service_name {
        out.extend_from_slice(b",\"serviceName\":");
        write_string(out, name);
    }
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
        write_number(out, u64::from(endpoint.port));
    }
    match out.get_mut(open) {
        Some(first) => *first = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

fn write_annotations(out: &mut Vec<u8>, annotations: &[Annotation]) {
    if annotations.is_empty() {
        return;
    }
    let mut before = b",\"annotations\":[".as_slice();
    for annotation in annotations {
        out.extend_from_slice(before);
        before = b",";
        out.extend_from_slice(b"{\"timestamp\":");
        write_number(out, annotation.timestamp);
        out.extend_from_slice(b",\"value\":");
        write_string(out, &annotation.value);
        out.push(b'}');
    }
    out.push(b']');
}

fn write_tags(out: &mut Vec<u8>, tags: &[(String, String)]) {
    if tags.is_empty() {
        return;
    }
    let mut before = b",\"tags\":{".as_slice();
    for (key, value) in tags {
        out.extend_from_slice(before);
        before = b",";
        write_string(out, key);
        out.push(b':');
        write_string(out, value);
    }
    out.push(b'}');
}
