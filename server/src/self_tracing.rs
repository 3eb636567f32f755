//! The server's own requests as spans in its own store, in the words of Zipkin's server (`zipkin.md` 9).
//!
//! ```text
//! request ─▶ http: a SERVER span, if sampled ─▶ the answer
//!                │ as the task's context
//!                ▼
//!            storage: a child a call ─▶ buffer ─▶ report: a list of spans ─▶ collector, transport "local"
//! ```
//!
//! Only requests below `/api` and `/zipkin/api` are traced of the server's own accord, and any whose sender says so
//! by B3 headers. Storing the spans is no request, so it is never traced itself.

mod b3;
mod http;
mod report;
mod sampling;
mod span;
mod storage;

pub(crate) use http::RequestTracer;
pub(crate) use report::Reporter;
pub(crate) use storage::{TracedSink, TracedSource};

/// What the server calls itself, as Zipkin's does: a dashboard for one shows the other.
const SERVICE_NAME: &str = "zipkin-server";
