//! The demo from its first request to its last: everything as it was, then instances switched one by one while users go
//! on asking, then what the tracing server says of it; and back, if that is wanted.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::error::Result;
use crate::fault::{Fault, Planned, Release};
use crate::host::Host;
use crate::system::{System, Traffic};
use crate::tracing_server::{Report, TracingServer};
use crate::truth::{Judged, Outcome};

/// What a demo is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// What is injected.
    pub fault: Fault,
    /// The same seed gives the same requests and the same work.
    pub seed: u64,
    /// Of users, above zero.
    pub requests_per_second: f64,
    /// How long everything takes.
    pub script: Script,
}

/// How long the parts of a demo take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    /// Before the rollout.
    pub baseline: Duration,
    /// From one instance to the next.
    pub wave: Duration,
    /// Between two looks at a rollout that goes on; `None` where nobody wants to know.
    pub look: Option<Duration>,
    /// After the rollout, until reports are asked for.
    pub settle: Duration,
    /// How long reports may say that they wait for more.
    pub patience: Duration,
    /// After a rollback, until what became of it is asked for.
    pub recovery: Duration,
}

impl Script {
    /// For who watches.
    pub const WATCHED: Self = Self {
        baseline: Duration::from_secs(15),
        wave: Duration::from_secs(5),
        look: Some(Duration::from_secs(1)),
        settle: Duration::from_secs(4),
        patience: Duration::from_secs(20),
        recovery: Duration::from_secs(12),
    };

    /// For a check that nobody watches.
    pub const CHECKED: Self = Self {
        // A moment in which the machine has something else to do must not be a fifth of it.
        baseline: Duration::from_secs(8),
        wave: Duration::from_secs(4),
        look: None,
        settle: Duration::from_secs(3),
        patience: Duration::from_secs(20),
        recovery: Duration::from_secs(8),
    };
}

/// Something to tell of.
#[derive(Debug)]
pub enum Event<'a> {
    /// One more instance serves the version.
    Switched {
        /// Whose.
        service: &'static str,
        /// Which.
        version: &'static str,
        /// Instances that serve it.
        switched: usize,
        /// All instances.
        of: usize,
    },
    /// What is known of a rollout that goes on, whenever it says something else.
    Provisional {
        /// Whose rollout.
        service: &'static str,
        /// Of what.
        version: &'static str,
        /// What is known.
        report: &'a Report,
    },
}

/// What became of a rollback.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Whose.
    pub service: &'static str,
    /// Back to what.
    pub version: &'static str,
    /// The version before held against the one that was taken back.
    pub report: Report,
}

/// A demo that goes on.
#[derive(Debug)]
pub struct Demo {
    options: Options,
    system: System,
    tracing_server: TracingServer,
    started: Instant,
}

/// A deployment that has begun.
struct Rollout {
    planned: Planned,
    id: String,
    switched: usize,
}

/// An instance that is to be switched.
struct Step {
    at: Instant,
    planned: Planned,
    number: usize,
}

/// Between two looks at one that is over.
const LAST_LOOKS: Duration = Duration::from_millis(500);

impl Demo {
    /// Starts the services in their first versions, and the load on them. Spans and deployments go to `tracing_server`.
    ///
    /// # Errors
    /// Where a service cannot listen, or its process cannot be run.
    pub async fn start(options: Options, host: Host, tracing_server: SocketAddr) -> Result<Self> {
        let rate = options.requests_per_second;
        let system = System::start(tracing_server, options.seed, rate, host).await?;
        Ok(Self {
            options,
            system,
            tracing_server: TracingServer::new(tracing_server),
            started: Instant::now(),
        })
    }

    /// What has happened so far.
    pub fn traffic(&self) -> Traffic {
        self.system.traffic()
    }

    /// Ends everything; the last spans are sent.
    pub async fn stop(self) -> Traffic {
        self.system.stop().await
    }

