//! Whether a POST waits for compaction: a steady load on a store of its own with a small head, so that small segments
//! are sealed and joined all the time, each request put down to what the server did meanwhile.
//!
//! What it did is seen from outside: its thread for maintenance seals, joins and drops one thing after the other. Its
//! processor time says when it works, and the store's counters what it has done then.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use super::Options;
use super::ask::quantiles;
use super::source::SPANS_PER_REQUEST;
use crate::ingest::yesterday_us;
use crate::load::{Connection, Load, Pace, Requests, Timed};
use crate::server::{Metrics, Product, Server};
use crate::workload::Workload;

/// Half of it is a segment of one or two hundred thousand spans, and a handful of these are joined.
const SETTINGS: [(&str, &str); 1] = [("STORAGE_HEAD_BYTES_MAX", "32MiB")];
/// Less than the server can take, so that it has time to join.
const SPANS_PER_SECOND: f64 = 100_000.0;
const PREPARED_SPANS: usize = 200_000;
const SENDERS: usize = 16;
const WARM_UP: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The thread works if it had more than so large a share of the time since it was looked at last.
const WORKS: f64 = 0.05;
const THREAD: &str = "maintenance";

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Compacting {
    pub(super) offered_spans_per_second: f64,
    pub(super) compactions: u64,
    pub(super) sealed: u64,
    pub(super) joining: Posts,
    pub(super) sealing: Posts,
    pub(super) neither: Posts,
}

/// Requests while the server did one thing.
#[derive(Debug, Serialize)]
pub(super) struct Posts {
    pub(super) seconds: f64,
    pub(super) requests: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

/// A moment of the thread.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Duration,
    worked: Duration,
    sealed: u64,
    compactions: u64,
}

/// A time in which the thread did one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    begin: Duration,
    end: Duration,
    work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Joining,
    Sealing,
}

/// Loads a server of its own.
///
/// # Errors
/// Where it does not take the load.
pub(super) fn measure(product: &Product, options: &Options) -> anyhow::Result<Compacting> {
    eprintln!("taking spans while segments are joined");
    let batches = Workload::reference(options.common.seed)
        .batches(SPANS_PER_REQUEST)
        .take(PREPARED_SPANS / SPANS_PER_REQUEST);
    let requests = Requests::prepare(batches, yesterday_us())?;
    let server = Server::start_with(product, &SETTINGS, options.common.data())?;
    let mut load = Load {
        address: server.address(),
        connections: SENDERS,
        pace: Pace::Open {
            rate: SPANS_PER_SECOND / SPANS_PER_REQUEST as f64,
        },
        duration: WARM_UP,
        requests_max: u64::MAX,
    };
    load.run(&requests)?;
    load.duration = Duration::from_secs(options.seconds);
    let done = AtomicBool::new(false);
    let (outcome, looks) = std::thread::scope(|scope| {
        let looking = scope.spawn(|| looks(&server, &done));
        let outcome = load.run(&requests);
        done.store(true, Ordering::Relaxed);
        (outcome, looking.join().ok().context("looking panicked"))
    });
    let (outcome, looks) = (outcome?, looks??);
    server.stop()?;
    let periods = periods(&looks);
    let of = |work: Option<Work>| {
        let is = |request: &&Timed| work_during(&periods, request) == work;
        let seconds = |period: &Period| (period.end - period.begin).as_secs_f64();
        let seconds_of = |work: Work| {
            periods
                .iter()
                .filter(|period| period.work == work)
                .map(seconds)
                .sum::<f64>()
        };
        let worked = seconds_of(Work::Joining) + seconds_of(Work::Sealing);
        Posts::of(
            outcome.requests.iter().filter(is),
            work.map_or(outcome.elapsed.as_secs_f64() - worked, seconds_of),
        )
    };
    let (first, last) = (
        looks.first().context("no look")?,
        looks.last().context("no look")?,
    );
    Ok(Compacting {
        offered_spans_per_second: SPANS_PER_SECOND,
        compactions: last.compactions - first.compactions,
        sealed: last.sealed - first.sealed,
        joining: of(Some(Work::Joining)),
        sealing: of(Some(Work::Sealing)),
        neither: of(None),
    })
}

