//! Messages: one body of a request, one record of a broker. Whatever wrote it, it ends as spans of one batch.

use model::SpanBatch;

use crate::{
    DecodeError, Format, OtlpEncoding, decode, decode_thrift_span, decode_whole, detect, jaeger, otlp, scribe,
};

/// How one message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// A list of spans, as Zipkin's clients send it.
    List(Format),
    /// One v1 span of Zipkin's, thrift's TBinaryProtocol: what Scribe and the first Kafka senders sent.
    ThriftSpan,
    /// The entries of one call of Scribe's `Log`, as [`scribe::Call::entries`] gives them.
    ScribeEntries,
    /// Jaeger's `Batch` of `jaeger.thrift`, thrift's TBinaryProtocol.
    JaegerThrift,
    /// Jaeger's `jaeger.api_v2.PostSpansRequest`.
    JaegerProto,
    /// OpenTelemetry's `ExportTraceServiceRequest`.
    Otlp {
        /// How it is written.
        encoding: OtlpEncoding,
        /// Stands before the key of every tag that was an attribute of a resource; mostly empty.
        resource_prefix: &'static str,
    },
}

/// What a message left out. Only formats whose answer can say so leave anything out: everything else is taken
/// whole or refused whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many spans.
    pub spans: usize,
    /// What was wrong with the first of them, and where; `None` if there is none.
    pub reason: Option<String>,
}

/// Reads one message and appends its spans, normalised, to `batch`.
///
/// # Errors
/// [`DecodeError`]; `batch` is then cleared.
pub fn decode_message(wire: Wire, body: &[u8], batch: &mut SpanBatch) -> Result<Rejected, DecodeError> {
    match wire {
        Wire::List(format) => decode(format, body, batch)?,
        Wire::ThriftSpan => decode_thrift_span(body, batch)?,
        Wire::ScribeEntries => decode_whole(body, batch, scribe::decode_entries)?,
        Wire::JaegerThrift => decode_whole(body, batch, jaeger::decode_thrift)?,
        Wire::JaegerProto => decode_whole(body, batch, jaeger::decode_proto3)?,
        Wire::Otlp {
            encoding,
            resource_prefix,
        } => {
            let read =
                |body: &[u8], batch: &mut SpanBatch| otlp::decode(encoding, resource_prefix, body, batch);
            return decode_whole(body, batch, read);
        }
    }
    Ok(Rejected::default())
}

/// How a message of a broker is written: a list, as [`detect`] tells, or one thrift span, which begins with the
/// type of a field (`zipkin.md` 7.1). `None` where it is neither.
pub fn detect_message(body: &[u8]) -> Option<Wire> {
    /// No type of thrift's has a larger number.
    const FIELD_TYPE_MAX: u8 = 16;
    match detect(body) {
        Some(format) => Some(Wire::List(format)),
        None if body.len() >= 2 && body[0] <= FIELD_TYPE_MAX => Some(Wire::ThriftSpan),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thrift_span_is_told_from_a_list() {
        let cases: [(&[u8], Option<Wire>); 7] = [
            // The first field of a v1 span is number 1, an i64.
            (b"\x0a\x00\x01", Some(Wire::ThriftSpan)),
            (b"\x0a\x01", Some(Wire::List(Format::Proto3))),
            (b"\x0c\x00\x00\x00\x01", Some(Wire::List(Format::Thrift))),
            (b"[]", Some(Wire::List(Format::JsonV1))),
            (b"\x10\x00", Some(Wire::ThriftSpan)),
            (b"\x11\x00", None),
            (b"\x0a", None),
        ];
        for (body, expected) in cases {
            assert_eq!(detect_message(body), expected, "{body:?}");
        }
    }

    #[test]
    fn a_message_that_is_refused_leaves_no_span() {
        let mut batch = SpanBatch::new();
        assert!(decode_message(Wire::ThriftSpan, b"\x0a\x00\x01\x00", &mut batch).is_err());
        let body = br#"[{"traceId":"1","id":"2"}]"#;
        let rejected = decode_message(Wire::List(Format::JsonV2), body, &mut batch);
        assert_eq!((rejected, batch.len()), (Ok(Rejected::default()), 1));
    }
}
