//! What was sent, as far as it is asked for again.

use std::time::Instant;

use anyhow::{bail, ensure};
use model::{Span, SpanBatch, TraceId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proto::Format;
use serde::Serialize;

use crate::load::Connection;
use crate::server::Server;
use crate::workload::{Hostile, Hostility};

const BATCH_SPANS_MAX: usize = 1_000;
/// Of texts, which are the most of a span.
const BATCH_BYTES_MAX: usize = 2 << 20;
/// Traces that are kept whole.
const TRACES_KEPT: u64 = 50;
const SPANS_A_TRACE: u64 = 8;
/// From before all clocks to after them: milliseconds.
const SEARCH_END_MS: u64 = 1_900_000_000_000;

/// Spans of a kind as requests, noted as they are made.
pub(super) struct Batches {
    spans: Hostile,
    left: u64,
    made: u64,
    keep_every: u64,
    pub(super) kept: Kept,
}

/// What can be asked of the spans of a kind.
pub(super) struct Kept {
    hostility: Hostility,
    spans: u64,
    /// Whole traces; the first span only of the trace that has all.
    traces: Vec<Vec<Span>>,
}

/// What came of the questions about a kind.
#[derive(Debug, Serialize)]
pub(super) struct Answered {
    pub(super) name: &'static str,
    pub(super) questions: usize,
    pub(super) wrong: usize,
    pub(super) first_wrong: Option<String>,
    pub(super) slowest_ms: f64,
    pub(super) largest_bytes: usize,
}

impl Batches {
    pub(super) fn new(spans: Hostile, hostility: Hostility, count: u64) -> Self {
        // Only whole traces, so that each is known.
        let count = count / SPANS_A_TRACE * SPANS_A_TRACE;
        Self {
            spans,
            left: count,
            made: 0,
            keep_every: (count / SPANS_A_TRACE / TRACES_KEPT).max(1),
            kept: Kept {
                hostility,
                spans: count,
                traces: Vec::new(),
            },
        }
    }

    fn note(&mut self, span: &Span) {
        let traces = &mut self.kept.traces;
        if self.kept.hostility.is_one_trace() {
            if traces.is_empty() {
                traces.push(vec![span.clone()]);
            }
        } else if (self.made / SPANS_A_TRACE).is_multiple_of(self.keep_every) {
            match traces
                .last_mut()
                .filter(|trace| trace[0].trace_id == span.trace_id)
            {
                Some(trace) => trace.push(span.clone()),
                None => traces.push(vec![span.clone()]),
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Vec<Span>;

    fn next(&mut self) -> Option<Vec<Span>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while self.left > 0 && batch.len() < BATCH_SPANS_MAX && bytes < BATCH_BYTES_MAX {
            let span = self.spans.next()?;
            self.note(&span);
            self.left -= 1;
            self.made += 1;
            bytes += span
                .tags
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>();
            batch.push(span);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

impl Kept {
    /// Asks everything that can be asked.
    ///
    /// # Errors
    /// Where the server does not answer at all.
    pub(super) fn ask(&self, server: &Server) -> anyhow::Result<Answered> {
        let mut connection = Connection::open(server.address())?;
        let mut answered = Answered {
            name: self.hostility.name(),
            questions: 0,
            wrong: 0,
            first_wrong: None,
            slowest_ms: 0.0,
            largest_bytes: 0,
        };
        for trace in &self.traces {
            let path = format!("/api/v2/trace/{}", trace[0].trace_id);
            answered.ask(&mut connection, &path, |body| self.check_trace(trace, body))?;
            if self.hostility == Hostility::UniqueValues {
                let value = trace[0].tag("message").unwrap_or_default();
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                let path = format!(
                    "/api/v2/traces?annotationQuery=message%3D{value}&endTs={SEARCH_END_MS}&lookback={SEARCH_END_MS}"
                );
                answered.ask(&mut connection, &path, |body| {
                    check_found(trace[0].trace_id, body)
                })?;
            }
        }
        Ok(answered)
    }

    fn check_trace(&self, trace: &[Span], body: &[u8]) -> anyhow::Result<()> {
        let mut batch = SpanBatch::new();
        proto::decode(Format::JsonV2, body, &mut batch)
            .map_err(|error| anyhow::anyhow!("cannot be read: {error}"))?;
        if !self.hostility.is_one_trace() {
            let mut found: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
            let mut expected = trace.to_vec();
            found.sort();
            expected.sort();
            ensure!(
                found == expected,
                "{} spans, not the {} sent",
                found.len(),
                expected.len()
            );
            return Ok(());
        }
        // Each bears its number, and each number is there once.
        let mut missing = vec![true; self.spans as usize];
        for span in batch.iter() {
            let number = span
                .to_span()
                .tag("number")
                .and_then(|number| number.parse::<usize>().ok());
            match number.and_then(|number| missing.get_mut(number)) {
                Some(missing) if *missing => *missing = false,
                _ => bail!("a span with the number {number:?} that is there twice or was never sent"),
            }
        }
        let missing = missing.into_iter().filter(|missing| *missing).count();
        ensure!(missing == 0, "{missing} of {} spans are missing", self.spans);
        Ok(())
    }
}

impl Answered {
    fn ask(
        &mut self,
        connection: &mut Connection,
        path: &str,
        check: impl FnOnce(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let begin = Instant::now();
        let answer = connection.get(path)?;
        self.slowest_ms = self.slowest_ms.max(begin.elapsed().as_secs_f64() * 1_000.0);
        self.largest_bytes = self.largest_bytes.max(answer.body.len());
        self.questions += 1;
        let checked = match answer.status {
            200 => check(&answer.body),
            status => Err(anyhow::anyhow!("answered with {status}")),
        };
        if let Err(error) = checked {
            self.wrong += 1;
            self.first_wrong.get_or_insert(format!("{path}: {error:#}"));
        }
        Ok(())
    }
}

/// Exactly one trace, the one that was looked for.
fn check_found(trace_id: TraceId, body: &[u8]) -> anyhow::Result<()> {
    let found: Vec<Vec<serde_json::Value>> = serde_json::from_slice(body)?;
    let ids: Vec<&str> = found
        .iter()
        .filter_map(|trace| trace.first()?.get("traceId")?.as_str())
        .collect();
    ensure!(ids == [trace_id.to_string()], "{ids:?} instead of {trace_id}");
    Ok(())
}
