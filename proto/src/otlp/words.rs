//! The keys and values of tags that are ours and not the sender's, each in a batch at most once.

use model::{SpanBatch, Text};

/// A text of our own: OpenTelemetry's names for what other formats have no field for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    ScopeName,
    ScopeVersion,
    ScopeSchemaUrl,
    ScopeDroppedAttributes,
    ResourceSchemaUrl,
    ResourceDroppedAttributes,
    StatusCode,
    StatusDescription,
    Ok,
    ErrorCode,
    Error,
    TraceState,
    Flags,
    Links,
    DroppedAttributes,
    DroppedEvents,
    DroppedLinks,
}

/// In the order of [`Word`].
const TEXTS: [&str; Word::DroppedLinks as usize + 1] = [
    "otel.scope.name",
    "otel.scope.version",
    "otel.scope.schema_url",
    "otel.scope.dropped_attributes_count",
    "otel.resource.schema_url",
    "otel.resource.dropped_attributes_count",
    "otel.status_code",
    "otel.status_description",
    "OK",
    "ERROR",
    "error",
    "w3c.tracestate",
    "otel.flags",
    "otel.links",
    "otel.dropped_attributes_count",
    "otel.dropped_events_count",
    "otel.dropped_links_count",
];

/// Where they are in one batch, as far as they were needed.
#[derive(Debug, Default)]
pub(super) struct Words([Text; TEXTS.len()]);

impl Words {
    pub(super) fn text(&mut self, name: Word, batch: &mut SpanBatch) -> Text {
        let text = &mut self.0[name as usize];
        if text.is_empty() {
            *text = batch.add_text(TEXTS[name as usize]);
        }
        *text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_added_once_and_reads_as_it_should() {
        let mut batch = SpanBatch::new();
        let mut words = Words::default();
        let first = words.text(Word::ErrorCode, &mut batch);
        assert_eq!(words.text(Word::ErrorCode, &mut batch), first);
        let last = words.text(Word::DroppedLinks, &mut batch);
        assert_eq!(
            (batch.text(first), batch.text(last)),
            ("ERROR", "otel.dropped_links_count")
        );
        assert_eq!(batch.text_bytes(), "ERRORotel.dropped_links_count".len());
    }
}
