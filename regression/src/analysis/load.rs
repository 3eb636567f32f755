//! How many requests the service had, minute by minute: what becomes slower under more load became slower by load.

use crate::statistics::Arms;

use super::cause::Sizes;
use super::evidence::{Evidence, Observed};
use super::family::What;
use super::population::{Chosen, MINUTE};
use super::side::Side;
use super::study::Study;
use super::traces::Traces;

/// Requests a minute of the deployed service.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    first_minute: u64,
    /// By minute; what is sampled is made up for.
    requests: Vec<f64>,
    /// Of the minutes of either side.
    mean: Arms<f64>,
}

/// A rate that differs by less is the same.
const SAME: f64 = 1.12;
/// A minute is of the same load as another within this factor.
const BIN: f64 = 0.10;
/// Observations a side, of equal load, that say something.
const OBSERVATIONS_MIN: u64 = 60;
/// How much more than what nobody deployed a quantity must have changed where no minutes are of equal load.
const BEYOND: f64 = 2.0;

impl Load {
    /// `weights` is how many traces one of either answer stands for.
    pub(super) fn of(traces: &Traces<'_>, chosen: &Chosen, weights: &[f64]) -> Self {
        let minute = |number: usize| traces.all()[number].profile.timestamp / MINUTE;
        let (Some(first), Some(last)) = (traces.all().first(), traces.all().last()) else {
            return Self::default();
        };
        let (first, last) = (first.profile.timestamp / MINUTE, last.profile.timestamp / MINUTE);
        let mut requests = vec![0.0; (last - first) as usize + 1];
        for trace in traces.all() {
            requests[(trace.profile.timestamp / MINUTE - first) as usize] +=
                weights.get(trace.part).copied().unwrap_or(1.0);
        }
        let mean = |wanted: Side| {
            let mut minutes: Vec<u64> = chosen
                .traces
                .iter()
                .filter(|(_, side)| *side == wanted)
                .map(|(number, _)| minute(*number))
                .collect();
            minutes.sort_unstable();
            minutes.dedup();
            // The first and the last are not whole.
            let whole = if minutes.len() > 2 {
                &minutes[1..minutes.len() - 1]
            } else {
                &minutes[..]
            };
            let sum: f64 = whole
                .iter()
                .map(|minute| requests[(minute - first) as usize])
                .sum();
            sum / whole.len().max(1) as f64
        };
        let mean = Arms {
            baseline: mean(Side::Baseline),
            candidate: mean(Side::Candidate),
        };
        Self {
            first_minute: first,
            requests,
            mean,
        }
    }

    /// Whether the candidate's minutes had more of it.
    pub(super) fn grew(&self) -> bool {
        self.mean.candidate > self.mean.baseline * SAME
    }

    fn bin(&self, minute: u64) -> i64 {
        let requests = self.requests[(minute - self.first_minute) as usize].max(1.0);
        (requests.ln() / BIN).round() as i64
    }

    /// Whether a change is gone among minutes of equal load; or, where there are none, is no more than what load does
    /// to others.
    pub(super) fn explains(
        &self,
        study: &Study<'_>,
        what: What,
        observed: &Observed<'_>,
        evidence: &Evidence,
        sizes: &Sizes<'_>,
    ) -> bool {
        let mut bins: Vec<(i64, Side)> = observed
            .observations
            .iter()
            .map(|found| observed.seen(found))
            .map(|seen| (self.bin(seen.minute()), seen.side))
            .collect();
        bins.sort_unstable();
        bins.dedup();
        let has = |bin: i64, side: Side| bins.binary_search(&(bin, side)).is_ok();
        let is_common = |bin: i64| has(bin, Side::Baseline) && has(bin, Side::Candidate);
        let equal = observed.mean_change(|seen| is_common(self.bin(seen.minute())).then_some(seen.side));
        let enough = equal.filter(|equal| {
            equal.observations.baseline.min(equal.observations.candidate) >= OBSERVATIONS_MIN
        });
        if let Some(equal) = enough {
            let is_left = equal.relative() >= sizes.min_relative()
                && equal.estimate >= evidence.change.estimate / 2.0
                && equal.z(0.0) > 1.645;
            return !is_left;
        }
        let by_load = match what {
            What::OutgoingGap(_) | What::IncomingGap { .. } => {
                (self.mean.candidate / self.mean.baseline).powi(4) - 1.0
            }
            _ => 0.0,
        };
        let elsewhere = study.controls.greatest(what).max(by_load);
        evidence.relative() < BEYOND * elsewhere + sizes.min_relative()
    }
}
