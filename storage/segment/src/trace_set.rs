//! A set of the traces of a segment, as bits.
//!
//! A segment has some tens of thousands of traces, so a set of them is a few kilobytes, whatever it was made from:
//! thousands of lists are joined without sorting anything.

use storage_record::bytes::Malformed;

use crate::trace_table::Ordinal;

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceSet {
    words: Vec<u64>,
    traces: u32,
}

impl TraceSet {
    /// No trace of a segment that has so many.
    pub(crate) fn empty(traces: u32) -> Self {
        Self {
            words: vec![0; traces.div_ceil(u64::BITS) as usize],
            traces,
        }
    }

    /// Every trace of a segment that has so many.
    pub(crate) fn all(traces: u32) -> Self {
        let mut all = Self::empty(traces);
        all.words.fill(u64::MAX);
        if let Some(last) = all.words.last_mut() {
            *last >>= (u64::BITS - traces % u64::BITS) % u64::BITS;
        }
        all
    }

    /// # Errors
    /// [`Malformed`] where the segment has no such trace.
    #[inline]
    pub(crate) fn insert(&mut self, ordinal: Ordinal) -> Result<(), Malformed> {
        if ordinal >= self.traces {
            return Err(Malformed("a trace beyond the table"));
        }
        self.words[(ordinal / u64::BITS) as usize] |= 1 << (ordinal % u64::BITS);
        Ok(())
    }

    pub(crate) fn contains(&self, ordinal: Ordinal) -> bool {
        let word = self.words.get((ordinal / u64::BITS) as usize);
        word.is_some_and(|word| word >> (ordinal % u64::BITS) & 1 == 1)
    }

    /// Leaves those that are in `other`, too.
    pub(crate) fn intersect(&mut self, other: &Self) {
        for (index, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(index).copied().unwrap_or(0);
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Those from `first` to before `end`, ascending. Both MUST be multiples of 64, but for the end of all.
    pub(crate) fn range(&self, first: Ordinal, end: Ordinal) -> impl Iterator<Item = Ordinal> {
        let words = first / u64::BITS..end.min(self.traces).div_ceil(u64::BITS);
        words.flat_map(move |index| Bits {
            word: self.words.get(index as usize).copied().unwrap_or(0),
            first: index * u64::BITS,
        })
    }
}

/// The ordinals of one word.
struct Bits {
    word: u64,
    first: Ordinal,
}

impl Iterator for Bits {
    type Item = Ordinal;

    fn next(&mut self) -> Option<Ordinal> {
        if self.word == 0 {
            return None;
        }
        let bit = self.word.trailing_zeros();
        self.word &= self.word - 1;
        Some(self.first + bit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(traces: u32, ordinals: &BTreeSet<u32>) -> TraceSet {
        let mut set = TraceSet::empty(traces);
        ordinals.iter().for_each(|&ordinal| set.insert(ordinal).unwrap());
        set
    }

    proptest! {
        #[test]
        fn is_a_set(
            a in prop::collection::btree_set(0u32..300, 0..40), b in prop::collection::btree_set(0u32..300, 0..40),
            page in 0u32..5,
        ) {
            let mut both = set(300, &a);
            prop_assert_eq!(both.len() as usize, a.len());
            prop_assert!(both.range(0, 300).eq(a.iter().copied()));
            prop_assert!((0..400).filter(|&ordinal| both.contains(ordinal)).eq(a.iter().copied()));
            prop_assert!(both.range(page * 64, page * 64 + 64).eq(a.range(page * 64..page * 64 + 64).copied()));
            both.intersect(&set(300, &b));
            prop_assert!(both.range(0, 300).eq(a.intersection(&b).copied()));
        }

        #[test]
        fn all_are_no_more_than_there_are(traces in 0u32..300) {
            let mut all = TraceSet::all(traces);
            prop_assert!(all.range(0, traces).eq(0..traces));
            prop_assert!(all.insert(traces).is_err());
        }
    }
}
