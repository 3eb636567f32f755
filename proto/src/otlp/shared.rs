//! What all spans of a resource and of a scope have in common: read once, and handed to each span by reference.

use model::{SpanBatch, Text};

use super::request::{Fault, RequestError};
use super::tags::{self, Tag};

/// How much text a request may hand to its spans, as a multiple of its own length. Attributes of a resource are
/// stored with each span, so without a bound a long one and many short spans would be a flood from a small
/// request. An honest resource of 5,000 bytes over spans of 250 makes 20.
const TEXT_BYTES_PER_BODY_BYTE_MAX: usize = 64;

/// A resource and one of its scopes.
#[derive(Debug)]
pub(super) struct Shared {
    resource_prefix: &'static str,
    service: Text,
    resource: Vec<(Text, Text)>,
    resource_fault: Option<Fault>,
    scope: Vec<(Text, Text)>,
    scope_fault: Option<Fault>,
    /// Those of the resource and of the scope, sorted; of equal keys the scope's comes later.
    tags: Vec<Tag>,
    text_bytes: usize,
    /// What may still be handed to spans.
    tags_left: usize,
    text_bytes_left: usize,
}

impl Shared {
    pub(super) fn new(resource_prefix: &'static str, body_bytes: usize) -> Self {
        Self {
            resource_prefix,
            service: Text::EMPTY,
            resource: Vec::new(),
            resource_fault: None,
            scope: Vec::new(),
            scope_fault: None,
            tags: Vec::new(),
            text_bytes: 0,
            tags_left: body_bytes,
            text_bytes_left: body_bytes.saturating_mul(TEXT_BYTES_PER_BODY_BYTE_MAX),
        }
    }

    pub(super) fn begin_resource(&mut self) {
        self.service = Text::EMPTY;
        self.resource.clear();
        self.resource_fault = None;
    }

    /// `service.name` becomes the local endpoint, any other attribute a tag.
    pub(super) fn resource_attribute(&mut self, key: Text, value: Text, batch: &mut SpanBatch) {
        if batch.text(key) == "service.name" {
            // Here, and not once for each span.
            let lower = batch.text(value).to_lowercase();
            self.service = if lower == batch.text(value) {
                value
            } else {
                batch.add_text(&lower)
            };
        } else {
            let key = prefixed(self.resource_prefix, key, batch);
            self.resource.push((key, value));
        }
    }

    pub(super) fn resource_tag(&mut self, key: Text, value: Text) {
        self.resource.push((key, value));
    }

    pub(super) fn fail_resource(&mut self, fault: Fault) {
        self.resource_fault.get_or_insert(fault);
    }

    pub(super) fn begin_scope(&mut self) {
        self.scope.clear();
        self.scope_fault = None;
    }

    pub(super) fn scope_attribute(&mut self, key: Text, value: Text, batch: &mut SpanBatch) {
        let key = prefixed("otel.scope.", key, batch);
        self.scope.push((key, value));
    }

    pub(super) fn scope_tag(&mut self, key: Text, value: Text) {
        self.scope.push((key, value));
    }

    pub(super) fn fail_scope(&mut self, fault: Fault) {
        self.scope_fault.get_or_insert(fault);
    }

    /// All of the scope is known: its spans follow.
    pub(super) fn begin_spans(&mut self, batch: &SpanBatch) {
        self.tags.clear();
        let both = self.resource.iter().chain(&self.scope);
        self.tags
            .extend(both.map(|&(key, value)| Tag::new(key, value, batch)));
        tags::sort(&mut self.tags, batch);
        let texts = self.tags.iter().flat_map(|tag| [tag.key, tag.value]);
        self.text_bytes = texts
            .chain([self.service])
            .map(|text| batch.text(text).len())
            .sum();
    }

    /// Allows one more span to have all of this.
    pub(super) fn share(&mut self) -> Result<(), RequestError> {
        let tags_left = self.tags_left.checked_sub(self.tags.len());
        let text_bytes_left = self.text_bytes_left.checked_sub(self.text_bytes);
        let (Some(tags_left), Some(text_bytes_left)) = (tags_left, text_bytes_left) else {
            return Err(RequestError::TooMuchShared {
                attributes: self.tags.len(),
                text_bytes: self.text_bytes,
            });
        };
        (self.tags_left, self.text_bytes_left) = (tags_left, text_bytes_left);
        Ok(())
    }

    /// Sorted.
    pub(super) fn tags(&self) -> &[Tag] {
        &self.tags
    }

    pub(super) fn service(&self) -> Text {
        self.service
    }

    /// What is wrong with all spans of this scope.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.resource_fault.or(self.scope_fault)
    }
}

fn prefixed(prefix: &str, key: Text, batch: &mut SpanBatch) -> Text {
    if prefix.is_empty() {
        return key;
    }
    let whole = [prefix, batch.text(key)].concat();
    batch.add_text(&whole)
}
