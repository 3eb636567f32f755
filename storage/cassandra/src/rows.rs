//! Spans as rows of Zipkin's tables (`zipkin.md` 8.2), and as they come back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use model::{Annotation, Endpoint, IpAddresses, Kind, Span, SpanId, TraceId};
use scylla::value::{CqlTimeuuid, MaybeUnset};
use scylla::{DeserializeRow, DeserializeValue, SerializeRow, SerializeValue};
use xxhash_rust::xxh3::Xxh3;

/// Bytes of a key of a table have an end, and in some tables two names share one.
const NAME_BYTES_MAX: usize = 30_000;
/// Bytes of a key in a map.
const KEY_BYTES_MAX: usize = 65_535;
/// Characters, as Java counts them, of what Zipkin has tags and annotations found by.
const INDEXED_CHARS_MAX: usize = 256;
/// Bytes of what an index of Cassandra finds something by.
const TERM_BYTES_MAX: usize = 1_024;
/// What stands between the values in `annotation_query`.
const DELIMITER: char = '░';
/// Milliseconds of a day.
pub(crate) const DAY_MS: u64 = 86_400_000;
/// From the beginning of the calendar, which identifiers with a time count from, to the epoch; in 100 ns.
const CALENDAR_BEGIN: u64 = 0x01b2_1dd2_1381_4000;
/// The last moment that Cassandra finds such an identifier by: in the year 3409. Those of later ones are smaller to it.
/// Milliseconds since the epoch.
pub(crate) const MOMENT_MAX_MS: u64 = ((1 << 59) - 1 - CALENDAR_BEGIN) / 10_000;

/// Zipkin's type `endpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, SerializeValue, DeserializeValue)]
pub(crate) struct EndpointColumns {
    service: Option<String>,
    ipv4: Option<IpAddr>,
    ipv6: Option<IpAddr>,
    port: Option<i32>,
}

/// Zipkin's type `annotation`.
#[derive(Clone, Debug, PartialEq, Eq, SerializeValue, DeserializeValue)]
pub(crate) struct AnnotationColumns {
    ts: Option<i64>,
    v: Option<String>,
}

/// What [`SpanRow`] is read from.
pub(crate) const SELECT_SPANS: &str = "SELECT trace_id, trace_id_high, id, parent_id, kind, span, ts, duration, l_ep, r_ep, \
     annotations, tags, debug, shared FROM span WHERE trace_id = ?";

/// A row of `span`, but for what finds it.
#[derive(Clone, Debug, DeserializeRow)]
pub(crate) struct SpanRow {
    trace_id: String,
    trace_id_high: Option<String>,
    id: String,
    parent_id: Option<String>,
    kind: Option<String>,
    span: Option<String>,
    ts: Option<i64>,
    duration: Option<i64>,
    l_ep: Option<EndpointColumns>,
    r_ep: Option<EndpointColumns>,
    annotations: Option<Vec<AnnotationColumns>>,
    tags: Option<BTreeMap<String, String>>,
    debug: Option<bool>,
    shared: Option<bool>,
}

impl SpanRow {
    /// The span, as it was sent; the error is what is wrong with the row.
    pub(crate) fn into_span(self) -> Result<Span, String> {
        let told = |error: model::IdError| format!("trace {}, span {}: {error}", self.trace_id, self.id);
        let trace_id = match &self.trace_id_high {
            Some(high) => TraceId::parse(&format!("{high:0>16}{:0>16}", self.trace_id)),
            None => TraceId::parse(&self.trace_id),
        };
        let parent_id = self
            .parent_id
            .as_deref()
            .map(|text| SpanId::parse(text, "parentId"));
        let annotations = self
            .annotations
            .unwrap_or_default()
            .into_iter()
            .filter_map(|annotation| {
                Some(Annotation {
                    timestamp: positive(annotation.ts)?,
                    value: annotation.v.unwrap_or_default(),
                })
            });
        let mut annotations: Vec<Annotation> = annotations.collect();
        annotations.sort_unstable();
        annotations.dedup();
        Ok(Span {
            trace_id: trace_id.map_err(told)?,
            parent_id: parent_id.transpose().map_err(told)?,
            id: SpanId::parse(&self.id, "id").map_err(told)?,
            kind: self.kind.as_deref().and_then(|name| Kind::parse(name).ok()),
            name: self.span.filter(|name| !name.is_empty()),
            timestamp: positive(self.ts),
            duration: positive(self.duration),
            local_endpoint: self.l_ep.and_then(EndpointColumns::into_endpoint),
            remote_endpoint: self.r_ep.and_then(EndpointColumns::into_endpoint),
            annotations,
            tags: self.tags.unwrap_or_default().into_iter().collect(),
            debug: self.debug.unwrap_or_default(),
            shared: self.shared.unwrap_or_default(),
        })
    }
}

