//! `tracehound deploy`: tells a running server of a deployment, and, with the same identifier again, what has become
//! of it.

use std::io::Write;
use std::process::ExitCode;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::api_client::{Answer, ApiClient, ServerAccess};
use crate::wiring::now_ms;

/// What the command is told.
#[derive(Debug)]
pub(crate) struct DeployConfig {
    pub(crate) server: ServerAccess,
    pub(crate) json: bool,
    /// Fields of the deployment, as the API calls them, `id` among them if it was given.
    pub(crate) texts: Vec<(&'static str, String)>,
    /// Epoch milliseconds; `Some(None)` is now.
    pub(crate) start: Option<Option<u64>>,
    pub(crate) end: Option<Option<u64>>,
    /// As the API takes them; those without `switchTs` have switched now.
    pub(crate) instances: Vec<Value>,
    pub(crate) metadata: Vec<(String, String)>,
}

/// The server understood, and does not take it.
const REFUSED: u8 = 1;
const UNREACHABLE: u8 = 4;

/// Declares a deployment, or adds to the one that has the identifier already.
pub(crate) fn run(config: &DeployConfig) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tracehound: cannot start: {error}");
            return ExitCode::from(REFUSED);
        }
    };
    match runtime.block_on(tell(config, now_ms())) {
        Ok(answer) if answer.status.is_success() => {
            // Whoever closed the pipe has read enough.
            drop(print(config, &answer));
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            eprintln!("tracehound: the server refuses the deployment: {}", answer.text());
            ExitCode::from(REFUSED)
        }
        Err(error) => {
            eprintln!("tracehound: {error:#}");
            ExitCode::from(UNREACHABLE)
        }
    }
}

async fn tell(config: &DeployConfig, now: u64) -> anyhow::Result<Answer> {
    const PATH: &str = "/api/v2/deployments";
    let mut client = ApiClient::new(config.server.clone());
    let id = config
        .texts
        .iter()
        .find(|text| text.0 == "id")
        .map(|text| &text.1);
    let additions = additions(config, now);
    if let Some(path) = id.map(|id| format!("{PATH}/{}", crate::config::encoded(id))) {
        let there = client.send(Method::GET, &path, Bytes::new()).await?;
        if there.status.is_success() && is_same(config, &there) {
            return client.send(Method::PATCH, &path, body(additions)).await;
        }
        if there.status.is_server_error() {
            return Ok(there);
        }
    }
    // Of another deployment with this identifier, the server says what contradicts.
    let mut deployment = additions;
    let texts = config.texts.iter();
    deployment.extend(texts.map(|(field, text)| ((*field).to_owned(), text.as_str().into())));
    deployment.insert("startTs".to_owned(), config.start.flatten().unwrap_or(now).into());
    client.send(Method::POST, PATH, body(deployment)).await
}

/// What may be added to a deployment that is there.
fn additions(config: &DeployConfig, now: u64) -> Map<String, Value> {
    let mut additions = Map::new();
    if let Some(end) = config.end {
        additions.insert("endTs".to_owned(), end.unwrap_or(now).into());
    }
    let instances = config.instances.iter().cloned().map(|mut instance| {
        if instance.get("switchTs").is_none() {
            instance["switchTs"] = now.into();
        }
        instance
    });
    let instances: Vec<Value> = instances.collect();
    if !instances.is_empty() {
        additions.insert("instances".to_owned(), instances.into());
    }
    if !config.metadata.is_empty() {
        let metadata = config.metadata.iter();
        let metadata = metadata.map(|(key, value)| (key.clone(), Value::from(value.as_str())));
        additions.insert("metadata".to_owned(), Value::Object(metadata.collect()));
    }
    additions
}

fn body(object: Map<String, Value>) -> Bytes {
    Bytes::from(Value::Object(object).to_string())
}

/// Whether the deployment that is there is the one that the command is about.
fn is_same(config: &DeployConfig, there: &Answer) -> bool {
    let Ok(there) = serde_json::from_slice::<Value>(&there.body) else {
        return false;
    };
    let is_said = |(field, text): &(&'static str, String)| {
        let said = there.get(field).and_then(Value::as_str).unwrap_or_default();
        said == text || *field == "serviceName" && said == text.to_lowercase()
    };
    let start = config.start.flatten();
    config.texts.iter().all(is_said) && start.is_none_or(|start| there["startTs"] == start)
}

fn print(config: &DeployConfig, answer: &Answer) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let deployment: Value = serde_json::from_slice(&answer.body)?;
    if config.json {
        return writeln!(out, "{deployment}");
    }
    let text = |field: &str| deployment[field].as_str().unwrap_or_default();
    let became = match answer.status {
        StatusCode::CREATED => "declared",
        _ => "known",
    };
    writeln!(
        out,
        "{became} {}: {} {}",
        text("id"),
        text("serviceName"),
        text("version")
    )
}
