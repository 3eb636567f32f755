//! An append-only, checksummed, group-committed log of byte records with checkpoints, on a [`Disk`].
//!
//! ```text
//! append ─▶ queue ─▶ writer thread: one write, one sync ─▶ everybody who waits
//!                        │
//!                        ▼
//!        [ file 7 ][ file 8 ][ file 9 ····· zeros ]        checkpoint: two slots
//!         recycled   ▲ replayed from the checkpoint
//! ```
//!
//! A record is bytes and a [`Position`]; what the bytes mean is the caller's business. A record is
//! *acknowledged* when its [`Pending`] says so, which under [`SyncPolicy::Always`] means that it survives
//! the loss of power. [`Journal::open`] hands every record from the checkpoint on to the caller, in the
//! order of [`Journal::append`], each once.
//!
//! What is longer than memory is read back by a [`Reader`] while the journal runs.
//!
//! It does not remember who read what, it has no keys, and it keeps no two writers apart: that only one process
//! opens a directory is for the owner of the directory to see to.
//!
//! The bytes on disk are described in `format.rs` and, with an example, in `FORMAT.md`.

mod config;
mod disk;
mod error;
mod journal;

mod commit;
mod gaps;
mod pending;
mod write;

mod checkpoint;
mod examine;
mod format;
mod log_file;
mod reader;
mod recover;

mod lossy_disk;
mod lossy_faults;
mod lossy_image;
#[cfg(test)]
mod lossy_tests;
mod real_disk;

pub use config::{InvalidSyncPolicy, JournalConfig, SyncPolicy};
pub use disk::{Disk, DiskFile};
pub use error::JournalError;
pub use examine::{Examination, examine};
pub use format::Position;
pub use journal::{Journal, JournalStats};
pub use lossy_disk::LossyDisk;
pub use pending::Pending;
pub use reader::{Reader, Record};
pub use real_disk::RealDisk;
pub use recover::Recovery;
