//! The query API as a client meets it: the router is called as a service, without a socket.
//!
//! `cases` runs the tables of `testdata/*.case` against a store in memory; `failures` and `large` put a store of
//! their own behind the same routes.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod case;
mod cases;
mod client;
mod described;
mod failures;
mod fake;
mod large;
mod paging;
mod trace_views;
