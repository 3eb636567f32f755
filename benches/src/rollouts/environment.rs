//! What happens beside a rollout: load, weather, hosts, clocks, and spans that get lost or come late. None of it is
//! a deployment's fault.

use crate::workload::Random;

use super::latency::Queue;
use super::rollout::{Fleet, Instance, MINUTE};
use super::topology::Topology;

/// Everything that changes what requests take without a new version being the reason. The default is a quiet day.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    /// Arrivals of each minute, as a multiple of the usual.
    pub(super) load: Vec<f64>,
    /// From a moment on, entry operations are asked for by these weights.
    pub(super) mix: Option<(f64, Vec<f64>)>,
    /// Handlers that take longer from a moment on, for everybody, and how many times as long.
    pub(super) degraded: Vec<(usize, f64, f64)>,
    /// How much slower everything is at the end than at the begin.
    pub(super) drift: f64,
    /// An instance that takes so many times as long.
    pub(super) bad_host: Option<(usize, f64)>,
    /// Instances that took a new version are so many times slower at first, and that decays in so many microseconds.
    pub(super) cold_start: Option<Decay>,
    /// The same, for a cache that a whole service shares.
    pub(super) cache_flush: Option<Decay>,
    /// How far clocks of instances are off, microseconds: the standard deviation.
    pub(super) clock_skew: f64,
    /// Share of spans that nobody ever sees.
    pub(super) lost: f64,
    /// Share of spans that come up to so many microseconds late.
    pub(super) late: (f64, f64),
    /// How much a minute on an instance differs from another: the standard deviation of the log.
    pub(super) weather: f64,
}

/// A slowdown that goes away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decay {
    pub(super) service: usize,
    /// Since when; of cold starts, when each instance began.
    pub(super) from: f64,
    /// How many times as long things take at first, less 1.
    pub(super) extra: f64,
    pub(super) micros: f64,
}

impl Decay {
    fn factor(&self, since: f64) -> f64 {
        if since < 0.0 {
            1.0
        } else {
            1.0 + self.extra * (-since / self.micros).exp()
        }
    }
}

impl Environment {
    /// So many minutes of a quiet day.
    pub(super) fn quiet(minutes: usize) -> Self {
        Self {
            load: vec![1.0; minutes],
            mix: None,
            degraded: Vec::new(),
            drift: 0.0,
            bad_host: None,
            cold_start: None,
            cache_flush: None,
            clock_skew: 0.0,
            lost: 0.0,
            late: (0.0, 0.0),
            weather: 0.04,
        }
    }

    pub(super) fn minutes(&self) -> usize {
        self.load.len()
    }

    pub(super) fn minute(&self, at: f64) -> usize {
        ((at / MINUTE).max(0.0) as usize).min(self.load.len() - 1)
    }

    /// How many times as long a handler takes at a moment on an instance, but for the weather.
    pub(super) fn factor(&self, handler: usize, number: usize, instance: &Instance, at: f64) -> f64 {
        let mut factor = 1.0 + self.drift * at / (self.minutes() as f64 * MINUTE);
        for &(degraded, from, times) in &self.degraded {
            if degraded == handler && at >= from {
                factor *= times;
            }
        }
        if let Some((bad, times)) = self.bad_host
            && bad == number
        {
            factor *= times;
        }
        if let Some(cold) = self.cold_start
            && cold.service == instance.service
        {
            let (began, _) = instance.version(at);
            // Those that were there before anything began are warm.
            if began > 0.0 {
                factor *= cold.factor(at - began);
            }
        }
        if let Some(flush) = self.cache_flush
            && flush.service == instance.service
        {
            factor *= flush.factor(at - flush.from);
        }
        factor
    }
}

/// The weather of every minute: what is drawn once and holds for all requests of it.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    minutes: usize,
    /// By instance, then minute.
    instance_factors: Vec<f64>,
    /// By service, then minute.
    queues: Vec<Queue>,
    busy_factors: Vec<f64>,
}

/// How much of a minute's weather is the weather of the minute before.
const PERSISTENCE: f64 = 0.6;
/// What a fully used processor adds to everything's own time, by the square of its use.
const CONTENTION: f64 = 0.6;

impl Weather {
    pub(super) fn new(
        topology: &Topology,
        fleet: &Fleet,
        environment: &Environment,
        random: &mut Random,
    ) -> Self {
        let minutes = environment.minutes();
        let mut instance_factors = Vec::with_capacity(fleet.instances.len() * minutes);
        for _ in &fleet.instances {
            let mut state = random.normal();
            for _ in 0..minutes {
                instance_factors.push((environment.weather * state).exp());
                // Of the same variance in every minute.
                state = PERSISTENCE * state + (1.0 - PERSISTENCE * PERSISTENCE).sqrt() * random.normal();
            }
        }
        let loads = || {
            let services = topology.services.iter();
            services.flat_map(|service| {
                environment
                    .load
                    .iter()
                    .map(move |load| (service, service.utilisation * load))
            })
        };
        Self {
            minutes,
            instance_factors,
            queues: loads()
                .map(|(service, used)| Queue::new(service.workers, used))
                .collect(),
            busy_factors: loads()
                .map(|(_, used)| 1.0 + CONTENTION * used.min(1.0).powi(2))
                .collect(),
        }
    }

    /// How many times as long work takes on an instance in a minute.
    pub(super) fn work_factor(&self, service: usize, instance: usize, minute: usize) -> f64 {
        self.instance_factors[instance * self.minutes + minute]
            * self.busy_factors[service * self.minutes + minute]
    }

    /// What requests of a service wait for in a minute.
    pub(super) fn queue(&self, service: usize, minute: usize) -> Queue {
        self.queues[service * self.minutes + minute]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decay_is_whole_at_first_and_gone_later() {
        let decay = Decay {
            service: 0,
            from: 0.0,
            extra: 2.0,
            micros: MINUTE,
        };
        assert_eq!(decay.factor(-1.0), 1.0);
        assert_eq!(decay.factor(0.0), 3.0);
        assert!(decay.factor(10.0 * MINUTE) < 1.001);
    }
}
