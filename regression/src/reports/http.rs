//! Routes of reports: of one deployment, of all of a window, and of two searches.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use openapi::{Answer, Endpoint, Kind, Parameter, Verb, schema_of};
use storage::DeploymentQuery;

use super::Reports;
use super::populations::{gather, read_search};
use super::regressions::{Regression, Regressions};
use crate::analysis::compare;
use crate::deployments;
use crate::http::{
    Failure, PathName, Routes, json_bytes, json_with_completeness, parameters, with_completeness,
};
use crate::report::Report;

const LIMIT_DEFAULT: u64 = 10;
const LIMIT_MAX: u64 = 1_000;
/// Bytes of a search, as it stands in a parameter.
const SEARCH_BYTES_MAX: usize = 16 << 10;

const REPORT_PARAMETERS: &[Parameter] = &[Parameter::optional(
    "endTs",
    Kind::MILLIS,
    "By what was stored until then, epoch milliseconds; without it by all, or as it was kept",
)];

const REPORT: Endpoint = Endpoint {
    parameters: REPORT_PARAMETERS,
    ..Endpoint::new(
        Verb::Get,
        "/deployments/{id}/report",
        "Whether a deployment made anything slower or fail more, where, why, by how much and how sure",
        &[
            Answer::of(200, "The report", schema_of::<Report>),
            deployments::http::ABSENT,
        ],
    )
};

const REGRESSIONS_PARAMETERS: &[Parameter] = &[
    Parameter::optional(
        "endTs",
        Kind::MILLIS,
        "Deployments that began then or before, epoch milliseconds; now without it",
    ),
    Parameter::optional(
        "lookback",
        Kind::MILLIS,
        "Deployments that began at most so many milliseconds before endTs; QUERY_LOOKBACK without it",
    ),
    Parameter::optional(
        "environment",
        Kind::NAME,
        "Deployments of this environment, or of none that was told",
    ),
    Parameter::optional(
        "limit",
        Kind::Whole(1, LIMIT_MAX),
        "At most so many findings; 10 without it",
    ),
];

const REGRESSIONS: Endpoint = Endpoint {
    parameters: REGRESSIONS_PARAMETERS,
    ..Endpoint::new(
        Verb::Get,
        "/regressions",
        "The findings of all deployments that began in a window, worst first",
        &[Answer::of(
            200,
            "Findings, each with its deployment",
            schema_of::<Vec<Regression>>,
        )],
    )
};

const COMPARE_PARAMETERS: &[Parameter] = &[
    Parameter::required(
        "baselineQuery",
        Kind::Text(SEARCH_BYTES_MAX),
        "The traces that are compared with: parameters as /api/v2/traces takes them, encoded as one value",
    ),
    Parameter::required(
        "candidateQuery",
        Kind::Text(SEARCH_BYTES_MAX),
        "The traces that are compared, in the same way",
    ),
];

const COMPARE: Endpoint = Endpoint {
    parameters: COMPARE_PARAMETERS,
    ..Endpoint::new(
        Verb::Get,
        "/compare",
        "The same analysis of any two populations of traces, without a deployment",
        &[Answer::of(
            200,
            "The report, without a deployment",
            schema_of::<Report>,
        )],
    )
};

pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .add(REPORT, report)
        .add(REGRESSIONS, regressions)
        .add(COMPARE, compare_searches)
}

async fn report(
    State(reports): State<Arc<Reports>>,
    PathName(id): PathName,
    query: RawQuery,
) -> Result<Response, Failure> {
    let end_ts = parameters(&query, REPORT_PARAMETERS)?.whole("endTs");
    let deployment = reports.sources().deployments.deployment(&id).await?;
    let deployment = deployment.ok_or_else(|| deployments::http::absent(&id))?;
    let found = reports.report(&deployment, end_ts).await?;
    let (bytes, completeness) = found.into_bytes().await?;
    Ok(with_completeness(
        json_bytes(StatusCode::OK, bytes),
        &completeness,
    ))
}

async fn regressions(State(reports): State<Arc<Reports>>, query: RawQuery) -> Result<Response, Failure> {
    let parameters = parameters(&query, REGRESSIONS_PARAMETERS)?;
    let now = (reports.sources().now)();
    let lookback_ms = reports.settings().lookback_ms;
    let query = DeploymentQuery {
        service_name: None,
        environment: parameters.owned("environment"),
        end_ts: Some(parameters.whole("endTs").unwrap_or(now)),
        lookback: Some(parameters.whole("lookback").unwrap_or(lookback_ms)),
        limit: parameters.whole("limit").unwrap_or(LIMIT_DEFAULT) as usize,
    };
    let Regressions { found, completeness } = reports.regressions(query).await?;
    Ok(json_with_completeness(StatusCode::OK, &found, &completeness))
}

async fn compare_searches(State(reports): State<Arc<Reports>>, query: RawQuery) -> Result<Response, Failure> {
    let parameters = parameters(&query, COMPARE_PARAMETERS)?;
    let (now, lookback_ms) = ((reports.sources().now)(), reports.settings().lookback_ms);
    let search = |name: &str| {
        let search = read_search(parameters.text(name).unwrap_or_default(), now, lookback_ms);
        search.map_err(|what| Failure::invalid(format!("{name}: {what}")))
    };
    let (baseline, candidate) = (search("baselineQuery")?, search("candidateQuery")?);
    let (sources, settings) = (reports.sources().clone(), reports.settings().clone());
    let work = move || async move {
        let gather = |search| gather(&*sources.spans, search, &settings.version_tags);
        let (baseline, candidate) = (gather(baseline).await?, gather(candidate).await?);
        let report = compare(&baseline, &candidate, &settings.options);
        let completeness = report.completeness();
        Ok(json_with_completeness(StatusCode::OK, &report, &completeness))
    };
    Ok(reports.run(work).await?)
}
