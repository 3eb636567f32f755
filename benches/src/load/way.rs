//! A way into the server: how bodies are written, and what carries them.

use anyhow::Context;
use model::{Span, SpanBatch};
use proto::{OtlpEncoding, Wire, decode_message};
use serde::Serialize;

use super::otlp;

/// How spans are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Zipkin's JSON v2.
    Json,
    /// Zipkin's proto3.
    Proto3,
    /// OpenTelemetry's, as protobuf.
    OtlpProto,
    /// OpenTelemetry's, as JSON.
    OtlpJson,
}

/// What carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// HTTP/1.1.
    Http,
    /// gRPC over HTTP/2 without TLS.
    Grpc,
}

/// A format on a transport that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    format: Format,
    transport: Transport,
}

/// What an answer says of the spans that were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of them are stored.
    Accepted,
    /// None is, for now: there is too much to do.
    Refused(String),
    /// Something else.
    Failed(String),
}

impl Way {
    /// Zipkin's JSON v2 over HTTP/1.1, which is what every reporter can.
    pub const JSON: Self = Self {
        format: Format::Json,
        transport: Transport::Http,
    };

    /// Those that are compared with each other, the one to compare with first.
    pub const ALL: [Self; 6] = [
        Self::JSON,
        Self::of(Format::Proto3, Transport::Http),
        Self::of(Format::Proto3, Transport::Grpc),
        Self::of(Format::OtlpProto, Transport::Http),
        Self::of(Format::OtlpProto, Transport::Grpc),
        Self::of(Format::OtlpJson, Transport::Http),
    ];

    const fn of(format: Format, transport: Transport) -> Self {
        Self { format, transport }
    }

    /// A format on a transport.
    ///
    /// # Errors
    /// Where the transport does not carry the format: gRPC carries protobuf only.
    pub fn new(format: Format, transport: Transport) -> anyhow::Result<Self> {
        let way = Self::of(format, transport);
        anyhow::ensure!(Self::ALL.contains(&way), "gRPC does not carry JSON");
        Ok(way)
    }

