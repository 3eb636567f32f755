//! Our analysis, asked as it is asked over HTTP: the report of every deployment at the moment of the question, and the
//! findings of all of them merged, worst first. It is judged by the report's own words and by nothing else.

mod profiled;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use model::{Kind, Span, SpanBatch};
use regression::analysis::{Options, analyse};
use regression::{Sources, report};
use storage::{DeploymentQuery, DeploymentStore, SpanSink};
use storage_memory::{MemoryConfig, MemoryStore};
use tokio::runtime::Runtime;

use profiled::Profiled;

use super::judge::{Analysis, Finding, Judged, Judgement};
use super::scenario::{Deployment, Scenario};
use super::truth::{Cause, Decision, Explanation, Operation, Verdict};

/// Ours.
pub struct Tracehound {
    runtime: Runtime,
}

impl fmt::Debug for Tracehound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracehound").finish_non_exhaustive()
    }
}

impl Default for Tracehound {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Self {
            runtime: runtime
                .expect("a runtime without timers and sockets needs nothing that could be missing"),
        }
    }
}

/// Spans that are handed over at once.
const BATCH_SPANS: usize = 1_000;
/// Deployments that a scenario has at most, inferred ones included.
const DEPLOYMENTS_MAX: usize = 1_000;

impl Analysis for Tracehound {
    fn name(&self) -> &'static str {
        "Tracehound"
    }

    fn judge(&mut self, scenario: &Scenario) -> Judgement {
        let answered = self.runtime.block_on(reports(scenario));
        judgement(
            scenario,
            &answered.expect("memory answers every question about deployments that it took"),
        )
    }
}

/// The report of every deployment that is known when the question is asked, declared or inferred.
pub(super) async fn reports(
    scenario: &Scenario,
) -> storage::Result<Vec<(Arc<model::Deployment>, report::Report)>> {
    let config = MemoryConfig {
        spans_max: usize::MAX,
        ..MemoryConfig::default()
    };
    let version_tags = config.options.version_tags.clone();
    let store = Arc::new(MemoryStore::new(config));
    fill(&store, scenario).await?;
    let now = scenario.asked / 1_000;
    let sources = Sources {
        deployments: Arc::clone(&store) as Arc<dyn DeploymentStore>,
        latency: Arc::new(Profiled::new(
            &scenario.traces,
            &version_tags,
            Arc::clone(&store) as _,
        )),
        spans: store,
        now: Arc::new(move || now),
    };
    let query = DeploymentQuery {
        limit: DEPLOYMENTS_MAX,
        ..DeploymentQuery::default()
    };
    let mut reports = Vec::new();
    for deployment in sources.deployments.deployments(&query).await? {
        let report = analyse(&sources, &deployment, None, &Options::default()).await?;
        reports.push((deployment, report));
    }
    Ok(reports)
}

/// Everything that had arrived when the question is asked, and what is declared by then.
async fn fill(store: &MemoryStore, scenario: &Scenario) -> storage::Result<()> {
    let mut spans: Vec<&Span> = scenario.traces.iter().flatten().collect();
    spans.sort_by_key(|span| {
        span.timestamp
            .unwrap_or(0)
            .saturating_add(span.duration.unwrap_or(0))
    });
    let mut batch = SpanBatch::new();
    for spans in spans.chunks(BATCH_SPANS) {
        batch.clear();
        spans.iter().for_each(|span| batch.push_span(span));
        store.accept(&batch).await?;
    }
    for deployment in scenario
        .deployments
        .iter()
        .filter(|deployment| deployment.is_declared)
    {
        store.put_deployment(declared(deployment)).await?;
    }
    Ok(())
}

/// As a pipeline has declared it by the moment of the question.
fn declared(deployment: &Deployment) -> model::Deployment {
    let millis = |micros: u64| micros / 1_000;
    model::Deployment {
        service_name: deployment.service_name.clone(),
        version: deployment.version.clone(),
        previous_version: Some(deployment.previous_version.clone()),
        start_ts: millis(deployment.start),
        end_ts: deployment.end.map(millis),
        rolled_back_ts: deployment.rolled_back.map(millis),
        instances: deployment
            .instances
            .iter()
            .map(|instance| model::SwitchedInstance {
                switch_ts: millis(instance.switched),
                ip: instance.ip.into(),
                port: Some(instance.port),
            })
            .collect(),
        ..model::Deployment::default()
    }
}

