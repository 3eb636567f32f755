//! Spans to test with: small ones built by chaining, and whole traces of frontend, backend and db.
//!
//! Times are relative to [`today`], so that no retention and no window of days is in the way.

use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use model::{Annotation, DependencyLink, Endpoint, IpAddresses, Kind, Span, SpanId, TraceId};

use crate::{TraceQuery, TraceQueryBuilder};

/// Milliseconds.
pub const DAY: u64 = 86_400_000;

/// Last midnight UTC, epoch milliseconds. The same all through a run, even one that sees midnight.
pub fn today() -> u64 {
    static TODAY: LazyLock<u64> = LazyLock::new(|| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_millis() as u64);
        now - now % DAY
    });
    *TODAY
}

/// A moment of today in epoch microseconds.
pub fn at(micros: u64) -> u64 {
    today() * 1000 + micros
}

/// A 64-bit trace identifier; `low` is not zero.
pub fn trace_id(low: u64) -> TraceId {
    long_trace_id(0, low)
}

/// A 128-bit trace identifier; one of the halves is not zero.
pub fn long_trace_id(high: u64, low: u64) -> TraceId {
    TraceId::new(high, low).unwrap_or_else(|| panic!("a trace identifier is not zero"))
}

/// An endpoint of a service; equal names have equal addresses.
pub fn endpoint(service_name: &str) -> Endpoint {
    let last = service_name.bytes().fold(1, u8::wrapping_add);
    let ip = IpAddresses {
        v4: Some(Ipv4Addr::new(10, 0, 0, last)),
        v6: None,
    };
    Endpoint {
        service_name: Some(service_name.to_owned()),
        ip,
        port: 8080,
    }
}

/// A link without errors.
pub fn link(parent: &str, child: &str, call_count: u64) -> DependencyLink {
    DependencyLink {
        parent: parent.to_owned(),
        child: child.to_owned(),
        call_count,
        error_count: 0,
    }
}

/// A search of everything from yesterday to tomorrow, at most 100 traces.
pub fn query() -> TraceQueryBuilder {
    TraceQueryBuilder {
        end_ts: (today() + DAY) as i64,
        lookback: 2 * DAY as i64,
        limit: 100,
        ..TraceQuery::builder()
    }
}

/// [`query`] of a service.
pub fn query_of(service_name: &str) -> TraceQueryBuilder {
    TraceQueryBuilder {
        service_name: Some(service_name.to_owned()),
        ..query()
    }
}

/// A span with nothing but identifiers.
pub fn bare_span(trace_id: TraceId, id: u64) -> Span {
    Span {
        trace_id,
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

/// A root span of `frontend` named `get`, `id` milliseconds after midnight, that lasts 1 ms.
pub fn span(trace_id: TraceId, id: u64) -> Span {
    bare_span(trace_id, id)
        .named("get")
        .at(at(id * 1000))
        .lasting(1000)
        .local("frontend")
}

/// What chains on a span.
pub trait Build: Sized {
    /// With a name.
    fn named(self, name: &str) -> Self;
    /// With a parent.
    fn child_of(self, parent_id: u64) -> Self;
    /// With a kind.
    fn of_kind(self, kind: Kind) -> Self;
    /// With a timestamp, epoch microseconds.
    fn at(self, timestamp: u64) -> Self;
    /// With a duration, microseconds.
    fn lasting(self, duration: u64) -> Self;
    /// Recorded by a service.
    fn local(self, service_name: &str) -> Self;
    /// With a service on the other side.
    fn remote(self, service_name: &str) -> Self;
    /// With a tag.
    fn tag(self, key: &str, value: &str) -> Self;
    /// With an annotation at the span's timestamp.
    fn annotation(self, value: &str) -> Self;
    /// As the server's half of a shared span.
    fn shared(self) -> Self;
}

impl Build for Span {
    fn named(self, name: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            ..self
        }
    }

    fn child_of(self, parent_id: u64) -> Self {
        Self {
            parent_id: Some(SpanId::new(parent_id)),
            ..self
        }
    }

    fn of_kind(self, kind: Kind) -> Self {
        Self {
            kind: Some(kind),
            ..self
        }
    }

    fn at(self, timestamp: u64) -> Self {
        Self {
            timestamp: Some(timestamp),
            ..self
        }
    }

    fn lasting(self, duration: u64) -> Self {
        Self {
            duration: Some(duration),
            ..self
        }
    }

    fn local(self, service_name: &str) -> Self {
        Self {
            local_endpoint: Some(endpoint(service_name)),
            ..self
        }
    }

    fn remote(self, service_name: &str) -> Self {
        Self {
            remote_endpoint: Some(endpoint(service_name)),
            ..self
        }
    }

    fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self.tags.sort();
        self
    }

    fn annotation(mut self, value: &str) -> Self {
        let timestamp = self.timestamp.unwrap_or(1);
        self.annotations.push(Annotation {
            timestamp,
            value: value.to_owned(),
        });
        self.annotations.sort();
        self
    }

    fn shared(self) -> Self {
        Self { shared: true, ..self }
    }
}

/// `frontend` calls `backend`, as the caller saw it: span 2 of a trace, child of span 1.
pub fn client_span(trace_id: TraceId) -> Span {
    bare_span(trace_id, 2)
        .child_of(1)
        .of_kind(Kind::Client)
        .named("get /items")
        .at(at(50_000))
        .lasting(200_000)
        .local("frontend")
        .remote("backend")
        .annotation("connected")
        .tag("http.method", "GET")
        .tag("http.path", "/items")
}

/// The same call as `backend` saw it.
pub fn server_span(trace_id: TraceId) -> Span {
    bare_span(trace_id, 2)
        .child_of(1)
        .of_kind(Kind::Server)
        .named("get /items")
        .at(at(80_000))
        .lasting(120_000)
        .local("backend")
        .remote("frontend")
        .tag("http.method", "GET")
        .shared()
}

/// `frontend` calls `backend`, which calls `db` in vain: [`links_of_traces`].
pub fn whole_trace(trace_id: TraceId) -> Vec<Span> {
    vec![
        bare_span(trace_id, 1)
            .of_kind(Kind::Server)
            .named("get")
            .at(at(10_000))
            .lasting(300_000)
            .local("frontend"),
        client_span(trace_id),
        server_span(trace_id),
        bare_span(trace_id, 3)
            .child_of(2)
            .of_kind(Kind::Client)
            .named("query")
            .at(at(100_000))
            .lasting(50_000)
            .local("backend")
            .remote("db")
            .annotation("retry")
            .tag("error", "deadlock"),
    ]
}

/// The links of `traces` traces like [`whole_trace`], sorted.
pub fn links_of_traces(traces: u64) -> Vec<DependencyLink> {
    vec![
        DependencyLink {
            error_count: traces,
            ..link("backend", "db", traces)
        },
        link("frontend", "backend", traces),
    ]
}

/// A trace moved in time, by whole microseconds.
pub fn shifted(mut trace: Vec<Span>, micros: i64) -> Vec<Span> {
    for span in &mut trace {
        span.timestamp = span
            .timestamp
            .map(|timestamp| timestamp.saturating_add_signed(micros));
        for annotation in &mut span.annotations {
            annotation.timestamp = annotation.timestamp.saturating_add_signed(micros);
        }
    }
    trace
}

/// Spans in a fixed order, for comparison.
pub fn sorted(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort();
    spans
}
