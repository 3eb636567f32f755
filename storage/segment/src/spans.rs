//! Spans on their way into the head, with their texts numbered: those of a batch that just arrived, or those of a record of
//! the journal as they lie in it, of which no batch is made.

use model::{SpanBatch, Text};
use storage_record::{RecordSpans, SpanHead};

/// What [`storage_record::Numbering`] does not say of spans. It goes with one of them.
pub(crate) trait Spans {
    /// A text of the numbering.
    fn text(&self, text: Text) -> &str;

    /// As [`Spans::text`], as UTF-8.
    fn bytes(&self, text: Text) -> &[u8];

    /// Panics where there is no such span.
    fn head(&self, index: usize) -> SpanHead;

    /// Of its annotations, in order, microseconds since the epoch. Panics where there is no such span.
    fn annotation_times(&self, index: usize) -> impl ExactSizeIterator<Item = u64>;
}

impl Spans for SpanBatch {
    fn text(&self, text: Text) -> &str {
        self.text(text)
    }

    #[inline]
    fn bytes(&self, text: Text) -> &[u8] {
        self.bytes(text)
    }

    #[inline]
    fn head(&self, index: usize) -> SpanHead {
        let span = self.get(index);
        let (local, remote) = (span.local_draft(), span.remote_draft());
        SpanHead {
            trace_id: span.trace_id(),
            id: span.id(),
            parent_id: span.parent_id(),
            timestamp: span.timestamp(),
            duration: span.duration(),
            local: (local.ip, local.port),
            remote: (remote.ip, remote.port),
        }
    }

    #[inline]
    fn annotation_times(&self, index: usize) -> impl ExactSizeIterator<Item = u64> {
        self.get(index).annotation_texts().iter().map(|a| a.0)
    }
}

impl Spans for RecordSpans<'_> {
    fn text(&self, text: Text) -> &str {
        (*self).text(text)
    }

    #[inline]
    fn bytes(&self, text: Text) -> &[u8] {
        (*self).bytes(text)
    }

    #[inline]
    fn head(&self, index: usize) -> SpanHead {
        (*self).head(index)
    }

    #[inline]
    fn annotation_times(&self, index: usize) -> impl ExactSizeIterator<Item = u64> {
        (*self).annotation_times(index).iter().copied()
    }
}
