//! How a version goes live: which instances serve a service at each moment, with which version, and what share of
//! its requests each gets.

use std::net::Ipv4Addr;

use serde::Serialize;

use crate::workload::Random;

use super::topology::Topology;

/// Microseconds of a minute.
pub(super) const MINUTE: f64 = 60e6;

/// How a version replaces another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// New instances replace old ones, one after the other.
    Rolling,
    /// One new instance gets a share of the requests, for as long as anybody looks.
    Canary {
        /// From 0 to 1.
        share: f64,
    },
    /// All requests go to new instances at once.
    BlueGreen,
    /// All old instances end before the first new one begins.
    Recreate,
    /// Instances are restarted in their place, one after the other, and keep their addresses.
    InPlace,
    /// Rolling, and back again.
    RolledBack,
    /// Rolling, and half of the instances are never reached.
    NeverEnds,
    /// Half of the instances change their version again and again.
    Flapping,
}

impl Strategy {
    /// Those that end, and canaries.
    pub const USUAL: [Self; 8] = [
        Self::Rolling,
        Self::Canary { share: 0.25 },
        Self::BlueGreen,
        Self::Recreate,
        Self::InPlace,
        Self::Canary { share: 0.5 },
        Self::Canary { share: 0.05 },
        Self::Canary { share: 0.01 },
    ];

    /// As the API describes it to people; only four have a word.
    pub const fn api_name(self) -> Option<&'static str> {
        match self {
            Self::Rolling | Self::InPlace | Self::RolledBack | Self::NeverEnds => Some("rolling"),
            Self::Canary { .. } => Some("canary"),
            Self::BlueGreen => Some("blue_green"),
            Self::Recreate => Some("recreate"),
            Self::Flapping => None,
        }
    }

    /// Whether a window alone can tell the versions apart: before it the old one, after it the new one.
    pub const fn is_told_by_window(self) -> bool {
        matches!(
            self,
            Self::Rolling | Self::BlueGreen | Self::Recreate | Self::InPlace
        )
    }
}

/// A rollout of one service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rollout {
    pub(super) service: usize,
    pub(super) strategy: Strategy,
    /// Microseconds after the scenario's begin.
    pub(super) start: f64,
    /// Between two waves.
    pub(super) wave: f64,
}

/// A process that serves.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) service: usize,
    pub(super) ip: Ipv4Addr,
    pub(super) port: u16,
    /// When it took which version, ascending; the first one at 0 or when it began.
    pub(super) versions: Vec<(f64, Version)>,
}

/// Of a deployed service; services that are not deployed keep the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Version {
    Old,
    New,
}

impl Instance {
    /// The version it serves with at a moment, and since when.
    pub(super) fn version(&self, at: f64) -> (f64, Version) {
        let taken = self.versions.iter().rev().find(|(from, _)| *from <= at);
        *taken.unwrap_or(&self.versions[0])
    }
}

/// Who serves a service from a moment on.
#[derive(Clone, Debug)]
struct Epoch {
    from: f64,
    /// Instances, and the share of the requests that go to this one or one before it.
    members: Vec<(usize, f64)>,
}

/// All instances of a system over time.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) instances: Vec<Instance>,
    epochs: Vec<Vec<Epoch>>,
    /// When the last wave of each rollout was over, in the order they were given; `None` for those that never are.
    pub(super) ends: Vec<Option<f64>>,
    /// When it was taken back.
    pub(super) rolled_back: Vec<Option<f64>>,
}

/// After which a rolled back deployment is taken back, and a flapping instance changes, microseconds.
const ROLLBACK_AFTER: f64 = 8.0 * MINUTE;
const FLAP_EVERY: f64 = 3.0 * MINUTE;
const FLAPS: usize = 6;
/// How long nobody serves while a service is recreated.
const RECREATE_GAP: f64 = 20e6;

