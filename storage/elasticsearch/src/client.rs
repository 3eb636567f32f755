//! HTTP to the nodes of a cluster: which is asked, how long, and what its refusals mean.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Certificate, Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use storage::{Result, StorageError};

use crate::config::{Cluster, Trust};
use crate::login::Authorization;

/// Longer answers are refused.
const ANSWER_BYTES_MAX: usize = 512 << 20;
/// How long a node may take to take a connection: the next is asked then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For how long a question is asked again whose index is just being created, and the pause between.
const START_MAX: Duration = Duration::from_secs(5);
const START_PAUSE: Duration = Duration::from_millis(100);
/// What is shown of an answer that is no JSON.
const SHOWN_BYTES_MAX: usize = 300;

/// What is said of a field that has the wrong type.
const WITHOUT_TEMPLATE: &str = "ielddata is disabled on";

const JSON: &str = "application/json";
/// What `_bulk` is written in.
pub(crate) const LINES: &str = "application/x-ndjson";

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    hosts: Vec<Host>,
    authorization: Authorization,
    /// Whose turn it is.
    next: AtomicUsize,
    health_check: Option<Duration>,
}

#[derive(Debug)]
struct Host {
    base: String,
    /// Until when it is asked only where no other is left.
    away_until: Mutex<Option<Instant>>,
}

/// What a node answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// Who answered.
    place: String,
}

impl Client {
    /// # Errors
    /// [`StorageError::Invalid`] where the authorities cannot be read, or a host or the login cannot be sent.
    pub(crate) fn new(cluster: &Cluster) -> Result<Self> {
        // Another provider that is there already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(cluster.timeout))
            .timeout(cluster.timeout)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        match &cluster.trust {
            Trust::System => {}
            Trust::Anybody => builder = builder.tls_danger_accept_invalid_certs(true),
            Trust::Authorities(path) => {
                let invalid = |error: &dyn std::fmt::Display| {
                    StorageError::Invalid(format!("{}: {error}", path.display()))
                };
                let text = std::fs::read(path).map_err(|error| invalid(&error))?;
                let authorities = Certificate::from_pem_bundle(&text).map_err(|error| invalid(&error))?;
                builder = builder.tls_certs_only(authorities);
            }
        }
        let http = builder.build().map_err(|error| {
            StorageError::Invalid(format!("no client of Elasticsearch: {}", chain(&error)))
        })?;
        let host = |base: &String| Host {
            base: base.clone(),
            away_until: Mutex::default(),
        };
        Ok(Self {
            http,
            hosts: cluster.hosts.iter().map(host).collect(),
            authorization: Authorization::new(&cluster.login)?,
            next: AtomicUsize::new(0),
            health_check: cluster.health_check,
        })
    }

    /// The answer to a question with a body of JSON, or without, which must not be a refusal.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T> {
        let asked = Instant::now();
        loop {
            let answer = self.send(method.clone(), path, body).await?;
            if !answer.is_of_starting_shards() || asked.elapsed() > START_MAX {
                return answer.read();
            }
            tokio::time::sleep(START_PAUSE).await;
        }
    }

    /// Any answer.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        self.send_bytes(method, path, JSON, body).await
    }

    /// Asks the hosts in turn until one can be reached. Asking twice must be harmless.
    pub(crate) async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        media_type: &'static str,
        body: Vec<u8>,
    ) -> Result<Answer> {
        let mut unreached = None;
        let authorization = self.authorization.now()?;
        for host in self.in_turn() {
            let mut request = self.http.request(method.clone(), format!("{}{path}", host.base));
            if let Some(authorization) = &authorization {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            if !body.is_empty() {
                request = request.header(CONTENT_TYPE, media_type).body(body.clone());
            }
            let error = match request.send().await {
                Ok(response) => {
                    *host.away_until.lock() = None;
                    return read_bounded(response, &host.base).await;
                }
                Err(error) => error,
            };
            let told = tell(&error, &host.base);
            if !error.is_connect() {
                return Err(told);
            }
            if let Some(pause) = self.health_check {
                *host.away_until.lock() = Some(Instant::now() + pause);
            }
            unreached = Some(told);
        }
        Err(unreached.unwrap_or_else(|| StorageError::Invalid("ES_HOSTS names no host".to_owned())))
    }

    /// The next first; those that were away last.
    fn in_turn(&self) -> Vec<&Host> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.hosts.len().max(1);
        let (before, from) = self.hosts.split_at(first);
        let mut hosts: Vec<&Host> = from.iter().chain(before).collect();
        let now = Instant::now();
        hosts.sort_by_key(|host| host.away_until.lock().is_some_and(|until| until > now));
        hosts
    }
}

