//! A batch of spans as one record of a journal, and back: what every store that keeps a journal writes into it.
//!
//! A record carries its own dictionary, so it can be read without any other record: a damaged one costs
//! nothing but itself, and records can be replayed in parallel. Distinct texts are stored once a record;
//! a batch usually comes from one process and repeats itself.
//!
//! ```text
//! record   = version u8, texts: count, (length varint)*, bytes, spans: count, span*
//! span     = flags u8 (kind 0..2, debug 3, shared 4, same local endpoint as the span before 5),
//!            present u8 (high 0, parent 1, name 2, timestamp 3, duration 4, local 5, remote 6),
//!            trace low u64, [trace high u64], id u64, [parent u64], [name: text number],
//!            [timestamp zigzag from the span before], [duration varint], [local endpoint], [remote endpoint],
//!            tags: count, (key, value: text numbers)*, annotations: count, (zigzag from the timestamp, text number)*
//! endpoint = ip flags u8 (v4 0, v6 1, service 2), [service: text number], [4 bytes], [16 bytes], port varint
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::{
    EndpointDraft, EndpointRef, IpAddresses, Kind, SpanBatch, SpanDraft, SpanId, SpanRef, Text, TraceId,
};
use std::hash::BuildHasher;

pub mod bytes;

use bytes::{Cursor, Malformed, Put};

const VERSION: u8 = 1;

const KIND_MASK: u8 = 0b111;
const DEBUG: u8 = 1 << 3;
const SHARED: u8 = 1 << 4;
const SAME_LOCAL: u8 = 1 << 5;

const HIGH: u8 = 1;
const PARENT: u8 = 1 << 1;
const NAME: u8 = 1 << 2;
const TIMESTAMP: u8 = 1 << 3;
const DURATION: u8 = 1 << 4;
const LOCAL: u8 = 1 << 5;
const REMOTE: u8 = 1 << 6;

const IP_V4: u8 = 1;
const IP_V6: u8 = 1 << 1;
const SERVICE: u8 = 1 << 2;

/// The smallest span: two flag bytes, two identifiers, two counts.
const SPAN_BYTES_MIN: usize = 20;

/// Writes a batch as a record.
pub fn encode(batch: &SpanBatch) -> Vec<u8> {
    let mut record = Vec::new();
    encode_to(batch, &mut record);
    record
}

/// Appends a batch, as a record, to what its journal puts before it.
pub fn encode_to(batch: &SpanBatch, record: &mut Vec<u8>) {
    let mut texts = Texts::default();
    let mut spans = Vec::with_capacity(batch.len() * 96);
    let mut previous = Previous::default();
    for span in batch.iter() {
        encode_span(span, &mut texts, &mut previous, &mut spans);
    }
    record.reserve_exact(spans.len() + texts.bytes.len() + texts.ends.len() * 2 + 16);
    record.push(VERSION);
    texts.put(record);
    record.put_varint(batch.len() as u64);
    record.extend_from_slice(&spans);
}

/// Reads a record and appends its spans to `batch`, as they were: they are not normalised again.
///
/// # Errors
/// [`Malformed`] where the bytes are no record of this version; `batch` may then hold some of its spans.
pub fn decode(record: &[u8], batch: &mut SpanBatch) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(record);
    if cursor.u8()? != VERSION {
        return Err(Malformed("a journal record of an unknown version"));
    }
    let texts = read_texts(&mut cursor, batch)?;
    let count = cursor.count(SPAN_BYTES_MIN)?;
    let mut previous = PreviousDraft::default();
    for _ in 0..count {
        decode_span(&mut cursor, &texts, &mut previous, batch)?;
    }
    if cursor.is_empty() {
        Ok(())
    } else {
        Err(Malformed("bytes after the last span of a record"))
    }
}

#[derive(Default)]
struct Previous<'a> {
    timestamp: u64,
    local: Option<EndpointRef<'a>>,
}

#[derive(Default)]
struct PreviousDraft {
    timestamp: u64,
    local: EndpointDraft,
}

/// The distinct texts of a batch, numbered in the order first seen.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    numbers: HashTable<u32>,
    hasher: FixedState,
}

