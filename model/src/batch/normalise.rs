//! Zipkin's normalisation (`zipkin.md` 4.1), in place: names in lower case, tags and annotations sorted, each once.
//!
//! What is in order already, as most is, costs a look and no copy.

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
        let original = self.text(text);
        if original
            .bytes()
            .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
        {
            return text;
        }
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
        let key = |tag: &(Text, Text)| &text[tag.0.range()];
        if !tags[start..].is_sorted_by(|a, b| key(a) < key(b)) {
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
