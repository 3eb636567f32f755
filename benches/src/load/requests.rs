//! Requests written down before the run, and made new in place each time they are sent again.
//!
//! A round sends every request once. In round r, the lower half of every id of a span and of a trace is another
//! one (the same change everywhere, so that parents and traces still hang together), and every timestamp is as much
//! later as r rounds last. Writing that costs some 20 ns a span.
//!
//! ```text
//! POST … content-length: 48213 ⏎⏎ [{"traceId":"…92d2c4d1…","id":"…","timestamp":1795190400000000, …
//!                                            ‾‾‾‾‾‾‾‾       ‾‾‾‾             ‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾ patched
//! ```

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use anyhow::Context;
use model::{Span, SpanBatch, TraceId};
use proto::Format;

use super::{Answer, Connection};

/// Hexadecimal digits of an id that are changed.
const ID_DIGITS: usize = 8;
/// Digits of a timestamp, microseconds, from 2001 to 2286.
const TIME_DIGITS: usize = 16;

/// Prepared requests. Number n is request n modulo their count, in round n divided by it.
#[derive(Debug)]
pub struct Requests {
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
    ids: Vec<(u32, u32)>,
    times: Vec<(u32, u64)>,
}

impl Requests {
    /// Writes down a batch a request; the first span of all begins at `begin_us`, microseconds since the epoch, or
    /// at its own time where that is later.
    ///
    /// # Errors
    /// Where there is no batch, or one without timestamps.
    pub fn prepare(batches: impl Iterator<Item = Vec<Span>>, begin_us: u64) -> anyhow::Result<Self> {
        let (mut prepared, mut spans) = (Vec::new(), Vec::new());
        let (mut earliest, mut latest) = (u64::MAX, 0);
        for batch in batches {
            let request = Prepared::new(&batch);
            for &(_, time) in &request.times {
                (earliest, latest) = (earliest.min(time), latest.max(time));
            }
            prepared.push(Mutex::new(request));
            spans.push(batch.len());
        }
        let round_us = latest
            .checked_sub(earliest)
            .context("there are no spans with a timestamp to send")?;
        Ok(Self {
            prepared,
            spans,
            round_us: round_us + 1,
            shift_us: begin_us.saturating_sub(earliest),
            next: AtomicU64::new(0),
        })
    }

    /// How many a round has.
    pub fn per_round(&self) -> u64 {
        self.prepared.len() as u64
    }

    /// Bytes of the bodies of a round.
    pub fn body_bytes(&self) -> u64 {
        let bodies = self.prepared.iter().map(|prepared| {
            let prepared = lock(prepared);
            (prepared.bytes.len() - prepared.body) as u64
        });
        bodies.sum()
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
        let mut batch = SpanBatch::new();
        proto::decode(Format::JsonV2, &self.body(number), &mut batch)
            .map_err(|error| anyhow::anyhow!("request {number} cannot be read back: {error}"))?;
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
    pub(super) fn send(&self, number: u64, connection: &mut Connection) -> io::Result<Answer> {
        connection.exchange(&self.patched(number).bytes)
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
    fn new(batch: &[Span]) -> Self {
        let json = proto::encode(Format::JsonV2, batch);
        let head = format!(
            "POST /api/v2/spans HTTP/1.1\r\nhost: benches\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            json.len()
        );
        let mut prepared = Self {
            body: head.len(),
            bytes: [head.as_bytes(), &json].concat(),
            round: None,
            ids: Vec::new(),
            times: Vec::new(),
        };
        prepared.find_places();
        prepared
    }

    /// Finds what is patched. A quote inside a value is escaped, so a key in quotes is never part of one.
    fn find_places(&mut self) {
        let bytes = &self.bytes;
        let quotes = (self.body..bytes.len()).filter(|&at| bytes[at] == b'"');
        for at in quotes {
            let rest = &bytes[at..];
            let id_keys: [&[u8]; 3] = [b"\"traceId\":\"", b"\"id\":\"", b"\"parentId\":\""];
            if let Some(key) = id_keys.iter().find(|key| rest.starts_with(key)) {
                let value = &rest[key.len()..];
                let digits = value.iter().take_while(|digit| digit.is_ascii_hexdigit()).count();
                let place = at + key.len() + digits - ID_DIGITS;
                let text = std::str::from_utf8(&bytes[place..place + ID_DIGITS]).unwrap_or_default();
                let id = u32::from_str_radix(text, 16).expect("ids are written in hexadecimal");
                self.ids.push((place as u32, id));
            } else if rest.starts_with(b"\"timestamp\":") {
                let place = at + b"\"timestamp\":".len();
                let text = std::str::from_utf8(&bytes[place..place + TIME_DIGITS]).unwrap_or_default();
                let time = text.parse().expect("timestamps have 16 digits");
                self.times.push((place as u32, time));
            }
        }
    }

    fn patch(&mut self, round: u64, shift_us: u64) {
        // Odd, so no two rounds below 2³² make the same change.
        let change = (round as u32).wrapping_mul(0x9e37_79b1);
        for &(place, id) in &self.ids {
            write_hex(&mut self.bytes[place as usize..][..ID_DIGITS], id ^ change);
        }
        for &(place, time) in &self.times {
            write_decimal(&mut self.bytes[place as usize..][..TIME_DIGITS], time + shift_us);
        }
        self.round = Some(round);
    }
}

fn lock(prepared: &Mutex<Prepared>) -> MutexGuard<'_, Prepared> {
    prepared.lock().expect("nobody panics while sending")
}

fn write_hex(digits: &mut [u8], value: u32) {
    for (at, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(value >> (28 - 4 * at) & 15) as usize];
    }
}

fn write_decimal(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::workload::{EPOCH_US, Workload};

    const COUNT: u64 = 30;
    const BEGIN_US: u64 = EPOCH_US + 3_600_000_000;

    fn requests() -> Requests {
        Requests::prepare(Workload::reference(3).batches(20).take(COUNT as usize), BEGIN_US).unwrap()
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

    #[test]
    fn the_first_round_is_the_workload_moved_in_time() {
        let requests = requests();
        let sent: Vec<Span> = Workload::reference(3)
            .batches(20)
            .take(COUNT as usize)
            .flatten()
            .collect();
        let shift = BEGIN_US - earliest(&sent);
        let moved = sent.into_iter().map(|mut span| {
            span.timestamp = span.timestamp.map(|timestamp| timestamp + shift);
            for annotation in &mut span.annotations {
                annotation.timestamp += shift;
            }
            span
        });
        assert_eq!(spans(&requests, 0), moved.collect::<Vec<_>>());
        assert_eq!(requests.spans(), 20 * COUNT);
        assert_eq!(requests.spans_of(7), 20);
    }

    #[test]
    fn a_later_round_is_new_but_hangs_together_as_the_first() {
        let requests = requests();
        let (first, later) = (spans(&requests, 0), spans(&requests, 5));
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
        let requests = requests();
        let prepared = lock(&requests.prepared[4]);
        let head = std::str::from_utf8(&prepared.bytes[..prepared.body]).unwrap();
        let announced = head.split("content-length: ").nth(1).unwrap().trim();
        assert_eq!(
            announced.parse::<usize>().unwrap(),
            prepared.bytes.len() - prepared.body
        );
    }

    #[test]
    fn without_spans_there_is_nothing_to_send() {
        assert!(Requests::prepare(std::iter::empty(), 0).is_err());
    }
}
