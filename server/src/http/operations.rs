//! `/health`, `/info`, `/metrics` and `/prometheus`, and where Spring's actuator has them (`zipkin.md` 2.5).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use collector::Collector;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use storage::BoxFuture;

use super::metrics::Metrics;

const JSON: &str = "application/json; charset=utf-8";
const ACTUATOR_JSON: &str = "application/vnd.spring-boot.actuator.v2+json; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A probe waits no longer than this, and Kubernetes' default is not much longer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// Zipkin's words, which operators search for.
const HEALTH_TIMED_OUT: &str =
    "Timed out computing health status. This often means your storage backend is unreachable.";

/// Something whose health is the server's health.
#[derive(Clone)]
pub(crate) struct Component {
    /// As `/health` shows it.
    pub(crate) name: String,
    pub(crate) health: HealthCheck,
}

/// Asks something how it is; asked at every probe, given up after 5 s.
pub(crate) type HealthCheck = Arc<dyn Fn() -> BoxFuture<'static, Health> + Send + Sync>;

/// How something is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// Why it does not work, if it does not.
    pub(crate) error: Option<String>,
    /// What an operator wants to see, by name.
    pub(crate) details: Map<String, Value>,
}

/// What the operational endpoints tell about.
#[derive(Clone)]
pub(crate) struct Operations {
    pub(crate) components: Vec<Component>,
    pub(crate) collector: Arc<Collector>,
}

pub(super) fn router(operations: Operations, metrics: Arc<Metrics>) -> Router {
    let operational = Router::new()
        .route("/health", get(|state| health(state, JSON)))
        .route("/actuator/health", get(|state| health(state, ACTUATOR_JSON)))
        .route("/metrics", get(collector_metrics))
        .with_state(Arc::new(operations));
    let prometheus = Router::new()
        .route("/prometheus", get(prometheus))
        .route("/actuator/prometheus", get(prometheus))
        .with_state(metrics);
    Router::new()
        .route("/info", get(|| async { info(JSON) }))
        .route("/actuator/info", get(|| async { info(ACTUATOR_JSON) }))
        .merge(operational)
        .merge(prometheus)
}

async fn health(State(operations): State<Arc<Operations>>, content_type: &'static str) -> Response {
    let mut details = Map::new();
    let mut all_up = true;
    for component in &operations.components {
        let health = ask(&component.health).await;
        all_up &= health.error.is_none();
        details.insert(component.name.clone(), state(health));
    }
    let word = if all_up { "UP" } else { "DOWN" };
    let body = json!({"status": word, "zipkin": {"status": word, "details": details}});
    let status = if all_up {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [(CONTENT_TYPE, content_type)], format!("{body:#}")).into_response()
}

/// How something is; not well if it does not say so in time.
pub(crate) async fn ask(check: &HealthCheck) -> Health {
    let answer = tokio::time::timeout(HEALTH_TIMEOUT, check()).await;
    answer.unwrap_or_else(|_| Health {
        error: Some(HEALTH_TIMED_OUT.to_owned()),
        ..Health::default()
    })
}

fn state(health: Health) -> Value {
    let Health { error, mut details } = health;
    let word = if error.is_none() { "UP" } else { "DOWN" };
    if let Some(error) = error {
        details.insert("error".to_owned(), error.into());
    }
    if details.is_empty() {
        json!({"status": word})
    } else {
        json!({"status": word, "details": details})
    }
}

/// The commit is what the build was told, if it was.
fn info(content_type: &'static str) -> Response {
    let commit = option_env!("TRACEHOUND_COMMIT").unwrap_or("unknown");
    let body = json!({"zipkin": {"version": env!("CARGO_PKG_VERSION"), "commit": commit}});
    ([(CONTENT_TYPE, content_type)], format!("{body:#}")).into_response()
}

/// Exactly Zipkin's keys, seven a transport: scripts read them.
async fn collector_metrics(State(operations): State<Arc<Operations>>) -> Response {
    let mut body = Map::new();
    let metrics = operations.collector.metrics();
    for transport in metrics.shown() {
        let name = transport.name();
        let counts = metrics.snapshot(transport);
        for (counter, value) in [
            ("messages", counts.messages),
            ("bytes", counts.bytes),
            ("spans", counts.spans),
            ("messages_dropped", counts.messages_dropped),
            ("spans_dropped", counts.spans_dropped),
        ] {
            body.insert(format!("counter.zipkin_collector.{counter}.{name}"), value.into());
        }
        for (gauge, value) in [
            ("message_spans", counts.message_spans),
            ("message_bytes", counts.message_bytes),
        ] {
            body.insert(format!("gauge.zipkin_collector.{gauge}.{name}"), value.into());
        }
    }
    (
        [(CONTENT_TYPE, "application/json")],
        Value::Object(body).to_string(),
    )
        .into_response()
}

async fn prometheus(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.write() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
