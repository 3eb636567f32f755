//! What a system is like on a quiet day: by it faults are made of a size.

use crate::workload::Random;

use super::rollout::MINUTE;
use super::simulation::{Request, Simulation, choose};

/// What was seen of a system before anything changed, by handler.
#[derive(Clone, Debug)]
pub(super) struct Means {
    /// Visits a request.
    pub(super) visits: Vec<f64>,
    /// Microseconds of own work, and from start to end.
    pub(super) own: Vec<f64>,
    pub(super) duration: Vec<f64>,
    /// From the caller's side.
    client: Vec<f64>,
    /// The entry operation whose requests visit it most.
    pub(super) main_entry: Vec<usize>,
}

/// Requests by which a system is got to know.
const PILOT_REQUESTS: u64 = 400;

impl Means {
    /// Lets some requests happen within the first minutes.
    pub(super) fn measure(simulation: &Simulation<'_>, random: &mut Random) -> Self {
        let (handlers, entries) = (
            simulation.topology.handlers.len(),
            simulation.topology.entries.len(),
        );
        let mut sums = vec![[0.0; 4]; handlers];
        let mut by_entry = vec![vec![0u32; entries]; handlers];
        let mut visits = Vec::new();
        for number in 0..PILOT_REQUESTS {
            let entry = choose(&simulation.topology.entries, random.unit());
            let at = 4.0 * MINUTE * random.unit();
            simulation.run(
                Request {
                    number: !number,
                    at,
                    entry,
                },
                None,
                &mut visits,
            );
            for visit in &visits {
                let seen = [
                    1.0,
                    visit.own,
                    visit.end - visit.start,
                    visit.client_end - visit.client_start,
                ];
                for (sum, seen) in sums[visit.handler].iter_mut().zip(seen) {
                    *sum += seen;
                }
                by_entry[visit.handler][entry] += 1;
            }
        }
        let mean = |of: usize| sums.iter().map(|sums| sums[of] / sums[0].max(1.0)).collect();
        let most = |counts: &Vec<u32>| (0..entries).max_by_key(|&entry| counts[entry]).unwrap_or(0);
        Self {
            visits: sums.iter().map(|sums| sums[0] / PILOT_REQUESTS as f64).collect(),
            own: mean(1),
            duration: mean(2),
            client: mean(3),
            main_entry: by_entry.iter().map(most).collect(),
        }
    }

    /// What a call to a handler takes, microseconds.
    pub(super) fn call(&self, callee: usize) -> f64 {
        self.client[callee].max(1.0)
    }
}
