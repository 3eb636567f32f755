//! Spans in few words, well formed and broken ones.

use model::{Annotation, Endpoint, Kind, Span, SpanId, TraceId};
use proptest::prelude::*;

/// A span of trace 1 with nothing but its id.
pub(crate) fn span(id: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, 1).expect("it is not zero"),
        parent_id: None,
        id: SpanId::new(id),
        kind: None,
        name: None,
        timestamp: None,
        duration: None,
        local_endpoint: None,
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: Vec::new(),
        debug: false,
        shared: false,
    }
}

pub(crate) fn client(id: u64) -> Span {
    Span {
        kind: Some(Kind::Client),
        ..span(id)
    }
}

pub(crate) fn server(id: u64) -> Span {
    Span {
        kind: Some(Kind::Server),
        ..span(id)
    }
}

pub(crate) fn producer(id: u64) -> Span {
    Span {
        kind: Some(Kind::Producer),
        ..span(id)
    }
}

pub(crate) fn consumer(id: u64) -> Span {
    Span {
        kind: Some(Kind::Consumer),
        ..span(id)
    }
}

/// An endpoint with only a service name.
pub(crate) fn service(name: &str) -> Endpoint {
    Endpoint {
        service_name: Some(name.to_owned()),
        ..Endpoint::default()
    }
}

/// An endpoint with only an address.
pub(crate) fn address(ip: &str) -> Endpoint {
    let mut endpoint = Endpoint::default();
    assert!(endpoint.ip.insert_text(ip));
    endpoint
}

/// Words to describe a span.
pub(crate) trait Describe: Sized {
    fn below(self, parent: u64) -> Self;
    fn on(self, service_name: &str) -> Self;
    fn to(self, service_name: &str) -> Self;
    fn at(self, timestamp: u64, duration: u64) -> Self;
    fn shared(self) -> Self;
    fn tagged(self, key: &str, value: &str) -> Self;
    fn annotated(self, timestamp: u64, value: &str) -> Self;
}

impl Describe for Span {
    fn below(self, parent: u64) -> Self {
        Span {
            parent_id: Some(SpanId::new(parent)),
            ..self
        }
    }

    fn on(self, service_name: &str) -> Self {
        Span {
            local_endpoint: Some(service(service_name)),
            ..self
        }
    }

    fn to(self, service_name: &str) -> Self {
        Span {
            remote_endpoint: Some(service(service_name)),
            ..self
        }
    }

    /// Zero is none.
    fn at(self, timestamp: u64, duration: u64) -> Self {
        let present = |value| Some(value).filter(|&value| value != 0);
        Span {
            timestamp: present(timestamp),
            duration: present(duration),
            ..self
        }
    }

    fn shared(self) -> Self {
        Span { shared: true, ..self }
    }

    fn tagged(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self.tags.sort();
        self
    }

    fn annotated(mut self, timestamp: u64, value: &str) -> Self {
        self.annotations.push(Annotation {
            timestamp,
            value: value.to_owned(),
        });
        self.annotations.sort();
        self
    }
}

/// Traces of up to `most` spans that are broken in every way: few ids, services and moments, so that spans
/// collide, contradict, lack parents and times, and form cycles.
pub(crate) fn any_trace(most: usize) -> impl Strategy<Value = Vec<Span>> {
    prop::collection::vec(any_span(), 0..=most)
}

fn any_span() -> impl Strategy<Value = Span> {
    let ids = (1..12u64, prop::option::of(1..12u64), any::<bool>(), any::<bool>());
    let times = (prop::option::of(1..100u64), prop::option::of(1..60u64));
    let endpoint = prop::option::of((prop::option::of(0..4u8), prop::option::of(1..3u8), 0..2u16));
    let rest = (
        prop::option::of(1..5u64),
        prop::collection::vec((0..3u8, 0..3u8), 0..3),
    );
    (ids, times, endpoint, rest).prop_map(
        |((id, parent, shared, long), (timestamp, duration), endpoint, rest)| {
            let kind = rest.0.and_then(Kind::from_number);
            let endpoint = endpoint.map(|(name, ip, port)| {
                let mut endpoint =
                    ip.map_or_else(Endpoint::default, |last| address(&format!("10.0.0.{last}")));
                endpoint.service_name = name.map(|name| format!("service-{name}"));
                Endpoint { port, ..endpoint }
            });
            let mut tags: Vec<_> = rest
                .1
                .iter()
                .map(|(key, value)| (format!("k{key}"), value.to_string()))
                .collect();
            tags.sort();
            tags.dedup_by(|a, b| a.0 == b.0);
            Span {
                trace_id: TraceId::new(long.into(), 1).expect("the low half is not zero"),
                parent_id: parent.filter(|&parent| parent != id).map(SpanId::new),
                kind,
                timestamp,
                duration,
                local_endpoint: endpoint.and_then(Endpoint::into_option),
                tags,
                shared: shared && kind != Some(Kind::Client),
                ..span(id)
            }
        },
    )
}
