//! Reads while writing. A case shares its store between tasks; on a runtime of several threads they run at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::Span;

use super::fixtures::{Build, at, query_of, sorted, span, trace_id};
use super::{Case, Subject, case};
use crate::TraceQueryBuilder;

pub(super) const CASES: &[Case] = &[
    case!(what_is_acknowledged_is_visible_at_once),
    case!(readers_see_whole_spans_of_one_trace_once),
    case!(what_was_stored_is_found_while_it_grows),
    case!(the_same_batch_from_many_senders_is_stored_once, RawSpans),
    case!(many_writers_of_one_trace_lose_nothing),
];

const WRITERS: u64 = 4;
const TRACES_A_WRITER: u64 = 25;
const SPANS_A_TRACE: u64 = 6;

fn trace(low: u64) -> Vec<Span> {
    let mut spans = vec![span(trace_id(low), 1)];
    spans.extend((2..=SPANS_A_TRACE).map(|id| span(trace_id(low), id).child_of(1).local("backend")));
    spans
}

/// Writes traces in two parts each and checks that it sees what was acknowledged.
async fn write_and_read_back(subject: &Subject, writer: u64) {
    for number in 0..TRACES_A_WRITER {
        let low = 1 + writer * TRACES_A_WRITER + number;
        let trace = trace(low);
        let (first, second) = trace.split_at(2);
        subject.accept(first).await;
        assert_eq!(subject.trace(trace_id(low)).await, first);
        tokio::task::yield_now().await;
        subject.accept(second).await;
        assert_eq!(subject.trace(trace_id(low)).await, trace);
        let names = subject.span_names("backend").await;
        assert_eq!(names, ["get"]);
    }
}

/// Runs a task for each number up to `tasks`, and tells when all are done.
struct Tasks {
    running: Arc<AtomicUsize>,
    handles: Vec<tokio::task::JoinHandle<()>>,
}

impl Tasks {
    fn spawn<F>(tasks: u64, task: impl Fn(u64) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = Arc::new(AtomicUsize::new(tasks as usize));
        let handles = (0..tasks)
            .map(|number| {
                // Counts down when the task ends, however it ends.
                let done = Done(Arc::clone(&running));
                let task = task(number);
                tokio::spawn(async move {
                    let _done = done;
                    task.await;
                })
            })
            .collect();
        Self { running, handles }
    }

    fn are_running(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0
    }

    async fn join(self) {
        for handle in self.handles {
            if let Err(stopped) = handle.await {
                std::panic::resume_unwind(stopped.into_panic());
            }
        }
    }
}

struct Done(Arc<AtomicUsize>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

fn write_traces(subject: &Subject) -> Tasks {
    Tasks::spawn(WRITERS, |writer| {
        let subject = subject.share();
        async move { write_and_read_back(&subject, writer).await }
    })
}

async fn what_is_acknowledged_is_visible_at_once(subject: Subject) {
    write_traces(&subject).join().await;
    let all = TraceQueryBuilder {
        limit: 1000,
        ..query_of("backend")
    };
    let mut found = subject.search(all).await;
    found.sort_by_key(|trace| trace[0].trace_id);
    let written: Vec<_> = (1..=WRITERS * TRACES_A_WRITER)
        .map(|low| sorted(trace(low)))
        .collect();
    assert_eq!(found, written);
}

async fn readers_see_whole_spans_of_one_trace_once(subject: Subject) {
    let writers = write_traces(&subject);
    while writers.are_running() {
        let all = TraceQueryBuilder {
            limit: 1000,
            ..query_of("frontend")
        };
        let found = subject.search(all).await;
        let ids: HashSet<_> = found.iter().map(|trace| trace[0].trace_id).collect();
        assert_eq!(ids.len(), found.len(), "a trace was found twice");
        for spans in &found {
            let whole = sorted(trace(spans[0].trace_id.low()));
            assert!(
                spans.iter().all(|span| whole.contains(span)),
                "a span that nobody wrote: {spans:?}"
            );
            assert!(
                spans.windows(2).all(|pair| pair[0] != pair[1]),
                "a span twice: {spans:?}"
            );
        }
        tokio::task::yield_now().await;
    }
    writers.join().await;
}

async fn what_was_stored_is_found_while_it_grows(subject: Subject) {
    const SPANS: u64 = 300;
    // Each straggler is later than all before, by ever more.
    let straggler = |id: u64| {
        span(trace_id(1), id)
            .child_of(1)
            .at(at(id * id * 100))
            .local("backend")
    };
    subject.accept(&[span(trace_id(1), 1), straggler(2)]).await;
    let writer = Tasks::spawn(1, |_| {
        let subject = subject.share();
        async move {
            for id in 3..=SPANS {
                subject.accept(&[straggler(id)]).await;
                tokio::task::yield_now().await;
            }
        }
    });
    let mut seen = 2;
    while writer.are_running() {
        let found = subject.search(query_of("backend")).await;
        assert_eq!(found.len(), 1, "the trace is not found for a moment");
        assert!(found[0].len() >= seen, "{} spans after {seen}", found[0].len());
        seen = found[0].len();
        tokio::task::yield_now().await;
    }
    writer.join().await;
    assert_eq!(subject.trace(trace_id(1)).await.len(), SPANS as usize);
}

async fn the_same_batch_from_many_senders_is_stored_once(subject: Subject) {
    let batch: Vec<_> = (1..=20).flat_map(trace).collect();
    let senders = Tasks::spawn(2 * WRITERS, |_| {
        let (subject, batch) = (subject.share(), batch.clone());
        async move { subject.accept(&batch).await }
    });
    senders.join().await;
    for low in 1..=20 {
        assert_eq!(subject.trace(trace_id(low)).await, trace(low));
    }
}

async fn many_writers_of_one_trace_lose_nothing(subject: Subject) {
    const SPANS_A_WRITER: u64 = 50;
    let writers = Tasks::spawn(WRITERS, |writer| {
        let subject = subject.share();
        async move {
            for number in 0..SPANS_A_WRITER {
                let id = 1 + writer * SPANS_A_WRITER + number;
                subject
                    .accept(&[span(trace_id(1), id).named(&format!("name-{id:03}"))])
                    .await;
                tokio::task::yield_now().await;
            }
        }
    });
    writers.join().await;
    assert_eq!(
        subject.trace(trace_id(1)).await.len() as u64,
        WRITERS * SPANS_A_WRITER
    );
    assert_eq!(
        subject.span_names("frontend").await.len() as u64,
        WRITERS * SPANS_A_WRITER
    );
}
