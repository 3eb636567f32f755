//! Acknowledged spans on their way to a remote backend: what it does not have yet is on disk.
//!
//! ```text
//! accept ─▶ record ─▶ journal, synced ─▶ Ok
//!                        │
//!                        ▼ in order
//!            delivery: small records joined into batches ─▶ backend ─▶ checkpoint
//!                        │ the backend can never take it
//!                        ▼
//!                     refused/
//! ```
//!
//! A [`Spool`] stands before a store that can be away. A backend's outage costs delay, never spans: they wait in the
//! journal, in bounded memory however many they are, and are delivered in the order in which they were acknowledged.
//! A batch is tried until the backend has it, after pauses that grow and are random, and only then is it let go. So
//! after a crash a batch may be delivered twice, which every store takes without harm.
//!
//! It is not: a cache (questions go to the backend, and answers say what is still on its way), a queue that others
//! read, or of use before a store that forgets everything itself.
//!
//! `FORMAT.md` describes its directory, `README.md` what it shows and promises to operators.

mod backoff;
mod config;
mod spool;

mod delivery;
mod queue;
mod record;
mod refused;
mod shared;

mod source;
mod stats;

pub use config::{Clock, SpoolConfig};
pub use spool::Spool;
pub use stats::{Outage, SpoolStats};
