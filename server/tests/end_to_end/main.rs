//! Starts the real binary and speaks raw HTTP to it: what a client, an operator and somebody hostile see.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod grpc_client;
mod process;

mod charting;
mod collecting;
mod configuring;
mod connections;
mod demo;
mod deploying;
mod doctoring;
mod documenting;
mod gating;
mod grpc;
mod killing;
mod metrics;
mod moving;
mod neighbours;
mod operating;
mod otlp;
mod overload;
mod restarting;
mod rollouts;
mod self_tracing;
mod tls;
mod watching;
