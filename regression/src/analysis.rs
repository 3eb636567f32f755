//! From profiles of traces to a report: which of them are compared, what changed, where that began, whether the
//! deployment did it, and what should be done.
//!
//! | step | file |
//! | --- | --- |
//! | what is asked of the sources | `gather` |
//! | all traces in one numbering | `traces` |
//! | who served them, which are compared | `serving`, `population` |
//! | like with like | `comparison` |
//! | where the change of the mean comes from, exactly | `sums`, `attribution`, `change`, `contributions` |
//! | the quantities that can convict a version | `family` |
//! | whether they changed | `ranked`, `evidence`, `study` |
//! | why | `cause`, `gaps` |
//! | whether the deployment did it | `judgement`, `controls`, `load` |
//! | whether it answers at all | `silence` |
//! | what else happened | `surroundings` |
//! | what follows | `score`, `power`, `assemble`, `bounds` |
//!
//! All but `gather` is pure: the same traces give the same report, in whatever order they come.

mod assemble;
mod attribution;
mod bounds;
mod cause;
mod change;
mod comparison;
mod contributions;
mod controls;
mod design;
mod evidence;
mod exemplars;
mod failures;
mod family;
mod gaps;
mod gather;
mod judgement;
mod load;
mod multiplicity;
mod names;
mod network;
mod operations;
mod options;
mod population;
mod power;
mod ranked;
mod rollout;
mod score;
mod separation;
mod serving;
mod side;
mod silence;
mod study;
mod summary;
mod sums;
mod surroundings;
#[cfg(test)]
mod tests;
mod traces;

pub use options::Options;

use model::Deployment;
use storage::Profiles;

use crate::Sources;
use crate::report::Report;
use crate::slo_budget::{add_objectives, slo_states};

/// Judges a deployment by what is stored until `end_ts`, epoch milliseconds, or until now.
///
/// # Errors
/// Where a source cannot answer.
pub async fn analyse(
    sources: &Sources,
    deployment: &Deployment,
    end_ts: Option<u64>,
    options: &Options,
) -> storage::Result<Report> {
    let gathered = gather::gather(sources, deployment, end_ts, options).await?;
    let mut report = rollout::report(&gathered, deployment, options);
    bounds::bound(&mut report, options);
    add_objectives(&mut report, slo_states(sources, deployment, gathered.now).await?);
    Ok(report)
}

/// Compares two populations without a deployment: every service may be where a change began.
pub fn compare(baseline: &Profiles, candidate: &Profiles, options: &Options) -> Report {
    let mut report = rollout::compare(baseline, candidate, options);
    bounds::bound(&mut report, options);
    report
}
