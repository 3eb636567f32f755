//! The names of all segments of a view, each with how many segments have it.
//!
//! Segments come and go all the time, and there may be thousands of them: what one brings is added and what one takes
//! away is subtracted, without looking at the others, and none keeps its names in memory.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::names::Names;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownNames {
    names: Names,
    /// By the hash of a name.
    segments: HashMap<u64, u32, RandomState>,
    hasher: RandomState,
}

impl KnownNames {
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// Whether [`KnownNames::subtract`] may be used: not once names were left out, because then it is not known which.
    pub(crate) fn is_exact(&self) -> bool {
        self.names.left_out() == 0
    }

    /// Adds the names of a segment.
    pub(crate) fn add(&mut self, names: &Names) {
        let Self {
            names: known,
            segments,
            hasher,
        } = self;
        names.for_each(|name| {
            *segments.entry(hasher.hash_one(name)).or_default() += 1;
            known.note_name(name);
        });
    }

    /// Subtracts the names of a segment that was added.
    pub(crate) fn subtract(&mut self, names: &Names) {
        let Self {
            names: known,
            segments,
            hasher,
        } = self;
        names.for_each(|name| {
            let hash = hasher.hash_one(name);
            let Some(count) = segments.get_mut(&hash) else {
                return;
            };
            *count -= 1;
            if *count == 0 {
                segments.remove(&hash);
                known.forget(name);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> impl Strategy<Value = Names> {
        let text = || prop::sample::select(vec!["a", "b", "c"]);
        prop::collection::vec(
            (
                text(),
                prop::option::of(text()),
                prop::option::of(text()),
                any::<bool>(),
            ),
            0..6,
        )
        .prop_map(|notes| {
            let mut names = Names::default();
            for (first, second, third, is_value) in notes {
                match second {
                    Some(value) if is_value => names.note_value(first, value),
                    _ => names.note(Some(first), second, third),
                }
            }
            names
        })
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_was_not_taken_away(segments in prop::collection::vec((names(), any::<bool>()), 0..6)) {
            let mut known = KnownNames::default();
            segments.iter().for_each(|(names, _)| known.add(names));
            let mut left = Names::default();
            for (names, stays) in &segments {
                if *stays {
                    names.for_each(|name| left.note_name(name));
                } else {
                    known.subtract(names);
                }
            }
            prop_assert!(known.is_exact());
            prop_assert_eq!(known.names(), &left);
        }
    }
}
