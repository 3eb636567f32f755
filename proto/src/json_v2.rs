//! Zipkin's v2 JSON: one pass from the body into the batch, no allocation a span (`zipkin.md` 2.4 and 4.1).
//!
//! What Zipkin's own reader accepts, and says of what it does not accept, is in `testdata/zipkin_json_v2.json`,
//! with the few differences and their reasons.

mod write;

use model::{EndpointDraft, IdError, InvalidPort, Kind, Span, SpanBatch, SpanDraft, SpanId, TraceId};

use crate::DecodeError;
use crate::json::{Cursor, Fault, Key, Result, read_body};

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

/// A member of a span.
#[derive(Clone, Copy)]
enum Member {
    TraceId,
    ParentId,
    Id,
    Kind,
    Name,
    Timestamp,
    Duration,
    LocalEndpoint,
    RemoteEndpoint,
    Annotations,
    Tags,
    Debug,
    Shared,
}

/// In the order in which Zipkin writes them.
const SPAN_KEYS: [Key<Member>; 13] = [
    Key::new("traceId", Member::TraceId),
    Key::new("parentId", Member::ParentId),
    Key::new("id", Member::Id),
    Key::new("kind", Member::Kind),
    Key::new("name", Member::Name),
    Key::new("timestamp", Member::Timestamp),
    Key::new("duration", Member::Duration),
    Key::new("localEndpoint", Member::LocalEndpoint),
    Key::new("remoteEndpoint", Member::RemoteEndpoint),
    Key::new("annotations", Member::Annotations),
    Key::new("tags", Member::Tags),
    Key::new("debug", Member::Debug),
    Key::new("shared", Member::Shared),
];

/// A member of an endpoint.
#[derive(Clone, Copy)]
enum EndpointMember {
    ServiceName,
    Address,
    Port,
}

const ENDPOINT_KEYS: [Key<EndpointMember>; 4] = [
    Key::new("serviceName", EndpointMember::ServiceName),
    Key::new("ipv4", EndpointMember::Address),
    Key::new("ipv6", EndpointMember::Address),
    Key::new("port", EndpointMember::Port),
];

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
        let mut next = 0;
        let mut more = self.cursor.begin_object()?;
        while more {
            let member = self.cursor.known_key(&SPAN_KEYS, &mut next)?;
            self.member(&mut span, member)?;
            more = self.cursor.more_members()?;
        }
        self.batch
            .finish(&span)
            .map_err(|error| Fault::plain(error.to_string()))
    }

    #[inline(always)]
    fn member(&mut self, span: &mut SpanDraft, member: Option<Member>) -> Result<()> {
        match member {
            Some(Member::TraceId) => span.trace_id = Some(self.trace_id()?),
            Some(Member::Id) => span.id = Some(self.span_id("id")?),
            _ if self.cursor.null()? => {}
            Some(Member::ParentId) => span.parent_id = Some(self.span_id("parentId")?),
            Some(Member::Kind) => span.kind = Some(self.kind()?),
            Some(Member::Name) => {
                let name = self.cursor.string()?;
                span.name = self.cursor.text(name, self.batch)?;
            }
            Some(Member::Timestamp) => span.timestamp = self.cursor.long()?,
            Some(Member::Duration) => span.duration = self.cursor.long()?,
            Some(Member::LocalEndpoint) => span.local_endpoint = self.local_endpoint()?,
            Some(Member::RemoteEndpoint) => span.remote_endpoint = self.endpoint()?,
            Some(Member::Annotations) => self.annotations()?,
            Some(Member::Tags) => self.tags()?,
            // As in Zipkin, once true is true.
            Some(Member::Debug) => span.debug |= self.cursor.boolean()?,
            Some(Member::Shared) => span.shared |= self.cursor.boolean()?,
            None => self.cursor.skip()?,
        }
        Ok(())
    }

    fn trace_id(&mut self) -> Result<TraceId> {
        let halves = self.cursor.quoted_long_hex();
        if let Some((high, low)) = halves.or_else(|| self.cursor.quoted_hex().map(|low| (0, low))) {
            let zeros = || Fault::plain(IdError::AllZeros("traceId").to_string());
            return TraceId::new(high, low).ok_or_else(zeros);
        }
        let raw = self.cursor.string()?;
        let text = self.cursor.characters(raw)?;
        TraceId::parse(&text).map_err(|error| Fault::plain(error.to_string()))
    }

    fn span_id(&mut self, field: &'static str) -> Result<SpanId> {
        if let Some(value) = self.cursor.quoted_hex() {
            return Ok(SpanId::new(value));
        }
        let raw = self.cursor.string()?;
        let text = self.cursor.characters(raw)?;
        SpanId::parse(&text, field).map_err(|error| Fault::plain(error.to_string()))
    }

    fn kind(&mut self) -> Result<Kind> {
        let raw = self.cursor.string()?;
        Kind::parse(&self.cursor.characters(raw)?).map_err(|error| Fault::plain(error.to_string()))
    }

    fn local_endpoint(&mut self) -> Result<EndpointDraft> {
        let rest = self.cursor.rest()?;
        if !self.endpoint_text.is_empty() && rest.starts_with(self.endpoint_text) {
            self.cursor.advance(self.endpoint_text.len());
            return Ok(self.endpoint);
        }
        let start = self.cursor.position();
        let endpoint = self.endpoint()?;
        self.endpoint_text = &rest[..self.cursor.position() - start];
        self.endpoint = endpoint;
        Ok(endpoint)
    }

    fn endpoint(&mut self) -> Result<EndpointDraft> {
        let mut endpoint = EndpointDraft::default();
        let mut next = 0;
        let mut more = self.cursor.begin_object()?;
        while more {
            let member = self.cursor.known_key(&ENDPOINT_KEYS, &mut next)?;
            self.endpoint_member(&mut endpoint, member)?;
            more = self.cursor.more_members()?;
        }
        Ok(endpoint)
    }

    #[inline(always)]
    fn endpoint_member(
        &mut self,
        endpoint: &mut EndpointDraft,
        member: Option<EndpointMember>,
    ) -> Result<()> {
        match member {
            _ if self.cursor.null()? => {}
            Some(EndpointMember::ServiceName) => {
                let name = self.cursor.string()?;
                endpoint.service_name = self.cursor.text(name, self.batch)?;
            }
            Some(EndpointMember::Address) => {
                let raw = self.cursor.string()?;
                endpoint.ip.insert_text(&self.cursor.characters(raw)?);
            }
            Some(EndpointMember::Port) => {
                let port = self.cursor.int()?.max(0);
                endpoint.port =
                    u16::try_from(port).map_err(|_| Fault::plain(InvalidPort(port).to_string()))?;
            }
            None => self.cursor.skip()?,
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
            if let Some((key, value)) = self.cursor.plain_member() {
                let tag = (self.cursor.plain_text(key), self.cursor.plain_text(value));
                self.batch.push_tag(tag.0, tag.1);
            } else {
                self.tag()?;
            }
            more = self.cursor.more_members()?;
        }
        Ok(())
    }

    /// A tag however it is written.
    #[cold]
    fn tag(&mut self) -> Result<()> {
        let key = self.cursor.key()?;
        let key = self.cursor.text(key, self.batch)?;
        if self.cursor.null()? {
            return Err(Fault::at_path("No value", self.cursor.position()));
        }
        let value = self.cursor.string()?;
        let value = self.cursor.text(value, self.batch)?;
        self.batch.push_tag(key, value);
        Ok(())
    }
}