impl Fleet {
    /// Everything as it was, then the rollouts; each service is rolled out at most once.
    pub(super) fn new(topology: &Topology, rollouts: &[Rollout], random: &mut Random) -> Self {
        let mut fleet = Self {
            instances: Vec::new(),
            epochs: Vec::new(),
            ends: Vec::new(),
            rolled_back: Vec::new(),
        };
        for (service, found) in topology.services.iter().enumerate() {
            let members: Vec<usize> = (0..found.instances)
                .map(|_| fleet.add(topology, service, 0.0, Version::Old))
                .collect();
            fleet.epochs.push(vec![Epoch::even(0.0, &members)]);
        }
        for rollout in rollouts {
            let old: Vec<usize> = fleet.epochs[rollout.service][0]
                .members
                .iter()
                .map(|(member, _)| *member)
                .collect();
            let (end, back) = fleet.roll_out(topology, rollout, &old, random);
            fleet.ends.push(end);
            fleet.rolled_back.push(back);
        }
        fleet
    }

    fn add(&mut self, topology: &Topology, service: usize, from: f64, version: Version) -> usize {
        let number = self.instances.len();
        self.instances.push(Instance {
            service,
            ip: Ipv4Addr::new(10, 1, (number / 200) as u8, (number % 200 + 1) as u8),
            port: topology.services[service].port,
            versions: vec![(from, version)],
        });
        number
    }

    /// Answers when its last wave was over, and when it was taken back.
    fn roll_out(
        &mut self,
        topology: &Topology,
        rollout: &Rollout,
        old: &[usize],
        random: &mut Random,
    ) -> (Option<f64>, Option<f64>) {
        let &Rollout {
            service, start, wave, ..
        } = rollout;
        match rollout.strategy {
            Strategy::Rolling | Strategy::RolledBack | Strategy::NeverEnds => {
                return self.roll(topology, rollout, old);
            }
            Strategy::Canary { share } => {
                let canary = self.add(topology, service, start, Version::New);
                self.epochs[service].push(Epoch::with_canary(start, old, canary, share));
            }
            Strategy::BlueGreen => return (Some(self.switch(topology, rollout, old, start)), None),
            Strategy::Recreate => {
                self.epochs[service].push(Epoch::even(start, &[]));
                return (
                    Some(self.switch(topology, rollout, old, start + RECREATE_GAP)),
                    None,
                );
            }
            Strategy::InPlace => {
                for (number, &instance) in old.iter().enumerate() {
                    let at = start + wave * number as f64;
                    self.instances[instance].versions.push((at, Version::New));
                }
                return (Some(start + wave * (old.len() - 1) as f64), None);
            }
            Strategy::Flapping => {
                for &instance in old.iter().take(old.len().div_ceil(2)) {
                    let first = start + wave * random.unit();
                    self.instances[instance].versions.extend(flaps(first));
                }
            }
        }
        (None, None)
    }

    /// Wave by wave, all the way or half of it, and back where that is asked for.
    fn roll(&mut self, topology: &Topology, rollout: &Rollout, old: &[usize]) -> (Option<f64>, Option<f64>) {
        let mut serving = old.to_vec();
        let reached = match rollout.strategy {
            Strategy::NeverEnds => old.len().div_ceil(2),
            _ => old.len(),
        };
        let waves = (rollout.start, rollout.wave);
        let end = self.replace(
            topology,
            rollout.service,
            &mut serving[..],
            reached,
            waves,
            Version::New,
        );
        match rollout.strategy {
            Strategy::RolledBack => {
                let back = end + ROLLBACK_AFTER;
                let waves = (back, rollout.wave);
                self.replace(
                    topology,
                    rollout.service,
                    &mut serving[..],
                    reached,
                    waves,
                    Version::Old,
                );
                (Some(end), Some(back))
            }
            Strategy::NeverEnds => (None, None),
            _ => (Some(end), None),
        }
    }

    /// All at once; answers when.
    fn switch(&mut self, topology: &Topology, rollout: &Rollout, old: &[usize], at: f64) -> f64 {
        let green = old
            .iter()
            .map(|_| self.add(topology, rollout.service, at, Version::New));
        let green: Vec<usize> = green.collect();
        self.epochs[rollout.service].push(Epoch::even(at, &green));
        at
    }

