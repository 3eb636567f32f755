//! Spans of the server that have begun, the task they belong to, and those that wait to be stored.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use collector::{Collector, Transport};
use model::{Annotation, Endpoint, Kind, Span, SpanId, TraceId};
use tokio::sync::Notify;

use super::SERVICE_NAME;
use super::b3::IncomingSpan;

/// Spans that wait to be stored: some 10 MB of them with the longest paths. More are counted and dropped.
const SPANS_MAX: usize = 10_000;

tokio::task_local! {
    /// The span that the task works for, where its request is traced.
    pub(super) static CURRENT: Context;
}

/// What a child needs of its parent.
#[derive(Clone, Debug)]
pub(super) struct Context {
    trace_id: TraceId,
    id: SpanId,
    debug: bool,
    clock: TraceClock,
    buffer: Arc<SpanBuffer>,
}

/// One reading of the machine's clock a trace, so that its spans lie within each other whatever the clock does.
#[derive(Clone, Copy, Debug)]
struct TraceClock {
    begin: Instant,
    begin_us: u64,
}

impl TraceClock {
    fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            begin: Instant::now(),
            begin_us: since.as_micros() as u64,
        }
    }

    fn now_us(self) -> u64 {
        self.begin_us + self.begin.elapsed().as_micros() as u64
    }
}

/// A span that has begun. It is reported when it is dropped, whoever drops it and why.
#[derive(Debug)]
pub(super) struct OpenSpan {
    span: Span,
    begin: Instant,
    context: Context,
    finished: bool,
}

impl OpenSpan {
    /// The server's part of a request: of the span that its sender began, or the root of a trace.
    pub(super) fn of_request(
        trace_id: TraceId,
        joined: Option<IncomingSpan>,
        debug: bool,
        name: String,
        buffer: &Arc<SpanBuffer>,
    ) -> Self {
        // As in Brave, the first span of a trace has the trace's identifier.
        let id = joined.map_or(SpanId::new(trace_id.low()), |span| span.id);
        let context = Context {
            trace_id,
            id,
            debug,
            clock: TraceClock::start(),
            buffer: Arc::clone(buffer),
        };
        let parent_id = joined.and_then(|span| span.parent_id);
        let mut open = Self::begin(context, parent_id, name);
        open.span.kind = Some(Kind::Server);
        open.span.shared = joined.is_some();
        open
    }

    /// Something that is done for `parent`.
    pub(super) fn child(parent: &Context, name: &str) -> Self {
        let context = Context {
            id: SpanId::new(parent.buffer.ids.next()),
            ..parent.clone()
        };
        Self::begin(context, Some(parent.id), name.to_owned())
    }

    fn begin(context: Context, parent_id: Option<SpanId>, name: String) -> Self {
        let span = Span {
            trace_id: context.trace_id,
            parent_id,
            id: context.id,
            kind: None,
            name: Some(name),
            timestamp: Some(context.clock.now_us()),
            duration: None,
            local_endpoint: Some(Endpoint {
                service_name: Some(SERVICE_NAME.to_owned()),
                ..Endpoint::default()
            }),
            remote_endpoint: None,
            annotations: Vec::new(),
            tags: Vec::new(),
            debug: context.debug,
            shared: false,
        };
        Self {
            span,
            begin: Instant::now(),
            context,
            finished: false,
        }
    }

    pub(super) fn context(&self) -> Context {
        self.context.clone()
    }

    pub(super) fn tag(&mut self, key: &str, value: impl Into<String>) {
        self.span.tags.push((key.to_owned(), value.into()));
    }

    /// Something that happens now.
    pub(super) fn annotate(&mut self, value: &str) {
        self.span.annotations.push(Annotation {
            timestamp: self.context.clock.now_us(),
            value: value.to_owned(),
        });
    }

    pub(super) fn remote(&mut self, endpoint: Endpoint) {
        self.span.remote_endpoint = endpoint.into_option();
    }

    /// Says that it comes to its end; one that is dropped without was given up.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if !self.finished {
            self.tag("error", "cancelled");
        }
        let took = self.begin.elapsed().max(Duration::from_micros(1));
        self.span.duration = Some(took.as_micros() as u64);
        self.span.tags.sort();
        self.context.buffer.push(self.span.clone());
    }
}

