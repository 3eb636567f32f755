//! The bytes on disk. Numbers are little endian, checksums CRC-32C. `FORMAT.md` has an example.
//!
//! A *log file* is named by its sequence number, 16 digits and `.log`:
//!
//! ```text
//! 0     header, first copy       512   header, second copy       1024  records, one after the other
//!
//! header   0  magic "TRHJRNL\n"       record   0  length of the payload, u32
//!          8  version, u32 = 1                 4  checksum of the payload
//!         12  zero, u32                        8  position, u64
//!         16  sequence, u64                   16  durable, u64
//!         24  salt, u64                       24  checksum of salt and bytes 0..24
//!         32  base, u64                       28  payload, then zeros to a multiple of 8
//!         40  checksum of bytes 0..40
//! ```
//!
//! - A *position* is a logical offset: a record's is at least the end of the record before it, which is its
//!   position plus the bytes it takes in the file. There are gaps: where the disk refused a record that had got
//!   its position, and wherever a journal was opened, because the positions of records that were lost must not
//!   come back. Every opening goes on at a multiple of 2^40, so the high bits number the runs.
//! - *base* is the end of the last record of the file before. It becomes durable after that record, so a file
//!   whose records end elsewhere than at its successor's base is damaged, and only the last file can be torn.
//! - *durable* is the end of the last record that was synced when this one was written. A record that does
//!   not check, and a later one that says it had been durable, is damage. Without such a witness it is a torn
//!   tail: a group of records is synced at once, and the disk may have kept any part of it.
//! - *salt* is random, new for each use of a file. Files are recycled without being cleared, and the record
//!   headers of the former use do not check against the new salt. Nor can a payload pose as a record.
//! - The records of the last file end at a header of zeros, or at the end of the file.
//! - A file whose header does not name its own sequence number was never begun. Only the last can be that.
//!
//! The *checkpoint* file has two slots, at 0 and 512, written in turn. The greater valid one counts, by position,
//! then durable, then run. It is also written at opening, so that positions of this run never come back, and at
//! closing, as a witness of the last records:
//!
//! ```text
//! slot     0  magic "TRHCKPT\n"      16  position, u64      32  run, u64: the first position of this run
//!          8  version, u32 = 1       24  durable, u64       40  checksum of bytes 0..40
//!         12  zero, u32
//! ```

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Copies of a header lie a sector apart, so that one torn or lost sector leaves the other.
pub(crate) const SECTOR_BYTES: usize = 512;
/// Where records begin.
pub(crate) const FILE_HEADER_BYTES: u64 = 2 * SECTOR_BYTES as u64;
/// Before every payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 28;
/// Records begin at multiples of this, so that a search for them need not look at every byte.
pub(crate) const ALIGNMENT: usize = 8;
/// Zeros that end the records of a file: a header's worth, aligned.
pub(crate) const TERMINATOR_BYTES: usize = 32;

const VERSION: u32 = 1;
const FILE_MAGIC: &[u8; 8] = b"TRHJRNL\n";
const CHECKPOINT_MAGIC: &[u8; 8] = b"TRHCKPT\n";
const RUN_BITS: u32 = 40;
/// Greater numbers are no positions: no journal lives to see them, and sums below them do not overflow.
const POSITION_MAX: u64 = 1 << 62;

/// Place of a record in the life of a journal: grows from record to record, and is never used again.
///
/// A logical offset in bytes, with gaps; not an offset in a file. [`Position::START`] comes before every record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(crate) u64);

impl Position {
    /// Before every record.
    pub const START: Self = Self(0);

    /// The position a caller kept as a number.
    pub const fn from_u64(value: u64) -> Self {
        Self(value)
    }

    /// As a number, to be kept elsewhere.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// First position of the run that follows one which got to a position: beyond all that were queued there and
    /// then lost, which are fewer than half a run of bytes. Nothing when positions are used up.
    pub(crate) fn next_run(reached: u64) -> Option<Self> {
        let start = (((reached + (1 << (RUN_BITS - 1))) >> RUN_BITS) + 1) << RUN_BITS;
        (start <= POSITION_MAX / 2).then_some(Self(start))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Name within the directory of the log file with a sequence number.
pub(crate) fn file_name(sequence: u64) -> String {
    format!("{sequence:016}.log")
}

/// The sequence number in a file's name; nothing for a file of another kind.
pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let sequence = name.strip_suffix(".log")?.parse().ok()?;
    (file_name(sequence) == name).then_some(sequence)
}

/// Bytes a record takes in a file.
pub(crate) const fn frame_bytes(payload_bytes: usize) -> u64 {
    (RECORD_HEADER_BYTES as u64 + payload_bytes as u64).next_multiple_of(ALIGNMENT as u64)
}

/// A salt nobody can predict. It separates uses of a file; nothing else depends on its value.
pub(crate) fn random_salt() -> u64 {
    RandomState::new().hash_one(0)
}

/// What a log file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) sequence: u64,
    pub(crate) salt: u64,
    pub(crate) base: u64,
}

