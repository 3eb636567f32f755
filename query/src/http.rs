//! The routes, and how answers and failures become HTTP. Beside `trace_view/http.rs` the only file here that knows axum.
//!
//! Left to the server, because they concern every route: compression, CORS, and that an unknown path or a wrong
//! method is 404.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LINK, RETRY_AFTER};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use hyper::body::Frame;
use openapi::Endpoint;
use storage::{Completeness, SpanSource, StorageError};

use crate::answer::{self, Answer, Failure};
use crate::params::Params;
use crate::span_json::{PIECE_BYTES, SpanJson};
use crate::{Query, QueryConfig, described, trace_view};

/// Zipkin answers at both: the second is what its UI calls.
const PREFIXES: [&str; 2] = ["/api/v2", "/zipkin/api/v2"];

/// Whether everything stored in the window was considered: `complete`, or `partial; reason="…"`.
pub const COMPLETENESS: HeaderName = HeaderName::from_static(Completeness::HEADER);

/// So many pieces are written before other work of the same runtime worker has its turn: a fast connection
/// would otherwise take a whole answer at once. Half a megabyte, some 0.5 ms.
const PIECES_A_TURN: usize = 8;

/// When a client that met a full queue should come back, in seconds.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// Zipkin's query API, at `/api/v2/*` and `/zipkin/api/v2/*`. `GET /api/v2/spans` is meant to be merged with the
/// collector's `POST` of the same path.
pub fn router(config: QueryConfig, source: Arc<dyn SpanSource>) -> Router {
    routes().router.with_state(Arc::new(Query::new(config, source)))
}

/// What each route says of itself, for the API's document.
pub fn endpoints() -> Vec<Endpoint> {
    routes().endpoints
}

fn routes() -> Routes {
    Routes::default()
        .add(described::SERVICES, get(services))
        .add(described::SPANS, get(span_names))
        .add(described::REMOTE_SERVICES, get(remote_services))
        .add(described::TRACES, get(traces))
        .add(described::UNTIMED, get(untimed))
        .add(described::TRACE, get(trace))
        .add(described::TRACE_MANY, get(trace_many))
        .add(described::TRACE_SUMMARIES, get(trace_summaries))
        .add(described::TRACE_VIEW_OF, post(trace_view::http::post))
        .add(described::TRACE_VIEW, get(trace_view))
        .add(described::TRACE_VIEW_SPANS, get(trace_view_spans))
        .add(described::DEPENDENCIES, get(dependencies))
        .add(described::AUTOCOMPLETE_KEYS, get(autocomplete_keys))
        .add(described::AUTOCOMPLETE_VALUES, get(autocomplete_values))
}

/// Routes, and what each says of itself.
#[derive(Default)]
struct Routes {
    router: Router<Arc<Query>>,
    endpoints: Vec<Endpoint>,
}

impl Routes {
    fn add(mut self, endpoint: Endpoint, method: MethodRouter<Arc<Query>>) -> Self {
        for prefix in PREFIXES {
            let path = format!("{prefix}{}", endpoint.path);
            self.router = self.router.route(&path, method.clone());
        }
        self.endpoints.push(endpoint);
        self
    }
}

pub(crate) type SharedQuery = State<Arc<Query>>;

async fn services(State(query): SharedQuery) -> Response {
    respond(&query, query.services()).await
}

async fn span_names(State(query): SharedQuery, RawQuery(text): RawQuery) -> Response {
    respond(&query, query.span_names(&Params::parse(text.as_deref()))).await
}

async fn remote_services(State(query): SharedQuery, RawQuery(text): RawQuery) -> Response {
    respond(&query, query.remote_services(&Params::parse(text.as_deref()))).await
}

async fn traces(State(query): SharedQuery, RawQuery(text): RawQuery) -> Response {
    respond(&query, query.traces(&Params::parse(text.as_deref()))).await
}

async fn untimed(State(query): SharedQuery, RawQuery(text): RawQuery) -> Response {
    respond(&query, query.untimed(&Params::parse(text.as_deref()))).await
}

