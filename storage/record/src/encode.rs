//! Writing a record.

use model::{EndpointDraft, IpAddresses, SpanBatch, SpanRef};

use crate::bytes::Put;
use crate::numbering::{Family, NO_TEXT, Numbering};
use crate::{Address, Known, Parent, VERSION, family_flag, span_flag};

/// Appends the record of a batch.
pub(crate) fn encode(batch: &SpanBatch, numbering: &Numbering, record: &mut Vec<u8>) {
    let texts = numbering.texts();
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    record.reserve(bytes + texts.len() * 2 + numbering.families().len() * 16 + batch.len() * 48 + 16);
    record.push(VERSION);
    record.put_varint(texts.len() as u64);
    texts.iter().for_each(|text| record.put_varint(text.len() as u64));
    texts
        .iter()
        .for_each(|&text| record.extend_from_slice(batch.bytes(text)));
    record.put_varint(numbering.families().len() as u64);
    for family in numbering.families() {
        put_family(family, numbering.keys(family), record);
    }
    record.put_varint(batch.len() as u64);
    let mut encoder = Encoder {
        previous: Known::default(),
        remotes: vec![Default::default(); numbering.families().len()],
    };
    for (index, span) in batch.iter().enumerate() {
        let (family, values) = numbering.span(index);
        record.put_varint(u64::from(family));
        encoder.put_span(span, family, record);
        put_values(values, numbering.same(index), record);
        for &(time, _) in span.annotation_texts() {
            record.put_zigzag(time.wrapping_sub(encoder.previous.timestamp) as i64);
        }
    }
}

fn put_family(family: &Family, keys: &[u32], record: &mut Vec<u8>) {
    let texts = [
        (family_flag::SERVICE, family.service),
        (family_flag::NAME, family.name),
        (family_flag::REMOTE_SERVICE, family.remote_service),
    ];
    let there = texts.iter().filter(|text| text.1 != NO_TEXT);
    record.push(
        family.kind.map_or(0, |kind| kind as u8)
            | flag(family.debug, family_flag::DEBUG)
            | flag(family.shared, family_flag::SHARED)
            | there.clone().fold(0, |flags, text| flags | text.0),
    );
    there.for_each(|text| record.put_varint(u64::from(text.1)));
    record.put_varint(u64::from(family.tags));
    keys.iter().for_each(|&key| record.put_varint(u64::from(key)));
    record.put_varint(u64::from(family.annotations));
}

/// What a span can refer to.
struct Encoder {
    previous: Known,
    /// Of every family those of its last span.
    remotes: Vec<Address>,
}

impl Encoder {
    /// Everything but family, values and annotation times.
    fn put_span(&mut self, span: SpanRef<'_>, family: u32, record: &mut Vec<u8>) {
        let previous = self.previous;
        let (trace_id, id, parent_id) = (span.trace_id(), span.id(), span.parent_id());
        let same_trace = Some(trace_id) == previous.trace_id;
        let same_id = Some(id) == previous.parent_id;
        let parent = match parent_id {
            None => Parent::None,
            Some(_) if parent_id == previous.parent_id => Parent::Same,
            Some(_) if parent_id == previous.id => Parent::Previous,
            Some(_) => Parent::Written,
        };
        let (local, remote) = (address(span.local_draft()), address(span.remote_draft()));
        let known_remote = &mut self.remotes[family as usize];
        let (new_local, new_remote) = (local != previous.local, remote != *known_remote);
        record.push(
            flag(same_trace, span_flag::SAME_TRACE)
                | flag(!same_trace && trace_id.high() != 0, span_flag::HIGH)
                | flag(same_id, span_flag::ID_IS_PARENT)
                | (parent as u8) << span_flag::PARENT_SHIFT
                | flag(span.timestamp().is_some(), span_flag::TIMESTAMP)
                | flag(new_local, span_flag::LOCAL)
                | flag(new_remote, span_flag::REMOTE),
        );
        if !same_trace {
            record.put_u64(trace_id.low());
            if trace_id.high() != 0 {
                record.put_u64(trace_id.high());
            }
        }
        if !same_id {
            record.put_u64(id.value());
        }
        if let (Parent::Written, Some(parent)) = (parent, parent_id) {
            record.put_u64(parent.value());
        }
        if let Some(timestamp) = span.timestamp() {
            record.put_zigzag(timestamp.wrapping_sub(previous.timestamp) as i64);
        }
        record.put_varint(span.duration().unwrap_or(0));
        if new_local {
            put_address(local, record);
        }
        if new_remote {
            put_address(remote, record);
            *known_remote = remote;
        }
        self.previous = Known {
            trace_id: Some(trace_id),
            id: Some(id),
            parent_id,
            timestamp: span.timestamp().unwrap_or(previous.timestamp),
            local,
        };
    }
}

/// Which values are the same as before ([`Numbering::same`]), then the others.
fn put_values(values: &[u32], same: u64, record: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    record.put_varint(same);
    for (index, value) in values.iter().enumerate() {
        if same.checked_shr(index as u32).unwrap_or(0) & 1 == 0 {
            record.put_varint(u64::from(*value));
        }
    }
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

fn address(endpoint: &EndpointDraft) -> Address {
    (endpoint.ip, endpoint.port)
}

fn put_address((ip, port): Address, record: &mut Vec<u8>) {
    put_addresses(ip, 0, record);
    record.put_varint(u64::from(port));
}

/// Writes addresses: one byte that says which follow, then 4 and 16 bytes; `more` are further bits of that byte.
#[inline]
pub fn put_addresses(ip: IpAddresses, more: u8, out: &mut impl Put) {
    let v4 = if ip.v4.is_some() { crate::IP_V4 } else { 0 };
    let v6 = if ip.v6.is_some() { crate::IP_V6 } else { 0 };
    out.put_byte(v4 | v6 | more);
    if let Some(v4) = ip.v4 {
        out.put_bytes(&v4.octets());
    }
    if let Some(v6) = ip.v6 {
        out.put_bytes(&v6.octets());
    }
}
