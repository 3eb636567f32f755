//! One instance of a service: an HTTP server that works, calls others, and records a span of each side of a call.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Method, StatusCode, Uri};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::b3::Context;
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::http::Client;
use crate::reporter::{Delivery, Reporter};
use crate::span::{Endpoint, Kind, Span, Tags};
use crate::topology::{Call, Operation, Run, Service, span_name};
use crate::work::compute;

/// Where everything runs.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Of what an operation takes by itself, the share before its calls.
const WORK_BEFORE: f64 = 0.6;
/// What each thing more that is asked for adds, as a share of the first.
const WORK_PER_ITEM: f64 = 0.15;
/// What a refusal takes, as a share of an answer.
const WORK_OF_REFUSAL: f64 = 0.4;

/// What all instances have in common.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) directory: Arc<Directory>,
    pub(crate) delivery: Arc<Delivery>,
    /// Where spans are sent.
    pub(crate) tracing_server: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
}

/// Microseconds since the epoch that never go back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    at_start: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            at_start: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    pub(crate) fn now_micros(&self) -> u64 {
        (self.at_start + self.started.elapsed()).as_micros() as u64
    }
}

/// An instance that serves. It goes on until it is stopped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) service: Service,
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    reporting: JoinHandle<()>,
}

impl Running {
    /// Answers what it was asked, and sends its last spans.
    pub(crate) async fn stop(self) {
        // It has ended by itself if nobody listens.
        let _ = self.stop.send(());
        drop(self.serving.await);
        drop(self.reporting.await);
    }
}

/// Starts an instance on a free port.
///
/// # Errors
/// Where it cannot listen.
pub(crate) async fn start(
    service: Service,
    version: &'static str,
    operations: Vec<Operation>,
    surroundings: &Surroundings,
) -> Result<Running> {
    let listen = |source| Error::Listen {
        service: service.name(),
        source,
    };
    let listener = TcpListener::bind((LOOPBACK, 0)).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let client = Client::new();
    let delivery = Arc::clone(&surroundings.delivery);
    let (reporter, reporting) = Reporter::start(surroundings.tracing_server, client.clone(), delivery);
    let instance = Instance {
        service,
        version,
        operations,
        endpoint: Endpoint::new(service.name(), address),
        surroundings: surroundings.clone(),
        client,
        reporter,
        traces: AtomicU64::new(0),
    };
    let router = Router::new().fallback(serve).with_state(Arc::new(instance));
    let (stop, stopped) = oneshot::channel();
    let until = async move { drop(stopped.await) };
    let serving = tokio::spawn(async move {
        // It accepts until it is stopped, and never fails.
        drop(axum::serve(listener, router).with_graceful_shutdown(until).await);
    });
    Ok(Running {
        service,
        address,
        stop,
        serving,
        reporting,
    })
}

#[derive(Debug)]
struct Instance {
    service: Service,
    version: &'static str,
    operations: Vec<Operation>,
    endpoint: Endpoint,
    surroundings: Surroundings,
    client: Client,
    reporter: Reporter,
    /// Begun here.
    traces: AtomicU64,
}

