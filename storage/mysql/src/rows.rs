//! Spans as rows of Zipkin's tables, which hold v1 spans, and back (`zipkin.md` 8.1).
//!
//! A span is one row of `zipkin_spans`, shared by everyone who reported on it, and a row of `zipkin_annotations` for
//! each annotation, tag and address. Rows of annotations say who logged them: from these the halves of a span are
//! told apart again.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use model::{IpAddresses, Kind, Span, SpanBatch};
use proto::v1::{self, BinaryValue, Endpoint};

use crate::schema::Schema;

/// `a_type` of an annotation, an address and a tag.
pub(crate) const ANNOTATION: i32 = -1;
pub(crate) const ADDRESS: i32 = 0;
pub(crate) const TAG: i32 = 6;

/// A row of `zipkin_spans`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SpanRow<'a> {
    pub(crate) trace_id: (i64, i64),
    pub(crate) id: i64,
    /// Empty where there is none.
    pub(crate) name: Cow<'a, str>,
    /// The same.
    pub(crate) remote_service_name: Cow<'a, str>,
    pub(crate) parent_id: Option<i64>,
    pub(crate) debug: bool,
    pub(crate) start_ts: Option<i64>,
    pub(crate) duration: Option<i64>,
}

/// A row of `zipkin_annotations`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AnnotationRow<'a> {
    pub(crate) trace_id: (i64, i64),
    pub(crate) span_id: i64,
    pub(crate) key: Cow<'a, str>,
    pub(crate) value: Option<Cow<'a, [u8]>>,
    pub(crate) kind: i32,
    pub(crate) timestamp: i64,
    pub(crate) endpoint: Option<EndpointColumns<'a>>,
}

/// The columns of who logged something, or whose address it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EndpointColumns<'a> {
    /// Empty where there is none.
    pub(crate) service_name: Cow<'a, str>,
    pub(crate) ipv4: Option<i32>,
    pub(crate) ipv6: Option<[u8; 16]>,
    pub(crate) port: Option<i16>,
}

/// The rows of some spans.
#[derive(Debug, Default)]
pub(crate) struct Rows<'a> {
    /// Of spans that own their timestamps.
    pub(crate) spans: Vec<SpanRow<'a>>,
    /// Of servers' halves of spans that a client began: what the client says of the time is better.
    pub(crate) shared: Vec<SpanRow<'a>>,
    pub(crate) annotations: Vec<AnnotationRow<'a>>,
}

impl<'a> Rows<'a> {
    /// The rows of spans, in the order of their keys: two writers that take rows in the same order do not wait for
    /// each other.
    pub(crate) fn of(spans: &'a [Span], schema: &Schema) -> Self {
        let mut rows = Self::default();
        for span in spans {
            rows.add(span, schema);
        }
        // Stable: of two reports on one span the later one counts.
        rows.spans.sort_by_key(|row| (row.trace_id, row.id));
        rows.shared.sort_by_key(|row| (row.trace_id, row.id));
        rows.annotations.sort_by_key(|row| (row.trace_id, row.span_id));
        rows
    }

    fn add(&mut self, span: &'a Span, schema: &Schema) {
        let v1 = v1::from_v2(span);
        let row = SpanRow::of(span, &v1, schema);
        let trace_id = row.trace_id;
        match span.shared {
            true => self.shared.push(row),
            false => self.spans.push(row),
        }
        let annotation = |key: &str, value, kind, timestamp, endpoint: Option<&Endpoint<'_>>| AnnotationRow {
            trace_id,
            span_id: v1.id as i64,
            key: Cow::Owned(schema.fit(key).into_owned()),
            value,
            kind,
            timestamp,
            endpoint: endpoint.map(|endpoint| EndpointColumns::of(endpoint, schema)),
        };
        let first = self.annotations.len();
        for one in &v1.annotations {
            let endpoint = one.endpoint.as_ref();
            self.annotations
                .push(annotation(&one.value, None, ANNOTATION, one.timestamp, endpoint));
        }
        if let Some(kind) = span.kind.filter(|_| span.timestamp.is_none()) {
            // At no time: otherwise the kind would be lost.
            let local = span.local_endpoint.as_ref().map(v1::borrow);
            self.annotations
                .push(annotation(begin_of(kind), None, ANNOTATION, 0, local.as_ref()));
        }
        let own = self.annotations[first..].iter();
        let mut taken: HashSet<_> = own.map(|row| (row.timestamp, row.key.clone())).collect();
        // Both halves of a span may have the same tag at the same time, which would be one row.
        let timestamp = span.timestamp.map_or(0, |timestamp| timestamp as i64) + i64::from(span.shared);
        for one in &v1.binary_annotations {
            let (value, kind) = match &one.value {
                BinaryValue::Text(text) => (Schema::fit_value(text).to_vec(), TAG),
                BinaryValue::Address => (vec![1], ADDRESS),
            };
            let value = Some(Cow::Owned(value));
            let endpoint = one.endpoint.as_ref();
            let mut row = annotation(&one.key, value, kind, timestamp, endpoint);
            // And so would a tag and an annotation of the same text.
            while !taken.insert((row.timestamp, row.key.clone())) {
                row.timestamp += 2;
            }
            self.annotations.push(row);
        }
        if self.annotations.len() == first && trace_id.0 != 0 {
            // Says nothing, as Zipkin reads it; without it nothing leads from the low half of the identifier to the
            // high one.
            let nothing = Some(Cow::Owned(Vec::new()));
            self.annotations
                .push(annotation("lc", nothing, TAG, timestamp, None));
        }
    }
}