/// What the reports say of a scenario's deployments. One that the scenario does not have, such as the way back of one
/// that was rolled back, counts for the deployment of its service: whoever reads it blames that.
fn judgement(scenario: &Scenario, reports: &[(Arc<model::Deployment>, report::Report)]) -> Judgement {
    let mut judgement = Judgement::unknown(scenario);
    let mut findings: Vec<(usize, &report::Finding)> = Vec::new();
    for (deployment, report) in reports {
        let of_service = |own: &Deployment| own.service_name == deployment.service_name;
        let Some(number) = scenario.deployments.iter().position(of_service) else {
            continue;
        };
        let judged = judged(report);
        if scenario.deployments[number].version == deployment.version || judged.decision == Decision::Rollback
        {
            judgement.deployments[number] = judged;
        }
        findings.extend(report.findings.iter().map(|finding| (number, finding)));
    }
    findings.sort_by(|(_, one), (_, other)| worst_first(one, other));
    judgement.findings = findings
        .into_iter()
        .map(|(number, found)| finding(number, found))
        .collect();
    judgement
}

/// What the deployment is to blame for, then what costs most.
fn worst_first(one: &report::Finding, other: &report::Finding) -> Ordering {
    let rank = |finding: &report::Finding| (!finding.caused_by_deployment, -finding.contribution);
    rank(one).cmp(&rank(other))
}

fn judged(report: &report::Report) -> Judged {
    Judged {
        verdict: match report.verdict {
            report::Verdict::Regressed => Verdict::Regressed,
            report::Verdict::Improved => Verdict::Improved,
            report::Verdict::Unchanged => Verdict::Unchanged,
            report::Verdict::InsufficientData => Verdict::InsufficientData,
        },
        decision: match report.decision {
            report::Decision::Continue => Decision::Continue,
            report::Decision::Rollback => Decision::Rollback,
            report::Decision::Wait => Decision::Wait,
        },
        score: report.score,
    }
}

fn finding(deployment: usize, found: &report::Finding) -> Finding {
    Finding {
        deployment,
        origin: operation(&found.origin),
        callee: found.callee.as_ref().map(operation),
        cause: cause(found.cause),
        entry: Some(operation(&found.entry)),
        contribution: found.contribution as f64,
        contribution_low: found.contribution_low as f64,
        contribution_high: found.contribution_high as f64,
        caused_by_deployment: found.caused_by_deployment,
        explanation: found.explanation.map(explanation),
    }
}

fn operation(operation: &report::Operation) -> Operation {
    let kind = operation.span_kind.as_deref();
    Operation::new(
        &operation.service_name,
        &operation.span_name,
        kind.and_then(|kind| Kind::parse(kind).ok()),
    )
}

const fn cause(cause: report::Cause) -> Cause {
    match cause {
        report::Cause::SelfTime => Cause::SelfTime,
        report::Cause::MoreCalls => Cause::MoreCalls,
        report::Cause::NewCall => Cause::NewCall,
        report::Cause::Retries => Cause::Retries,
        report::Cause::SerializedCalls => Cause::SerializedCalls,
        report::Cause::SlowerCallee => Cause::SlowerCallee,
        report::Cause::Queueing => Cause::Queueing,
        report::Cause::Errors => Cause::Errors,
    }
}

const fn explanation(explanation: report::Explanation) -> Explanation {
    match explanation {
        report::Explanation::Load => Explanation::Load,
        report::Explanation::MixShift => Explanation::MixShift,
        report::Explanation::OtherDeployment => Explanation::OtherDeployment,
        report::Explanation::CalleeDegraded => Explanation::CalleeDegraded,
        report::Explanation::BadInstance => Explanation::BadInstance,
        report::Explanation::WarmUp => Explanation::WarmUp,
        report::Explanation::Transient => Explanation::Transient,
        report::Explanation::Confounded => Explanation::Confounded,
    }
}
