//! Values seen of the configured tag keys. They outlive their spans, as in Zipkin, so they are bounded apart.

use std::collections::{BTreeMap, BTreeSet};

use model::Span;
use parking_lot::RwLock;
use storage::StoreOptions;

/// Completion is for keys with few values; a key that turns out to have no bound (an identifier, a path) must
/// not fill the memory. Bytes of one key's values, together.
const VALUES_BYTES_MAX: usize = 4 << 20;

/// Keys, and the values seen of each.
#[derive(Debug)]
pub(crate) struct Autocomplete {
    by_key: BTreeMap<String, RwLock<Values>>,
}

#[derive(Debug, Default)]
struct Values {
    seen: BTreeSet<String>,
    bytes: usize,
}

impl Autocomplete {
    pub(crate) fn new(options: &StoreOptions) -> Self {
        let keys = options
            .autocomplete_keys
            .iter()
            .filter(|_| options.search_enabled);
        Self {
            by_key: keys.map(|key| (key.clone(), RwLock::default())).collect(),
        }
    }

    /// Keeps the values of the configured keys. One that does not fit any more is left out.
    pub(crate) fn insert(&self, spans: &[Span]) {
        for (key, values) in &self.by_key {
            for value in spans.iter().filter_map(|span| span.tag(key)) {
                // Nearly always known already: readers and writers of known values share the lock.
                if values.read().seen.contains(value) {
                    continue;
                }
                let mut values = values.write();
                if values.bytes + value.len() <= VALUES_BYTES_MAX && values.seen.insert(value.to_owned()) {
                    values.bytes += value.len();
                }
            }
        }
    }

    /// Sorted; nothing for a key that is not configured.
    pub(crate) fn values(&self, key: &str) -> Vec<String> {
        self.by_key
            .get(key)
            .map(|values| values.read().seen.iter().cloned().collect())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use model::{SpanId, TraceId};

    use super::*;

    fn tagged(value: &str) -> Span {
        Span {
            trace_id: TraceId::new(0, 1).unwrap(),
            parent_id: None,
            id: SpanId::new(1),
            kind: None,
            name: None,
            timestamp: None,
            duration: None,
            local_endpoint: None,
            remote_endpoint: None,
            annotations: Vec::new(),
            tags: vec![("key".to_owned(), value.to_owned())],
            debug: false,
            shared: false,
        }
    }

    #[test]
    fn a_key_with_values_without_end_does_not_fill_the_memory() {
        let options = StoreOptions {
            autocomplete_keys: vec!["key".to_owned()],
            ..StoreOptions::default()
        };
        let autocomplete = Autocomplete::new(&options);
        let megabyte = |letter: &str| tagged(&letter.repeat(1 << 20));
        autocomplete.insert(&["a", "b", "c", "d", "e", "d"].map(megabyte));
        assert_eq!(autocomplete.values("key").len(), VALUES_BYTES_MAX >> 20);
        autocomplete.insert(&[tagged("f")]);
        assert!(!autocomplete.values("key").contains(&"f".to_owned()));
    }
}
