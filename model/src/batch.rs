//! Spans on the way in: one arena of text and, for each span, offsets into it.
//!
//! A reader of `proto` fills a batch without an allocation a span; [`SpanBatch::finish`] is the one place
//! where Zipkin's normalisation happens (`normalise.rs`); a sink reads [`SpanRef`]s. A batch is meant to be
//! cleared and filled again. Offsets are 32 bits wide, so a batch holds less than 4 GiB of text; readers
//! bound bodies far below that.
//!
//! ```text
//! text         [ body as received, or its lower seven bits … | unescaped and lower-cased leftovers … ]
//! spans        [ SpanRecord { ids, kind, name: Text, …, tags: range, annotations: range } … ]
//! tags         [ (Text, Text) … ]            of all spans, in order
//! annotations  [ (timestamp, Text) … ]       of all spans, in order
//! ```

use std::ops::Range;

use crate::{Endpoint, Kind, Span, SpanId, TraceId};

mod draft;
mod normalise;
mod span_ref;

pub use draft::{EndpointDraft, SpanDraft, SpanError};
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

    /// How long it is, bytes.
    pub const fn len(self) -> usize {
        self.length as usize
    }

    /// Where it begins in the batch's text, bytes.
    pub const fn start(self) -> usize {
        self.start as usize
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.length as usize
    }
}

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

    /// How many values its spans have: of tags and of annotations, those of spans that were left out again included.
    pub fn values(&self) -> usize {
        self.tags.len() + self.annotations.len()
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

    /// Adds the lower seven bits of each byte and tells where they begin: what is ASCII is then text of this batch,
    /// at as many bytes behind that place as it is behind the first; anything else is not.
    ///
    /// For formats of text between numbers, which is added at once and not piece by piece.
    pub fn add_seven_bits(&mut self, bytes: &[u8]) -> usize {
        const PIECE_BYTES: usize = 512;
        let start = self.text.len();
        self.text.reserve(bytes.len());
        let mut ascii = [0; PIECE_BYTES];
        for piece in bytes.chunks(PIECE_BYTES) {
            for (to, from) in ascii.iter_mut().zip(piece) {
                *to = from & 0x7f;
            }
            let text = str::from_utf8(&ascii[..piece.len()]).expect("seven bits are ASCII, which is UTF-8");
            self.text.push_str(text);
        }
        start
    }

    /// The characters of a stretch of this batch's text.
    pub fn text(&self, text: Text) -> &str {
        &self.text[text.range()]
    }

    /// The same as UTF-8, for who compares and copies: where a character begins is not looked at.
    pub fn bytes(&self, text: Text) -> &[u8] {
        &self.text.as_bytes()[text.range()]
    }

    /// Adds a tag to the span being read. A later equal key wins.
    pub fn push_tag(&mut self, key: Text, value: Text) {
        self.tags.push((key, value));
    }

    /// Adds tags to the span being read.
    pub fn push_tags(&mut self, tags: impl Iterator<Item = (Text, Text)>) {
        self.tags.extend(tags);
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
}

#[cfg(test)]
mod tests;
