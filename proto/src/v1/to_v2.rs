//! A v1 span as v2 spans: one for each host that logged to it.
//!
//! 1. Annotations and binary annotations are sorted; each goes to the span of its host, told by service name.
//!    The first span takes what has no host.
//! 2. Core annotations are not annotations any more: they give their span its kind, timestamp and duration.
//!    Where one of a pair is missing nothing is made up: the end of what has no beginning stays an annotation.
//! 3. Addresses become remote endpoints, of the side that they are about.
//! 4. The spans go to the batch, in the order in which their hosts were first seen.
//!
//! Linear in the annotations but for the sorting; hosts are looked up by hash.

use std::borrow::Cow;
use std::collections::HashMap;

use model::{EndpointDraft, Kind, SpanBatch, SpanDraft, SpanId, Text, TraceId};

use super::{Annotation, BinaryAnnotation, BinaryValue, ConversionError, Endpoint, Span, lower_case};

/// Appends the v2 spans that `span` is about to `batch`.
///
/// # Errors
/// [`ConversionError`] where an identifier is missing or the batch is full.
pub fn to_v2(span: Span<'_>, batch: &mut SpanBatch) -> Result<(), ConversionError> {
    if span.trace_id == 0 {
        return Err(ConversionError::NoTraceId);
    }
    if span.id == 0 {
        return Err(ConversionError::NoId);
    }
    split(span, batch)
}

/// As [`to_v2`], where it is known that identifiers are there: zeros are identifiers then.
///
/// # Errors
/// [`ConversionError::Refused`] where the batch is full, or the trace identifier zero altogether.
pub fn split(mut span: Span<'_>, batch: &mut SpanBatch) -> Result<(), ConversionError> {
    span.annotations
        .sort_by(|a, b| (a.timestamp, &a.value).cmp(&(b.timestamp, &b.value)));
    span.binary_annotations.sort_by(|a, b| a.key.cmp(&b.key));

    let mut sides = Sides::new();
    let core = sort_out_annotations(&span, &mut sides);
    time_rpc(&span, &core, &mut sides);
    time_messaging(&span, &core, &mut sides);
    let addresses = sort_out_binary_annotations(&span.binary_annotations, &mut sides);
    sides.assign(&addresses, &core);
    // Once, and as it stays, or a long name and many hosts would multiply.
    let name = batch.add_text(&lower_case(Cow::Borrowed(&span.name)));
    sides
        .list
        .iter()
        .try_for_each(|side| side.push(&span, name, batch))
}

/// What one host logged: a v2 span in the making.
#[derive(Debug, Default)]
struct Side<'a> {
    kind: Option<Kind>,
    timestamp: i64,
    duration: i64,
    local: Option<&'a Endpoint<'a>>,
    remote: Option<Cow<'a, Endpoint<'a>>>,
    annotations: Vec<(i64, &'a str)>,
    tags: Vec<(&'a str, &'a str)>,
    shared: bool,
}

/// The hosts that logged to a span; the first may not be known.
struct Sides<'a> {
    list: Vec<Side<'a>>,
    by_service: HashMap<&'a str, usize>,
}

/// A core annotation.
#[derive(Clone, Copy, Debug)]
struct Moment<'a> {
    timestamp: i64,
    endpoint: &'a Endpoint<'a>,
}

/// The core annotations of a span; of equal ones the last counts.
#[derive(Debug, Default)]
struct Core<'a> {
    cs: Option<Moment<'a>>,
    cr: Option<Moment<'a>>,
    sr: Option<Moment<'a>>,
    ss: Option<Moment<'a>>,
    ms: Option<Moment<'a>>,
    ws: Option<Moment<'a>>,
    wr: Option<Moment<'a>>,
    mr: Option<Moment<'a>>,
}

/// The addresses among the binary annotations; of equal ones the last counts.
#[derive(Debug, Default)]
struct Addresses<'a> {
    client: Option<&'a Endpoint<'a>>,
    server: Option<&'a Endpoint<'a>>,
    broker: Option<&'a Endpoint<'a>>,
}