/// Nothing is told by zero as well.
fn positive(number: Option<i64>) -> Option<u64> {
    number
        .and_then(|number| u64::try_from(number).ok())
        .filter(|&number| number > 0)
}

impl EndpointColumns {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            service: endpoint.service_name.clone(),
            ipv4: endpoint.ip.v4.map(IpAddr::V4),
            ipv6: endpoint.ip.v6.map(IpAddr::V6),
            port: Some(endpoint.port.into()),
        }
    }

    fn into_endpoint(self) -> Option<Endpoint> {
        let mut ip = IpAddresses::default();
        [self.ipv4, self.ipv6]
            .into_iter()
            .flatten()
            .for_each(|address| ip.insert(address));
        let endpoint = Endpoint {
            service_name: self.service.filter(|name| !name.is_empty()),
            ip,
            port: self
                .port
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or_default(),
        };
        endpoint.into_option()
    }
}

/// Writes [`NewSpan`]s: all columns, and all but those that only searches need.
pub(crate) const INSERT_SEARCHED_SPAN: &str = "INSERT INTO span (trace_id, ts_uuid, id, trace_id_high, parent_id, kind, span, \
     ts, duration, l_ep, r_ep, annotations, tags, debug, shared, l_service, annotation_query) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(crate) const INSERT_SPAN: &str = "INSERT INTO span (trace_id, ts_uuid, id, trace_id_high, parent_id, kind, span, \
     ts, duration, l_ep, r_ep, annotations, tags, debug, shared) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// A row to be written. What a span does not have is not written, rather than written as nothing, which would be a
/// tombstone.
#[derive(Debug, SerializeRow)]
pub(crate) struct NewSpan {
    pub(crate) trace_id: String,
    ts_uuid: CqlTimeuuid,
    id: String,
    trace_id_high: MaybeUnset<String>,
    parent_id: MaybeUnset<String>,
    kind: MaybeUnset<&'static str>,
    span: MaybeUnset<String>,
    ts: MaybeUnset<i64>,
    duration: MaybeUnset<i64>,
    l_ep: MaybeUnset<EndpointColumns>,
    r_ep: MaybeUnset<EndpointColumns>,
    annotations: MaybeUnset<Vec<AnnotationColumns>>,
    tags: MaybeUnset<BTreeMap<String, String>>,
    debug: MaybeUnset<bool>,
    shared: MaybeUnset<bool>,
}

/// The same with what searches need.
#[derive(Debug, SerializeRow)]
pub(crate) struct NewSearchedSpan {
    #[scylla(flatten)]
    pub(crate) span: NewSpan,
    l_service: MaybeUnset<String>,
    annotation_query: MaybeUnset<String>,
}

/// When a span is looked for, and by what its rows are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) uuid: CqlTimeuuid,
    /// Days since the epoch.
    pub(crate) bucket: i32,
}

impl Moment {
    /// Of a span that came at `now_ms`. The same span has the same identifier, so that it is there once however often it is
    /// written; where it says nothing of its time, readers see to that.
    pub(crate) fn of(span: &Span, now_ms: u64) -> Self {
        let first = || span.annotations.first().map(|annotation| annotation.timestamp);
        let begin = span.timestamp.or_else(first);
        let millis = begin.map_or(now_ms, |micros| micros / 1000).min(MOMENT_MAX_MS);
        let mut hasher = Xxh3::new();
        span.hash(&mut hasher);
        Self {
            uuid: time_uuid(millis, hasher.finish()),
            bucket: (millis / DAY_MS) as i32,
        }
    }
}

