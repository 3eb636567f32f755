//! Zipkin's v2 JSON: one pass from the body into the batch, no allocation a span (`zipkin.md` 2.4 and 4.1).
//!
//! What Zipkin's own reader accepts, and says of what it does not accept, is in `testdata/zipkin_json_v2.json`,
//! with the few differences and their reasons.

mod write;

use model::{EndpointDraft, InvalidPort, Kind, Span, SpanBatch, SpanDraft, SpanId, TraceId};

use crate::DecodeError;
use crate::json::{Cursor, Fault, Raw, Result, hex_u64, read_body};

pub use write::{write_span, write_spans};

/// Reads `[span, …]`. Nothing at all is an empty list, and what follows the list is not looked at.
pub(crate) fn decode(body: &[u8], batch: &mut SpanBatch) -> std::result::Result<(), DecodeError> {
    if body.is_empty() {
        return Ok(());
    }
    read_body(body, batch, |cursor, batch| {
        Reader {
            cursor,
            batch,
            endpoint_text: "",
            endpoint: EndpointDraft::default(),
        }
        .list()
    })
}

/// Writes `[span,…]`.
pub(crate) fn encode(spans: &[Span]) -> Vec<u8> {
    let mut out = Vec::with_capacity(spans.len() * 512);
    write_spans(&mut out, spans);
    out
}

struct Reader<'c, 'a, 'b> {
    cursor: &'c mut Cursor<'a>,
    batch: &'b mut SpanBatch,
    /// The endpoint read last and how it was written: the spans of a batch mostly come from one process.
    endpoint_text: &'a str,
    endpoint: EndpointDraft,
}

