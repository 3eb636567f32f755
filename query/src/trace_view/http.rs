//! Reads the body of a trace that is sent to be looked at.

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::upload::Upload;
use crate::answer::Failure;
use crate::http::{SharedQuery, refuse, respond_as_told};
use crate::params::Params;

/// How many times its bound is read of a body that is too long, so that who sends it hears the answer.
const DISCARDED_BODIES: usize = 4;

/// `POST /traceView`.
pub(crate) async fn post(State(query): SharedQuery, RawQuery(text): RawQuery, request: Request) -> Response {
    let limits = query.config.upload;
    let turn = match query.turns.uploading() {
        Ok(turn) => turn,
        Err(failure) => return refuse(&query, &failure),
    };
    let encoding = request.headers().get(CONTENT_ENCODING);
    let is_gzip = encoding.is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    let read = tokio::time::timeout(
        limits.body_timeout,
        read(request.into_body(), limits.body_bytes_max),
    );
    let body = match read.await.unwrap_or(Err(Failure::TooSlow(limits.body_timeout))) {
        Ok(body) => body,
        Err(failure) => return refuse(&query, &failure),
    };
    let upload = Upload { body, is_gzip, turn };
    respond_as_told(
        &query,
        query.trace_view_of(upload, &Params::parse(text.as_deref())),
    )
    .await
}

async fn read(mut body: Body, bytes_max: usize) -> Result<Bytes, Failure> {
    let (mut bytes, mut length) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Invalid(format!("the body ends early: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > bytes_max.saturating_mul(DISCARDED_BODIES) {
            break;
        }
        if length <= bytes_max {
            bytes.extend_from_slice(&data);
        }
    }
    if length > bytes_max {
        return Err(Failure::TooLarge(format!(
            "the body is longer than {bytes_max} bytes (COLLECTOR_BODY_BYTES_MAX)"
        )));
    }
    Ok(bytes.freeze())
}
