//! The routes, asked over a memory store: what is answered, and what is told of wrong questions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod charts;
mod keeper;
mod service;
mod slo_budget;
mod trace_diff;
