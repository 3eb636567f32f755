//! A SERVER span for each request that is traced.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use collector::Collector;
use hyper::body::{Frame, SizeHint};
use model::{Endpoint, IpAddresses, TraceId};

use super::b3::{Decision, Incoming};
use super::report::Reporter;
use super::sampling::TraceSampler;
use super::span::{CURRENT, OpenSpan, SpanBuffer};
use crate::config::SelfTracingConfig;

/// What is traced of the server's own accord: Zipkin's API and collection, not the UI's files and not health checks.
const TRACED_PATHS: [&str; 2] = ["/api", "/zipkin/api"];

/// Longer paths are cut in the tag: a head may have 64 KiB, and spans wait in memory.
const PATH_BYTES_MAX: usize = 1_024;

/// Traces requests.
#[derive(Debug)]
pub(crate) struct RequestTracer {
    sampler: TraceSampler,
    buffer: Arc<SpanBuffer>,
}

impl RequestTracer {
    /// A tracer, and what stores its spans by `collector`.
    pub(crate) fn start(config: &SelfTracingConfig, collector: &Arc<Collector>) -> (Arc<Self>, Reporter) {
        let buffer = Arc::new(SpanBuffer::new(Arc::clone(collector)));
        let reporter = Reporter::start(Arc::clone(&buffer), Arc::clone(collector), config.flush_interval);
        let tracer = Self {
            sampler: TraceSampler::new(config.sampling),
            buffer,
        };
        (Arc::new(tracer), reporter)
    }

    /// Traces the requests of an application.
    pub(crate) fn trace(self: Arc<Self>, application: Router) -> Router {
        application.layer(middleware::from_fn_with_state(self, trace))
    }

    /// `None` where it is not to be traced.
    fn begin(&self, request: &Request) -> Option<OpenSpan> {
        // What a browser asks before it asks is no request to the API.
        if request.method() == Method::OPTIONS {
            return None;
        }
        let Incoming {
            decision,
            span: joined,
        } = Incoming::of(request.headers());
        let new_trace = || TraceId::new(0, self.buffer.ids.next());
        let trace_id = joined.map(|span| span.trace_id).or_else(new_trace)?;
        let sampled = match decision {
            Some(decision) => decision != Decision::Dropped,
            None => is_traced(request.uri().path()) && self.sampler.keeps(trace_id),
        };
        if !sampled {
            return None;
        }
        let debug = decision == Some(Decision::Debug);
        let mut span = OpenSpan::of_request(trace_id, joined, debug, name(request), &self.buffer);
        span.tag("http.method", request.method().as_str());
        span.tag("http.path", cut(request.uri().path()));
        span.remote(client(request));
        Some(span)
    }
}

async fn trace(State(tracer): State<Arc<RequestTracer>>, request: Request, next: Next) -> Response {
    let Some(mut span) = tracer.begin(&request) else {
        return next.run(request).await;
    };
    let response = CURRENT.scope(span.context(), next.run(request)).await;
    tag_status(&mut span, response.status());
    // Zipkin's word for "wire send": the answer begins to leave.
    span.annotate("ws");
    response.map(|body| Body::new(TracedBody { body, span }))
}

/// As Brave does: the status unless it says that all is well, and as an error where it says that something is not.
fn tag_status(span: &mut OpenSpan, status: StatusCode) {
    if !status.is_success() {
        span.tag("http.status_code", status.as_str());
    }
    if status.is_client_error() || status.is_server_error() {
        span.tag("error", status.as_str());
    }
}

/// The method and the route, as Zipkin's server names its requests.
fn name(request: &Request) -> String {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("/**".into(), |route| {
        route.as_str().replace('{', ":").replace('}', "")
    });
    format!("{} {route}", request.method()).to_lowercase()
}

fn is_traced(path: &str) -> bool {
    TRACED_PATHS.iter().any(|traced| {
        let below = path.strip_prefix(traced);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    })
}

/// Who asks: the first that a proxy names, else the peer of the connection.
fn client(request: &Request) -> Endpoint {
    let mut ip = IpAddresses::default();
    if forwarded_for(request.headers()).is_some_and(|address| ip.insert_text(address)) {
        return Endpoint {
            ip,
            ..Endpoint::default()
        };
    }
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else {
        return Endpoint::default();
    };
    ip.insert(peer.ip());
    Endpoint {
        ip,
        port: peer.port(),
        ..Endpoint::default()
    }
}

fn forwarded_for(headers: &HeaderMap) -> Option<&str> {
    let list = headers.get("x-forwarded-for")?.to_str().ok()?;
    list.split(',').next().map(str::trim)
}

fn cut(path: &str) -> &str {
    &path[..path.floor_char_boundary(PATH_BYTES_MAX)]
}

/// An answer's body, whose end is the end of the span.
struct TracedBody {
    body: Body,
    span: OpenSpan,
}

impl HttpBody for TracedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) {
            self.span.finish();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that is known to be at its end is not asked for more.
impl Drop for TracedBody {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.span.finish();
        }
    }
}
