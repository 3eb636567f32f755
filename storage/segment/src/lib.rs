//! The embedded default storage: journal, head, sealed segments.
