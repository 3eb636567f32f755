//! How fast a budget is spent, and when somebody should know.
//!
//! At burn rate 1 the budget lasts exactly for the window of the objective. An alert needs a long window, so that it is
//! worth waking for, and a short one, so that it ends when the cause does: the rule of multiple windows ("The site
//! reliability workbook", 2018, chapter 5).

use schemars::JsonSchema;
use serde::Serialize;

use super::minutes::{PieceCounts, RequestCounts};
use crate::charts::{MINUTE_MS, Minutes};

/// The window of the burn rate that stands for others, where there is room for one.
pub(super) const HOUR_MINUTES: u64 = 60;
const DAY_MINUTES: u64 = 24 * HOUR_MINUTES;

/// Windows that burn rates are told of, minutes.
const WINDOWS: [u64; 7] = [
    5,
    30,
    HOUR_MINUTES,
    2 * HOUR_MINUTES,
    6 * HOUR_MINUTES,
    DAY_MINUTES,
    3 * DAY_MINUTES,
];

/// Burn rate from which on to alert, and in which windows, minutes.
type Rule = (f64, u64, u64);

/// What spends the budget of a month in two days.
const FAST: Rule = (14.4, HOUR_MINUTES, 5);
const RULES: [Rule; 4] = [
    FAST,
    (6.0, 6 * HOUR_MINUTES, 30),
    (3.0, DAY_MINUTES, 2 * HOUR_MINUTES),
    (1.0, 3 * DAY_MINUTES, 6 * HOUR_MINUTES),
];

/// How fast the budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BurnRate {
    /// Milliseconds until now; of the minute that is going on, what is there.
    window: u64,
    /// Requests that can be judged.
    valid: u64,
    /// Those that are not good.
    bad: u64,
    /// 1 spends the budget exactly over the window of the objective; absent without requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    burn_rate: Option<f64>,
}

/// A rule, and whether it holds now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    /// It fires where the burn rates of both windows reach this.
    threshold: f64,
    /// Milliseconds.
    long_window: u64,
    /// Milliseconds.
    short_window: u64,
    pub(super) firing: bool,
}

/// The share of bad requests in that of the budget; `None` without requests.
pub(super) fn burn_rate(counts: RequestCounts, objective: f64) -> Option<f64> {
    counts.bad_share().map(|share| share / (1.0 - objective))
}

/// All windows that are summed up for burn rates and alerts.
pub(super) fn windows(end_ts: u64) -> impl Iterator<Item = Minutes> {
    let of_rules = RULES.iter().flat_map(|&(_, long, short)| [long, short]);
    let lengths = WINDOWS.into_iter().chain(of_rules);
    lengths.map(move |minutes| Minutes::until(end_ts, minutes))
}

/// How long the windows of the fastest rule are, minutes.
pub(super) const FAST_WINDOWS: [u64; 2] = [FAST.1, FAST.2];

/// Of every window, the shortest first.
pub(super) fn burn_rates(counts: &PieceCounts, objective: f64, end_ts: u64) -> Vec<BurnRate> {
    let rate = |minutes| {
        let counts = counts.sum(Minutes::until(end_ts, minutes)).all;
        BurnRate {
            window: minutes * MINUTE_MS,
            valid: counts.valid,
            bad: counts.bad_requests(),
            burn_rate: burn_rate(counts, objective),
        }
    };
    WINDOWS.map(rate).to_vec()
}

/// Every rule, the fastest first.
pub(super) fn alerts(counts: &PieceCounts, objective: f64, end_ts: u64) -> Vec<Alert> {
    let in_last = |minutes| counts.sum(Minutes::until(end_ts, minutes)).all;
    let alert = |rule: Rule| Alert {
        threshold: rule.0,
        long_window: rule.1 * MINUTE_MS,
        short_window: rule.2 * MINUTE_MS,
        firing: holds(rule, objective, in_last),
    };
    RULES.map(alert).to_vec()
}

/// Whether the fastest rule holds, of the requests that `in_last` counts in so many last minutes.
pub(super) fn is_fast(objective: f64, in_last: impl Fn(u64) -> RequestCounts) -> bool {
    holds(FAST, objective, in_last)
}

fn holds((threshold, long, short): Rule, objective: f64, in_last: impl Fn(u64) -> RequestCounts) -> bool {
    let reaches = |minutes| burn_rate(in_last(minutes), objective).is_some_and(|rate| rate >= threshold);
    reaches(long) && reaches(short)
}
