//! What charts and lists show of stored latency: a service over time, its operations beside what they were before.
//!
//! Everything comes from the sums that stores keep by operation, version and minute; no span is read. So steps and
//! windows are whole minutes.

mod histogram;
pub(crate) mod http;
mod latency;
mod minutes;
mod operations;
mod requests;

pub(crate) use minutes::{MINUTE_MS, Minutes, for_each_latency};
pub use operations::{OperationList, operations};
pub(crate) use requests::{BySide, CallSide};
