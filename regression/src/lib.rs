//! Which deployment made it slow: the traces of two versions are compared, what changed is attributed to where it
//! began, and a verdict is given with its uncertainty.
//!
//! [`statistics`] is the arithmetic beneath, and knows neither traces nor deployments. `deployments` and `slos` read
//! and write what the API calls by these names; `http` is the routes, and the only file that knows axum.

mod deployments;
mod fields;
pub mod http;
pub mod report;
mod slos;
mod sources;
pub mod statistics;

pub use sources::{Clock, Sources};
