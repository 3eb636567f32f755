//! What a text is looked for by.
//!
//! Made for short texts: the first and last eight bytes of one of at most sixteen are all of it, and comparing them is
//! comparing the texts.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use foldhash::fast::RandomState;

/// The length up to which a key says everything of a text, bytes.
const SHORT_BYTES_MAX: usize = 16;

/// What is compared of a text: equal for equal texts, and the other way round where [`TextKey::is_whole`]. Of use in this
/// process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextKey {
    /// Its first eight and last eight bytes, or hashes of them all.
    first: u64,
    last: u64,
    length: u32,
}

impl TextKey {
    /// That of no characters.
    pub const EMPTY: Self = Self {
        first: 0,
        last: 0,
        length: 0,
    };

    /// That of a text of less than 4 GiB.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        let length = bytes.len();
        let (first, last) = match length {
            8..=SHORT_BYTES_MAX => (word::<8>(bytes), word::<8>(&bytes[length - 8..])),
            4..8 => (word::<4>(bytes), word::<4>(&bytes[length - 4..])),
            1..4 => {
                let byte = |at: usize| u64::from(bytes[at]);
                (byte(0) | byte(length / 2) << 8 | byte(length - 1) << 16, 0)
            }
            0 => (0, 0),
            _ => (
                Seeds::of_process().long.hash_one(bytes),
                word::<8>(&bytes[length - 8..]),
            ),
        };
        Self {
            first,
            last,
            length: length as u32,
        }
    }

    /// Whether no other text has this key.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.length as usize <= SHORT_BYTES_MAX
    }

    /// Nobody who does not know the seeds of this process can make texts that share it.
    #[inline]
    pub fn hash(&self) -> u64 {
        let seeds = Seeds::of_process();
        let product = u128::from(self.first ^ seeds.first)
            * u128::from(self.last.rotate_left(32) ^ u64::from(self.length) ^ seeds.last);
        product as u64 ^ (product >> 64) as u64
    }
}

/// `N` bytes from the start, the first in the lowest byte. There MUST be as many.
#[inline]
fn word<const N: usize>(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..N].copy_from_slice(&bytes[..N]);
    u64::from_le_bytes(word)
}

/// Other ones in every process.
#[derive(Debug)]
struct Seeds {
    first: u64,
    last: u64,
    long: RandomState,
}

impl Seeds {
    fn of_process() -> &'static Self {
        static SEEDS: OnceLock<Seeds> = OnceLock::new();
        SEEDS.get_or_init(|| {
            let long = RandomState::default();
            Self {
                first: long.hash_one(1),
                last: long.hash_one(2),
                long,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::TextKey;

    /// Of few different bytes, so that texts differ in one place or in their length alone.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0u8..2, 0..SHORT_AND_LONGER)
    }

    const SHORT_AND_LONGER: usize = super::SHORT_BYTES_MAX + 3;

    proptest! {
        #[test]
        fn a_whole_key_is_that_of_one_text(one in text(), place in any::<prop::sample::Index>(), other in text()) {
            let mut changed = one.clone();
            if let Some(byte) = changed.get_mut(place.index(one.len().max(1))) {
                *byte += 2;
            }
            let key = TextKey::of(&one);
            prop_assert_eq!(key.is_whole(), one.len() <= super::SHORT_BYTES_MAX);
            for text in [&changed, &other, &one.clone()] {
                let is_equal = TextKey::of(text) == key;
                prop_assert!(is_equal || *text != one);
                prop_assert!(!is_equal || !key.is_whole() || *text == one);
                prop_assert!(!is_equal || TextKey::of(text).hash() == key.hash());
            }
        }
    }
}
