//! What `tracehound demo` is told. Of the environment it hears almost nothing: whoever has set variables for a server of
//! their own, its store among them, does not mean this one.

use std::net::{Ipv4Addr, TcpListener};

use ::demo::{Fault, Options, Script};
use clap::{ArgMatches, Command, value_parser};

use super::commands::{given, one, switch};
use super::values::Values;
use super::{Config, ConfigError, LogOutput};
use crate::demo::DemoConfig;

/// Where the UI is, if nobody else is there.
const PORT: u16 = 9411;
/// Instances of the demo answer from their first request as they do later, and a rollout is over in half a minute: they
/// are warm after a moment.
const WARM_UP: &str = "1s";
/// Of the environment, what is for whoever reads the log.
const HEARD: [&str; 1] = ["RUST_LOG"];

pub(super) fn command() -> Command {
    Command::new("demo")
        .about("Shows a rollout that makes a service slower, and what the server says of it")
        .long_about(
            "Runs the server on a store that is gone with it, a few small services that call each other over HTTP, load \
             on them, and a rollout that makes one of them slower. Ctrl-C ends all of it. With --check the exit status is \
             0: what was found is what was injected, 1: it is not, 2: wrong use, 3: not enough data, 4: it could not run.",
        )
        .arg(
            one("fault", "FAULT", "What is wrong with the new version")
                .default_value(Fault::Serialised.name())
                .value_parser(Fault::ALL.map(Fault::name)),
        )
        .arg(
            one("seed", "N", "The same seed gives the same requests and the same work")
                .default_value("7")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            one("rate", "N", "Requests of users a second")
                .default_value("150")
                .value_parser(value_parser!(u16).range(1..=1_000)),
        )
        .arg(
            one(
                "port",
                "PORT",
                "Port of the server, 0 is any free one; 9411 without it, or another if that is taken",
            )
            .value_parser(value_parser!(u16)),
        )
        .arg(switch("rollback", "Take back what is to be rolled back, and show what that does"))
        .arg(switch("keep", "Go on with services and load after the verdict"))
        .arg(switch("open", "Open the UI in a browser"))
        .arg(switch("processes", "Run each instance of a service in a process of its own"))
        .arg(switch("instance", "Be one of these, as standard input tells").hide(true).exclusive(true))
        .arg(
            switch("check", "Run a shorter rollout for no one to watch, print what came of it as JSON, and end")
                .conflicts_with_all(["rollback", "keep", "open"]),
        )
}

/// # Errors
/// Where instances are to be processes of this program, and it cannot be found.
pub(super) fn read(flags: &ArgMatches, environment: &[(String, String)]) -> Result<DemoConfig, ConfigError> {
    let program = flags
        .get_flag("processes")
        .then(std::env::current_exe)
        .transpose();
    let program = program.map_err(|error| {
        ConfigError::Mistakes(vec![format!("--processes: this program is not found: {error}")])
    })?;
    let check = flags.get_flag("check");
    let name: Option<String> = given(flags, "fault");
    Ok(DemoConfig {
        options: Options {
            // They have defaults.
            fault: name.as_deref().and_then(Fault::named).unwrap_or(Fault::None),
            seed: given(flags, "seed").unwrap_or_default(),
            requests_per_second: f64::from(given::<u16>(flags, "rate").unwrap_or(1)),
            script: if check { Script::CHECKED } else { Script::WATCHED },
        },
        roll_back: flags.get_flag("rollback"),
        keep: flags.get_flag("keep"),
        open: flags.get_flag("open"),
        program,
        check,
        // As https://no-color.org has it.
        no_colour: environment
            .iter()
            .any(|(name, value)| name == "NO_COLOR" && !value.is_empty()),
    })
}

/// The server as anybody could start it. Where its store is, is decided when it is made.
///
/// # Errors
/// Mistakes in what is heard of the environment.
pub(super) fn server(flags: &ArgMatches, environment: &[(String, String)]) -> Result<Config, ConfigError> {
    let port = match given::<u16>(flags, "port") {
        Some(port) => port,
        None if flags.get_flag("check") => 0,
        None => usual_port(),
    };
    let port = port.to_string();
    let arguments = [
        "tracehound",
        "--listen",
        "127.0.0.1",
        "--query-port",
        &port,
        "--storage-type",
        "segment",
        "--analysis-warm-up",
        WARM_UP,
    ];
    let heard = environment
        .iter()
        .filter(|(name, _)| HEARD.contains(&name.as_str()));
    let mut heard: Vec<(String, String)> = heard.cloned().collect();
    if heard.is_empty() {
        heard.push(("RUST_LOG".to_owned(), "warn".to_owned()));
    }
    let values = Values::new(arguments.map(Into::into), heard).map_err(ConfigError::CommandLine)?;
    let mut config = Config::from_values(&values)?;
    config.logs.output = LogOutput::Error;
    Ok(config)
}

/// Any free port where the usual one is taken: a demo must not need to be configured.
fn usual_port() -> u16 {
    let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).is_ok();
    if is_free { PORT } else { 0 }
}