impl<'a> Sides<'a> {
    fn new() -> Self {
        Self {
            list: vec![Side::default()],
            by_service: HashMap::new(),
        }
    }

    fn first(&mut self) -> &mut Side<'a> {
        &mut self.list[0]
    }

    /// The side of a host; the first one if it is not known.
    fn of(&mut self, endpoint: Option<&'a Endpoint<'a>>) -> &mut Side<'a> {
        let index = endpoint.map_or(0, |endpoint| self.index_of(endpoint));
        &mut self.list[index]
    }

    fn index_of(&mut self, endpoint: &'a Endpoint<'a>) -> usize {
        if let Some(&index) = self.by_service.get(endpoint.service_name.as_ref()) {
            return index;
        }
        if self.list[0].local.is_some() {
            return self.add(endpoint);
        }
        self.list[0].local = Some(endpoint);
        self.by_service.insert(&endpoint.service_name, 0);
        0
    }

    /// A further side, even if there is one of that host: it is found first, and stays so.
    fn add(&mut self, endpoint: &'a Endpoint<'a>) -> usize {
        let index = self.list.len();
        self.list.push(Side {
            local: Some(endpoint),
            ..Side::default()
        });
        self.by_service.entry(&endpoint.service_name).or_insert(index);
        index
    }

    /// The sides of both ends of one operation. If one host has both they are two sides nevertheless.
    fn pair(&mut self, begin: Moment<'a>, end: Moment<'a>, kinds: (Kind, Kind)) -> (usize, usize) {
        let near = self.index_of(begin.endpoint);
        if begin.endpoint.service_name != end.endpoint.service_name {
            return (near, self.index_of(end.endpoint));
        }
        self.list[near].kind = Some(kinds.0);
        let far = self.add(end.endpoint);
        self.list[far].kind = Some(kinds.1);
        (near, far)
    }

    /// Addresses are remote endpoints.
    fn assign(&mut self, addresses: &Addresses<'a>, core: &Core<'a>) {
        let Addresses {
            client,
            server,
            broker,
        } = *addresses;
        let client_moment = core.cs.or(core.cr);
        let server_moment = core.sr.or(core.ss);
        if client_moment.is_none() && server_moment.is_none() && (client.is_some() || server.is_some()) {
            self.assign_without_core(client, server);
            return;
        }
        if let (Some(client), Some(moment)) = (client, server_moment)
            && client != moment.endpoint
        {
            self.of(Some(moment.endpoint)).remote = Some(without_name_of(client, moment.endpoint));
        }
        if let (Some(server), Some(moment)) = (server, client_moment) {
            self.of(Some(moment.endpoint)).remote = Some(Cow::Borrowed(server));
        }
        if let Some(broker) = broker {
            for moment in [core.ms, core.mr].into_iter().flatten() {
                self.of(Some(moment.endpoint)).remote = Some(Cow::Borrowed(broker));
            }
        }
    }

    /// Nobody says who was client and who server, so the addresses have to.
    fn assign_without_core(&mut self, client: Option<&'a Endpoint<'a>>, server: Option<&'a Endpoint<'a>>) {
        match (client, server) {
            (Some(client), Some(server)) => self.of(Some(client)).remote = Some(Cow::Borrowed(server)),
            // "sa" is what any remote address is called, so this need not be a client.
            (None, server) => self.first().remote = server.map(Cow::Borrowed),
            (Some(client), None) => {
                let first = self.first();
                first.kind = Some(Kind::Server);
                first.remote = Some(Cow::Borrowed(client));
            }
        }
    }
}

/// Finagle's servers log the port their client came from under their own name; a span that has the same service
/// on both ends would count as a call to itself.
fn without_name_of<'a>(client: &'a Endpoint<'a>, server: &Endpoint<'_>) -> Cow<'a, Endpoint<'a>> {
    if client.service_name == server.service_name {
        Cow::Owned(Endpoint {
            service_name: Cow::Borrowed(""),
            ..client.clone()
        })
    } else {
        Cow::Borrowed(client)
    }
}

