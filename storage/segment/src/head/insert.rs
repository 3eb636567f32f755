//! Spans on their way into a generation: rows of a record, copied to their traces under the numbers that their shapes have
//! here. Only rows whose shape leaves more open here than in the record, or is generic, are written anew.

use storage_record::bytes::Malformed;
use storage_record::{Bits, NO_TEXT, RecordRun, RecordSpan, RecordSpans};

use super::Generation;
use super::runs::Runs;
use super::shapes::Places;
use crate::registry::Placed;
use crate::rows::{GenericRow, RowHead};
use crate::shape::GENERIC;

impl Generation {
    /// Adds the rows of spans.
    pub(super) fn insert_rows(
        &self,
        spans: RecordSpans<'_>,
        runs: &mut Runs<'_>,
        autocomplete_keys: &[String],
    ) -> Result<(), Malformed> {
        let places = self.places(spans);
        self.note_names(spans, &places, autocomplete_keys)?;
        let is_as_written: Vec<bool> = (spans.shapes().iter().zip(&places.all))
            .map(|(shape, placed)| placed.number != GENERIC && placed.open == shape.open)
            .collect();
        let are_all = !is_as_written.contains(&false);
        for run in spans.runs() {
            let mut rows = spans.rows(run).iter();
            if are_all || rows.all(|row| is_as_written[row.shape as usize]) {
                runs.copy(spans, run, |shape| places.all[shape as usize].number);
            } else {
                write_anew(spans, run, &places.all, runs)?;
            }
        }
        Ok(())
    }

    /// Notes names of the families of new shapes: those of others are known; and the values of these keys.
    fn note_names(
        &self,
        spans: RecordSpans<'_>,
        places: &Places,
        autocomplete_keys: &[String],
    ) -> Result<(), Malformed> {
        let values = values_of_keys(spans, autocomplete_keys)?;
        if places.new.is_empty() && values.is_empty() {
            return Ok(());
        }
        let family_of = |&number: &usize| spans.shapes()[number].family;
        let mut families: Vec<u32> = places.new.iter().map(family_of).collect();
        families.sort_unstable();
        families.dedup();
        let optional = |number: u32| (number != NO_TEXT).then(|| spans.text(number));
        let mut names = self.names.lock();
        for number in families {
            let family = &spans.numbering().families()[number as usize];
            names.note(
                optional(family.service),
                optional(family.name),
                optional(family.remote_service),
            );
        }
        for (key, value) in values {
            names.note_value(key, value);
        }
        self.note_names_bytes(&names);
        Ok(())
    }
}

/// The values in a record of these keys, distinct.
fn values_of_keys<'r>(
    spans: RecordSpans<'r>,
    wanted: &[String],
) -> Result<Vec<(&'r str, &'r str)>, Malformed> {
    let mut values = Vec::new();
    if wanted.is_empty() {
        return Ok(values);
    }
    // Of each shape the wanted keys whose values are in rows, with their slots.
    let mut open: Vec<Vec<(usize, &str)>> = Vec::new();
    for shape in spans.shapes() {
        let keys = spans.numbering().keys(spans.family_of(shape)).iter();
        let keys = keys.map(|&key| spans.text(key)).enumerate();
        let mut in_rows: Vec<_> = keys
            .filter(|(_, key)| wanted.iter().any(|wanted| wanted == key))
            .collect();
        for (slot, value) in spans.closed_values(shape) {
            if let Some(at) = in_rows.iter().position(|wanted| wanted.0 == slot) {
                values.push((in_rows.swap_remove(at).1, spans.text(value)));
            }
        }
        open.push(in_rows);
    }
    if open.iter().any(|open| !open.is_empty()) {
        for row in spans.runs().iter().flat_map(|run| spans.rows(run)) {
            for &(slot, key) in &open[row.shape as usize] {
                values.push((key, spans.value(row, slot)?));
            }
        }
    }
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

/// Adds rows of a run that are not against the same shapes here.
fn write_anew(
    spans: RecordSpans<'_>,
    run: &RecordRun,
    places: &[Placed],
    runs: &mut Runs<'_>,
) -> Result<(), Malformed> {
    let mut open: Vec<&[u8]> = Vec::new();
    spans.read_run(run, |span| {
        let placed = places[span.shape as usize];
        let generic = (placed.number == GENERIC).then(|| generic_row(spans, &span));
        open.clear();
        if generic.is_some() {
            let family = spans.family_of(&spans.shapes()[span.shape as usize]);
            let names = [family.service, family.name, family.remote_service];
            let keys = spans.numbering().keys(family);
            let texts = names.iter().filter(|&&text| text != NO_TEXT).chain(keys);
            open.extend(texts.map(|&text| spans.text(text).as_bytes()));
            open.extend(span.values.iter().map(|value| value.text.as_bytes()));
        } else {
            open.extend(Bits(placed.open).map(|slot| span.values[slot].text.as_bytes()));
        }
        let head = RowHead {
            shape: placed.number,
            trace_id: span.head.trace_id,
            id: span.head.id,
            parent_id: span.head.parent_id,
            timestamp: span.head.timestamp,
            duration: span.head.duration,
            local: span.head.local,
            remote: span.head.remote,
            generic,
        };
        runs.add(&head, open.iter().copied(), span.annotation_times.iter().copied());
        Ok(())
    })
}

fn generic_row(spans: RecordSpans<'_>, span: &RecordSpan<'_, '_>) -> GenericRow {
    let family = spans.family_of(&spans.shapes()[span.shape as usize]);
    GenericRow {
        kind: family.kind,
        debug: family.debug,
        shared: family.shared,
        has_service: family.service != NO_TEXT,
        has_name: family.name != NO_TEXT,
        has_remote_service: family.remote_service != NO_TEXT,
        tags: family.tags,
        annotations: family.annotations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Arrival;
    use crate::testing::{arbitrary_spans, batch_of, insert_batch};
    use crate::view::sort_distinct;
    use model::Span;
    use proptest::prelude::*;
    use storage_journal::Position;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn spans_of_more_tags_than_a_shape_has_are_generic_rows(mut spans in arbitrary_spans(6)) {
            for span in &mut spans {
                span.tags.extend((0..65).map(|tag| (format!("~{tag:02}"), String::new())));
                span.tags.sort();
            }
            let generation = Generation::new(0);
            insert_batch(&generation, &batch_of(&spans), Arrival::at(0, Position::START), &["~01".to_owned()]);
            prop_assert_eq!(generation.with_shapes(|table| table.len()), 1);
            for low in 0..5 {
                let of_trace = spans.iter().filter(|span| span.trace_id.low() == low);
                let mut expected: Vec<Span> = of_trace.cloned().collect();
                let mut found = generation.spans_of(low);
                sort_distinct(&mut found);
                sort_distinct(&mut expected);
                prop_assert_eq!(found, expected);
            }
            generation.with_names(|names| assert!(names.values["~01"].contains("")));
        }
    }
}
