//! Calls a router and reads the whole answer.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// What a client sees.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// In how many pieces the body came.
    pub(crate) pieces: usize,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("answers are UTF-8")
    }

    /// A header's value, or `-` where it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("-", |value| value.to_str().unwrap())
    }
}

/// Asks without a body, and reads all pieces of the answer.
pub(crate) async fn call(router: &Router, method: Method, uri: &str) -> Reply {
    send(router, method, uri, &[], Bytes::new()).await
}

/// Asks, and reads all pieces of the answer.
pub(crate) async fn send(
    router: &Router,
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Reply {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.into())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, mut incoming) = response.into_parts();
    let (mut body, mut pieces) = (Vec::new(), 0);
    while let Some(frame) = incoming.frame().await {
        body.extend_from_slice(&frame.unwrap().into_data().expect("a body has no trailers"));
        pieces += 1;
    }
    Reply {
        status: parts.status,
        headers: parts.headers,
        body,
        pieces,
    }
}

/// As [`call`], with GET.
pub(crate) async fn get(router: &Router, uri: &str) -> Reply {
    call(router, Method::GET, uri).await
}
