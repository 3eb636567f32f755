//! Spans for tests: any normalised span, and spans as JSON values.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::{Annotation, Endpoint, IpAddresses, Kind, Span, SpanId, TraceId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Zipkin's v2 JSON of a span, as a value: independent of the writer under test elsewhere.
pub(crate) fn to_json(span: &Span) -> Value {
    let mut json = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            json.insert(key.to_owned(), value);
        }
    };
    put("traceId", Some(json!(span.trace_id.to_string())));
    put("parentId", span.parent_id.map(|id| json!(id.to_string())));
    put("id", Some(json!(span.id.to_string())));
    put("kind", span.kind.map(|kind| json!(kind.as_str())));
    put("name", span.name.as_ref().map(|name| json!(name)));
    put("timestamp", span.timestamp.map(|timestamp| json!(timestamp)));
    put("duration", span.duration.map(|duration| json!(duration)));
    put(
        "localEndpoint",
        span.local_endpoint.as_ref().map(endpoint_to_json),
    );
    put(
        "remoteEndpoint",
        span.remote_endpoint.as_ref().map(endpoint_to_json),
    );
    let annotations: Vec<Value> = span
        .annotations
        .iter()
        .map(|a| json!({ "timestamp": a.timestamp, "value": a.value }))
        .collect();
    put(
        "annotations",
        Some(json!(annotations)).filter(|_| !annotations.is_empty()),
    );
    let tags: Map<String, Value> = span
        .tags
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    put("tags", Some(json!(tags)).filter(|_| !tags.is_empty()));
    put("debug", Some(json!(true)).filter(|_| span.debug));
    put("shared", Some(json!(true)).filter(|_| span.shared));
    Value::Object(json)
}

fn endpoint_to_json(endpoint: &Endpoint) -> Value {
    let mut json = Map::new();
    let texts = [
        ("serviceName", endpoint.service_name.clone()),
        ("ipv4", endpoint.ip.v4.map(|ip| ip.to_string())),
        ("ipv6", endpoint.ip.v6.map(|ip| ip.to_string())),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            json.insert(key.to_owned(), json!(text));
        }
    }
    if endpoint.port != 0 {
        json.insert("port".to_owned(), json!(endpoint.port));
    }
    Value::Object(json)
}

/// Any span that keeps the invariants of [`Span`], with non-empty annotation values and tag keys: proto3
/// cannot tell an empty text from an absent one, and Zipkin's reader takes it for absent.
pub(crate) fn any_span() -> impl Strategy<Value = Span> {
    let ids = (
        any::<(u64, u64)>(),
        proptest::option::of(1..u64::MAX),
        1..u64::MAX,
    );
    let times = (
        proptest::option::of(1..=i64::MAX as u64),
        proptest::option::of(1..=i64::MAX as u64),
    );
    let kind = proptest::option::of((1u64..=4).prop_map(|number| Kind::from_number(number).expect("a kind")));
    let annotation =
        (1..=i64::MAX as u64, "\\PC{1,9}").prop_map(|(timestamp, value)| Annotation { timestamp, value });
    let annotations = proptest::collection::btree_set(annotation, 0..4);
    let tags = proptest::collection::btree_map("\\PC{1,9}", "\\PC{0,200}", 0..4);
    let flags = any::<(bool, bool)>();
    let parts = (
        ids,
        times,
        kind,
        any_name(),
        any_endpoint(),
        any_endpoint(),
        annotations,
        tags,
        flags,
    );
    parts.prop_map(
        |(ids, times, kind, name, local_endpoint, remote_endpoint, annotations, tags, (debug, shared))| {
            let ((high, low), parent_id, id) = ids;
            Span {
                trace_id: TraceId::new(high, low.max(1)).expect("not zero"),
                parent_id: parent_id.filter(|&parent| parent != id).map(SpanId::new),
                id: SpanId::new(id),
                kind,
                name,
                timestamp: times.0,
                duration: times.1,
                local_endpoint,
                remote_endpoint,
                annotations: annotations.into_iter().collect(),
                tags: tags.into_iter().collect(),
                debug,
                shared: shared && kind != Some(Kind::Client),
            }
        },
    )
}

fn any_name() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[a-zß-ö0-9 /]{1,40}")
}

fn any_endpoint() -> impl Strategy<Value = Option<Endpoint>> {
    let v4 = proptest::option::of(any::<[u8; 4]>().prop_map(Ipv4Addr::from));
    let v6 = proptest::option::of(any::<[u16; 8]>().prop_map(|mut groups| {
        // Not an embedded IPv4 address: that would be moved to where it belongs.
        groups[0] |= 0x2000;
        Ipv6Addr::from(groups)
    }));
    (any_name(), v4, v6, any::<u16>()).prop_map(|(service_name, v4, v6, port)| {
        Endpoint {
            service_name,
            ip: IpAddresses { v4, v6 },
            port,
        }
        .into_option()
    })
}
