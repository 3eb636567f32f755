//! One port for everything: which parts are merged, and what every answer passes through.
//!
//! ```text
//! request ─▶ no TRACE ─▶ count ─▶ CORS ─▶ compress ─▶ catch panics ─▶ the part whose path it is, or 404
//! ```

mod cors;
mod listen;
mod metrics;
mod operations;
mod process;
mod requests;
mod serve;
mod stream;
mod tls;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderMap, Method, StatusCode, Version};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

use crate::config::AllowedOrigins;
use crate::grpc;

pub(crate) use listen::listen;
pub(crate) use metrics::{Figure, FigureKind, FigureRow, FigureSource, Metrics, Timing, figures};
pub(crate) use operations::{Component, Health, HealthCheck, Operations, ask};
pub(crate) use serve::{Port, ServeLimits, serve};
pub(crate) use tls::tls;

/// Shorter answers are not worth compressing (`zipkin.md` 2.7).
const COMPRESSED_BYTES_MIN: u64 = 2048;

/// What is compressed (`zipkin.md` 2.7); images and fonts are already.
const COMPRESSED_TYPES: [&str; 5] = [
    "application/json",
    "application/javascript",
    "text/javascript",
    "text/css",
    "image/svg",
];

/// Everything behind the port: `parts` and the operational endpoints, with what is common to all answers.
pub(crate) fn application(
    parts: impl IntoIterator<Item = Router>,
    operations: Operations,
    metrics: Arc<Metrics>,
    allowed_origins: AllowedOrigins,
) -> Router {
    let routes = parts.into_iter().fold(
        operations::router(operations, Arc::clone(&metrics)),
        Router::merge,
    );
    let compression = CompressionLayer::new()
        .gzip(true)
        .compress_when(SizeAbove::new(COMPRESSED_BYTES_MIN).and(is_compressed_type));
    routes
        .fallback(not_found)
        // Zipkin answers a wrong method as it answers a wrong path.
        .method_not_allowed_fallback(not_found)
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(compression)
        .layer(middleware::from_fn_with_state(
            Arc::new(allowed_origins),
            cors::allow,
        ))
        .layer(middleware::from_fn_with_state(metrics, requests::count))
        .layer(middleware::from_fn(refuse_trace))
}

async fn not_found(headers: HeaderMap) -> Response {
    if let Some(refused) = grpc::refuse_unknown(&headers) {
        return refused;
    }
    (StatusCode::NOT_FOUND, "no such path, or not with this method\n").into_response()
}

