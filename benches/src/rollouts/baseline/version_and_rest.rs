//! A version against everything else, as Lightstep's change intelligence: spans of the new version against all others
//! of the service, then the operation of its traces whose own time is most in excess.

use std::collections::HashMap;

use super::super::judge::{Analysis, Judged, Judgement};
use super::super::scenario::Scenario;
use super::samples::{Samples, Side, mean, welch};
use super::{finding, regressed, unchanged};

/// Compares a version with the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct VersionAndRest;

const SPANS_MIN: usize = 30;
/// Standard errors, and relative.
const Z_MIN: f64 = 3.0;
const CHANGE_MIN: f64 = 0.10;

impl Analysis for VersionAndRest {
    fn name(&self) -> &'static str {
        "version against the rest (Lightstep-like)"
    }

    fn judge(&mut self, scenario: &Scenario) -> Judgement {
        let samples = Samples::of(scenario);
        let mut judgement = Judgement::unknown(scenario);
        for number in 0..scenario.deployments.len() {
            let durations = |is_new: bool| -> Vec<f64> {
                let served = samples.served_by(number);
                served
                    .filter(|row| (row.side == Some(Side::New)) == is_new)
                    .map(|row| row.duration)
                    .collect()
            };
            let (rest, new) = (durations(false), durations(true));
            judgement.deployments[number] = if rest.len() < SPANS_MIN || new.len() < SPANS_MIN {
                Judged::UNKNOWN
            } else if welch(&rest, &new) > Z_MIN && mean(&new) > mean(&rest) * (1.0 + CHANGE_MIN) {
                if let Some((operation, excess)) = most_in_excess(&samples, number) {
                    judgement
                        .findings
                        .push(finding(number, samples.operations[operation].clone(), excess));
                }
                regressed(None)
            } else {
                unchanged(None)
            };
        }
        judgement
            .findings
            .sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        judgement
    }
}

/// Of traces that the new version served, against all others: own time of an operation, a trace.
fn most_in_excess(samples: &Samples, deployment: usize) -> Option<(usize, f64)> {
    let mut is_new: HashMap<usize, bool> = HashMap::new();
    for row in samples.served_by(deployment) {
        *is_new.entry(row.trace).or_default() |= row.side == Some(Side::New);
    }
    let new_traces = is_new.values().filter(|is_new| **is_new).count().max(1) as f64;
    let old_traces = (is_new.len() as f64 - new_traces).max(1.0);
    let mut excess = vec![0.0; samples.operations.len()];
    for row in &samples.rows {
        match is_new.get(&row.trace) {
            Some(true) => excess[row.operation] += row.own / new_traces,
            Some(false) => excess[row.operation] -= row.own / old_traces,
            None => {}
        }
    }
    let all = excess.into_iter().enumerate();
    all.max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, excess)| *excess > 0.0)
}
