//! Whether a deployed version has fallen silent while the previous one goes on: who dies answers nothing more, and what it
//! answered until then looks as well as ever. Where nobody answers any more, nobody may be asking.

use super::options::Options;
use super::population::{Facts, MINUTE};
use super::serving::Served;
use super::side::Side;
use super::traces::Traces;

/// Requests that would have been its own meanwhile; of fewer, chance may be the reason that there are none.
const EXPECTED_MIN: f64 = 30.0;
/// Spans of a moment may still be on their way for so long, microseconds.
const ON_THEIR_WAY: u64 = 3 * MINUTE;

/// A version that answered and no longer does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Silence {
    /// For how long, microseconds.
    silent: u64,
    /// Of a hundred requests, how many it had answered.
    percent: f64,
}

impl Silence {
    /// Of the candidate at a moment, epoch microseconds. Who has been silent for longer than a deployment is observed is
    /// no longer asked for.
    pub(super) fn find(traces: &Traces<'_>, facts: &[Facts], until: u64, options: &Options) -> Option<Self> {
        let times = |is_so: fn(Served) -> bool| {
            let all = traces.all().iter().zip(facts);
            let chosen = all.filter(move |(_, facts)| is_so(facts.served));
            chosen.map(|(trace, _)| trace.profile.timestamp)
        };
        // Nobody knows whose those are that are unknown: they may be its own.
        let may_be = |served| served == Served::Both || served == Served::Unknown;
        let candidate = || times(|served| served == Served::By(Side::Candidate));
        let (first, last) = (candidate().next()?, candidate().next_back()?);
        let last = times(may_be).next_back().map_or(last, |at| last.max(at));
        let silent = until.saturating_sub(last);
        if silent < ON_THEIR_WAY || silent > options.monitor_ms.saturating_mul(1000) {
            return None;
        }
        let baseline = || times(|served| served == Served::By(Side::Baseline));
        let beside = baseline().filter(|at| (first..=last).contains(at)).count() as f64;
        let since = baseline().filter(|at| *at > last && *at <= until).count() as f64;
        let answered = candidate().count() as f64;
        let expected = since * answered / beside.max(1.0);
        (expected >= EXPECTED_MIN).then_some(Self {
            silent,
            percent: 100.0 * answered / (answered + beside),
        })
    }

    /// For people.
    pub(super) fn tell(self, service: &str, version: &str) -> String {
        let minutes = self.silent / MINUTE;
        format!(
            "{service} {version} answered {:.0} % of the requests and has answered none for {minutes} minutes, in which the \
             previous version went on",
            self.percent
        )
    }
}
