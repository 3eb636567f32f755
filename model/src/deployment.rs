//! Deployments: one version of one service going live, what other deployments make of it, and which version served a
//! span.
//!
//! A deployment is declared by a pipeline or a person, or inferred from spans that bear a version nobody has seen
//! before. `version.rs` says which version served a span, `waves.rs` in what steps instances switched.

mod version;
mod waves;

pub use version::{Bearings, ServedBy, ServingVersions};
pub use waves::{WAVE_GAP_MS, Wave, waves};

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One version of one service going live. Times are epoch milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// Never changes, and is of this deployment alone.
    pub id: String,
    /// Lower case, not empty.
    pub service_name: String,
    /// What goes live; not empty.
    pub version: String,
    /// What it replaces, as it was declared or as what was there before tells; `None` where nothing tells.
    pub previous_version: Option<String>,
    /// Where it goes live; `None` where that was not told, which agrees with every environment.
    pub environment: Option<String>,
    /// Only for people.
    pub strategy: Option<Strategy>,
    /// When the first instance began to switch; of an inferred one, when its first span began.
    pub start_ts: u64,
    /// When the last instance had switched; `None` while it goes on. Never before `start_ts`.
    pub end_ts: Option<u64>,
    /// When it was taken back.
    pub rolled_back_ts: Option<u64>,
    /// Instances that switched, by their time, then their address.
    pub instances: Vec<SwitchedInstance>,
    /// Only for people.
    pub metadata: BTreeMap<String, String>,
    /// Nobody declared it: spans told.
    pub is_inferred: bool,
    /// The version was live before another that it replaces.
    pub is_rollback: bool,
    /// The identifier of the next deployment of the service in an environment that agrees.
    pub superseded_by: Option<String>,
}

/// An instance that switched to the version of its deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwitchedInstance {
    /// From when on it served the version, epoch milliseconds.
    pub switch_ts: u64,
    /// Its address.
    pub ip: IpAddr,
    /// `None` stands for all ports of the address.
    pub port: Option<u16>,
}

/// How instances are replaced. The analysis never needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// One after the other.
    Rolling,
    /// A few first, the others when those are well.
    Canary,
    /// All at once, beside the old ones.
    BlueGreen,
    /// The old ones stop before the new ones start.
    Recreate,
}

impl Strategy {
    /// All of them, by name.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("rolling", Self::Rolling),
        ("canary", Self::Canary),
        ("blue_green", Self::BlueGreen),
        ("recreate", Self::Recreate),
    ];

    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::Canary => "canary",
            Self::BlueGreen => "blue_green",
            Self::Recreate => "recreate",
        }
    }
}

/// A word that names no strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStrategy;

impl fmt::Display for UnknownStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Strategy::NAMES.map(|(name, _)| name).join(", ");
        write!(f, "is none of {names}")
    }
}

impl std::error::Error for UnknownStrategy {}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        let named = Self::NAMES.iter().find(|(name, _)| *name == text);
        named.map(|named| named.1).ok_or(UnknownStrategy)
    }
}

/// Whether two things may be in the same environment: unless both tell theirs, and they differ.
pub fn environments_agree(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_read_as_they_are_written() {
        for (name, strategy) in Strategy::NAMES {
            assert_eq!(strategy.name(), name);
            assert_eq!(name.parse(), Ok(strategy));
        }
        assert_eq!("Rolling".parse::<Strategy>(), Err(UnknownStrategy));
    }

    #[test]
    fn environments_disagree_only_where_both_are_told() {
        assert!(environments_agree(None, Some("prod")));
        assert!(environments_agree(Some("prod"), Some("prod")));
        assert!(!environments_agree(Some("prod"), Some("staging")));
    }
}
