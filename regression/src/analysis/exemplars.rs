//! Traces that show a change: on each side those that are most like the others of it.

use crate::report::Exemplars;

use super::family::Scale;
use super::side::Side;
use super::study::Study;

/// The traces nearest to the median of a member, of requests that entered by `entry` where there are any.
pub(super) fn exemplars(study: &Study<'_>, member: usize, entry: u32, most: usize) -> Exemplars {
    let of = |side| {
        let typical = nearest(study, member, side, Some(entry), most);
        if typical.is_empty() {
            nearest(study, member, side, None, most)
        } else {
            typical
        }
    };
    Exemplars {
        baseline: of(Side::Baseline),
        candidate: of(Side::Candidate),
    }
}

fn nearest(study: &Study<'_>, member: usize, side: Side, entry: Option<u32>, most: usize) -> Vec<String> {
    let observed = study.observed(member);
    let mut found: Vec<(f64, u32)> = observed
        .observations
        .iter()
        .filter_map(|observation| {
            let compared = &observed.compared[observation.position as usize];
            let trace = &study.traces.all()[compared.trace as usize];
            let is_wanted = compared.side == side && entry.is_none_or(|entry| trace.entry == entry);
            is_wanted.then(|| (observation.numerator / observation.denominator, compared.trace))
        })
        .collect();
    // Of failures the candidate's show it.
    if observed.scale == Scale::Share && side == Side::Candidate {
        found.retain(|(value, _)| *value > 0.0);
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let Some(&(median, _)) = found.get(found.len() / 2) else {
        return Vec::new();
    };
    found.sort_by(|a, b| {
        let distance = |value: f64| (value - median).abs();
        distance(a.0).total_cmp(&distance(b.0)).then(a.1.cmp(&b.1))
    });
    let traces = found
        .iter()
        .take(most)
        .map(|(_, trace)| study.traces.all()[*trace as usize]);
    traces.map(|trace| trace.profile.trace_id.to_string()).collect()
}
