//! Which versions spans of a service have borne, since when, and on which instances.
//!
//! The first version of a service in an environment is what was there when somebody began to look; every later one is
//! a deployment. Which is the first goes by the times of spans and not by their arrival, so that the same spans in
//! another order make the same deployments.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use foldhash::fast::RandomState;
use model::{IpAddresses, SpanBatch};

use super::DeploymentLimits;
use crate::StoreOptions;

/// How long after it last brought something new a version's spans are looked at one by one, milliseconds by the
/// server's clock: rollouts take minutes, and spans are late by minutes.
const FRESH_MS: u64 = 3_600_000;

/// What is known of a version of a service in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenVersion {
    /// When its first span began, epoch milliseconds.
    pub first_ts: u64,
    /// When something new was last seen of it, epoch milliseconds by the server's clock.
    pub changed_ms: u64,
    /// When the first span of each address and port began, epoch milliseconds; port 0 where spans bear none.
    pub instances: BTreeMap<(IpAddr, u16), u64>,
    /// Whoever deleted its deployment wants to see it no more.
    pub is_dismissed: bool,
}

/// What some spans of one version tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting<'a> {
    /// Lower case, not empty.
    pub service_name: &'a str,
    /// Empty where spans bear none.
    pub environment: &'a str,
    /// Not empty.
    pub version: &'a str,
    /// When the first of the spans began, epoch milliseconds.
    pub first_ts: u64,
    /// The same of each address and port.
    pub instances: BTreeMap<(IpAddr, u16), u64>,
}

/// What spans of a version are to the one who keeps versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing new can come of them.
    None,
    /// They may bring something new.
    Fresh,
}

/// Gathers what the spans of a batch tell of their versions.
#[derive(Debug, Default)]
pub struct Gathering<'b> {
    /// By service, environment and version; `None` where nothing new can come of them.
    numbers: HashMap<(&'b str, &'b str, &'b str), Option<usize>, RandomState>,
    sightings: Vec<Sighting<'b>>,
    /// The instance that was noted last, with the number and the time: the next span is often of the same.
    latest: Option<(usize, (IpAddr, u16), u64)>,
}

impl<'b> Gathering<'b> {
    /// What the spans of a batch tell, looked at one by one: of the tags that tell version and environment the first
    /// counts that a span bears. `interest` is asked for service, environment and version.
    pub fn of(
        batch: &'b SpanBatch,
        options: &StoreOptions,
        mut interest: impl FnMut(&str, &str, &str) -> Interest,
    ) -> Self {
        let mut gathering = Self::default();
        for span in batch.iter() {
            let first = |tags: &[String]| {
                let value = |tag: &String| span.tags().find(|borne| borne.0 == tag).map(|borne| borne.1);
                tags.iter().find_map(value)
            };
            let service = span.local_endpoint().and_then(|local| local.service_name);
            let (Some(service), Some(version)) = (service, first(&options.version_tags)) else {
                continue;
            };
            let environment = first(&options.environment_tags).unwrap_or_default();
            let number = gathering.number((service, environment, version), || {
                interest(service, environment, version)
            });
            if let Some(number) = number {
                let local = span.local_draft();
                gathering.add(number, span.timestamp(), (local.ip, local.port));
            }
        }
        gathering
    }

    /// The number of a version of a service in an environment, unless nothing new can come of its spans.
    pub fn number(
        &mut self,
        (service_name, environment, version): (&'b str, &'b str, &'b str),
        interest: impl FnOnce() -> Interest,
    ) -> Option<usize> {
        let sightings = &mut self.sightings;
        let numbers = self.numbers.entry((service_name, environment, version));
        *numbers.or_insert_with(|| {
            let is_fresh = !version.is_empty() && interest() == Interest::Fresh;
            is_fresh.then(|| {
                sightings.push(Sighting {
                    service_name,
                    environment,
                    version,
                    first_ts: u64::MAX,
                    instances: BTreeMap::new(),
                });
                sightings.len() - 1
            })
        })
    }

    /// Adds a span of a version with this number: when it began, microseconds since the epoch, and the addresses and the
    /// port of who recorded it. One without a timestamp tells nothing.
    pub fn add(&mut self, number: usize, timestamp: Option<u64>, (ip, port): (IpAddresses, u16)) {
        let Some(timestamp) = timestamp else { return };
        let first_ts = timestamp / 1000;
        let sighting = &mut self.sightings[number];
        sighting.first_ts = sighting.first_ts.min(first_ts);
        let address = ip.v4.map(IpAddr::V4).or(ip.v6.map(IpAddr::V6));
        let Some(instance) = address.map(|address| (address, port)) else {
            return;
        };
        if let Some((_, _, known)) = self
            .latest
            .filter(|latest| (latest.0, latest.1) == (number, instance))
            && known <= first_ts
        {
            return;
        }
        let known = sighting.instances.entry(instance).or_insert(first_ts);
        *known = (*known).min(first_ts);
        self.latest = Some((number, instance, *known));
    }

    /// What was gathered.
    pub fn sightings(&self) -> impl Iterator<Item = &Sighting<'b>> {
        let sightings = self.sightings.iter();
        sightings.filter(|sighting| sighting.first_ts != u64::MAX)
    }
}

