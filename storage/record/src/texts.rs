//! Distinct texts by number.
//!
//! Every text of every span is looked for here, so this is made for short ones: the first and last eight bytes of a
//! text of at most sixteen are all of it, and comparing them is comparing the texts.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use model::{SpanBatch, Text};

/// The length up to which [`Key`] says everything of a text, bytes.
const SHORT_BYTES_MAX: usize = 16;
const SLOTS_MIN: usize = 64;

/// What is compared of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    /// Its first eight and last eight bytes, or hashes of them all.
    first: u64,
    last: u64,
    length: u32,
}

impl Key {
    #[inline]
    fn of(bytes: &[u8], seeds: &Seeds) -> Self {
        let length = bytes.len();
        let (first, last) = match length {
            8..=SHORT_BYTES_MAX => (word::<8>(bytes), word::<8>(&bytes[length - 8..])),
            4..8 => (word::<4>(bytes), word::<4>(&bytes[length - 4..])),
            1..4 => {
                let byte = |at: usize| u64::from(bytes[at]);
                (byte(0) | byte(length / 2) << 8 | byte(length - 1) << 16, 0)
            }
            0 => (0, 0),
            _ => (seeds.long.hash_one(bytes), word::<8>(&bytes[length - 8..])),
        };
        Self {
            first,
            last,
            length: length as u32,
        }
    }

    /// Nobody who does not know the seeds can make texts that share it.
    #[inline]
    fn hash(&self, seeds: &Seeds) -> u64 {
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

/// The distinct texts of a batch, numbered from 0 in the order first seen.
#[derive(Debug)]
pub(crate) struct Texts {
    seeds: &'static Seeds,
    texts: Vec<Text>,
    /// One a text.
    keys: Vec<Key>,
    /// Number of a text + 1 where its hash says, or behind; 0 where there is none. At most half are taken.
    slots: Vec<u32>,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            seeds: Seeds::of_process(),
            texts: Vec::new(),
            keys: Vec::new(),
            slots: Vec::new(),
        }
    }
}

impl Texts {
    /// By number.
    pub(crate) fn all(&self) -> &[Text] {
        &self.texts
    }

    /// Forgets all and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.texts.clear();
        self.keys.clear();
        self.slots.fill(0);
    }

    /// Makes room for so many, so that the first of them are not moved again and again.
    pub(crate) fn reserve(&mut self, texts: usize) {
        self.texts.reserve(texts);
        self.keys.reserve(texts);
        self.set_slots((texts * 2).next_power_of_two());
    }

    /// All texts there will be, distinct or not, without a way to find them by what they say.
    pub(crate) fn set(&mut self, texts: impl Iterator<Item = Text>) {
        self.clear();
        self.texts.extend(texts);
    }

    /// Whether a text of this batch says what the text of a number does.
    #[inline]
    pub(crate) fn is(&self, number: u32, text: Text, batch: &SpanBatch) -> bool {
        let known = self.texts[number as usize];
        known == text || batch.bytes(known) == batch.bytes(text)
    }

    /// The number of a text of this batch.
    #[inline]
    pub(crate) fn number(&mut self, text: Text, batch: &SpanBatch) -> u32 {
        let bytes = batch.bytes(text);
        let key = Key::of(bytes, self.seeds);
        if self.keys.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut slot = key.hash(self.seeds) as usize & mask;
        while let Some(number) = self.slots[slot].checked_sub(1) {
            let is_it = self.keys[number as usize] == key
                && (bytes.len() <= SHORT_BYTES_MAX || batch.bytes(self.texts[number as usize]) == bytes);
            if is_it {
                return number;
            }
            slot = (slot + 1) & mask;
        }
        let number = self.keys.len() as u32;
        self.slots[slot] = number + 1;
        self.keys.push(key);
        self.texts.push(text);
        number
    }

    #[cold]
    fn grow(&mut self) {
        self.set_slots(self.slots.len() * 2);
    }

    /// Puts all where they are found among so many slots, a power of two.
    fn set_slots(&mut self, slots: usize) {
        let slots = slots.max(SLOTS_MIN);
        self.slots.clear();
        self.slots.resize(slots, 0);
        for (number, key) in self.keys.iter().enumerate() {
            let mut slot = key.hash(self.seeds) as usize & (slots - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            self.slots[slot] = number as u32 + 1;
        }
    }
}
