//! The messages of `jaeger.api_v2` as prost, an encoder that is not ours, writes them.

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PostSpansRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) batch: Option<Batch>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Batch {
    #[prost(message, repeated, tag = "1")]
    pub(crate) spans: Vec<Span>,
    #[prost(message, optional, tag = "2")]
    pub(crate) process: Option<Process>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Process {
    #[prost(string, tag = "1")]
    pub(crate) service_name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) tags: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) operation_name: String,
    #[prost(message, repeated, tag = "4")]
    pub(crate) references: Vec<SpanRef>,
    #[prost(uint32, tag = "5")]
    pub(crate) flags: u32,
    #[prost(message, optional, tag = "6")]
    pub(crate) start_time: Option<Time>,
    #[prost(message, optional, tag = "7")]
    pub(crate) duration: Option<Time>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) tags: Vec<KeyValue>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) logs: Vec<Log>,
    #[prost(message, optional, tag = "10")]
    pub(crate) process: Option<Process>,
    #[prost(string, repeated, tag = "12")]
    pub(crate) warnings: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SpanRef {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) span_id: Vec<u8>,
    #[prost(int32, tag = "3")]
    pub(crate) ref_type: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Log {
    #[prost(message, optional, tag = "1")]
    pub(crate) timestamp: Option<Time>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) fields: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(int32, tag = "2")]
    pub(crate) v_type: i32,
    #[prost(string, tag = "3")]
    pub(crate) v_str: String,
    #[prost(bool, tag = "4")]
    pub(crate) v_bool: bool,
    #[prost(int64, tag = "5")]
    pub(crate) v_int64: i64,
    #[prost(double, tag = "6")]
    pub(crate) v_float64: f64,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) v_binary: Vec<u8>,
}

/// `google.protobuf.Timestamp` and `Duration`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Time {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}
