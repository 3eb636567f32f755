//! The spool on a disk in memory, before a backend in memory that can be away.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod crash;
mod delivery;
mod poison;
mod restart;
mod support;
