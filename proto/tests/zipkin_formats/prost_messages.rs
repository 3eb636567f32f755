//! The messages of `zipkin.proto` as prost, a decoder that is not ours, understands them.

use std::collections::HashMap;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListOfSpans {
    #[prost(message, repeated, tag = "1")]
    pub(crate) spans: Vec<Span>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) parent_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) id: Vec<u8>,
    #[prost(int32, tag = "4")]
    pub(crate) kind: i32,
    #[prost(string, tag = "5")]
    pub(crate) name: String,
    #[prost(fixed64, tag = "6")]
    pub(crate) timestamp: u64,
    #[prost(uint64, tag = "7")]
    pub(crate) duration: u64,
    #[prost(message, optional, tag = "8")]
    pub(crate) local_endpoint: Option<Endpoint>,
    #[prost(message, optional, tag = "9")]
    pub(crate) remote_endpoint: Option<Endpoint>,
    #[prost(message, repeated, tag = "10")]
    pub(crate) annotations: Vec<Annotation>,
    #[prost(map = "string, string", tag = "11")]
    pub(crate) tags: HashMap<String, String>,
    #[prost(bool, tag = "12")]
    pub(crate) debug: bool,
    #[prost(bool, tag = "13")]
    pub(crate) shared: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Endpoint {
    #[prost(string, tag = "1")]
    pub(crate) service_name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) ipv4: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) ipv6: Vec<u8>,
    #[prost(int32, tag = "4")]
    pub(crate) port: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Annotation {
    #[prost(fixed64, tag = "1")]
    pub(crate) timestamp: u64,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

impl From<&model::Span> for Span {
    fn from(span: &model::Span) -> Self {
        let (high, low) = (span.trace_id.high(), span.trace_id.low());
        let mut trace_id = Vec::new();
        if high != 0 {
            trace_id.extend(high.to_be_bytes());
        }
        trace_id.extend(low.to_be_bytes());
        Self {
            trace_id,
            parent_id: span
                .parent_id
                .map_or_else(Vec::new, |id| id.value().to_be_bytes().to_vec()),
            id: span.id.value().to_be_bytes().to_vec(),
            kind: span.kind.map_or(0, |kind| kind as i32),
            name: span.name.clone().unwrap_or_default(),
            timestamp: span.timestamp.unwrap_or(0),
            duration: span.duration.unwrap_or(0),
            local_endpoint: span.local_endpoint.as_ref().map(Endpoint::from),
            remote_endpoint: span.remote_endpoint.as_ref().map(Endpoint::from),
            annotations: span
                .annotations
                .iter()
                .map(|a| Annotation {
                    timestamp: a.timestamp,
                    value: a.value.clone(),
                })
                .collect(),
            tags: span.tags.iter().cloned().collect(),
            debug: span.debug,
            shared: span.shared,
        }
    }
}

impl From<&model::Endpoint> for Endpoint {
    fn from(endpoint: &model::Endpoint) -> Self {
        Self {
            service_name: endpoint.service_name.clone().unwrap_or_default(),
            ipv4: endpoint.ip.v4.map_or_else(Vec::new, |ip| ip.octets().to_vec()),
            ipv6: endpoint.ip.v6.map_or_else(Vec::new, |ip| ip.octets().to_vec()),
            port: endpoint.port.into(),
        }
    }
}
