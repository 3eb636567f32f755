//! How good an analysis is: its judgements against the truth, counted by measure, with the uncertainty of counting.

use std::collections::BTreeMap;

use serde::Serialize;

use super::judge::{Finding, Judgement};
use super::scenario::Scenario;
use super::truth::{Cause, Culprit, Verdict};

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Of the trials.
    pub hits: u64,
    /// How often it could have happened.
    pub trials: u64,
}

/// Of a normal distribution, two-sided 95 %.
const Z: f64 = 1.959_964;

impl Count {
    /// Counts one more trial.
    pub fn add(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.trials += 1;
    }

    fn join(&mut self, other: Self) {
        self.hits += other.hits;
        self.trials += other.trials;
    }

    /// Hits a trial; `None` without any trial.
    pub fn rate(self) -> Option<f64> {
        (self.trials > 0).then(|| self.hits as f64 / self.trials as f64)
    }

    /// Where the rate is with 95 % confidence, after Wilson: sane for few trials and near 0 and 1.
    pub fn interval(self) -> Option<(f64, f64)> {
        let rate = self.rate()?;
        let trials = self.trials as f64;
        let squared = Z * Z / trials;
        let centre = (rate + squared / 2.0) / (1.0 + squared);
        let half = Z * (rate * (1.0 - rate) / trials + squared / (4.0 * trials)).sqrt() / (1.0 + squared);
        Some(((centre - half).max(0.0), (centre + half).min(1.0)))
    }
}

/// What is promised of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The more the better.
    AtLeast(f64),
    /// The less the better.
    AtMost(f64),
}

impl Target {
    /// Whether a rate keeps it.
    pub fn is_met(self, rate: f64) -> bool {
        match self {
            Self::AtLeast(least) => rate >= least,
            Self::AtMost(most) => rate <= most,
        }
    }
}

/// What is counted, in the order in which it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Large faults with enough requests: the first finding is in the right service.
    Service,
    /// In the right operation too.
    Operation,
    /// For the right reason too.
    Cause,
    /// A tenth more at a thousand requests a side: found.
    Power,
    /// At 50 requests a second and a fifth more: found two minutes after the last wave.
    Prompt,
    /// Contribution within a fifth of the truth, where operation and cause are right.
    Contribution,
    /// The truth is in the interval of the contribution.
    Coverage,
    /// A deployment of a scenario without any fault is blamed.
    FalseAlarm,
    /// An innocent deployment beside a guilty one is blamed.
    Decoy,
    /// Both culprits are in the first two.
    BothCulprits,
    /// What happened in place of a fault is named.
    Explanation,
    /// Where nothing else happened, with a fault or without, something is named that should explain it.
    Invented,
    /// Faults that matter, of all sizes and amounts of data, for which the guilty deployment is blamed.
    Found,
    /// An improvement is called one.
    Improved,
    /// The guilty deployment is blamed for a wrong operation or cause, or with it something else is, beside faults
    /// of every size: what a reader is told that is not so.
    Misled,
    /// Real labelled faults that slow something down, among five deployments: the first finding is in its service.
    RealService,
    /// One of the four others is blamed.
    RealDecoy,
    /// Nothing changed between two stretches of real traces, and a deployment in between is blamed.
    RealBeforeAfter,
    /// Real traces by lot into two versions, and the second is blamed.
    RealConcurrent,
    /// The load of real traces changed and nothing else: a rollback is asked for.
    RealLoad,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Service,
        Self::Operation,
        Self::Cause,
        Self::Power,
        Self::Prompt,
        Self::Contribution,
        Self::Coverage,
        Self::FalseAlarm,
        Self::Decoy,
        Self::BothCulprits,
        Self::Explanation,
        Self::Invented,
        Self::Found,
        Self::Improved,
        Self::Misled,
        Self::RealService,
        Self::RealDecoy,
        Self::RealBeforeAfter,
        Self::RealConcurrent,
        Self::RealLoad,
    ];

    /// As reports say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "faults ≥ +20 %, ≥ 500 requests a side: service first",
            Self::Operation => "the same: service and operation first",
            Self::Cause => "the same: service, operation and cause first",
            Self::Power => "found at +10 %, 1,000 requests a side, log-sd 0.5",
            Self::Prompt => "found 2 minutes after the last wave, 50 requests/s, +20 %",
            Self::Contribution => "contribution within 20 % of the truth",
            Self::Coverage => "truth within the interval of the contribution",
            Self::FalseAlarm => "deployments blamed in scenarios without fault",
            Self::Decoy => "innocent deployments blamed beside a guilty one",
            Self::BothCulprits => "both culprits of two in the first two",
            Self::Explanation => "the other explanation named where no deployment is to blame",
            Self::Invented => "another explanation told of a deployment where nothing else happened",
            Self::Found => "faults of all sizes that matter: found",
            Self::Improved => "improvements called that",
            Self::Misled => "first finding blames another service than a guilty one",
            Self::RealService => "real faults of latency, among 5 deployments: service first",
            Self::RealDecoy => "one of the 4 others blamed",
            Self::RealBeforeAfter => "real traces without change, before and after: blamed",
            Self::RealConcurrent => "real traces without change, at the same time: blamed",
            Self::RealLoad => "load of real traces changed: rolled back",
        }
    }

    /// What is promised; `None` for what is only shown.
    pub const fn target(self) -> Option<Target> {
        match self {
            Self::Service => Some(Target::AtLeast(0.97)),
            Self::Operation | Self::Power | Self::RealService => Some(Target::AtLeast(0.95)),
            Self::Cause | Self::Contribution => Some(Target::AtLeast(0.90)),
            Self::Prompt => Some(Target::AtLeast(0.95)),
            Self::FalseAlarm => Some(Target::AtMost(0.02)),
            Self::Decoy | Self::RealConcurrent => Some(Target::AtMost(0.01)),
            Self::RealBeforeAfter => Some(Target::AtMost(0.03)),
            Self::RealLoad => Some(Target::AtMost(0.0)),
            Self::BothCulprits => Some(Target::AtLeast(0.80)),
            Self::Coverage
            | Self::Explanation
            | Self::Invented
            | Self::Found
            | Self::Improved
            | Self::Misled
            | Self::RealDecoy => None,
        }
    }
}

