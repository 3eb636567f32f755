//! An HTTP/1.1 load generator that costs next to nothing itself: it shares the machine with what it measures.
//!
//! Requests are written down before the run ([`Requests`]) and changed in place when they are sent again, so that
//! no span is ever sent twice. A thread a connection: one write, one read, nothing else.
//!
//! - *Closed loop*: a connection sends its next request when it has the answer. What the server can take.
//! - *Open loop*: request n is due at begin + n / rate, whether or not the server keeps up, and its latency counts
//!   from then. A server that stalls is charged for every request that should have been sent meanwhile
//!   (no coordinated omission).

mod connection;
mod requests;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;

pub use connection::{Answer, Connection};
pub use requests::Requests;

/// A refused sender comes back after this, as one that respects `Retry-After` does after longer.
const REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// Latencies up to a minute, within 0.1 %.
const LATENCY_MAX_US: u64 = 60_000_000;
const LATENCY_DIGITS: u8 = 3;

/// Requests whose outcome is remembered one by one, to know later what must be stored. More than this fail only
/// where nothing works.
const FAILURES_MAX: usize = 1_000_000;

/// What is to be done to a server.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Where it listens.
    pub address: SocketAddr,
    /// How many connections, each with a thread.
    pub connections: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// No request is begun after this.
    pub duration: Duration,
    /// Nor after so many.
    pub requests_max: u64,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as answers come.
    Closed,
    /// So many requests a second, whatever the server does.
    Open {
        /// Requests a second.
        rate: f64,
    },
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Numbers of the requests sent: from `first`, and so many.
    pub first: u64,
    /// See `first`.
    pub sent: u64,
    /// Requests answered with 202.
    pub accepted: u64,
    /// Spans of these.
    pub accepted_spans: u64,
    /// Requests answered with 503.
    pub refused: u64,
    /// Requests answered with anything else, or not at all.
    pub failed: u64,
    /// Those that were not accepted, by number, ascending.
    pub not_accepted: Vec<u64>,
    /// The first thing that went wrong, for who reads the report.
    pub first_failure: Option<String>,
    /// Of the accepted ones, microseconds.
    pub latency_us: Histogram<u64>,
}

impl Outcome {
    fn new(first: u64) -> anyhow::Result<Self> {
        Ok(Self {
            elapsed: Duration::ZERO,
            first,
            sent: 0,
            accepted: 0,
            accepted_spans: 0,
            refused: 0,
            failed: 0,
            not_accepted: Vec::new(),
            first_failure: None,
            latency_us: Histogram::new_with_max(LATENCY_MAX_US, LATENCY_DIGITS)?,
        })
    }

    /// Spans a second that the server acknowledged.
    pub fn spans_per_second(&self) -> f64 {
        self.accepted_spans as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Whether the request with this number was sent and acknowledged.
    pub fn was_accepted(&self, number: u64) -> bool {
        (self.first..self.first + self.sent).contains(&number)
            && self.not_accepted.binary_search(&number).is_err()
    }

    fn absorb(&mut self, other: Self) -> anyhow::Result<()> {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.accepted_spans += other.accepted_spans;
        self.refused += other.refused;
        self.failed += other.failed;
        self.not_accepted.extend(other.not_accepted);
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.latency_us.add(other.latency_us)?;
        Ok(())
    }

    fn not_accepted(&mut self, number: u64, why: impl FnOnce() -> String) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.not_accepted.len() < FAILURES_MAX,
            "{FAILURES_MAX} requests were not accepted; the last: {}",
            why()
        );
        self.not_accepted.push(number);
        if self.first_failure.is_none() {
            self.first_failure = Some(why());
        }
        Ok(())
    }
}

