//! Documents of Zipkin's indexes (`zipkin.md` 8.3): a span as Zipkin writes it, and as it comes back.

use std::borrow::Cow;
use std::collections::HashSet;

use md5::{Digest, Md5};
use model::{Span, SpanBatch};
use proto::Format;
use serde_json::value::RawValue;

use crate::templates::INDEXED_CHARS_MAX;

/// Longer names are no term of an index, and a document with one is refused.
pub(crate) const NAME_BYTES_MAX: usize = 32_766;

/// A span as it is stored.
#[derive(Debug)]
pub(crate) struct Document {
    /// The same for the same content, so that a span that is stored twice is there once.
    pub(crate) id: String,
    pub(crate) json: Vec<u8>,
}

impl Document {
    /// Without what searches need unless `is_searched`.
    pub(crate) fn of(span: &Span, is_searched: bool) -> Self {
        let encoded = proto::encode(Format::JsonV2, std::slice::from_ref(fit_span(span).as_ref()));
        // Of a list of one object, what is in it.
        let fields = &encoded[2..encoded.len() - 1];
        let mut json = Vec::with_capacity(encoded.len() + 256);
        json.push(b'{');
        if is_searched {
            if let Some(timestamp) = span.timestamp {
                json.extend_from_slice(format!("\"timestamp_millis\":{},", timestamp / 1000).as_bytes());
            }
            let terms = terms(span);
            if !terms.is_empty() {
                json.extend_from_slice(b"\"_q\":");
                json.extend_from_slice(serde_json::Value::from(terms).to_string().as_bytes());
                json.push(b',');
            }
        }
        json.extend_from_slice(fields);
        let id = format!("{}-{}", span.trace_id, content_id(&json));
        Self { id, json }
    }
}

/// The same for the same content.
pub(crate) fn content_id(content: &[u8]) -> String {
    Md5::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The moment that says which day's index a span is in: when it began, or what happened first in it.
pub(crate) fn moment_of(span: &Span) -> Option<u64> {
    let first = || span.annotations.first().map(|annotation| annotation.timestamp);
    span.timestamp.or_else(first)
}

/// What `_q` has, by which annotations and tags are found. The key of a tag is there also where its value is long, unlike
/// with Zipkin: a search by the key alone finds it then.
fn terms(span: &Span) -> Vec<String> {
    let mut terms = Vec::with_capacity(span.annotations.len() + 2 * span.tags.len());
    terms.extend(
        span.annotations
            .iter()
            .filter_map(|annotation| term(&annotation.value, "")),
    );
    for (key, value) in &span.tags {
        terms.extend(term(key, ""));
        if !value.is_empty() {
            terms.extend(term(key, value));
        } else if is_short(key, 1) {
            terms.push(format!("{key}="));
        }
    }
    terms
}

/// The term that finds an annotation or a tag by its key, or a tag by key and value; `None` where it is too long for one.
pub(crate) fn term(key: &str, value: &str) -> Option<String> {
    match value.is_empty() {
        true => is_short(key, 0).then(|| key.to_owned()),
        false => is_short(key, value.encode_utf16().count() + 1).then(|| format!("{key}={value}")),
    }
}

/// Counted as Java does.
fn is_short(text: &str, beside: usize) -> bool {
    text.encode_utf16().count() + beside <= INDEXED_CHARS_MAX
}

/// A name as far as an index takes it.
pub(crate) fn fit(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

fn fit_span(span: &Span) -> Cow<'_, Span> {
    let is_long = |name: &Option<String>| name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX);
    let endpoints = [&span.local_endpoint, &span.remote_endpoint];
    let services = endpoints.into_iter().flatten();
    if !is_long(&span.name) && !services.map(|endpoint| &endpoint.service_name).any(is_long) {
        return Cow::Borrowed(span);
    }
    let cut = |name: &mut Option<String>| {
        if let Some(name) = name {
            name.truncate(fit(name).len());
        }
    };
    let mut span = span.clone();
    cut(&mut span.name);
    for endpoint in [&mut span.local_endpoint, &mut span.remote_endpoint]
        .into_iter()
        .flatten()
    {
        cut(&mut endpoint.service_name);
    }
    Cow::Owned(span)
}

/// The spans of documents, each once; what is no span is told and left out.
pub(crate) fn spans_of<'a>(sources: impl Iterator<Item = &'a RawValue> + Clone) -> Vec<Span> {
    let mut list = vec![b'['];
    for source in sources.clone() {
        if list.len() > 1 {
            list.push(b',');
        }
        list.extend_from_slice(source.get().as_bytes());
    }
    list.push(b']');
    let mut batch = SpanBatch::new();
    if proto::decode(Format::JsonV2, &list, &mut batch).is_ok() {
        return each_once(&batch);
    }
    for source in sources {
        let mut one = SpanBatch::new();
        match proto::decode(Format::JsonV2, format!("[{}]", source.get()).as_bytes(), &mut one) {
            Ok(()) => one.iter().for_each(|span| batch.push_span(&span.to_span())),
            Err(error) => tracing::error!(%error, "a document of Elasticsearch is no span"),
        }
    }
    each_once(&batch)
}

fn each_once(batch: &SpanBatch) -> Vec<Span> {
    let spans: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
    let mut seen = HashSet::with_capacity(spans.len());
    let is_new: Vec<bool> = spans.iter().map(|span| seen.insert(span)).collect();
    let mut is_new = is_new.into_iter();
    spans
        .into_iter()
        .filter(|_| is_new.next().unwrap_or(true))
        .collect()
}

#[cfg(test)]
mod tests {
    use storage::contract::fixtures::{Build, span, trace_id};

    use super::*;

    fn text(document: &Document) -> &str {
        std::str::from_utf8(&document.json).unwrap_or_default()
    }

    #[test]
    fn a_document_begins_with_what_finds_it() {
        let span = span(trace_id(1), 1).tag("http.path", "/a").annotation("ws");
        let document = Document::of(&span, true);
        assert!(
            text(&document).starts_with("{\"timestamp_millis\":"),
            "{}",
            text(&document)
        );
        let terms = "\"_q\":[\"ws\",\"http.path\",\"http.path=/a\"],\"traceId\":";
        assert!(text(&document).contains(terms), "{}", text(&document));
        let plain = Document::of(&span, false);
        assert!(text(&plain).starts_with("{\"traceId\":"), "{}", text(&plain));
    }

    #[test]
    fn a_document_comes_back_as_its_span_and_once() {
        let span = span(trace_id(7), 1).tag("a", "ü\u{2028}\"");
        let document = Document::of(&span, true);
        let source: Box<RawValue> =
            serde_json::from_slice(&document.json).unwrap_or_else(|error| panic!("{error}"));
        let sources = [source.as_ref(), source.as_ref()];
        assert_eq!(spans_of(sources.into_iter()), [span]);
    }

    #[test]
    fn long_texts_are_no_terms() {
        assert_eq!(term("a", &"b".repeat(254)).map(|term| term.len()), Some(256));
        assert_eq!(term("a", &"b".repeat(255)), None);
        assert_eq!(term(&"🦀".repeat(129), ""), None);
        let long = span(trace_id(1), 1).tag("a", &"b".repeat(300));
        assert_eq!(terms(&long), ["a"]);
    }
}
