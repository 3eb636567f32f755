//! How the rollout API is asked and how it answers: what routes are, bodies, parts of paths, and failures.
//!
//! The routes themselves are in the `http.rs` of the folder of what they are about, the only files that know axum.
//! Each is described as it is added (`Routes::add`), so that the API's document has them all.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, FromRequest, FromRequestParts, RawPathParams, RawQuery, Request};
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use http_body_util::BodyExt;
use openapi::{Base, Endpoint, Parameter, Parameters, Verb};
use serde::Serialize;
use serde_json::Value;
use storage::{Completeness, StorageError};

use crate::fields::parse;
use crate::reports::Reports;
use crate::sources::Sources;
use crate::watch::Events;
use crate::{charts, deployments, gate, kayenta, reports, slo_budget, slos, trace_diff, watch};

/// As the query API has them.
const PREFIXES: [&str; 2] = ["/api/v2", "/zipkin/api/v2"];
/// A deployment with ten thousand instances has a megabyte.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Of one that is too long, so much is read before the connection is given up.
const DISCARDED_BYTES_MAX: usize = 64 << 20;
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// When a client should come back that met a store that cannot write, in seconds.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// The rollout API, at `/api/v2/*` and `/zipkin/api/v2/*`, and Kayenta's routes at the root.
pub fn router(reports: Arc<Reports>, events: Events) -> Router {
    routes().router.with_state(Api { reports, events })
}

/// What each route says of itself, for the API's document.
pub fn endpoints() -> Vec<Endpoint> {
    routes().endpoints
}

/// All of them: a line a group.
fn routes() -> Routes {
    let routes = deployments::http::add(Routes::default());
    let routes = slos::http::add(routes);
    let routes = slo_budget::http::add(routes);
    let routes = reports::http::add(routes);
    let routes = gate::http::add(routes);
    let routes = kayenta::http::add(routes);
    let routes = charts::http::add(routes);
    let routes = watch::http::add(routes);
    trace_diff::http::add(routes)
}

/// What handlers can ask for as their state, whole or in parts.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    reports: Arc<Reports>,
    events: Events,
}

impl FromRef<Api> for Events {
    fn from_ref(api: &Api) -> Self {
        api.events.clone()
    }
}

impl FromRef<Api> for Sources {
    fn from_ref(api: &Api) -> Self {
        api.reports.sources().clone()
    }
}

impl FromRef<Api> for Arc<Reports> {
    fn from_ref(api: &Api) -> Self {
        Arc::clone(&api.reports)
    }
}

/// Routes, and what each says of itself.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    router: Router<Api>,
    endpoints: Vec<Endpoint>,
}

impl Routes {
    /// One more.
    pub(crate) fn add<T: 'static>(mut self, endpoint: Endpoint, handler: impl Handler<T, Api>) -> Self {
        let prefixes: &[&str] = match endpoint.base {
            Base::Api => &PREFIXES,
            Base::Root => &[""],
        };
        for prefix in prefixes {
            let path = format!("{prefix}{}", endpoint.path);
            self.router = self
                .router
                .route(&path, on(filter(endpoint.verb), handler.clone()));
        }
        self.endpoints.push(endpoint);
        self
    }
}

fn filter(verb: Verb) -> MethodFilter {
    match verb {
        Verb::Get => MethodFilter::GET,
        Verb::Post => MethodFilter::POST,
        Verb::Put => MethodFilter::PUT,
        Verb::Patch => MethodFilter::PATCH,
        Verb::Delete => MethodFilter::DELETE,
    }
}

/// What is answered instead of what was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    error: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        let error = error.into();
        Self { status, error }
    }

    /// What was sent is malformed; the error says where.
    pub(crate) fn invalid(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// What was sent contradicts what is there.
    pub(crate) fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let status = match &error {
            StorageError::Invalid(_) => StatusCode::BAD_REQUEST,
            StorageError::Overloaded(_) | StorageError::Unavailable(_) | StorageError::Timeout(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            StorageError::Corrupt(_) | StorageError::Unsupported(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, error } = self;
        if status.is_server_error() {
            tracing::warn!(
                status = status.as_u16(),
                error,
                "a request of the rollout API failed"
            );
        }
        #[derive(Serialize)]
        struct ErrorJson {
            error: String,
        }
        let mut response = json(status, &ErrorJson { error });
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_S);
        }
        response
    }
}

/// An answer with a body.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => json_bytes(status, body),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// An answer from what is stored, with whether all of that was considered.
pub(crate) fn json_with_completeness(
    status: StatusCode,
    value: &impl Serialize,
    completeness: &Completeness,
) -> Response {
    with_completeness(json(status, value), completeness)
}

/// An answer, and whether all of what is stored was considered for it.
pub(crate) fn with_completeness(mut response: Response, completeness: &Completeness) -> Response {
    // It is printable ASCII, which every header can have.
    if let Ok(told) = HeaderValue::try_from(completeness.header_value()) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(Completeness::HEADER), told);
    }
    response
}

/// An answer whose body is written already.
pub(crate) fn json_bytes(status: StatusCode, body: impl Into<Body>) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, content_type)], body.into()).into_response()
}

/// The parameters of a request, by the table of its route.
pub(crate) fn parameters(query: &RawQuery, table: &'static [Parameter]) -> Result<Parameters, Failure> {
    Parameters::read(query.0.as_deref(), table).map_err(Failure::invalid)
}

/// The first part of the path that varies, decoded.
#[derive(Debug)]
pub(crate) struct PathName(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let captured = RawPathParams::from_request_parts(parts, state).await;
        let captured = captured.map_err(|_| Failure::invalid("the path: is not UTF-8"))?;
        let first = captured.iter().next();
        Ok(Self(
            first.map_or_else(String::new, |(_, value)| value.to_owned()),
        ))
    }
}

/// A body that is JSON.
#[derive(Debug)]
pub(crate) struct JsonBody(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let body = read_in_time(request).await?;
        parse(&body).map(Self).map_err(Failure::invalid)
    }
}

/// A body that is JSON, or none.
#[derive(Debug)]
pub(crate) struct AnyBody(pub(crate) Option<Value>);

impl<S: Send + Sync> FromRequest<S> for AnyBody {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        match read_in_time(request).await? {
            body if body.is_empty() => Ok(Self(None)),
            body => parse(&body)
                .map(|body| Self(Some(body)))
                .map_err(Failure::invalid),
        }
    }
}

async fn read_in_time(request: Request) -> Result<Vec<u8>, Failure> {
    let read = read_bytes(request.into_body());
    tokio::time::timeout(BODY_TIMEOUT, read)
        .await
        .unwrap_or_else(|_| {
            let what = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
            Err(Failure::new(StatusCode::REQUEST_TIMEOUT, what))
        })
}

/// Reads a body to its end even if it is too long, within bounds: who still sends does not hear the answer.
async fn read_bytes(mut body: Body) -> Result<Vec<u8>, Failure> {
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::invalid(format!("the body ends early: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > DISCARDED_BYTES_MAX {
            break;
        }
        if length <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&data);
        }
    }
    if length > BODY_BYTES_MAX {
        let what = format!("the body has more than {BODY_BYTES_MAX} bytes");
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, what));
    }
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests;
