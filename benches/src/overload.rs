//! What the server does when it is offered several times what it can take: it must refuse what it cannot keep, keep
//! what it acknowledged, stay below its bound of memory, and be itself again soon afterwards.
//!
//! Where there are two processors or more, the generator has one and the server the others.
//!
//! 1. *Capacity.* A few senders in a closed loop, half of them over HTTP, half over gRPC, both proto3; measured once
//!    the server has to seal as much as it takes.
//! 2. *Calm.* A quarter of that in an open loop: the latency to come back to.
//! 3. *Overload.* The capacity times `--factor` in an open loop, from many senders that do not pause when they are
//!    refused. A sender waits for its answer, as every real one does: what is due while all of them wait is not sent,
//!    and the report says how much that was.
//! 4. *Recovery.* As 2, from the first moment after 3, a second at a time. What the machine took away meanwhile
//!    (`witness.rs`) is none of the server's latency.
//! 5. *Check.* Every acknowledged span is counted by the store, some hundred traces are read and compared, and the
//!    log has no errors.

mod report;
mod witness;

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use crate::ingest::check::{self, Checked, Sent};
use crate::ingest::{command, yesterday_us};
use crate::load::{Format, Load, Outcome, Pace, Requests, Transport, Way};
use crate::machine::{Machine, load_average};
use crate::options::{Common, Reports};
use crate::process::{Sampler, Usage};
use crate::server::Server;
use crate::workload::Workload;
use witness::Witness;

const SPANS_PER_REQUEST: usize = 100;
/// By each way.
const PREPARED_SPANS: usize = 100_000;

/// Senders that find out the capacity: enough to keep the server busy, too few to overload it.
const CAPACITY_SENDERS: usize = 16;
/// Until there is as much to seal as there is sealed, a server takes more than it can go on taking.
const FILLING_SECONDS: u64 = 8;
const CAPACITY_SECONDS: u64 = 8;
/// Share of the capacity that is offered when all should be well.
const CALM_SHARE: f64 = 0.25;
const CALM_SECONDS: u64 = 4;
/// How long the server is looked at after the overload.
const RECOVERY_SECONDS: u64 = 10;

/// A second's p99 is normal again at so many times that of the calm before, or below [`NORMAL_MS`], whichever is more.
const NORMAL_FACTOR: f64 = 3.0;
/// What is promised at a rate that the server can take.
const NORMAL_MS: f64 = 50.0;

/// `/health` is asked so often during the overload.
const PROBE_EVERY: Duration = Duration::from_millis(500);

const MIB: u64 = 1 << 20;

/// What the server may hold at one time, by the defaults of its bounds; together the bound of its memory.
pub(crate) const BOUNDS: [(&str, u64); 8] = [
    ("spans not sealed yet (STORAGE_HEAD_BYTES_MAX)", 192 * MIB),
    ("messages on their way (COLLECTOR_BYTES_IN_FLIGHT_MAX)", 256 * MIB),
    ("records that wait for the disk (the journal's queue)", 256 * MIB),
    ("a segment that is written", 128 * MIB),
    ("pages of segments", 32 * MIB),
    ("shapes of segments", 192 * MIB),
    ("words of segments", 32 * MIB),
    ("code, threads, connections", 64 * MIB),
];

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// How long the overload lasts.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// How many times the capacity is offered.
    #[arg(long, default_value_t = 3.0)]
    pub factor: f64,
    /// Senders during the overload, each with one request at a time.
    #[arg(long, default_value_t = 512)]
    pub senders: usize,
    /// The server must be itself again within so many seconds.
    #[arg(long, default_value_t = 5)]
    pub recovery_seconds_max: u64,
    /// Which server, on which data.
    #[command(flatten)]
    #[serde(flatten)]
    pub common: Common,
    /// Where what was measured is written down.
    #[command(flatten)]
    #[serde(flatten)]
    pub reports: Reports,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    command: String,
    options: Options,
    machine: Machine,
    /// Which processors the server and the generator had, if each had its own.
    pinned: Option<String>,
    load_average_before: f64,
    load_average_after: f64,
    capacity: Phase,
    calm: Phase,
    overload: Phase,
    /// Second by second.
    recovery: Vec<Phase>,
    /// The first second from which all was normal, 1 being the first after the overload.
    recovered_in_s: Option<u64>,
    normal_ms_max: f64,
    health: Probed,
    resident_bytes_max: u64,
    resident_bytes_bound: u64,
    checked: Checked,
    /// Lines of the log at the level ERROR.
    errors: Vec<String>,
}

