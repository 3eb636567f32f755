//! Whether what was acknowledged is stored.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, bail};
use model::{Span, SpanBatch, TraceId};
use proto::Format;
use serde::Serialize;

use crate::load::{Connection, Outcome, Requests};
use crate::server::Server;
use crate::workload::Random;

/// Requests, spread over the run, whose traces are read back.
const REQUESTS_LOOKED_AT: usize = 12;
/// Traces of each of them.
const TRACES_EACH: usize = 25;

/// What the check found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Checked {
    /// Spans of requests that were answered with 202.
    acknowledged_spans: u64,
    /// Spans of requests that were not: they may be stored, if the answer was lost on the way.
    other_spans: u64,
    /// Spans that the store counts.
    stored_spans: u64,
    traces_read: usize,
    spans_compared: usize,
    /// Traces that are not what was acknowledged.
    traces_different: Vec<String>,
}

impl Checked {
    /// # Errors
    /// Where something is missing or invented.
    pub(crate) fn require(&self) -> anyhow::Result<()> {
        let most = self.acknowledged_spans + self.other_spans;
        if !(self.acknowledged_spans..=most).contains(&self.stored_spans) {
            bail!(
                "{} spans were acknowledged, {} more were sent, but {} are stored",
                self.acknowledged_spans,
                self.other_spans,
                self.stored_spans
            );
        }
        if let Some(first) = self.traces_different.first() {
            bail!(
                "{} traces are not what was sent: {first}",
                self.traces_different.len()
            );
        }
        Ok(())
    }

    fn compare(&mut self, trace_id: TraceId, mut sent: Vec<Span>, mut stored: Vec<Span>) {
        sent.sort();
        stored.sort();
        self.traces_read += 1;
        self.spans_compared += sent.len();
        // What was refused may be stored where the answer was lost.
        let missing = sent
            .iter()
            .filter(|span| stored.binary_search(span).is_err())
            .count();
        if missing > 0 || (self.other_spans == 0 && stored.len() != sent.len()) {
            self.traces_different.push(format!(
                "{trace_id}: {} spans were acknowledged, {} are stored, {missing} are missing or changed",
                sent.len(),
                stored.len()
            ));
        }
    }

    /// In a sentence.
    pub(crate) fn sentence(&self) -> String {
        let verdict = match self.require() {
            Ok(()) => "Every acknowledged span is stored".to_owned(),
            Err(error) => format!("NOT WHOLE: {error}"),
        };
        format!(
            "{verdict}: {} acknowledged, {} counted by the store; {} traces of {} spans were read by id and are what was sent, but for {}",
            self.acknowledged_spans,
            self.stored_spans,
            self.traces_read,
            self.spans_compared,
            self.traces_different.len()
        )
    }
}

/// Requests, and what came of them.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) requests: &'a Requests,
    pub(crate) outcomes: Vec<&'a Outcome>,
}

/// Compares what runs of one server acknowledged with what it has.
///
/// # Errors
/// Where the server does not answer.
pub(crate) fn check(
    server: &Server,
    requests: &Requests,
    outcomes: &[&Outcome],
    seed: u64,
) -> anyhow::Result<Checked> {
    let sent = Sent {
        requests,
        outcomes: outcomes.to_vec(),
    };
    check_all(server, &[sent], seed)
}

/// The same of everything that was sent to it by several ways, which have no trace in common.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_all(server: &Server, sent: &[Sent<'_>], seed: u64) -> anyhow::Result<Checked> {
    let metrics = server.metrics()?;
    let stored = |name: &str| {
        metrics
            .get(name)
            .with_context(|| format!("the server has no {name}"))
    };
    let mut checked = Checked {
        acknowledged_spans: sent.iter().map(Sent::acknowledged_spans).sum(),
        other_spans: sent.iter().map(Sent::other_spans).sum(),
        stored_spans: (stored("tracehound_head_spans")? + stored("tracehound_segment_spans")?) as u64,
        traces_read: 0,
        spans_compared: 0,
        traces_different: Vec::new(),
    };
    let mut connection = Connection::open(server.address())?;
    for Sent { requests, outcomes } in sent {
        for (round, traces) in choose(requests, outcomes, seed)? {
            for (trace_id, sent) in acknowledged(requests, outcomes, round, &traces)? {
                let stored = read(&mut connection, trace_id)?;
                checked.compare(trace_id, sent, stored);
            }
        }
    }
    Ok(checked)
}

