//! Kayenta's routes, where its clients expect them: at the root.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use openapi::{Answer, Base, Endpoint, Kind, Parameter, Verb, schema_of};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::judge::{self, judge};
use super::{CONFIG, Execution, JudgeResult, Question, execution};
use crate::gate::{Asked, ask};
use crate::http::{Failure, JsonBody, PathName, Routes, json, json_with_completeness, parameters};
use crate::reports::Reports;

const CONFIGS: Endpoint = Endpoint {
    base: Base::Root,
    parameters: &[APPLICATION],
    ..Endpoint::new(
        Verb::Get,
        "/canaryConfig",
        "Kayenta: configurations, of which there is one",
        &[Answer::of(200, "The configuration", schema_of::<Vec<Config>>)],
    )
};
const APPLICATION: Parameter = Parameter::optional("application", Kind::NAME, "The service");

const BEGIN_PARAMETERS: &[Parameter] = &[Parameter::required("application", Kind::NAME, "The service")];
const BEGIN: Endpoint = Endpoint {
    base: Base::Root,
    parameters: BEGIN_PARAMETERS,
    body: Some(begin_body),
    ..Endpoint::new(
        Verb::Post,
        "/canary/{id}",
        "Kayenta: begins to judge a deployment; the identifier is that of the configuration",
        &[
            Answer::of(200, "Where to ask for its score", schema_of::<Begun>),
            Answer::refused(404, "There is no such configuration"),
        ],
    )
};
const GET: Endpoint = Endpoint {
    base: Base::Root,
    ..Endpoint::new(
        Verb::Get,
        "/canary/{id}",
        "Kayenta: the score, once there is one; the identifier is that of the execution",
        &[
            Answer::of(200, "How far it is", schema_of::<Execution>),
            Answer::refused(404, "There is no such execution"),
        ],
    )
};
const JUDGE: Endpoint = Endpoint {
    base: Base::Root,
    body: Some(judge_body),
    ..Endpoint::new(
        Verb::Post,
        "/judge",
        "Kayenta: judges values of metrics, as Spinnaker's remote judge",
        &[Answer::of(200, "The score", schema_of::<JudgeResult>)],
    )
};

pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .add(CONFIGS, configs)
        .add(BEGIN, begin)
        .add(GET, get)
        .add(JUDGE, judge_metrics)
}

/// The parts that are read; the others of Kayenta's requests are ignored.
fn begin_body(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "scopes": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "properties": {"experimentScope": {"type": "object", "properties": {
                        "scope": {"type": "string", "description": "The version that is judged; the newest without it"},
                        "location": {"type": "string", "description": "The environment, if the deployment has one of this name"},
                    }}},
                },
            },
            "thresholds": {"type": "object", "properties": {
                "pass": {"type": "number", "minimum": 0, "maximum": 100},
                "marginal": {"type": "number", "minimum": 0, "maximum": 100},
            }},
        },
    })
}

/// The parts that are read.
fn judge_body(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["metricSetPairList"],
        "properties": {
            "canaryConfig": {"type": "object"},
            "scoreThresholds": {"type": "object"},
            "metricSetPairList": {"type": "array", "items": {
                "type": "object",
                "required": ["name", "values"],
                "properties": {
                    "name": {"type": "string"},
                    "id": {"type": "string"},
                    "tags": {"type": "object"},
                    "values": {"type": "object", "properties": {
                        "control": {"type": "array"}, "experiment": {"type": "array"},
                    }},
                },
            }},
        },
    })
}

/// As Kayenta lists it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CanaryConfig")]
struct Config {
    id: &'static str,
    name: &'static str,
    updated_timestamp: u64,
    updated_timestamp_iso: &'static str,
    applications: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Begun {
    canary_execution_id: String,
}

async fn configs(query: RawQuery) -> Result<Response, Failure> {
    let application = parameters(&query, &[APPLICATION])?.owned("application");
    let config = Config {
        id: CONFIG,
        name: CONFIG,
        updated_timestamp: 0,
        updated_timestamp_iso: "1970-01-01T00:00:00Z",
        applications: application.into_iter().collect(),
    };
    Ok(json(StatusCode::OK, &[config]))
}

async fn begin(
    State(reports): State<Arc<Reports>>,
    PathName(config): PathName,
    query: RawQuery,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    if config != CONFIG {
        let known = format!("there is no configuration \"{config}\"; there is \"{CONFIG}\"");
        return Err(Failure::not_found(known));
    }
    let parameters = parameters(&query, BEGIN_PARAMETERS)?;
    let application = parameters.text("application").unwrap_or_default();
    let (now, options) = ((reports.sources().now)(), &reports.settings().options);
    let question = Question::read(application, &body, now, options.min_score, options.marginal_score);
    let canary_execution_id = question.map_err(Failure::invalid)?.id();
    Ok(json(StatusCode::OK, &Begun { canary_execution_id }))
}

async fn get(State(reports): State<Arc<Reports>>, PathName(id): PathName) -> Result<Response, Failure> {
    let absent = || Failure::not_found("there is no such execution");
    let question = Question::of_id(&id).ok_or_else(absent)?;
    // A location that is no environment of the service, such as a namespace, tells nothing.
    let history = reports
        .sources()
        .deployments
        .history(&question.service_name)
        .await?;
    let environments = history.iter().map(|deployment| deployment.environment.as_ref());
    let location = question.location.as_ref();
    let environment = location.filter(|location| environments.flatten().any(|known| known == *location));
    let Asked {
        answer,
        report,
        completeness,
    } = ask(&reports, &question.subject(environment), question.policy()).await?;
    let (now, patience_ms) = ((reports.sources().now)(), reports.settings().options.monitor_ms);
    let execution = execution(&question, answer, report.as_deref(), now, patience_ms);
    Ok(json_with_completeness(StatusCode::OK, &execution, &completeness))
}

async fn judge_metrics(
    State(reports): State<Arc<Reports>>,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let options = reports.settings().options.clone();
    let request = judge::Request::read(&body, &options).map_err(Failure::invalid)?;
    let judged = reports
        .run(move || async move { Ok(judge(&request, &options)) })
        .await?;
    Ok(json(StatusCode::OK, &judged))
}
