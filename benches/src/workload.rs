//! The reference workload: what every figure of this package is measured on.
//!
//! Seeded and deterministic. Forty services of ten operations each, some 320 instances, traces of 5 to 60 spans
//! (20 on average) as Brave, OpenTelemetry and hand-written tracers report them: five tags a span, paths with
//! identifiers, statements with literals, versions half rolled out, ports of connection pools, one error in a
//! hundred, 128-bit trace ids. Five million spans are an hour.
//!
//! ```text
//! topology (drawn once) ─▶ call (one trace: who caused whom, when) ─▶ span (what is reported) ─▶ Batches
//! ```
//!
//! [`Hostile`] is the other one: spans that no sender should send.
//!
//! Agents report what *their* process did, so [`Batches`] are each of one instance, and a trace is spread over
//! as many batches as instances took part in it.

mod call;
mod hostile;
mod random;
mod span;
mod topology;
mod vocabulary;

use std::collections::VecDeque;

use model::{Span, TraceId};

pub use hostile::{Hostile, Hostility};
pub(crate) use random::{Random, mix};
use topology::Service;

/// When the first trace begins, microseconds since the epoch: a day in November 2026.
pub const EPOCH_US: u64 = 1_795_190_400_000_000;

/// How long, on average, until the next trace begins: 20 spans each make five million an hour.
const TRACE_EVERY_US: f64 = trace_every_us(5e6);

const fn trace_every_us(spans_an_hour: f64) -> f64 {
    3_600e6 / (spans_an_hour / 20.0)
}

const USERS: usize = 100_000;

/// An endless series of traces.
#[derive(Debug)]
pub struct Workload {
    services: Vec<Service>,
    random: Random,
    /// When the first trace may begin, microseconds since the epoch.
    begin_us: u64,
    /// Since then.
    clock_us: f64,
    /// On average, until the next one begins.
    trace_every_us: f64,
    rollout: Option<Rollout>,
    broker_offset: u64,
}

/// A new version that is slower, of one service, on a third of its instances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rollout {
    /// Number of the service, below [`Workload::services`].
    pub service: usize,
    /// Traces that begin before are served by the old version everywhere, microseconds since the epoch.
    pub begin_us: u64,
    /// By how much more time of its own the new version takes than the old one: 1 for as long again.
    pub slower: f64,
}

/// One trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// In the order in which they ended, which is the order in which they are reported.
    pub spans: Vec<ReportedSpan>,
}

/// A span and who reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedSpan {
    /// Normalised.
    pub span: Span,
    /// Number of the instance, below [`Workload::instances`].
    pub reporter: usize,
}

impl Workload {
    /// The same traces for the same seed, on every machine.
    pub fn reference(seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            services: topology::services(&mut random),
            random,
            begin_us: EPOCH_US,
            clock_us: 0.0,
            trace_every_us: TRACE_EVERY_US,
            rollout: None,
            broker_offset: 1_000_000,
        }
    }

    /// The same, from another moment on, microseconds since the epoch.
    #[must_use]
    pub fn beginning_at(self, begin_us: u64) -> Self {
        Self { begin_us, ..self }
    }

    /// The same, with so many spans in an hour.
    #[must_use]
    pub fn paced(self, spans_an_hour: f64) -> Self {
        Self {
            trace_every_us: trace_every_us(spans_an_hour),
            ..self
        }
    }

    /// The same, with a rollout.
    #[must_use]
    pub fn rolling_out(self, rollout: Rollout) -> Self {
        Self {
            rollout: Some(rollout),
            ..self
        }
    }

    /// The names of services, each with its old and its new version.
    pub fn services(&self) -> impl ExactSizeIterator<Item = (&'static str, &[String; 2])> {
        self.services
            .iter()
            .map(|service| (service.name, &service.versions))
    }

    /// How many instances report.
    pub fn instances(&self) -> usize {
        self.services.iter().map(|service| service.instances.len()).sum()
    }

    /// These traces in batches of `spans` spans, each of one instance.
    pub fn batches(self, spans: usize) -> Batches {
        Batches {
            waiting: vec![Vec::new(); self.instances()],
            ready: VecDeque::new(),
            spans_per_batch: spans.max(1),
            workload: self,
        }
    }

    fn trace_id(&mut self, begin_us: u64) -> TraceId {
        let (high, low) = (self.random.next(), self.random.next() | 1);
        // Brave begins 128-bit ids with the second of their making; the others are random throughout.
        let high = if self.random.chance(0.5) {
            (begin_us / 1_000_000) << 32 | high >> 32
        } else {
            high
        };
        TraceId::new(high, low).expect("the low half is odd")
    }
}

impl Iterator for Workload {
    type Item = Trace;

    /// Never `None`.
    fn next(&mut self) -> Option<Trace> {
        self.clock_us += self.random.exponential(self.trace_every_us);
        let begin_us = self.begin_us + self.clock_us as u64;
        let trace_id = self.trace_id(begin_us);
        let rollout = self.rollout.filter(|rollout| rollout.begin_us <= begin_us);
        let nodes = call::unfold(&self.services, rollout, &mut self.random);
        let request = span::Request {
            services: &self.services,
            old_only: self
                .rollout
                .filter(|_| rollout.is_none())
                .map(|rollout| rollout.service),
            nodes: &nodes,
            trace_id,
            begin_us,
            user: self.random.skewed(USERS, 1.3),
            request_id: [self.random.next(), self.random.next()],
        };
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by(|&a, &b| {
            let end = |index: usize| nodes[index].begin_us + nodes[index].duration_us;
            end(a).total_cmp(&end(b))
        });
        let spans = order.into_iter().map(|index| ReportedSpan {
            span: request.span(index, &mut self.broker_offset, &mut self.random),
            reporter: self.services[nodes[index].service].instances[nodes[index].instance].reporter,
        });
        Some(Trace {
            spans: spans.collect(),
        })
    }
}

/// An endless series of full batches. See [`Workload::batches`].
#[derive(Debug)]
pub struct Batches {
    workload: Workload,
    /// What each instance has not reported yet.
    waiting: Vec<Vec<Span>>,
    ready: VecDeque<Vec<Span>>,
    spans_per_batch: usize,
}

impl Iterator for Batches {
    type Item = Vec<Span>;

    /// Never `None`.
    fn next(&mut self) -> Option<Vec<Span>> {
        while self.ready.is_empty() {
            for reported in self.workload.next()?.spans {
                let waiting = &mut self.waiting[reported.reporter];
                waiting.push(reported.span);
                if waiting.len() == self.spans_per_batch {
                    self.ready.push_back(std::mem::take(waiting));
                }
            }
        }
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests;
