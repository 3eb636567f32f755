//! Zipkin's formats as its clients and servers speak them.

mod clients;
mod golden;
mod json_any;
mod json_twin;
mod json_v2;
mod prost_messages;
mod proto3;
mod spans;
mod v1;
