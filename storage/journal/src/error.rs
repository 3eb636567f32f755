//! Why the journal did not do what it was asked, by what the caller can do about it.

use crate::Position;

/// Why a record is not in the journal, or the journal not open. Messages are lower case, without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A bound is reached and nothing was kept: send it again when the checkpoint moved or the queue drained.
    #[error("the {what} is full: {bytes} of at most {bytes_max} bytes")]
    Full {
        /// `journal` (bytes from the checkpoint to the end) or `journal queue` (bytes not yet written).
        what: &'static str,
        /// Bytes it would hold with the record.
        bytes: u64,
        /// [`crate::JournalConfig::bytes_max`] or [`crate::JournalConfig::queue_bytes_max`].
        bytes_max: u64,
    },
    /// The record is larger than [`crate::JournalConfig::record_bytes_max`]: it will never fit.
    #[error("a record of {bytes} bytes is larger than {bytes_max} bytes")]
    TooLarge {
        /// Length of the record.
        bytes: u64,
        /// The bound.
        bytes_max: u32,
    },
    /// The disk refused (it is full, for example). Nothing was kept; the journal works on when the disk does.
    #[error("the journal cannot be written: {0}")]
    Unavailable(String),
    /// Bytes that were durable are not what was written.
    #[error("{file} is damaged at offset {offset}: {reason}")]
    Corrupt {
        /// Name of the file on the journal's disk.
        file: String,
        /// Offset in the file of the first bytes that are wrong.
        offset: u64,
        /// What is wrong with them.
        reason: String,
    },
    /// A sync failed, so it is unknown what is on disk: nothing is accepted until the journal is opened again.
    #[error("the journal stopped because it does not know what is on disk: {0}")]
    Poisoned(String),
    /// A checkpoint was asked for that lies beyond every record: it belongs to another journal.
    #[error("checkpoint {position} is beyond the journal's end {end}")]
    BeyondEnd {
        /// What was asked for.
        position: Position,
        /// Position the next record will get.
        end: Position,
    },
    /// The journal is closing.
    #[error("the journal is closed")]
    Closed,
}