/// Whether nothing happens but deployments.
fn is_quiet(scenario: &Scenario) -> bool {
    let groups = [
        "fault/",
        "power/",
        "innocent/a_a",
        "innocent/few_requests",
        "innocent/decoys",
    ];
    groups.iter().any(|group| scenario.name.starts_with(group))
}

/// Below this on its smaller side a fault counts as seen too seldom for the first measures.
const REQUESTS_ENOUGH: u64 = 500;
/// Of a contribution, relative.
const CONTRIBUTION_ERROR_MAX: f64 = 0.2;
/// Width of a band of scores.
const SCORE_BAND: f64 = 10.0;

/// What is known of an analysis after many scenarios.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// By measure.
    pub measures: BTreeMap<Measure, Count>,
    /// Of faults with the requests that they need: how often service, operation and cause are first, by case and size.
    pub faults: BTreeMap<String, BTreeMap<String, [Count; 3]>>,
    /// How often a deployment is blamed, by case without fault.
    pub alarms: BTreeMap<String, Count>,
    /// How often the guilty are blamed, by case with fault.
    pub found: BTreeMap<String, Count>,
    /// How often a fault is found, by size in percent and requests a side.
    pub power: BTreeMap<u64, BTreeMap<u64, Count>>,
    /// How often deployments with a score of a band are guilty, by the band's lower end.
    pub scores: BTreeMap<u64, Count>,
    /// Contributions told and true, microseconds, where operation and cause are right.
    #[serde(skip)]
    pub contributions: Vec<(f64, f64)>,
    /// Judgements, and what they took together, microseconds.
    pub judged: u64,
    /// See `judged`.
    pub micros: u64,
    /// Spans that were looked at.
    pub spans: u64,
}

impl Tally {
    /// Adds what another one counted.
    pub fn join(&mut self, other: Self) {
        join_counts(&mut self.measures, other.measures);
        join_counts(&mut self.alarms, other.alarms);
        join_counts(&mut self.found, other.found);
        join_counts(&mut self.scores, other.scores);
        for (size, counts) in other.power {
            join_counts(self.power.entry(size).or_default(), counts);
        }
        for (case, sizes) in other.faults {
            let own = self.faults.entry(case).or_default();
            for (size, counts) in sizes {
                let own = own.entry(size).or_default();
                own.iter_mut()
                    .zip(counts)
                    .for_each(|(own, count)| own.join(count));
            }
        }
        self.contributions.extend(other.contributions);
        self.judged += other.judged;
        self.micros += other.micros;
        self.spans += other.spans;
    }

