//! Terms: what the varying part of a span can be searched by, as stable hashes.
//!
//! What a shape says is found through shapes. What it leaves to the row, values that vary and everything about
//! a generic span, is found through a hash of (what, service, key, value). A hash never decides a match, it
//! only finds candidates; so a collision costs one decoded trace.

use xxhash_rust::xxh3::Xxh3;

use crate::fields::Fields;
use crate::shape::{GENERIC, Shape, ShapeNumber};

/// Bits of a hash that are stored: a collision in a million terms is one in a million.
const STORED_BITS: u32 = 40;

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
}

/// The term of something on a span local to `service` (empty where it has none).
pub(crate) fn term(about: About, service: &str, key: &str, value: &str) -> Term {
    let mut hash = Xxh3::new();
    // No UTF-8 text holds 0xff, so the parts cannot run into each other.
    hash.update(&[about as u8]);
    hash.update(service.as_bytes());
    hash.update(&[0xff]);
    hash.update(key.as_bytes());
    hash.update(&[0xff]);
    hash.update(value.as_bytes());
    hash.digest() >> (64 - STORED_BITS)
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
        assert_eq!(term(About::Tag, "web", "http.path", "/cart"), 980_272_800_516);
        assert_ne!(
            term(About::Tag, "web", "a", "bc"),
            term(About::Tag, "web", "ab", "c")
        );
        assert_ne!(
            term(About::Tag, "web", "a", ""),
            term(About::TagKey, "web", "a", "")
        );
    }
}
