//! Routes of deployments: declare, list, add to, forget.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, LOCATION};
use axum::response::{IntoResponse, Response};
use model::Deployment;
use openapi::{Answer, Endpoint, Kind, Parameter, Parameters, Verb, schema_of};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};
use storage::{DeploymentLimits, DeploymentQuery, Patched, Put};

use super::DeploymentJson;
use crate::http::{Failure, JsonBody, PathName, Routes, json, parameters};
use crate::report::Verdict;
use crate::reports::Reports;
use crate::sources::{Clock, Sources};

const LIMIT_DEFAULT: u64 = 10;
const LIMIT_MAX: u64 = 1_000;

const LIST_PARAMETERS: &[Parameter] = &[
    Parameter::optional("serviceName", Kind::NAME, "Those of this service"),
    Parameter::optional(
        "environment",
        Kind::NAME,
        "Those of this environment, or of none that was told",
    ),
    Parameter::optional(
        "endTs",
        Kind::MILLIS,
        "Those that began then or before, epoch milliseconds",
    ),
    Parameter::optional(
        "lookback",
        Kind::MILLIS,
        "Those that began at most so many milliseconds before endTs, which is now unless it is given",
    ),
    Parameter::optional(
        "limit",
        Kind::Whole(1, LIMIT_MAX),
        "At most so many; 10 without it",
    ),
];

const LIST: Endpoint = Endpoint {
    parameters: LIST_PARAMETERS,
    ..Endpoint::new(
        Verb::Get,
        "/deployments",
        "Deployments, newest first",
        &[Answer::of(
            200,
            "The deployments",
            schema_of::<Vec<Judged<'static>>>,
        )],
    )
};
/// What routes answer of a deployment that is not there.
pub(crate) const ABSENT: Answer = Answer::refused(404, "There is no such deployment");
const CONTRADICTS: Answer = Answer::refused(409, "It contradicts what is there");
const POST: Endpoint = Endpoint {
    body: Some(declaration),
    ..Endpoint::new(
        Verb::Post,
        "/deployments",
        "Declares a deployment",
        &[
            Answer::of(
                200,
                "It was declared before; nothing is added",
                schema_of::<DeploymentJson<'static>>,
            ),
            Answer::of(201, "It is new", schema_of::<DeploymentJson<'static>>),
            CONTRADICTS,
        ],
    )
};
const GET: Endpoint = Endpoint::new(
    Verb::Get,
    "/deployments/{id}",
    "A deployment, with what its report says if that is known already",
    &[
        Answer::of(200, "The deployment", schema_of::<Judged<'static>>),
        ABSENT,
    ],
);
const PATCH: Endpoint = Endpoint {
    body: Some(addition),
    ..Endpoint::new(
        Verb::Patch,
        "/deployments/{id}",
        "Adds to a deployment, declared or inferred",
        &[
            Answer::of(
                200,
                "The deployment as it is now",
                schema_of::<DeploymentJson<'static>>,
            ),
            ABSENT,
            CONTRADICTS,
        ],
    )
};
const DELETE: Endpoint = Endpoint::new(
    Verb::Delete,
    "/deployments/{id}",
    "Forgets a deployment and its report",
    &[Answer::empty(204, "It is gone"), ABSENT],
);

pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .add(LIST, list)
        .add(POST, post)
        .add(GET, get)
        .add(PATCH, patch)
        .add(DELETE, delete)
}

/// What [`super::read`] takes.
fn declaration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["serviceName", "version", "startTs"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "maxLength": 128, "pattern": "^[A-Za-z0-9._~:-]+$"},
            "serviceName": {"type": "string"},
            "version": {"type": "string"},
            "previousVersion": {"type": "string"},
            "environment": {"type": "string"},
            "strategy": {"enum": ["rolling", "canary", "blue_green", "recreate"]},
            "startTs": {"type": "integer", "description": "Epoch milliseconds"},
            "endTs": {"type": "integer", "description": "Epoch milliseconds"},
            "instances": instances(),
            "metadata": metadata(),
        },
    })
}