    fn count(&mut self, measure: Measure, hit: bool) {
        self.measures.entry(measure).or_default().add(hit);
    }

    /// Compares a judgement with what is true.
    pub fn add(&mut self, scenario: &Scenario, power: Option<(f64, u64)>, judgement: &Judgement) {
        for number in 0..scenario.deployments.len() {
            let is_guilty = scenario.truth.is_guilty(number);
            if let Some(score) = judgement.deployments[number].score {
                // A perfect score is of the highest band.
                let band = (score / SCORE_BAND).floor().min(100.0 / SCORE_BAND - 1.0) * SCORE_BAND;
                self.scores.entry(band as u64).or_default().add(is_guilty);
            }
            if scenario.truth.verdict(number) == Verdict::Improved {
                let verdict = judgement.deployments[number].verdict;
                self.count(Measure::Improved, verdict == Verdict::Improved);
            }
        }
        if is_quiet(scenario) {
            for number in 0..scenario.deployments.len() {
                self.count(Measure::Invented, judgement.invents(number));
            }
        }
        if let Some((size, requests)) = power {
            self.add_power(scenario, size, requests, judgement);
        } else if scenario.is_innocent() {
            self.add_innocent(scenario, judgement);
        } else {
            self.add_fault(scenario, judgement);
        }
    }

    /// Compares a judgement soon after a rollout with what is true.
    pub fn add_prompt(&mut self, scenario: &Scenario, judgement: &Judgement) {
        self.count(
            Measure::Prompt,
            judgement.blames(0) && scenario.truth.is_guilty(0),
        );
    }

    fn add_power(&mut self, scenario: &Scenario, size: f64, requests: u64, judgement: &Judgement) {
        let found = judgement.blames(0) && scenario.truth.is_guilty(0);
        let percent = (size * 100.0).round() as u64;
        let counts = self.power.entry(percent).or_default();
        counts.entry(requests).or_default().add(found);
        if (percent, requests) == (10, 1_000) {
            self.count(Measure::Power, found);
        }
    }

    fn add_innocent(&mut self, scenario: &Scenario, judgement: &Judgement) {
        for number in 0..scenario.deployments.len() {
            let is_blamed = judgement.blames(number);
            self.count(Measure::FalseAlarm, is_blamed);
            self.alarms
                .entry(scenario.name.clone())
                .or_default()
                .add(is_blamed);
        }
        if let Some(explanation) = scenario.explanation() {
            let named = judgement.findings.iter().any(|finding| {
                finding.deployment == 0
                    && !finding.caused_by_deployment
                    && finding.explanation == Some(explanation)
            });
            self.count(Measure::Explanation, named);
        }
    }

    fn add_fault(&mut self, scenario: &Scenario, judgement: &Judgement) {
        let truth = &scenario.truth;
        for number in 0..scenario.deployments.len() {
            if !truth.is_guilty(number) {
                self.count(Measure::Decoy, judgement.blames(number));
            }
        }
        let guilty = truth.guilty();
        if let Some(first) = judgement.blaming().next() {
            let is_right = truth
                .culprits
                .iter()
                .any(|culprit| culprit.origin_service == first.origin.service_name);
            self.count(Measure::Misled, !is_right);
        }
        let mattering: Vec<&Culprit> = truth
            .culprits
            .iter()
            .filter(|culprit| !culprit.is_improvement() && culprit.matters())
            .collect();
        for &number in &guilty {
            if mattering.iter().any(|culprit| culprit.deployment == number) {
                let is_found = judgement.blames(number);
                self.count(Measure::Found, is_found);
                self.found.entry(scenario.name.clone()).or_default().add(is_found);
            }
        }
        match guilty[..] {
            [only] if scenario.name.starts_with("fault/") && !mattering.is_empty() => {
                let has_enough = scenario.deployments[only].requests_a_side() >= REQUESTS_ENOUGH;
                if has_enough {
                    self.add_first(scenario, &mattering, judgement);
                }
            }
            [one, other] => {
                let is_first = |number: usize| {
                    let mut first = judgement.blaming().map(|finding| finding.deployment);
                    let mut seen = Vec::new();
                    while seen.len() < 2 {
                        match first.next() {
                            Some(found) if !seen.contains(&found) => seen.push(found),
                            Some(_) => {}
                            None => break,
                        }
                    }
                    seen.contains(&number)
                };
                let matter = |number: usize| mattering.iter().any(|culprit| culprit.deployment == number);
                if matter(one) && matter(other) {
                    self.count(Measure::BothCulprits, is_first(one) && is_first(other));
                }
            }
            _ => {}
        }
    }