impl Sent<'_> {
    fn acknowledged_spans(&self) -> u64 {
        self.outcomes.iter().map(|outcome| outcome.accepted_spans).sum()
    }

    fn other_spans(&self) -> u64 {
        let others = self.outcomes.iter().flat_map(|outcome| &outcome.not_accepted);
        others.map(|&number| self.requests.spans_of(number) as u64).sum()
    }
}

/// Traces to look at, by the round they were sent in.
fn choose(
    requests: &Requests,
    outcomes: &[&Outcome],
    seed: u64,
) -> anyhow::Result<HashMap<u64, HashSet<TraceId>>> {
    let mut random = Random::new(seed);
    let mut chosen: HashMap<u64, HashSet<TraceId>> = HashMap::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.accepted > 0) {
        for _ in 0..REQUESTS_LOOKED_AT {
            let number = outcome.first + random.below(outcome.sent as usize) as u64;
            let mut traces: Vec<TraceId> = requests.traces_of(number)?.into_iter().collect();
            traces.sort();
            traces.truncate(TRACES_EACH);
            chosen
                .entry(number / requests.per_round())
                .or_default()
                .extend(traces);
        }
    }
    Ok(chosen)
}

/// The spans of these traces that were acknowledged.
fn acknowledged(
    requests: &Requests,
    outcomes: &[&Outcome],
    round: u64,
    traces: &HashSet<TraceId>,
) -> anyhow::Result<HashMap<TraceId, Vec<Span>>> {
    let mut spans = Vec::new();
    for number in round * requests.per_round()..(round + 1) * requests.per_round() {
        if outcomes.iter().any(|outcome| outcome.was_accepted(number)) {
            requests.spans_in(number, |trace_id| traces.contains(&trace_id), &mut spans)?;
        }
    }
    let mut of_traces: HashMap<TraceId, Vec<Span>> = HashMap::new();
    for span in spans {
        of_traces.entry(span.trace_id).or_default().push(span);
    }
    Ok(of_traces)
}

/// The spans of a trace, none where there is no such trace.
///
/// # Errors
/// Where the server does not answer.
pub(crate) fn read(connection: &mut Connection, trace_id: TraceId) -> anyhow::Result<Vec<Span>> {
    let answer = connection.get(&format!("/api/v2/trace/{trace_id}"))?;
    match answer.status {
        200 => {
            let mut batch = SpanBatch::new();
            proto::decode(Format::JsonV2, &answer.body, &mut batch)
                .map_err(|error| anyhow::anyhow!("trace {trace_id} cannot be read: {error}"))?;
            Ok(batch.iter().map(|span| span.to_span()).collect())
        }
        404 => Ok(Vec::new()),
        status => bail!("trace {trace_id} was answered with {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(acknowledged_spans: u64, other_spans: u64, stored_spans: u64) -> Checked {
        Checked {
            acknowledged_spans,
            other_spans,
            stored_spans,
            traces_read: 1,
            spans_compared: 20,
            traces_different: Vec::new(),
        }
    }

    #[test]
    fn a_missing_and_an_invented_span_are_found() {
        assert!(checked(100, 0, 100).require().is_ok());
        assert!(checked(100, 20, 120).require().is_ok());
        let error = checked(100, 0, 99).require().unwrap_err().to_string();
        assert_eq!(
            error,
            "100 spans were acknowledged, 0 more were sent, but 99 are stored"
        );
        assert!(checked(100, 20, 121).require().is_err());
        assert!(checked(100, 0, 99).sentence().starts_with("NOT WHOLE"));
    }

    #[test]
    fn a_different_trace_is_named() {
        let checked = Checked {
            traces_different: vec!["7: changed".to_owned()],
            ..checked(100, 0, 100)
        };
        let error = checked.require().unwrap_err().to_string();
        assert_eq!(error, "1 traces are not what was sent: 7: changed");
    }
}
