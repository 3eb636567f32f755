//! What happens to a request: which instances serve it and when, with the faults of their versions or without one.
//!
//! Every draw comes from the key of the visit it belongs to, so a request meets the same luck whatever else is
//! changed: run with a fault and without it, the difference is what the fault cost, and nothing else.

use crate::workload::{Random, mix};

use super::changes::{Changes, Luck, Times};
use super::environment::{Environment, Weather};
use super::fault::Fault;
use super::rollout::{Fleet, Version};
use super::topology::{Call, Reported, Topology};

/// A system over time, ready for requests.
#[derive(Debug)]
pub(super) struct Simulation<'a> {
    pub(super) topology: &'a Topology,
    pub(super) fleet: &'a Fleet,
    pub(super) environment: &'a Environment,
    weather: Weather,
    faults: &'a [Fault],
    /// Faults of each handler, by number.
    by_handler: Vec<Vec<usize>>,
    seed: u64,
}

/// What a user asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) number: u64,
    /// Microseconds after the scenario's begin.
    pub(super) at: f64,
    /// Which entry operation, by its place in the topology.
    pub(super) entry: usize,
}

/// A handler at work, and the call that made it work. Times are microseconds after the scenario's begin.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) handler: usize,
    /// `None` where nobody served the call.
    pub(super) instance: Option<usize>,
    /// With which that served, for services that are deployed.
    pub(super) version: Version,
    /// The visit that called; `None` of an entry.
    pub(super) caller: Option<usize>,
    pub(super) reported: Reported,
    pub(super) key: u64,
    pub(super) client_start: f64,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) client_end: f64,
    /// What a local span inside covers.
    pub(super) local: Option<(f64, f64)>,
    pub(super) own: f64,
    pub(super) is_error: bool,
    /// The caller did not take the answer, which only the caller knows.
    pub(super) is_given_up: bool,
}

/// A request on its way.
struct Run<'v> {
    visits: &'v mut Vec<Visit>,
    entry: usize,
    without: Option<usize>,
}

/// A call to be made.
#[derive(Clone, Copy)]
struct Made<'c> {
    handler: usize,
    caller: Option<usize>,
    at: f64,
    key: u64,
    call: Option<&'c Call>,
    /// Before it leaves, and more work for the callee, microseconds.
    delay: f64,
    heavier: f64,
    must_fail: bool,
}

/// When the caller can go on, and whether it got what it wanted.
struct Served {
    end: f64,
    is_error: bool,
}

/// A caller fails in this share of the requests in which a call of it fails.
const INHERITED: f64 = 0.8;
/// Between calls that are made at once, and what an attempt at nobody takes, microseconds.
const STAGGER: f64 = 60.0;
const REFUSED: f64 = 900.0;
/// A message is handed over in this time.
const HAND_OVER: f64 = 250.0;
/// What fails at once does this share of the work.
const FAST_FAILURE: f64 = 0.05;
/// Keys of steps that only a fault makes, and of draws beside those of the callee.
const NEW_STEP: u64 = 0xff;
const PRESENCE: u64 = 0x5851_f42d_4c95_7f2d;

impl<'a> Simulation<'a> {
    pub(super) fn new(
        topology: &'a Topology,
        fleet: &'a Fleet,
        environment: &'a Environment,
        faults: &'a [Fault],
        seed: u64,
    ) -> Self {
        let mut by_handler = vec![Vec::new(); topology.handlers.len()];
        for (number, fault) in faults.iter().enumerate() {
            by_handler[fault.handler].push(number);
        }
        Self {
            topology,
            fleet,
            environment,
            weather: Weather::new(topology, fleet, environment, &mut Random::new(mix(seed ^ 1))),
            faults,
            by_handler,
            seed: mix(seed),
        }
    }