impl Load {
    /// Drives the server until time or requests are up. Goes on in `requests` where the last run ended.
    ///
    /// # Errors
    /// Where the server cannot be connected to, or refuses for so long that it makes no sense to go on.
    pub fn run(&self, requests: &Requests) -> anyhow::Result<Outcome> {
        let first = requests.next_number();
        let next = AtomicU64::new(first);
        let connections = (0..self.connections)
            .map(|_| Connection::open(self.address))
            .collect::<std::io::Result<Vec<Connection>>>()
            .with_context(|| format!("{} cannot be connected to", self.address))?;
        let total = Mutex::new(Outcome::new(first)?);
        let begin = Instant::now();
        std::thread::scope(|scope| {
            let senders: Vec<_> = connections
                .into_iter()
                .map(|connection| {
                    let sender = Sender {
                        load: self,
                        requests,
                        next: &next,
                        first,
                        begin,
                        connection,
                    };
                    let total = &total;
                    scope.spawn(move || {
                        let outcome = sender.run()?;
                        total.lock().expect("no sender panics with it").absorb(outcome)
                    })
                })
                .collect();
            senders
                .into_iter()
                .try_for_each(|sender| sender.join().expect("a sender reports its errors"))
        })?;
        let mut outcome = total.into_inner().expect("no sender panics with it");
        outcome.elapsed = begin.elapsed();
        outcome.not_accepted.sort_unstable();
        requests.go_on_from(first + outcome.sent);
        Ok(outcome)
    }
}

/// One connection and its thread.
struct Sender<'a> {
    load: &'a Load,
    requests: &'a Requests,
    next: &'a AtomicU64,
    first: u64,
    begin: Instant,
    connection: Connection,
}

impl Sender<'_> {
    fn run(mut self) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::new(self.first)?;
        while self.begin.elapsed() < self.load.duration {
            let Some(number) = self.take_number() else { break };
            let due = self.wait_until_due(number);
            outcome.sent += 1;
            let answer = self.requests.send(number, &mut self.connection);
            let latency = due.elapsed();
            match answer {
                Ok(Answer { status: 202, .. }) => {
                    outcome.accepted += 1;
                    outcome.accepted_spans += self.requests.spans_of(number) as u64;
                    let latency_us = (latency.as_micros() as u64).clamp(1, LATENCY_MAX_US);
                    outcome.latency_us.record(latency_us)?;
                }
                Ok(Answer { status: 503, body }) => {
                    outcome.refused += 1;
                    outcome.not_accepted(number, || text(503, &body))?;
                    std::thread::sleep(REFUSAL_PAUSE);
                }
                Ok(Answer { status, body }) => {
                    outcome.failed += 1;
                    outcome.not_accepted(number, || text(status, &body))?;
                }
                Err(error) => {
                    outcome.failed += 1;
                    outcome.not_accepted(number, || format!("no answer: {error}"))?;
                    self.connection = Connection::open(self.load.address).context("the server is gone")?;
                }
            }
        }
        Ok(outcome)
    }

    /// Takes the next request's number, unless all have been sent. In an open loop only one that is due in time is
    /// taken, so that the numbers sent have no gaps.
    fn take_number(&self) -> Option<u64> {
        let mut number = self.next.load(Ordering::Relaxed);
        loop {
            let ordinal = number - self.first;
            let in_time = match self.load.pace {
                Pace::Closed => true,
                Pace::Open { rate } => ordinal as f64 / rate < self.load.duration.as_secs_f64(),
            };
            if ordinal >= self.load.requests_max || !in_time {
                return None;
            }
            match self
                .next
                .compare_exchange_weak(number, number + 1, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(number),
                Err(current) => number = current,
            }
        }
    }

    /// When the request's latency begins to count.
    fn wait_until_due(&self, number: u64) -> Instant {
        let Pace::Open { rate } = self.load.pace else {
            return Instant::now();
        };
        let due = self.begin + Duration::from_secs_f64((number - self.first) as f64 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due
    }
}

fn text(status: u16, body: &[u8]) -> String {
    format!("{status} {}", String::from_utf8_lossy(body).trim())
}

#[cfg(test)]
mod tests;
