//! Requests written down before the run, and made new in place each time they are sent again.
//!
//! A round sends every request once. In round r, the lower half of every id of a span and of a trace is another
//! one (the same change everywhere, so that parents and traces still hang together), and every timestamp is as much
//! later as r rounds last. Writing that costs some 20 ns a span; `places.rs` says where.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use anyhow::Context;
use model::{Span, TraceId};

use super::client::Client;
use super::places::Places;
use super::way::{Verdict, Way};

/// Prepared requests. Number n is request n modulo their count, in round n divided by it.
#[derive(Debug)]
pub struct Requests {
    way: Way,
    prepared: Vec<Mutex<Prepared>>,
    spans: Vec<usize>,
    /// How long the spans of a round last, microseconds.
    round_us: u64,
    /// What is added to timestamps in round 0.
    shift_us: u64,
    next: AtomicU64,
}

#[derive(Debug)]
struct Prepared {
    /// Head and body.
    bytes: Vec<u8>,
    body: usize,
    round: Option<u64>,
    places: Places,
}

impl Requests {
    /// As [`Requests::prepare_for`], of Zipkin's JSON.
    ///
    /// # Errors
    /// As [`Requests::prepare_for`].
    pub fn prepare(batches: impl Iterator<Item = Vec<Span>>, begin_us: u64) -> anyhow::Result<Self> {
        Self::prepare_for(Way::JSON, batches, begin_us)
    }

    /// Writes down a batch a request; the first span of all begins at `begin_us`, microseconds since the epoch, or
    /// at its own time where that is later.
    ///
    /// # Errors
    /// Where there is no batch, or one without timestamps.
    pub fn prepare_for(
        way: Way,
        batches: impl Iterator<Item = Vec<Span>>,
        begin_us: u64,
    ) -> anyhow::Result<Self> {
        let (mut prepared, mut spans) = (Vec::new(), Vec::new());
        let (mut earliest, mut latest) = (u64::MAX, 0);
        for batch in batches {
            let request = Prepared::new(way, &batch);
            for time in request.places.times_us() {
                (earliest, latest) = (earliest.min(time), latest.max(time));
            }
            prepared.push(Mutex::new(request));
            spans.push(batch.len());
        }
        let round_us = latest
            .checked_sub(earliest)
            .context("there are no spans with a timestamp to send")?;
        Ok(Self {
            way,
            prepared,
            spans,
            round_us: round_us + 1,
            shift_us: begin_us.saturating_sub(earliest),
            next: AtomicU64::new(0),
        })
    }

    /// The way in that they are written for.
    pub fn way(&self) -> Way {
        self.way
    }

    /// How many a round has.
    pub fn per_round(&self) -> u64 {
        self.prepared.len() as u64
    }

    /// Bytes of the bodies of a round, a span.
    pub fn body_bytes_per_span(&self) -> f64 {
        let bodies = self.prepared.iter().map(|prepared| {
            let prepared = lock(prepared);
            (prepared.bytes.len() - prepared.body) as u64
        });
        bodies.sum::<u64>() as f64 / self.spans() as f64
    }

    /// Spans of a round.
    pub fn spans(&self) -> u64 {
        self.spans.iter().map(|&spans| spans as u64).sum()
    }

    /// Spans of the request with this number.
    pub fn spans_of(&self, number: u64) -> usize {
        self.spans[self.index(number)]
    }

    /// The body of the request with this number, as it is sent.
    pub fn body(&self, number: u64) -> Vec<u8> {
        let prepared = self.patched(number);
        prepared.bytes[prepared.body..].to_vec()
    }

