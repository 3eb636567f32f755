//! The route of two traces side by side.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::{Span, TraceId};

use super::{DIFF_SPANS_MAX, TooManySpans, TraceDiff, diff};
use crate::http::{Failure, Routes, json_with_completeness, parameters};
use crate::openapi::{Answer, Endpoint, Verb, schema_of};
use crate::parameters::{Kind, Parameter, Parameters};
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
        &[Answer::of(200, "What differs", schema_of::<TraceDiff>)],
    )
};

pub(crate) fn add(routes: Routes) -> Routes {
    routes.add(DIFF, get)
}

async fn get(State(sources): State<Sources>, query: RawQuery) -> Result<Response, Failure> {
    let parameters = parameters(&query, PARAMETERS)?;
    let baseline = trace(&sources, &parameters, "baseline").await?;
    let candidate = trace(&sources, &parameters, "candidate").await?;
    let diff = diff(&baseline, &candidate).map_err(too_many)?;
    let completeness = sources.spans.completeness();
    Ok(json_with_completeness(StatusCode::OK, &diff, &completeness))
}

/// The spans of a trace that a parameter names.
async fn trace(sources: &Sources, parameters: &Parameters, name: &str) -> Result<Vec<Span>, Failure> {
    let text = parameters.text(name).unwrap_or_default();
    let trace_id = TraceId::parse(text).map_err(|error| Failure::invalid(format!("{name}: {error}")))?;
    let spans = sources.spans.trace(trace_id).await?;
    if spans.is_empty() {
        return Err(Failure::not_found(format!(
            "{name}: there is no trace {trace_id}"
        )));
    }
    Ok(spans)
}

fn too_many(TooManySpans { side, spans }: TooManySpans) -> Failure {
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("{side}: the trace has {spans} spans, more than {DIFF_SPANS_MAX}"),
    )
}
