//! JSON as Zipkin reads and writes it, for both of its JSON formats.
//!
//! Zipkin reads through Gson's `JsonReader`, so its leniency and its messages are what senders know:
//! numbers where strings are expected and the reverse, any case of `true`, control characters inside strings,
//! anything after the end of the list. [`Cursor`] reads tokens so; a [`Fault`] knows where it happened and
//! works out line, column and path only when it is told to somebody.

mod cursor;
mod escape;
mod fault;
mod keys;
mod number;
mod raw;
mod scan;
mod write;

pub(crate) use cursor::{Cursor, read_body, read_document};
pub(crate) use fault::{Fault, Result};
pub(crate) use keys::Key;
pub(crate) use raw::Raw;
pub(crate) use write::{write_ipv4, write_ipv6, write_number, write_span_id, write_string, write_trace_id};
