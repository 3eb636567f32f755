//! A v2 span as a v1 one, for clients and schemas that know no other.
//!
//! The kind becomes the core annotation that opens the span, at its timestamp, and the one that closes it, at
//! its timestamp plus duration; the local endpoint goes to every annotation; the remote endpoint becomes an
//! address. What v1 cannot say is lost: `shared` (only hinted at by leaving out timestamp and duration), and
//! the local endpoint of a span that has a remote one but nothing else to hang it on.

use std::borrow::Cow;

use model::Kind;

use super::{Annotation, BinaryAnnotation, BinaryValue, Endpoint, Span};

/// The v1 form of `span`, borrowing its text.
pub fn from_v2(span: &model::Span) -> Span<'_> {
    let events = Events::of(span);
    let endpoint = span.local_endpoint.as_ref().map(borrow);
    let mut v1 = Span {
        trace_id_high: span.trace_id.high(),
        trace_id: span.trace_id.low(),
        parent_id: span.parent_id.map_or(0, |id| id.value()),
        id: span.id.value(),
        name: Cow::Borrowed(span.name.as_deref().unwrap_or_default()),
        debug: span.debug,
        ..Span::default()
    };
    // Those of a shared span are the client's, and that is not this half of it.
    if !span.shared {
        v1.timestamp = signed(span.timestamp);
        v1.duration = signed(span.duration);
    }
    v1.annotations = annotations(span, &events, endpoint.as_ref());
    v1.binary_annotations = binary_annotations(span, &events, endpoint.as_ref());
    if v1.annotations.is_empty() && span.tags.is_empty() && endpoint.is_some() {
        let marker = BinaryAnnotation {
            key: "lc".into(),
            value: BinaryValue::Text("".into()),
            endpoint,
        };
        v1.binary_annotations.insert(0, marker);
    }
    // Zipkin's order, which is stable.
    v1.annotations
        .sort_by(|a, b| (a.timestamp, &a.value).cmp(&(b.timestamp, &b.value)));
    v1.binary_annotations.sort_by(|a, b| a.key.cmp(&b.key));
    v1
}

fn annotations<'a>(
    span: &'a model::Span,
    events: &Events,
    endpoint: Option<&Endpoint<'a>>,
) -> Vec<Annotation<'a>> {
    let mut annotations = Vec::with_capacity(span.annotations.len() + 2);
    let mut add = |timestamp: i64, value: &'a str| {
        annotations.push(Annotation {
            timestamp,
            value: Cow::Borrowed(value),
            endpoint: endpoint.cloned(),
        });
    };
    let begin = events.begin.filter(|_| events.begin_timestamp != 0);
    let end = events.end.filter(|_| events.end_timestamp != 0);
    if let Some(value) = begin {
        add(events.begin_timestamp, value);
    }
    for annotation in &span.annotations {
        let value = annotation.value.as_str();
        if begin != Some(value) && end != Some(value) {
            add(annotation.timestamp as i64, value);
        }
    }
    if let Some(value) = end {
        add(events.end_timestamp, value);
    }
    annotations
}

fn binary_annotations<'a>(
    span: &'a model::Span,
    events: &Events,
    endpoint: Option<&Endpoint<'a>>,
) -> Vec<BinaryAnnotation<'a>> {
    let tags = span.tags.iter().map(|(key, value)| BinaryAnnotation {
        key: Cow::Borrowed(key.as_str()),
        value: BinaryValue::Text(Cow::Borrowed(value.as_str())),
        endpoint: endpoint.cloned(),
    });
    let address = span.remote_endpoint.as_ref().map(|remote| BinaryAnnotation {
        key: Cow::Borrowed(events.address),
        value: BinaryValue::Address,
        endpoint: Some(borrow(remote)),
    });
    tags.chain(address).collect()
}

/// What the kind of a span is called in v1, and when that happened.
struct Events {
    begin: Option<&'static str>,
    /// Zero means unknown; so for `end_timestamp`.
    begin_timestamp: i64,
    end: Option<&'static str>,
    end_timestamp: i64,
    /// The key of the remote endpoint.
    address: &'static str,
}

impl Events {
    /// Core annotations that a v2 span still has tell the kind better than the kind itself, and widen the span.
    fn of(span: &model::Span) -> Self {
        let begin_timestamp = signed(span.timestamp);
        let mut kind = span.kind;
        let mut rpc = Moments {
            begin: begin_timestamp,
            end: end_timestamp(span),
        };
        let mut messaging = MessagingMoments::default();
        for annotation in &span.annotations {
            let at = annotation.timestamp as i64;
            match annotation.value.as_str() {
                "cs" => (kind, rpc.begin) = (Some(Kind::Client), rpc.begin.min(at)),
                "sr" => (kind, rpc.begin) = (Some(Kind::Server), rpc.begin.min(at)),
                "cr" => (kind, rpc.end) = (Some(Kind::Client), rpc.end.max(at)),
                "ss" => (kind, rpc.end) = (Some(Kind::Server), rpc.end.max(at)),
                "ms" => (kind, messaging.ms) = (Some(Kind::Producer), at),
                "mr" => (kind, messaging.mr) = (Some(Kind::Consumer), at),
                "ws" => messaging.ws = at,
                "wr" => messaging.wr = at,
                _ => {}
            }
        }
        let (begin, end, address, moments) = match kind {
            None => (None, None, "sa", rpc),
            Some(Kind::Client) => (Some("cs"), Some("cr"), "sa", rpc),
            Some(Kind::Server) => (Some("sr"), Some("ss"), "ca", rpc),
            Some(Kind::Producer) => (
                Some("ms"),
                Some("ws"),
                "ma",
                rpc.widened(messaging.ms, messaging.ws),
            ),
            Some(Kind::Consumer) => {
                let moments = rpc.widened(messaging.wr, messaging.mr);
                if moments.end != 0 || messaging.wr != 0 {
                    (Some("wr"), Some("mr"), "ma", moments)
                } else {
                    (Some("mr"), None, "ma", moments)
                }
            }
        };
        Self {
            begin,
            begin_timestamp: moments.begin,
            end,
            end_timestamp: moments.end,
            address,
        }
    }
}

#[derive(Default)]
struct MessagingMoments {
    ms: i64,
    ws: i64,
    wr: i64,
    mr: i64,
}

/// When something began and ended; zero means unknown.
struct Moments {
    begin: i64,
    end: i64,
}

impl Moments {
    fn widened(self, begin: i64, end: i64) -> Self {
        let earlier = self.begin == 0 || (begin != 0 && begin < self.begin);
        let later = self.end == 0 || (end != 0 && end > self.end);
        Self {
            begin: if earlier { begin } else { self.begin },
            end: if later { end } else { self.end },
        }
    }
}

fn end_timestamp(span: &model::Span) -> i64 {
    match (span.timestamp, span.duration) {
        (Some(timestamp), Some(duration)) => (timestamp as i64).wrapping_add(duration as i64),
        _ => 0,
    }
}

/// Timestamps and durations fit: [`model::Span`] says so.
fn signed(microseconds: Option<u64>) -> i64 {
    microseconds.unwrap_or(0) as i64
}

/// The same endpoint, its text borrowed.
pub fn borrow(endpoint: &model::Endpoint) -> Endpoint<'_> {
    Endpoint {
        service_name: Cow::Borrowed(endpoint.service_name.as_deref().unwrap_or_default()),
        ip: endpoint.ip,
        port: endpoint.port,
    }
}