    /// Adds the spans of this request that belong to one of `traces` to `found`.
    ///
    /// # Errors
    /// Where the body cannot be read back.
    pub fn spans_in(
        &self,
        number: u64,
        traces: impl Fn(TraceId) -> bool,
        found: &mut Vec<Span>,
    ) -> anyhow::Result<()> {
        let batch = self.way.decode(&self.body(number));
        let batch = batch.with_context(|| format!("request {number}"))?;
        found.extend(
            batch
                .iter()
                .filter(|span| traces(span.trace_id()))
                .map(|span| span.to_span()),
        );
        Ok(())
    }

    /// The traces that the request with this number has spans of.
    ///
    /// # Errors
    /// As [`Requests::spans_in`].
    pub fn traces_of(&self, number: u64) -> anyhow::Result<HashSet<TraceId>> {
        let mut spans = Vec::new();
        self.spans_in(number, |_| true, &mut spans)?;
        Ok(spans.iter().map(|span| span.trace_id).collect())
    }

    /// The number that no request was sent with yet.
    pub(super) fn next_number(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    pub(super) fn go_on_from(&self, number: u64) {
        self.next.store(number, Ordering::Relaxed);
    }

    /// Nobody else sends the same request at this time: rounds are far longer than there are connections.
    pub(super) fn send(&self, number: u64, client: &mut Client) -> io::Result<Verdict> {
        client.send(self.way, &self.patched(number).bytes)
    }

    fn patched(&self, number: u64) -> MutexGuard<'_, Prepared> {
        let round = number / self.per_round();
        let mut prepared = lock(&self.prepared[self.index(number)]);
        if prepared.round != Some(round) {
            prepared.patch(round, self.shift_us + round * self.round_us);
        }
        prepared
    }

    fn index(&self, number: u64) -> usize {
        (number % self.per_round()) as usize
    }
}

impl Prepared {
    fn new(way: Way, batch: &[Span]) -> Self {
        let content = way.encode(batch);
        let bytes = way.frame(&content);
        let body = bytes.len() - content.len();
        Self {
            places: Places::find(way.format(), &bytes, body),
            body,
            bytes,
            round: None,
        }
    }

    fn patch(&mut self, round: u64, shift_us: u64) {
        // Odd, so no two rounds below 2³² make the same change.
        let change = (round as u32).wrapping_mul(0x9e37_79b1);
        self.places.patch(&mut self.bytes, change, shift_us);
        self.round = Some(round);
    }
}

