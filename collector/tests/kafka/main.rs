//! The Kafka collector against librdkafka's own broker, in this process: what is stored, what is committed, and
//! when.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aside;
mod faults;
mod group;
mod harness;
mod messages;
mod pressure;
