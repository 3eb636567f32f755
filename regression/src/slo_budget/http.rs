//! The route of an objective's budget.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use openapi::{Answer, Endpoint, Kind, Parameter, Verb, schema_of};

use super::{Budget, budget};
use crate::http::{Failure, PathName, Routes, json_with_completeness, parameters};
use crate::reports::Reports;
use crate::slos;

const PARAMETERS: &[Parameter] = &[Parameter::optional(
    "endTs",
    Kind::MILLIS,
    "When the window ends, epoch milliseconds; now without it",
)];

const BUDGET: Endpoint = Endpoint {
    parameters: PARAMETERS,
    ..Endpoint::new(
        Verb::Get,
        "/slos/{name}/budget",
        "How much of an objective's error budget is left, how fast it is spent, and what should alert",
        &[
            Answer::of(200, "The budget", schema_of::<Budget>),
            slos::http::ABSENT,
        ],
    )
};

pub(crate) fn add(routes: Routes) -> Routes {
    routes.add(BUDGET, get)
}

async fn get(
    State(reports): State<Arc<Reports>>,
    PathName(name): PathName,
    query: RawQuery,
) -> Result<Response, Failure> {
    let parameters = parameters(&query, PARAMETERS)?;
    let sources = reports.sources().clone();
    let end_ts = parameters.whole("endTs").unwrap_or_else(|| (sources.now)());
    let Some(slo) = sources.deployments.slo(&name).await? else {
        return Err(slos::http::absent(&name));
    };
    let look = move || async move {
        let (budget, completeness) = budget(&sources, &slo, end_ts).await?;
        Ok(json_with_completeness(StatusCode::OK, &budget, &completeness))
    };
    Ok(reports.look(look).await?)
}
