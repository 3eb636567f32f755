//! How much load holds.

use std::time::Duration;

use serde::Serialize;

use super::Options;
use super::subject::{Cost, Subject};
use crate::load::{Load, Outcome, Pace, Requests};
use crate::progress::Progress;
use crate::store::source::SPANS_PER_REQUEST;

/// Load before the first step, so that what compiles as it goes has compiled.
const WARM_UP: Duration = Duration::from_secs(5);
/// What the spool still holds when a step begins would be the last step's.
const DRAIN_MAX: Duration = Duration::from_secs(120);
/// Senders that are late for a few requests at the end are not slow.
const ACHIEVED_MIN: f64 = 0.97;
/// What is on its way to a backend that keeps up, seconds of the load.
const ON_THE_WAY_S: f64 = 1.0;

/// What holds, and how that was found.
#[derive(Debug, Serialize)]
pub(super) struct Limit {
    /// The most that held.
    pub(super) spans_per_second: f64,
    /// As they were made.
    pub(super) steps: Vec<Step>,
}

/// Load of one rate.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) offered: f64,
    pub(super) accepted: f64,
    pub(super) post_ms_p50: f64,
    pub(super) post_ms_p99: f64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) first_failure: Option<String>,
    /// Spans that waited for a storage elsewhere when it ended.
    pub(super) waiting: u64,
    /// Threads' worth of processor.
    pub(super) processors: Cost,
    pub(super) holds: bool,
}

/// Offers more and more.
///
/// # Errors
/// Where the server cannot be asked, or does not get rid of what one step left.
pub(super) fn find(
    subject: &Subject,
    requests: &Requests,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<Limit> {
    let mut load = load(subject, options);
    load.pace = pace(options.from);
    load.duration = WARM_UP.min(load.duration);
    load.run(requests)?;
    load.duration = Duration::from_secs_f64(options.step_seconds);
    let mut steps = Vec::new();
    let mut holds = |rate: f64| -> anyhow::Result<bool> {
        anyhow::ensure!(
            subject.drain(DRAIN_MAX)?,
            "{} spans still wait for the storage",
            subject.waiting()?
        );
        let step = step(
            subject,
            requests,
            &Load {
                pace: pace(rate),
                ..load
            },
            rate,
            options,
        )?;
        progress.tell(&format!(
            "  {:.0} spans/s: {}, p99 {:.1} ms, {} wait",
            rate,
            if step.holds { "holds" } else { "too much" },
            step.post_ms_p99,
            step.waiting
        ));
        let is_held = step.holds;
        steps.push(step);
        Ok(is_held)
    };
    let spans_per_second = search(options, &mut holds)?;
    Ok(Limit {
        spans_per_second,
        steps,
    })
}

/// The greatest rate that held; 0 where none did.
fn search(options: &Options, holds: &mut impl FnMut(f64) -> anyhow::Result<bool>) -> anyhow::Result<f64> {
    let (mut good, mut bad) = (0.0, None);
    let mut rate = options.from;
    while rate <= options.rate_max {
        if holds(rate)? {
            good = rate;
            rate *= 2.0;
        } else {
            bad = Some(rate);
            break;
        }
    }
    // Not even the first: there is a limit below it.
    let mut bad = match bad {
        Some(bad) => bad,
        None => return Ok(good),
    };
    for _ in 0..options.between {
        // Rates are compared as ratios.
        let between = if good > 0.0 {
            (good * bad).sqrt()
        } else {
            bad / 2.0
        };
        match holds(between)? {
            true => good = between,
            false => bad = between,
        }
    }
    Ok(good)
}

/// The load of this comparison, at a pace that is still to be set.
pub(super) fn load(subject: &Subject, options: &Options) -> Load {
    Load {
        address: subject.server.address(),
        connections: options.connections.max(1),
        pace: Pace::Closed,
        duration: Duration::from_secs_f64(options.step_seconds),
        requests_max: u64::MAX,
    }
}

/// So many spans a second.
pub(super) fn pace(spans: f64) -> Pace {
    Pace::Open {
        rate: spans / SPANS_PER_REQUEST as f64,
    }
}

fn step(
    subject: &Subject,
    requests: &Requests,
    load: &Load,
    offered: f64,
    options: &Options,
) -> anyhow::Result<Step> {
    let before = subject.used()?;
    let outcome = load.run(requests)?;
    let waiting = subject.waiting()?;
    let processors = subject.used()?.since(&before, outcome.elapsed.as_secs_f64());
    let ms = |quantile: f64| outcome.latency_us.value_at_quantile(quantile) as f64 / 1_000.0;
    let mut step = Step {
        offered,
        accepted: outcome.spans_per_second(),
        post_ms_p50: ms(0.5),
        post_ms_p99: ms(0.99),
        refused: outcome.refused,
        failed: outcome.failed,
        first_failure: outcome.first_failure.clone(),
        waiting,
        processors,
        holds: false,
    };
    step.holds = step.does_hold(&outcome, options);
    Ok(step)
}

impl Step {
    fn does_hold(&self, outcome: &Outcome, options: &Options) -> bool {
        let is_accepted = self.refused == 0 && self.failed == 0 && outcome.accepted > 0;
        let keeps_up = (self.waiting as f64) <= ON_THE_WAY_S * self.offered;
        is_accepted
            && keeps_up
            && self.accepted >= ACHIEVED_MIN * self.offered
            && self.post_ms_p99 <= options.bound_ms
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Options {
        Line::parse_from(["compare"].iter().chain(arguments)).options
    }

    fn searched(arguments: &[&str], limit: f64) -> (f64, Vec<f64>) {
        let mut asked = Vec::new();
        let found = search(&options(arguments), &mut |rate| {
            asked.push(rate.round());
            Ok(rate <= limit)
        });
        (found.unwrap(), asked)
    }

    #[test]
    fn the_limit_is_between_what_held_and_what_did_not() {
        let (found, asked) = searched(&["--from", "1000", "--between", "3"], 5_000.0);
        assert_eq!(asked, [1000.0, 2000.0, 4000.0, 8000.0, 5657.0, 4757.0, 5187.0]);
        assert_eq!(found.round(), 4757.0);
    }

    #[test]
    fn a_limit_below_the_first_step_and_above_the_last_are_found() {
        let (found, asked) = searched(&["--from", "1000", "--between", "3"], 300.0);
        assert_eq!(asked, [1000.0, 500.0, 250.0, 354.0]);
        assert_eq!(found, 250.0);
        let (found, _) = searched(&["--from", "1000", "--between", "2"], 10.0);
        assert_eq!(found, 0.0);
        let (found, asked) = searched(&["--from", "1000", "--rate-max", "4000"], f64::INFINITY);
        assert_eq!((found, asked.len()), (4_000.0, 3));
    }
}