/// Takes the identifier from the path as it was sent: one that is not UTF-8 gets Zipkin's answer, not axum's.
async fn trace(State(query): SharedQuery, uri: Uri) -> Response {
    let escaped_id = uri.path().rsplit('/').next().unwrap_or_default();
    respond(&query, query.trace(escaped_id)).await
}

async fn trace_view(State(query): SharedQuery, uri: Uri) -> Response {
    let escaped_id = uri.path().rsplit('/').next().unwrap_or_default();
    respond(&query, query.trace_view(escaped_id)).await
}

async fn trace_view_spans(State(query): SharedQuery, uri: Uri) -> Response {
    let mut parts = uri.path().rsplit('/');
    let (span_id, trace_id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    respond(&query, query.trace_view_spans(trace_id, span_id)).await
}

async fn trace_many(State(query): SharedQuery, RawQuery(text): RawQuery) -> Response {
    respond(&query, query.trace_many(&Params::parse(text.as_deref()))).await
}

async fn trace_summaries(State(query): SharedQuery, RawQuery(text): RawQuery) -> Response {
    respond(&query, query.trace_summaries(&Params::parse(text.as_deref()))).await
}

async fn dependencies(State(query): SharedQuery, RawQuery(text): RawQuery) -> Response {
    respond(&query, query.dependencies(&Params::parse(text.as_deref()))).await
}

async fn autocomplete_keys(State(query): SharedQuery) -> Response {
    answer_response(&query.config, query.autocomplete_keys())
}

async fn autocomplete_values(State(query): SharedQuery, RawQuery(text): RawQuery) -> Response {
    respond(&query, query.autocomplete_values(&Params::parse(text.as_deref()))).await
}

/// Answers what is asked of the store, with whether all of it was considered.
async fn respond(query: &Query, asked: impl Future<Output = Result<Answer, Failure>>) -> Response {
    let of_store = async {
        let answer = asked.await;
        answer.map(|answer| answer.with_completeness_of(query.source.as_ref()))
    };
    respond_as_told(query, of_store).await
}

/// Answers what does not depend on what is stored.
pub(crate) async fn respond_as_told(
    query: &Query,
    asked: impl Future<Output = Result<Answer, Failure>>,
) -> Response {
    let timeout = query.config.timeout;
    let outcome = tokio::time::timeout(timeout, asked)
        .await
        .unwrap_or(Err(Failure::TimedOut(timeout)));
    match outcome {
        Ok(answer) => answer_response(&query.config, answer),
        Err(failure) => refuse(query, &failure),
    }
}

/// Says why there is no answer.
pub(crate) fn refuse(query: &Query, failure: &Failure) -> Response {
    failure_response(failure, query.source.completeness())
}

fn answer_response(config: &QueryConfig, answer: Answer) -> Response {
    let body = match answer.body {
        answer::Body::Whole(json) => Body::from(json),
        answer::Body::Written(json) => pieces_body(Rest::Written(json)),
        answer::Body::Spans(spans) => pieces_body(Rest::Spans(spans)),
    };
    let mut response = (
        [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        body,
    )
        .into_response();
    let headers = response.headers_mut();
    headers.insert(COMPLETENESS, completeness_value(&answer.completeness));
    if let Some(next) = answer.next {
        // Of the same path, whatever a proxy calls it.
        headers.insert(LINK, header_value(&format!("<?{next}>; rel=\"next\"")));
    }
    if answer.cacheable {
        let value = format!("max-age={}, must-revalidate", config.names_max_age_s);
        headers.insert(CACHE_CONTROL, header_value(&value));
    }
    response
}

/// An answer that fits one piece is sent with its length, a longer one piece by piece.
fn pieces_body(mut rest: Rest) -> Body {
    let first = rest.next().unwrap_or_default();
    if rest.is_finished() {
        return Body::from(first);
    }
    Body::new(Pieces {
        first: Some(first),
        rest,
        turn_pieces: 0,
    })
}

/// What is still to be sent.
enum Rest {
    Written(Bytes),
    /// Each piece is written when the connection asks for it.
    Spans(SpanJson),
}

impl Rest {
    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Written(json) if json.is_empty() => None,
            Self::Written(json) => Some(json.split_to(json.len().min(PIECE_BYTES))),
            Self::Spans(spans) => spans.next().map(Bytes::from),
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Self::Written(json) => json.is_empty(),
            Self::Spans(spans) => spans.is_finished(),
        }
    }
}

