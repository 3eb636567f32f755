//! How other tools find the deployment that made things slow, written again after what is public of them, to stand
//! beside ours. Each is told every deployment, declared or not: a favour that ours does not get.

mod kayenta;
mod samples;
mod sentry;
mod service_level;
mod version_and_rest;

pub use kayenta::Kayenta;
pub use sentry::Sentry;
pub use service_level::ServiceLevel;
pub use version_and_rest::VersionAndRest;

use super::judge::{Finding, Judged};
use super::truth::{Cause, Decision, Operation, Verdict};

/// What a tool says that has only one word for every trouble.
fn regressed(score: Option<f64>) -> Judged {
    Judged {
        verdict: Verdict::Regressed,
        decision: Decision::Rollback,
        score,
    }
}

fn unchanged(score: Option<f64>) -> Judged {
    Judged {
        verdict: Verdict::Unchanged,
        decision: Decision::Continue,
        score,
    }
}

/// None of these tools says why, or how sure it is: what grew is own time, by exactly so much.
fn finding(deployment: usize, origin: Operation, contribution: f64) -> Finding {
    Finding {
        deployment,
        origin,
        callee: None,
        cause: Cause::SelfTime,
        entry: None,
        contribution,
        contribution_low: contribution,
        contribution_high: contribution,
        caused_by_deployment: true,
        explanation: None,
    }
}