impl Posts {
    fn of<'a>(requests: impl Iterator<Item = &'a Timed>, seconds: f64) -> Self {
        let ms: Vec<f64> = requests
            .map(|request| request.latency.as_secs_f64() * 1e3)
            .collect();
        let requests = ms.len();
        let quantile = quantiles(ms);
        Self {
            seconds,
            requests,
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            max_ms: quantile(1.0),
        }
    }
}

/// What was done at any time of the request; joining if there was some.
fn work_during(periods: &[Period], request: &Timed) -> Option<Work> {
    let end = request.begin + request.latency;
    let during = || {
        periods
            .iter()
            .filter(|period| period.begin < end && request.begin < period.end)
    };
    during()
        .find(|period| period.work == Work::Joining)
        .or(during().next())
        .map(|period| period.work)
}

/// Looks at the thread until it is told to end.
fn looks(server: &Server, done: &AtomicBool) -> anyhow::Result<Vec<Look>> {
    let thread = thread(server.id())?;
    let mut connection = Connection::open(server.address())?;
    let (begin, mut looks) = (Instant::now(), Vec::new());
    while !done.load(Ordering::Relaxed) {
        let metrics = Metrics::new(&connection.get("/prometheus")?.body);
        let number = |name: &str| {
            metrics
                .get(name)
                .with_context(|| format!("the server has no {name}"))
        };
        looks.push(Look {
            at: begin.elapsed(),
            worked: worked(&thread)?,
            sealed: number("tracehound_segments_sealed_total")? as u64,
            compactions: number("tracehound_compactions_total")? as u64,
        });
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(looks)
}

/// Where the system tells what the thread for maintenance did.
fn thread(id: u32) -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(format!("/proc/{id}/task"))? {
        let path = entry?.path();
        if fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == THREAD) {
            return Ok(path.join("schedstat"));
        }
    }
    anyhow::bail!("the server has no thread called {THREAD}")
}

/// Processor time so far, to the nanosecond.
fn worked(thread: &PathBuf) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(thread).with_context(|| format!("{} cannot be read", thread.display()))?;
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok());
    nanoseconds
        .map(Duration::from_nanos)
        .with_context(|| format!("{} has no time", thread.display()))
}

/// When it worked, told apart by which counter moved on at the end.
fn periods(looks: &[Look]) -> Vec<Period> {
    let mut periods = Vec::new();
    let mut working_since = None;
    for (before, after) in looks.iter().zip(looks.iter().skip(1)) {
        let share = (after.worked - before.worked).as_secs_f64() / (after.at - before.at).as_secs_f64();
        if share > WORKS {
            working_since.get_or_insert(before.at);
        }
        let done = if after.compactions > before.compactions {
            Some(Work::Joining)
        } else if after.sealed > before.sealed {
            Some(Work::Sealing)
        } else {
            None
        };
        if let Some(work) = done {
            let begin = working_since.take().unwrap_or(before.at);
            periods.push(Period {
                begin,
                end: after.at,
                work,
            });
        } else if share <= WORKS {
            // What was given up, or a look at what there is to do.
            working_since = None;
        }
    }
    periods
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_the_thread_did_is_told_by_what_it_has_done() {
        let looks: Vec<Look> = [
            (0, 0, 0, 0),
            (20, 0, 0, 0),
            (40, 19, 0, 0),
            (60, 39, 1, 0),
            (80, 39, 1, 0),
            (100, 55, 1, 0),
            (120, 70, 1, 1),
            (140, 88, 2, 1),
            (160, 88, 2, 1),
        ]
        .into_iter()
        .map(|(at, worked, sealed, compactions)| Look {
            at: ms(at),
            worked: ms(worked),
            sealed,
            compactions,
        })
        .collect();
        let found = periods(&looks);
        let period = |begin, end, work| Period {
            begin: ms(begin),
            end: ms(end),
            work,
        };
        assert_eq!(
            found,
            [
                period(20, 60, Work::Sealing),
                period(80, 120, Work::Joining),
                period(120, 140, Work::Sealing)
            ]
        );
        let during = |begin, latency| {
            let request = Timed {
                begin: ms(begin),
                latency: ms(latency),
            };
            work_during(&found, &request)
        };
        assert_eq!(during(0, 20), None);
        assert_eq!(during(0, 21), Some(Work::Sealing));
        assert_eq!(during(60, 30), Some(Work::Joining));
        assert_eq!(during(110, 25), Some(Work::Joining));
        assert_eq!(during(141, 9), None);
    }
}
