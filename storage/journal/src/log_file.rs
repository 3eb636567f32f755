//! A log file as those who read it see it: records at offsets, through one chunk of memory.

use std::io;

use crate::disk::DiskFile;
use crate::error::JournalError;
use crate::format::{FileHeader, RECORD_HEADER_BYTES, RecordHeader};
use crate::write::SealedFile;

/// Read at once.
pub(crate) const CHUNK_BYTES: u64 = 1 << 20;
/// Positions in one file lie closer together than this, but for its first: two runs' worth.
const POSITION_REACH: u64 = 1 << 41;

/// A log file that was begun, read through one chunk.
#[derive(Debug)]
pub(crate) struct LogFile {
    pub(crate) name: String,
    pub(crate) header: FileHeader,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) length: u64,
    chunk: Vec<u8>,
    chunk_start: u64,
}

/// Where the records of a file end, and what is there instead of one.
#[derive(Debug, Default)]
pub(crate) struct LogEnd {
    pub(crate) offset: u64,
    pub(crate) position: u64,
    /// Records before this position were durable, one of the records read says.
    pub(crate) durable: u64,
    /// Nothing if it is an end as it should be.
    pub(crate) reason: Option<&'static str>,
}

/// What is at a place in a file. The inner error says why it is not what was looked for, as [`LogEnd::reason`] does.
pub(crate) type Found<T> = Result<Result<T, Option<&'static str>>, JournalError>;

impl LogFile {
    pub(crate) fn new(name: String, header: FileHeader, file: Box<dyn DiskFile>, length: u64) -> Self {
        Self {
            name,
            header,
            file,
            length,
            chunk: Vec::new(),
            chunk_start: 0,
        }
    }

    pub(crate) fn sealed(&self) -> SealedFile {
        SealedFile {
            sequence: self.header.sequence,
            base: self.header.base,
        }
    }

    pub(crate) fn unavailable(&self, error: &io::Error) -> JournalError {
        JournalError::Unavailable(format!("{}: {error}", self.name))
    }

    pub(crate) fn damaged(&self, end: &LogEnd, reason: &str) -> JournalError {
        damage(
            &self.name,
            end.offset,
            &format!("record at position {} is not whole: {reason}", end.position),
        )
    }

    /// The header at an end, or why there is none.
    pub(crate) fn record_header(&mut self, end: &LogEnd) -> Found<RecordHeader> {
        let (salt, length) = (self.header.salt, self.length);
        let Some(bytes) = self.bytes(end.offset, RECORD_HEADER_BYTES)? else {
            return Ok(Err(None));
        };
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(Err(None));
        }
        let Some(header) = RecordHeader::decode(bytes, salt) else {
            return Ok(Err(Some("its header does not check")));
        };
        if header.position < end.position {
            return Ok(Err(Some("its position is out of order")));
        }
        if end.offset + header.frame_bytes() > length {
            return Ok(Err(Some("it reaches beyond the file")));
        }
        Ok(Ok(header))
    }

    /// The record at an end, or why there is none.
    pub(crate) fn record(&mut self, end: &LogEnd) -> Found<(RecordHeader, Vec<u8>)> {
        let header = match self.record_header(end)? {
            Ok(header) => header,
            Err(reason) => return Ok(Err(reason)),
        };
        let payload = self.payload(end.offset + RECORD_HEADER_BYTES as u64, header.length as usize)?;
        if crc32c::crc32c(&payload) != header.payload_checksum {
            return Ok(Err(Some("its payload does not check")));
        }
        Ok(Ok((header, payload)))
    }

    /// Lets go of what was read: it is read again when it is needed.
    pub(crate) fn forget_chunk(&mut self) {
        self.chunk = Vec::new();
    }

    /// Some bytes at an offset; nothing if the file ends before.
    pub(crate) fn bytes(&mut self, offset: u64, count: usize) -> Result<Option<&[u8]>, JournalError> {
        if offset + count as u64 > self.length {
            return Ok(None);
        }
        let held = self.chunk_start..self.chunk_start + self.chunk.len() as u64;
        if offset < held.start || offset + count as u64 > held.end {
            self.chunk
                .resize((self.length - offset).min(CHUNK_BYTES) as usize, 0);
            self.chunk_start = offset;
            if let Err(error) = self.file.read_exact_at(&mut self.chunk, offset) {
                self.chunk.clear();
                return Err(self.unavailable(&error));
            }
        }
        let start = (offset - self.chunk_start) as usize;
        Ok(Some(&self.chunk[start..start + count]))
    }

    /// The payload at an offset, which lies within the file.
    fn payload(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, JournalError> {
        if length as u64 <= CHUNK_BYTES
            && let Some(bytes) = self.bytes(offset, length)?
        {
            return Ok(bytes.to_vec());
        }
        let mut payload = vec![0; length];
        self.file
            .read_exact_at(&mut payload, offset)
            .map_err(|error| self.unavailable(&error))?;
        Ok(payload)
    }
}

/// The error for bytes that are not what was written.
pub(crate) fn damage(file: &str, offset: u64, reason: &str) -> JournalError {
    JournalError::Corrupt {
        file: file.to_owned(),
        offset,
        reason: reason.to_owned(),
    }
}

/// A header of this use of the file, at or after a position. The cheap test comes first: a recycled file is
/// full of bytes that are none.
pub(crate) fn later_record(bytes: &[u8], salt: u64, least: u64) -> Option<RecordHeader> {
    let position = RecordHeader::position(bytes);
    if position.wrapping_sub(least) >= POSITION_REACH {
        return None;
    }
    RecordHeader::decode(bytes, salt)
}
