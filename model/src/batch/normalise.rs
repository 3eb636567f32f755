//! Zipkin's normalisation (`zipkin.md` 4.1), in place: names in lower case, tags and annotations sorted, each once.
//!
//! What is in order already, as most is, costs a look and no copy.

use std::ops::Range;

use super::{EndpointDraft, SpanBatch, Text};

impl SpanBatch {
    pub(super) fn normalise_endpoint(&mut self, draft: EndpointDraft) -> EndpointDraft {
        EndpointDraft {
            service_name: self.lower_case(draft.service_name),
            ..draft
        }
    }

    /// The name of the span before is normalised already. A v1 span becomes one for each of its hosts, all of
    /// one name; looking at a long one again each time would multiply its length by their number.
    pub(super) fn normalise_name(&mut self, name: Text) -> Text {
        match self.spans.last() {
            Some(last) if last.name == name => name,
            _ => self.lower_case(name),
        }
    }

    fn lower_case(&mut self, text: Text) -> Text {
        if is_lower_case(self.text.as_bytes(), text) {
            return text;
        }
        let original = self.text(text);
        let lower = original.to_lowercase();
        if lower == original {
            text
        } else {
            self.add_text(&lower)
        }
    }

    /// Sorts the open tags by key; of equal keys the one pushed last stays.
    pub(super) fn close_tags(&mut self) -> (u32, u32) {
        let start = self.open_tags;
        let Self { text, tags, .. } = self;
        if !are_sorted(text.as_bytes(), &tags[start..]) {
            let key = |tag: &(Text, Text)| &text[tag.0.range()];
            tags[start..].sort_by(|a, b| key(a).cmp(key(b)));
            let mut kept = start;
            for next in start..tags.len() {
                if next + 1 < tags.len() && key(&tags[next]) == key(&tags[next + 1]) {
                    continue;
                }
                tags[kept] = tags[next];
                kept += 1;
            }
            tags.truncate(kept);
        }
        self.open_tags = self.tags.len();
        (start as u32, self.open_tags as u32)
    }

    /// Sorts the open annotations by timestamp, then value, and drops repetitions.
    pub(super) fn close_annotations(&mut self) -> (u32, u32) {
        let start = self.open_annotations;
        let Self {
            text, annotations, ..
        } = self;
        let order = |annotation: &(u64, Text)| (annotation.0, &text[annotation.1.range()]);
        if !annotations[start..].is_sorted_by(|a, b| order(a) < order(b)) {
            annotations[start..].sort_by(|a, b| order(a).cmp(&order(b)));
            let mut kept = start;
            for next in start..annotations.len() {
                if kept > start && order(&annotations[kept - 1]) == order(&annotations[next]) {
                    continue;
                }
                annotations[kept] = annotations[next];
                kept += 1;
            }
            annotations.truncate(kept);
        }
        self.open_annotations = self.annotations.len();
        (start as u32, self.open_annotations as u32)
    }
}

/// Whether the keys of these tags are in order, each once. Eight bytes nearly always tell.
fn are_sorted(bytes: &[u8], tags: &[(Text, Text)]) -> bool {
    // With the first byte in the highest, words compare as texts do. The zeros that stand for the end of a short
    // one may be in a longer one as well: equal words tell nothing.
    let mut keys = tags
        .iter()
        .map(|tag| (word(bytes, tag.0.range()).swap_bytes(), tag.0));
    let Some(mut before) = keys.next() else {
        return true;
    };
    keys.all(|key| {
        let in_order =
            before.0 < key.0 || (before.0 == key.0 && bytes[before.1.range()] < bytes[key.1.range()]);
        before = key;
        in_order
    })
}

/// True if a text is ASCII and has no upper case, as most that are in lower case.
#[inline]
fn is_lower_case(bytes: &[u8], text: Text) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH_BITS: u64 = 0x80 * ONES;
    let Range { start, end } = text.range();
    let mut marks = 0;
    for at in (start..end).step_by(8) {
        let word = word(bytes, at..end);
        let low = word & !HIGH_BITS;
        let at_least = |bound: u8| low + ONES * u64::from(0x80 - bound);
        marks |= word | (at_least(b'A') & !at_least(b'Z' + 1));
    }
    marks & HIGH_BITS == 0
}

/// The first eight bytes of a range, the first in the lowest byte; zeros stand for what it does not have.
#[inline]
fn word(bytes: &[u8], range: Range<usize>) -> u64 {
    let length = range.len();
    if length == 0 {
        return 0;
    }
    // What follows in the batch may be read, if it is not counted.
    if let Some(chunk) = bytes.get(range.start..).and_then(<[u8]>::first_chunk) {
        return u64::from_le_bytes(*chunk) & (u64::MAX >> (64 - 8 * length.min(8)));
    }
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(&bytes[range]) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}
