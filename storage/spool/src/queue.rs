//! What waits, in order: records of the journal joined into batches for the backend.

use model::SpanBatch;
use storage_journal::{JournalError, Position, Reader, Record};

use crate::config::SpoolConfig;
use crate::record;

/// Reads the journal. Holds one record that did not fit into the batch before.
#[derive(Debug)]
pub(crate) struct Queue {
    reader: Reader,
    held: Option<Record>,
}

/// What the backend is offered at once.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) spans: SpanBatch,
    pub(crate) records: u64,
    /// When the first record was accepted, and where it is.
    pub(crate) accepted_ms: u64,
    pub(crate) first: Position,
    /// Where the next batch begins.
    pub(crate) end: Position,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Batch(Batch),
    /// A record that is what was written, and is none of a spool of this version.
    Unreadable {
        record: Record,
        reason: String,
        end: Position,
    },
    Nothing,
}

impl Queue {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader, held: None }
    }

    /// Takes the next records, as many as fit into a batch. Reads the disk.
    ///
    /// # Errors
    /// As [`Reader::next`], once what lies before has been taken.
    pub(crate) fn next(&mut self, config: &SpoolConfig) -> Result<Next, JournalError> {
        let Some(first) = self.take()? else {
            return Ok(Next::Nothing);
        };
        let mut spans = SpanBatch::new();
        let head = match record::decode(&first.payload, &mut spans) {
            Ok(head) => head,
            Err(error) => {
                return Ok(Next::Unreadable {
                    reason: error.to_string(),
                    record: first,
                    end: self.end(),
                });
            }
        };
        let mut bytes = first.payload.len();
        let mut records = 1;
        // An error is met again by the next call.
        while let Ok(Some(record)) = self.take() {
            let fits = record::decode_head(&record.payload).is_ok_and(|(head, _)| {
                spans.len() + head.spans as usize <= config.batch_spans_max
                    && bytes + record.payload.len() <= config.batch_bytes_max
            });
            if !fits || record::decode(&record.payload, &mut spans).is_err() {
                self.held = Some(record);
                break;
            }
            bytes += record.payload.len();
            records += 1;
        }
        Ok(Next::Batch(Batch {
            spans,
            records,
            accepted_ms: head.accepted_ms,
            first: first.position,
            end: self.end(),
        }))
    }

    /// Goes on after what cannot be read; says where.
    pub(crate) fn skip_damaged(&mut self) -> Result<Position, JournalError> {
        self.reader.skip_damaged()
    }

    fn take(&mut self) -> Result<Option<Record>, JournalError> {
        match self.held.take() {
            Some(record) => Ok(Some(record)),
            None => self.reader.next(),
        }
    }

    /// Where the next batch begins, or later.
    pub(crate) fn end(&self) -> Position {
        self.held
            .as_ref()
            .map_or_else(|| self.reader.position(), |held| held.position)
    }
}
