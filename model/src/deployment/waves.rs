//! Waves: in what steps the instances of a deployment switched.

use super::SwitchedInstance;

/// Instances that switch with less than this between one and the next are of one wave: a minute is also what load and
/// latency are kept by.
pub const WAVE_GAP_MS: u64 = 60_000;

/// Instances that switched one soon after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// When the first of them switched, epoch milliseconds.
    pub start_ts: u64,
    /// When the last of them had.
    pub end_ts: u64,
    /// By time, then address; never empty.
    pub instances: Vec<SwitchedInstance>,
}

/// The waves of a rollout, in order.
pub fn waves(instances: &[SwitchedInstance]) -> Vec<Wave> {
    let mut sorted = instances.to_vec();
    sorted.sort_unstable();
    let is_near =
        |one: &SwitchedInstance, next: &SwitchedInstance| next.switch_ts - one.switch_ts < WAVE_GAP_MS;
    let waves = sorted.chunk_by(is_near).filter_map(|instances| {
        let (first, last) = (instances.first()?, instances.last()?);
        Some(Wave {
            start_ts: first.switch_ts,
            end_ts: last.switch_ts,
            instances: instances.to_vec(),
        })
    });
    waves.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn instance(last: u8, switch_ts: u64) -> SwitchedInstance {
        SwitchedInstance {
            switch_ts,
            ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
            port: None,
        }
    }

    #[test]
    fn a_pause_of_a_minute_begins_another_wave() {
        let instances = [
            instance(3, 200_000),
            instance(1, 100_000),
            instance(2, 159_999),
            instance(4, 260_000),
        ];
        let found = waves(&instances);
        let told: Vec<_> = found
            .iter()
            .map(|wave| (wave.start_ts, wave.end_ts, wave.instances.len()))
            .collect();
        assert_eq!(told, [(100_000, 200_000, 3), (260_000, 260_000, 1)]);
        assert_eq!(waves(&[]), []);
    }
}
