//! What a sender is answered: `ExportTraceServiceResponse`, and `google.rpc.Status` where it is refused.

use super::OtlpEncoding;
use crate::Rejected;
use crate::json::{write_number, write_string};
use crate::protobuf::{write_message, write_number as write_number_field, write_text};

/// Field number of `ExportTraceServiceResponse`.
const PARTIAL_SUCCESS: u32 = 1;

/// Field numbers of `ExportTracePartialSuccess`.
mod partial_success {
    pub(super) const REJECTED_SPANS: u32 = 1;
    pub(super) const ERROR_MESSAGE: u32 = 2;
}

/// Field numbers of `google.rpc.Status`.
mod status {
    pub(super) const CODE: u32 = 1;
    pub(super) const MESSAGE: u32 = 2;
}

/// `ExportTraceServiceResponse`: empty, or with the partial success that says what was left out.
pub fn write_otlp_response(encoding: OtlpEncoding, rejected: &Rejected) -> Vec<u8> {
    let count = rejected.spans as u64;
    let reason = rejected.reason.as_deref().unwrap_or_default();
    match encoding {
        OtlpEncoding::Protobuf if count == 0 => Vec::new(),
        OtlpEncoding::Protobuf => {
            let mut out = Vec::new();
            write_message(&mut out, PARTIAL_SUCCESS, |out| {
                write_number_field(out, partial_success::REJECTED_SPANS, count);
                write_text(out, partial_success::ERROR_MESSAGE, Some(reason));
            });
            out
        }
        OtlpEncoding::Json if count == 0 => b"{}".to_vec(),
        OtlpEncoding::Json => {
            let mut out = Vec::new();
            // A 64-bit integer is a string in protobuf's JSON.
            out.extend_from_slice(b"{\"partialSuccess\":{\"rejectedSpans\":\"");
            write_number(&mut out, count);
            out.extend_from_slice(b"\",\"errorMessage\":");
            write_string(&mut out, reason);
            out.extend_from_slice(b"}}");
            out
        }
    }
}

/// `google.rpc.Status`; `code` is gRPC's number.
pub fn write_otlp_status(encoding: OtlpEncoding, code: u32, message: &str) -> Vec<u8> {
    match encoding {
        OtlpEncoding::Protobuf => {
            let mut out = Vec::new();
            write_number_field(&mut out, status::CODE, code.into());
            write_text(&mut out, status::MESSAGE, Some(message));
            out
        }
        OtlpEncoding::Json => {
            let mut out = Vec::new();
            out.extend_from_slice(b"{\"code\":");
            write_number(&mut out, code.into());
            out.extend_from_slice(b",\"message\":");
            write_string(&mut out, message);
            out.push(b'}');
            out
        }
    }
}
