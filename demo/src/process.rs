//! An instance in a process of its own: what it is told on its standard input, and what it says on its standard output.
//!
//! Lines of JSON. In: [`Begin`], then [`Moved`] whenever a service is elsewhere; the end of the input is the end of the
//! instance, so that none outlives whoever started it. Out: [`Said`].

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::fault::{Fault, Release};
use crate::instance::{Clock, Surroundings, start};
use crate::reporter::Delivery;
use crate::topology::Service;

/// How long a process may take until it listens: a busy machine takes a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two words of an instance about its spans.
const COUNTING: Duration = Duration::from_millis(250);

/// What is run for an instance: it has to end up in [`serve_instance`].
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable file.
    pub path: PathBuf,
    /// What it is told on its command line.
    pub arguments: Vec<String>,
}

/// The first line that an instance is told: who it is.
#[derive(Debug, Serialize, Deserialize)]
struct Begin {
    service: String,
    /// The fault that its version belongs to; none in the first version.
    fault: Option<String>,
    seed: u64,
    tracing_server: SocketAddr,
}

/// Where a service is from now on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Moved {
    service: String,
    addresses: Vec<SocketAddr>,
}

/// What an instance says of itself.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    /// It serves there.
    Listening(SocketAddr),
    /// What became of its spans so far.
    Delivered { sent: u64, lost: u64 },
}

impl Moved {
    pub(crate) fn of(service: Service, directory: &Directory) -> Self {
        Self {
            service: service.name().to_owned(),
            addresses: directory.all_of(service),
        }
    }
}

impl Begin {
    fn service_and_release(&self) -> Option<(Service, Release)> {
        let release = match &self.fault {
            Some(name) => Release::With(Fault::named(name)?),
            None => Release::First,
        };
        Some((Service::named(&self.service)?, release))
    }
}

/// Serves as one instance until `input` ends: what a [`Program`] does.
///
/// # Errors
/// Where it is told something that it does not understand, cannot listen, or nobody hears it.
pub async fn serve_instance(
    input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> Result<()> {
    let mut told = input.lines();
    let Some(line) = told.next_line().await.map_err(not_heard)? else {
        return Ok(());
    };
    let begin: Begin = understood(&line)?;
    let (service, release) = begin.service_and_release().ok_or(Error::Unknown { line })?;
    let surroundings = Surroundings {
        directory: Arc::new(Directory::default()),
        delivery: Arc::new(Delivery::default()),
        tracing_server: begin.tracing_server,
        clock: Clock::start(),
        seed: begin.seed,
    };
    let version = release.version(service);
    let running = start(service, version, release.operations(service), &surroundings).await?;
    say(&mut output, &Said::Listening(running.address)).await?;
    listen(&mut told, &surroundings, &mut output).await?;
    running.stop().await;
    say(&mut output, &delivered(&surroundings.delivery)).await
}

/// Until there is nothing more to be told.
async fn listen(
    told: &mut Lines<impl AsyncBufRead + Unpin>,
    surroundings: &Surroundings,
    output: &mut (impl AsyncWrite + Unpin),
) -> Result<()> {
    let mut counting = interval(COUNTING);
    loop {
        tokio::select! {
            line = told.next_line() => {
                let Some(line) = line.map_err(not_heard)? else {
                    return Ok(());
                };
                let Moved { service, addresses } = understood(&line)?;
                let service = Service::named(&service).ok_or(Error::Unknown { line })?;
                surroundings.directory.set(service, addresses);
            }
            _ = counting.tick() => say(output, &delivered(&surroundings.delivery)).await?,
        }
    }
}

fn delivered(delivery: &Delivery) -> Said {
    Said::Delivered {
        sent: delivery.sent.load(Ordering::Relaxed),
        lost: delivery.lost.load(Ordering::Relaxed),
    }
}

fn understood<'line, Line: Deserialize<'line>>(line: &'line str) -> Result<Line> {
    serde_json::from_str(line).map_err(|_| Error::Unknown {
        line: line.to_owned(),
    })
}

fn not_heard(source: io::Error) -> Error {
    Error::Pipe { source }
}

async fn say(output: &mut (impl AsyncWrite + Unpin), what: &impl Serialize) -> Result<()> {
    // They are structures of names and numbers.
    let mut line = serde_json::to_vec(what).unwrap_or_default();
    line.push(b'\n');
    output.write_all(&line).await.map_err(not_heard)?;
    output.flush().await.map_err(not_heard)
}

/// A process that serves as an instance.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) service: Service,
    pub(crate) address: SocketAddr,
    child: Child,
    input: ChildStdin,
    hearing: JoinHandle<()>,
    is_to_end: Arc<AtomicBool>,
}

