//! The cases that analyses are judged on, by name: every fault, every confounder without one, and both together.

use serde::Serialize;

use crate::workload::{Random, mix};

use super::fault::Kind;
use super::rollout::Strategy;
use super::scenario::{Knowledge, Seed};
use super::topology::Shape;
use super::truth::Explanation;

/// What happens at the same time as a deployment and is not its fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confounder {
    /// More requests from the rollout on.
    LoadIncrease,
    /// Many more for some minutes.
    LoadSpike,
    /// More from minute to minute.
    LoadSlope,
    /// Other requests from the rollout on.
    MixShift,
    /// What the deployed service calls becomes slower, for everybody.
    DegradingCallee,
    /// New instances are slow for some seconds.
    ColdStart,
    /// One instance of the new version is slow.
    BadHostNew,
    /// One instance of the old version is.
    BadHostOld,
    /// A cache of the deployed service is empty at first, and fills.
    CacheFlush,
    /// Everything becomes slower from minute to minute.
    Drift,
    /// Clocks are off.
    ClockSkew,
    /// Some spans are never seen.
    LostSpans,
    /// Some spans come up to an hour late.
    LateSpans,
}

impl Confounder {
    const ALL: [Self; 13] = [
        Self::LoadIncrease,
        Self::LoadSpike,
        Self::LoadSlope,
        Self::MixShift,
        Self::DegradingCallee,
        Self::ColdStart,
        Self::BadHostNew,
        Self::BadHostOld,
        Self::CacheFlush,
        Self::Drift,
        Self::ClockSkew,
        Self::LostSpans,
        Self::LateSpans,
    ];

    /// As scenarios are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoadIncrease => "load_increase",
            Self::LoadSpike => "load_spike",
            Self::LoadSlope => "load_slope",
            Self::MixShift => "mix_shift",
            Self::DegradingCallee => "degrading_callee",
            Self::ColdStart => "cold_start",
            Self::BadHostNew => "bad_host_new",
            Self::BadHostOld => "bad_host_old",
            Self::CacheFlush => "cache_flush",
            Self::Drift => "drift",
            Self::ClockSkew => "clock_skew",
            Self::LostSpans => "lost_spans",
            Self::LateSpans => "late_spans",
        }
    }

    /// What an analysis should say instead of blaming the deployment.
    pub const fn explanation(self) -> Option<Explanation> {
        match self {
            Self::LoadIncrease | Self::LoadSpike | Self::LoadSlope => Some(Explanation::Load),
            Self::MixShift => Some(Explanation::MixShift),
            Self::DegradingCallee => Some(Explanation::CalleeDegraded),
            Self::ColdStart => Some(Explanation::WarmUp),
            Self::BadHostNew | Self::BadHostOld => Some(Explanation::BadInstance),
            Self::CacheFlush => Some(Explanation::Transient),
            Self::Drift | Self::ClockSkew | Self::LostSpans | Self::LateSpans => None,
        }
    }
}

/// What a scenario is to be made of.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) shape: Shape,
    pub(super) strategy: Strategy,
    pub(super) knowledge: Knowledge,
    /// Harmless deployments at the same time.
    pub(super) decoys: usize,
    /// Traces in all.
    pub(super) traces: u64,
    /// Of the deployed service and, one after the other, of other deployed services.
    pub(super) faults: Vec<(Kind, f64)>,
    /// The first of the faults is another deployment's.
    pub(super) subject_is_innocent: bool,
    pub(super) confounders: Vec<Confounder>,
    /// The standard deviation of the log of the work that a fault is put into; as it comes without one.
    pub(super) sigma: Option<f64>,
    /// Minutes before the rollout, of a wave, and of all.
    pub(super) lead_minutes: usize,
    pub(super) wave_minutes: f64,
    pub(super) minutes: usize,
}

/// A case of a name; each of its seeds is another scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// With its group before a slash.
    pub name: String,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Fault(Kind),
    Nothing,
    Confounder(Confounder),
    FewRequests,
    Decoys,
    Strategy(Strategy),
    FaultWith(Confounder),
    FaultWithStrategy(Strategy),
    FaultOfFew,
    OtherGuilty,
    TwoCulprits,
    Compensated,
    Improved,
    Power { size: f64, requests: u64 },
    Speed,
}

