//! Which version served a span: what it bears, then the instances, then the windows of declared deployments, else
//! nobody knows. What is not known is never guessed.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Deployment, environments_agree};
use crate::{IpAddresses, Span};

/// What a span bears that tells its version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bearings<'a> {
    /// The value of the first version tag it has.
    pub version: Option<&'a str>,
    /// The value of the first environment tag it has.
    pub environment: Option<&'a str>,
    /// The addresses of who recorded it.
    pub ip: IpAddresses,
    /// The port of who recorded it, 0 where it is not known.
    pub port: u16,
    /// Epoch microseconds.
    pub timestamp: Option<u64>,
}

impl<'a> Bearings<'a> {
    /// Those of a span. A tag without a value tells nothing.
    pub fn of(span: &'a Span, version_tags: &[String], environment_tags: &[String]) -> Self {
        let first = |tags: &[String]| {
            let value = tags.iter().find_map(|tag| span.tag(tag));
            value.filter(|value| !value.is_empty())
        };
        let local = span.local_endpoint.as_ref();
        Self {
            version: first(version_tags),
            environment: first(environment_tags),
            ip: local.map_or_else(IpAddresses::default, |local| local.ip),
            port: local.map_or(0, |local| local.port),
            timestamp: span.timestamp,
        }
    }
}

/// The version that served a span, and what told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedBy<'a> {
    /// A tag of the span.
    Tag(&'a str),
    /// A declared instance.
    Instance(&'a str),
    /// The window of a declared deployment.
    Window(&'a str),
    /// Nothing tells.
    Unknown,
}

impl<'a> ServedBy<'a> {
    /// The version, where it is known.
    pub fn version(self) -> Option<&'a str> {
        match self {
            Self::Tag(version) | Self::Instance(version) | Self::Window(version) => Some(version),
            Self::Unknown => None,
        }
    }
}

/// The rule for the spans of one service, made from all its deployments once.
#[derive(Clone, Debug)]
pub struct ServingVersions<'a> {
    /// Declared ones by their start: spans without a version tag are told apart by these only.
    declared: Vec<&'a Deployment>,
    /// Of each address the switches that were declared there, by time.
    switches: HashMap<IpAddr, Vec<Switch<'a>>>,
}

/// An instance begins to serve a version.
#[derive(Clone, Copy, Debug)]
struct Switch<'a> {
    /// Epoch microseconds.
    timestamp: u64,
    port: Option<u16>,
    of: &'a Deployment,
}

impl<'a> ServingVersions<'a> {
    /// The rule of a service whose deployments, in any order, are these.
    pub fn of(deployments: impl IntoIterator<Item = &'a Deployment>) -> Self {
        let declared = deployments.into_iter().filter(|other| !other.is_inferred);
        let mut declared: Vec<&Deployment> = declared.collect();
        declared.sort_by(|a, b| (a.start_ts, &a.id).cmp(&(b.start_ts, &b.id)));
        let mut switches: HashMap<IpAddr, Vec<Switch<'_>>> = HashMap::new();
        for deployment in &declared {
            for instance in &deployment.instances {
                switches.entry(instance.ip).or_default().push(Switch {
                    timestamp: micros(instance.switch_ts),
                    port: instance.port,
                    of: deployment,
                });
            }
        }
        // Stable: of two switches at the same moment, that of the later deployment counts.
        for switches in switches.values_mut() {
            switches.sort_by_key(|switch| switch.timestamp);
        }
        Self { declared, switches }
    }