    /// As reports call it.
    pub fn name(self) -> &'static str {
        match (self.format, self.transport) {
            (Format::Json, _) => "HTTP, JSON v2",
            (Format::Proto3, Transport::Http) => "HTTP, proto3",
            (Format::Proto3, Transport::Grpc) => "gRPC, proto3",
            (Format::OtlpProto, Transport::Http) => "OTLP, HTTP, protobuf",
            (Format::OtlpProto, Transport::Grpc) => "OTLP, gRPC",
            (Format::OtlpJson, _) => "OTLP, HTTP, JSON",
        }
    }

    /// Spans of a request, as senders of this kind send them: 100, or 512 of OpenTelemetry's SDKs.
    pub fn spans_per_request(self) -> usize {
        if self.is_otlp() { 512 } else { 100 }
    }

    /// How spans are written.
    pub fn format(self) -> Format {
        self.format
    }

    /// What carries them.
    pub fn transport(self) -> Transport {
        self.transport
    }

    pub(super) fn path(self) -> &'static str {
        match (self.is_otlp(), self.transport) {
            (false, Transport::Http) => "/api/v2/spans",
            (false, Transport::Grpc) => "/zipkin.proto3.SpanService/Report",
            (true, Transport::Http) => "/v1/traces",
            (true, Transport::Grpc) => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        }
    }

    /// The body of a request with spans of one instance.
    pub fn encode(self, spans: &[Span]) -> Vec<u8> {
        match self.format {
            Format::Json => proto::encode(proto::Format::JsonV2, spans),
            Format::Proto3 => proto::encode(proto::Format::Proto3, spans),
            Format::OtlpProto => otlp::protobuf(spans),
            Format::OtlpJson => otlp::json(spans),
        }
    }

    /// As what the server reads a body.
    pub fn wire(self) -> Wire {
        let otlp = |encoding| Wire::Otlp {
            encoding,
            resource_prefix: "",
        };
        match self.format {
            Format::Json => Wire::List(proto::Format::JsonV2),
            Format::Proto3 => Wire::List(proto::Format::Proto3),
            Format::OtlpProto => otlp(OtlpEncoding::Protobuf),
            Format::OtlpJson => otlp(OtlpEncoding::Json),
        }
    }

    /// What the server is to make of a body.
    pub(super) fn decode(self, body: &[u8]) -> anyhow::Result<SpanBatch> {
        let mut batch = SpanBatch::new();
        let rejected = decode_message(self.wire(), body, &mut batch).context("a body cannot be read back")?;
        anyhow::ensure!(rejected.spans == 0, "a body has wrong spans: {rejected:?}");
        Ok(batch)
    }

    /// The body with what comes before it: head and length.
    pub(super) fn frame(self, body: &[u8]) -> Vec<u8> {
        if self.transport == Transport::Grpc {
            // Not compressed, and how long it is.
            let length = (body.len() as u32).to_be_bytes();
            return [&[0], &length[..], body].concat();
        }
        let content_type = match self.format {
            Format::Json | Format::OtlpJson => "application/json",
            Format::Proto3 | Format::OtlpProto => "application/x-protobuf",
        };
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: benches\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            self.path(),
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// What an answer over HTTP/1.1 says.
    pub(super) fn verdict(self, status: u16, body: &[u8]) -> Verdict {
        let text = || format!("{status} {}", String::from_utf8_lossy(body).trim());
        match (status, self.is_otlp()) {
            (202, false) => Verdict::Accepted,
            // A partial success has something to say.
            (200, true) if body.is_empty() || body == b"{}" => Verdict::Accepted,
            (503, _) => Verdict::Refused(text()),
            _ => Verdict::Failed(text()),
        }
    }

    /// What an answer over gRPC says: its status, the text of it, and the message without what is before it.
    pub(super) fn verdict_of_grpc(self, status: &str, text: &str, message: &[u8]) -> Verdict {
        match status {
            "0" if message.is_empty() => Verdict::Accepted,
            "14" => Verdict::Refused(format!("UNAVAILABLE {text}")),
            _ => Verdict::Failed(format!("status {status} {text} {message:?}")),
        }
    }

    fn is_otlp(self) -> bool {
        matches!(self.format, Format::OtlpProto | Format::OtlpJson)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wholly_stored_is_accepted() {
        let otlp = Way::of(Format::OtlpProto, Transport::Http);
        assert_eq!(Way::JSON.verdict(202, b""), Verdict::Accepted);
        assert_eq!(otlp.verdict(200, b""), Verdict::Accepted);
        assert_eq!(otlp.verdict(200, b"{}"), Verdict::Accepted);
        for way in [Way::JSON, otlp] {
            assert_eq!(way.verdict(503, b"full"), Verdict::Refused("503 full".to_owned()));
            assert_eq!(way.verdict(400, b"what"), Verdict::Failed("400 what".to_owned()));
        }
        assert!(matches!(Way::JSON.verdict(200, b""), Verdict::Failed(_)));
        assert!(matches!(otlp.verdict(202, b""), Verdict::Failed(_)));
        // Some spans were rejected.
        assert!(matches!(
            otlp.verdict(200, b"\x0a\x02\x08\x01"),
            Verdict::Failed(_)
        ));
        let grpc = Way::of(Format::OtlpProto, Transport::Grpc);
        assert_eq!(grpc.verdict_of_grpc("0", "", b""), Verdict::Accepted);
        assert!(matches!(
            grpc.verdict_of_grpc("0", "", b"\x0a\x02\x08\x01"),
            Verdict::Failed(_)
        ));
        assert!(matches!(
            grpc.verdict_of_grpc("14", "full", b""),
            Verdict::Refused(_)
        ));
        assert!(matches!(
            grpc.verdict_of_grpc("3", "what", b""),
            Verdict::Failed(_)
        ));
        assert!(matches!(grpc.verdict_of_grpc("", "", b""), Verdict::Failed(_)));
    }

    #[test]
    fn grpc_carries_no_json() {
        assert!(Way::new(Format::Json, Transport::Grpc).is_err());
        assert!(Way::new(Format::OtlpJson, Transport::Grpc).is_err());
        assert_eq!(Way::new(Format::Json, Transport::Http).unwrap(), Way::JSON);
    }
}
