//! The texts of a batch by number: what its record is written from, and what a store that codes spans against what
//! they have in common looks up once a batch instead of once a span.
//!
//! A *family* is all of a span that is text or a flag but its values: kind, flags, service, name, remote service, tag
//! keys and how many annotations. Spans of a batch come from one process and are of few families, and most values
//! are those of the span before of the same family. So nearly everything is found by comparing it with one text
//! that it probably is.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use model::{Kind, SpanBatch, SpanRef, Text};

use crate::texts::Texts;

/// The number of no text.
pub const NO_TEXT: u32 = u32::MAX;
/// Where the values of a family are that had no span yet.
const NOWHERE: u32 = u32::MAX;
/// Values of a span that have a bit each in [`Numbering::same`].
const SAME_BITS: usize = u64::BITS as usize;
/// Families that are tried first, by what is cheap to know of a span.
const GUESSES: usize = 64;
/// Different texts a span has, about: what there is room for before there are more.
const TEXTS_PER_SPAN: usize = 4;
/// That room is for no more, whatever a batch holds.
const TEXTS_FORESEEN_MAX: usize = 1 << 14;

/// What spans of a batch have in common. Texts are numbers of [`Numbering::texts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Absent for a local span.
    pub kind: Option<Kind>,
    /// See [`model::Span::debug`].
    pub debug: bool,
    /// See [`model::Span::shared`].
    pub shared: bool,
    /// The local service, or [`NO_TEXT`].
    pub service: u32,
    /// The span's name, or [`NO_TEXT`].
    pub name: u32,
    /// The remote service, or [`NO_TEXT`].
    pub remote_service: u32,
    /// How many tags its spans have.
    pub tags: u32,
    /// How many annotations its spans have.
    pub annotations: u32,
    /// Where its keys are in the keys of all.
    keys: u32,
    /// Where the values of its last span are.
    last: u32,
}

impl Family {
    /// One without tags and annotations; `texts` are service, name and remote service.
    pub(crate) fn new(kind: Option<Kind>, debug: bool, shared: bool, texts: [u32; 3]) -> Self {
        let [service, name, remote_service] = texts;
        Self {
            kind,
            debug,
            shared,
            service,
            name,
            remote_service,
            tags: 0,
            annotations: 0,
            keys: 0,
            last: NOWHERE,
        }
    }

    /// How many values its spans have: of tags, then of annotations.
    pub fn values(&self) -> usize {
        self.tags as usize + self.annotations as usize
    }

    /// A bit for each value of a span, at most 64.
    pub fn all_bits(&self) -> u64 {
        let beyond = SAME_BITS.saturating_sub(self.values());
        u64::MAX.checked_shr(beyond as u32).unwrap_or(0)
    }
}

/// A span's family, where its values begin, which may be those of a span before, and [`Numbering::same`].
#[derive(Clone, Copy, Debug)]
struct SpanNumbers {
    family: u32,
    values: u32,
    same: u64,
}

/// See the head of this file. Belongs to one batch as it was then.
#[derive(Debug)]
pub struct Numbering {
    texts: Texts,
    families: Vec<Family>,
    keys: Vec<u32>,
    spans: Vec<SpanNumbers>,
    values: Vec<u32>,
    numbers: HashTable<u32>,
    guesses: [u32; GUESSES],
    hasher: RandomState,
}

impl Default for Numbering {
    fn default() -> Self {
        Self {
            texts: Texts::default(),
            families: Vec::new(),
            keys: Vec::new(),
            spans: Vec::new(),
            values: Vec::new(),
            numbers: HashTable::new(),
            guesses: [0; GUESSES],
            hasher: RandomState::default(),
        }
    }
}

impl Numbering {
    /// Numbers the texts of a batch.
    pub fn of(batch: &SpanBatch) -> Self {
        let mut numbering = Self::default();
        numbering.spans.reserve_exact(batch.len());
        numbering.values.reserve_exact(batch.values());
        let texts = (batch.len() * TEXTS_PER_SPAN).min(TEXTS_FORESEEN_MAX);
        numbering.texts.reserve(texts);
        let mut service = (Text::EMPTY, NO_TEXT);
        for span in batch.iter() {
            let name = span.local_draft().service_name;
            if !(name == service.0 || (service.1 != NO_TEXT && numbering.texts.is(service.1, name, batch))) {
                service.1 = numbering.optional(name, batch);
            }
            service.0 = name;
            numbering.add(span, service.1, batch);
        }
        numbering
    }

    /// Distinct texts of the batch by number; of a record that was read, all its texts.
    pub fn texts(&self) -> &[Text] {
        self.texts.all()
    }

    /// Families by number, in the order first seen.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// Numbers of the keys of a family's tags.
    #[inline]
    pub fn keys(&self, family: &Family) -> &[u32] {
        let start = family.keys as usize;
        &self.keys[start..start + family.tags as usize]
    }

    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True if there is no span.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The number of a span's family, and of its values: of tags, then of annotations.
    ///
    /// # Panics
    /// If there is no such span.
    #[inline]
    pub fn span(&self, index: usize) -> (u32, &[u32]) {
        let SpanNumbers { family, values, .. } = self.spans[index];
        let count = self.families[family as usize].values();
        (family, &self.values[values as usize..values as usize + count])
    }

    /// Which values of a span are those of the span before of its family: a bit each for the first 64, the first the
    /// lowest. None of a family's first span.
    ///
    /// # Panics
    /// If there is no such span.
    #[inline]
    pub fn same(&self, index: usize) -> u64 {
        self.spans[index].same
    }

    fn optional(&mut self, text: Text, batch: &SpanBatch) -> u32 {
        if text.is_empty() {
            return NO_TEXT;
        }
        self.texts.number(text, batch)
    }