    /// The version that served a span of the service.
    pub fn served(&self, span: &Bearings<'a>) -> ServedBy<'a> {
        if let Some(version) = span.version {
            return ServedBy::Tag(version);
        }
        let Some(timestamp) = span.timestamp else {
            return ServedBy::Unknown;
        };
        if let Some(version) = self.by_instance(span, timestamp) {
            return ServedBy::Instance(version);
        }
        match self.by_window(span.environment, timestamp) {
            Some(version) => ServedBy::Window(version),
            None => ServedBy::Unknown,
        }
    }

    /// The version of the newest switch of the instance before the span. An instance that switches only later, in a
    /// deployment that had begun by then, still served what that deployment replaces.
    fn by_instance(&self, span: &Bearings<'_>, timestamp: u64) -> Option<&'a str> {
        let addresses = [span.ip.v4.map(IpAddr::V4), span.ip.v6.map(IpAddr::V6)];
        let at_address = addresses
            .into_iter()
            .flatten()
            .filter_map(|address| self.switches.get(&address))
            .flatten();
        let mut newest: Option<Switch<'a>> = None;
        let mut next: Option<Switch<'a>> = None;
        let mut ambiguous = false;
        for switch in at_address {
            let is_of_port = match switch.port {
                Some(port) => span.port == 0 || span.port == port,
                None => true,
            };
            if !is_of_port || !environments_agree(switch.of.environment.as_deref(), span.environment) {
                continue;
            }
            if switch.timestamp <= timestamp {
                // Without its port a span may be of either of two instances on one host.
                ambiguous |= newest.is_some_and(|other| {
                    span.port == 0 && other.port != switch.port && other.of.version != switch.of.version
                });
                if newest.is_none_or(|other| other.timestamp <= switch.timestamp) {
                    newest = Some(*switch);
                }
            } else if next.is_none_or(|other| switch.timestamp < other.timestamp) {
                next = Some(*switch);
            }
        }
        match (newest, next) {
            _ if ambiguous => None,
            (Some(newest), _) => Some(&newest.of.version),
            (None, Some(next)) if micros(next.of.start_ts) <= timestamp => {
                next.of.previous_version.as_deref()
            }
            _ => None,
        }
    }

    /// Before the first deployment what it replaces; then, of the newest that has begun, its version once it ended,
    /// or what it replaced once it was rolled back. In between both may have served.
    fn by_window(&self, environment: Option<&str>, timestamp: u64) -> Option<&'a str> {
        let agrees =
            |deployment: &&&'a Deployment| environments_agree(deployment.environment.as_deref(), environment);
        let has_begun = |deployment: &Deployment| micros(deployment.start_ts) <= timestamp;
        let begun = self.declared.partition_point(|deployment| has_begun(deployment));
        let Some(newest) = self.declared[..begun].iter().rev().find(agrees) else {
            let first = self.declared[begun..].iter().find(agrees)?;
            return first.previous_version.as_deref();
        };
        if newest.rolled_back_ts.is_some_and(|at| micros(at) <= timestamp) {
            return newest.previous_version.as_deref();
        }
        let has_ended = newest.end_ts.is_some_and(|end| micros(end) < timestamp);
        has_ended.then_some(newest.version.as_str())
    }
}

/// Of epoch milliseconds.
fn micros(millis: u64) -> u64 {
    millis.saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SwitchedInstance;
    use std::net::Ipv4Addr;

    /// 2.0 replaces 1.0 from 1000 ms to 2000 ms, 3.0 replaces 2.0 from 5000 ms to 6000 ms.
    fn two() -> [Deployment; 2] {
        let of = |id: &str, version: &str, previous: &str, start_ts, end_ts| Deployment {
            id: id.to_owned(),
            service_name: "cart".to_owned(),
            version: version.to_owned(),
            previous_version: Some(previous.to_owned()),
            start_ts,
            end_ts: Some(end_ts),
            ..Deployment::default()
        };
        [
            of("a", "2.0", "1.0", 1000, 2000),
            of("b", "3.0", "2.0", 5000, 6000),
        ]
    }

    fn at(millis: u64) -> Bearings<'static> {
        Bearings {
            timestamp: Some(millis * 1000),
            ..Bearings::default()
        }
    }

