//! Which deployment made it slow: scenarios whose truth is known, and how often an analysis finds it.
//!
//! A [`Case`] of the catalogue and a [`Seed`] make a [`Scenario`]: a system of services, requests, rollouts, with a
//! fault or without, and what is true of it, found by letting the same requests happen without the fault. An
//! [`Analysis`] answers with a [`Judgement`], and a [`Tally`] counts how good it is. Other tools' ways stand beside
//! ours. `README.md` beside this package has the method.
//!
//! Seeds to tune on and seeds to report on are never the same; `--report` is not for looking at scenarios.

mod baseline;
mod bounds;
mod catalogue;
mod changes;
mod environment;
mod evaluate;
mod fault;
mod generate;
mod judge;
mod latency;
mod means;
mod misses;
mod ours;
mod plot;
mod post;
mod real;
mod report;
mod rollout;
mod scenario;
mod score;
mod setting;
mod simulation;
mod spans;
mod topology;
mod truth;

pub use baseline::{Kayenta, Sentry, ServiceLevel, VersionAndRest};
pub use catalogue::{Case, Confounder, cases};
pub use evaluate::{Contender, contenders};
pub use fault::Kind as FaultKind;
pub use judge::{Analysis, Finding, Judged, Judgement};
pub use ours::Tracehound;
pub use post::Posting;
pub use rollout::Strategy;
pub use scenario::{Deployment, Knowledge, Labels, Purpose, Scenario, Seed, SwitchedInstance};
pub use score::{Count, Measure, Tally, Target};
pub use topology::Shape;
pub use truth::{Cause, Contribution, Culprit, Decision, Explanation, Operation, Truth, Verdict};

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use crate::options::Reports;

/// What to judge, and whom.
#[derive(Clone, Debug, Serialize, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Scenarios of each case.
    #[arg(long, default_value_t = 10)]
    pub seeds: u64,
    /// The first of them: to look at one alone, or to see whether what was fitted to some holds for others.
    #[arg(long, default_value_t = 0)]
    pub first_seed: u64,
    /// Seeds that methods may be fitted to; the default.
    #[arg(long, conflicts_with = "report")]
    pub tune: bool,
    /// Seeds for figures that are shown.
    #[arg(long)]
    pub report: bool,
    /// Only cases whose names begin so; as often as needed.
    #[arg(long = "scenario", value_name = "NAME")]
    pub scenarios: Vec<String>,
    /// Only these analyses, by their short names; as often as needed.
    #[arg(long = "against", value_name = "NAME")]
    pub against: Vec<String>,
    /// A file for what the first analysis got wrong, scenario by scenario.
    #[arg(long, value_name = "FILE")]
    pub misses: Option<PathBuf>,
    /// Fails where the first analysis is out of the bounds that a few scenarios can hold.
    #[arg(long)]
    pub hold: bool,
    /// Where what came of it is written down.
    #[command(flatten)]
    #[serde(flatten)]
    pub reports: Reports,
    /// Something else than scenarios of the catalogue.
    #[command(subcommand)]
    #[serde(skip)]
    pub other: Option<Other>,
}

/// Something else than scenarios of the catalogue.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Other {
    /// Real labelled traces.
    Real {
        /// Where they are; the README there says what.
        data: PathBuf,
        /// Only these analyses.
        #[arg(long = "against", value_name = "NAME")]
        against: Vec<String>,
        /// Deployments of traces without fault that are judged, of each kind.
        #[arg(long, default_value_t = 100)]
        without_fault: u64,
        /// A file for what the first analysis got wrong.
        #[arg(long, value_name = "FILE")]
        misses: Option<PathBuf>,
        /// Where what came of it is written down.
        #[command(flatten)]
        reports: Reports,
    },
    /// Sends a scenario to a running server, in the order of time, deployments included.
    Post {
        /// Where it listens.
        address: SocketAddr,
        /// Which case.
        #[arg(long)]
        scenario: String,
        /// Which of its tuning seeds.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Names of all cases.
    List,
}

impl Options {
    fn seeds(&self) -> Range<u64> {
        self.first_seed..self.first_seed.saturating_add(self.seeds)
    }

    fn purpose(&self) -> Purpose {
        if self.report {
            Purpose::Report
        } else {
            Purpose::Tune
        }
    }

    /// # Errors
    /// Where a name is of no case.
    fn cases(&self) -> anyhow::Result<Vec<Case>> {
        let mut cases = cases();
        for name in &self.scenarios {
            anyhow::ensure!(
                cases.iter().any(|case| case.name.starts_with(name)),
                "no case begins with {name}; `benches rollouts list` names them"
            );
        }
        let is_asked = |case: &Case| {
            self.scenarios.is_empty() || self.scenarios.iter().any(|name| case.name.starts_with(name))
        };
        cases.retain(is_asked);
        Ok(cases)
    }
}

/// Judges, prints and writes the reports; or does the other thing that is asked for.
///
/// # Errors
/// Where a scenario cannot be made, or a report not be written.
pub fn run(options: &Options) -> anyhow::Result<()> {
    match &options.other {
        None => {
            let cases = options.cases()?;
            let contenders = evaluate::chosen(&options.against)?;
            let found = evaluate::evaluate(&cases, options.seeds(), options.purpose(), &contenders)?;
            let report = report::Report::new(options, cases.len(), found.tallies);
            report.write(&options.reports, "rollouts")?;
            tell_misses(options.misses.as_deref(), found.misses)?;
            match report.analyses.first() {
                Some(first) if options.hold => bounds::hold(&first.tally),
                _ => Ok(()),
            }
        }
        Some(Other::Real {
            data,
            against,
            without_fault,
            misses: wrong,
            reports,
        }) => {
            let contenders = evaluate::chosen(against)?;
            let (report, misses) = real::run(data, *without_fault, &contenders)?;
            report.write(reports, "rollouts-real")?;
            tell_misses(wrong.as_deref(), misses)
        }
        Some(Other::Post {
            address,
            scenario,
            seed,
        }) => post::run(*address, scenario, *seed),
        Some(Other::List) => {
            for case in cases() {
                println!("{}", case.name);
            }
            Ok(())
        }
    }
}

fn tell_misses(file: Option<&Path>, misses: Vec<misses::Miss>) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, misses::markdown(misses))
        .with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests;