async fn read_bounded(mut response: Response, place: &str) -> Result<Answer> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| tell(&error, place))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(StorageError::Overloaded(format!(
                "Elasticsearch at {place}: an answer of more than {ANSWER_BYTES_MAX} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status,
        body,
        place: place.to_owned(),
    })
}

fn tell(error: &reqwest::Error, place: &str) -> StorageError {
    let why = chain(error);
    if error.is_connect() {
        StorageError::Unavailable(format!("Elasticsearch at {place} cannot be reached: {why}"))
    } else if error.is_timeout() {
        StorageError::Timeout(format!("Elasticsearch at {place}: {why}"))
    } else {
        StorageError::Unavailable(format!("Elasticsearch at {place}: {why}"))
    }
}

/// An error with its causes; addresses are not repeated.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}

#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

/// Why something was refused: a text, or its parts.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Reason {
    Parts(ReasonParts),
    Text(String),
}

#[derive(Deserialize)]
pub(crate) struct ReasonParts {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    #[serde(default)]
    caused_by: Option<Box<ReasonParts>>,
    #[serde(default)]
    root_cause: Vec<ReasonParts>,
}

impl ReasonParts {
    /// In one line.
    pub(crate) fn told(&self) -> String {
        let mut told = format!("{}: {}", self.kind, self.reason.as_deref().unwrap_or_default());
        let deeper = self.caused_by.as_deref().or(self.root_cause.first());
        if let Some(cause) = deeper.and_then(|cause| cause.reason.as_deref())
            && self.reason.as_deref() != Some(cause)
        {
            told.push_str(": ");
            told.push_str(cause);
        }
        told
    }
}

impl Answer {
    /// What it says, where it is no refusal.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.accepted()?;
        serde_json::from_slice(&self.body).map_err(|error| {
            StorageError::Unavailable(format!(
                "Elasticsearch at {}: an answer that cannot be read: {error}: {}",
                self.place,
                self.shown()
            ))
        })
    }

    /// Shards of an index that is just being created cannot be searched for a moment.
    fn is_of_starting_shards(&self) -> bool {
        const FAILED: &[u8] = b"search_phase_execution_exception";
        let is_told = || self.body.windows(FAILED.len()).any(|part| part == FAILED);
        self.status == StatusCode::SERVICE_UNAVAILABLE && is_told()
    }

    /// # Errors
    /// What a refusal means.
    pub(crate) fn accepted(&self) -> Result<()> {
        if self.status.is_success() {
            return Ok(());
        }
        let mut why = match serde_json::from_slice::<Refusal>(&self.body) {
            Ok(Refusal {
                error: Reason::Parts(parts),
            }) => parts.told(),
            Ok(Refusal {
                error: Reason::Text(text),
            }) => text,
            Err(_) => self.shown(),
        };
        if why.contains(WITHOUT_TEMPLATE) {
            why.push_str(" (the index was made without Zipkin's template, by something else)");
        }
        let told = format!("Elasticsearch at {}: {}: {why}", self.place, self.status);
        Err(match self.status {
            StatusCode::TOO_MANY_REQUESTS => StorageError::Overloaded(told),
            StatusCode::PAYLOAD_TOO_LARGE => StorageError::Invalid(told),
            _ => StorageError::Unavailable(told),
        })
    }

    fn shown(&self) -> String {
        let shown = &self.body[..self.body.len().min(SHOWN_BYTES_MAX)];
        String::from_utf8_lossy(shown).into_owned()
    }
}