/// Sizes that faults have, by turns.
pub(super) const SIZES: [f64; 5] = [0.05, 0.1, 0.2, 0.5, 1.0];
/// The same for errors: shares of the requests.
const ERROR_SIZES: [f64; 5] = [0.01, 0.02, 0.05, 0.1, 0.2];
/// Requests a side of power curves.
pub(super) const POWER_REQUESTS: [u64; 5] = [30, 100, 300, 1_000, 3_000];
/// Of the work that power curves are about.
const POWER_SIGMA: f64 = 0.5;
/// The size that is large enough whatever else is going on.
const LARGE: f64 = 0.5;
/// Requests a second, minutes before the rollout and in all, of the case that measures how soon a verdict is there.
const SPEED_RATE: u64 = 50;
const SPEED_LEAD_MINUTES: usize = 5;
const SPEED_MINUTES: usize = 10;
const LEAD_MINUTES: usize = 17;
const MINUTES: usize = 40;

/// All cases.
pub fn cases() -> Vec<Case> {
    let case = |name: String, what| Case { name, what };
    let mut cases: Vec<Case> = Kind::FAULTS
        .iter()
        .map(|&kind| case(format!("fault/{}", kind.name()), What::Fault(kind)))
        .collect();
    cases.push(case("innocent/a_a".to_owned(), What::Nothing));
    for confounder in Confounder::ALL {
        cases.push(case(
            format!("innocent/{}", confounder.name()),
            What::Confounder(confounder),
        ));
    }
    cases.push(case("innocent/few_requests".to_owned(), What::FewRequests));
    cases.push(case("innocent/decoys".to_owned(), What::Decoys));
    let odd = [
        ("rolled_back", Strategy::RolledBack),
        ("never_ends", Strategy::NeverEnds),
        ("flapping", Strategy::Flapping),
    ];
    for (name, strategy) in odd {
        cases.push(case(format!("innocent/{name}"), What::Strategy(strategy)));
        cases.push(case(format!("hard/{name}"), What::FaultWithStrategy(strategy)));
    }
    for confounder in Confounder::ALL {
        let name = if confounder == Confounder::MixShift {
            "simpson"
        } else {
            confounder.name()
        };
        cases.push(case(format!("hard/{name}"), What::FaultWith(confounder)));
    }
    cases.push(case("hard/few_requests".to_owned(), What::FaultOfFew));
    cases.push(case("hard/other_guilty".to_owned(), What::OtherGuilty));
    cases.push(case("hard/two_culprits".to_owned(), What::TwoCulprits));
    cases.push(case("hard/compensated".to_owned(), What::Compensated));
    cases.push(case("hard/improved".to_owned(), What::Improved));
    for size in SIZES {
        for requests in POWER_REQUESTS {
            let name = format!("power/{:.0}%-{requests}", size * 100.0);
            cases.push(case(name, What::Power { size, requests }));
        }
    }
    cases.push(case("speed/verdict".to_owned(), What::Speed));
    cases
}

/// Decorrelates cases of the same seed.
fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| mix(hash ^ u64::from(byte)))
}

impl Case {
    /// Where the randomness of one of its scenarios starts.
    pub(super) fn randomness(&self, seed: Seed) -> u64 {
        mix(hash(&self.name) ^ mix(seed.value()))
    }

    /// What one of its scenarios is made of.
    pub(super) fn recipe(&self, seed: Seed, random: &mut Random) -> Recipe {
        let strategy = random.pick(&Strategy::USUAL);
        let knowledge = random.pick(&[
            Knowledge::Tags,
            Knowledge::Tags,
            Knowledge::Instances,
            Knowledge::Window,
            Knowledge::Inferred,
        ]);
        let mut recipe = Recipe {
            shape: random.pick(&[Shape::Chain, Shape::FanOut, Shape::Diamond]),
            strategy,
            knowledge,
            decoys: if random.chance(0.5) {
                2 + random.below(3)
            } else {
                0
            },
            traces: (1_200.0 * 4.0f64.powf(random.unit())) as u64,
            faults: Vec::new(),
            subject_is_innocent: false,
            confounders: Vec::new(),
            sigma: None,
            lead_minutes: LEAD_MINUTES,
            wave_minutes: 0.75 + 0.75 * random.unit(),
            minutes: MINUTES,
        };
        let turn = seed.number as usize % SIZES.len();
        let any = random.pick(&Kind::FAULTS);
        match self.what {
            What::Fault(kind) => recipe.faults.push((kind, kind.size(turn))),
            What::Nothing => recipe.decoys = 0,
            What::Confounder(confounder) => recipe.confounders.push(confounder),
            What::FewRequests => recipe.traces = 40 + random.below(360) as u64,
            What::Decoys => recipe.decoys = 2 + random.below(3),
            What::Strategy(strategy) => recipe.strategy = strategy,
            What::FaultWith(confounder) => {
                recipe.confounders.push(confounder);
                recipe.faults.push((any, any.size(2 + turn % 3)));
            }
            What::FaultWithStrategy(strategy) => {
                recipe.strategy = strategy;
                recipe.faults.push((any, any.size(2 + turn % 3)));
            }
            What::FaultOfFew => {
                recipe.traces = 40 + random.below(360) as u64;
                recipe.faults.push((any, any.size(2 + turn % 3)));
            }
            What::OtherGuilty => {
                recipe.subject_is_innocent = true;
                recipe.faults.push((any, any.size(3 + turn % 2)));
            }
            What::TwoCulprits => {
                let other = random.pick(&Kind::FAULTS);
                recipe.faults = vec![(any, any.size(3 + turn % 2)), (other, other.size(3 + turn % 2))];
            }
            What::Compensated => {
                recipe.faults = vec![(Kind::SelfTimeProportional, LARGE), (Kind::Improvement, -LARGE)]
            }
            What::Improved => recipe.faults.push((Kind::Improvement, -LARGE)),
            What::Power { size, requests } => recipe.of_power(size, requests),
            What::Speed => recipe.of_speed(),
        }
        recipe.settle(random);
        recipe
    }