    /// The first finding of a case with one guilty deployment.
    fn add_first(&mut self, scenario: &Scenario, mattering: &[&Culprit], judgement: &Judgement) {
        let first = judgement.blaming().next();
        let matching = |is: &dyn Fn(&Culprit, &Finding) -> bool| {
            first.and_then(|first| mattering.iter().copied().find(|culprit| is(culprit, first)))
        };
        let is_service =
            |culprit: &Culprit, first: &Finding| culprit.origin_service == first.origin.service_name;
        let is_operation = |culprit: &Culprit, first: &Finding| {
            let origin = culprit.origin.as_ref();
            is_service(culprit, first) && origin.is_none_or(|origin| origin.is_side_of(&first.origin))
        };
        let is_cause = |culprit: &Culprit, first: &Finding| {
            is_operation(culprit, first) && culprit.cause.is_none_or(|cause| cause == first.cause)
        };
        let (service, operation, cause) = (
            matching(&is_service),
            matching(&is_operation),
            matching(&is_cause),
        );
        let hits = [service.is_some(), operation.is_some(), cause.is_some()];
        let largest = mattering.iter().map(|culprit| culprit.size).fold(0.0, f64::max);
        let sizes = self.faults.entry(scenario.name.clone()).or_default();
        let size = format!("{:3.0} %", nearest_size(largest) * 100.0);
        let counts = sizes.entry(size).or_default();
        counts
            .iter_mut()
            .zip(hits)
            .for_each(|(count, hit)| count.add(hit));
        if !mattering.iter().any(|culprit| culprit.is_large()) {
            return;
        }
        let measures = [Measure::Service, Measure::Operation, Measure::Cause];
        for (measure, hit) in measures.into_iter().zip(hits) {
            self.count(measure, hit);
        }
        if let (Some(culprit), Some(first)) = (cause, first)
            && culprit.cause != Some(Cause::Errors)
        {
            self.add_contribution(culprit, first);
        }
    }

    fn add_contribution(&mut self, culprit: &Culprit, finding: &Finding) {
        let named = finding.entry.as_ref();
        let of_entry = |entry| {
            culprit
                .contributions
                .iter()
                .find(|found| found.entry.is_side_of(entry))
        };
        let Some(truth) = named.and_then(of_entry).or_else(|| culprit.worst()) else {
            return;
        };
        let error = (finding.contribution - truth.micros).abs() / truth.micros.abs().max(1.0);
        self.count(Measure::Contribution, error <= CONTRIBUTION_ERROR_MAX);
        let covered = (finding.contribution_low..=finding.contribution_high).contains(&truth.micros);
        self.count(Measure::Coverage, covered);
        self.contributions.push((finding.contribution, truth.micros));
    }
}

fn join_counts<K: Ord>(own: &mut BTreeMap<K, Count>, other: BTreeMap<K, Count>) {
    for (key, count) in other {
        own.entry(key).or_default().join(count);
    }
}

/// Sizes of the tables: what a fault came to differs a little from what it was asked for.
fn nearest_size(size: f64) -> f64 {
    let sizes = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
    let distance = |candidate: &f64| (candidate / size.max(1e-6)).ln().abs();
    sizes
        .into_iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_wilson() {
        // Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (hits, trials, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let (found_low, found_high) = Count { hits, trials }.interval().unwrap();
            assert!(
                (found_low - low).abs() < 1e-4 && (found_high - high).abs() < 1e-4,
                "{hits} of {trials}"
            );
        }
        assert_eq!(Count::default().interval(), None);
    }
}
