//! `tracehound demo`: the server on a store that is gone with it, services and load that know nothing of it but its
//! address, and a rollout; what the server says of that, and whether it is true.

mod telling;

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use ::demo::{Agreement, Demo, Error, Host, Options, Outcome, Program, Traffic, serve_instance};
use anyhow::{Context, bail};
use tokio::sync::oneshot;

use crate::config::{Config, StorageKind};
use crate::{shutdown, telemetry, wiring};
use telling::Teller;

/// What the command is told, beside what the server is.
#[derive(Clone, Debug)]
pub(crate) struct DemoConfig {
    pub(crate) options: Options,
    pub(crate) roll_back: bool,
    pub(crate) keep: bool,
    pub(crate) open: bool,
    /// What is run for each instance, where it is to be a process of its own: this program.
    pub(crate) program: Option<PathBuf>,
    pub(crate) check: bool,
    pub(crate) no_colour: bool,
}

/// How the command ends: as the gate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Same = 0,
    Different = 1,
    NotEnoughData = 3,
    CannotRun = 4,
}

/// Runs the demo until it is over or interrupted. The store of `server` is in a directory that is made for it.
pub(crate) fn run(server: Config, config: &DemoConfig) -> ExitCode {
    telemetry::start(&server.logs);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let played = runtime
        .context("cannot start")
        .and_then(|runtime| runtime.block_on(play(server, config)));
    match played {
        Ok(status) => ExitCode::from(status as u8),
        Err(error) => {
            eprintln!("tracehound: {error:#}");
            ExitCode::from(Status::CannotRun as u8)
        }
    }
}

/// Serves as one instance of a demo that runs them in processes, told by its standard input.
pub(crate) fn run_instance() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.context("cannot start").and_then(|runtime| {
        let input = tokio::io::BufReader::new(tokio::io::stdin());
        let served = runtime.block_on(serve_instance(input, tokio::io::stdout()));
        // Somebody may still read the input.
        runtime.shutdown_background();
        Ok(served?)
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracehound: {error:#}");
            ExitCode::from(Status::CannotRun as u8)
        }
    }
}

async fn play(mut server: Config, config: &DemoConfig) -> anyhow::Result<Status> {
    let started = Instant::now();
    let interrupted = shutdown::requested().context("cannot listen for signals")?;
    let store = tempfile::Builder::new().prefix("tracehound-demo-").tempdir();
    let store = store.context("cannot make a directory for the store")?;
    let StorageKind::Segment(segment) = &mut server.storage.kind else {
        bail!("a demo is kept in segments");
    };
    segment.directory = store.path().join("store");
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, is_ready) = oneshot::channel();
    let until = async move { drop(stopped.await) };
    let serve = wiring::run_until(server, until, |address| {
        let _ = ready.send(address);
    });
    let show = async move {
        let address: SocketAddr = is_ready.await.context("the server ended before it began")?;
        let teller = Teller::new(started, address, config.no_colour);
        let shown = tokio::select! {
            shown = perform(config, address, &teller) => shown,
            () = interrupted => Ok(if config.check { Status::NotEnoughData } else { Status::Same }),
        };
        let _ = stop.send(());
        shown
    };
    let (served, shown) = tokio::join!(serve, show);
    served?;
    if config.check && matches!(shown, Ok(Status::Different)) {
        // Spans that were judged wrongly are what an analysis is mended by.
        eprintln!("tracehound: the store is kept: {}", store.keep().display());
    }
    shown
}

/// Everything but being interrupted.
async fn perform(config: &DemoConfig, server: SocketAddr, teller: &Teller) -> anyhow::Result<Status> {
    let host = host(config.program.as_ref());
    if config.check {
        let mut demo = Demo::start(config.options, host, server).await?;
        let played = demo.roll_out(|_| {}).await;
        let traffic = demo.stop().await;
        let outcome = match played {
            Err(error) if traffic.is_of_a_busy_machine() => nothing_found(&config.options, &error),
            played => played?,
        };
        let found = Found::of(&outcome, &traffic);
        teller.check(&config.options, &outcome, &traffic, found)?;
        return Ok(match found {
            Found::Same => Status::Same,
            Found::Different => Status::Different,
            Found::NotEnoughData | Found::BusyMachine => Status::NotEnoughData,
        });
    }
    teller.begin(&config.options);
    if config.open {
        open(&teller.ui());
    }
    let mut demo = Demo::start(config.options, host, server).await?;
    let outcome = demo.roll_out(|event| teller.tell(&event)).await?;
    teller.verdict(&outcome, &demo.traffic());
    if config.roll_back {
        let recoveries = demo.roll_back(&outcome).await?;
        teller.recovered(&recoveries);
    }
    teller.next(&outcome);
    if config.keep {
        pending::<()>().await;
    }
    let traffic = demo.stop().await;
    teller.stopped(&traffic);
    pending().await
}

fn host(program: Option<&PathBuf>) -> Host {
    match program {
        None => Host::Tasks,
        Some(path) => Host::Processes(Program {
            path: path.clone(),
            arguments: ["demo", "--instance"].map(str::to_owned).to_vec(),
        }),
    }
}

/// Where the server did not answer in time.
fn nothing_found(options: &Options, error: &Error) -> Outcome {
    Outcome {
        truth: options.fault.truth(),
        judged: Vec::new(),
        agreement: Agreement::NotEnoughData(vec![error.to_string()]),
    }
}

/// What a check comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Same,
    Different,
    NotEnoughData,
    /// What was found is not what was injected, and the machine had no time to do what was injected.
    BusyMachine,
}

impl Found {
    fn of(outcome: &Outcome, traffic: &Traffic) -> Self {
        match outcome.agreement {
            Agreement::Same => Self::Same,
            _ if traffic.is_of_a_busy_machine() => Self::BusyMachine,
            Agreement::Different(_) => Self::Different,
            Agreement::NotEnoughData(_) => Self::NotEnoughData,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::NotEnoughData => "not_enough_data",
            Self::BusyMachine => "busy_machine",
        }
    }
}

/// Shows a page, where somebody is there to see it.
fn open(page: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let quiet = Command::new(opener)
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = quiet {
        eprintln!("tracehound: no browser is opened: {opener}: {error}");
    }
}