/// An identifier of version 1 with a time, and any bits beside that.
pub(crate) fn time_uuid(millis: u64, any: u64) -> CqlTimeuuid {
    let ticks = CALENDAR_BEGIN + millis * 10_000;
    let high = ticks << 32 | ticks >> 16 & 0xffff_0000 | 0x1000 | ticks >> 48 & 0x0fff;
    let low = any & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    CqlTimeuuid::from_bytes(bytes)
}

/// The time in such an identifier, in milliseconds since the epoch.
pub(crate) fn millis_of(uuid: CqlTimeuuid) -> u64 {
    let (high, _) = uuid.as_u64_pair();
    let ticks = high >> 32 | (high >> 16 & 0xffff) << 32 | (high & 0x0fff) << 48;
    ticks.saturating_sub(CALENDAR_BEGIN) / 10_000
}

impl NewSpan {
    /// The row of a span, by the key of its trace.
    pub(crate) fn of(span: &Span, moment: Moment, is_strict: bool) -> Self {
        let trace_id = span.trace_id;
        let high = (!is_strict && trace_id.high() != 0).then(|| format!("{:016x}", trace_id.high()));
        let annotations: Vec<_> = span.annotations.iter().map(AnnotationColumns::of).collect();
        let tags: BTreeMap<String, String> = span
            .tags
            .iter()
            .map(|(key, value)| (cut(key, KEY_BYTES_MAX).to_owned(), value.clone()))
            .collect();
        Self {
            trace_id: trace_key(key(trace_id, is_strict)),
            ts_uuid: moment.uuid,
            id: span.id.to_string(),
            trace_id_high: MaybeUnset::from_option(high),
            parent_id: MaybeUnset::from_option(span.parent_id.map(|id| id.to_string())),
            kind: MaybeUnset::from_option(span.kind.map(Kind::as_str)),
            span: MaybeUnset::from_option(span.name.clone()),
            ts: MaybeUnset::from_option(span.timestamp.map(signed)),
            duration: MaybeUnset::from_option(span.duration.map(signed)),
            l_ep: MaybeUnset::from_option(span.local_endpoint.as_ref().map(EndpointColumns::of)),
            r_ep: MaybeUnset::from_option(span.remote_endpoint.as_ref().map(EndpointColumns::of)),
            annotations: MaybeUnset::from_option(Some(annotations).filter(|list| !list.is_empty())),
            tags: MaybeUnset::from_option(Some(tags).filter(|map| !map.is_empty())),
            debug: MaybeUnset::from_option(span.debug.then_some(true)),
            shared: MaybeUnset::from_option(span.shared.then_some(true)),
        }
    }

    /// With what searches need.
    pub(crate) fn searched(self, span: &Span) -> NewSearchedSpan {
        NewSearchedSpan {
            span: self,
            l_service: MaybeUnset::from_option(
                span.local_service_name()
                    .map(|name| cut(name, TERM_BYTES_MAX).to_owned()),
            ),
            annotation_query: MaybeUnset::from_option(annotation_query(span)),
        }
    }
}

impl AnnotationColumns {
    fn of(annotation: &Annotation) -> Self {
        Self {
            ts: Some(signed(annotation.timestamp)),
            v: Some(annotation.value.clone()),
        }
    }
}

/// Bytes that the row of a span has, about.
pub(crate) fn bytes_of(span: &Span) -> usize {
    let annotations: usize = span
        .annotations
        .iter()
        .map(|annotation| annotation.value.len() + 20)
        .sum();
    let tags: usize = span
        .tags
        .iter()
        .map(|(key, value)| key.len() + value.len() + 20)
        .sum();
    let name = span.name.as_ref().map_or(0, String::len);
    // Twice: what it is found by is written as well.
    300 + name + 2 * (annotations + tags)
}

/// What one trace has in common: the low half of its identifier, and the high one where identifiers are compared in full.
pub(crate) type Key = (u64, u64);

pub(crate) fn key(trace_id: TraceId, is_strict: bool) -> Key {
    (trace_id.low(), if is_strict { trace_id.high() } else { 0 })
}