/// The versions of one service, by environment (empty for none) and version.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenVersions {
    by_environment: HashMap<String, HashMap<String, SeenVersion, RandomState>, RandomState>,
    count: usize,
    /// When the hour began in which new ones are counted, and how many there were.
    hour: (u64, usize),
}

impl SeenVersions {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn interest(&self, environment: &str, version: &str, now_ms: u64) -> Interest {
        match self.get(environment, version) {
            Some(seen) if now_ms.saturating_sub(seen.changed_ms) > FRESH_MS => Interest::None,
            _ => Interest::Fresh,
        }
    }

    /// Whether anything of it would be new, or a version that is not known.
    pub(super) fn lacks(&self, sighting: &Sighting<'_>, limits: &DeploymentLimits) -> bool {
        self.get(sighting.environment, sighting.version)
            .is_none_or(|seen| seen.lacks(sighting, limits))
    }

    /// Takes what was seen, a version that is new only where there is room; tells what became of it.
    pub(super) fn sight(
        &mut self,
        sighting: &Sighting<'_>,
        now_ms: u64,
        limits: &DeploymentLimits,
        has_room: bool,
    ) -> Sighted {
        if let Some(seen) = self.get_mut(sighting.environment, sighting.version) {
            return match seen.join(sighting, now_ms, limits) {
                true => Sighted::New,
                false => Sighted::Known,
            };
        }
        if !has_room || !self.may_be_new(now_ms, limits) {
            return Sighted::LeftOut;
        }
        if self.count >= limits.service_versions_max {
            self.forget_oldest();
        }
        let mut seen = SeenVersion {
            first_ts: sighting.first_ts,
            changed_ms: now_ms,
            ..SeenVersion::default()
        };
        seen.join(sighting, now_ms, limits);
        self.restore(sighting.environment.to_owned(), sighting.version.to_owned(), seen);
        Sighted::New
    }

    fn may_be_new(&mut self, now_ms: u64, limits: &DeploymentLimits) -> bool {
        if now_ms.saturating_sub(self.hour.0) > FRESH_MS {
            self.hour = (now_ms, 0);
        }
        self.hour.1 += 1;
        self.hour.1 <= limits.new_versions_an_hour_max
    }

    fn forget_oldest(&mut self) {
        let oldest = self
            .iter()
            .min_by_key(|&(environment, version, seen)| (seen.changed_ms, environment, version));
        let Some((environment, version, _)) = oldest else {
            return;
        };
        let (environment, version) = (environment.to_owned(), version.to_owned());
        if let Some(versions) = self.by_environment.get_mut(&environment) {
            versions.remove(&version);
            self.count -= 1;
            if versions.is_empty() {
                self.by_environment.remove(&environment);
            }
        }
    }

    /// Puts what is known of a version in its place.
    pub(super) fn restore(&mut self, environment: String, version: String, seen: SeenVersion) {
        let versions = self.by_environment.entry(environment).or_default();
        self.count += usize::from(versions.insert(version, seen).is_none());
    }

    fn get(&self, environment: &str, version: &str) -> Option<&SeenVersion> {
        self.by_environment.get(environment)?.get(version)
    }

    pub(super) fn get_mut(&mut self, environment: &str, version: &str) -> Option<&mut SeenVersion> {
        self.by_environment.get_mut(environment)?.get_mut(version)
    }

    /// Environment, version, and what is known of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, &SeenVersion)> {
        let environments = self.by_environment.iter();
        environments.flat_map(|(environment, versions)| {
            let versions = versions.iter();
            versions.map(move |(version, seen)| (environment.as_str(), version.as_str(), seen))
        })
    }
}

/// What became of a sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighted {
    /// All of it was known.
    Known,
    /// Some of it was new, and is known now.
    New,
    /// The version is new, and there are too many.
    LeftOut,
}

