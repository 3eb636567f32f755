//! How the means of entry operations changed, in whole microseconds that add up.

use model::OperationNumber;

use crate::report::{EntryChange, Sides};
use crate::statistics::Arms;

use super::names::operation_json;
use super::study::Study;

/// How the mean of an entry operation changed, microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shifted {
    pub(super) entry: OperationNumber,
    pub(super) requests: Arms<u64>,
    pub(super) total: i64,
    pub(super) within: i64,
}

impl Shifted {
    /// By other requests: the rest, so that both add up.
    pub(super) fn mix_shift(&self) -> i64 {
        self.total.saturating_sub(self.within)
    }

    /// As it is reported; `explained` is the sum of what findings did to this entry operation, whichever
    /// they did the most to.
    pub(super) fn report(&self, study: &Study<'_>, explained: i64) -> EntryChange {
        EntryChange {
            entry: operation_json(study.traces, self.entry),
            requests: Sides {
                baseline: self.requests.baseline,
                candidate: self.requests.candidate,
            },
            total: self.total,
            within: self.within,
            mix_shift: self.mix_shift(),
            explained,
            remainder: self.within.saturating_sub(explained),
        }
    }
}

/// Entry operations that both sides answered, the one that lost the most time first.
pub(super) fn shifted(study: &Study<'_>) -> Vec<Shifted> {
    let entries = study.comparison.entries.iter().enumerate();
    let mut shifted: Vec<(f64, Shifted)> = entries
        .filter(|(_, totals)| totals.answered.baseline.min(totals.answered.candidate) > 0)
        .map(|(entry, totals)| {
            let entry = entry as OperationNumber;
            let mean = |sum: u128, count: u64| sum as f64 / count as f64;
            let total = mean(totals.durations.candidate, totals.answered.candidate)
                - mean(totals.durations.baseline, totals.answered.baseline);
            let found = Shifted {
                entry,
                requests: totals.requests,
                total: total.round() as i64,
                within: within(study, entry).round() as i64,
            };
            (total * totals.requests.candidate as f64, found)
        })
        .collect();
    shifted.sort_by(|(a, one), (b, other)| b.total_cmp(a).then(one.entry.cmp(&other.entry)));
    shifted.into_iter().map(|(_, found)| found).collect()
}

/// At the candidate's mix of requests.
fn within(study: &Study<'_>, entry: OperationNumber) -> f64 {
    let mut lost = 0.0;
    for place in study.strata_of(entry) {
        let (stratum, sums) = (&study.comparison.strata[place], &study.sums[place]);
        let mean = |sum: u128, count: u64| sum as f64 / count as f64;
        let change = mean(sums.durations.candidate, sums.traces.candidate)
            - mean(sums.durations.baseline, sums.traces.baseline);
        lost += change * stratum.traces.candidate as f64;
    }
    lost / study.compared_of(entry).max(1) as f64
}