    /// Whether a scenario of it has hundreds of thousands of spans; its purpose is to show how soon a verdict is there.
    pub fn is_long(&self) -> bool {
        self.what == What::Speed
    }

    /// Whether its purpose is to show how much an analysis sees at which traffic.
    pub fn power(&self) -> Option<(f64, u64)> {
        match self.what {
            What::Power { size, requests } => Some((size, requests)),
            _ => None,
        }
    }
}

impl Kind {
    fn size(self, turn: usize) -> f64 {
        if matches!(self, Self::ErrorsSlow | Self::ErrorsFast) {
            ERROR_SIZES[turn]
        } else {
            SIZES[turn]
        }
    }
}

impl Recipe {
    /// A canary that gets half of everything, so that both sides are alike but for the fault.
    fn of_power(&mut self, size: f64, requests: u64) {
        self.strategy = Strategy::Canary { share: 0.5 };
        self.knowledge = Knowledge::Tags;
        self.decoys = 0;
        self.sigma = Some(POWER_SIGMA);
        self.faults.push((Kind::SelfTimeProportional, size));
        // Half of the time after the start, half of the requests.
        self.shape = Shape::Chain;
        let after = (self.minutes - self.lead_minutes) as f64 / self.minutes as f64;
        self.traces = (requests as f64 / (0.5 * after)) as u64;
    }

    fn of_speed(&mut self) {
        self.strategy = Strategy::Rolling;
        self.knowledge = Knowledge::Tags;
        self.shape = Shape::Chain;
        self.decoys = 0;
        self.faults.push((Kind::SelfTimeProportional, 0.2));
        self.lead_minutes = SPEED_LEAD_MINUTES;
        self.minutes = SPEED_MINUTES;
        self.wave_minutes = 0.25;
        self.traces = SPEED_RATE * 60 * SPEED_MINUTES as u64;
    }

    /// Makes of it something that can be: versions that can be told apart, and enough requests for a small canary.
    fn settle(&mut self, random: &mut Random) {
        if self.confounders.contains(&Confounder::BadHostNew)
            && matches!(self.strategy, Strategy::Canary { .. })
        {
            // The only instance of a version cannot be told from the version.
            self.strategy = Strategy::Rolling;
        }
        let is_known = match self.knowledge {
            Knowledge::Tags | Knowledge::Inferred => true,
            // What undeclared instances of a canary serve is not said by the rules.
            Knowledge::Instances => self.strategy.is_told_by_window(),
            Knowledge::Window => self.strategy.is_told_by_window(),
        };
        if !is_known {
            self.knowledge = random.pick(&[Knowledge::Tags, Knowledge::Inferred]);
        }
        if let Strategy::Canary { share } = self.strategy
            && share < 0.1
            && self.traces > 1_000
        {
            self.traces = 7_000;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Purpose;
    use super::*;

    #[test]
    fn names_are_unlike_and_seeds_of_both_purposes_never_meet() {
        let cases = cases();
        let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        let seeds = |purpose| (0..100).map(move |number| Seed { purpose, number }.value());
        assert!(seeds(Purpose::Tune).all(|tune| seeds(Purpose::Report).all(|report| report != tune)));
    }
}
