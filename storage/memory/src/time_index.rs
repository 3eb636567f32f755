//! Which traces may have spans in a window, newest first, without an entry a span.
//!
//! A trace that lasts (the greatest minus the least timestamp of its spans) is entered once, at a [`Place`]: an
//! *anchor* and a *reach*, a power of two, such that every timestamp lies within `reach` of the anchor. Places
//! are kept apart by reach, so that a window `start..=end` meets exactly the places of that reach whose anchor
//! lies in `start - reach..=end + reach`, and a few traces that last for days do not widen what is scanned for
//! the many that last for milliseconds.
//!
//! When a span falls outside its trace's place, the trace gets a second place of at least twice the reach, so at
//! most 64 in its life, whatever it is sent. Earlier places stay until the trace is evicted: a search that has
//! already passed by the new place still meets the trace at the old one.

use std::collections::{BTreeMap, BTreeSet};

/// A trace shorter than 2^16 µs (65 ms) never moves. Finer places would be sharper bounds for searches, but
/// make common traces move when their spans arrive one by one.
const REACH_BITS_MIN: u32 = 16;

/// Roughly when a trace happened; see the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    reach_bits: u32,
    anchor: u64,
}

impl Place {
    /// The place of a trace whose timestamps lie in `first..=last`.
    pub(crate) fn around(first: u64, last: u64) -> Self {
        let reach_bits = u64::BITS - (last - first).leading_zeros();
        Self {
            reach_bits: reach_bits.max(REACH_BITS_MIN),
            anchor: first,
        }
    }

    /// Whether all timestamps in `first..=last` are within its reach.
    pub(crate) fn covers(self, first: u64, last: u64) -> bool {
        let reach = reach(self.reach_bits);
        first.saturating_add(reach) >= self.anchor && last <= self.anchor.saturating_add(reach)
    }
}

/// Timestamps fit a signed 64-bit integer, so 63 bits reach from any to any.
fn reach(bits: u32) -> u64 {
    1 << bits.min(63)
}

/// Places of traces, by reach, then anchor. A trace is known by the low 64 bits of its identifier.
#[derive(Debug, Default)]
pub(crate) struct TimeIndex {
    by_reach: BTreeMap<u32, BTreeSet<(u64, u64)>>,
}

impl TimeIndex {
    pub(crate) fn insert(&mut self, place: Place, low: u64) {
        self.by_reach
            .entry(place.reach_bits)
            .or_default()
            .insert((place.anchor, low));
    }

    pub(crate) fn remove(&mut self, place: Place, low: u64) {
        if let Some(anchors) = self.by_reach.get_mut(&place.reach_bits) {
            anchors.remove(&(place.anchor, low));
            if anchors.is_empty() {
                self.by_reach.remove(&place.reach_bits);
            }
        }
    }

    /// How many entries it has.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_reach.values().map(BTreeSet::len).sum()
    }

    /// The reaches that occur, each to be read with a [`Cursor`].
    pub(crate) fn reaches(&self) -> impl Iterator<Item = u32> {
        self.by_reach.keys().copied()
    }
}

/// Reads one reach of a [`TimeIndex`] from the newest anchor to the oldest. It holds no reference to the index,
/// so that the index may be locked for each read and change in between.
#[derive(Debug)]
pub(crate) struct Cursor {
    reach_bits: u32,
    oldest: (u64, u64),
    /// The entry read last, or just beyond the newest; `None` when all are read.
    position: Option<(u64, u64)>,
}

impl Cursor {
    /// At the newest place of this reach that meets the window.
    pub(crate) fn new(reach_bits: u32, (start, end): (u64, u64)) -> Self {
        let reach = reach(reach_bits);
        Self {
            reach_bits,
            oldest: (start.saturating_sub(reach), 0),
            position: Some((end.saturating_add(reach).saturating_add(1), 0)),
        }
    }

    /// Reads up to `most` entries from the index: the latest moment each may reach, and the trace.
    pub(crate) fn read(&mut self, index: &TimeIndex, most: usize) -> Vec<(u64, u64)> {
        let (Some(position), Some(anchors)) = (self.position, index.by_reach.get(&self.reach_bits)) else {
            self.position = None;
            return Vec::new();
        };
        let entries: Vec<_> = anchors
            .range(self.oldest..position)
            .rev()
            .take(most)
            .copied()
            .collect();
        self.position = entries.last().copied().filter(|_| entries.len() == most);
        entries
            .into_iter()
            .map(|(anchor, low)| (anchor.saturating_add(reach(self.reach_bits)), low))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(index: &TimeIndex, window: (u64, u64)) -> Vec<u64> {
        let mut found = Vec::new();
        for reach_bits in index.reaches() {
            let mut cursor = Cursor::new(reach_bits, window);
            loop {
                let entries = cursor.read(index, 2);
                if entries.is_empty() {
                    break;
                }
                found.extend(entries.into_iter().map(|(_, low)| low));
            }
        }
        found
    }

    #[test]
    fn a_place_covers_what_it_is_made_of() {
        for (first, last) in [
            (1, 1),
            (5, 5 + (1 << 16)),
            (1, i64::MAX as u64),
            (1 << 40, (1 << 41) - 1),
        ] {
            assert!(Place::around(first, last).covers(first, last), "{first}..={last}");
        }
        let place = Place::around(1 << 20, 1 << 20);
        assert!(place.covers((1 << 20) - (1 << 16), (1 << 20) + (1 << 16)));
        assert!(!place.covers((1 << 20) - (1 << 16) - 1, 1 << 20));
        assert!(!place.covers(1 << 20, (1 << 20) + (1 << 16) + 1));
    }

    #[test]
    fn a_trace_that_outgrows_its_place_at_least_doubles_it() {
        let place = Place::around(1 << 20, 1 << 20);
        let grown = Place::around(1 << 20, (1 << 20) + (1 << 16) + 1);
        assert_eq!(grown.reach_bits, place.reach_bits + 1);
    }

    #[test]
    fn reads_newest_first_and_leaves_out_what_cannot_reach_the_window() {
        let mut index = TimeIndex::default();
        let second = 1_000_000;
        for low in 1..=9 {
            index.insert(Place::around(low * second, low * second), low);
        }
        assert_eq!(read_all(&index, (3 * second, 7 * second)), [7, 6, 5, 4, 3]);
        index.insert(Place::around(second, 9 * second), 10);
        assert_eq!(read_all(&index, (5 * second, 5 * second)), [5, 10]);
    }

    #[test]
    fn forgets_what_is_removed() {
        let mut index = TimeIndex::default();
        let place = Place::around(1, 2);
        index.insert(place, 1);
        index.remove(place, 1);
        assert_eq!(index.reaches().count(), 0);
    }
}
