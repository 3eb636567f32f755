//! Sends a scenario to a running server as it would have seen it: spans in the order in which they end, and in between
//! what a pipeline declares of its deployments (`POST` and `PATCH /api/v2/deployments`). What had not arrived when the
//! question is asked is sent apart.
//!
//! Nothing waits for the scenario's time to go by. A scenario may be moved, so that its last moment is now.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use model::Span;
use proto::Format;
use serde::Serialize;
use serde_json::Value;

use crate::load::{Answer, Connection};

use super::catalogue::cases;
use super::scenario::{Deployment, Purpose, Scenario, Seed, SwitchedInstance};

/// Spans of a request.
const BATCH_SPANS: usize = 500;

/// A scenario on its way to a server.
#[derive(Debug)]
pub struct Posting<'a> {
    scenario: &'a Scenario,
    /// Added to every time, microseconds.
    shift: i64,
}

/// What the server has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Spans it took.
    pub spans: usize,
    /// Identifiers of the declared deployments, by their places in the scenario.
    pub deployments: Vec<Option<String>>,
}

/// What happens to a deployment; a switch says that its instance has the new version.
enum Event<'a> {
    Started,
    Switched(&'a SwitchedInstance),
    Ended,
    RolledBack,
}

/// A deployment as it is declared first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declared<'a> {
    service_name: &'a str,
    version: &'a str,
    previous_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<&'a str>,
    start_ts: i64,
}

/// What is known of it later.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    end_ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back_ts: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instances: Vec<Switch>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Switch {
    ip: String,
    port: u16,
    switch_ts: i64,
}

impl<'a> Posting<'a> {
    /// At its own times.
    pub fn new(scenario: &'a Scenario) -> Self {
        Self { scenario, shift: 0 }
    }

    /// Moved so that the question is asked at this moment, microseconds since the epoch.
    #[must_use]
    pub fn asked_at(mut self, moment: u64) -> Self {
        // Whole milliseconds, so that times of deployments stay where they are between spans.
        self.shift = (moment as i64 - self.scenario.asked as i64) / 1_000 * 1_000;
        self
    }

    /// Sends what arrives until the question is asked.
    ///
    /// # Errors
    /// Where the server is not there, or does not take everything.
    pub fn send(&self, address: SocketAddr) -> anyhow::Result<Posted> {
        let mut connection =
            Connection::open(address).with_context(|| format!("nobody listens at {address}"))?;
        let mut spans: Vec<(u64, &Span)> = self
            .scenario
            .traces
            .iter()
            .flatten()
            .map(|span| (end(span), span))
            .collect();
        spans.sort_by_key(|(end, _)| *end);
        let mut posted = Posted {
            spans: 0,
            deployments: vec![None; self.scenario.deployments.len()],
        };
        let mut left = &spans[..];
        for (moment, number, event) in self.events() {
            let (before, after) = left.split_at(left.partition_point(|(end, _)| *end < moment));
            posted.spans += self.send_spans(&mut connection, before.iter().map(|(_, span)| *span))?;
            self.send_event(&mut connection, number, &event, &mut posted)?;
            left = after;
        }
        posted.spans += self.send_spans(&mut connection, left.iter().map(|(_, span)| *span))?;
        Ok(posted)
    }

    /// Sends what arrives after that.
    ///
    /// # Errors
    /// As [`Posting::send`].
    pub fn send_late(&self, address: SocketAddr) -> anyhow::Result<usize> {
        let mut connection =
            Connection::open(address).with_context(|| format!("nobody listens at {address}"))?;
        self.send_spans(&mut connection, self.scenario.late.iter().map(|(_, span)| span))
    }

    /// Of declared deployments, by time.
    fn events(&self) -> Vec<(u64, usize, Event<'a>)> {
        let mut events = Vec::new();
        let declared = self.scenario.deployments.iter().enumerate();
        for (number, deployment) in declared.filter(|(_, deployment)| deployment.is_declared) {
            events.push((deployment.start, number, Event::Started));
            let switches = deployment.instances.iter();
            events.extend(switches.map(|instance| (instance.switched, number, Event::Switched(instance))));
            events.extend(deployment.end.map(|end| (end, number, Event::Ended)));
            events.extend(
                deployment
                    .rolled_back
                    .map(|back| (back, number, Event::RolledBack)),
            );
        }
        // Stable: a deployment is declared before its first instance switches at the same moment.
        events.sort_by_key(|(moment, ..)| *moment);
        events
    }