/// Spans that wait to be stored, bounded.
#[derive(Debug)]
pub(super) struct SpanBuffer {
    spans: Mutex<Vec<Span>>,
    /// Half of what there is room for is taken: it should not be waited longer.
    pub(super) half_full: Notify,
    pub(super) ids: Ids,
    /// Counts what there is no room for.
    collector: Arc<Collector>,
}

impl SpanBuffer {
    pub(super) fn new(collector: Arc<Collector>) -> Self {
        Self {
            spans: Mutex::default(),
            half_full: Notify::new(),
            ids: Ids::default(),
            collector,
        }
    }

    fn push(&self, span: Span) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() == SPANS_MAX {
            drop(spans);
            self.collector.metrics().overflowed(Transport::Local, 1);
            return;
        }
        spans.push(span);
        if spans.len() == SPANS_MAX / 2 {
            self.half_full.notify_one();
        }
    }

    /// All of them; none is left.
    pub(super) fn take(&self) -> Vec<Span> {
        std::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Identifiers that do not come again: a counter from a random start, its bits mixed one to one.
#[derive(Debug)]
pub(super) struct Ids {
    next: AtomicU64,
}

impl Default for Ids {
    fn default() -> Self {
        // The standard library's hasher is seeded by the system's randomness.
        let start = RandomState::new().hash_one(std::process::id());
        Self {
            next: AtomicU64::new(start),
        }
    }
}

impl Ids {
    /// Never zero.
    pub(super) fn next(&self) -> u64 {
        loop {
            let id = mix(self.next.fetch_add(1, Ordering::Relaxed));
            if id != 0 {
                return id;
            }
        }
    }
}

/// The finaliser of SplitMix64, which maps every number to another.
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use collector::{Limits, Sampler};
    use storage_memory::{MemoryConfig, MemoryStore};

    use super::*;

    fn buffer() -> Arc<SpanBuffer> {
        let sink = Arc::new(MemoryStore::new(MemoryConfig::default()));
        let collector = Collector::new(sink, Sampler::ALL, Limits::default());
        Arc::new(SpanBuffer::new(Arc::new(collector)))
    }

    fn request(buffer: &Arc<SpanBuffer>) -> OpenSpan {
        let trace_id = TraceId::new(0, buffer.ids.next()).unwrap();
        OpenSpan::of_request(trace_id, None, false, "get /".to_owned(), buffer)
    }

    #[test]
    fn identifiers_do_not_come_again() {
        let (ids, others) = (Ids::default(), Ids::default());
        let seen: HashSet<u64> = (0..50_000).flat_map(|_| [ids.next(), others.next()]).collect();
        assert_eq!(seen.len(), 100_000);
        // Each bit is set in about half of them.
        for bit in 0..64 {
            let set = seen.iter().filter(|id| **id >> bit & 1 == 1).count();
            assert!((48_000..52_000).contains(&set), "bit {bit}: {set}");
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let buffer = buffer();
        for _ in 0..SPANS_MAX + 3 {
            request(&buffer).finish();
        }
        assert_eq!(buffer.take().len(), SPANS_MAX);
        let counts = buffer.collector.metrics().snapshot(Transport::Local);
        assert_eq!((counts.spans, counts.spans_dropped), (3, 3));
        assert!(buffer.take().is_empty());
    }

    #[test]
    fn a_span_that_is_given_up_says_so() {
        let buffer = buffer();
        let open = request(&buffer);
        let mut child = OpenSpan::child(&open.context(), "get-trace");
        child.finish();
        drop(child);
        drop(open);
        let spans = buffer.take();
        assert_eq!(
            (spans[0].tag("error"), spans[1].tag("error")),
            (None, Some("cancelled"))
        );
        assert_eq!(spans[0].parent_id, Some(spans[1].id));
        assert_eq!(spans[0].trace_id, spans[1].trace_id);
        assert!(spans[0].timestamp >= spans[1].timestamp);
    }
}
