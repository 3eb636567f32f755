//! Routes of objectives.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use openapi::{Answer, Endpoint, Verb, schema_of};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::SloJson;
use crate::http::{Failure, JsonBody, PathName, Routes, json};
use crate::sources::Sources;

const LIST: Endpoint = Endpoint::new(
    Verb::Get,
    "/slos",
    "All objectives, by name",
    &[Answer::of(
        200,
        "The objectives",
        schema_of::<Vec<SloJson<'static>>>,
    )],
);
const GET: Endpoint = Endpoint::new(
    Verb::Get,
    "/slos/{name}",
    "An objective",
    &[
        Answer::of(200, "The objective", schema_of::<SloJson<'static>>),
        ABSENT,
    ],
);
const PUT: Endpoint = Endpoint {
    body: Some(body),
    ..Endpoint::new(
        Verb::Put,
        "/slos/{name}",
        "Keeps an objective, in the place of the one before",
        &[
            Answer::of(200, "It took the place of another", schema_of::<SloJson<'static>>),
            Answer::of(201, "It is new", schema_of::<SloJson<'static>>),
        ],
    )
};
/// What routes answer of an objective that is not there.
pub(crate) const ABSENT: Answer = Answer::refused(404, "There is no such objective");
const DELETE: Endpoint = Endpoint::new(
    Verb::Delete,
    "/slos/{name}",
    "Forgets an objective",
    &[Answer::empty(204, "It is gone"), ABSENT],
);

pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .add(LIST, list)
        .add(GET, get)
        .add(PUT, put)
        .add(DELETE, delete)
}

/// What [`super::read`] takes.
fn body(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["serviceName", "indicator", "objective", "windowDays"],
        "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "description": "As in the path, or absent"},
            "serviceName": {"type": "string"},
            "spanName": {"type": "string", "description": "All of the service without it"},
            "indicator": {"enum": ["availability", "latency"]},
            "thresholdMs": {"type": "integer", "minimum": 1, "description": "Required for latency, of nothing else"},
            "objective": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "windowDays": {"type": "integer", "minimum": 1, "maximum": 366},
        },
    })
}

async fn list(State(sources): State<Sources>) -> Result<Response, Failure> {
    let slos = sources.deployments.slos().await?;
    let slos: Vec<_> = slos.iter().map(SloJson::of).collect();
    Ok(json(StatusCode::OK, &slos))
}

async fn get(State(sources): State<Sources>, PathName(name): PathName) -> Result<Response, Failure> {
    match sources.deployments.slo(&name).await? {
        Some(slo) => Ok(json(StatusCode::OK, &SloJson::of(&slo))),
        None => Err(absent(&name)),
    }
}

async fn put(
    State(sources): State<Sources>,
    PathName(name): PathName,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let slo = super::read(&name, &body).map_err(Failure::invalid)?;
    let is_new = sources.deployments.put_slo(slo.clone()).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(json(status, &SloJson::of(&slo)))
}

async fn delete(State(sources): State<Sources>, PathName(name): PathName) -> Result<Response, Failure> {
    match sources.deployments.delete_slo(&name).await? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(absent(&name)),
    }
}

pub(crate) fn absent(name: &str) -> Failure {
    Failure::not_found(format!("there is no objective \"{name}\""))
}