/// What came of one phase, all ways in together.
#[derive(Clone, Debug, Default, Serialize)]
struct Phase {
    seconds: f64,
    due_spans_per_second: Option<f64>,
    sent_spans_per_second: f64,
    accepted_spans_per_second: f64,
    requests: u64,
    refused: u64,
    failed: u64,
    first_failure: Option<String>,
    post_ms_p50: f64,
    post_ms_p99: f64,
    post_ms_max: f64,
    /// Of the server.
    processors: f64,
    /// How long processors were away, which is none of the server's doing. `None` where nobody watched.
    away_ms: Option<f64>,
}

/// `/health` during the overload.
#[derive(Clone, Debug, Default, Serialize)]
struct Probed {
    asked: u64,
    not_up: u64,
    slowest_ms: f64,
}

/// The ways in, each with requests of its own, and what was sent by them.
struct Ways {
    requests: Vec<Requests>,
    outcomes: Vec<Vec<Outcome>>,
    /// From when processors are divided.
    witness: Option<Witness>,
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where the server does not hold one of its promises.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let product = options.common.product()?;
    let mut ways = Ways::prepare(options.common.seed)?;
    let (machine, load_average_before) = (Machine::find(), load_average());
    let server = Server::start(&product, options.common.data())?;
    let pinned = pin(&server);
    ways.witness = pinned.as_ref().and_then(|_| Witness::start(processors()));
    ways.run(&server, CAPACITY_SENDERS, Pace::Closed, FILLING_SECONDS)?;
    let capacity = ways.run(&server, CAPACITY_SENDERS, Pace::Closed, CAPACITY_SECONDS)?;
    let requests_per_second = capacity.accepted_spans_per_second / SPANS_PER_REQUEST as f64;
    let moderate = Pace::Open {
        rate: requests_per_second * CALM_SHARE,
    };
    // What the search for the capacity left behind is none of the calm.
    crate::ingest::settle::wait(&server)?;
    let calm = ways.run(&server, CAPACITY_SENDERS, moderate, CALM_SECONDS)?;
    let pace = Pace::Insistent {
        rate: requests_per_second * options.factor,
    };
    eprintln!(
        "{:.0} spans a second are the capacity; overload begins",
        capacity.accepted_spans_per_second
    );
    let sampler = Sampler::start(server.id());
    let (overload, health) = with_probe(&server, || {
        ways.run(&server, options.senders, pace, options.seconds)
    })?;
    let recovery = (0..RECOVERY_SECONDS)
        .map(|_| ways.run(&server, CAPACITY_SENDERS, moderate, 1))
        .collect::<anyhow::Result<Vec<Phase>>>()?;
    drop(sampler);
    let normal_ms_max = normal_ms_max(&calm);
    crate::ingest::settle::wait(&server)?;
    let report = Report {
        command: command(),
        options: options.clone(),
        machine,
        pinned,
        load_average_before,
        load_average_after: load_average(),
        recovered_in_s: recovered_in(&recovery, normal_ms_max),
        capacity,
        calm,
        overload: overload?,
        recovery,
        normal_ms_max,
        health,
        resident_bytes_max: Usage::of(server.id())?.resident_bytes_max,
        resident_bytes_bound: BOUNDS.iter().map(|bound| bound.1).sum(),
        checked: check::check_all(&server, &ways.sent(), options.common.seed)?,
        errors: errors(&server),
    };
    server.stop()?;
    print!("{}", report::markdown(&report));
    let written = options
        .reports
        .write("overload", &report::markdown(&report), &report)?;
    eprintln!("written: {}", written.display());
    report.require()
}

impl Ways {
    /// Half of what is sent comes by each.
    const ALL: [(Format, Transport); 2] = [
        (Format::Proto3, Transport::Http),
        (Format::Proto3, Transport::Grpc),
    ];