fn sort_out_annotations<'a>(span: &'a Span<'a>, sides: &mut Sides<'a>) -> Core<'a> {
    let mut core = Core::default();
    for annotation in &span.annotations {
        let Annotation {
            timestamp,
            ref value,
            ref endpoint,
        } = *annotation;
        let side = sides.of(endpoint.as_ref());
        let moment = endpoint.as_ref().map(|endpoint| Moment { timestamp, endpoint });
        // Without a host it cannot be told whose core annotation it is.
        match value.as_ref() {
            "cs" if moment.is_some() => (side.kind, core.cs) = (Some(Kind::Client), moment),
            "cr" if moment.is_some() => (side.kind, core.cr) = (Some(Kind::Client), moment),
            "sr" if moment.is_some() => (side.kind, core.sr) = (Some(Kind::Server), moment),
            "ss" if moment.is_some() => (side.kind, core.ss) = (Some(Kind::Server), moment),
            "ms" if moment.is_some() => (side.kind, core.ms) = (Some(Kind::Producer), moment),
            "mr" if moment.is_some() => (side.kind, core.mr) = (Some(Kind::Consumer), moment),
            "ws" if moment.is_some() => core.ws = moment,
            "wr" if moment.is_some() => core.wr = moment,
            value => side.annotations.push((timestamp, value)),
        }
    }
    // A span that ends when its timestamp and duration say began when its timestamp says.
    core.cs = core.cs.or_else(|| begin_of(core.cr, span));
    core.sr = core.sr.or_else(|| begin_of(core.ss, span));
    core
}

fn begin_of<'a>(end: Option<Moment<'a>>, span: &Span<'_>) -> Option<Moment<'a>> {
    let timed = span.timestamp != 0 && span.duration != 0;
    let end = end.filter(|end| timed && span.timestamp.wrapping_add(span.duration) == end.timestamp)?;
    Some(Moment {
        timestamp: span.timestamp,
        ..end
    })
}

fn time_rpc<'a>(span: &Span<'_>, core: &Core<'a>, sides: &mut Sides<'a>) {
    match (core.cs, core.cr, core.sr, core.ss) {
        (Some(cs), cr, Some(sr), ss) => {
            // Timestamp and duration are the client's; the server's take less and are to be read off.
            time(span, cs, cr, sides);
            let (_, server) = sides.pair(cs, sr, (Kind::Client, Kind::Server));
            let server = &mut sides.list[server];
            server.shared = true;
            server.timestamp = sr.timestamp;
            if let Some(ss) = ss {
                server.duration = ss.timestamp.wrapping_sub(sr.timestamp);
            }
        }
        (Some(cs), cr @ Some(_), ..) => time(span, cs, cr, sides),
        (_, _, Some(sr), ss @ Some(_)) => time(span, sr, ss, sides),
        _ => time_incomplete_rpc(span, core, sides),
    }
    // v1 has no flag for it. That the server left out what the client would know is the sign; a timestamp
    // without a duration may be the client's, who wrote to the same row of a MySQL schema.
    if let (None, Some(sr)) = (core.cs, core.sr)
        && (span.timestamp == 0 || (core.ss.is_some() && span.duration == 0))
    {
        sides.of(Some(sr.endpoint)).shared = true;
    }
}

/// There is a beginning or an end, not both, or neither.
fn time_incomplete_rpc<'a>(span: &Span<'_>, core: &Core<'a>, sides: &mut Sides<'a>) {
    for side in &mut sides.list {
        let (begin, end) = match side.kind {
            Some(Kind::Client) => (core.cs, core.cr.map(|cr| (cr.timestamp, "cr"))),
            Some(Kind::Server) => (core.sr, core.ss.map(|ss| (ss.timestamp, "ss"))),
            _ => continue,
        };
        if let Some(begin) = begin {
            side.timestamp = begin.timestamp;
        }
        side.annotations.extend(end);
    }
    if span.timestamp != 0 {
        let first = sides.first();
        first.timestamp = span.timestamp;
        first.duration = span.duration;
    }
}