/// What [`super::read_patch`] takes.
fn addition(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "endTs": {"type": "integer", "description": "Epoch milliseconds"},
            "rolledBackTs": {"type": "integer", "description": "Epoch milliseconds"},
            "instances": instances(),
            "metadata": metadata(),
        },
    })
}

fn instances() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["ip", "switchTs"],
            "additionalProperties": false,
            "properties": {
                "ip": {"type": "string"},
                "port": {"type": "integer", "minimum": 1, "maximum": 65_535},
                "switchTs": {"type": "integer", "description": "Epoch milliseconds"},
            },
        },
    })
}

fn metadata() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

async fn post(State(sources): State<Sources>, JsonBody(body): JsonBody) -> Result<Response, Failure> {
    let deployment = super::read(&body, &DeploymentLimits::default()).map_err(Failure::invalid)?;
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

/// A deployment, and what is known of it without an analysis.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JudgedDeployment")]
struct Judged<'a> {
    #[serde(flatten)]
    deployment: DeploymentJson<'a>,
    /// As it was found out last; absent until somebody, the server itself among them, has had it analysed as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    /// Of the same report, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

impl<'a> Judged<'a> {
    async fn of(deployment: &'a Arc<Deployment>, reports: &Reports) -> Result<Self, Failure> {
        let outcome = reports.outcome(deployment).await?;
        Ok(Self {
            deployment: DeploymentJson::of(deployment),
            verdict: outcome.map(|outcome| outcome.verdict),
            score: outcome.and_then(|outcome| outcome.score),
        })
    }
}

async fn list(State(reports): State<Arc<Reports>>, query: RawQuery) -> Result<Response, Failure> {
    let sources = reports.sources();
    let query = read_query(&parameters(&query, LIST_PARAMETERS)?, &sources.now);
    let found = sources.deployments.deployments(&query).await?;
    let mut judged = Vec::with_capacity(found.len());
    for deployment in &found {
        judged.push(Judged::of(deployment, &reports).await?);
    }
    Ok(json(StatusCode::OK, &judged))
}

fn read_query(parameters: &Parameters, now: &Clock) -> DeploymentQuery {
    let lookback = parameters.whole("lookback");
    let end_ts = parameters.whole("endTs");
    DeploymentQuery {
        service_name: parameters.lower_case("serviceName"),
        environment: parameters.owned("environment"),
        end_ts: end_ts.or_else(|| lookback.map(|_| now())),
        lookback,
        limit: parameters.whole("limit").unwrap_or(LIMIT_DEFAULT) as usize,
    }
}

async fn get(State(reports): State<Arc<Reports>>, PathName(id): PathName) -> Result<Response, Failure> {
    match reports.sources().deployments.deployment(&id).await? {
        Some(deployment) => Ok(json(StatusCode::OK, &Judged::of(&deployment, &reports).await?)),
        None => Err(absent(&id)),
    }
}

async fn patch(
    State(sources): State<Sources>,
    PathName(id): PathName,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let patch = super::read_patch(&body, &DeploymentLimits::default()).map_err(Failure::invalid)?;
    match sources.deployments.patch_deployment(&id, patch).await? {
        Patched::Done(deployment) => Ok(json(StatusCode::OK, &DeploymentJson::of(&deployment))),
        Patched::Absent => Err(absent(&id)),
        Patched::Contradicts(what) => Err(Failure::conflict(what)),
    }
}

async fn delete(State(sources): State<Sources>, PathName(id): PathName) -> Result<Response, Failure> {
    match sources.deployments.delete_deployment(&id).await? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(absent(&id)),
    }
}

/// There is no deployment of this identifier.
pub(crate) fn absent(id: &str) -> Failure {
    Failure::not_found(format!("there is no deployment \"{id}\""))
}
