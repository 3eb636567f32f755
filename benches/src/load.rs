//! A load generator that costs next to nothing itself: it shares the machine with what it measures.
//!
//! Requests are written down before the run ([`Requests`]) and changed in place when they are sent again, so that
//! no span is ever sent twice. A thread a sender, on a connection of its own, with one request at a time. [`Way`] says
//! how spans are written and what carries them.
//!
//! - *Closed loop*: a sender sends its next request when it has the answer. What the server can take.
//! - *Open loop*: request n is due at begin + n / rate, whether or not the server keeps up, and its latency counts
//!   from then. A server that stalls is charged for every request that should have been sent meanwhile
//!   (no coordinated omission).

mod client;
mod connection;
mod feed;
mod grpc;
mod otlp;
mod places;
mod requests;
mod way;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;

pub use connection::{Answer, Connection};
pub use feed::{Fed, feed};
pub use requests::Requests;
pub use way::{Format, Transport, Way};

use client::Client;
use way::Verdict;

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
    /// How many senders, each with a thread and a connection.
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
    /// The same, by senders that do not pause when they are refused.
    Insistent {
        /// Requests a second.
        rate: f64,
    },
}

impl Pace {
    /// Requests a second, where they do not depend on answers.
    pub fn rate(self) -> Option<f64> {
        match self {
            Self::Closed => None,
            Self::Open { rate } | Self::Insistent { rate } => Some(rate),
        }
    }

    /// What each of so many loads has to do for all of them together to keep this pace.
    #[must_use]
    pub fn share(self, loads: usize) -> Self {
        let share = |rate| rate / loads as f64;
        match self {
            Self::Closed => Self::Closed,
            Self::Open { rate } => Self::Open { rate: share(rate) },
            Self::Insistent { rate } => Self::Insistent { rate: share(rate) },
        }
    }
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
    /// Requests whose spans the server said to have stored.
    pub accepted: u64,
    /// Spans of these.
    pub accepted_spans: u64,
    /// Requests it said not to take for now: 503, or `UNAVAILABLE`.
    pub refused: u64,
    /// Requests answered with anything else, or not at all.
    pub failed: u64,
    /// Those that were not accepted, by number, ascending.
    pub not_accepted: Vec<u64>,
    /// The first thing that went wrong, for who reads the report.
    pub first_failure: Option<String>,
    /// Of the accepted ones, microseconds.
    pub latency_us: Histogram<u64>,
    /// The same one by one, with when it began to count, in no particular order.
    pub requests: Vec<Timed>,
}

/// A request that was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Timed {
    /// Since the begin of the load.
    pub begin: Duration,
    /// From then to the answer.
    pub latency: Duration,
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
            requests: Vec::new(),
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
        self.requests.extend(other.requests);
        Ok(())
    }

    fn not_accepted(&mut self, number: u64, why: String) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.not_accepted.len() < FAILURES_MAX,
            "{FAILURES_MAX} requests were not accepted; the last: {why}"
        );
        self.not_accepted.push(number);
        self.first_failure.get_or_insert(why);
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
        let clients = Client::several(requests.way().transport(), self.address, self.connections)
            .with_context(|| format!("{} cannot be connected to", self.address))?;
        let total = Mutex::new(Outcome::new(first)?);
        let begin = Instant::now();
        std::thread::scope(|scope| {
            let senders: Vec<_> = clients
                .into_iter()
                .map(|client| {
                    let sender = Sender {
                        load: self,
                        requests,
                        next: &next,
                        first,
                        begin,
                        client,
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

/// One thread, and what it sends with.
struct Sender<'a> {
    load: &'a Load,
    requests: &'a Requests,
    next: &'a AtomicU64,
    first: u64,
    begin: Instant,
    client: Client,
}

impl Sender<'_> {
    fn run(mut self) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::new(self.first)?;
        while self.begin.elapsed() < self.load.duration {
            let Some(number) = self.take_number() else { break };
            let due = self.wait_until_due(number);
            outcome.sent += 1;
            let answer = self.requests.send(number, &mut self.client);
            let latency = due.elapsed();
            match answer {
                Ok(Verdict::Accepted) => {
                    outcome.accepted += 1;
                    outcome.accepted_spans += self.requests.spans_of(number) as u64;
                    let latency_us = (latency.as_micros() as u64).clamp(1, LATENCY_MAX_US);
                    outcome.latency_us.record(latency_us)?;
                    let begin = due.saturating_duration_since(self.begin);
                    outcome.requests.push(Timed { begin, latency });
                }
                Ok(Verdict::Refused(why)) => {
                    outcome.refused += 1;
                    outcome.not_accepted(number, why)?;
                    if !matches!(self.load.pace, Pace::Insistent { .. }) {
                        std::thread::sleep(REFUSAL_PAUSE);
                    }
                }
                Ok(Verdict::Failed(why)) => {
                    outcome.failed += 1;
                    outcome.not_accepted(number, why)?;
                }
                Err(error) => {
                    outcome.failed += 1;
                    outcome.not_accepted(number, format!("no answer: {error}"))?;
                    self.client.reconnect().context("the server is gone")?;
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
            let seconds = self.load.duration.as_secs_f64();
            let in_time = self
                .load
                .pace
                .rate()
                .is_none_or(|rate| ordinal as f64 / rate < seconds);
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
        let Some(rate) = self.load.pace.rate() else {
            return Instant::now();
        };
        let due = self.begin + Duration::from_secs_f64((number - self.first) as f64 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due
    }
}

#[cfg(test)]
mod tests;
