//! Routes of charts and lists.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::Kind as SpanKind;
use openapi::{Answer, Endpoint, Kind, Parameter, Parameters, Verb, schema_of};

use super::latency::{self, LatencyChart, POINTS_MAX, Question, SPREAD_POINTS_MAX};
use super::operations::{OperationList, operations};
use super::{MINUTE_MS, Minutes};
use crate::http::{Failure, Routes, json_with_completeness, parameters};
use crate::reports::Reports;

/// An hour.
const LOOKBACK_DEFAULT_MS: u64 = 3_600_000;
/// A leap year: objectives look back no longer either.
const LOOKBACK_MAX_MS: u64 = 366 * 24 * 60 * MINUTE_MS;
const STEP_MAX_MS: u64 = LOOKBACK_MAX_MS;
const OPERATIONS_DEFAULT: u64 = 1_000;
const OPERATIONS_MAX: u64 = 10_000;

const END_TS: Parameter = Parameter::optional(
    "endTs",
    Kind::MILLIS,
    "When the window ends, epoch milliseconds; now without it",
);
const LOOKBACK: Parameter = Parameter::optional(
    "lookback",
    Kind::Whole(1, LOOKBACK_MAX_MS),
    "How long the window is, milliseconds; an hour without it",
);

const LATENCY_PARAMETERS: &[Parameter] = &[
    Parameter::required("serviceName", Kind::NAME, "Whose requests"),
    Parameter::optional(
        "spanName",
        Kind::NAME,
        "Of this operation; all of the service without it",
    ),
    Parameter::optional(
        "spanKind",
        Kind::Word(&["CLIENT", "SERVER", "PRODUCER", "CONSUMER"]),
        "Spans of this kind; without it those that tell the requests of the service",
    ),
    END_TS,
    LOOKBACK,
    Parameter::optional(
        "step",
        Kind::Whole(MINUTE_MS, STEP_MAX_MS),
        "Milliseconds, whole minutes; without it some sixty steps",
    ),
    Parameter::optional(
        "groupBy",
        Kind::Word(&["version"]),
        "A series a version, as spans bear it in a tag; those without one are a series of their own",
    ),
    Parameter::optional(
        "histogram",
        Kind::Word(&["true", "false"]),
        "How durations are spread in each step, of at most 500 steps",
    ),
];

const LATENCY: Endpoint = Endpoint {
    parameters: LATENCY_PARAMETERS,
    ..Endpoint::new(
        Verb::Get,
        "/latency",
        "Rate, errors and percentiles of a service over time",
        &[Answer::of(200, "The series", schema_of::<LatencyChart>)],
    )
};

const OPERATIONS_PARAMETERS: &[Parameter] = &[
    Parameter::optional(
        "serviceName",
        Kind::NAME,
        "Operations of this service; of all without it",
    ),
    END_TS,
    LOOKBACK,
    Parameter::optional(
        "limit",
        Kind::Whole(1, OPERATIONS_MAX),
        "At most so many; 1000 without it",
    ),
];

const OPERATIONS: Endpoint = Endpoint {
    parameters: OPERATIONS_PARAMETERS,
    ..Endpoint::new(
        Verb::Get,
        "/operations",
        "Operations, and how they changed against the window before",
        &[Answer::of(200, "The operations", schema_of::<OperationList>)],
    )
};

pub(crate) fn add(routes: Routes) -> Routes {
    routes.add(LATENCY, chart).add(OPERATIONS, list)
}

async fn chart(State(reports): State<Arc<Reports>>, query: RawQuery) -> Result<Response, Failure> {
    let parameters = parameters(&query, LATENCY_PARAMETERS)?;
    let sources = reports.sources().clone();
    let question = question(&parameters, (sources.now)()).map_err(Failure::invalid)?;
    let look = move || async move {
        let (chart, completeness) = latency::chart(&sources, &question).await?;
        Ok(json_with_completeness(StatusCode::OK, &chart, &completeness))
    };
    Ok(reports.look(look).await?)
}

async fn list(State(reports): State<Arc<Reports>>, query: RawQuery) -> Result<Response, Failure> {
    let parameters = parameters(&query, OPERATIONS_PARAMETERS)?;
    let sources = reports.sources().clone();
    let service_name = parameters.lower_case("serviceName");
    let limit = parameters.whole("limit").unwrap_or(OPERATIONS_DEFAULT) as usize;
    let window = window(&parameters, (sources.now)());
    let look = move || async move {
        let list = operations(&sources, service_name.as_deref(), window, limit);
        let (list, completeness) = list.await?;
        Ok(json_with_completeness(StatusCode::OK, &list, &completeness))
    };
    Ok(reports.look(look).await?)
}

/// When it ends, and how long it is.
fn window(parameters: &Parameters, now: u64) -> (u64, u64) {
    (
        parameters.whole("endTs").unwrap_or(now),
        parameters.whole("lookback").unwrap_or(LOOKBACK_DEFAULT_MS),
    )
}

fn question(parameters: &Parameters, now: u64) -> Result<Question, String> {
    /// Steps where nothing says how long they are.
    const POINTS_DEFAULT: u64 = 60;

    let (end_ts, lookback) = window(parameters, now);
    let window = Minutes::of_window(end_ts, lookback);
    let step_minutes = match parameters.whole("step") {
        Some(step) if step % MINUTE_MS == 0 => step / MINUTE_MS,
        Some(step) => {
            return Err(format!(
                "step: has to be whole minutes, multiples of {MINUTE_MS}, and is {step}"
            ));
        }
        None => (window.count() / POINTS_DEFAULT).max(1),
    };
    let has_histogram = parameters.text("histogram") == Some("true");
    let points_max = if has_histogram {
        SPREAD_POINTS_MAX
    } else {
        POINTS_MAX
    };
    let kind = parameters.text("spanKind").map(SpanKind::parse).transpose();
    Ok(Question {
        service_name: parameters.lower_case("serviceName").unwrap_or_default(),
        span_name: parameters.lower_case("spanName"),
        kind: kind.map_err(|error| error.to_string())?,
        minutes: Question::steps(window, step_minutes, points_max)?,
        step_minutes,
        is_by_version: parameters.text("groupBy").is_some(),
        has_histogram,
        now,
    })
}
