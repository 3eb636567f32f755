//! OTLP as OpenTelemetry's own library writes it, and as its SDKs sent it.

mod bounds;
mod golden;
mod json;
mod mapping;
mod partial;
mod protobuf;
mod requests;
mod twins;
