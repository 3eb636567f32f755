//! What the comparison could have seen: without that, "nothing changed" says nothing.

use crate::report::{Design, Power};
use crate::statistics::{Detection, Growth, PlannedStratum};

use super::cause::Sizes;
use super::evidence::MIDDLE;
use super::family::What;
use super::study::Study;

/// What could have been seen of the operation of the service in which most of the time goes, at the level at which it
/// would have been found whatever became of the rest of the family.
pub(super) fn power(study: &Study<'_>, sizes: &Sizes<'_>) -> Option<Power> {
    let member = main_operation(study)?;
    let evidence = study.evidence[member].as_ref()?;
    let options = sizes.options;
    let level = MIDDLE * study.raw.shares[member] * options.false_discovery_rate;
    let detection = Detection::new(level, options.power)?;
    let histograms = study.observed(member).logarithms();
    let strata: Vec<PlannedStratum<'_>> = histograms
        .iter()
        .map(|(baseline, counts)| PlannedStratum {
            values: baseline,
            counts: *counts,
        })
        .collect();
    let smallest = detection.smallest_shift(&strata, evidence.design_effect);
    let growth = match study.comparison.design {
        Design::Concurrent => Growth::Both,
        Design::BeforeAfter => Growth::Candidate,
    };
    let missing = detection.missing(
        sizes.min_relative().ln_1p(),
        &strata,
        evidence.design_effect,
        growth,
    );
    Some(Power {
        smallest_relative: smallest.map(f64::exp_m1),
        requests_missing: missing.map(|missing| missing.candidate.max(missing.baseline)),
    })
}

fn main_operation(study: &Study<'_>) -> Option<usize> {
    let weight = |member: &usize| {
        let evidence = study.evidence[*member].as_ref();
        evidence.map_or(0.0, |found| found.baseline_mean * found.requests.candidate as f64)
    };
    (0..study.members.len())
        .filter(|&member| {
            matches!(study.members[member].what, What::OwnTime { .. }) && study.evidence[member].is_some()
        })
        .max_by(|a, b| weight(a).total_cmp(&weight(b)).then(b.cmp(a)))
}