fn lock(prepared: &Mutex<Prepared>) -> MutexGuard<'_, Prepared> {
    prepared.lock().expect("nobody panics while sending")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::load::Transport;
    use crate::workload::{EPOCH_US, Workload};

    const COUNT: u64 = 30;
    const BEGIN_US: u64 = EPOCH_US + 3_600_000_000;

    fn requests(way: Way) -> Requests {
        let batches = Workload::reference(3).batches(20).take(COUNT as usize);
        Requests::prepare_for(way, batches, BEGIN_US).unwrap()
    }

    fn spans(requests: &Requests, round: u64) -> Vec<Span> {
        let mut spans = Vec::new();
        for number in round * COUNT..(round + 1) * COUNT {
            requests.spans_in(number, |_| true, &mut spans).unwrap();
        }
        spans
    }

    fn earliest(spans: &[Span]) -> u64 {
        spans.iter().filter_map(|span| span.timestamp).min().unwrap()
    }

    /// The workload, moved in time.
    fn workload() -> Vec<Span> {
        let batches = Workload::reference(3).batches(20).take(COUNT as usize);
        let mut spans: Vec<Span> = batches.flatten().collect();
        let shift = BEGIN_US - earliest(&spans);
        for span in &mut spans {
            span.timestamp = span.timestamp.map(|timestamp| timestamp + shift);
            for annotation in &mut span.annotations {
                annotation.timestamp += shift;
            }
        }
        spans
    }

    #[test]
    fn the_first_round_is_the_workload_moved_in_time() {
        for way in &Way::ALL[..3] {
            let requests = requests(*way);
            assert_eq!(spans(&requests, 0), workload(), "{}", way.name());
            assert_eq!(requests.spans(), 20 * COUNT);
            assert_eq!(requests.spans_of(7), 20);
        }
    }

    #[test]
    fn in_otlp_it_has_the_same_identifiers_times_and_names() {
        for way in &Way::ALL[3..] {
            let spans = spans(&requests(*way), 0);
            let (sent, name) = (workload(), way.name());
            assert_eq!(spans.len(), sent.len(), "{name}");
            for (read, sent) in spans.iter().zip(&sent) {
                let facts = |span: &Span| {
                    let service = span.local_service_name().map(str::to_owned);
                    (
                        span.trace_id,
                        span.timestamp,
                        span.duration,
                        span.name.clone(),
                        service,
                    )
                };
                assert_eq!(facts(read), facts(sent), "{name}");
                // The server's half of a shared span is one of its own, below the client's.
                let above = if sent.shared {
                    Some(sent.id)
                } else {
                    sent.parent_id
                };
                assert_eq!(read.parent_id, above, "{name}");
                assert_eq!(read.id == sent.id, !sent.shared, "{name}");
                assert_eq!(read.kind, sent.kind, "{name}");
                assert_eq!(read.annotations.len(), sent.annotations.len(), "{name}");
                for key in ["service.version", "http.status_code", "cache.hit", "kafka.topic"] {
                    assert_eq!(read.tag(key), sent.tag(key), "{name}: {key}");
                }
                assert_eq!(read.tag("error").is_some(), sent.tag("error").is_some(), "{name}");
            }
            assert!(
                sent.iter().any(|span| span.shared) && sent.iter().any(|span| span.tag("error").is_some())
            );
        }
    }

    #[test]
    fn a_later_round_is_new_but_hangs_together_as_the_first() {
        for way in Way::ALL {
            check_later_round(&requests(way));
        }
    }

    fn check_later_round(requests: &Requests) {
        let (first, later) = (spans(requests, 0), spans(requests, 5));
        let mut traces: HashMap<TraceId, TraceId> = HashMap::new();
        let mut ids = HashMap::new();
        for (before, after) in first.iter().zip(&later) {
            assert_ne!(before.trace_id, after.trace_id);
            assert_ne!(before.id, after.id);
            assert_eq!(
                *traces.entry(before.trace_id).or_insert(after.trace_id),
                after.trace_id
            );
            assert_eq!(*ids.entry(before.id).or_insert(after.id), after.id);
            assert_eq!(before.parent_id.is_some(), after.parent_id.is_some());
            assert_eq!(before.tags, after.tags);
            assert_eq!(
                after.timestamp.unwrap() - before.timestamp.unwrap(),
                5 * requests.round_us
            );
        }
        for (before, after) in first.iter().zip(&later) {
            if let Some(&expected) = before.parent_id.and_then(|parent| ids.get(&parent)) {
                assert_eq!(after.parent_id, Some(expected));
            }
        }
        assert!(earliest(&later) > first.iter().filter_map(|span| span.timestamp).max().unwrap());
    }

    #[test]
    fn the_head_announces_the_body() {
        for way in Way::ALL {
            let requests = requests(way);
            let prepared = lock(&requests.prepared[4]);
            let (head, body) = prepared.bytes.split_at(prepared.body);
            let announced = match way.transport() {
                Transport::Http => {
                    let head = std::str::from_utf8(head).unwrap();
                    let length = head.split("content-length: ").nth(1).unwrap().trim();
                    length.parse::<usize>().unwrap()
                }
                Transport::Grpc => {
                    assert_eq!((head[0], head.len()), (0, 5));
                    u32::from_be_bytes(head[1..].try_into().unwrap()) as usize
                }
            };
            assert_eq!(announced, body.len(), "{}", way.name());
        }
    }

    #[test]
    fn without_spans_there_is_nothing_to_send() {
        assert!(Requests::prepare(std::iter::empty(), 0).is_err());
    }
}
