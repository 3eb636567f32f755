//! Which pages of other origins a browser lets read our answers (`zipkin.md` 2.7).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::config::AllowedOrigins;

const METHODS: HeaderValue = HeaderValue::from_static("GET,POST");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("content-type,x-grpc-web");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("grpc-status,grpc-message,armeria.grpc.ThrowableProto-bin");

/// Answers preflights itself and marks all other answers. Who is not allowed is answered without marks: it is
/// the browser that keeps the page from reading it.
pub(super) async fn allow(
    State(allowed): State<Arc<AllowedOrigins>>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request
        .headers()
        .get(ORIGIN)
        .and_then(|origin| allowed_origin(&allowed, origin));
    let preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight {
        StatusCode::OK.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    if *allowed != AllowedOrigins::Any {
        // The same address has different answers: caches must keep them apart.
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = origin {
        mark(headers, origin, preflight);
    }
    response
}

fn allowed_origin(allowed: &AllowedOrigins, origin: &HeaderValue) -> Option<HeaderValue> {
    match allowed {
        AllowedOrigins::Any => Some(HeaderValue::from_static("*")),
        AllowedOrigins::Listed(origins) => origins
            .iter()
            .any(|listed| listed.as_bytes() == origin.as_bytes())
            .then(|| origin.clone()),
    }
}

fn mark(headers: &mut HeaderMap, origin: HeaderValue, preflight: bool) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    } else {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}