impl Reader<'_, '_, '_> {
    fn list(mut self) -> Result<()> {
        let mut more = self.cursor.begin_array()?;
        while more {
            self.span()?;
            more = self.cursor.more_elements()?;
        }
        Ok(())
    }

    fn span(&mut self) -> Result<()> {
        let mut span = SpanDraft::default();
        let mut more = self.cursor.begin_object()?;
        while more {
            let key = self.cursor.key()?;
            self.member(&mut span, key)?;
            more = self.cursor.more_members()?;
        }
        self.batch
            .finish(&span)
            .map_err(|error| Fault::plain(error.to_string()))
    }

    fn member(&mut self, span: &mut SpanDraft, key: Raw) -> Result<()> {
        let key = self.cursor.characters(key)?;
        match &*key {
            "traceId" => span.trace_id = Some(self.trace_id()?),
            "id" => span.id = Some(self.span_id("id")?),
            _ if self.cursor.null()? => {}
            "parentId" => span.parent_id = Some(self.span_id("parentId")?),
            "kind" => span.kind = Some(self.kind()?),
            "name" => {
                let name = self.cursor.string()?;
                span.name = self.cursor.text(name, self.batch)?;
            }
            "timestamp" => span.timestamp = self.cursor.long()?,
            "duration" => span.duration = self.cursor.long()?,
            "localEndpoint" => span.local_endpoint = self.endpoint()?,
            "remoteEndpoint" => span.remote_endpoint = self.endpoint()?,
            "annotations" => self.annotations()?,
            "tags" => self.tags()?,
            // As in Zipkin, once true is true.
            "debug" => span.debug |= self.cursor.boolean()?,
            "shared" => span.shared |= self.cursor.boolean()?,
            _ => self.cursor.skip()?,
        }
        Ok(())
    }

    fn trace_id(&mut self) -> Result<TraceId> {
        let raw = self.cursor.string()?;
        let text = self.cursor.characters(raw)?;
        let (high, low) = match text.len() {
            16 => (Some(0), hex_u64(text.as_bytes())),
            32 => (hex_u64(&text.as_bytes()[..16]), hex_u64(&text.as_bytes()[16..])),
            _ => (None, None),
        };
        if let Some(id) = high.zip(low).and_then(|(high, low)| TraceId::new(high, low)) {
            return Ok(id);
        }
        TraceId::parse(&text).map_err(|error| Fault::plain(error.to_string()))
    }

    fn span_id(&mut self, field: &'static str) -> Result<SpanId> {
        let raw = self.cursor.string()?;
        let text = self.cursor.characters(raw)?;
        match hex_u64(text.as_bytes()) {
            Some(value) => Ok(SpanId::new(value)),
            None => SpanId::parse(&text, field).map_err(|error| Fault::plain(error.to_string())),
        }
    }

    fn kind(&mut self) -> Result<Kind> {
        let raw = self.cursor.string()?;
        Kind::parse(&self.cursor.characters(raw)?).map_err(|error| Fault::plain(error.to_string()))
    }

    fn endpoint(&mut self) -> Result<EndpointDraft> {
        let rest = self.cursor.rest()?;
        if !self.endpoint_text.is_empty() && rest.starts_with(self.endpoint_text) {
            self.cursor.advance(self.endpoint_text.len());
            return Ok(self.endpoint);
        }
        let start = self.cursor.position();
        let mut endpoint = EndpointDraft::default();
        let mut more = self.cursor.begin_object()?;
        while more {
            let key = self.cursor.key()?;
            self.endpoint_member(&mut endpoint, key)?;
            more = self.cursor.more_members()?;
        }
        self.endpoint_text = &rest[..self.cursor.position() - start];
        self.endpoint = endpoint;
        Ok(endpoint)
    }

    fn endpoint_member(&mut self, endpoint: &mut EndpointDraft, key: Raw) -> Result<()> {
        let key = self.cursor.characters(key)?;
        match &*key {
            _ if self.cursor.null()? => {}
            "serviceName" => {
                let name = self.cursor.string()?;
                endpoint.service_name = self.cursor.text(name, self.batch)?;
            }
            "ipv4" | "ipv6" => {
                let raw = self.cursor.string()?;
                endpoint.ip.insert_text(&self.cursor.characters(raw)?);
            }
            "port" => {
                let port = self.cursor.int()?.max(0);
                endpoint.port =
                    u16::try_from(port).map_err(|_| Fault::plain(InvalidPort(port).to_string()))?;
            }
            _ => self.cursor.skip()?,
        }
        Ok(())
    }

    fn annotations(&mut self) -> Result<()> {
        let mut more = self.cursor.begin_array()?;
        while more {
            self.annotation()?;
            more = self.cursor.more_elements()?;
        }
        Ok(())
    }

    fn annotation(&mut self) -> Result<()> {
        let (mut timestamp, mut value) = (None, None);
        let mut more = self.cursor.begin_object()?;
        while more {
            let key = self.cursor.key()?;
            let key = self.cursor.characters(key)?;
            match &*key {
                "timestamp" => timestamp = Some(self.cursor.long()?),
                "value" => {
                    let raw = self.cursor.string()?;
                    value = Some(self.cursor.text(raw, self.batch)?);
                }
                _ => self.cursor.skip()?,
            }
            more = self.cursor.more_members()?;
        }
        let (Some(timestamp), Some(value)) = (timestamp, value) else {
            // The path to its last member: in front of the brace just read.
            return Err(Fault::at_path(
                "Incomplete annotation",
                self.cursor.position() - 1,
            ));
        };
        // One from before the epoch is dropped: a span cannot say when it was.
        if let Ok(timestamp) = u64::try_from(timestamp) {
            self.batch.push_annotation(timestamp, value);
        }
        Ok(())
    }

    fn tags(&mut self) -> Result<()> {
        let mut more = self.cursor.begin_object()?;
        while more {
            let key = self.cursor.key()?;
            let key = self.cursor.text(key, self.batch)?;
            if self.cursor.null()? {
                return Err(Fault::at_path("No value", self.cursor.position()));
            }
            let value = self.cursor.string()?;
            let value = self.cursor.text(value, self.batch)?;
            self.batch.push_tag(key, value);
            more = self.cursor.more_members()?;
        }
        Ok(())
    }
}
