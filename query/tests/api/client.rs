//! Calls a router and reads the whole answer.

use std::convert::Infallible;
use std::fmt::Debug;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Body;
use tower::{Service, ServiceExt};

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

/// Asks, and reads all pieces of the answer.
pub(crate) async fn call<S, B>(router: &S, method: Method, uri: &str) -> Reply
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Debug,
{
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .body(Empty::new())
        .unwrap();
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
pub(crate) async fn get<S, B>(router: &S, uri: &str) -> Reply
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Debug,
{
    call(router, Method::GET, uri).await
}