impl Process {
    /// Starts one. Should it end before it is to, `ended` says whose it was.
    ///
    /// # Errors
    /// Where the program cannot be run, or does not listen.
    pub(crate) async fn start(
        program: &Program,
        service: Service,
        release: Release,
        surroundings: &Surroundings,
        ended: &Arc<OnceLock<Service>>,
    ) -> Result<Self> {
        let not_run = |source| Error::Listen {
            service: service.name(),
            source,
        };
        let mut child = spawn(program).map_err(not_run)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (mut input, output) = pipes.ok_or_else(|| not_run(io::ErrorKind::BrokenPipe.into()))?;
        let begin = Begin {
            service: service.name().to_owned(),
            fault: release.fault().map(|fault| fault.name().to_owned()),
            seed: surroundings.seed,
            tracing_server: surroundings.tracing_server,
        };
        say(&mut input, &begin).await?;
        for service in Service::ALL {
            say(&mut input, &Moved::of(service, &surroundings.directory)).await?;
        }
        let mut said = BufReader::new(output).lines();
        let address = timeout(PATIENCE, address_in(service, &mut said)).await;
        let address = address.map_err(|_| not_run(io::ErrorKind::TimedOut.into()))??;
        let is_to_end = Arc::new(AtomicBool::new(false));
        let (delivery, ended) = (Arc::clone(&surroundings.delivery), Arc::clone(ended));
        let hearing = hear(said, delivery);
        let end = Arc::clone(&is_to_end);
        let hearing = tokio::spawn(async move {
            hearing.await;
            if !end.load(Ordering::Relaxed) {
                // The first is told of.
                let _ = ended.set(service);
            }
        });
        Ok(Self {
            service,
            address,
            child,
            input,
            hearing,
            is_to_end,
        })
    }

    /// One that has ended hears nothing; that it has is told elsewhere.
    pub(crate) async fn learn(&mut self, moved: &Moved) {
        drop(say(&mut self.input, moved).await);
    }

    /// Answers what it was asked, and sends its last spans.
    pub(crate) async fn stop(mut self) {
        self.is_to_end.store(true, Ordering::Relaxed);
        drop(self.input);
        drop(self.hearing.await);
        drop(self.child.wait().await);
    }
}

fn spawn(program: &Program) -> io::Result<Child> {
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    // Who interrupts the demo from a terminal means the demo: it ends its instances itself, after the load.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn()
}

async fn address_in(service: Service, said: &mut Lines<BufReader<ChildStdout>>) -> Result<SocketAddr> {
    let ended = || Error::Ended {
        service: service.name(),
    };
    let line = said.next_line().await.map_err(not_heard)?.ok_or_else(ended)?;
    match understood(&line)? {
        Said::Listening(address) => Ok(address),
        Said::Delivered { .. } => Err(Error::Unknown { line }),
    }
}

/// Adds what becomes of its spans to those of all, until it says no more.
async fn hear(mut said: Lines<BufReader<impl AsyncRead + Unpin>>, delivery: Arc<Delivery>) {
    let (mut sent_before, mut lost_before) = (0, 0);
    while let Ok(Some(line)) = said.next_line().await {
        let Ok(Said::Delivered { sent, lost }) = understood(&line) else {
            return;
        };
        delivery
            .sent
            .fetch_add(sent.saturating_sub(sent_before), Ordering::Relaxed);
        delivery
            .lost
            .fetch_add(lost.saturating_sub(lost_before), Ordering::Relaxed);
        (sent_before, lost_before) = (sent, lost);
    }
}

#[cfg(test)]
mod tests;
