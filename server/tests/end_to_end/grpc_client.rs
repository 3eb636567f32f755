//! A gRPC client that sends any bytes as a message: tonic's channel, without generated code.

use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::process::Server;

pub(crate) const REPORT: &str = "/zipkin.proto3.SpanService/Report";

/// A channel to a server that speaks h2c.
pub(crate) async fn connect(server: &Server) -> Channel {
    let address = format!("http://{}", server.address);
    Endpoint::from_shared(address).unwrap().connect().await.unwrap()
}

/// A channel to a server that speaks TLS, as `localhost`.
pub(crate) async fn connect_by_tls(
    server: &Server,
    tls: ClientTlsConfig,
) -> Result<Channel, tonic::transport::Error> {
    let address = format!("https://localhost:{}", server.address.port());
    let endpoint = Endpoint::from_shared(address).unwrap();
    endpoint.tls_config(tls)?.connect().await
}

/// Calls Zipkin's method.
pub(crate) async fn report(channel: &Channel, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    call(channel, REPORT, None, message).await
}

/// Calls a unary method.
pub(crate) async fn call(
    channel: &Channel,
    path: &'static str,
    compression: Option<CompressionEncoding>,
    message: Vec<u8>,
) -> Result<Vec<u8>, Status> {
    let mut client = Grpc::new(channel.clone());
    if let Some(compression) = compression {
        client = client.send_compressed(compression);
    }
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(path);
    let response = client.unary(Request::new(message), path, Raw).await?;
    Ok(response.into_inner())
}

/// Spans `1` to `count` of a trace, as proto3.
pub(crate) fn list_of_spans(trace_id: &str, count: u64) -> Vec<u8> {
    let span = |id| format!(r#"{{"traceId":"{trace_id}","id":"{id:x}","tags":{{"number":"{id}"}}}}"#);
    let list = format!("[{}]", (1..=count).map(span).collect::<Vec<_>>().join(","));
    let mut batch = model::SpanBatch::new();
    proto::decode(proto::Format::JsonV2, list.as_bytes(), &mut batch).unwrap();
    let spans: Vec<_> = batch.iter().map(|span| span.to_span()).collect();
    proto::encode(proto::Format::Proto3, &spans)
}

/// Messages as they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}
