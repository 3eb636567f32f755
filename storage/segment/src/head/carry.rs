//! Traces that are still arriving, on their way from a frozen generation into the one that takes spans.
//!
//! Their rows are taken over as they are, against shapes that the new registry adopts: no span is made, and no text
//! of it hashed. Only where the registry is full a row is written anew, against the generic shape.

use super::runs::Runs;
use super::{Arrival, Generation, ROWS_AT_ONCE};
use crate::fields::Fields;
use crate::rows::{RowRef, TraceRows};
use crate::shape::{GENERIC, ShapeNumber, ShapeTable};
use storage_record::bytes::Malformed;

/// Takes over traces from a generation that takes no more spans.
#[derive(Debug)]
pub(crate) struct CarryOver<'g> {
    from: &'g Generation,
    to: &'g Generation,
    autocomplete_keys: &'g [String],
    /// The shapes that were adopted, by their numbers where they come from.
    numbers: Vec<Option<ShapeNumber>>,
    rows: TraceRows,
    generic: TraceRows,
}

impl<'g> CarryOver<'g> {
    pub(crate) fn new(from: &'g Generation, to: &'g Generation, autocomplete_keys: &'g [String]) -> Self {
        Self {
            from,
            to,
            autocomplete_keys,
            numbers: Vec::new(),
            rows: TraceRows::default(),
            generic: TraceRows::default(),
        }
    }

    /// Takes over a trace with all that is known of its arrival.
    pub(crate) fn add(&mut self, low: u64, arrival: Arrival) {
        let Some(mut reading) = self.from.rows_of(low) else {
            return;
        };
        self.to.note_position(arrival);
        let mut spans = 0;
        loop {
            self.rows.clear();
            reading.read(ROWS_AT_ONCE, &mut self.rows);
            if self.rows.is_empty() {
                break;
            }
            spans += self.rows.len() as u64;
            let mut runs = Runs::new(self.to, arrival);
            let rows = std::mem::take(&mut self.rows);
            for row in rows.iter() {
                if let Err(error) = self.add_row(row, &mut runs) {
                    super::tell(error);
                }
            }
            self.rows = rows;
            self.to.note_rows(runs.finish(), 0);
        }
        self.to.note_rows(0, spans);
    }

    fn add_row(&mut self, row: RowRef<'_>, runs: &mut Runs<'_>) -> Result<(), Malformed> {
        let shape = self.number_of(row.head.shape)?;
        let from = self.from;
        if row.head.shape == GENERIC || shape == GENERIC || !self.autocomplete_keys.is_empty() {
            from.with_shapes(|table| self.add_slowly(row, shape, table, runs))
        } else {
            let head = crate::rows::RowHead { shape, ..*row.head };
            let times = row.annotation_times().iter().copied();
            runs.add(&head, row.values().map(str::as_bytes), times);
            Ok(())
        }
    }

    /// Adds a row after looking at all it says.
    fn add_slowly(
        &mut self,
        row: RowRef<'_>,
        shape: ShapeNumber,
        table: &ShapeTable,
        runs: &mut Runs<'_>,
    ) -> Result<(), Malformed> {
        let span = row.span(table)?;
        let mut names = self.to.names.lock();
        names.note(span.service(), span.name(), span.remote_service());
        for (key, value) in span.tags() {
            if self.autocomplete_keys.iter().any(|wanted| wanted == key) {
                names.note_value(key, value);
            }
        }
        self.to.note_names_bytes(&names);
        drop(names);
        let head = crate::rows::RowHead { shape, ..*row.head };
        if shape != GENERIC || row.head.shape == GENERIC {
            let times = row.annotation_times().iter().copied();
            runs.add(&head, row.values().map(str::as_bytes), times);
            return Ok(());
        }
        let span = span.to_span();
        self.generic.clear();
        self.generic
            .push_fields(&Fields::of_span(&span), GENERIC, table.get(GENERIC)?);
        for row in self.generic.iter() {
            let times = row.annotation_times().iter().copied();
            runs.add(row.head, row.values().map(str::as_bytes), times);
        }
        Ok(())
    }

