//! `tracehound gate`: asks a running server about a deployment until it has decided, and says so by the exit status.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::api_client::{Answer, ApiClient, ServerAccess};

/// What the command is told.
#[derive(Debug)]
pub(crate) struct GateConfig {
    pub(crate) server: ServerAccess,
    pub(crate) json: bool,
    /// Parameters of `/api/v2/gate`.
    pub(crate) parameters: Vec<(&'static str, String)>,
    /// How long to wait for a decision.
    pub(crate) monitor: Duration,
}

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Continue = 0,
    RollBack = 1,
    WrongUse = 2,
    NotEnoughData = 3,
    Unreachable = 4,
}

/// The first pause between questions; each is twice the one before, up to the longest.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Waits for the decision.
pub(crate) fn run(config: &GateConfig) -> ExitCode {
    let status = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(wait(config)),
        Err(error) => {
            eprintln!("tracehound: cannot start: {error}");
            Status::Unreachable
        }
    };
    ExitCode::from(status as u8)
}

/// What came of asking once.
#[derive(Debug)]
enum Heard {
    Decided(Status, Value),
    /// There is no decision yet; why, the answer says.
    Waiting(Value),
    /// The server asks to come back.
    Later(Duration, String),
    Refused(String),
    /// The server is not there, or not able to answer.
    Silent(String),
}

async fn wait(config: &GateConfig) -> Status {
    let mut client = ApiClient::new(config.server.clone());
    let path = path(config);
    let deadline = Instant::now() + config.monitor;
    let mut last: Option<Value> = None;
    let mut pause = PAUSE;
    loop {
        let is_last = Instant::now() >= deadline;
        let asked = client.send(Method::GET, &path, Bytes::new());
        let heard = timeout_at(deadline + PAUSE_MAX, asked).await;
        let mut next = Instant::now() + pause;
        let trouble = match heard.map_or_else(|_| Heard::Silent("no answer in time".to_owned()), hear) {
            Heard::Decided(status, answer) => {
                print(config, &answer);
                return status;
            }
            Heard::Waiting(answer) => {
                tell_progress(config, last.as_ref(), &answer);
                last = Some(answer);
                None
            }
            Heard::Later(at_least, trouble) => {
                next = next.max(Instant::now() + at_least);
                Some(trouble)
            }
            Heard::Refused(trouble) => {
                eprintln!("tracehound: the server refuses the question: {trouble}");
                return Status::WrongUse;
            }
            // Who never answered is somewhere else; who did may be back.
            Heard::Silent(trouble) if last.is_none() || is_last => {
                eprintln!("tracehound: {trouble}");
                return Status::Unreachable;
            }
            Heard::Silent(trouble) => Some(trouble),
        };
        if is_last {
            return give_up(config, last.as_ref(), trouble);
        }
        sleep_until(next.min(deadline)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn path(config: &GateConfig) -> String {
    let parameters = config.parameters.iter();
    let parameters = parameters.map(|(name, value)| format!("{name}={}", crate::config::encoded(value)));
    format!("/api/v2/gate?{}", parameters.collect::<Vec<_>>().join("&"))
}

fn hear(asked: anyhow::Result<Answer>) -> Heard {
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) => return Heard::Silent(format!("{error:#}")),
    };
    match answer.status {
        StatusCode::OK => {}
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            return Heard::Later(answer.retry_after().unwrap_or_default(), answer.text());
        }
        status if status.is_client_error() => return Heard::Refused(answer.text()),
        _ => return Heard::Silent(answer.text()),
    }
    let Ok(decided) = serde_json::from_slice::<Value>(&answer.body) else {
        return Heard::Silent("what answers is not Tracehound".to_owned());
    };
    match decided["decision"].as_str() {
        Some("continue") => Heard::Decided(Status::Continue, decided),
        Some("rollback") => Heard::Decided(Status::RollBack, decided),
        Some("wait") => Heard::Waiting(decided),
        _ => Heard::Silent("what answers is not Tracehound".to_owned()),
    }
}

fn give_up(config: &GateConfig, last: Option<&Value>, trouble: Option<String>) -> Status {
    if let Some(trouble) = &trouble {
        eprintln!("tracehound: {trouble}");
    }
    match last {
        Some(last) => {
            print(config, last);
            Status::NotEnoughData
        }
        None => Status::Unreachable,
    }
}

/// To who watches the pipeline, whenever the reason is another.
fn tell_progress(config: &GateConfig, last: Option<&Value>, answer: &Value) {
    if !config.json && last.map(|last| &last["reason"]) != Some(&answer["reason"]) {
        eprintln!("tracehound: waiting: {}", text(answer, "reason"));
    }
}

/// The decision, for people or machines. Whoever closed the pipe has read enough.
fn print(config: &GateConfig, answer: &Value) {
    let mut out = std::io::stdout().lock();
    drop(if config.json {
        writeln!(out, "{answer}")
    } else {
        let score = answer["score"].as_f64();
        let score = score.map_or_else(String::new, |score| format!(", score {score:.1}"));
        writeln!(
            out,
            "{}: {} {}: {}{score}: {}",
            text(answer, "decision"),
            text(answer, "serviceName"),
            text(answer, "version"),
            text(answer, "verdict"),
            text(answer, "reason"),
        )
    });
}

fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().unwrap_or_default()
}
