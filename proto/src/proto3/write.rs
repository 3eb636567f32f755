//! Writes spans as proto3, fields in the order of their numbers and absent ones not at all, as Zipkin does.

use model::{Endpoint, Span};

use super::{annotation, endpoint, list, span, tag};
use crate::protobuf::{write_bytes, write_fixed64, write_message, write_number, write_text};

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