    /// Lets a request happen, without one of the faults where that is said. Visits are in the order of their begin
    /// in the program, the entry first; answers the entry's duration.
    pub(super) fn run(&self, request: Request, without: Option<usize>, visits: &mut Vec<Visit>) -> f64 {
        visits.clear();
        let (handler, _) = self.topology.entries[request.entry];
        let mut run = Run {
            visits,
            entry: request.entry,
            without,
        };
        self.visit(
            &mut run,
            Made {
                handler,
                caller: None,
                at: request.at,
                key: mix(self.seed ^ request.number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                call: None,
                delay: 0.0,
                heavier: 0.0,
                must_fail: false,
            },
        );
        visits[0].end - visits[0].start
    }

    fn visit(&self, run: &mut Run<'_>, made: Made<'_>) -> Served {
        let handler = &self.topology.handlers[made.handler];
        let random = &mut Random::new(made.key);
        let pick = random.unit();
        let mut way = || made.call.map_or(0.0, |call| call.way.draw(random));
        let (out, back) = (way(), way());
        let left = made.at + made.delay;
        let reported = made.call.map_or(Reported::Separate, |call| call.reported);
        let number = run.visits.len();
        let Some(instance) = self.fleet.route(handler.service, left, pick) else {
            let end = left + REFUSED;
            run.visits.push(Visit {
                instance: None,
                is_error: true,
                ..Visit::new(&made, reported, left, end)
            });
            return Served { end, is_error: true };
        };
        let (_, version) = self.fleet.instances[instance].version(left);
        let changes = Changes {
            faults: self.faults,
            without: run.without,
            entry: run.entry,
            numbers: if version == Version::New {
                &self.by_handler[made.handler]
            } else {
                &[]
            },
        };
        let start = left + out + self.wait(handler.service, left, random) + changes.gap(random);
        let mut own = self.work(made.handler, instance, start, random);
        let local = own * handler.local_share / (handler.steps.len() + 1) as f64;
        let luck = Luck::draw(random);
        let faulty = changes.outcome(luck);
        own = own * faulty.factor + faulty.micros + made.heavier;
        run.visits.push(Visit {
            instance: Some(instance),
            version,
            ..Visit::new(&made, reported, start, start)
        });
        let mut is_error = luck.error < handler.error_rate || faulty.fails;
        let end = if faulty.is_fast {
            own *= FAST_FAILURE;
            start + own
        } else {
            let (end, is_child_error) = self.work_through(run, &made, &changes, luck, start, own);
            is_error |= is_child_error && luck.inherit < INHERITED;
            end
        };
        let client_end = if reported == Reported::Message {
            left + HAND_OVER
        } else {
            end + back
        };
        let visit = &mut run.visits[number];
        visit.own = own;
        visit.end = end;
        visit.client_end = client_end;
        visit.is_error = is_error;
        visit.is_given_up = made.must_fail;
        visit.local = (local > 0.0 && !faulty.is_fast).then_some((end - local, end));
        Served {
            end: client_end,
            is_error,
        }
    }

    /// The steps of a handler, with stretches of its own work between them; answers its end, and whether a call
    /// failed.
    fn work_through(
        &self,
        run: &mut Run<'_>,
        made: &Made<'_>,
        changes: &Changes<'_>,
        luck: Luck,
        start: f64,
        own: f64,
    ) -> (f64, bool) {
        let handler = &self.topology.handlers[made.handler];
        let caller = run.visits.len() - 1;
        let new_calls = changes.new_calls(luck);
        let stretch = own / (handler.steps.len() + 1) as f64;
        let mut now = start + stretch;
        let mut is_error = false;
        for (number, step) in handler.steps.iter().enumerate() {
            let is_parallel = step.is_parallel && !changes.is_serialized(number, luck);
            let mut end = now;
            for (place, call) in step.calls.iter().enumerate() {
                let key = mix(made.key ^ ((number as u64) << 24 | (place as u64) << 16 | 1 << 32));
                if Random::new(key ^ PRESENCE).unit() >= call.probability {
                    continue;
                }
                let begin = if is_parallel {
                    now + STAGGER * place as f64
                } else {
                    end
                };
                let times = changes.times(number, place, luck);
                let served = self.call(run, call, changes, (number, place), (caller, key, begin), times);
                end = end.max(served.end);
                is_error |= served.is_error;
            }
            now = end + stretch;
        }
        if let Some((call, times)) = new_calls {
            let key = mix(made.key ^ (NEW_STEP << 24 | 1 << 32));
            let times = Times {
                calls: times,
                is_retried: false,
            };
            let served = self.call(run, call, changes, (usize::MAX, 0), (caller, key, now), times);
            now = served.end;
            is_error |= served.is_error;
        }
        (now, is_error)
    }

    /// A call as often as it is made, one after the other.
    fn call(
        &self,
        run: &mut Run<'_>,
        call: &Call,
        changes: &Changes<'_>,
        place: (usize, usize),
        (caller, key, begin): (usize, u64, f64),
        times: Times,
    ) -> Served {
        let mut served = Served {
            end: begin,
            is_error: false,
        };
        let attempts = times.calls + usize::from(times.is_retried);
        for attempt in 0..attempts {
            let must_fail = times.is_retried && attempt == 0;
            let key = mix(key.wrapping_add(attempt as u64));
            let made = Made {
                handler: call.callee,
                caller: Some(caller),
                at: served.end,
                key,
                call: Some(call),
                delay: changes.delay(&mut Random::new(key ^ PRESENCE)),
                heavier: changes.heavier(place),
                must_fail,
            };
            let answered = self.visit(run, made);
            served.end = answered.end;
            served.is_error |= answered.is_error && !must_fail;
        }
        served
    }

    /// What a request waits for before it is served.
    fn wait(&self, service: usize, at: f64, random: &mut Random) -> f64 {
        let queue = self.weather.queue(service, self.environment.minute(at));
        let (pick, length) = (random.unit(), random.exponential(1.0));
        if pick < queue.wait_probability {
            queue.wait_mean * length * SERVICE_MICROS
        } else {
            0.0
        }
    }

    /// Own work of a visit, but for faults.
    fn work(&self, handler: usize, number: usize, at: f64, random: &mut Random) -> f64 {
        let found = &self.topology.handlers[handler];
        let weather = self
            .weather
            .work_factor(found.service, number, self.environment.minute(at));
        let instance = &self.fleet.instances[number];
        found.own.draw(random) * weather * self.environment.factor(handler, number, instance, at)
    }
}

/// What holds a worker, on average: queues are short of workers, not of processors.
const SERVICE_MICROS: f64 = 12_000.0;

impl Visit {
    fn new(made: &Made<'_>, reported: Reported, start: f64, end: f64) -> Self {
        Self {
            handler: made.handler,
            instance: None,
            version: Version::Old,
            caller: made.caller,
            reported,
            key: made.key,
            client_start: made.at,
            start,
            end,
            client_end: end,
            local: None,
            own: 0.0,
            is_error: false,
            is_given_up: false,
        }
    }
}

/// One of several, by their weights; `pick` is from 0 to 1.
pub(super) fn choose(entries: &[(usize, f64)], pick: f64) -> usize {
    let total: f64 = entries.iter().map(|(_, weight)| weight).sum();
    let mut left = pick * total;
    for (number, (_, weight)) in entries.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return number;
        }
    }
    entries.len() - 1
}
