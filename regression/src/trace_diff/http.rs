//! The route of two traces side by side.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::{Span, TraceId};
use openapi::{Answer, Endpoint, Kind, Parameter, Parameters, Verb, schema_of};
use storage::StorageError;

use super::{DIFF_SPANS_MAX, TooManySpans, TraceDiff, diff};
use crate::http::{Failure, Routes, json_with_completeness, parameters};
use crate::reports::Reports;
use crate::sources::Sources;

/// An identifier has 32 characters; what is longer is told as Zipkin tells it.
const ID_BYTES_MAX: usize = 256;

const PARAMETERS: &[Parameter] = &[
    Parameter::required(
        "baseline",
        Kind::Text(ID_BYTES_MAX),
        "The trace that is compared against, by its identifier",
    ),
    Parameter::required(
        "candidate",
        Kind::Text(ID_BYTES_MAX),
        "The trace that is compared, by its identifier",
    ),
];

const DIFF: Endpoint = Endpoint {
    parameters: PARAMETERS,
    ..Endpoint::new(
        Verb::Get,
        "/traces/diff",
        "Two traces aligned by structure, and where the difference of their durations is",
        &[
            Answer::of(200, "What differs", schema_of::<TraceDiff>),
            Answer::refused(404, "There is no such trace"),
            Answer::refused(413, "A trace has too many spans"),
        ],
    )
};

pub(crate) fn add(routes: Routes) -> Routes {
    routes.add(DIFF, get)
}

async fn get(State(reports): State<Arc<Reports>>, query: RawQuery) -> Result<Response, Failure> {
    let parameters = parameters(&query, PARAMETERS)?;
    let (baseline, candidate) = (
        trace_id(&parameters, "baseline")?,
        trace_id(&parameters, "candidate")?,
    );
    let sources = reports.sources().clone();
    let look = move || async move { Ok(compare(&sources, baseline, candidate).await) };
    reports.look(look).await?
}

async fn compare(sources: &Sources, baseline: TraceId, candidate: TraceId) -> Result<Response, Failure> {
    let baseline = trace(sources, "baseline", baseline).await?;
    let candidate = trace(sources, "candidate", candidate).await?;
    let diff = diff(&baseline, &candidate).map_err(too_many)?;
    let completeness = sources.spans.completeness();
    Ok(json_with_completeness(StatusCode::OK, &diff, &completeness))
}

/// The trace that a parameter names.
fn trace_id(parameters: &Parameters, name: &str) -> Result<TraceId, Failure> {
    let text = parameters.text(name).unwrap_or_default();
    TraceId::parse(text).map_err(|error| Failure::invalid(format!("{name}: {error}")))
}

/// The spans of a trace.
async fn trace(sources: &Sources, name: &str, trace_id: TraceId) -> Result<Vec<Span>, Failure> {
    let spans = sources.spans.trace(trace_id).await;
    let spans = spans.map_err(|error| unreadable(name, error))?;
    if spans.is_empty() {
        return Err(Failure::not_found(format!(
            "{name}: there is no trace {trace_id}"
        )));
    }
    Ok(spans)
}

/// A store that does not read a trace because it has too many spans says so as it says what it cannot do at all.
fn unreadable(name: &str, error: StorageError) -> Failure {
    match error {
        StorageError::Unsupported(what) => {
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, format!("{name}: {what}"))
        }
        error => error.into(),
    }
}

fn too_many(TooManySpans { side, spans }: TooManySpans) -> Failure {
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("{side}: the trace has {spans} spans, more than {DIFF_SPANS_MAX}"),
    )
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn a_trace_that_a_store_finds_too_large_is_told_as_that() {
        let status = |error| unreadable("baseline", error).into_response().status();
        let too_large = StorageError::Unsupported("the trace has more than 2000000 spans".to_owned());
        assert_eq!(status(too_large), StatusCode::PAYLOAD_TOO_LARGE);
        let damaged = StorageError::Corrupt("a segment".to_owned());
        assert_eq!(status(damaged), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
