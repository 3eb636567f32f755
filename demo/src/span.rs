//! A span as Zipkin's JSON has it.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

/// Microseconds since the epoch, and of its duration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Span {
    pub(crate) trace_id: String,
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent_id: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) timestamp: u64,
    pub(crate) duration: u64,
    pub(crate) local_endpoint: Endpoint,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remote_endpoint: Option<Endpoint>,
    pub(crate) tags: Tags,
    /// A callee takes part in the span of its caller.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) shared: bool,
}

/// Which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Kind {
    Client,
    Server,
}

/// Where something runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Endpoint {
    pub(crate) service_name: &'static str,
    pub(crate) ipv4: IpAddr,
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) fn new(service_name: &'static str, address: SocketAddr) -> Self {
        Self {
            service_name,
            ipv4: address.ip(),
            port: address.port(),
        }
    }
}

/// What is worth knowing about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Tags {
    /// Of the service that recorded it.
    pub(crate) version: &'static str,
    #[serde(rename = "http.method")]
    pub(crate) method: &'static str,
    #[serde(rename = "http.path")]
    pub(crate) path: &'static str,
    #[serde(rename = "http.status_code", skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}
