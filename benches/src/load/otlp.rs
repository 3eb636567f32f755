//! The workload as OpenTelemetry's SDKs export it: one resource and one scope a request.
//!
//! What belongs to the instance becomes an attribute of the resource, numbers are numbers, an error is a status, an
//! annotation is an event. OpenTelemetry has no span of two halves: the server's half of a shared one becomes a span
//! of its own, below the client's.

use model::{Kind, Span};
use prost::Message;
use serde_json::{Value as Json, json};

/// Tags that instrumentations report as numbers.
const NUMBERS: [&str; 4] = ["http.status_code", "kafka.partition", "kafka.offset", "db.rows"];
/// Tags that are true or false.
const TRUTHS: [&str; 1] = ["cache.hit"];
/// Changes the identifier of the server's half of a shared span.
const SERVER_HALF: u64 = 0x5bd1_e995_0000_0000;
/// Of `Status`.
const CODE_ERROR: i32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<OtlpSpan>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OtlpSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Attribute>,
    #[prost(message, repeated, tag = "11")]
    events: Vec<Event>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Event {
    #[prost(fixed64, tag = "1")]
    time_unix_nano: u64,
    #[prost(string, tag = "2")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Truth(bool),
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// An `ExportTraceServiceRequest` of spans of one instance.
pub(super) fn protobuf(spans: &[Span]) -> Vec<u8> {
    request(spans).encode_to_vec()
}

/// The same as JSON.
pub(super) fn json(spans: &[Span]) -> Vec<u8> {
    request(spans).json().to_string().into_bytes()
}

fn request(spans: &[Span]) -> Request {
    let instance = spans.first();
    let service = instance.and_then(Span::local_service_name).unwrap_or_default();
    let endpoint = instance.and_then(|span| span.local_endpoint.as_ref());
    let host = endpoint.and_then(|endpoint| endpoint.ip.v4);
    let mut attributes = vec![
        text("service.name", service),
        text("telemetry.sdk.language", "rust"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.version", "1.40.0"),
    ];
    attributes.extend(host.map(|host| text("service.instance.id", &format!("{service}-{host}"))));
    let version = instance.and_then(|span| span.tag("service.version"));
    attributes.extend(version.map(|version| text("service.version", version)));
    Request {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes }),
            scope_spans: vec![ScopeSpans {
                scope: Some(Scope {
                    name: "workload".to_owned(),
                    version: "1".to_owned(),
                }),
                spans: spans.iter().map(OtlpSpan::of).collect(),
            }],
        }],
    }
}

impl OtlpSpan {
    fn of(span: &Span) -> Self {
        let begin = span.timestamp.unwrap_or_default();
        let (id, parent) = if span.shared {
            (span.id.value() ^ SERVER_HALF, Some(span.id.value()))
        } else {
            (span.id.value(), span.parent_id.map(|parent| parent.value()))
        };
        let status = span.tag("error").map(|message| Status {
            message: message.to_owned(),
            code: CODE_ERROR,
        });
        let trace_id = [
            span.trace_id.high().to_be_bytes(),
            span.trace_id.low().to_be_bytes(),
        ];
        Self {
            trace_id: trace_id.concat(),
            span_id: id.to_be_bytes().to_vec(),
            parent_span_id: parent.map_or_else(Vec::new, |parent| parent.to_be_bytes().to_vec()),
            name: span.name.clone().unwrap_or_default(),
            kind: kind(span.kind),
            start_time_unix_nano: begin * 1_000,
            end_time_unix_nano: (begin + span.duration.unwrap_or_default()) * 1_000,
            attributes: attributes(span),
            events: span.annotations.iter().map(event).collect(),
            status,
        }
    }
}

fn kind(kind: Option<Kind>) -> i32 {
    match kind {
        None => 1,
        Some(Kind::Server) => 2,
        Some(Kind::Client) => 3,
        Some(Kind::Producer) => 4,
        Some(Kind::Consumer) => 5,
    }
}

fn attributes(span: &Span) -> Vec<Attribute> {
    let own = span
        .tags
        .iter()
        .filter(|(key, _)| key != "service.version" && key != "error");
    let mut attributes: Vec<_> = own.map(|(key, value)| typed(key, value)).collect();
    if let Some(remote) = &span.remote_endpoint {
        attributes.extend(
            remote
                .service_name
                .as_deref()
                .map(|name| text("peer.service", name)),
        );
        let address = remote.ip.v4;
        attributes.extend(address.map(|address| text("network.peer.address", &address.to_string())));
        if remote.port != 0 {
            attributes.push(attribute("network.peer.port", Value::Number(remote.port.into())));
        }
    }
    attributes
}

fn typed(key: &str, value: &str) -> Attribute {
    let typed = if NUMBERS.contains(&key) {
        value.parse().ok().map(Value::Number)
    } else if TRUTHS.contains(&key) {
        value.parse().ok().map(Value::Truth)
    } else {
        None
    };
    attribute(key, typed.unwrap_or_else(|| Value::Text(value.to_owned())))
}

fn text(key: &str, value: &str) -> Attribute {
    attribute(key, Value::Text(value.to_owned()))
}

fn attribute(key: &str, value: Value) -> Attribute {
    Attribute {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

fn event(annotation: &model::Annotation) -> Event {
    Event {
        time_unix_nano: annotation.timestamp * 1_000,
        name: annotation.value.clone(),
    }
}

/// Identifiers are hexadecimal, 64 bits are text, as OpenTelemetry's JSON has it.
impl Request {
    fn json(&self) -> Json {
        let resource_spans = self.resource_spans.iter().map(|resource_spans| {
            let resource = resource_spans.resource.clone().unwrap_or_default();
            let scope_spans = resource_spans.scope_spans.iter().map(|scope_spans| {
                let scope = scope_spans.scope.clone().unwrap_or_default();
                json!({
                    "scope": {"name": scope.name, "version": scope.version},
                    "spans": scope_spans.spans.iter().map(OtlpSpan::json).collect::<Vec<_>>(),
                })
            });
            json!({
                "resource": {"attributes": attributes_json(&resource.attributes)},
                "scopeSpans": scope_spans.collect::<Vec<_>>(),
            })
        });
        json!({"resourceSpans": resource_spans.collect::<Vec<_>>()})
    }
}

impl OtlpSpan {
    fn json(&self) -> Json {
        let events = self
            .events
            .iter()
            .map(|event| json!({"name": event.name, "timeUnixNano": event.time_unix_nano.to_string()}));
        let status = self.status.clone().unwrap_or_default();
        json!({
            "traceId": hex(&self.trace_id),
            "spanId": hex(&self.span_id),
            "parentSpanId": hex(&self.parent_span_id),
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": self.start_time_unix_nano.to_string(),
            "endTimeUnixNano": self.end_time_unix_nano.to_string(),
            "attributes": attributes_json(&self.attributes),
            "events": events.collect::<Vec<_>>(),
            "status": {"code": status.code, "message": status.message},
        })
    }
}

fn attributes_json(attributes: &[Attribute]) -> Vec<Json> {
    let value = |attribute: &Attribute| match attribute.value.clone().and_then(|value| value.value) {
        Some(Value::Text(text)) => json!({"stringValue": text}),
        Some(Value::Truth(truth)) => json!({"boolValue": truth}),
        Some(Value::Number(number)) => json!({"intValue": number.to_string()}),
        None => json!({}),
    };
    let attributes = attributes
        .iter()
        .map(|attribute| json!({"key": attribute.key, "value": value(attribute)}));
    attributes.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