/// What the first bytes of a log file say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FileStart {
    Begun(FileHeader),
    /// Neither copy is whole and has the expected sequence number.
    NotBegun,
    /// Written by a version that this one does not know.
    UnknownVersion(u32),
}

impl FileHeader {
    /// Both copies.
    pub(crate) fn encode(&self) -> [u8; FILE_HEADER_BYTES as usize] {
        let mut bytes = [0; FILE_HEADER_BYTES as usize];
        for copy in bytes.chunks_exact_mut(SECTOR_BYTES) {
            put_start(copy, FILE_MAGIC);
            put_u64(copy, 16, self.sequence);
            put_u64(copy, 24, self.salt);
            put_u64(copy, 32, self.base);
            put_checksum(copy, 40);
        }
        bytes
    }

    /// Reads the first [`FILE_HEADER_BYTES`] of a file, or what there is of them.
    pub(crate) fn decode(bytes: &[u8], sequence: u64) -> FileStart {
        for copy in bytes.chunks_exact(SECTOR_BYTES) {
            if !is_whole(copy, FILE_MAGIC, 40) {
                continue;
            }
            let version = get_u32(copy, 8);
            if version != VERSION {
                return FileStart::UnknownVersion(version);
            }
            let header = Self {
                sequence: get_u64(copy, 16),
                salt: get_u64(copy, 24),
                base: get_u64(copy, 32),
            };
            if header.sequence == sequence && header.base <= POSITION_MAX {
                return FileStart::Begun(header);
            }
        }
        FileStart::NotBegun
    }
}

/// What a record begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) length: u32,
    pub(crate) payload_checksum: u32,
    pub(crate) position: u64,
    pub(crate) durable: u64,
}

impl RecordHeader {
    pub(crate) fn encode(&self, salt: u64) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        put_u32(&mut bytes, 0, self.length);
        put_u32(&mut bytes, 4, self.payload_checksum);
        put_u64(&mut bytes, 8, self.position);
        put_u64(&mut bytes, 16, self.durable);
        let checksum = salted_checksum(salt, &bytes[..24]);
        put_u32(&mut bytes, 24, checksum);
        bytes
    }

    /// A header written under this salt, or nothing. `bytes` are at least [`RECORD_HEADER_BYTES`].
    pub(crate) fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let header = Self {
            length: get_u32(bytes, 0),
            payload_checksum: get_u32(bytes, 4),
            position: get_u64(bytes, 8),
            durable: get_u64(bytes, 16),
        };
        // Positions begin at the first run, so zeros are no header whatever their checksum.
        let positions = 1..=POSITION_MAX;
        let plausible = positions.contains(&header.position) && header.durable <= header.position;
        (plausible && get_u32(bytes, 24) == salted_checksum(salt, &bytes[..24])).then_some(header)
    }

    /// The position in what may be a header.
    pub(crate) fn position(bytes: &[u8]) -> u64 {
        get_u64(bytes, 8)
    }

    pub(crate) fn frame_bytes(&self) -> u64 {
        frame_bytes(self.length as usize)
    }
}

/// A checkpoint as it is kept. The greater of two is the later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CheckpointSlot {
    pub(crate) position: u64,
    /// End of the last record that was synced when the slot was written.
    pub(crate) durable: u64,
    /// First position of the run that wrote the slot.
    pub(crate) run: u64,
}

impl CheckpointSlot {
    pub(crate) fn encode(&self) -> [u8; SECTOR_BYTES] {
        let mut bytes = [0; SECTOR_BYTES];
        put_start(&mut bytes, CHECKPOINT_MAGIC);
        put_u64(&mut bytes, 16, self.position);
        put_u64(&mut bytes, 24, self.durable);
        put_u64(&mut bytes, 32, self.run);
        put_checksum(&mut bytes, 40);
        bytes
    }

    /// A whole slot of this version, or nothing. `bytes` are [`SECTOR_BYTES`].
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let slot = Self {
            position: get_u64(bytes, 16),
            durable: get_u64(bytes, 24),
            run: get_u64(bytes, 32),
        };
        let whole = is_whole(bytes, CHECKPOINT_MAGIC, 40) && get_u32(bytes, 8) == VERSION;
        (whole && slot.position.max(slot.durable).max(slot.run) <= POSITION_MAX).then_some(slot)
    }
}

fn salted_checksum(salt: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), bytes)
}

fn is_whole(bytes: &[u8], magic: &[u8; 8], checksum_at: usize) -> bool {
    bytes.starts_with(magic) && get_u32(bytes, checksum_at) == crc32c::crc32c(&bytes[..checksum_at])
}

fn put_start(bytes: &mut [u8], magic: &[u8; 8]) {
    bytes[..8].copy_from_slice(magic);
    put_u32(bytes, 8, VERSION);
}

fn put_checksum(bytes: &mut [u8], at: usize) {
    let checksum = crc32c::crc32c(&bytes[..at]);
    put_u32(bytes, at, checksum);
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn get_u32(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn get_u64(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}