    fn send_spans<'s>(
        &self,
        connection: &mut Connection,
        spans: impl Iterator<Item = &'s Span>,
    ) -> anyhow::Result<usize> {
        let mut batch = Vec::with_capacity(BATCH_SPANS);
        let mut sent = 0;
        let mut spans = spans.peekable();
        while spans.peek().is_some() {
            batch.clear();
            batch.extend(spans.by_ref().take(BATCH_SPANS).map(|span| self.moved(span)));
            let answer = exchange(
                connection,
                "POST",
                "/api/v2/spans",
                &proto::encode(Format::JsonV2, &batch),
            )?;
            ensure!(answer.status == 202, "spans: {}", said(&answer));
            sent += batch.len();
        }
        Ok(sent)
    }

    fn send_event(
        &self,
        connection: &mut Connection,
        number: usize,
        event: &Event<'_>,
        posted: &mut Posted,
    ) -> anyhow::Result<()> {
        let deployment = &self.scenario.deployments[number];
        let change = match event {
            Event::Started => {
                let body = serde_json::to_vec(&self.declared(deployment))?;
                let answer = exchange(connection, "POST", "/api/v2/deployments", &body)?;
                ensure!(
                    answer.status == 201,
                    "deployment of {}: {}",
                    deployment.service_name,
                    said(&answer)
                );
                let declared: Value = serde_json::from_slice(&answer.body)?;
                let id = declared
                    .get("id")
                    .and_then(Value::as_str)
                    .context("a deployment without an id")?;
                posted.deployments[number] = Some(id.to_owned());
                return Ok(());
            }
            Event::Switched(instance) => Change {
                instances: vec![Switch {
                    ip: instance.ip.to_string(),
                    port: instance.port,
                    switch_ts: self.millis(instance.switched),
                }],
                ..Change::default()
            },
            Event::Ended => Change {
                end_ts: deployment.end.map(|end| self.millis(end)),
                ..Change::default()
            },
            Event::RolledBack => Change {
                rolled_back_ts: deployment.rolled_back.map(|back| self.millis(back)),
                ..Change::default()
            },
        };
        let id = posted.deployments[number]
            .as_deref()
            .context("it is declared before it changes")?;
        let path = format!("/api/v2/deployments/{id}");
        let answer = exchange(connection, "PATCH", &path, &serde_json::to_vec(&change)?)?;
        ensure!(answer.status == 200, "{path}: {}", said(&answer));
        Ok(())
    }

    fn declared<'d>(&self, deployment: &'d Deployment) -> Declared<'d> {
        Declared {
            service_name: &deployment.service_name,
            version: &deployment.version,
            previous_version: &deployment.previous_version,
            strategy: deployment.strategy.and_then(super::Strategy::api_name),
            start_ts: self.millis(deployment.start),
        }
    }

    fn moved(&self, span: &Span) -> Span {
        let mut moved = span.clone();
        moved.timestamp = span
            .timestamp
            .map(|timestamp| timestamp.saturating_add_signed(self.shift));
        for annotation in &mut moved.annotations {
            annotation.timestamp = annotation.timestamp.saturating_add_signed(self.shift);
        }
        moved
    }

    /// As the API has it.
    fn millis(&self, micros: u64) -> i64 {
        (micros as i64 + self.shift) / 1_000
    }
}

fn end(span: &Span) -> u64 {
    span.timestamp
        .unwrap_or(0)
        .saturating_add(span.duration.unwrap_or(0))
}

fn exchange(connection: &mut Connection, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Answer> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: benches\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = connection.exchange(&[head.as_bytes(), body].concat());
    answer.with_context(|| format!("{method} {path}"))
}

fn said(answer: &Answer) -> String {
    format!(
        "{} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body).trim()
    )
}

/// Sends a scenario of a case, moved so that it ends now, and prints what the server has of it.
///
/// # Errors
/// As [`Posting::send`], and where there is no such case.
pub(super) fn run(address: SocketAddr, name: &str, number: u64) -> anyhow::Result<()> {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == name);
    let case =
        case.with_context(|| format!("there is no case {name}; `benches rollouts list` names them"))?;
    let scenario = case.scenario(Seed {
        purpose: Purpose::Tune,
        number,
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
    let posted = Posting::new(&scenario).asked_at(now).send(address)?;
    println!(
        "{scenario}: {} spans in {} traces",
        posted.spans,
        scenario.traces.len()
    );
    for (deployment, id) in scenario.deployments.iter().zip(&posted.deployments) {
        println!(
            "{} {}: {}",
            deployment.service_name,
            deployment.version,
            id.as_deref().unwrap_or("not declared")
        );
    }
    println!("{}", serde_json::to_string_pretty(&scenario.truth)?);
    Ok(())
}
