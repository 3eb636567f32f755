//! Terms: what the varying part of a span can be searched by, as stable hashes.
//!
//! What a shape says is found through shapes. What it leaves to the row, values that vary and everything about
//! a generic span, is found through hashes of (what, key, value) and of the service. A hash never decides a match,
//! it only finds candidates; so a collision costs one decoded trace.
//!
//! What spans of several services have is side by side, so a search without a service looks in one place and not in
//! one a service.

use std::ops::RangeInclusive;

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

use crate::fields::Fields;
use crate::shape::{GENERIC, Shape, ShapeNumber};

/// Bits of the hash of what is said that are stored: a search among a million terms meets a wrong one once in four
/// thousand times.
const SAID_BITS: u32 = 32;
/// Bits of the hash of a service that are stored, below those.
const SERVICE_BITS: u32 = 8;

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

/// The term of something on a span local to `service` (empty where it has none).
pub(crate) fn term(about: About, service: &str, key: &str, value: &str) -> Term {
    first_term(about, key, value) | xxh3_64(service.as_bytes()) >> (u64::BITS - SERVICE_BITS)
}

/// The terms of something on a span local to any service.
pub(crate) fn terms_of_any_service(about: About, key: &str, value: &str) -> RangeInclusive<Term> {
    let first = first_term(about, key, value);
    first..=first | ((1 << SERVICE_BITS) - 1)
}

fn first_term(about: About, key: &str, value: &str) -> Term {
    let mut hash = Xxh3::new();
    // No UTF-8 text holds 0xff, so the parts cannot run into each other.
    hash.update(&[about as u8]);
    hash.update(key.as_bytes());
    hash.update(&[0xff]);
    hash.update(value.as_bytes());
    hash.digest() >> (u64::BITS - SAID_BITS) << SERVICE_BITS
}

/// The term of a text on spans of any service.
pub(crate) fn text_term(about: About, text: &str) -> Term {
    xxh3_64_with_seed(text.as_bytes(), about as u64) >> (u64::BITS - SAID_BITS - SERVICE_BITS)
}

/// Gives `found` every term of a span that its shape does not stand for.
pub(crate) fn terms_of(fields: &Fields<'_>, number: ShapeNumber, shape: &Shape, mut found: impl FnMut(Term)) {
    let service = fields.local_service().unwrap_or_default();
    if number == GENERIC {
        if let Some(name) = fields.name {
            found(term(About::Name, service, name, ""));
        }
        if let Some(remote) = fields.remote_service() {
            found(term(About::RemoteService, service, remote, ""));
        }
        for (key, value) in &fields.tags {
            found(term(About::TagKey, service, key, ""));
            found(term(About::Tag, service, key, value));
        }
        for (_, value) in &fields.annotations {
            found(term(About::Annotation, service, value, ""));
        }
        return;
    }
    for ((_, slot), (key, value)) in shape.tags.iter().zip(&fields.tags) {
        if slot.is_none() {
            found(term(About::Tag, service, key, value));
        }
    }
    for (slot, (_, value)) in shape.annotations.iter().zip(&fields.annotations) {
        if slot.is_none() {
            found(term(About::Annotation, service, value, ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_written_to_disk_never_changes() {
        assert_eq!(term(About::Tag, "web", "http.path", "/cart"), 609_174_580_002);
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
