//! Terms: what the varying part of a span can be searched by, as stable hashes.
//!
//! What a shape says is found through shapes. What it leaves to the row, values that vary and everything about
//! a generic span, is found through hashes of (what, key, value) and of the service. A hash never decides a match,
//! it only finds candidates; so a collision costs one decoded trace.
//!
//! What spans of several services have is side by side, so a search without a service looks in one place and not in
//! one a service.

use std::ops::RangeInclusive;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::rows::RowSpan;

/// Bits of the hash of what is said that are stored: a search among a million terms meets a wrong one once in four
/// thousand times.
const SAID_BITS: u32 = 32;
/// Bits of the hash of a service that are stored, below those.
const SERVICE_BITS: u32 = 8;
/// Bits of a term.
pub(crate) const TERM_BITS: u32 = SAID_BITS + SERVICE_BITS;

/// A stored hash.
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

/// What the terms of one tag or annotation of a service's spans have in common: everything but the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TermKey {
    seed: u64,
    service: Term,
}

impl TermKey {
    /// Of something on spans local to `service` (empty where they have none).
    pub(crate) fn new(about: About, service: &str, key: &str) -> Self {
        Self {
            seed: seed(about, key),
            service: xxh3_64(service.as_bytes()) >> (u64::BITS - SERVICE_BITS),
        }
    }

    /// The term of a value.
    #[inline]
    pub(crate) fn term(self, value: &str) -> Term {
        first_term(self.seed, value) | self.service
    }
}

/// The term of something on a span local to `service` (empty where it has none). Names, the keys of tags and the values
/// of annotations are values, without a key.
pub(crate) fn term(about: About, service: &str, key: &str, value: &str) -> Term {
    TermKey::new(about, service, key).term(value)
}

/// The terms of something on a span local to any service.
pub(crate) fn terms_of_any_service(about: About, key: &str, value: &str) -> RangeInclusive<Term> {
    let first = first_term(seed(about, key), value);
    first..=first | ((1 << SERVICE_BITS) - 1)
}

fn seed(about: About, key: &str) -> u64 {
    xxh3_64(&[&[about as u8], key.as_bytes()].concat())
}

/// The term of a text on spans of any service.
pub(crate) fn text_term(about: About, text: &str) -> Term {
    xxh3_64_with_seed(text.as_bytes(), about as u64) >> (u64::BITS - SAID_BITS - SERVICE_BITS)
}

fn first_term(seed: u64, value: &str) -> Term {
    xxh3_64_with_seed(value.as_bytes(), seed) >> (u64::BITS - SAID_BITS) << SERVICE_BITS
}

/// Gives `found` every term of a generic row.
pub(crate) fn terms_of_generic(span: &RowSpan<'_>, mut found: impl FnMut(Term)) {
    let service = span.service().unwrap_or_default();
    if let Some(name) = span.name() {
        found(term(About::Name, service, "", name));
    }
    if let Some(remote) = span.remote_service() {
        found(term(About::RemoteService, service, "", remote));
    }
    for (key, value) in span.tags() {
        found(term(About::TagKey, service, "", key));
        found(term(About::Tag, service, key, value));
    }
    for (_, value) in span.annotations() {
        found(term(About::Annotation, service, "", value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_written_to_disk_never_changes() {
        assert_eq!(term(About::Tag, "web", "http.path", "/cart"), 778_568_940_834);
        assert_ne!(
            term(About::Tag, "web", "a", "bc"),
            term(About::Tag, "web", "ab", "c")
        );
        assert_ne!(
            term(About::Tag, "web", "a", ""),
            term(About::TagKey, "web", "a", "")
        );
    }

    #[test]
    fn what_several_services_have_is_side_by_side() {
        let any = terms_of_any_service(About::Tag, "user", "7");
        for service in ["web", "cart", ""] {
            assert!(any.contains(&term(About::Tag, service, "user", "7")));
            assert!(!any.contains(&term(About::Tag, service, "user", "8")));
        }
        assert_ne!(
            term(About::Tag, "web", "user", "7"),
            term(About::Tag, "cart", "user", "7")
        );
        assert!(any.end() - any.start() < 256);
    }
}
