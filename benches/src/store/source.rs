//! The workload as it is sent to a store: moved in time, with rare tags in it, each batch of one instance.

use std::collections::VecDeque;

use model::Span;

use super::truth::Truth;
use crate::workload::Workload;

/// As agents send them.
pub(crate) const SPANS_PER_REQUEST: usize = 100;

/// Spans between two lines for who waits.
const TELL_EVERY: u64 = 1_000_000;

/// Makes spans, and notes what it made.
pub(crate) struct Source {
    workload: Workload,
    /// What each instance has not reported yet.
    waiting: Vec<Vec<Span>>,
    pub(crate) truth: Truth,
}

impl Source {
    pub(crate) fn new(seed: u64, begin_us: u64, truth: Truth) -> Self {
        let workload = Workload::reference(seed).beginning_at(begin_us);
        Self {
            waiting: vec![Vec::new(); workload.instances()],
            workload,
            truth,
        }
    }

    /// Batches until so many spans were made in all; then everything that agents still hold, so that every trace is
    /// whole.
    pub(crate) fn until(&mut self, spans: u64) -> Batches<'_> {
        Batches {
            left: spans.saturating_sub(self.truth.spans),
            source: self,
            is_noted: true,
            is_over: false,
            ready: VecDeque::new(),
            error: None,
        }
    }

    /// Batches of so many further spans, which are not noted.
    pub(crate) fn beyond(&mut self, spans: u64) -> Batches<'_> {
        Batches {
            left: spans,
            is_noted: false,
            ..self.until(0)
        }
    }
}

/// See [`Source::until`].
pub(crate) struct Batches<'a> {
    source: &'a mut Source,
    /// Spans still to be made.
    left: u64,
    is_noted: bool,
    is_over: bool,
    ready: VecDeque<Vec<Span>>,
    /// Why it ended too early.
    pub(crate) error: Option<anyhow::Error>,
}

impl Batches<'_> {
    fn make(&mut self) -> anyhow::Result<()> {
        let trace = self
            .source
            .workload
            .next()
            .map(|trace| trace.spans)
            .unwrap_or_default();
        let (reporters, mut spans): (Vec<usize>, Vec<Span>) = trace
            .into_iter()
            .map(|reported| (reported.reporter, reported.span))
            .unzip();
        if self.is_noted {
            let truth = &mut self.source.truth;
            let before = truth.spans;
            truth.note(&mut spans)?;
            if truth.spans / TELL_EVERY > before / TELL_EVERY {
                eprintln!("{} million spans", truth.spans / TELL_EVERY);
            }
        }
        self.left = self.left.saturating_sub(spans.len() as u64);
        for (reporter, span) in reporters.into_iter().zip(spans) {
            let waiting = &mut self.source.waiting[reporter];
            waiting.push(span);
            if waiting.len() == SPANS_PER_REQUEST {
                self.ready.push_back(std::mem::take(waiting));
            }
        }
        Ok(())
    }

    fn finish(&mut self) {
        let waiting = self.source.waiting.iter_mut().map(std::mem::take);
        self.ready.extend(waiting.filter(|batch| !batch.is_empty()));
        self.source.truth.pause();
        self.is_over = true;
    }
}

impl Iterator for Batches<'_> {
    type Item = Vec<Span>;

    fn next(&mut self) -> Option<Vec<Span>> {
        while self.ready.is_empty() && !self.is_over {
            if self.left == 0 {
                self.finish();
            } else if let Err(error) = self.make() {
                self.error = Some(error);
                self.is_over = true;
            }
        }
        self.ready.pop_front()
    }
}
