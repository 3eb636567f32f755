//! Tags in the order of their keys, without comparing the keys of every span with each other byte by byte.
//!
//! A batch keeps the tags of a span sorted. Attributes come in the order in which they were set, so each key is
//! compared by its first bytes, as one number, and by all of them only where these are equal; and what all spans
//! share is sorted once.

use std::cmp::Ordering;

use model::{SpanBatch, Text};

/// A tag, and the first eight bytes of its key as a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    first: u64,
    pub(super) key: Text,
    pub(super) value: Text,
}

impl Tag {
    #[inline]
    pub(super) fn new(key: Text, value: Text, batch: &SpanBatch) -> Self {
        let bytes = batch.text(key).as_bytes();
        let first = match bytes.first_chunk() {
            Some(eight) => u64::from_be_bytes(*eight),
            // As if zeros followed: where that makes two keys equal, all of them is compared.
            None => bytes
                .iter()
                .rev()
                .fold(0, |first, &byte| first >> 8 | u64::from(byte) << 56),
        };
        Self { first, key, value }
    }

    #[inline]
    fn compare(&self, other: &Self, batch: &SpanBatch) -> Ordering {
        let by_all = || batch.text(self.key).cmp(batch.text(other.key));
        self.first.cmp(&other.first).then_with(by_all)
    }
}

/// Sorts by key; of equal keys the later stays the later.
pub(super) fn sort(tags: &mut [Tag], batch: &SpanBatch) {
    tags.sort_by(|a, b| a.compare(b, batch));
}

/// Pushes two sorted lists in one order; of equal keys that of `own` comes later, and so wins.
pub(super) fn push_merged(shared: &[Tag], own: &[Tag], batch: &mut SpanBatch) {
    let (mut shared, mut own) = (shared.iter().peekable(), own.iter().peekable());
    loop {
        let next = match (shared.peek(), own.peek()) {
            (Some(a), Some(b)) if a.compare(b, batch).is_le() => shared.next(),
            (_, Some(_)) => own.next(),
            (_, None) => shared.next(),
        };
        let Some(tag) = next else { return };
        batch.push_tag(tag.key, tag.value);
    }
}

#[cfg(test)]
mod tests {
    use model::{SpanDraft, SpanId, TraceId};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_the_keys(shared in keys(), own in keys()) {
            let mut batch = SpanBatch::new();
            let mut lists = [(&shared, "shared"), (&own, "own")].map(|(keys, value)| {
                let tags = keys.iter().map(|key| {
                    let (key, value) = (batch.add_text(key), batch.add_text(value));
                    Tag::new(key, value, &batch)
                });
                tags.collect::<Vec<_>>()
            });
            lists.iter_mut().for_each(|list| sort(list, &batch));
            for list in &lists {
                prop_assert!(list.is_sorted_by_key(|tag| batch.text(tag.key)));
            }
            push_merged(&lists[0], &lists[1], &mut batch);
            let draft = SpanDraft {
                trace_id: TraceId::new(0, 1),
                id: Some(SpanId::new(1)),
                ..SpanDraft::default()
            };
            batch.finish(&draft).unwrap();
            let read: Vec<_> = batch.get(0).tags().collect();
            let mut expected: Vec<_> = shared.iter().chain(&own).map(String::as_str).collect();
            expected.sort_unstable();
            expected.dedup();
            let winner = |key: &str| if own.iter().any(|own| own == key) { "own" } else { "shared" };
            let expected: Vec<_> = expected.into_iter().map(|key| (key, winner(key))).collect();
            prop_assert_eq!(read, expected);
        }
    }

    /// Keys that are alike in their first bytes, some equal, some with a zero where another ends.
    fn keys() -> impl Strategy<Value = Vec<String>> {
        let key = prop_oneof!["[ab\0]{0,3}", "network\\.[ab\0]{0,2}", "network[.-][ab]?"];
        prop::collection::vec(key, 0..24)
    }
}
