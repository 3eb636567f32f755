//! The findings of all deployments of a window, worst first.

use std::cmp::Ordering;
use std::sync::Arc;

use model::Deployment;
use schemars::JsonSchema;
use serde::Serialize;
use storage::{Completeness, DeploymentQuery, StorageError};
use tokio::time::Instant;

use super::{Reports, describe};
use crate::report::{self, Finding, Report, Verdict};

/// Deployments whose reports are looked at.
const DEPLOYMENTS_MAX: usize = 100;

/// A finding, and whose it is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Regression {
    /// What was judged.
    deployment: report::DeploymentJson,
    /// Of its report.
    verdict: Verdict,
    /// Of its report.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(flatten)]
    finding: Finding,
}

/// Findings, and whether every deployment of the window was looked at.
#[derive(Debug)]
pub(crate) struct Regressions {
    pub(crate) found: Vec<Regression>,
    pub(crate) completeness: Completeness,
}

impl Reports {
    /// The findings of the deployments that began in a window, each as its report without an end has it; the newest
    /// [`DEPLOYMENTS_MAX`], and no more than can be analysed in time.
    ///
    /// # Errors
    /// Where a source cannot answer.
    pub(super) async fn regressions(&self, mut query: DeploymentQuery) -> storage::Result<Regressions> {
        let limit = query.limit;
        query.limit = DEPLOYMENTS_MAX + 1;
        let deadline = Instant::now() + self.settings.timeout / 2;
        let mut deployments = self.sources.deployments.deployments(&query).await?;
        let more = if deployments.len() > DEPLOYMENTS_MAX {
            " and more"
        } else {
            ""
        };
        deployments.truncate(DEPLOYMENTS_MAX);
        let (mut found, mut passed_over) = (Vec::new(), 0);
        for deployment in &deployments {
            match tokio::time::timeout_at(deadline, self.read(deployment)).await {
                Ok(Ok(report)) => found.extend(findings_of(deployment, &report)),
                Ok(Err(StorageError::Overloaded(_) | StorageError::Timeout(_))) | Err(_) => passed_over += 1,
                Ok(Err(error)) => return Err(error),
            }
        }
        found.sort_by(worse_first);
        found.truncate(limit);
        let completeness = match (passed_over, more) {
            (0, "") => Completeness::Complete,
            _ => Completeness::Partial(format!(
                "{passed_over}{more} deployments of the window were not looked at, of {}",
                deployments.len()
            )),
        };
        Ok(Regressions { found, completeness })
    }
}

fn findings_of(deployment: &Arc<Deployment>, report: &Report) -> impl Iterator<Item = Regression> {
    let described = describe(deployment);
    let (verdict, score) = (report.verdict, report.score);
    report
        .findings
        .clone()
        .into_iter()
        .map(move |finding| Regression {
            deployment: described.clone(),
            verdict,
            score,
            finding,
        })
}

/// What the deployment caused comes before what it did not, and what became worse before what became better; then the
/// deployment with the lowest score, and its findings as its report has them.
fn worse_first(one: &Regression, other: &Regression) -> Ordering {
    let is_worse = |regression: &Regression| {
        let finding = &regression.finding;
        finding.contribution > 0 || finding.error_rate_change.is_some_and(|change| change > 0.0)
    };
    let rank = |regression: &Regression| (!is_worse(regression), !regression.finding.caused_by_deployment);
    let score = |regression: &Regression| regression.score.unwrap_or(f64::INFINITY);
    rank(one)
        .cmp(&rank(other))
        .then_with(|| score(one).total_cmp(&score(other)))
}
