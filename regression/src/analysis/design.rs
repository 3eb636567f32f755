//! Which requests are held against which: those of the same minutes, or those before and after a rollout; and what is
//! done where there are few.

use super::options::Options;
use super::population::{Chosen, FEW_TRACES_MIN, Facts, Switch, choose_before_after, choose_concurrent};
use super::side::Side;
use super::traces::Traces;

/// Common minutes decide if they have so many traces a side, or this share of those before and after: a few are the
/// stronger design and still see less.
const CONCURRENT_TRACES: usize = 1_000;
const CONCURRENT_SHARE: usize = 4;

/// What decides, and what is heard as well.
pub(super) struct Designs {
    pub(super) first: Chosen,
    pub(super) second: Option<Chosen>,
}

/// The comparisons of a rollout that have enough traces, up to a moment in microseconds; where none has, a comparison of
/// a few, of which only the plainest change is believed.
pub(super) fn choose(
    traces: &Traces<'_>,
    facts: &[Facts],
    (switch, until): (Switch, u64),
    options: &Options,
) -> Option<Designs> {
    let with = |min_traces: usize| {
        let is_enough = |chosen: &Chosen| chosen.is_enough(traces, min_traces);
        let concurrent = choose_concurrent(traces, facts, switch.start);
        let before_after = choose_before_after(traces, facts, switch, until, options);
        prefer(Some(concurrent).filter(is_enough), before_after.filter(is_enough))
    };
    with(options.min_traces).or_else(|| {
        let mut few = with(FEW_TRACES_MIN.min(options.min_traces))?;
        few.first.is_small = true;
        Some(few)
    })
}

fn prefer(concurrent: Option<Chosen>, before_after: Option<Chosen>) -> Option<Designs> {
    let smaller = |chosen: &Chosen| chosen.count(Side::Baseline).min(chosen.count(Side::Candidate));
    let (first, second) = match (concurrent, before_after) {
        (Some(concurrent), Some(before_after)) => {
            let is_enough =
                smaller(&concurrent) >= CONCURRENT_TRACES.min(smaller(&before_after) / CONCURRENT_SHARE);
            if is_enough {
                (concurrent, Some(before_after))
            } else {
                (before_after, Some(concurrent))
            }
        }
        (Some(only), None) | (None, Some(only)) => (only, None),
        (None, None) => return None,
    };
    Some(Designs { first, second })
}