/// TRACE would hand back headers that scripts must not read.
async fn refuse_trace(request: Request, next: Next) -> Response {
    if request.method() == Method::TRACE {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    next.run(request).await
}

fn is_compressed_type(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    COMPRESSED_TYPES
        .iter()
        .any(|compressed| content_type.starts_with(compressed))
}

fn answer_panic(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let message = text
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(message, "a request made the server panic");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal error: see the server's log\n",
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use collector::{Collector, Limits, Sampler};
    use http_body_util::BodyExt;
    use storage_memory::{MemoryConfig, MemoryStore};
    use tower::ServiceExt;

    use super::*;

    async fn panics() -> &'static str {
        panic!("on purpose")
    }

    async fn call(
        origins: AllowedOrigins,
        request: http::request::Builder,
    ) -> (StatusCode, HeaderMap, String) {
        let part = Router::new()
            .route("/panic", get(panics))
            .route(
                "/long",
                get(|| async { ([(CONTENT_TYPE, "application/json")], "x".repeat(2048)) }),
            )
            .route(
                "/short",
                get(|| async { ([(CONTENT_TYPE, "application/json")], "x".repeat(2047)) }),
            )
            .route(
                "/image",
                get(|| async { ([(CONTENT_TYPE, "image/png")], "x".repeat(4096)) }),
            );
        let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
        let collector = Arc::new(Collector::new(
            store,
            Sampler::new(1.0).unwrap(),
            Limits::default(),
        ));
        let metrics = Arc::new(Metrics::new(Arc::clone(&collector), Vec::new()));
        let operations = Operations {
            components: Vec::new(),
            collector,
        };
        let application = application([part], operations, metrics, origins);
        let response = application
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            head.status,
            head.headers,
            String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    fn method(method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path)
    }

    #[tokio::test]
    async fn unknown_paths_and_wrong_methods_are_not_found_and_trace_is_refused() {
        for (name, path, status) in [
            ("GET", "/nowhere", 404),
            ("POST", "/health", 404),
            ("DELETE", "/short", 404),
            ("TRACE", "/short", 405),
            ("TRACE", "/nowhere", 405),
            ("GET", "/short", 200),
        ] {
            let (answered, ..) = call(AllowedOrigins::Any, method(name, path)).await;
            assert_eq!(answered, status, "{name} {path}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_does_not_tell_its_message() {
        let (status, _, body) = call(AllowedOrigins::Any, method("GET", "/panic")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(
            body.contains("internal error") && !body.contains("on purpose"),
            "{body}"
        );
    }

    #[tokio::test]
    async fn only_long_answers_of_texts_are_compressed() {
        for (path, encoding) in [("/long", Some("gzip")), ("/short", None), ("/image", None)] {
            let request = method("GET", path).header("accept-encoding", "gzip");
            let (_, headers, _) = call(AllowedOrigins::Any, request).await;
            let found = headers
                .get("content-encoding")
                .map(|value| value.to_str().unwrap());
            assert_eq!(found, encoding, "{path}");
        }
        let (_, headers, _) = call(AllowedOrigins::Any, method("GET", "/long")).await;
        assert!(!headers.contains_key("content-encoding"));
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn any_origin_is_allowed_by_default() {
        let request = method("GET", "/short").header("origin", "https://a.example");
        let (_, headers, _) = call(AllowedOrigins::Any, request).await;
        assert_eq!(text(&headers, "access-control-allow-origin"), Some("*"));
        assert_eq!(
            text(&headers, "vary").filter(|vary| vary.contains("origin")),
            None
        );
        let exposed = "grpc-status,grpc-message,armeria.grpc.ThrowableProto-bin";
        assert_eq!(text(&headers, "access-control-expose-headers"), Some(exposed));
        let (_, headers, _) = call(AllowedOrigins::Any, method("GET", "/short")).await;
        assert!(
            !headers.contains_key("access-control-allow-origin"),
            "not asked for"
        );
    }

    #[tokio::test]
    async fn listed_origins_are_echoed_and_others_answered_without() {
        let listed = || AllowedOrigins::Listed(vec!["https://a.example".to_owned()]);
        let (status, headers, _) = call(
            listed(),
            method("GET", "/short").header("origin", "https://a.example"),
        )
        .await;
        assert_eq!(
            (status.as_u16(), text(&headers, "access-control-allow-origin")),
            (200, Some("https://a.example"))
        );
        assert!(text(&headers, "vary").unwrap().contains("origin"));
        let (status, headers, body) = call(
            listed(),
            method("GET", "/short").header("origin", "https://b.example"),
        )
        .await;
        assert_eq!((status.as_u16(), body.len()), (200, 2047));
        assert!(
            headers
                .keys()
                .all(|name| !name.as_str().starts_with("access-control")),
            "{headers:?}"
        );
    }

    #[tokio::test]
    async fn a_preflight_is_answered_without_asking_the_route() {
        let preflight = || {
            method("OPTIONS", "/short")
                .header("origin", "https://a.example")
                .header("access-control-request-method", "POST")
        };
        let (status, headers, body) = call(AllowedOrigins::Any, preflight()).await;
        assert_eq!((status.as_u16(), body.as_str()), (200, ""));
        assert_eq!(text(&headers, "access-control-allow-methods"), Some("GET,POST"));
        assert_eq!(
            text(&headers, "access-control-allow-headers"),
            Some("content-type,x-grpc-web")
        );
        let nobody = AllowedOrigins::Listed(Vec::new());
        let (status, headers, _) = call(nobody, preflight()).await;
        assert_eq!(
            (status.as_u16(), text(&headers, "access-control-allow-methods")),
            (200, None)
        );
        let (status, ..) = call(AllowedOrigins::Any, method("OPTIONS", "/short")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "not a preflight");
    }
}