impl<'a> SpanRow<'a> {
    fn of(span: &'a Span, v1: &v1::Span<'_>, schema: &Schema) -> Self {
        let high = if schema.has_trace_id_high {
            v1.trace_id_high
        } else {
            0
        };
        Self {
            trace_id: (high as i64, v1.trace_id as i64),
            id: v1.id as i64,
            name: schema.fit(span.name.as_deref().unwrap_or_default()),
            remote_service_name: schema.fit(span.remote_service_name().unwrap_or_default()),
            parent_id: Some(v1.parent_id as i64).filter(|&id| id != 0),
            debug: v1.debug,
            start_ts: span.timestamp.map(|timestamp| timestamp as i64),
            duration: Some(v1.duration).filter(|&duration| duration != 0),
        }
    }
}

/// The annotation that a span of a kind begins with.
fn begin_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Client => "cs",
        Kind::Server => "sr",
        Kind::Producer => "ms",
        Kind::Consumer => "mr",
    }
}

impl EndpointColumns<'_> {
    fn of(endpoint: &Endpoint<'_>, schema: &Schema) -> Self {
        Self {
            service_name: Cow::Owned(schema.fit(&endpoint.service_name).into_owned()),
            ipv4: endpoint
                .ip
                .v4
                .map(|v4| u32::from(v4) as i32)
                .filter(|&v4| v4 != 0),
            ipv6: endpoint.ip.v6.map(|v6| v6.octets()),
            port: Some(endpoint.port as i16).filter(|&port| port != 0),
        }
    }

    /// Whose it is; a host of which nothing is known is one nevertheless.
    fn endpoint(&self) -> Endpoint<'_> {
        let ip = IpAddresses {
            v4: self.ipv4.map(|v4| Ipv4Addr::from(v4 as u32)),
            v6: self.ipv6.map(Ipv6Addr::from),
        };
        let port = self.port.unwrap_or_default() as u16;
        Endpoint::read(Cow::Borrowed(self.service_name.as_ref()), ip, port).unwrap_or_default()
    }
}

/// Makes spans of their rows. Rows of annotations that belong to no row of spans are nobody's.
pub(crate) fn to_spans(spans: &[SpanRow<'_>], annotations: &[AnnotationRow<'_>]) -> Vec<Span> {
    let mut by_span: HashMap<((i64, i64), i64), Vec<&AnnotationRow<'_>>> = HashMap::new();
    for row in annotations {
        by_span.entry((row.trace_id, row.span_id)).or_default().push(row);
    }
    let mut batch = SpanBatch::new();
    for row in spans {
        let of_span = by_span.remove(&(row.trace_id, row.id)).unwrap_or_default();
        // Refused is only one whose trace identifier is zero, which nobody can ask for.
        if let Err(error) = v1::split(v1_span(row, &of_span), &mut batch) {
            tracing::debug!(%error, "a row of zipkin_spans is no span");
        }
    }
    batch.iter().map(|span| span.to_span()).collect()
}

fn v1_span<'r>(row: &'r SpanRow<'_>, annotations: &[&'r AnnotationRow<'_>]) -> v1::Span<'r> {
    let mut span = v1::Span {
        trace_id_high: row.trace_id.0 as u64,
        trace_id: row.trace_id.1 as u64,
        parent_id: row.parent_id.unwrap_or_default() as u64,
        id: row.id as u64,
        name: Cow::Borrowed(row.name.as_ref()),
        timestamp: row.start_ts.unwrap_or_default(),
        duration: row.duration.unwrap_or_default(),
        debug: row.debug,
        ..v1::Span::default()
    };
    for row in annotations {
        let endpoint = Some(
            row.endpoint
                .as_ref()
                .map(EndpointColumns::endpoint)
                .unwrap_or_default(),
        );
        let key = Cow::Borrowed(row.key.as_ref());
        match row.kind {
            ANNOTATION => span.annotations.push(v1::Annotation {
                timestamp: row.timestamp,
                value: key,
                endpoint,
            }),
            TAG => span.binary_annotations.push(v1::BinaryAnnotation {
                key,
                value: BinaryValue::Text(String::from_utf8_lossy(row.value.as_deref().unwrap_or_default())),
                endpoint,
            }),
            ADDRESS if row.value.as_deref() == Some(&[1]) => {
                span.binary_annotations.push(v1::BinaryAnnotation {
                    key,
                    value: BinaryValue::Address,
                    endpoint,
                });
            }
            // Numbers and other types of v1 mean nothing today.
            _ => {}
        }
    }
    span
}
