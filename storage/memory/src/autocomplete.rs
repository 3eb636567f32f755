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
