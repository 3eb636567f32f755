//! Spans on the way in: one arena of text and, for each span, offsets into it.
//!
//! A reader of `proto` fills a batch without an allocation a span; [`SpanBatch::finish`] is the one place
//! where Zipkin's normalisation (`zipkin.md` 4.1) happens; a sink reads [`SpanRef`]s. A batch is meant to be
//! cleared and filled again. Offsets are 32 bits wide, so a batch holds less than 4 GiB of text; readers
//! bound bodies far below that.
//!
//! ```text
//! text         [ body as received … | unescaped and lower-cased leftovers … ]
//! spans        [ SpanRecord { ids, kind, name: Text, …, tags: range, annotations: range } … ]
//! tags         [ (Text, Text) … ]            of all spans, in order
//! annotations  [ (timestamp, Text) … ]       of all spans, in order
//! ```

use std::fmt;
use std::ops::Range;

use crate::{Endpoint, IpAddresses, Kind, Span, SpanId, TraceId};

mod span_ref;

pub use span_ref::{AnnotationRef, EndpointRef, SpanRef};

/// A stretch of a batch's text. [`Text::EMPTY`] where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text {
    start: u32,
    length: u32,
}

impl Text {
    /// No characters.
    pub const EMPTY: Self = Self { start: 0, length: 0 };

    /// `length` bytes from `start`; both must lie on character boundaries of the batch's text.
    pub fn new(start: usize, length: usize) -> Self {
        debug_assert!(
            start + length <= u32::MAX as usize,
            "a batch holds less than 4 GiB of text"
        );
        Self {
            start: start as u32,
            length: length as u32,
        }
    }

    /// True if it has no characters.
    pub const fn is_empty(self) -> bool {
        self.length == 0
    }

    /// Where it begins in the batch's text, bytes.
    pub const fn start(self) -> usize {
        self.start as usize
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.length as usize
    }
}

/// What a reader has read of one span, before normalisation. Tags and annotations are pushed to the batch.
#[derive(Clone, Debug, Default)]
pub struct SpanDraft {
    /// Required.
    pub trace_id: Option<TraceId>,
    /// Zero or equal to `id` means none.
    pub parent_id: Option<SpanId>,
    /// Required.
    pub id: Option<SpanId>,
    /// Absent for a local span.
    pub kind: Option<Kind>,
    /// Any case; empty means none.
    pub name: Text,
    /// Microseconds since the epoch; zero or less means none.
    pub timestamp: i64,
    /// Microseconds; zero or less means none.
    pub duration: i64,
    /// Who recorded it.
    pub local_endpoint: EndpointDraft,
    /// Who was on the other side.
    pub remote_endpoint: EndpointDraft,
    /// Only true is kept.
    pub debug: bool,
    /// Only true is kept, and not of a CLIENT span.
    pub shared: bool,
}

/// What a reader has read of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointDraft {
    /// Any case; empty means none.
    pub service_name: Text,
    /// The addresses known of it.
    pub ip: IpAddresses,
    /// Zero means none.
    pub port: u16,
}

/// Why a draft is not a span. `Display` is Zipkin's wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanError {
    /// No trace identifier.
    MissingTraceId,
    /// No span identifier.
    MissingId,
    /// Neither.
    MissingIds,
    /// The batch holds as many spans as it may; how many that is.
    TooMany(usize),
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTraceId => f.write_str("Missing : traceId"),
            Self::MissingId => f.write_str("Missing : id"),
            Self::MissingIds => f.write_str("Missing : traceId id"),
            Self::TooMany(most) => write!(f, "more than {most} spans"),
        }
    }
}

impl std::error::Error for SpanError {}

#[derive(Clone, Debug)]
struct SpanRecord {
    trace_id: TraceId,
    parent_id: Option<SpanId>,
    id: SpanId,
    kind: Option<Kind>,
    name: Text,
    timestamp: u64,
    duration: u64,
    local_endpoint: EndpointDraft,
    remote_endpoint: EndpointDraft,
    tags: (u32, u32),
    annotations: (u32, u32),
    debug: bool,
    shared: bool,
}

