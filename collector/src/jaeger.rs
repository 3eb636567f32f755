//! Jaeger's two ways in: thrift over HTTP, as on its port 14268, and gRPC, as on its port 14250.
//! `docs/jaeger.md` says what its spans become.

pub mod grpc;
pub mod http;
