//! Writes spans as proto3, fields in the order of their numbers and absent ones not at all, as Zipkin does.

use model::{Endpoint, Span};

use super::{annotation, endpoint, list, span, tag};
use crate::protobuf::{FIXED64, LENGTH_DELIMITED, VARINT, key};

pub(super) fn write_list(spans: &[Span]) -> Vec<u8> {
    let mut out = Vec::new();
    for span in spans {
        write_message(&mut out, list::SPANS, |out| write_span(out, span));
    }
    out
}

fn write_span(out: &mut Vec<u8>, span: &Span) {
    let trace_id = span.trace_id;
    if trace_id.high() == 0 {
        write_bytes(out, span::TRACE_ID, &trace_id.low().to_be_bytes());
    } else {
        let both = u128::from(trace_id.high()) << 64 | u128::from(trace_id.low());
        write_bytes(out, span::TRACE_ID, &both.to_be_bytes());
    }
    if let Some(parent_id) = span.parent_id {
        write_bytes(out, span::PARENT_ID, &parent_id.value().to_be_bytes());
    }
    write_bytes(out, span::ID, &span.id.value().to_be_bytes());
    write_number(out, span::KIND, span.kind.map_or(0, |kind| kind as u64));
    write_text(out, span::NAME, span.name.as_deref());
    write_fixed64(out, span::TIMESTAMP, span.timestamp.unwrap_or(0));
    write_number(out, span::DURATION, span.duration.unwrap_or(0));
    write_endpoint(out, span::LOCAL_ENDPOINT, span.local_endpoint.as_ref());
    write_endpoint(out, span::REMOTE_ENDPOINT, span.remote_endpoint.as_ref());
    for annotation in &span.annotations {
        write_message(out, span::ANNOTATIONS, |out| {
            write_fixed64(out, annotation::TIMESTAMP, annotation.timestamp);
            write_text(out, annotation::VALUE, Some(&annotation.value));
        });
    }
    for (key, value) in &span.tags {
        write_message(out, span::TAGS, |out| {
            write_text(out, tag::KEY, Some(key));
            write_text(out, tag::VALUE, Some(value));
        });
    }
    write_number(out, span::DEBUG, span.debug.into());
    write_number(out, span::SHARED, span.shared.into());
}

fn write_endpoint(out: &mut Vec<u8>, field: u32, endpoint: Option<&Endpoint>) {
    let Some(endpoint) = endpoint else { return };
    write_message(out, field, |out| {
        write_text(out, endpoint::SERVICE_NAME, endpoint.service_name.as_deref());
        if let Some(v4) = endpoint.ip.v4 {
            write_bytes(out, endpoint::IPV4, &v4.octets());
        }
        if let Some(v6) = endpoint.ip.v6 {
            write_bytes(out, endpoint::IPV6, &v6.octets());
        }
        write_number(out, endpoint::PORT, endpoint.port.into());
    });
}

/// Writes what `write` writes, then moves it to make room for its length: each byte moves once a level, and
/// there are two levels.
fn write_message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    write_varint(out, key(field, LENGTH_DELIMITED).into());
    let start = out.len();
    write(out);
    let mut length = Vec::with_capacity(5);
    write_varint(&mut length, (out.len() - start) as u64);
    out.splice(start..start, length);
}

/// `Some("")` is written: a tag may be empty. `None` is not.
fn write_text(out: &mut Vec<u8>, field: u32, text: Option<&str>) {
    if let Some(text) = text {
        write_bytes(out, field, text.as_bytes());
    }
}

fn write_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    write_varint(out, key(field, LENGTH_DELIMITED).into());
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn write_number(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        write_varint(out, key(field, VARINT).into());
        write_varint(out, number);
    }
}

fn write_fixed64(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        write_varint(out, key(field, FIXED64).into());
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
