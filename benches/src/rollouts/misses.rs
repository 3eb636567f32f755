//! What an analysis got wrong, scenario by scenario: what was true and what it said, for whoever mends it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::judge::{Finding, Judgement};
use super::scenario::Scenario;
use super::score::{Count, Measure, Target};
use super::truth::{Culprit, Operation};

/// A scenario that speaks against an analysis.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Miss {
    measure: Measure,
    scenario: String,
    seed: u64,
    /// What was true and what was said, a line each.
    story: String,
}

/// Findings of a judgement that are told.
const FINDINGS_TOLD_MAX: usize = 6;

/// What a judgement got wrong, by what was counted before and after it.
pub(super) fn misses(
    before: &BTreeMap<Measure, Count>,
    after: &BTreeMap<Measure, Count>,
    scenario: &Scenario,
    judgement: &Judgement,
) -> Vec<Miss> {
    let is_missed = |(measure, now): &(&Measure, &Count)| {
        let was = before.get(measure).copied().unwrap_or_default();
        let hits = now.hits - was.hits;
        match measure.target() {
            Some(Target::AtLeast(_)) => hits < now.trials - was.trials,
            Some(Target::AtMost(_)) => hits > 0,
            None if **measure == Measure::Invented => hits > 0,
            None => {
                matches!(measure, Measure::Found | Measure::Explanation | Measure::Improved)
                    && hits < now.trials - was.trials
            }
        }
    };
    let missed = after.iter().filter(is_missed);
    missed
        .map(|(measure, _)| Miss {
            measure: *measure,
            scenario: scenario.name.clone(),
            seed: scenario.seed,
            story: story(scenario, judgement),
        })
        .collect()
}

/// All of them as Markdown, by measure, then scenario.
pub(super) fn markdown(mut misses: Vec<Miss>) -> String {
    misses.sort();
    let mut text = String::from("# What was not found, and what was not so\n");
    let mut measure = None;
    for miss in misses {
        if measure != Some(miss.measure) {
            let _ = writeln!(text, "\n## {}\n", miss.measure.name());
            measure = Some(miss.measure);
        }
        let _ = writeln!(text, "- `{}` seed {}", miss.scenario, miss.seed);
        for line in miss.story.lines() {
            let _ = writeln!(text, "  - {line}");
        }
    }
    text
}

fn story(scenario: &Scenario, judgement: &Judgement) -> String {
    let labels = &scenario.labels;
    let strategy = labels
        .strategy
        .map_or_else(|| "-".to_owned(), |strategy| strategy.name());
    let mut text = format!("{strategy}, versions by {:?}\n", labels.knowledge);
    for (number, deployment) in scenario.deployments.iter().enumerate() {
        let judged = judgement.deployments[number];
        let _ = writeln!(
            text,
            "deployment {number} of {}: {} and {} requests; {:?}, {:?}, score {}",
            deployment.service_name,
            deployment.requests[0],
            deployment.requests[1],
            judged.verdict,
            judged.decision,
            judged
                .score
                .map_or_else(|| "-".to_owned(), |score| format!("{score:.0}")),
        );
    }
    for culprit in &scenario.truth.culprits {
        let _ = writeln!(text, "true: {}", true_of(culprit));
    }
    for finding in judgement.findings.iter().take(FINDINGS_TOLD_MAX) {
        let _ = writeln!(text, "told: {}", told(finding));
    }
    text
}

fn true_of(culprit: &Culprit) -> String {
    let worst = culprit.worst().map_or_else(String::new, |worst| {
        format!(
            ", {:+.0} µs of {:.0} µs of {}, {:.3} fail, {} requests",
            worst.micros,
            worst.mean_without,
            short(&worst.entry),
            worst.failed,
            worst.requests
        )
    });
    format!(
        "deployment {} {} at {}{} by {:.2}{worst}",
        culprit.deployment,
        culprit.cause.map_or("-", super::Cause::name),
        culprit
            .origin
            .as_ref()
            .map_or_else(|| culprit.origin_service.clone(), short),
        culprit
            .callee
            .as_ref()
            .map_or_else(String::new, |callee| format!(" to {}", short(callee))),
        culprit.size,
    )
}

fn told(finding: &Finding) -> String {
    format!(
        "deployment {} {} at {}{}, {:+.0} µs ({:.0} to {:.0}){}, {}",
        finding.deployment,
        finding.cause.name(),
        short(&finding.origin),
        finding
            .callee
            .as_ref()
            .map_or_else(String::new, |callee| format!(" to {}", short(callee))),
        finding.contribution,
        finding.contribution_low,
        finding.contribution_high,
        finding
            .entry
            .as_ref()
            .map_or_else(String::new, |entry| format!(" of {}", short(entry))),
        match (finding.caused_by_deployment, finding.explanation) {
            (true, _) => "caused".to_owned(),
            (false, Some(explanation)) => format!("{explanation:?}"),
            (false, None) => "not caused".to_owned(),
        },
    )
}

fn short(operation: &Operation) -> String {
    format!("{} {}", operation.service_name, operation.span_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_depends_on_what_is_promised() {
        let scenario = super::super::cases()[0]
            .scenario_of(
                super::super::Seed {
                    purpose: super::super::Purpose::Tune,
                    number: 0,
                },
                20,
            )
            .unwrap();
        let judgement = Judgement::unknown(&scenario);
        let before = BTreeMap::from([(Measure::Service, Count { hits: 1, trials: 1 })]);
        let after = BTreeMap::from([
            (Measure::Service, Count { hits: 1, trials: 2 }),
            (Measure::Decoy, Count { hits: 1, trials: 3 }),
            (Measure::FalseAlarm, Count { hits: 0, trials: 3 }),
            (Measure::Power, Count { hits: 1, trials: 1 }),
        ]);
        let missed = misses(&before, &after, &scenario, &judgement);
        let measures: Vec<Measure> = missed.iter().map(|miss| miss.measure).collect();
        assert_eq!(measures, [Measure::Service, Measure::Decoy]);
        let text = markdown(missed);
        assert!(text.contains("- `fault/self_time-constant` seed 0"), "{text}");
    }
}