impl Texts {
    fn number(&mut self, text: &str) -> u64 {
        let Self {
            bytes,
            ends,
            numbers,
            hasher,
        } = self;
        let hash = hasher.hash_one(text.as_bytes());
        let at = |ends: &[u32], number: u32| {
            let start = if number == 0 { 0 } else { ends[number as usize - 1] };
            start as usize..ends[number as usize] as usize
        };
        if let Some(&number) = numbers.find(hash, |&number| &bytes[at(ends, number)] == text.as_bytes()) {
            return u64::from(number);
        }
        let number = ends.len() as u32;
        bytes.extend_from_slice(text.as_bytes());
        ends.push(bytes.len() as u32);
        numbers.insert_unique(hash, number, |&number| hasher.hash_one(&bytes[at(ends, number)]));
        u64::from(number)
    }

    fn put(&self, record: &mut Vec<u8>) {
        record.put_varint(self.ends.len() as u64);
        let mut start = 0;
        for &end in &self.ends {
            record.put_varint(u64::from(end - start));
            start = end;
        }
        record.extend_from_slice(&self.bytes);
    }
}

fn read_texts(cursor: &mut Cursor<'_>, batch: &mut SpanBatch) -> Result<Vec<Text>, Malformed> {
    let count = cursor.count(1)?;
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        lengths.push(cursor.varint()? as usize);
    }
    let bytes = lengths
        .iter()
        .try_fold(0usize, |sum, &length| sum.checked_add(length));
    let bytes = cursor.take(bytes.ok_or(Malformed("texts beyond all memory"))?)?;
    let all = std::str::from_utf8(bytes).map_err(|_| Malformed("text that is not UTF-8"))?;
    let mut start = batch.add_text(all).start();
    let mut texts = Vec::with_capacity(count);
    let mut end = 0;
    for length in lengths {
        end += length;
        if !all.is_char_boundary(end) {
            return Err(Malformed("a text that ends within a character"));
        }
        texts.push(Text::new(start, length));
        start += length;
    }
    Ok(texts)
}

fn encode_span<'a>(span: SpanRef<'a>, texts: &mut Texts, previous: &mut Previous<'a>, out: &mut Vec<u8>) {
    let (local, remote) = (span.local_endpoint(), span.remote_endpoint());
    let same_local = local.is_some() && local == previous.local;
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        span.kind().map_or(0, |kind| kind as u8)
            | flag(span.debug(), DEBUG)
            | flag(span.shared(), SHARED)
            | flag(same_local, SAME_LOCAL),
    );
    out.push(
        flag(span.trace_id().high() != 0, HIGH)
            | flag(span.parent_id().is_some(), PARENT)
            | flag(span.name().is_some(), NAME)
            | flag(span.timestamp().is_some(), TIMESTAMP)
            | flag(span.duration().is_some(), DURATION)
            | flag(local.is_some() && !same_local, LOCAL)
            | flag(remote.is_some(), REMOTE),
    );
    out.put_u64(span.trace_id().low());
    if span.trace_id().high() != 0 {
        out.put_u64(span.trace_id().high());
    }
    out.put_u64(span.id().value());
    if let Some(parent) = span.parent_id() {
        out.put_u64(parent.value());
    }
    if let Some(name) = span.name() {
        out.put_varint(texts.number(name));
    }
    if let Some(timestamp) = span.timestamp() {
        out.put_zigzag(timestamp.wrapping_sub(previous.timestamp) as i64);
        previous.timestamp = timestamp;
    }
    if let Some(duration) = span.duration() {
        out.put_varint(duration);
    }
    if let Some(local) = local.filter(|_| !same_local) {
        encode_endpoint(local, texts, out);
    }
    previous.local = local;
    if let Some(remote) = remote {
        encode_endpoint(remote, texts, out);
    }
    out.put_varint(span.tags().len() as u64);
    for (key, value) in span.tags() {
        out.put_varint(texts.number(key));
        out.put_varint(texts.number(value));
    }
    out.put_varint(span.annotations().len() as u64);
    for annotation in span.annotations() {
        out.put_zigzag(annotation.timestamp.wrapping_sub(previous.timestamp) as i64);
        out.put_varint(texts.number(annotation.value));
    }
}

fn encode_endpoint(endpoint: EndpointRef<'_>, texts: &mut Texts, out: &mut Vec<u8>) {
    let service = endpoint.service_name.map(|name| texts.number(name));
    put_addresses(endpoint.ip, if service.is_some() { SERVICE } else { 0 }, out);
    out.put_varint(u64::from(endpoint.port));
    if let Some(service) = service {
        out.put_varint(service);
    }
}