    fn prepare(seed: u64) -> anyhow::Result<Self> {
        let requests = Self::ALL
            .into_iter()
            .zip(seed..)
            .map(|((format, transport), seed)| {
                let batches = Workload::reference(seed)
                    .batches(SPANS_PER_REQUEST)
                    .take(PREPARED_SPANS / SPANS_PER_REQUEST);
                Requests::prepare_for(Way::new(format, transport)?, batches, yesterday_us())
            });
        let requests = requests.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            outcomes: vec![Vec::new(); requests.len()],
            requests,
            witness: None,
        })
    }

    /// Sends by all ways at once, each with its share of the senders and of the rate.
    fn run(&mut self, server: &Server, senders: usize, pace: Pace, seconds: u64) -> anyhow::Result<Phase> {
        let ways = self.requests.len();
        let load = Load {
            address: server.address(),
            connections: senders / ways,
            pace: pace.share(ways),
            duration: Duration::from_secs(seconds),
            requests_max: u64::MAX,
        };
        let before = Usage::of(server.id())?;
        let seen = self.witness.as_ref().map(Witness::seen);
        let begin = Instant::now();
        let outcomes = std::thread::scope(|scope| {
            let running: Vec<_> = self
                .requests
                .iter()
                .map(|requests| scope.spawn(move || load.run(requests)))
                .collect();
            running
                .into_iter()
                .map(|way| way.join().expect("a load reports its errors"))
                .collect::<anyhow::Result<Vec<Outcome>>>()
        })?;
        let took = begin.elapsed();
        let cpu = Usage::of(server.id())?.cpu - before.cpu;
        let mut phase = Phase::of(&outcomes, took)?;
        phase.due_spans_per_second = pace.rate().map(|rate| rate * SPANS_PER_REQUEST as f64);
        phase.processors = cpu.as_secs_f64() / took.as_secs_f64();
        phase.away_ms = self
            .witness
            .as_ref()
            .zip(seen)
            .map(|(witness, before)| witness.seen().away_ms_since(&before));
        for (all, outcome) in self.outcomes.iter_mut().zip(outcomes) {
            all.push(outcome);
        }
        Ok(phase)
    }

    fn sent(&self) -> Vec<Sent<'_>> {
        self.requests
            .iter()
            .zip(&self.outcomes)
            .map(|(requests, outcomes)| Sent {
                requests,
                outcomes: outcomes.iter().collect(),
            })
            .collect()
    }
}

impl Phase {
    fn of(outcomes: &[Outcome], took: Duration) -> anyhow::Result<Self> {
        let (first, others) = outcomes.split_first().context("nothing was sent")?;
        let mut latency_us = first.latency_us.clone();
        for other in others {
            latency_us.add(&other.latency_us)?;
        }
        let ms = |quantile: f64| latency_us.value_at_quantile(quantile) as f64 / 1_000.0;
        let sum = |number: fn(&Outcome) -> u64| outcomes.iter().map(number).sum::<u64>();
        let seconds = took.as_secs_f64();
        let requests = sum(|outcome| outcome.sent);
        Ok(Self {
            seconds,
            due_spans_per_second: None,
            sent_spans_per_second: (requests * SPANS_PER_REQUEST as u64) as f64 / seconds,
            accepted_spans_per_second: sum(|outcome| outcome.accepted_spans) as f64 / seconds,
            requests,
            refused: sum(|outcome| outcome.refused),
            failed: sum(|outcome| outcome.failed),
            first_failure: outcomes.iter().find_map(|outcome| outcome.first_failure.clone()),
            post_ms_p50: ms(0.5),
            post_ms_p99: ms(0.99),
            post_ms_max: ms(1.0),
            processors: 0.0,
            away_ms: None,
        })
    }

    /// The p99 without what the machine was away.
    fn own_ms_p99(&self) -> f64 {
        (self.post_ms_p99 - self.away_ms.unwrap_or_default()).max(0.0)
    }

    /// Whether a server does at this moment what it does when nothing is wrong.
    fn is_normal(&self, ms_max: f64) -> bool {
        self.refused + self.failed == 0 && self.own_ms_p99() <= ms_max
    }
}

/// The most that a second's p99 may be for it to be normal, of the calm before.
fn normal_ms_max(calm: &Phase) -> f64 {
    (calm.own_ms_p99() * NORMAL_FACTOR).max(NORMAL_MS)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Gives the last processor to the generator and the others to the server: senders that never pause would otherwise
/// take from the server what they are to measure. `None` where there is but one, or no `taskset`.
fn pin(server: &Server) -> Option<String> {
    let last = processors() - 1;
    let of_server = match last {
        0 => return None,
        1 => "0".to_owned(),
        _ => format!("0-{}", last - 1),
    };
    let run_on = |processors: &str, id: u32| {
        let asked = Command::new("taskset")
            .args(["--all-tasks", "--cpu-list", "--pid", processors, &id.to_string()])
            .stdout(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    };
    // Threads that are begun later run where those run that begin them.
    let pinned = run_on(&of_server, server.id()) && run_on(&last.to_string(), std::process::id());
    pinned.then(|| format!("the server on {of_server}, the generator on {last}"))
}

/// Asks for the server's health while something goes on.
fn with_probe<T>(server: &Server, work: impl FnOnce() -> T) -> anyhow::Result<(T, Probed)> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let probe = scope.spawn(|| {
            let mut probed = Probed::default();
            while !done.load(Ordering::Relaxed) {
                let begin = Instant::now();
                let is_up = server.get("/health").is_ok_and(|answer| answer.status == 200);
                let took_ms = begin.elapsed().as_secs_f64() * 1_000.0;
                probed.asked += 1;
                probed.not_up += u64::from(!is_up);
                probed.slowest_ms = probed.slowest_ms.max(took_ms);
                std::thread::sleep(PROBE_EVERY);
            }
            probed
        });
        let outcome = work();
        done.store(true, Ordering::Relaxed);
        let probed = probe
            .join()
            .ok()
            .context("the probe of the server's health failed")?;
        Ok((outcome, probed))
    })
}