/// Gives a piece when the connection asks for it.
struct Pieces {
    first: Option<Bytes>,
    rest: Rest,
    turn_pieces: usize,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.turn_pieces == PIECES_A_TURN {
            self.turn_pieces = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.turn_pieces += 1;
        let piece = self.first.take().or_else(|| self.rest.next());
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_finished()
    }
}

fn failure_response(failure: &Failure, completeness: Completeness) -> Response {
    let status = status(failure);
    if status.is_server_error() {
        tracing::warn!(status = status.as_u16(), error = %failure, "a query failed");
    }
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = (status, [(CONTENT_TYPE, content_type)], failure.to_string()).into_response();
    match failure {
        Failure::Storage(StorageError::Overloaded(_)) => {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_S);
        }
        Failure::NotFound(_) | Failure::SpanNotFound(_) => {
            response
                .headers_mut()
                .insert(COMPLETENESS, completeness_value(&completeness));
        }
        _ => {}
    }
    response
}

/// `zipkin.md` 2.3: what the client got wrong is 400, anything else 500. Beyond Zipkin, a full queue is 503.
fn status(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Invalid(_) => StatusCode::BAD_REQUEST,
        Failure::NotFound(_) | Failure::SpanNotFound(_) => StatusCode::NOT_FOUND,
        Failure::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Failure::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
        Failure::TimedOut(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Failure::Storage(StorageError::Invalid(_) | StorageError::Unsupported(_)) => StatusCode::BAD_REQUEST,
        Failure::Storage(StorageError::Overloaded(_)) => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn completeness_value(completeness: &Completeness) -> HeaderValue {
    header_value(&completeness.header_value())
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("printable ASCII is a header value")
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, Request};
    use axum::routing::post;
    use http_body_util::BodyExt;
    use storage_memory::{MemoryConfig, MemoryStore};
    use tower::ServiceExt;

    use super::*;

    async fn call(router: &Router, method: Method, uri: &str) -> (StatusCode, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Body::empty())
            .unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, body.collect().await.unwrap().to_bytes().to_vec())
    }

    /// As the server does: the collector's route, then one answer to everything else.
    #[tokio::test]
    async fn merges_with_the_collectors_post_of_the_same_path() {
        let collector = Router::new().route("/api/v2/spans", post(async || StatusCode::ACCEPTED));
        let config = QueryConfig::new(Arc::new(|| 1));
        let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
        let not_found = async || StatusCode::NOT_FOUND;
        let server = router(config, store)
            .merge(collector)
            .fallback(not_found)
            .method_not_allowed_fallback(not_found);

        assert_eq!(
            call(&server, Method::POST, "/api/v2/spans").await.0,
            StatusCode::ACCEPTED
        );
        let names = call(&server, Method::GET, "/api/v2/spans?serviceName=a").await;
        assert_eq!(names, (StatusCode::OK, b"[]".to_vec()));
        for (method, uri) in [
            (Method::POST, "/zipkin/api/v2/spans"),
            (Method::POST, "/api/v2/traces"),
            (Method::DELETE, "/api/v2/spans"),
            (Method::GET, "/api/v1/traces"),
            (Method::GET, "/api/v2/trace/"),
            (Method::GET, "/api/v2/services/"),
        ] {
            assert_eq!(call(&server, method, uri).await.0, StatusCode::NOT_FOUND, "{uri}");
        }
    }
}
