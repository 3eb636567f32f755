//! Terms: what the varying part of a span can be searched by, as stable hashes.
//!
//! What a shape says is found through shapes. What it leaves to the row, values that vary and everything about
//! a generic span, is found through a hash of (what, key, value). The service is not part of it: the same value is on
//! spans of several services in a trace, and is written once. A hash never decides a match, it only finds candidates;
//! so a collision, or another service, costs one decoded trace.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::rows::RowSpan;

/// Bits of a term. How many are stored is decided for each segment (`term_pages.rs`).
pub(crate) const TERM_BITS: u32 = 40;

/// A hash, below 2 to the power of [`TERM_BITS`].
pub(crate) type Term = u64;

/// What a term is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The name of a span.
    Name = 1,
    /// The name of the service on the other side.
    RemoteService = 2,
    /// The key of a tag.
    TagKey = 3,
    /// A tag, key and value.
    Tag = 4,
    /// The value of an annotation.
    Annotation = 5,
    /// A word of a value, of any service.
    Word = 6,
}

/// What the terms of one tag key have in common: everything but the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TermKey(u64);

impl TermKey {
    /// Names, the keys of tags and the values of annotations are values, without a key.
    pub(crate) fn new(about: About, key: &str) -> Self {
        Self(xxh3_64(&[&[about as u8], key.as_bytes()].concat()))
    }

    /// The term of a value.
    #[inline]
    pub(crate) fn term(self, value: &str) -> Term {
        xxh3_64_with_seed(value.as_bytes(), self.0) >> (u64::BITS - TERM_BITS)
    }
}

/// The term of something on a span.
pub(crate) fn term(about: About, key: &str, value: &str) -> Term {
    TermKey::new(about, key).term(value)
}

/// The term of a text without a key.
pub(crate) fn text_term(about: About, text: &str) -> Term {
    xxh3_64_with_seed(text.as_bytes(), about as u64) >> (u64::BITS - TERM_BITS)
}

/// Gives `found` every term of a generic row.
pub(crate) fn terms_of_generic(span: &RowSpan<'_>, mut found: impl FnMut(Term)) {
    if let Some(name) = span.name() {
        found(term(About::Name, "", name));
    }
    if let Some(remote) = span.remote_service() {
        found(term(About::RemoteService, "", remote));
    }
    for (key, value) in span.tags() {
        found(term(About::TagKey, "", key));
        found(term(About::Tag, key, value));
    }
    for (_, value) in span.annotations() {
        found(term(About::Annotation, "", value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_written_to_disk_never_changes() {
        assert_eq!(term(About::Tag, "http.path", "/cart"), 778_568_940_904);
        assert_ne!(term(About::Tag, "a", "bc"), term(About::Tag, "ab", "c"));
        assert_ne!(term(About::Tag, "a", ""), term(About::TagKey, "", "a"));
        assert_ne!(term(About::Annotation, "", "a"), term(About::TagKey, "", "a"));
    }
}
