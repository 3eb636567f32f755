//! Requests to others, over connections that are kept: as an application makes them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::error::{Error, Result};

/// The longest answer that is taken into memory: a report has some hundred kilobytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// For everything from the connection to the last byte of the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that nobody needs are closed after it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Of an answer that is an error, what is told.
const TOLD_CHARS_MAX: usize = 500;

/// See the head of this file. A clone shares its connections.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// An answer with its body whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Self { pool }
    }

    /// Asks, and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    /// Where nobody answers in time, or the answer ends early or never.
    pub(crate) async fn send(
        &self,
        to: SocketAddr,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer> {
        let what = || format!("{method} http://{to}{path}");
        let unanswered = |why: String| Error::Unanswered { what: what(), why };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = format!("http://{to}{path}")
            .parse()
            .map_err(|error| unanswered(format!("{error}")))?;
        *request.headers_mut() = headers;
        let answered = timeout(ANSWER_TIMEOUT, async {
            let (head, body) = self
                .pool
                .request(request)
                .await
                .map_err(|error| unanswered(with_causes(&error)))?
                .into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| unanswered(error.to_string()))?;
            Ok(Answer {
                status: head.status,
                body: body.to_bytes(),
            })
        });
        let late = || unanswered(format!("nothing came within {} s", ANSWER_TIMEOUT.as_secs()));
        answered.await.map_err(|_| late())?
    }

    /// Sends JSON, or asks without a body where there is none, and takes only success for an answer.
    ///
    /// # Errors
    /// As [`Client::send`], and where the answer is an error.
    pub(crate) async fn ask(&self, to: SocketAddr, method: Method, path: &str, json: Bytes) -> Result<Bytes> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.send(to, method.clone(), path, headers, json).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let text = String::from_utf8_lossy(&answer.body);
        Err(Error::Refused {
            what: format!("{method} http://{to}{path}"),
            status: answer.status,
            text: text.trim().chars().take(TOLD_CHARS_MAX).collect(),
        })
    }
}

/// The pool says only that it failed; why, say those below.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