    /// The number of a shape in the registry of the generation that takes spans.
    fn number_of(&mut self, number: ShapeNumber) -> Result<ShapeNumber, Malformed> {
        if number == GENERIC {
            return Ok(GENERIC);
        }
        let index = number as usize;
        if self.numbers.len() <= index {
            self.numbers.resize(index + 1, None);
        }
        if let Some(known) = self.numbers[index] {
            return Ok(known);
        }
        let adopted = self.from.with_shapes(|table| {
            let shape = table.get(number)?;
            let mut registry = self.to.registry.write();
            let adopted = registry.adopt(table, shape);
            self.to.note_registry_bytes(&registry);
            drop(registry);
            let text = |symbol| table.strings.get(symbol);
            let mut names = self.to.names.lock();
            names.note(
                shape.service.is_some().then(|| text(shape.service)),
                shape.name.is_some().then(|| text(shape.name)),
                shape.remote_service.is_some().then(|| text(shape.remote_service)),
            );
            self.to.note_names_bytes(&names);
            Ok(adopted)
        })?;
        self.numbers[index] = Some(adopted);
        Ok(adopted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arbitrary_spans, batch_of, insert_batch, span};
    use crate::view::sort_distinct;
    use model::Span;
    use proptest::prelude::*;
    use storage_journal::Position;

    fn arrival() -> Arrival {
        Arrival::at(7, Position::from_u64(3))
    }

    fn generation_of(spans: &[Span]) -> Generation {
        let (generation, batch) = (Generation::new(0), batch_of(spans));
        insert_batch(&generation, &batch, arrival(), &[]);
        generation
    }

    fn sorted(mut spans: Vec<Span>) -> Vec<Span> {
        sort_distinct(&mut spans);
        spans
    }

    proptest! {
        #[test]
        fn traces_are_what_they_were_beside_those_that_are_there(
            carried in arbitrary_spans(20), there in arbitrary_spans(20), complete in any::<bool>(),
        ) {
            let (from, to) = (generation_of(&carried), generation_of(&there));
            let keys = if complete { vec!["error".to_owned()] } else { Vec::new() };
            let mut carry_over = CarryOver::new(&from, &to, &keys);
            (0..5).for_each(|low| carry_over.add(low, arrival()));
            for low in 0..5 {
                let of = |spans: &[Span]| -> Vec<Span> {
                    spans.iter().filter(|span| span.trace_id.low() == low).cloned().collect()
                };
                let expected = [of(&carried), of(&there)].concat();
                prop_assert_eq!(to.span_count(low), expected.len() as u64);
                prop_assert_eq!(sorted(to.spans_of(low)), sorted(expected));
            }
            prop_assert_eq!(to.spans(), (carried.len() + there.len()) as u64);
        }
    }

    #[test]
    fn names_and_values_come_along_and_the_journal_is_held() {
        let (from, to) = (generation_of(&[span(1, 1, 50)]), Generation::new(0));
        let keys = ["instance".to_owned()];
        CarryOver::new(&from, &to, &keys).add(1, arrival());
        assert_eq!(to.position(), Some(Position::from_u64(3)));
        to.with_names(|names| {
            assert!(names.services["web"].spans.contains("get /cart"));
            assert!(names.values["instance"].contains("a"));
        });
        assert!(to.bytes() > 0);
    }

    #[test]
    fn a_shape_is_adopted_once_and_found_by_later_spans() {
        let from = generation_of(&(1..50).map(|id| span(id, id, 50)).collect::<Vec<_>>());
        let to = Generation::new(0);
        let mut carry_over = CarryOver::new(&from, &to, &[]);
        (1..50).for_each(|low| carry_over.add(low, arrival()));
        let batch = batch_of(&[span(90, 1, 50)]);
        insert_batch(&to, &batch, arrival(), &[]);
        assert_eq!(to.with_shapes(ShapeTable::len), 2, "the generic one and this");
    }

    #[test]
    fn spans_of_more_families_than_a_registry_takes_are_carried_over_as_generic_rows() {
        let of_key = |key: u64| {
            let mut span = span(key + 1, 1, 50);
            // Tags of what is normalised are in order.
            span.tags[0].0 = format!("a-key-{key}");
            span
        };
        let (there, carried): (Vec<_>, Vec<_>) = (
            (0..1024).map(of_key).collect(),
            (2000..2010).map(of_key).collect(),
        );
        let (from, to) = (generation_of(&carried), generation_of(&there));
        let mut carry_over = CarryOver::new(&from, &to, &[]);
        for expected in &carried {
            let low = expected.trace_id.low();
            carry_over.add(low, arrival());
            assert_eq!(to.spans_of(low), std::slice::from_ref(expected));
        }
        assert_eq!(to.with_shapes(ShapeTable::len), 1025);
    }
}