    /// One new instance for an old one a wave; answers when the last was replaced.
    fn replace(
        &mut self,
        topology: &Topology,
        service: usize,
        serving: &mut [usize],
        count: usize,
        (start, wave): (f64, f64),
        version: Version,
    ) -> f64 {
        let mut at = start;
        for number in 0..count {
            at = start + wave * number as f64;
            serving[number] = self.add(topology, service, at, version);
            self.epochs[service].push(Epoch::even(at, serving));
        }
        at
    }

    /// Who serves a request; `None` while nobody does. `pick` is from 0 to 1.
    pub(super) fn route(&self, service: usize, at: f64, pick: f64) -> Option<usize> {
        let epochs = &self.epochs[service];
        let epoch = &epochs[epochs.partition_point(|epoch| epoch.from <= at).max(1) - 1];
        let member = epoch.members.partition_point(|(_, below)| *below <= pick);
        Some(epoch.members.get(member).or(epoch.members.last())?.0)
    }
}

/// The new version, the old one again, and so on; in the end the new one.
fn flaps(first: f64) -> impl Iterator<Item = (f64, Version)> {
    (0..=FLAPS).map(move |flap| {
        let version = if flap % 2 == 0 { Version::New } else { Version::Old };
        (first + FLAP_EVERY * flap as f64, version)
    })
}

impl Epoch {
    fn even(from: f64, members: &[usize]) -> Self {
        let share = |number: usize| (number + 1) as f64 / members.len() as f64;
        Self {
            from,
            members: members
                .iter()
                .enumerate()
                .map(|(number, &member)| (member, share(number)))
                .collect(),
        }
    }

    fn with_canary(from: f64, old: &[usize], canary: usize, share: f64) -> Self {
        let mut epoch = Self::even(from, old);
        for (_, below) in &mut epoch.members {
            *below *= 1.0 - share;
        }
        epoch.members.push((canary, 1.0));
        epoch
    }
}

#[cfg(test)]
mod tests {
    use super::super::topology::Shape;
    use super::*;

    const START: f64 = 10.0 * MINUTE;

    /// The share of requests that the new version gets, a minute after the last wave and right before the start.
    fn shares(strategy: Strategy, at: f64) -> (f64, f64) {
        let random = &mut Random::new(3);
        let topology = Topology::new(random, Shape::Chain);
        let rollout = Rollout {
            service: 1,
            strategy,
            start: START,
            wave: MINUTE,
        };
        let fleet = Fleet::new(&topology, &[rollout], random);
        let (mut new, mut served) = (0, 0);
        for number in 0..1_000 {
            if let Some(instance) = fleet.route(1, at, f64::from(number) / 1_000.0) {
                assert_eq!(fleet.instances[instance].service, 1);
                served += 1;
                new += u32::from(fleet.instances[instance].version(at).1 == Version::New);
            }
        }
        (f64::from(new) / 1_000.0, f64::from(served) / 1_000.0)
    }

    #[test]
    fn every_strategy_ends_with_the_share_that_it_promises() {
        let late = START + 40.0 * MINUTE;
        for (strategy, share) in [
            (Strategy::Rolling, 1.0),
            (Strategy::Canary { share: 0.05 }, 0.05),
            (Strategy::BlueGreen, 1.0),
            (Strategy::Recreate, 1.0),
            (Strategy::InPlace, 1.0),
            (Strategy::RolledBack, 0.0),
        ] {
            assert_eq!(shares(strategy, START - 1.0), (0.0, 1.0), "{strategy:?}");
            let (new, served) = shares(strategy, late);
            assert!((new - share).abs() < 0.01 && served == 1.0, "{strategy:?}: {new}");
        }
        let (stuck, _) = shares(Strategy::NeverEnds, late);
        assert!((0.4..0.8).contains(&stuck));
    }

    #[test]
    fn waves_raise_the_share_and_nobody_serves_while_a_service_is_recreated() {
        let (first, _) = shares(Strategy::Rolling, START + 1.0);
        let (second, _) = shares(Strategy::Rolling, START + MINUTE + 1.0);
        assert!(0.0 < first && first < second && second < 1.0);
        assert_eq!(shares(Strategy::Recreate, START + 1.0).1, 0.0);
    }
}
