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
