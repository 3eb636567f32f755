//! Links of traces, counted from rows: no span is made, and names are compared by their numbers.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{LinkFinder, NameNumber, Place, SpanOutline, SpanTree, merge_outlines};

use crate::link_sums::{Counted, LinkSums};
use crate::rollup::links_of;
use crate::rows::{RowRef, TraceRows};
use crate::shape::{GENERIC, ShapeTable, Slot};
use crate::strings::Symbol;
use crate::view::sort_distinct;
use storage_record::bytes::Malformed;

/// Counts the links of one trace after the other, in the same memory. All rows are of one table.
pub(crate) struct TraceLinks<'s> {
    sums: &'s LinkSums,
    /// Numbers of links, by the symbols of their names.
    numbers: HashMap<(NameNumber, NameNumber), u32, RandomState>,
    outlines: Vec<SpanOutline>,
    tree: SpanTree,
    finder: LinkFinder,
    /// Numbers of links, a call each, and whether it failed.
    found: Vec<(u32, bool)>,
    counted: Vec<Counted>,
}

impl<'s> TraceLinks<'s> {
    pub(crate) fn new(sums: &'s LinkSums) -> Self {
        Self {
            sums,
            numbers: HashMap::default(),
            outlines: Vec::new(),
            tree: SpanTree::default(),
            finder: LinkFinder::default(),
            found: Vec::new(),
            counted: Vec::new(),
        }
    }

    /// Where links are numbered.
    pub(crate) fn sums(&self) -> &'s LinkSums {
        self.sums
    }

    /// The links of a trace, each once. `table` MUST be the one that the rows are of, each time.
    ///
    /// # Errors
    /// [`Malformed`] where a row has a shape that the table lacks.
    pub(crate) fn of(&mut self, rows: &TraceRows, table: &ShapeTable) -> Result<&[Counted], Malformed> {
        if self.outline(rows, table)? {
            self.count(table);
        } else {
            // Spans in pieces, or without a shape: as the definition says it.
            let mut spans = rows.to_spans(table)?;
            sort_distinct(&mut spans);
            self.counted = self.sums.number(&links_of(&spans));
        }
        Ok(&self.counted)
    }

    /// Whether all is known that the links depend on: outlines of the spans as merging them gives.
    fn outline(&mut self, rows: &TraceRows, table: &ShapeTable) -> Result<bool, Malformed> {
        let error = table.strings.find("error");
        self.outlines.clear();
        for (row, index) in rows.iter().zip(0..) {
            if row.head.shape == GENERIC {
                return Ok(false);
            }
            self.outlines.push(outline(row, index, table, error)?);
        }
        Ok(merge_outlines(&mut self.outlines))
    }

    fn count(&mut self, table: &ShapeTable) {
        let Self {
            sums,
            numbers,
            outlines,
            tree,
            finder,
            found,
            counted,
        } = self;
        tree.rebuild(outlines);
        found.clear();
        // In the order found: links are numbered, and answered, in the order first seen.
        finder.find(outlines, tree, |call| {
            let (parent, child) = (*call.parent, *call.child);
            let number = numbers.entry((parent, child)).or_insert_with(|| {
                let name = |number| table.strings.get(Symbol(number));
                sums.number_of(name(parent), name(child))
            });
            found.push((*number, call.failed));
        });
        found.sort_unstable();
        counted.clear();
        for calls in found.chunk_by(|a, b| a.0 == b.0) {
            let errors = calls.iter().filter(|call| call.1).count();
            counted.push(Counted::new(calls[0].0, calls.len() as i64, errors as i64));
        }
    }
}

fn outline(row: RowRef<'_>, index: u32, table: &ShapeTable, error: Slot) -> Result<SpanOutline, Malformed> {
    let head = row.head;
    let shape = table.get(head.shape)?;
    let name = |symbol: Symbol| symbol.is_some().then_some(symbol.0);
    let (ip, port) = head.local;
    let place = Place {
        name: name(shape.service),
        ip,
        port,
    };
    Ok(SpanOutline {
        id: head.id,
        parent_id: head.parent_id,
        kind: shape.kind,
        shared: shape.shared,
        timestamp: head.timestamp,
        duration: head.duration,
        is_error: error.is_some() && shape.tags.iter().any(|tag| error == Some(tag.0)),
        place: place.into_option(),
        remote_name: name(shape.remote_service),
        index,
    })
}