    fn add(&mut self, span: SpanRef<'_>, service: u32, batch: &SpanBatch) {
        let (tags, annotations) = (span.tag_texts(), span.annotation_texts());
        let name = self.optional(span.name_text(), batch);
        let remote_service = self.optional(span.remote_draft().service_name, batch);
        let texts = [service, name, remote_service];
        let family = Family {
            tags: tags.len() as u32,
            annotations: annotations.len() as u32,
            ..Family::new(span.kind(), span.debug(), span.shared(), texts)
        };
        let number = self.family_of(family, tags, batch);
        let values = tags
            .iter()
            .map(|tag| tag.1)
            .chain(annotations.iter().map(|a| a.1));
        let same = self.number_values(number, values, batch);
        self.end_span(number, same, tags.len() + annotations.len());
    }

    /// Numbers the values of a span behind those of all; gives which are the same as before.
    fn number_values(&mut self, family: u32, values: impl Iterator<Item = Text>, batch: &SpanBatch) -> u64 {
        let last = self.families[family as usize].last;
        let mut same = 0;
        for (slot, value) in values.enumerate() {
            let before = match last {
                NOWHERE => NO_TEXT,
                last => self.values[last as usize + slot],
            };
            let number = if before != NO_TEXT && self.texts.is(before, value, batch) {
                // Beyond the 64th there is no bit.
                same |= 1_u64.checked_shl(slot as u32).unwrap_or(0);
                before
            } else {
                self.texts.number(value, batch)
            };
            self.values.push(number);
        }
        same
    }

    /// Adds a span whose values, so many, are the last ones; where they are as before, they are not kept twice.
    fn end_span(&mut self, number: u32, same: u64, values: usize) {
        let family = &mut self.families[number as usize];
        let start = self.values.len() - values;
        if family.last != NOWHERE && values <= SAME_BITS && same == family.all_bits() {
            self.values.truncate(start);
        } else {
            family.last = start as u32;
        }
        self.spans.push(SpanNumbers {
            family: number,
            values: family.last,
            same,
        });
    }

    /// The number of a family, which is given without its keys.
    fn family_of(&mut self, family: Family, tags: &[(Text, Text)], batch: &SpanBatch) -> u32 {
        let guess = (family.name.wrapping_mul(7) ^ family.remote_service.wrapping_mul(31) ^ family.tags)
            as usize
            + family.kind.map_or(0, |kind| kind as usize) * 17;
        let guess = guess % GUESSES;
        let guessed = self.guesses[guess];
        if let Some(known) = self.families.get(guessed as usize)
            && is_like(known, &family)
            && self
                .keys(known)
                .iter()
                .zip(tags)
                .all(|(&key, tag)| self.texts.is(key, tag.0, batch))
        {
            return guessed;
        }
        let number = self.look_up(family, tags, batch);
        self.guesses[guess] = number;
        number
    }

    fn look_up(&mut self, family: Family, tags: &[(Text, Text)], batch: &SpanBatch) -> u32 {
        let start = self.keys.len();
        for tag in tags {
            let key = self.texts.number(tag.0, batch);
            self.keys.push(key);
        }
        let Self {
            families,
            keys,
            numbers,
            hasher,
            ..
        } = self;
        let hash_of = |family: &Family, keys: &[u32]| {
            let mut state = hasher.build_hasher();
            let Family {
                service,
                name,
                remote_service,
                ..
            } = *family;
            for number in [
                service,
                name,
                remote_service,
                flags_of(family),
                family.annotations,
            ] {
                state.write_u32(number);
            }
            keys.iter().for_each(|&key| state.write_u32(key));
            state.finish()
        };
        let keys_of = |family: &Family| &keys[family.keys as usize..(family.keys + family.tags) as usize];
        let hash = hash_of(&family, &keys[start..]);
        let found = numbers.find(hash, |&number| {
            let known = &families[number as usize];
            is_like(known, &family) && keys_of(known) == &keys[start..]
        });
        if let Some(&found) = found {
            self.keys.truncate(start);
            return found;
        }
        let number = families.len() as u32;
        families.push(Family {
            keys: start as u32,
            ..family
        });
        numbers.insert_unique(hash, number, |&number| {
            let family = &families[number as usize];
            hash_of(family, keys_of(family))
        });
        number
    }
}

/// Whether two families are the same but for their keys.
fn is_like(a: &Family, b: &Family) -> bool {
    let Family { keys, last, .. } = *a;
    *a == Family { keys, last, ..*b }
}

fn flags_of(family: &Family) -> u32 {
    family.kind.map_or(0, |kind| kind as u32) | u32::from(family.debug) << 3 | u32::from(family.shared) << 4
}

/// Texts and families as they are read from a record, which has no spans for them.
impl Numbering {
    /// Forgets what was read and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.texts.clear();
        self.families.clear();
        self.keys.clear();
    }

    /// Adds a text, whether or not it is there already.
    pub(crate) fn push_text(&mut self, text: Text) {
        self.texts.push(text);
    }

    /// Adds the key of a tag of the family that comes next.
    pub(crate) fn push_key(&mut self, key: u32) {
        self.keys.push(key);
    }

    /// Adds a family that was made by [`Family::new`]; the last keys are those of its tags.
    pub(crate) fn push_family(&mut self, family: Family, tags: u32, annotations: u32) {
        let family = Family {
            tags,
            annotations,
            keys: self.keys.len() as u32 - tags,
            ..family
        };
        self.families.push(family);
    }

    /// The text of a number; none for [`NO_TEXT`].
    pub(crate) fn text(&self, number: u32) -> Text {
        self.texts
            .all()
            .get(number as usize)
            .copied()
            .unwrap_or(Text::EMPTY)
    }
}
