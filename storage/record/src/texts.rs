//! Distinct texts by number.
//!
//! Every text of every span is looked for here, so this is made for short ones; see [`TextKey`].

use model::{SpanBatch, Text};

use crate::text_key::TextKey;

const SLOTS_MIN: usize = 64;

/// The distinct texts of a batch, numbered from 0 in the order first seen.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    texts: Vec<Text>,
    /// One a text.
    keys: Vec<TextKey>,
    /// Number of a text + 1 where its hash says, or behind; 0 where there is none. At most half are taken.
    slots: Vec<u32>,
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

    /// Adds a text, distinct or not, that cannot be found by what it says. Not beside [`Texts::number`].
    pub(crate) fn push(&mut self, text: Text) {
        self.texts.push(text);
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
        let key = TextKey::of(bytes);
        if self.keys.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut slot = key.hash() as usize & mask;
        while let Some(number) = self.slots[slot].checked_sub(1) {
            let is_it = self.keys[number as usize] == key;
            if is_it && (key.is_whole() || batch.bytes(self.texts[number as usize]) == bytes) {
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
            let mut slot = key.hash() as usize & (slots - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            self.slots[slot] = number as u32 + 1;
        }
    }
}