/// Normalised spans that share one arena of text. See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct SpanBatch {
    text: String,
    spans: Vec<SpanRecord>,
    tags: Vec<(Text, Text)>,
    annotations: Vec<(u64, Text)>,
    // Where the tags and annotations of the span being read begin.
    open_tags: usize,
    open_annotations: usize,
    spans_max: Option<usize>,
    overflowed: bool,
}

impl SpanBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all spans and text, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
        self.tags.clear();
        self.annotations.clear();
        self.open_tags = 0;
        self.open_annotations = 0;
    }

    /// Bounds the spans it takes, whatever is read into it next: a span of 24 bytes of JSON takes some 200 here.
    /// Without this there is no bound.
    pub fn set_spans_max(&mut self, spans_max: usize) {
        self.spans_max = Some(spans_max);
        self.overflowed = false;
    }

    /// True if a span was refused because of the bound since it was set. Survives [`SpanBatch::clear`], so that
    /// it can be asked after a reader gave up.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// How many spans it holds.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True if it holds no span.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes of text it holds, for bounds and metrics.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// The span at `index`, counted from 0.
    ///
    /// # Panics
    /// If there is no such span.
    pub fn get(&self, index: usize) -> SpanRef<'_> {
        SpanRef {
            batch: self,
            record: &self.spans[index],
        }
    }

    /// All spans in the order they were read.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = SpanRef<'_>> + Clone {
        self.spans.iter().map(|record| SpanRef { batch: self, record })
    }

    /// Keeps the spans for which `keep` is true, in order.
    pub fn retain(&mut self, mut keep: impl FnMut(SpanRef<'_>) -> bool) {
        let mut spans = std::mem::take(&mut self.spans);
        spans.retain(|record| keep(SpanRef { batch: self, record }));
        self.spans = spans;
    }

    /// Adds text and tells where it is.
    pub fn add_text(&mut self, text: &str) -> Text {
        let start = self.text.len();
        self.text.push_str(text);
        Text::new(start, text.len())
    }

    /// The characters of a stretch of this batch's text.
    pub fn text(&self, text: Text) -> &str {
        &self.text[text.range()]
    }

    /// Adds a tag to the span being read. A later equal key wins.
    pub fn push_tag(&mut self, key: Text, value: Text) {
        self.tags.push((key, value));
    }

    /// Adds an annotation to the span being read; `timestamp` in microseconds since the epoch.
    pub fn push_annotation(&mut self, timestamp: u64, value: Text) {
        self.annotations.push((timestamp, value));
    }

    /// Forgets the tags and annotations pushed since the last span was finished.
    pub fn abandon(&mut self) {
        self.tags.truncate(self.open_tags);
        self.annotations.truncate(self.open_annotations);
    }

    /// Normalises a draft and the tags and annotations pushed for it, and adds the span.
    ///
    /// # Errors
    /// [`SpanError`] where an identifier is missing or the batch is full; nothing of the span is kept then.
    pub fn finish(&mut self, draft: &SpanDraft) -> Result<(), SpanError> {
        let (trace_id, id) = self.check(draft)?;
        let record = SpanRecord {
            trace_id,
            parent_id: draft
                .parent_id
                .filter(|parent| parent.value() != 0 && *parent != id),
            id,
            kind: draft.kind,
            name: self.normalise_name(draft.name),
            timestamp: draft.timestamp.max(0) as u64,
            duration: draft.duration.max(0) as u64,
            local_endpoint: self.normalise_endpoint(draft.local_endpoint),
            remote_endpoint: self.normalise_endpoint(draft.remote_endpoint),
            tags: self.close_tags(),
            annotations: self.close_annotations(),
            debug: draft.debug,
            shared: draft.shared && draft.kind != Some(Kind::Client),
        };
        self.spans.push(record);
        Ok(())
    }

    /// Adds a span that was normalised before: read back from where the spans of another batch were written. The
    /// same as [`SpanBatch::finish`] for such a span, at half the cost.
    ///
    /// # Errors
    /// As [`SpanBatch::finish`].
    pub fn finish_normalised(&mut self, draft: &SpanDraft) -> Result<(), SpanError> {
        let (trace_id, id) = self.check(draft)?;
        let tags = (self.open_tags as u32, self.tags.len() as u32);
        let annotations = (self.open_annotations as u32, self.annotations.len() as u32);
        (self.open_tags, self.open_annotations) = (self.tags.len(), self.annotations.len());
        self.spans.push(SpanRecord {
            trace_id,
            parent_id: draft.parent_id,
            id,
            kind: draft.kind,
            name: draft.name,
            timestamp: draft.timestamp as u64,
            duration: draft.duration as u64,
            local_endpoint: draft.local_endpoint,
            remote_endpoint: draft.remote_endpoint,
            tags,
            annotations,
            debug: draft.debug,
            shared: draft.shared,
        });
        Ok(())
    }

    /// The identifiers of a draft; where one is missing or the batch is full, nothing of the span is kept.
    fn check(&mut self, draft: &SpanDraft) -> Result<(TraceId, SpanId), SpanError> {
        let ids = match (draft.trace_id, draft.id) {
            (Some(trace_id), Some(id)) => (trace_id, id),
            (trace_id, id) => {
                self.abandon();
                return Err(match (trace_id, id) {
                    (None, None) => SpanError::MissingIds,
                    (None, Some(_)) => SpanError::MissingTraceId,
                    (Some(_), _) => SpanError::MissingId,
                });
            }
        };
        if let Some(most) = self.spans_max.filter(|&most| self.spans.len() >= most) {
            self.abandon();
            self.overflowed = true;
            return Err(SpanError::TooMany(most));
        }
        Ok(ids)
    }

    /// Adds an owned span; for tests and rare paths.
    pub fn push_span(&mut self, span: &Span) {
        for (key, value) in &span.tags {
            let tag = (self.add_text(key), self.add_text(value));
            self.push_tag(tag.0, tag.1);
        }
        for annotation in &span.annotations {
            let value = self.add_text(&annotation.value);
            self.push_annotation(annotation.timestamp, value);
        }
        let draft = SpanDraft {
            trace_id: Some(span.trace_id),
            parent_id: span.parent_id,
            id: Some(span.id),
            kind: span.kind,
            name: self.add_text(span.name.as_deref().unwrap_or_default()),
            timestamp: span.timestamp.unwrap_or(0) as i64,
            duration: span.duration.unwrap_or(0) as i64,
            local_endpoint: self.draft_endpoint(span.local_endpoint.as_ref()),
            remote_endpoint: self.draft_endpoint(span.remote_endpoint.as_ref()),
            debug: span.debug,
            shared: span.shared,
        };
        let finished = self.finish(&draft);
        debug_assert!(finished.is_ok(), "an owned span has its identifiers");
    }

    fn draft_endpoint(&mut self, endpoint: Option<&Endpoint>) -> EndpointDraft {
        endpoint.map_or_else(EndpointDraft::default, |endpoint| EndpointDraft {
            service_name: self.add_text(endpoint.service_name.as_deref().unwrap_or_default()),
            ip: endpoint.ip,
            port: endpoint.port,
        })
    }

    fn normalise_endpoint(&mut self, draft: EndpointDraft) -> EndpointDraft {
        EndpointDraft {
            service_name: self.lower_case(draft.service_name),
            ..draft
        }
    }

    /// The name of the span before is normalised already. A v1 span becomes one for each of its hosts, all of
    /// one name; looking at a long one again each time would multiply its length by their number.
    fn normalise_name(&mut self, name: Text) -> Text {
        match self.spans.last() {
            Some(last) if last.name == name => name,
            _ => self.lower_case(name),
        }
    }

    fn lower_case(&mut self, text: Text) -> Text {
        let original = self.text(text);
        if original
            .bytes()
            .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
        {
            return text;
        }
        let lower = original.to_lowercase();
        if lower == original {
            text
        } else {
            self.add_text(&lower)
        }
    }

    /// Sorts the open tags by key; of equal keys the one pushed last stays.
    fn close_tags(&mut self) -> (u32, u32) {
        let start = self.open_tags;
        let Self { text, tags, .. } = self;
        let key = |tag: &(Text, Text)| &text[tag.0.range()];
        if !tags[start..].is_sorted_by(|a, b| key(a) < key(b)) {
            tags[start..].sort_by(|a, b| key(a).cmp(key(b)));
            let mut kept = start;
            for next in start..tags.len() {
                if next + 1 < tags.len() && key(&tags[next]) == key(&tags[next + 1]) {
                    continue;
                }
                tags[kept] = tags[next];
                kept += 1;
            }
            tags.truncate(kept);
        }
        self.open_tags = self.tags.len();
        (start as u32, self.open_tags as u32)
    }

    /// Sorts the open annotations by timestamp, then value, and drops repetitions.
    fn close_annotations(&mut self) -> (u32, u32) {
        let start = self.open_annotations;
        let Self {
            text, annotations, ..
        } = self;
        let order = |annotation: &(u64, Text)| (annotation.0, &text[annotation.1.range()]);
        if !annotations[start..].is_sorted_by(|a, b| order(a) < order(b)) {
            annotations[start..].sort_by(|a, b| order(a).cmp(&order(b)));
            let mut kept = start;
            for next in start..annotations.len() {
                if kept > start && order(&annotations[kept - 1]) == order(&annotations[next]) {
                    continue;
                }
                annotations[kept] = annotations[next];
                kept += 1;
            }
            annotations.truncate(kept);
        }
        self.open_annotations = self.annotations.len();
        (start as u32, self.open_annotations as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> SpanDraft {
        SpanDraft {
            trace_id: TraceId::new(0, 1),
            id: Some(SpanId::new(2)),
            ..SpanDraft::default()
        }
    }

    #[test]
    fn normalises_as_zipkin_does() {
        let mut batch = SpanBatch::new();
        let name = batch.add_text("GET /Über");
        let draft = SpanDraft {
            parent_id: Some(SpanId::new(2)),
            kind: Some(Kind::Client),
            name,
            timestamp: -1,
            duration: 0,
            shared: true,
            ..draft()
        };
        batch.finish(&draft).unwrap();
        let span = batch.get(0);
        assert_eq!(span.name(), Some("get /über"));
        assert_eq!(
            (span.parent_id(), span.timestamp(), span.duration()),
            (None, None, None)
        );
        assert!(!span.shared());
        assert_eq!(span.local_endpoint(), None);
    }

    #[test]
    fn the_last_of_equal_tag_keys_wins_and_tags_are_sorted() {
        let mut batch = SpanBatch::new();
        for (key, value) in [("b", "1"), ("a", "1"), ("b", "2"), ("", ""), ("b", "3")] {
            let tag = (batch.add_text(key), batch.add_text(value));
            batch.push_tag(tag.0, tag.1);
        }
        batch.finish(&draft()).unwrap();
        assert_eq!(
            batch.get(0).tags().collect::<Vec<_>>(),
            [("", ""), ("a", "1"), ("b", "3")]
        );
    }

    #[test]
    fn annotations_are_sorted_and_distinct() {
        let mut batch = SpanBatch::new();
        for (timestamp, value) in [(2, "b"), (1, "z"), (2, "a"), (2, "b")] {
            let value = batch.add_text(value);
            batch.push_annotation(timestamp, value);
        }
        batch.finish(&draft()).unwrap();
        let read: Vec<_> = batch
            .get(0)
            .annotations()
            .map(|a| (a.timestamp, a.value))
            .collect();
        assert_eq!(read, [(1, "z"), (2, "a"), (2, "b")]);
    }

    #[test]
    fn a_span_without_identifiers_leaves_nothing_behind() {
        let mut batch = SpanBatch::new();
        let key = batch.add_text("lost");
        batch.push_tag(key, key);
        let missing = SpanDraft { id: None, ..draft() };
        assert_eq!(batch.finish(&missing), Err(SpanError::MissingId));
        assert_eq!(
            batch.finish(&SpanDraft {
                trace_id: None,
                ..draft()
            }),
            Err(SpanError::MissingTraceId)
        );
        assert_eq!(batch.finish(&SpanDraft::default()), Err(SpanError::MissingIds));
        batch.finish(&draft()).unwrap();
        assert_eq!(batch.len(), 1);
        assert_eq!(batch.get(0).tags().len(), 0);
    }

    #[test]
    fn a_full_batch_takes_no_span_and_says_so() {
        let mut batch = SpanBatch::new();
        batch.set_spans_max(1);
        batch.finish(&draft()).unwrap();
        assert!(!batch.overflowed());
        let key = batch.add_text("lost");
        batch.push_tag(key, key);
        assert_eq!(batch.finish(&draft()), Err(SpanError::TooMany(1)));
        assert_eq!((batch.len(), batch.overflowed()), (1, true));
        batch.clear();
        assert!(batch.overflowed());
        batch.set_spans_max(2);
        batch.finish(&draft()).unwrap();
        batch.finish(&draft()).unwrap();
        assert_eq!((batch.overflowed(), batch.get(1).tags().len()), (false, 0));
    }

    #[test]
    fn a_normalised_span_needs_no_normalising() {
        let mut first = SpanBatch::new();
        for (key, value) in [("b", "1"), ("a", "2")] {
            let tag = (first.add_text(key), first.add_text(value));
            first.push_tag(tag.0, tag.1);
        }
        let name = first.add_text("GET");
        let draft = SpanDraft {
            name,
            timestamp: 7,
            ..draft()
        };
        first.finish(&draft).unwrap();
        let span = first.get(0).to_span();

        let mut second = SpanBatch::new();
        for (key, value) in &span.tags {
            let tag = (second.add_text(key), second.add_text(value));
            second.push_tag(tag.0, tag.1);
        }
        let name = second.add_text(span.name.as_deref().unwrap());
        second.finish_normalised(&SpanDraft { name, ..draft }).unwrap();
        second.finish_normalised(&SpanDraft { name, ..draft }).unwrap();
        assert_eq!(second.get(0).to_span(), span);
        assert_eq!(
            second.get(1).tags().len(),
            0,
            "tags belong to the span they were pushed for"
        );
        assert_eq!(
            second.finish_normalised(&SpanDraft::default()),
            Err(SpanError::MissingIds)
        );
    }

    #[test]
    fn owned_spans_survive_the_batch() {
        let mut batch = SpanBatch::new();
        let tag = (batch.add_text("k"), batch.add_text("v"));
        batch.push_tag(tag.0, tag.1);
        let local_endpoint = EndpointDraft {
            service_name: batch.add_text("Web"),
            port: 80,
            ..Default::default()
        };
        batch
            .finish(&SpanDraft {
                local_endpoint,
                timestamp: 5,
                ..draft()
            })
            .unwrap();
        let span = batch.get(0).to_span();
        assert_eq!(span.local_service_name(), Some("web"));
        let mut again = SpanBatch::new();
        again.push_span(&span);
        assert_eq!(again.get(0).to_span(), span);
        assert_eq!(again.get(0).to_span().tag("k"), Some("v"));
    }
}
