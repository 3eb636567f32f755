//! The tracing server as a pipeline knows it: deployments are told to it, and reports are asked of it, over HTTP.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::http::Client;
use crate::system::Switched;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct TracingServer {
    client: Client,
    address: SocketAddr,
}

/// What a report says, as far as the demo tells of it. Times are microseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// `regressed`, `improved`, `unchanged` or `insufficient_data`.
    pub verdict: String,
    /// `continue`, `rollback` or `wait`.
    pub decision: String,
    /// 0 to 100.
    pub score: Option<f64>,
    /// What a verdict lacks.
    pub missing: Option<String>,
    /// Worst first.
    pub findings: Vec<Finding>,
    operations: Vec<Compared>,
}

/// Something that changed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The operation that changed its behaviour.
    pub origin: Operation,
    /// Why.
    pub cause: String,
    /// Whom it calls, where the cause is about a call.
    pub callee: Option<Operation>,
    /// The entry operation that it costs the most.
    pub entry: Operation,
    /// How much of that operation's mean it accounts for, with a 95 % interval.
    pub contribution: i64,
    /// See `contribution`.
    pub contribution_low: i64,
    /// See `contribution`.
    pub contribution_high: i64,
    /// By how much the share of requests that fail changed.
    pub error_rate_change: Option<f64>,
    /// A sentence.
    pub summary: String,
    /// Whether the deployment did it.
    pub caused_by_deployment: bool,
    /// What did it where the deployment did not.
    pub explanation: Option<String>,
}

/// What a service does under a name.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// The service.
    pub service_name: String,
    /// The name of the spans.
    pub span_name: String,
    /// Absent for local work.
    pub span_kind: Option<String>,
}

/// An operation before and after.
#[derive(Clone, Debug, Deserialize)]
struct Compared {
    #[serde(flatten)]
    operation: Operation,
    shift: Option<Shift>,
}

/// By how much durations moved, with a 95 % interval.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Shift {
    /// Microseconds.
    pub estimate: f64,
    /// See `estimate`.
    pub low: f64,
    /// See `estimate`.
    pub high: f64,
}

impl Report {
    /// By how much the durations of an operation moved, if they were compared.
    pub fn shift(&self, of: &Operation) -> Option<Shift> {
        let compared = self.operations.iter().find(|compared| compared.operation == *of);
        compared.and_then(|compared| compared.shift)
    }

    /// What became worse because of the deployment, worst first.
    pub fn blamed(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.caused_by_deployment && finding.is_worse())
    }
}

impl Finding {
    fn is_worse(&self) -> bool {
        self.contribution > 0 || self.error_rate_change.is_some_and(|change| change > 0.0)
    }
}

impl TracingServer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            client: Client::new(),
            address,
        }
    }

    /// A rollout begins; its identifier.
    ///
    /// # Errors
    /// Where the server does not take it.
    pub(crate) async fn declare(&self, service: &str, version: &str, start_ms: u64) -> Result<String> {
        let deployment = json!({
            "id": format!("demo-{service}-{version}"), "serviceName": service, "version": version,
            "strategy": "rolling", "startTs": start_ms, "metadata": {"pipeline": "tracehound demo"},
        });
        let declared: Value = self
            .ask(Method::POST, "/api/v2/deployments", Some(deployment))
            .await?;
        Ok(declared["id"].as_str().unwrap_or_default().to_owned())
    }

    /// An instance has switched.
    ///
    /// # Errors
    /// Where the server does not take it.
    pub(crate) async fn add_instance(&self, id: &str, switched: Switched) -> Result<()> {
        let Switched { address, at_ms } = switched;
        let instance = json!({"ip": address.ip(), "port": address.port(), "switchTs": at_ms});
        self.patch(id, json!({"instances": [instance]})).await
    }

    /// All instances have.
    ///
    /// # Errors
    /// Where the server does not take it.
    pub(crate) async fn end(&self, id: &str, end_ms: u64) -> Result<()> {
        self.patch(id, json!({"endTs": end_ms})).await
    }

    /// It is being taken back.
    ///
    /// # Errors
    /// Where the server does not take it.
    pub(crate) async fn roll_back(&self, id: &str, at_ms: u64) -> Result<()> {
        self.patch(id, json!({"rolledBackTs": at_ms})).await
    }

    async fn patch(&self, id: &str, addition: Value) -> Result<()> {
        let path = format!("/api/v2/deployments/{id}");
        let _: Value = self.ask(Method::PATCH, &path, Some(addition)).await?;
        Ok(())
    }

    /// What is known of a deployment now.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub(crate) async fn report(&self, id: &str) -> Result<Report> {
        self.ask(Method::GET, &report_path(id), None).await
    }

    /// The same analysis for the traces of a service by two versions, each of a window that ends at a moment and is so
    /// long, in milliseconds.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub(crate) async fn compare(&self, service: &str, sides: [(&str, u64, u64); 2]) -> Result<Report> {
        let query = |(version, end_ms, length_ms): (&str, u64, u64)| {
            format!(
                "serviceName%3D{service}%26annotationQuery%3Dversion%253D{version}%26endTs%3D{end_ms}%26lookback%3D{length_ms}"
            )
        };
        let [baseline, candidate] = sides.map(query);
        let path = format!("/api/v2/compare?baselineQuery={baseline}&candidateQuery={candidate}");
        self.ask(Method::GET, &path, None).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, json: Option<Value>) -> Result<T> {
        let body = json.map_or_else(Bytes::new, |json| Bytes::from(json.to_string()));
        let answer = self.client.ask(self.address, method.clone(), path, body).await?;
        serde_json::from_slice(&answer).map_err(|source| Error::Unreadable {
            what: format!("{method} {path}"),
            source,
        })
    }
}

/// Where the report of a deployment is.
pub(crate) fn report_path(id: &str) -> String {
    format!("/api/v2/deployments/{id}/report")
}
