//! A batch in the spool's journal: when it was accepted, how many spans it has, and the spans as a record.
//!
//! ```text
//! version u8 = 1, accepted u64 (epoch milliseconds), spans u32, record of storage-record
//! ```
//!
//! Numbers are little endian. What waits can be counted without being read.

use model::SpanBatch;
use storage_record::bytes::{Cursor, Malformed, Put};

const VERSION: u8 = 1;

/// What is known of a batch without reading its spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) accepted_ms: u64,
    pub(crate) spans: u32,
}

pub(crate) fn encode(batch: &SpanBatch, accepted_ms: u64) -> Vec<u8> {
    let mut record = Vec::new();
    record.push(VERSION);
    record.put_u64(accepted_ms);
    record.put_u32(batch.len() as u32);
    storage_record::encode_to(batch, &mut record);
    record
}

/// The head of a record, and the rest of it.
pub(crate) fn decode_head(record: &[u8]) -> Result<(Head, &[u8]), Malformed> {
    let mut cursor = Cursor::new(record);
    if cursor.u8()? != VERSION {
        return Err(Malformed("a record of the spool of an unknown version"));
    }
    let head = Head {
        accepted_ms: cursor.u64()?,
        spans: cursor.u32()?,
    };
    Ok((head, cursor.take(cursor.remaining())?))
}

/// Appends a record's spans to `batch`, or nothing if it is malformed.
pub(crate) fn decode(record: &[u8], batch: &mut SpanBatch) -> Result<Head, Malformed> {
    let before = batch.len();
    let decoded = decode_head(record).and_then(|(head, spans)| {
        storage_record::decode(spans, batch)?;
        if batch.len() - before != head.spans as usize {
            return Err(Malformed("a record with another number of spans than it says"));
        }
        Ok(head)
    });
    if decoded.is_err() {
        batch.abandon();
        let mut index = 0;
        batch.retain(|_| {
            index += 1;
            index <= before
        });
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Span, SpanId, SpanRef, TraceId};

    fn batch(ids: std::ops::Range<u64>) -> SpanBatch {
        let mut batch = SpanBatch::new();
        for id in ids {
            batch.push_span(&Span {
                trace_id: TraceId::new(1, 2).unwrap(),
                parent_id: None,
                id: SpanId::new(id),
                kind: None,
                name: Some(format!("span {id}")),
                timestamp: None,
                duration: None,
                local_endpoint: None,
                remote_endpoint: None,
                annotations: Vec::new(),
                tags: vec![("".to_owned(), "kept, though proto3 would not".to_owned())],
                debug: false,
                shared: false,
            });
        }
        batch
    }

    fn spans(batch: &SpanBatch) -> Vec<Span> {
        batch.iter().map(SpanRef::to_span).collect()
    }

    #[test]
    fn a_record_is_read_after_others_and_says_what_it_has() {
        let head = Head {
            accepted_ms: 1_700_000_000_123,
            spans: 3,
        };
        let record = encode(&batch(5..8), head.accepted_ms);
        assert_eq!(decode_head(&record).map(|read| read.0), Ok(head));
        let mut read = batch(1..5);
        assert_eq!(decode(&record, &mut read), Ok(head));
        assert_eq!(spans(&read), spans(&batch(1..8)));
    }

    #[test]
    fn a_malformed_record_leaves_the_batch_as_it_was() {
        let record = encode(&batch(5..8), 1);
        let mut others = vec![record.clone(); 3];
        others[0][0] = 2;
        others[1][9] = 2;
        others[2].truncate(record.len() - 2);
        for other in others {
            let mut read = batch(1..5);
            decode(&other, &mut read).unwrap_err();
            assert_eq!(spans(&read), spans(&batch(1..5)));
            decode(&record, &mut read).unwrap();
            assert_eq!(
                spans(&read),
                spans(&batch(1..8)),
                "what it left is not in the way"
            );
        }
    }
}