fn time_messaging<'a>(span: &Span<'_>, core: &Core<'a>, sides: &mut Sides<'a>) {
    match (core.ms, core.mr) {
        // Not meant to be in one span, but seen.
        (Some(ms), Some(mr)) => {
            let (producer, consumer) = sides.pair(ms, mr, (Kind::Producer, Kind::Consumer));
            let consumer = &mut sides.list[consumer];
            consumer.shared = true;
            consumer.timestamp = core.wr.map_or(mr.timestamp, |wr| wr.timestamp);
            if let Some(wr) = core.wr {
                consumer.duration = mr.timestamp.wrapping_sub(wr.timestamp);
            }
            let producer = &mut sides.list[producer];
            producer.timestamp = ms.timestamp;
            producer.duration = core.ws.map_or(0, |ws| ws.timestamp.wrapping_sub(ms.timestamp));
        }
        (Some(ms), None) => time(span, ms, core.ws, sides),
        (None, Some(mr)) => match core.wr {
            Some(wr) => time(span, wr, Some(mr), sides),
            None => time(span, mr, None, sides),
        },
        (None, None) => {
            for (moment, value) in [(core.ws, "ws"), (core.wr, "wr")] {
                if let Some(moment) = moment {
                    sides
                        .of(Some(moment.endpoint))
                        .annotations
                        .push((moment.timestamp, value));
                }
            }
        }
    }
}

/// What the span says of its time is better than what annotations say, if it says all.
fn time<'a>(span: &Span<'_>, begin: Moment<'a>, end: Option<Moment<'a>>, sides: &mut Sides<'a>) {
    let side = sides.of(Some(begin.endpoint));
    if span.timestamp != 0 && span.duration != 0 {
        side.timestamp = span.timestamp;
        side.duration = span.duration;
    } else {
        side.timestamp = begin.timestamp;
        if let Some(end) = end {
            side.duration = end.timestamp.wrapping_sub(begin.timestamp);
        }
    }
}

fn sort_out_binary_annotations<'a>(
    binary_annotations: &'a [BinaryAnnotation<'a>],
    sides: &mut Sides<'a>,
) -> Addresses<'a> {
    let mut addresses = Addresses::default();
    for BinaryAnnotation { key, value, endpoint } in binary_annotations {
        let endpoint = endpoint.as_ref();
        match (key.as_ref(), value) {
            ("ca", _) => addresses.client = endpoint,
            ("sa", _) => addresses.server = endpoint,
            ("ma", _) => addresses.broker = endpoint,
            // A local component: there only to say who logged.
            ("lc", BinaryValue::Text(value)) if value.is_empty() => {
                sides.of(endpoint);
            }
            (key, BinaryValue::Text(value)) => sides.of(endpoint).tags.push((key, value)),
            (_, BinaryValue::Address) => {}
        }
    }
    addresses
}

impl Side<'_> {
    fn push(&self, span: &Span<'_>, name: Text, batch: &mut SpanBatch) -> Result<(), ConversionError> {
        for &(key, value) in &self.tags {
            let tag = (batch.add_text(key), batch.add_text(value));
            batch.push_tag(tag.0, tag.1);
        }
        for &(timestamp, value) in &self.annotations {
            // Today's annotations cannot say that they were before the epoch.
            if let Ok(timestamp) = u64::try_from(timestamp) {
                let value = batch.add_text(value);
                batch.push_annotation(timestamp, value);
            }
        }
        let draft = SpanDraft {
            trace_id: TraceId::new(span.trace_id_high, span.trace_id),
            parent_id: Some(SpanId::new(span.parent_id)),
            id: Some(SpanId::new(span.id)),
            kind: self.kind,
            name,
            timestamp: self.timestamp,
            duration: self.duration,
            local_endpoint: draft_endpoint(self.local, batch),
            remote_endpoint: draft_endpoint(self.remote.as_deref(), batch),
            debug: span.debug,
            shared: self.shared,
        };
        Ok(batch.finish(&draft)?)
    }
}

fn draft_endpoint(endpoint: Option<&Endpoint<'_>>, batch: &mut SpanBatch) -> EndpointDraft {
    endpoint.map_or_else(EndpointDraft::default, |endpoint| EndpointDraft {
        service_name: batch.add_text(&endpoint.service_name),
        ip: endpoint.ip,
        port: endpoint.port,
    })
}
