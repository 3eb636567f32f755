//! An append-only, checksummed, group-committed log of byte records.