    /// Switches the instances of all deployments, and waits for what is said of them.
    ///
    /// # Errors
    /// Where the tracing server does not answer, or refuses what it is told, or an instance ends by itself.
    pub async fn roll_out(&mut self, mut tell: impl FnMut(Event<'_>)) -> Result<Outcome> {
        let planned = self.options.fault.deployments();
        let watched = planned.first().copied();
        let mut rollouts: Vec<Rollout> = Vec::new();
        let mut told = None;
        for step in self.steps(&planned) {
            let is_watched = |rollout: &&Rollout| Some(rollout.planned) == watched;
            self.wait(step.at, rollouts.iter().find(is_watched), &mut told, &mut tell)
                .await?;
            self.take(&step, &mut rollouts, &mut tell).await?;
        }
        let settled = Instant::now() + self.options.script.settle;
        sleep_until(settled).await;
        let deadline = settled + self.options.script.patience;
        self.system.expect_all()?;
        rollouts.sort_by_key(|rollout| planned.iter().position(|planned| *planned == rollout.planned));
        let mut judged = Vec::new();
        for rollout in &rollouts {
            // The others are only not to be blamed, and had as much time.
            let until = if judged.is_empty() { deadline } else { settled };
            judged.push(self.judged(rollout, until).await?);
        }
        Ok(Outcome::of(self.options.fault, judged))
    }

    /// Takes back every deployment that the decision about is to roll it back, and waits for what that does.
    ///
    /// # Errors
    /// Where the tracing server does not answer, or refuses what it is told.
    pub async fn roll_back(&mut self, outcome: &Outcome) -> Result<Vec<Recovery>> {
        let is_taken_back = |judged: &&Judged| judged.report.decision == "rollback";
        let planned = self.options.fault.deployments();
        let mut taken_back = Vec::new();
        for judged in outcome.judged.iter().filter(is_taken_back) {
            let is_its = |planned: &&Planned| {
                (planned.service.name(), planned.version) == (judged.service, judged.version)
            };
            let Some(planned) = planned.iter().find(is_its) else {
                continue;
            };
            let service = planned.service;
            self.tracing_server
                .roll_back(&judged.id, self.system.now_ms())
                .await?;
            for number in 0..service.instances() {
                self.system.switch(service, number, Release::First).await?;
            }
            taken_back.push((planned.to_owned(), self.system.now_ms()));
        }
        let length = self.options.script.recovery;
        sleep(length).await;
        let length_ms = length.as_millis() as u64;
        let mut recoveries = Vec::new();
        for (Planned { service, version, .. }, at_ms) in taken_back {
            let sides = [
                (version, at_ms, length_ms),
                (service.version(), self.system.now_ms(), length_ms),
            ];
            recoveries.push(Recovery {
                service: service.name(),
                version: service.version(),
                report: self.tracing_server.compare(service.name(), sides).await?,
            });
        }
        Ok(recoveries)
    }

    /// All instances of all deployments in the order of time.
    fn steps(&self, planned: &[Planned]) -> Vec<Step> {
        let Script { baseline, wave, .. } = self.options.script;
        let of_deployment = |planned: &Planned| {
            let planned = *planned;
            (0..planned.service.instances()).map(move |number| (planned, number))
        };
        let mut steps: Vec<Step> = planned
            .iter()
            .flat_map(of_deployment)
            .map(|(planned, number)| {
                let waves = planned.first_wave + number as f64 * planned.waves_between;
                Step {
                    at: self.started + baseline + wave.mul_f64(waves),
                    planned,
                    number,
                }
            })
            .collect();
        steps.sort_by_key(|step| step.at);
        steps
    }

    /// Looks at a rollout from time to time while it goes on, and tells whenever it says something else.
    async fn wait(
        &self,
        until: Instant,
        rollout: Option<&Rollout>,
        told: &mut Option<(String, String)>,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<()> {
        let watched = rollout.zip(self.options.script.look);
        while let Some((rollout, look)) = watched.filter(|(_, look)| Instant::now() + *look < until) {
            sleep(look).await;
            // Instances are switched when it is their time, whatever is known by then.
            let report = match timeout_at(until, self.tracing_server.report(&rollout.id)).await {
                Ok(Ok(report)) => report,
                Ok(Err(error)) if error.is_of_a_busy_server() => continue,
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            };
            let said = Some((report.verdict.clone(), report.decision.clone()));
            if *told != said {
                *told = said;
                tell(Event::Provisional {
                    service: rollout.planned.service.name(),
                    version: rollout.planned.version,
                    report: &report,
                });
            }
        }
        sleep_until(until).await;
        Ok(())
    }

    /// Switches an instance, and tells the server as a pipeline does.
    async fn take(
        &mut self,
        step: &Step,
        rollouts: &mut Vec<Rollout>,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<()> {
        let Planned { service, version, .. } = step.planned;
        if step.number == 0 {
            let began_ms = self.system.now_ms();
            let id = self
                .tracing_server
                .declare(service.name(), version, began_ms)
                .await?;
            rollouts.push(Rollout {
                planned: step.planned,
                id,
                switched: 0,
            });
        }
        let release = Release::With(self.options.fault);
        let switched = self.system.switch(service, step.number, release).await?;
        let Some(rollout) = rollouts
            .iter_mut()
            .find(|rollout| rollout.planned == step.planned)
        else {
            return Ok(());
        };
        rollout.switched += 1;
        self.tracing_server.add_instance(&rollout.id, switched).await?;
        tell(Event::Switched {
            service: service.name(),
            version,
            switched: rollout.switched,
            of: service.instances(),
        });
        if rollout.switched == service.instances() {
            self.tracing_server.end(&rollout.id, self.system.now_ms()).await?;
        }
        Ok(())
    }

    /// What is said of a deployment once nothing more is waited for.
    async fn judged(&self, rollout: &Rollout, deadline: Instant) -> Result<Judged> {
        loop {
            let report = match self.tracing_server.report(&rollout.id).await {
                Err(error) if error.is_of_a_busy_server() && Instant::now() < deadline => {
                    sleep(LAST_LOOKS).await;
                    continue;
                }
                answered => answered?,
            };
            let is_waiting = report.decision == "wait" || report.verdict == "insufficient_data";
            if !is_waiting || Instant::now() >= deadline {
                return Ok(Judged {
                    id: rollout.id.clone(),
                    service: rollout.planned.service.name(),
                    version: rollout.planned.version,
                    report,
                });
            }
            sleep(LAST_LOOKS).await;
        }
    }
}
