//! What a server's thread for maintenance did when, seen from outside: it seals, joins and drops one thing after the
//! other. Its processor time says when it works, and the store's counters what it has done then.
//!
//! A segment that is sealed while others are being joined ends what is taken for sealing; the rest of the join counts
//! as joining.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::load::{Connection, Timed};
use crate::server::{Metrics, Server};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The thread works if it had more than so large a share of the time since it was looked at last.
const WORKS: f64 = 0.05;
/// Not working for so long, it is at rest, and not only waiting for a processor or the disk: between two looks at what
/// there is to do it sleeps twice as long.
const AT_REST: Duration = Duration::from_millis(100);
const THREAD: &str = "maintenance";

/// A moment of the thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    at: Duration,
    worked: Duration,
    sealed: u64,
    joins: u64,
}

/// What the thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Joining,
    Sealing,
}

impl Work {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Joining => "segments were joined",
            Self::Sealing => "segments were sealed",
        }
    }
}

/// A time in which the thread did one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    begin: Duration,
    end: Duration,
    work: Work,
}

/// What the thread did, as far as that is known: what it was at when the last look came is not.
#[derive(Debug)]
pub(super) struct History {
    periods: Vec<Period>,
    from: Duration,
    until: Duration,
    pub(super) joins: u64,
    pub(super) sealed: u64,
}

/// Looks at the thread until it is told to end; times are since `begin`.
///
/// # Errors
/// Where the system or the server does not say.
pub(super) fn looks(server: &Server, begin: Instant, done: &AtomicBool) -> anyhow::Result<Vec<Look>> {
    let thread = thread(server.id())?;
    let mut connection = Connection::open(server.address())?;
    let mut looks = Vec::new();
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
            joins: number("tracehound_compactions_total")? as u64,
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
fn worked(thread: &Path) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(thread).with_context(|| format!("{} cannot be read", thread.display()))?;
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok());
    nanoseconds
        .map(Duration::from_nanos)
        .with_context(|| format!("{} has no time", thread.display()))
}

impl History {
    /// When the thread worked, told apart by which counter moved on at the end.
    ///
    /// # Errors
    /// Where it was never looked at.
    pub(super) fn of(looks: &[Look]) -> anyhow::Result<Self> {
        let (first, last) = looks.first().zip(looks.last()).context("no look")?;
        let mut periods = Vec::new();
        let (mut working_since, mut worked_last) = (None, first.at);
        for (before, after) in looks.iter().zip(looks.iter().skip(1)) {
            let share = (after.worked - before.worked).as_secs_f64() / (after.at - before.at).as_secs_f64();
            if share > WORKS {
                working_since.get_or_insert(before.at);
                worked_last = after.at;
            }
            let done = if after.joins > before.joins {
                Some(Work::Joining)
            } else if after.sealed > before.sealed {
                Some(Work::Sealing)
            } else {
                None
            };
            if let Some(work) = done {
                let (begin, end) = (working_since.take().unwrap_or(before.at), after.at);
                periods.push(Period { begin, end, work });
            } else if after.at - worked_last > AT_REST {
                // What was given up, or a look at what there is to do.
                working_since = None;
            }
        }
        Ok(Self {
            periods,
            from: first.at,
            until: working_since.unwrap_or(last.at),
            joins: last.joins - first.joins,
            sealed: last.sealed - first.sealed,
        })
    }

    /// Whether the request lies in the time of which everything is known.
    pub(super) fn is_known(&self, request: &Timed) -> bool {
        request.begin >= self.from && request.begin + request.latency <= self.until
    }

    /// What was done at any time of the request; joining if there was some.
    pub(super) fn work_during(&self, request: &Timed) -> Option<Work> {
        let end = request.begin + request.latency;
        let during = || {
            self.periods
                .iter()
                .filter(|period| period.begin < end && request.begin < period.end)
        };
        during()
            .find(|period| period.work == Work::Joining)
            .or(during().next())
            .map(|period| period.work)
    }

    /// How long that was done, or nothing.
    pub(super) fn seconds_of(&self, work: Option<Work>) -> f64 {
        let of = |wanted: fn(Work, Option<Work>) -> bool| {
            self.periods
                .iter()
                .filter(|period| wanted(period.work, work))
                .map(|period| (period.end - period.begin).as_secs_f64())
                .sum::<f64>()
        };
        match work {
            Some(_) => of(|is, wanted| Some(is) == wanted),
            None => ((self.until - self.from).as_secs_f64() - of(|_, _| true)).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn history(looks: &[(u64, u64, u64, u64)]) -> History {
        let looks: Vec<Look> = looks
            .iter()
            .map(|&(at, worked, sealed, joins)| Look {
                at: ms(at),
                worked: ms(worked),
                sealed,
                joins,
            })
            .collect();
        History::of(&looks).unwrap()
    }

    #[test]
    fn what_the_thread_did_is_told_by_what_it_has_done() {
        let history = history(&[
            (0, 0, 0, 0),
            (20, 0, 0, 0),
            (40, 19, 0, 0),
            (60, 39, 1, 0),
            (80, 39, 1, 0),
            (100, 55, 1, 0),
            (120, 70, 1, 1),
            (140, 88, 2, 1),
            (160, 88, 2, 1),
            (180, 99, 2, 1),
        ]);
        let period = |begin, end, work| Period {
            begin: ms(begin),
            end: ms(end),
            work,
        };
        assert_eq!(
            history.periods,
            [
                period(20, 60, Work::Sealing),
                period(80, 120, Work::Joining),
                period(120, 140, Work::Sealing)
            ]
        );
        let request = |begin, latency| Timed {
            begin: ms(begin),
            latency: ms(latency),
        };
        let during = |begin, latency| history.work_during(&request(begin, latency));
        assert_eq!(during(0, 20), None);
        assert_eq!(during(0, 21), Some(Work::Sealing));
        assert_eq!(during(60, 30), Some(Work::Joining));
        assert_eq!(during(110, 25), Some(Work::Joining));
        assert_eq!(during(141, 9), None);
        // It works on something when the last look comes.
        assert!(history.is_known(&request(140, 20)));
        assert!(!history.is_known(&request(150, 20)));
        let seconds = [Some(Work::Joining), Some(Work::Sealing), None].map(|work| history.seconds_of(work));
        assert_eq!(seconds.map(|seconds| (seconds * 1e3).round()), [40.0, 60.0, 60.0]);
    }

    #[test]
    fn a_thread_that_waits_for_a_moment_is_not_done() {
        let history = history(&[
            (0, 0, 0, 0),
            (20, 15, 0, 0),
            (40, 15, 0, 0),
            (100, 15, 0, 0),
            (120, 30, 0, 1),
            (140, 45, 0, 1),
            (300, 45, 0, 1),
        ]);
        assert_eq!(history.periods.len(), 1);
        assert_eq!(history.periods[0].begin, ms(0));
        assert_eq!(history.until, ms(300));
        assert_eq!((history.joins, history.sealed), (1, 0));
    }
}
