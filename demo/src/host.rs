//! Where instances run: as tasks of this process, or each in a process of its own.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::fault::Release;
use crate::instance::{self, Surroundings};
use crate::process::{Moved, Process, Program};
use crate::topology::Service;

/// See the head of this file.
#[derive(Clone, Debug)]
pub enum Host {
    /// All in this process, which costs least.
    Tasks,
    /// Each runs this.
    Processes(Program),
}

/// Starts instances, and knows whether one has ended by itself.
#[derive(Debug)]
pub(crate) struct Hosting {
    host: Host,
    ended: Arc<OnceLock<Service>>,
}

/// An instance that serves. It goes on until it is stopped.
#[derive(Debug)]
pub(crate) enum Running {
    Task(instance::Running),
    Process(Box<Process>),
}

impl Hosting {
    pub(crate) fn new(host: Host) -> Self {
        Self {
            host,
            ended: Arc::default(),
        }
    }

    /// # Errors
    /// Where it cannot listen.
    pub(crate) async fn start(
        &self,
        service: Service,
        release: Release,
        surroundings: &Surroundings,
    ) -> Result<Running> {
        match &self.host {
            Host::Tasks => {
                let (version, operations) = (release.version(service), release.operations(service));
                let running = instance::start(service, version, operations, surroundings);
                Ok(Running::Task(running.await?))
            }
            Host::Processes(program) => {
                let process = Process::start(program, service, release, surroundings, &self.ended);
                Ok(Running::Process(Box::new(process.await?)))
            }
        }
    }

    /// # Errors
    /// Names the first instance that has ended before it was to: what users saw since was not what was injected.
    pub(crate) fn expect_all(&self) -> Result<()> {
        match self.ended.get() {
            Some(service) => Err(Error::Ended {
                service: service.name(),
            }),
            None => Ok(()),
        }
    }
}

impl Running {
    pub(crate) fn service(&self) -> Service {
        match self {
            Self::Task(task) => task.service,
            Self::Process(process) => process.service,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Task(task) => task.address,
            Self::Process(process) => process.address,
        }
    }

    /// Lets it know where a service is now; tasks look into the directory themselves.
    pub(crate) async fn learn(&mut self, service: Service, directory: &Directory) {
        if let Self::Process(process) = self {
            process.learn(&Moved::of(service, directory)).await;
        }
    }

    /// Answers what it was asked, and sends its last spans.
    pub(crate) async fn stop(self) {
        match self {
            Self::Task(task) => task.stop().await,
            Self::Process(process) => process.stop().await,
        }
    }
}