    fn from(last: u8, port: u16, millis: u64) -> Bearings<'static> {
        Bearings {
            ip: IpAddresses {
                v4: Some(address(last)),
                v6: None,
            },
            port,
            ..at(millis)
        }
    }

    fn address(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    fn instance(last: u8, port: Option<u16>, switch_ts: u64) -> SwitchedInstance {
        SwitchedInstance {
            switch_ts,
            ip: IpAddr::V4(address(last)),
            port,
        }
    }

    #[test]
    fn a_tag_tells_before_everything_else() {
        let mut deployments = two();
        deployments[0].instances = vec![instance(1, None, 1000)];
        let rule = ServingVersions::of(&deployments);
        let span = Bearings {
            version: Some("9.9"),
            ..from(1, 0, 3000)
        };
        assert_eq!(rule.served(&span), ServedBy::Tag("9.9"));
        let untimed = Bearings {
            timestamp: None,
            ..span
        };
        assert_eq!(rule.served(&untimed), ServedBy::Tag("9.9"));
    }

    #[test]
    fn windows_tell_but_not_in_a_rollout() {
        let mut deployments = two();
        deployments.reverse();
        let rule = ServingVersions::of(&deployments);
        for (millis, served) in [
            (999, ServedBy::Window("1.0")),
            (1000, ServedBy::Unknown),
            (2000, ServedBy::Unknown),
            (2001, ServedBy::Window("2.0")),
            (4999, ServedBy::Window("2.0")),
            (5500, ServedBy::Unknown),
            (6001, ServedBy::Window("3.0")),
        ] {
            assert_eq!(rule.served(&at(millis)), served, "{millis}");
        }
        assert_eq!(rule.served(&Bearings::default()), ServedBy::Unknown);
        assert_eq!(ServingVersions::of(&[]).served(&at(1)), ServedBy::Unknown);
    }

    #[test]
    fn one_that_never_ends_is_not_guessed_and_one_rolled_back_is_over() {
        let mut deployments = two();
        deployments[0].end_ts = None;
        deployments[1].rolled_back_ts = Some(7000);
        let rule = ServingVersions::of(&deployments);
        assert_eq!(rule.served(&at(4999)), ServedBy::Unknown);
        assert_eq!(rule.served(&at(6999)), ServedBy::Window("3.0"));
        assert_eq!(rule.served(&at(7000)), ServedBy::Window("2.0"));
    }

    #[test]
    fn the_newest_switch_of_an_instance_tells() {
        let mut deployments = two();
        deployments[0].instances = vec![instance(1, None, 1100), instance(2, Some(80), 1500)];
        deployments[1].instances = vec![instance(1, None, 5200)];
        let rule = ServingVersions::of(&deployments);
        for (span, served) in [
            (from(1, 0, 1099), ServedBy::Instance("1.0")),
            (from(1, 0, 1100), ServedBy::Instance("2.0")),
            (from(1, 8080, 5199), ServedBy::Instance("2.0")),
            (from(1, 0, 5200), ServedBy::Instance("3.0")),
            (from(2, 80, 1500), ServedBy::Instance("2.0")),
            (from(2, 0, 5500), ServedBy::Instance("2.0")),
            // Another port, another address, and before anything began.
            (from(2, 81, 1600), ServedBy::Unknown),
            (from(3, 80, 1600), ServedBy::Unknown),
            (from(1, 0, 999), ServedBy::Window("1.0")),
        ] {
            assert_eq!(rule.served(&span), served, "{span:?}");
        }
    }

    #[test]
    fn a_span_without_its_port_is_not_given_to_one_of_two_instances() {
        let mut deployments = two();
        deployments[0].instances = vec![instance(1, Some(80), 1100)];
        deployments[1].instances = vec![instance(1, Some(81), 5100)];
        let rule = ServingVersions::of(&deployments);
        assert_eq!(rule.served(&from(1, 80, 5500)), ServedBy::Instance("2.0"));
        assert_eq!(rule.served(&from(1, 81, 5500)), ServedBy::Instance("3.0"));
        assert_eq!(rule.served(&from(1, 0, 5500)), ServedBy::Unknown);
    }

    #[test]
    fn inferred_deployments_and_other_environments_tell_nothing() {
        let mut deployments = two();
        deployments[1].is_inferred = true;
        deployments[0].environment = Some("prod".to_owned());
        let rule = ServingVersions::of(&deployments);
        let of = |environment| Bearings {
            environment,
            ..at(6500)
        };
        assert_eq!(rule.served(&of(Some("prod"))), ServedBy::Window("2.0"));
        assert_eq!(rule.served(&of(None)), ServedBy::Window("2.0"));
        assert_eq!(rule.served(&of(Some("staging"))), ServedBy::Unknown);
    }
}