async fn serve(
    State(instance): State<Arc<Instance>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> (StatusCode, &'static str) {
    let is_asked =
        |operation: &&Operation| (operation.method, operation.path) == (method.as_str(), uri.path());
    match instance.operations.iter().find(is_asked) {
        Some(operation) => {
            let query = uri.query().unwrap_or_default();
            instance.answer(operation, query, Context::read(&headers)).await
        }
        None => (StatusCode::NOT_FOUND, "no such path\n"),
    }
}

impl Instance {
    /// `joined` is the span that the caller began, if it did.
    async fn answer(
        &self,
        operation: &Operation,
        query: &str,
        joined: Option<Context>,
    ) -> (StatusCode, &'static str) {
        let began = Instant::now();
        let timestamp = self.surroundings.clock.now_micros();
        let context = joined.unwrap_or_else(|| self.begin_trace());
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.surroundings.seed ^ context.span_id);
        let status = self.work(operation, query, &context, &mut random).await;
        if context.is_sampled {
            self.reporter.report(Span {
                shared: joined.is_some(),
                ..self.span(
                    &context,
                    Kind::Server,
                    (operation.method, operation.path),
                    (timestamp, began),
                    Some(status),
                )
            });
        }
        let text = if status.is_success() { "done\n" } else { "failed\n" };
        (status, text)
    }

    /// What an answer takes, and what comes of it.
    async fn work(
        &self,
        operation: &Operation,
        query: &str,
        context: &Context,
        random: &mut Xoshiro256PlusPlus,
    ) -> StatusCode {
        let asked = Asked::read(query);
        let work = operation.work.draw(random).mul_f64(asked.work());
        compute();
        if asked.is_refused {
            sleep(work.mul_f64(WORK_OF_REFUSAL)).await;
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        sleep(work.mul_f64(WORK_BEFORE)).await;
        if operation.failing > 0.0 && random.random_bool(operation.failing) {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        let seeds: Vec<u64> = operation.calls.iter().map(|_| random.random()).collect();
        let calls = operation.calls.iter().zip(seeds);
        let calls = calls.map(|(call, seed)| self.make(call, context, seed));
        let answers = match operation.calls_run {
            Run::SideBySide => join_all(calls).await,
            Run::OneAfterAnother => {
                let mut answers = Vec::new();
                for call in calls {
                    answers.push(call.await);
                }
                answers
            }
        };
        sleep(work.mul_f64(1.0 - WORK_BEFORE)).await;
        match answers.iter().all(StatusCode::is_success) {
            true => StatusCode::OK,
            false => StatusCode::BAD_GATEWAY,
        }
    }

    /// A call as often as it is to be made; the first failure, if there is one.
    async fn make(&self, call: &Call, context: &Context, seed: u64) -> StatusCode {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let query = match call.items {
            1 => String::new(),
            items => format!("?items={items}"),
        };
        for _ in 0..call.times {
            if call.refused > 0.0 && random.random_bool(call.refused) {
                // What comes of it is known.
                self.ask(call, Asked::REFUSED, context, &mut random).await;
            }
            let status = self.ask(call, &query, context, &mut random).await;
            if !status.is_success() {
                return status;
            }
        }
        StatusCode::OK
    }

    async fn ask(
        &self,
        call: &Call,
        query: &str,
        context: &Context,
        random: &mut Xoshiro256PlusPlus,
    ) -> StatusCode {
        let Some(callee) = self.surroundings.directory.pick(call.service, random) else {
            return StatusCode::BAD_GATEWAY;
        };
        let context = Context {
            span_id: random.random_range(1..u64::MAX),
            parent_id: Some(context.span_id),
            ..*context
        };
        let (timestamp, began) = (self.surroundings.clock.now_micros(), Instant::now());
        let headers = context.write(self.service.style());
        let method = match call.method {
            "POST" => Method::POST,
            _ => Method::GET,
        };
        let path = format!("{}{query}", call.path);
        let answer = self
            .client
            .send(callee, method, &path, headers, Bytes::new())
            .await;
        let status = answer.ok().map(|answer| answer.status);
        if context.is_sampled {
            self.reporter.report(Span {
                remote_endpoint: Some(Endpoint::new(call.service.name(), callee)),
                ..self.span(
                    &context,
                    Kind::Client,
                    (call.method, call.path),
                    (timestamp, began),
                    status,
                )
            });
        }
        status.unwrap_or(StatusCode::BAD_GATEWAY)
    }

    /// Identifiers from the seed: the same demo has the same ones.
    fn begin_trace(&self) -> Context {
        let number = self.traces.fetch_add(1, Ordering::Relaxed);
        let seed = self.surroundings.seed.rotate_left(32) ^ number;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Context {
            trace_id: u128::from(random.random::<u64>()) << 64 | u128::from(random.random_range(1..u64::MAX)),
            span_id: random.random_range(1..u64::MAX),
            parent_id: None,
            is_sampled: true,
        }
    }

    /// `status` is `None` where nobody answered.
    fn span(
        &self,
        context: &Context,
        kind: Kind,
        (method, path): (&'static str, &'static str),
        (timestamp, began): (u64, Instant),
        status: Option<StatusCode>,
    ) -> Span {
        let error = match status {
            Some(status) if status.is_success() => None,
            Some(status) => Some(status.as_str().to_owned()),
            None => Some("not answered".to_owned()),
        };
        Span {
            trace_id: format!("{:032x}", context.trace_id),
            id: format!("{:016x}", context.span_id),
            parent_id: context.parent_id.map(|parent| format!("{parent:016x}")),
            kind,
            name: span_name(method, path),
            timestamp,
            duration: (began.elapsed().as_micros() as u64).max(1),
            local_endpoint: self.endpoint.clone(),
            remote_endpoint: None,
            tags: Tags {
                version: self.version,
                method,
                path,
                status: status.map(|status| status.as_str().to_owned()),
                error,
            },
            shared: false,
        }
    }
}

/// What a request asks for beyond its path.
struct Asked {
    items: u32,
    is_refused: bool,
}

impl Asked {
    /// The query of a request that a callee cannot answer.
    const REFUSED: &'static str = "?only=cached";

    fn read(query: &str) -> Self {
        let items = query.strip_prefix("items=").and_then(|items| items.parse().ok());
        Self {
            items: items.unwrap_or(1),
            is_refused: Self::REFUSED.ends_with(query) && !query.is_empty(),
        }
    }

    /// How many times as long it takes as one thing.
    fn work(&self) -> f64 {
        1.0 + WORK_PER_ITEM * f64::from(self.items.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests;
