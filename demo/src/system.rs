//! All instances of all services, and the load on them: started, switched to other versions, stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::directory::Directory;
use crate::error::Result;
use crate::fault::Release;
use crate::host::{Host, Hosting, Running};
use crate::instance::{Clock, Surroundings};
use crate::load;
use crate::reporter::Delivery;
use crate::topology::Service;

/// After an instance is replaced, who found it before may still ask it.
const DRAIN: Duration = Duration::from_millis(500);

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests of users that were answered, failures among them.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were made later than users would have: the machine was busy.
    pub late: u64,
    /// Those that were not made because too many were not answered yet.
    pub skipped: u64,
    /// Spans that the tracing server acknowledged.
    pub spans: u64,
    /// Spans that it did not.
    pub spans_lost: u64,
}

impl Traffic {
    /// Whether so many requests were late that times tell of the machine and not of the services.
    pub fn is_of_a_busy_machine(&self) -> bool {
        const SHARE_MAX: f64 = 0.05;
        self.late as f64 > SHARE_MAX * self.requests as f64
    }
}

/// Requests of users, counted.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) answered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) skipped: AtomicU64,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct System {
    surroundings: Surroundings,
    hosting: Hosting,
    running: Vec<Running>,
    draining: JoinSet<()>,
    load: JoinHandle<()>,
    requests: Arc<Requests>,
}

/// An instance as deployments name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switched {
    pub(crate) address: SocketAddr,
    pub(crate) at_ms: u64,
}

impl System {
    /// Starts every service in its first version, and the load.
    ///
    /// # Errors
    /// Where one cannot listen.
    pub(crate) async fn start(
        tracing_server: SocketAddr,
        seed: u64,
        requests_per_second: f64,
        host: Host,
    ) -> Result<Self> {
        let surroundings = Surroundings {
            directory: Arc::new(Directory::default()),
            delivery: Arc::new(Delivery::default()),
            tracing_server,
            clock: Clock::start(),
            seed,
        };
        let hosting = Hosting::new(host);
        let mut running = Vec::new();
        for service in Service::ALL {
            for _ in 0..service.instances() {
                let instance = hosting.start(service, Release::First, &surroundings).await?;
                surroundings.directory.add(service, instance.address());
                running.push(instance);
            }
        }
        for service in Service::ALL {
            announce(service, &mut running, &surroundings.directory).await;
        }
        let requests = Arc::new(Requests::default());
        let directory = Arc::clone(&surroundings.directory);
        let load = load::run(directory, Arc::clone(&requests), seed, requests_per_second);
        Ok(Self {
            surroundings,
            hosting,
            running,
            draining: JoinSet::new(),
            load: tokio::spawn(load),
            requests,
        })
    }

    /// Milliseconds since the epoch, by the clock of the spans.
    pub(crate) fn now_ms(&self) -> u64 {
        self.surroundings.clock.now_micros() / 1_000
    }

    /// Replaces one instance of a service by one of another version.
    ///
    /// # Errors
    /// Where that cannot listen.
    pub(crate) async fn switch(
        &mut self,
        service: Service,
        number: usize,
        release: Release,
    ) -> Result<Switched> {
        let new = self.hosting.start(service, release, &self.surroundings).await?;
        let address = new.address();
        let mut of_service = self
            .running
            .iter_mut()
            .filter(|instance| instance.service() == service);
        let at_ms = self.surroundings.clock.now_micros() / 1_000;
        match of_service.nth(number) {
            Some(place) => {
                let old = std::mem::replace(place, new);
                self.surroundings
                    .directory
                    .replace(service, old.address(), address);
                self.draining.spawn(async move {
                    sleep(DRAIN).await;
                    old.stop().await;
                });
            }
            None => {
                self.surroundings.directory.add(service, address);
                self.running.push(new);
            }
        }
        announce(service, &mut self.running, &self.surroundings.directory).await;
        Ok(Switched { address, at_ms })
    }

    /// # Errors
    /// Where an instance has ended by itself.
    pub(crate) fn expect_all(&self) -> Result<()> {
        self.hosting.expect_all()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let delivery = &self.surroundings.delivery;
        Traffic {
            requests: of(&self.requests.answered),
            failed: of(&self.requests.failed),
            late: of(&self.requests.late),
            skipped: of(&self.requests.skipped),
            spans: of(&delivery.sent),
            spans_lost: of(&delivery.lost),
        }
    }

    /// Ends the load, then the services, whose last spans are sent.
    pub(crate) async fn stop(mut self) -> Traffic {
        self.load.abort();
        // It ended because it was told to.
        drop((&mut self.load).await);
        let mut stopping = std::mem::take(&mut self.draining);
        for instance in self.running.drain(..) {
            stopping.spawn(instance.stop());
        }
        stopping.join_all().await;
        self.traffic()
    }
}

/// Lets all instances know where a service is.
async fn announce(service: Service, running: &mut [Running], directory: &Directory) {
    for instance in running {
        instance.learn(service, directory).await;
    }
}