impl SeenVersion {
    /// Whether anything would be new.
    fn lacks(&self, sighting: &Sighting<'_>, limits: &DeploymentLimits) -> bool {
        let has_room = self.instances.len() < limits.instances_max;
        let mut instances = sighting.instances.iter();
        sighting.first_ts < self.first_ts
            || instances.any(|(instance, first_ts)| match self.instances.get(instance) {
                Some(known) => first_ts < known,
                None => has_room,
            })
    }

    /// Tells whether anything was new.
    fn join(&mut self, sighting: &Sighting<'_>, now_ms: u64, limits: &DeploymentLimits) -> bool {
        if !self.lacks(sighting, limits) {
            return false;
        }
        self.changed_ms = now_ms;
        self.first_ts = self.first_ts.min(sighting.first_ts);
        for (instance, first_ts) in &sighting.instances {
            let has_room = self.instances.len() < limits.instances_max;
            match self.instances.get_mut(instance) {
                Some(known) => *known = (*known).min(*first_ts),
                None if has_room => {
                    self.instances.insert(*instance, *first_ts);
                }
                None => {}
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use model::{Endpoint, IpAddresses, Span, SpanBatch, SpanId, TraceId};

    use super::*;

    fn version(number: u64) -> (&'static str, &'static str, &'static str) {
        ("stock", "prod", ["1", "2"][number as usize])
    }

    /// Spans of instances by their last address byte, which began at these milliseconds.
    fn gather(spans: &[(u64, u8, u64)], check: impl FnOnce(&Gathering<'_>)) {
        let mut batch = SpanBatch::new();
        for (index, &(_, instance, millis)) in (1..).zip(spans) {
            let local = Endpoint {
                service_name: Some("stock".to_owned()),
                ip: IpAddresses {
                    v4: Some([10, 0, 0, instance].into()),
                    ..IpAddresses::default()
                },
                ..Endpoint::default()
            };
            batch.push_span(&Span {
                trace_id: TraceId::new(0, index).unwrap(),
                parent_id: None,
                id: SpanId::new(index),
                kind: None,
                name: None,
                timestamp: Some(millis * 1000 + 999),
                duration: None,
                local_endpoint: Some(local),
                remote_endpoint: None,
                annotations: Vec::new(),
                tags: Vec::new(),
                debug: false,
                shared: false,
            });
        }
        let mut gathering = Gathering::default();
        for (index, &(number, ..)) in spans.iter().enumerate() {
            let number = gathering.number(version(number), || Interest::Fresh).unwrap();
            let span = batch.get(index);
            let local = span.local_draft();
            gathering.add(number, span.timestamp(), (local.ip, local.port));
        }
        check(&gathering);
    }

    #[test]
    fn an_instance_is_there_since_the_first_of_its_spans_in_whatever_order_they_come() {
        let spans = [
            (0, 1, 70),
            (0, 1, 45),
            (0, 1, 60),
            (0, 2, 55),
            (1, 2, 40),
            (0, 2, 58),
            (0, 1, 50),
        ];
        gather(&spans, |gathering| {
            let found: Vec<_> = gathering
                .sightings()
                .map(|sighting| {
                    let since = sighting.instances.values().copied();
                    (sighting.version, sighting.first_ts, since.collect::<Vec<_>>())
                })
                .collect();
            assert_eq!(found, [("1", 45, vec![45, 55]), ("2", 40, vec![40])]);
        });
    }

    #[test]
    fn only_what_is_new_is_lacking() {
        let limits = DeploymentLimits {
            instances_max: 2,
            ..DeploymentLimits::default()
        };
        let mut seen = SeenVersion {
            first_ts: u64::MAX,
            ..SeenVersion::default()
        };
        let mut expect = |instance, millis, is_new| {
            gather(&[(0, instance, millis)], |gathering| {
                let sighting = gathering.sightings().next().unwrap();
                assert_eq!(seen.lacks(sighting, &limits), is_new, "{instance} at {millis}");
                assert_eq!(seen.join(sighting, 7, &limits), is_new, "{instance} at {millis}");
                assert!(!seen.lacks(sighting, &limits), "{instance} at {millis}, joined");
            });
        };
        expect(1, 50, true);
        expect(1, 50, false);
        expect(1, 60, false);
        expect(1, 40, true);
        expect(2, 70, true);
        expect(2, 60, true);
        // There is no room for a third one, but it may be the first.
        expect(3, 65, false);
        expect(3, 30, true);
        assert_eq!((seen.first_ts, seen.instances.len()), (30, 2));
    }
}