/// Writes addresses: one byte that says which follow, then 4 and 16 bytes; `more` are further bits of that byte.
pub fn put_addresses(ip: IpAddresses, more: u8, out: &mut Vec<u8>) {
    let v4 = if ip.v4.is_some() { IP_V4 } else { 0 };
    let v6 = if ip.v6.is_some() { IP_V6 } else { 0 };
    out.push(v4 | v6 | more);
    if let Some(v4) = ip.v4 {
        out.extend_from_slice(&v4.octets());
    }
    if let Some(v6) = ip.v6 {
        out.extend_from_slice(&v6.octets());
    }
}

/// The reverse of [`put_addresses`]; also gives the byte's further bits.
///
/// # Errors
/// [`Malformed`] where the bytes end too early.
pub fn read_addresses(cursor: &mut Cursor<'_>) -> Result<(IpAddresses, u8), Malformed> {
    let flags = cursor.u8()?;
    let mut ip = IpAddresses::default();
    if flags & IP_V4 != 0 {
        ip.v4 = Some(Ipv4Addr::from(cursor.array::<4>()?));
    }
    if flags & IP_V6 != 0 {
        ip.v6 = Some(Ipv6Addr::from(cursor.array::<16>()?));
    }
    Ok((ip, flags & !(IP_V4 | IP_V6)))
}

/// Reads a port.
///
/// # Errors
/// [`Malformed`] for one beyond 65535.
pub fn read_port(cursor: &mut Cursor<'_>) -> Result<u16, Malformed> {
    u16::try_from(cursor.varint()?).map_err(|_| Malformed("a port beyond 65535"))
}

fn decode_span(
    cursor: &mut Cursor<'_>,
    texts: &[Text],
    previous: &mut PreviousDraft,
    batch: &mut SpanBatch,
) -> Result<(), Malformed> {
    let (flags, present) = (cursor.u8()?, cursor.u8()?);
    let low = cursor.u64()?;
    let high = if present & HIGH != 0 { cursor.u64()? } else { 0 };
    let mut draft = SpanDraft {
        trace_id: TraceId::new(high, low),
        id: Some(SpanId::new(cursor.u64()?)),
        kind: Kind::from_number(u64::from(flags & KIND_MASK)),
        debug: flags & DEBUG != 0,
        shared: flags & SHARED != 0,
        ..SpanDraft::default()
    };
    if present & PARENT != 0 {
        draft.parent_id = Some(SpanId::new(cursor.u64()?));
    }
    if present & NAME != 0 {
        draft.name = read_text(cursor, texts)?;
    }
    if present & TIMESTAMP != 0 {
        previous.timestamp = previous.timestamp.wrapping_add(cursor.zigzag()? as u64);
        draft.timestamp = previous.timestamp as i64;
    }
    if present & DURATION != 0 {
        draft.duration = cursor.varint()? as i64;
    }
    if present & LOCAL != 0 {
        draft.local_endpoint = decode_endpoint(cursor, texts)?;
    } else if flags & SAME_LOCAL != 0 {
        draft.local_endpoint = previous.local;
    }
    previous.local = draft.local_endpoint;
    if present & REMOTE != 0 {
        draft.remote_endpoint = decode_endpoint(cursor, texts)?;
    }
    for _ in 0..cursor.count(2)? {
        let tag = (read_text(cursor, texts)?, read_text(cursor, texts)?);
        batch.push_tag(tag.0, tag.1);
    }
    for _ in 0..cursor.count(2)? {
        let timestamp = previous.timestamp.wrapping_add(cursor.zigzag()? as u64);
        batch.push_annotation(timestamp, read_text(cursor, texts)?);
    }
    batch
        .finish_normalised(&draft)
        .map_err(|_| Malformed("a span without a trace identifier"))
}

fn decode_endpoint(cursor: &mut Cursor<'_>, texts: &[Text]) -> Result<EndpointDraft, Malformed> {
    let (ip, more) = read_addresses(cursor)?;
    let port = read_port(cursor)?;
    let service_name = if more & SERVICE != 0 {
        read_text(cursor, texts)?
    } else {
        Text::EMPTY
    };
    Ok(EndpointDraft {
        service_name,
        ip,
        port,
    })
}

fn read_text(cursor: &mut Cursor<'_>, texts: &[Text]) -> Result<Text, Malformed> {
    texts
        .get(cursor.varint()? as usize)
        .copied()
        .ok_or(Malformed("a text number beyond the texts"))
}
