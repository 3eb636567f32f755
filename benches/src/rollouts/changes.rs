//! What the faults of a visit make of it.

use crate::workload::Random;

use super::fault::{Change, Fault};
use super::topology::Call;

/// Draws of a visit that faults use, made whether there are any or not.
#[derive(Clone, Copy)]
pub(super) struct Luck {
    pub(super) error: f64,
    pub(super) inherit: f64,
    fault: f64,
    times: f64,
}

impl Luck {
    pub(super) fn draw(random: &mut Random) -> Self {
        Self {
            error: random.unit(),
            inherit: random.unit(),
            fault: random.unit(),
            times: random.unit(),
        }
    }
}

/// How often a call is made.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) calls: usize,
    pub(super) is_retried: bool,
}

/// What faults make of a visit as a whole.
pub(super) struct Faulty {
    pub(super) factor: f64,
    pub(super) micros: f64,
    pub(super) fails: bool,
    pub(super) is_fast: bool,
}

/// The faults that a visit has.
pub(super) struct Changes<'s> {
    /// Of the scenario, and which of them the visit's handler has.
    pub(super) faults: &'s [Fault],
    pub(super) numbers: &'s [usize],
    /// This one is left out.
    pub(super) without: Option<usize>,
    pub(super) entry: usize,
}

impl<'s> Changes<'s> {
    fn all(&self) -> impl Iterator<Item = &'s Change> + '_ {
        let has = |number: &&usize| {
            let fault = &self.faults[**number];
            Some(**number) != self.without && fault.entry.is_none_or(|entry| entry == self.entry)
        };
        self.numbers
            .iter()
            .filter(has)
            .map(|&number| &self.faults[number].change)
    }

    /// Before it is accepted, microseconds.
    pub(super) fn gap(&self, random: &mut Random) -> f64 {
        let drawn = random.exponential(1.0);
        self.all()
            .map(|change| {
                if let Change::CalleeGap { micros } = change {
                    micros * drawn
                } else {
                    0.0
                }
            })
            .sum()
    }

    /// Before a call leaves, microseconds.
    pub(super) fn delay(&self, random: &mut Random) -> f64 {
        let drawn = random.exponential(1.0);
        self.all()
            .map(|change| {
                if let Change::CallerGap { micros } = change {
                    micros * drawn
                } else {
                    0.0
                }
            })
            .sum()
    }

    pub(super) fn outcome(&self, luck: Luck) -> Faulty {
        let mut faulty = Faulty {
            factor: 1.0,
            micros: 0.0,
            fails: false,
            is_fast: false,
        };
        for change in self.all() {
            match *change {
                Change::Own {
                    factor,
                    micros,
                    share,
                } if luck.fault < share => {
                    faulty.factor *= factor;
                    faulty.micros += micros;
                }
                Change::Errors { rate, is_fast } if luck.fault < rate => {
                    faulty.fails = true;
                    faulty.is_fast |= is_fast;
                }
                _ => {}
            }
        }
        faulty
    }

    pub(super) fn new_calls(&self, luck: Luck) -> Option<(&'s Call, usize)> {
        self.all().find_map(|change| match change {
            Change::NewCall { call, times } => {
                Some((call, whole(*times, luck.times))).filter(|(_, times)| *times > 0)
            }
            _ => None,
        })
    }

    pub(super) fn is_serialized(&self, at: usize, luck: Luck) -> bool {
        self.all()
            .any(|change| matches!(*change, Change::Serialized { step, share } if step == at && luck.fault < share))
    }

    pub(super) fn times(&self, at: usize, place: usize, luck: Luck) -> Times {
        let mut times = Times {
            calls: 1,
            is_retried: false,
        };
        for change in self.all() {
            match *change {
                Change::MoreCalls { step, call, extra } if (step, call) == (at, place) => {
                    times.calls += whole(extra, luck.times);
                }
                Change::Retries { step, call, share } if (step, call) == (at, place) => {
                    times.is_retried |= luck.fault < share;
                }
                _ => {}
            }
        }
        times
    }

    /// More work for a callee, microseconds.
    pub(super) fn heavier(&self, place: (usize, usize)) -> f64 {
        self.all()
            .map(|change| match *change {
                Change::Heavier { step, call, micros } if (step, call) == place => micros,
                _ => 0.0,
            })
            .sum()
    }
}

/// A whole number that is `expected` on average.
fn whole(expected: f64, luck: f64) -> usize {
    expected.floor() as usize + usize::from(luck < expected.fract())
}
