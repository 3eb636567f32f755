//! The routes, and how answers and failures become HTTP. The only file here that knows axum.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;
use storage::{DeploymentLimits, DeploymentQuery, Patched, Put, StorageError};

use crate::deployments::{self, DeploymentJson};
use crate::fields::parse;
use crate::slos::{self, SloJson};
use crate::sources::{Clock, Sources};

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
const LIMIT_DEFAULT: usize = 10;
const LIMIT_MAX: usize = 1_000;

type SharedState = State<Sources>;

/// The rollout API, at `/api/v2/*` and `/zipkin/api/v2/*`.
pub fn router(sources: Sources) -> Router {
    let routes = PREFIXES.into_iter().fold(Router::new(), |router, prefix| {
        let deployment = get(get_deployment)
            .patch(patch_deployment)
            .delete(delete_deployment);
        router
            .route(
                &format!("{prefix}/deployments"),
                post(post_deployment).get(list_deployments),
            )
            .route(&format!("{prefix}/deployments/{{id}}"), deployment)
            .route(&format!("{prefix}/slos"), get(list_slos))
            .route(
                &format!("{prefix}/slos/{{name}}"),
                get(get_slo).put(put_slo).delete(delete_slo),
            )
    });
    routes.with_state(sources)
}

/// What is answered instead of what was asked for.
#[derive(Debug)]
struct Failure {
    status: StatusCode,
    error: String,
}

impl Failure {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        let error = error.into();
        Self { status, error }
    }

    fn invalid(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    fn conflict(error: String) -> Self {
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

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (
            status,
            [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            body,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn post_deployment(State(sources): SharedState, request: Request) -> Result<Response, Failure> {
    let body = read_body(request).await?;
    let deployment = deployments::read(&body, &DeploymentLimits::default()).map_err(Failure::invalid)?;
    match sources.deployments.put_deployment(deployment).await? {
        Put::Added(added) => {
            let mut response = json(StatusCode::CREATED, &DeploymentJson::of(&added));
            // An identifier has no character that a header could not have.
            if let Ok(location) = HeaderValue::try_from(format!("/api/v2/deployments/{}", added.id)) {
                response.headers_mut().insert(LOCATION, location);
            }
            Ok(response)
        }
        Put::Present(present) => Ok(json(StatusCode::OK, &DeploymentJson::of(&present))),
        Put::Contradicts(what) => Err(Failure::conflict(what)),
    }
}

async fn list_deployments(
    State(sources): SharedState,
    RawQuery(text): RawQuery,
) -> Result<Response, Failure> {
    let query =
        deployment_query(text.as_deref().unwrap_or_default(), &sources.now).map_err(Failure::invalid)?;
    let found = sources.deployments.deployments(&query).await?;
    let found: Vec<_> = found
        .iter()
        .map(|deployment| DeploymentJson::of(deployment))
        .collect();
    Ok(json(StatusCode::OK, &found))
}

async fn get_deployment(State(sources): SharedState, uri: Uri) -> Result<Response, Failure> {
    let id = last_segment(&uri)?;
    match sources.deployments.deployment(&id).await? {
        Some(deployment) => Ok(json(StatusCode::OK, &DeploymentJson::of(&deployment))),
        None => Err(no_deployment(&id)),
    }
}

async fn patch_deployment(State(sources): SharedState, request: Request) -> Result<Response, Failure> {
    let id = last_segment(request.uri())?;
    let body = read_body(request).await?;
    let patch = deployments::read_patch(&body, &DeploymentLimits::default()).map_err(Failure::invalid)?;
    match sources.deployments.patch_deployment(&id, patch).await? {
        Patched::Done(deployment) => Ok(json(StatusCode::OK, &DeploymentJson::of(&deployment))),
        Patched::Absent => Err(no_deployment(&id)),
        Patched::Contradicts(what) => Err(Failure::conflict(what)),
    }
}

async fn delete_deployment(State(sources): SharedState, uri: Uri) -> Result<Response, Failure> {
    let id = last_segment(&uri)?;
    match sources.deployments.delete_deployment(&id).await? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(no_deployment(&id)),
    }
}

async fn list_slos(State(sources): SharedState) -> Result<Response, Failure> {
    let slos = sources.deployments.slos().await?;
    let slos: Vec<_> = slos.iter().map(SloJson::of).collect();
    Ok(json(StatusCode::OK, &slos))
}

async fn get_slo(State(sources): SharedState, uri: Uri) -> Result<Response, Failure> {
    let name = last_segment(&uri)?;
    match sources.deployments.slo(&name).await? {
        Some(slo) => Ok(json(StatusCode::OK, &SloJson::of(&slo))),
        None => Err(no_slo(&name)),
    }
}

async fn put_slo(State(sources): SharedState, request: Request) -> Result<Response, Failure> {
    let name = last_segment(request.uri())?;
    let body = read_body(request).await?;
    let slo = slos::read(&name, &body).map_err(Failure::invalid)?;
    let is_new = sources.deployments.put_slo(slo.clone()).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(json(status, &SloJson::of(&slo)))
}

async fn delete_slo(State(sources): SharedState, uri: Uri) -> Result<Response, Failure> {
    let name = last_segment(&uri)?;
    match sources.deployments.delete_slo(&name).await? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(no_slo(&name)),
    }
}

fn no_deployment(id: &str) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("there is no deployment \"{id}\""))
}

fn no_slo(name: &str) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("there is no objective \"{name}\""))
}

/// The identifier or name that a path ends with.
fn last_segment(uri: &Uri) -> Result<String, Failure> {
    let escaped = uri.path().rsplit('/').next().unwrap_or_default();
    let text = percent_decode_str(escaped).decode_utf8();
    text.map(std::borrow::Cow::into_owned)
        .map_err(|_| Failure::invalid("the path: its end is not UTF-8"))
}

async fn read_body(request: Request) -> Result<Value, Failure> {
    let read = read_bytes(request.into_body());
    let Ok(read) = tokio::time::timeout(BODY_TIMEOUT, read).await else {
        let what = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
        return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, what));
    };
    parse(&read?).map_err(Failure::invalid)
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

/// The parameters of a list. Those that are not known are ignored, as Zipkin ignores them.
fn deployment_query(text: &str, now: &Clock) -> Result<DeploymentQuery, String> {
    let mut query = DeploymentQuery {
        limit: LIMIT_DEFAULT,
        ..DeploymentQuery::default()
    };
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.replace('+', " ");
        let value = percent_decode_str(&value).decode_utf8();
        let value = value.map_err(|_| format!("{name}: is not UTF-8"))?;
        if value.is_empty() {
            continue;
        }
        let number = |least: u64, most: u64| {
            let number = value
                .parse::<u64>()
                .ok()
                .filter(|number| (least..=most).contains(number));
            let wrong =
                || format!("{name}: has to be a whole number from {least} to {most}, and is \"{value}\"");
            number.ok_or_else(wrong)
        };
        match name {
            "serviceName" => query.service_name = Some(value.to_lowercase()),
            "environment" => query.environment = Some(value.into_owned()),
            "endTs" => query.end_ts = Some(number(1, i64::MAX as u64)?),
            "lookback" => query.lookback = Some(number(1, i64::MAX as u64)?),
            "limit" => query.limit = number(1, LIMIT_MAX as u64)? as usize,
            _ => {}
        }
    }
    if query.lookback.is_some() && query.end_ts.is_none() {
        query.end_ts = Some(now());
    }
    Ok(query)
}
