//! Routes for pipelines: the gate, and the same for tools that read only the status.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use openapi::{Answer, Endpoint, Kind, Parameter, Parameters, Verb, schema_of};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use super::{Asked, Budget, GateAnswer, Policy, Subject, ask};
use crate::http::{AnyBody, Failure, Routes, json_with_completeness, parameters};
use crate::report::Decision;
use crate::reports::Reports;

const MIN_SCORE: Parameter = Parameter::optional(
    "minScore",
    Kind::Number(0.0, 100.0),
    "The score a deployment passes with; 90 without it",
);
const REQUIRE_BUDGET: Parameter = Parameter::optional(
    "requireBudget",
    Kind::Word(&["true", "false", "rollback", "hold"]),
    "What a spent error budget of the service means: true and rollback, take it back; hold, wait",
);
const ENVIRONMENT: Parameter = Parameter::optional(
    "environment",
    Kind::NAME,
    "A deployment to this environment, or to none that was told",
);

const GATE_PARAMETERS: &[Parameter] = &[
    Parameter::required("serviceName", Kind::NAME, "The service"),
    Parameter::required("version", Kind::NAME, "The version that goes live"),
    ENVIRONMENT,
    MIN_SCORE,
    REQUIRE_BUDGET,
];

const GATE: Endpoint = Endpoint {
    parameters: GATE_PARAMETERS,
    ..Endpoint::new(
        Verb::Get,
        "/gate",
        "Whether a pipeline should go on with a deployment, take it back, or ask again later",
        &[Answer::of(
            200,
            "The decision, whatever it is",
            schema_of::<GateAnswer>,
        )],
    )
};

/// Each may also stand in the `metadata` of the body.
const WEBHOOK_PARAMETERS: &[Parameter] = &[
    Parameter::optional(
        "for",
        Kind::Word(&["advance", "rollback"]),
        "rollback asks whether to take it back: 200 if so, else 409",
    ),
    Parameter::optional(
        "serviceName",
        Kind::NAME,
        "The service; the body's name without it",
    ),
    Parameter::optional(
        "version",
        Kind::NAME,
        "The version; without it the newest rollout of the service, if it is not finished",
    ),
    ENVIRONMENT,
    MIN_SCORE,
    REQUIRE_BUDGET,
];

const WEBHOOK: Endpoint = Endpoint {
    parameters: WEBHOOK_PARAMETERS,
    body: Some(webhook_body),
    ..Endpoint::new(
        Verb::Post,
        "/gate/webhook",
        "The gate for tools that read only the status, such as Flagger",
        &[
            Answer::of(
                200,
                "Go on; with for=rollback, take it back",
                schema_of::<GateAnswer>,
            ),
            Answer::of(
                409,
                "Take it back; with for=rollback, do not",
                schema_of::<GateAnswer>,
            ),
            Answer::of(425, "Ask again later", schema_of::<GateAnswer>),
        ],
    )
};

pub(crate) fn add(routes: Routes) -> Routes {
    routes.add(GATE, gate).add(WEBHOOK, webhook)
}

/// As Flagger sends it; other fields are ignored.
fn webhook_body(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "The service, unless serviceName says it"},
            "namespace": {"type": "string"},
            "phase": {"type": "string"},
            "checksum": {"type": "string"},
            "metadata": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "May have serviceName, version, environment, minScore and requireBudget",
            },
        },
    })
}

async fn gate(State(reports): State<Arc<Reports>>, query: RawQuery) -> Result<Response, Failure> {
    let parameters = parameters(&query, GATE_PARAMETERS)?;
    let subject = Subject {
        service_name: parameters.lower_case("serviceName").unwrap_or_default(),
        version: parameters.owned("version"),
        environment: parameters.owned("environment"),
    };
    let asked = ask(&reports, &subject, policy(&parameters)).await?;
    Ok(told(StatusCode::OK, &asked))
}

async fn webhook(
    State(reports): State<Arc<Reports>>,
    query: RawQuery,
    AnyBody(body): AnyBody,
) -> Result<Response, Failure> {
    let parameters = parameters(&query, WEBHOOK_PARAMETERS)?;
    let body = body.unwrap_or_default();
    let metadata = body.get("metadata").and_then(Value::as_object);
    let parameters = with_metadata(parameters, metadata).map_err(Failure::invalid)?;
    let name = body.get("name").and_then(Value::as_str).map(str::to_lowercase);
    let service_name = parameters.lower_case("serviceName").or(name);
    let subject = Subject {
        service_name: service_name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| Failure::invalid("serviceName: is required, here or as name in the body"))?,
        version: parameters.owned("version"),
        environment: parameters.owned("environment"),
    };
    let asked = ask(&reports, &subject, policy(&parameters)).await?;
    let status = match (parameters.text("for"), asked.answer.decision) {
        (Some("rollback"), Decision::Rollback) => StatusCode::OK,
        (Some("rollback"), _) | (_, Decision::Rollback) => StatusCode::CONFLICT,
        (_, Decision::Continue) => StatusCode::OK,
        (_, Decision::Wait) => StatusCode::TOO_EARLY,
    };
    Ok(told(status, &asked))
}

fn told(status: StatusCode, asked: &Asked) -> Response {
    json_with_completeness(status, &asked.answer, &asked.completeness)
}

/// Parameters, and what the metadata of a body adds to them, read in the same way.
fn with_metadata(
    mut parameters: Parameters,
    metadata: Option<&Map<String, Value>>,
) -> Result<Parameters, String> {
    for (name, value) in metadata.into_iter().flatten() {
        if let Some(value) = value.as_str() {
            let read = parameters.add(name, value, WEBHOOK_PARAMETERS);
            read.map_err(|what| format!("metadata.{what}"))?;
        }
    }
    Ok(parameters)
}

fn policy(parameters: &Parameters) -> Policy {
    Policy {
        min_score: parameters.number("minScore"),
        budget: match parameters.text("requireBudget") {
            Some("true" | "rollback") => Budget::Rollback,
            Some("hold") => Budget::Hold,
            _ => Budget::Ignored,
        },
    }
}