/// What traces are kept by.
pub(crate) fn trace_key((low, high): Key) -> String {
    match high {
        0 => format!("{low:016x}"),
        high => format!("{high:016x}{low:016x}"),
    }
}

/// Timestamps fit a signed number.
pub(crate) fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// What `annotation_query` has, by which annotations and tags are found; `None` where there is nothing. The key of a tag is
/// there also where its value is long, unlike with Zipkin: a search by the key alone finds it then.
fn annotation_query(span: &Span) -> Option<String> {
    let mut text = String::from(DELIMITER);
    let mut add = |term: Option<Cow<'_, str>>| {
        if let Some(term) = term {
            text.push_str(&term);
            text.push(DELIMITER);
        }
    };
    span.annotations
        .iter()
        .for_each(|annotation| add(term(&annotation.value, "")));
    for (key, value) in &span.tags {
        add(term(key, ""));
        match value.is_empty() {
            true => add(is_short(key).then(|| Cow::Owned(format!("{key}=")))),
            false => add(term(key, value)),
        }
    }
    (text.len() > DELIMITER.len_utf8()).then_some(text)
}

/// The term that finds an annotation or a tag by its key, or a tag by key and value; `None` where no index finds it.
pub(crate) fn term<'t>(key: &'t str, value: &str) -> Option<Cow<'t, str>> {
    let term = match value.is_empty() {
        true => Cow::Borrowed(key),
        false => Cow::Owned(format!("{key}={value}")),
    };
    let is_findable = is_short(key) && is_short(value) && term.len() <= TERM_BYTES_MAX;
    // A percent sign at an end asks for more than itself, and what is blank is cut.
    let is_plain = !term.contains(DELIMITER)
        && !term.starts_with('%')
        && !term.ends_with('%')
        && term.trim().len() == term.len()
        && !term.is_empty();
    (is_findable && is_plain).then_some(term)
}

fn is_short(text: &str) -> bool {
    text.encode_utf16().count() <= INDEXED_CHARS_MAX
}

/// A name as far as keys of tables take it.
pub(crate) fn fit(name: &str) -> &str {
    cut(name, NAME_BYTES_MAX)
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use storage::contract::fixtures::{Build, span, trace_id};

    use super::*;

    #[test]
    fn a_moment_is_in_its_identifier() {
        for millis in [0, 1, 1_619_567_890_123, MOMENT_MAX_MS] {
            assert_eq!(millis_of(time_uuid(millis, u64::MAX)), millis);
        }
        // By Python: uuid.UUID("13814000-1dd2-11b2-8000-000000000000").time == 0x01b21dd213814000.
        let known = time_uuid(0, 0);
        assert_eq!(known.to_string(), "13814000-1dd2-11b2-8000-000000000000");
    }

    #[test]
    fn the_same_span_has_the_same_identifier_and_another_another() {
        let one = span(trace_id(1), 1);
        let other = span(trace_id(1), 1).tag("a", "b");
        assert_eq!(Moment::of(&one, 5).uuid, Moment::of(&one, 6).uuid);
        assert_ne!(Moment::of(&one, 5).uuid, Moment::of(&other, 5).uuid);
    }

    #[test]
    fn what_finds_a_span_is_zipkins() {
        let span = span(trace_id(1), 1)
            .tag("http.path", "/a")
            .tag("empty", "")
            .annotation("ws");
        assert_eq!(
            annotation_query(&span).as_deref(),
            Some("░ws░empty░empty=░http.path░http.path=/a░")
        );
        let long = storage::contract::fixtures::span(trace_id(1), 1).tag("a", &"b".repeat(257));
        assert_eq!(annotation_query(&long).as_deref(), Some("░a░"));
    }

    #[test]
    fn no_index_finds_what_asks_for_more_than_itself() {
        assert_eq!(term("a", "b").as_deref(), Some("a=b"));
        for (key, value) in [("%a", ""), ("a", "b%"), ("a░", ""), ("a ", ""), ("", "")] {
            assert_eq!(term(key, value), None, "{key}={value}");
        }
        assert_eq!(term("a", &"b".repeat(257)), None);
    }
}