/// The second from which on all seconds are normal, 1 being the first.
fn recovered_in(seconds: &[Phase], normal_ms_max: f64) -> Option<u64> {
    let normal = seconds
        .iter()
        .rev()
        .take_while(|second| second.is_normal(normal_ms_max))
        .count();
    (normal > 0).then(|| (seconds.len() - normal) as u64 + 1)
}

/// Lines of the server's log at the level ERROR, and panics.
pub(crate) fn errors(server: &Server) -> Vec<String> {
    let output = server.output();
    let errors = output
        .lines()
        .filter(|line| line.contains(" ERROR ") || line.contains("panicked"));
    errors.map(str::to_owned).collect()
}

impl Report {
    /// # Errors
    /// Naming every promise that was not held.
    fn require(&self) -> anyhow::Result<()> {
        let broken: Vec<&str> = self
            .promises()
            .into_iter()
            .filter(|promise| !promise.1)
            .map(|promise| promise.0)
            .collect();
        anyhow::ensure!(
            broken.is_empty(),
            "not held: {}; {}",
            broken.join("; "),
            report::seconds_after(self)
        );
        Ok(())
    }

    /// Each with whether it was held.
    fn promises(&self) -> [(&'static str, bool); 8] {
        let phases = || {
            [&self.capacity, &self.calm, &self.overload]
                .into_iter()
                .chain(&self.recovery)
        };
        let goodput = self.overload.accepted_spans_per_second / self.capacity.accepted_spans_per_second;
        let offered = self.overload.sent_spans_per_second / self.capacity.accepted_spans_per_second;
        [
            (
                "more was sent than the server can take",
                offered > 1.0 && self.overload.refused > 0,
            ),
            (
                "a refusal is 503 with Retry-After, or UNAVAILABLE, and nothing else goes wrong",
                phases().all(|phase| phase.failed == 0),
            ),
            (
                "every acknowledged span is stored",
                self.checked.require().is_ok(),
            ),
            (
                "memory stays below the sum of its bounds",
                self.resident_bytes_max <= self.resident_bytes_bound,
            ),
            (
                "at least half of what the server can take is still taken",
                goodput >= 0.5,
            ),
            (
                "the server says that it is up",
                self.health.asked > 0 && self.health.not_up == 0,
            ),
            (
                "latency is normal again soon afterwards",
                self.recovered_in_s
                    .is_some_and(|second| second <= self.options.recovery_seconds_max),
            ),
            ("nothing is logged as an error", self.errors.is_empty()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(post_ms_p99: f64, refused: u64) -> Phase {
        Phase {
            post_ms_p99,
            refused,
            ..Phase::default()
        }
    }

    #[test]
    fn recovery_is_the_first_second_from_which_all_are_normal() {
        let seconds = [
            second(500.0, 9),
            second(20.0, 0),
            second(90.0, 0),
            second(10.0, 0),
            second(10.0, 0),
        ];
        assert_eq!(recovered_in(&seconds, 50.0), Some(4));
        assert_eq!(recovered_in(&seconds, 100.0), Some(2));
        assert_eq!(recovered_in(&seconds, 5.0), None);
        assert_eq!(recovered_in(&[second(10.0, 1)], 50.0), None);
        assert_eq!(recovered_in(&[second(10.0, 0)], 50.0), Some(1));
    }

    #[test]
    fn what_the_machine_was_away_is_not_the_servers() {
        let away = |post_ms_p99, away_ms| Phase {
            away_ms: Some(away_ms),
            ..second(post_ms_p99, 0)
        };
        assert_eq!(recovered_in(&[away(160.0, 110.0)], 50.0), Some(1));
        assert_eq!(recovered_in(&[away(160.0, 109.0)], 50.0), None);
        // Nor is it what is normal.
        assert_eq!(normal_ms_max(&away(160.0, 120.0)), 120.0);
        assert_eq!(normal_ms_max(&away(160.0, 200.0)), NORMAL_MS);
        assert_eq!(normal_ms_max(&second(160.0, 0)), 480.0);
    }
}
