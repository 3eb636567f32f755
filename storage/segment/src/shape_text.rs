//! A shape as texts, before it has a number: that of a span, or that of rows of a record.

use model::Kind;
use storage_record::{NO_TEXT, RecordShape, RecordSpans};

use crate::fields::Fields;

/// Kind, flags, names, keys, and the values that are part of the shape: nothing where the rows say them.
#[derive(Debug)]
pub(crate) struct ShapeText<'a> {
    pub(crate) kind: Option<Kind>,
    pub(crate) debug: bool,
    pub(crate) shared: bool,
    pub(crate) service: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) remote_service: Option<&'a str>,
    pub(crate) keys: Vec<&'a str>,
    pub(crate) annotations: usize,
    /// Of tags, then of annotations.
    pub(crate) values: Vec<Option<&'a str>>,
}

impl<'a> ShapeText<'a> {
    /// One that leaves nothing open.
    pub(crate) fn of_fields(fields: &Fields<'a>) -> Self {
        let annotations = fields.annotations.iter().map(|annotation| annotation.1);
        let values = fields.tags.iter().map(|tag| tag.1).chain(annotations);
        Self {
            kind: fields.kind,
            debug: fields.debug,
            shared: fields.shared,
            service: fields.local_service(),
            name: fields.name,
            remote_service: fields.remote_service(),
            keys: fields.tags.iter().map(|tag| tag.0).collect(),
            annotations: fields.annotations.len(),
            values: values.map(Some).collect(),
        }
    }

    /// One of a record.
    pub(crate) fn of_record(spans: RecordSpans<'a>, shape: &RecordShape) -> Self {
        let family = spans.family_of(shape);
        let optional = |number: u32| (number != NO_TEXT).then(|| spans.text(number));
        let keys = spans.numbering().keys(family).iter();
        let mut values = vec![None; family.values()];
        for (slot, number) in spans.closed_values(shape) {
            values[slot] = Some(spans.text(number));
        }
        Self {
            kind: family.kind,
            debug: family.debug,
            shared: family.shared,
            service: optional(family.service),
            name: optional(family.name),
            remote_service: optional(family.remote_service),
            keys: keys.map(|&key| spans.text(key)).collect(),
            annotations: family.annotations as usize,
            values,
        }
    }

    /// A bit for each of the first 64 values that it leaves open.
    pub(crate) fn open(&self) -> u64 {
        let values = self.values.iter().take(u64::BITS as usize).enumerate();
        values.fold(0, |open, (slot, value)| open | u64::from(value.is_none()) << slot)
    }
}
