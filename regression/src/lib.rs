//! Which deployment made it slow: the traces of two versions are compared, what changed is attributed to where it
//! began, and a verdict is given with its uncertainty.
//!
//! [`statistics`] is the arithmetic beneath, and knows neither traces nor deployments. `deployments` and `slos` read
//! and write what the API calls by these names; [`analysis`] makes the report of a deployment, `reports` keeps and answers
//! it. `http` is how the API is asked; the routes are in `http.rs` below the folders of what they are about, and describe
//! themselves to `openapi`.

pub mod analysis;
#[cfg(test)]
mod asking;
mod charts;
mod deployments;
mod fields;
mod gate;
pub mod http;
mod kayenta;
pub mod report;
mod reports;
mod share;
mod slo_budget;
mod slos;
mod sources;
pub mod statistics;
mod trace_diff;
pub mod watch;

pub use charts::{OperationList, operations};
pub use reports::{KeepOptions, Reports, Settings};
pub use share::Share;
pub use slo_budget::slo_states;
pub use sources::{Clock, Sources};
