//! A few real services that call each other over HTTP with B3 headers, load on them, and a rollout that makes one of
//! them slower, or harms nobody. Spans and deployments reach the tracing server as those of any application do: over its
//! HTTP API. Whoever judges the rollout is told nothing else.
//!
//! ```text
//! users ─▶ web ─▶ gateway ─▶ inventory ×4 ─▶ pricing        side by side; pricing has a heavy tail in every version
//!                    │             └───────▶ warehouse ×2
//!                    ├─▶ payments ×2 ─▶ bank                 payments: a harmless deployment at the same time
//!                    └─▶ search ×2                           naturally fast or slow
//! ```
//!
//! | question | file |
//! | --- | --- |
//! | which services there are, and what each does when it is asked | `topology`, `work` |
//! | what a new version does otherwise | `fault` |
//! | how one instance serves, calls others and records spans | `instance`, `b3`, `span`, `reporter` |
//! | where instances run, and what is said between processes | `host`, `process` |
//! | who serves a service just now | `directory`, `system` |
//! | what users ask for, and when | `load` |
//! | in which order versions are switched | `rollout` |
//! | what the tracing server says, and whether that is what was done | `tracing_server`, `truth` |

mod b3;
mod directory;
mod error;
mod fault;
mod host;
mod http;
mod instance;
mod load;
mod process;
mod reporter;
mod rollout;
mod span;
mod system;
#[cfg(test)]
mod testing;
mod topology;
mod tracing_server;
mod truth;
mod work;

pub use error::Error;
pub use fault::Fault;
pub use host::Host;
pub use process::{Program, serve_instance};
pub use rollout::{Demo, Event, Options, Recovery, Script};
pub use system::Traffic;
pub use tracing_server::{Finding, Operation, Report, Shift};
pub use truth::{Agreement, Judged, Named, Outcome, Truth};
