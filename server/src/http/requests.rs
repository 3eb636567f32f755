//! Counts and times every request, by method, status and route (`zipkin.md` 2.5).

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};

use super::metrics::Metrics;

/// What Zipkin's UI is counted as, whichever of its pages it is.
const UI_PAGE: &str = "/zipkin/index.html";

pub(super) async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let uri = uri_label(route.as_ref().map(MatchedPath::as_str), &response);
    metrics.request(method, response.status().as_u16(), uri, begin.elapsed());
    response
}

/// Labels must be few: what a client makes up is not one.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::TRACE => "TRACE",
        _ => "OTHER",
    }
}

/// The route's template, in Zipkin's names: `{traceId}` for the identifier, the UI's calls as the API's.
fn uri_label(route: Option<&str>, response: &Response) -> String {
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE);
    let is_page = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    match route {
        _ if status.is_redirection() && status != StatusCode::NOT_MODIFIED => "REDIRECTION".to_owned(),
        _ if status == StatusCode::NOT_FOUND => "NOT_FOUND".to_owned(),
        None => "UNKNOWN".to_owned(),
        Some(route) if route.starts_with("/zipkin") && is_page => UI_PAGE.to_owned(),
        Some(route) => {
            let of_ui = route.strip_prefix("/zipkin");
            of_ui
                .filter(|path| path.starts_with("/api"))
                .unwrap_or(route)
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn routes_have_zipkins_labels() {
        let label = |route, response: Response| uri_label(route, &response);
        let ok = || StatusCode::OK.into_response();
        assert_eq!(
            label(Some("/api/v2/trace/{traceId}"), ok()),
            "/api/v2/trace/{traceId}"
        );
        assert_eq!(label(Some("/zipkin/api/v2/services"), ok()), "/api/v2/services");
        assert_eq!(
            label(Some("/api/v2/spans"), StatusCode::ACCEPTED.into_response()),
            "/api/v2/spans"
        );
        assert_eq!(label(Some("/"), StatusCode::FOUND.into_response()), "REDIRECTION");
        assert_eq!(
            label(
                Some("/api/v2/trace/{traceId}"),
                StatusCode::NOT_FOUND.into_response()
            ),
            "NOT_FOUND"
        );
        assert_eq!(
            label(None, StatusCode::METHOD_NOT_ALLOWED.into_response()),
            "UNKNOWN"
        );
        let page = ([(CONTENT_TYPE, "text/html")], "").into_response();
        assert_eq!(label(Some("/zipkin/{*path}"), page), "/zipkin/index.html");
    }

    #[test]
    fn made_up_methods_share_a_label() {
        assert_eq!(method_name(&Method::from_bytes(b"BREW").unwrap()), "OTHER");
        assert_eq!(method_name(&Method::POST), "POST");
    }
}
