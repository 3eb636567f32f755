//! What is answered of a trace: columns, a list a field, so that a long trace is short to send and quick to read.

use std::collections::HashMap;

use model::{Kind, Span, SpanId};
use schemars::JsonSchema;
use serde::Serialize;

use super::rows::{Place, Row, Rows};
use super::sides::{Orphan, Sides};

/// Notes beyond this many are counted only.
const NOTES_MAX: usize = 100;

/// A trace as a timeline shows it. Rows are in order: each after its parent, and those of one parent by their beginning.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TraceView {
    /// The longest of its spans' identifiers.
    pub(crate) trace_id: String,
    /// When its first span began, microseconds since the epoch; 0 where no span says when it began.
    pub(crate) start: u64,
    /// Microseconds from then to the end of its last span.
    pub(crate) duration: u64,
    /// How many spans it has as they are stored: two of a call that both sides told by one identifier.
    pub(crate) span_count: usize,
    /// The traces of a body that was sent, in its order, at most 1,000; absent of a trace that is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_ids: Option<Vec<String>>,
    /// How many traces the body has; absent of a trace that is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_count: Option<usize>,
    /// Names of services, which rows give by their index.
    pub(crate) services: Vec<String>,
    /// Names of operations, which rows give by their index.
    pub(crate) names: Vec<String>,
    /// Versions, which rows give by their index.
    pub(crate) versions: Vec<String>,
    /// What to know before reading, at most 100.
    pub(crate) notes: Vec<Note>,
    /// How many notes there are.
    pub(crate) note_count: usize,
    /// At most 1,000,000.
    pub(crate) rows: Columns,
}

/// What is wrong with a trace, or was changed in it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub(crate) enum Note {
    /// Rows that come last are left out: the trace has so many.
    Truncated {
        /// Rows of the whole trace.
        total: usize,
    },
    /// The clock of a service differs from that of its caller, and what ran by it was moved.
    ClockSkew {
        /// Whose clock; absent where nobody told the name.
        #[serde(skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// The row that shows it.
        row: usize,
        /// By how much times were moved: above 0 is later.
        microseconds: i64,
    },
    /// A row names a parent that is not in the trace.
    MissingParent {
        /// Which row.
        row: usize,
        /// The span it names.
        parent_id: String,
    },
    /// A row names a parent that is below it.
    Cycle {
        /// Which row.
        row: usize,
        /// The span it names.
        parent_id: String,
    },
    /// Rows that show both sides of a call, which told it by one identifier.
    Merged {
        /// How many.
        rows: usize,
    },
}

/// The fields of all rows: lists of one length.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Columns {
    /// Identifiers of spans, 16 characters; distinct in most traces.
    pub(crate) id: Vec<String>,
    /// The row it is below, which comes before it; -1 at the top.
    pub(crate) parent: Vec<i32>,
    /// How many rows it is below.
    pub(crate) depth: Vec<u32>,
    /// Index in `services`, or -1.
    pub(crate) service: Vec<i32>,
    /// Index in `names`, or -1.
    pub(crate) name: Vec<i32>,
    /// Index in `versions`, or -1.
    pub(crate) version: Vec<i32>,
    /// 0 local, 1 client, 2 server, 3 producer, 4 consumer; of a row with both sides that of who answers.
    pub(crate) kind: Vec<u8>,
    /// Microseconds since the `start` of the trace, or -1 where nobody said.
    pub(crate) start: Vec<i64>,
    /// Microseconds, or -1 where nobody said.
    pub(crate) duration: Vec<i64>,
    /// Microseconds in which it ran and nothing below it did; 0 where it has no times.
    #[serde(rename = "self")]
    pub(crate) self_time: Vec<u64>,
    /// Microseconds in which the request waited for it and nothing below it.
    pub(crate) critical: Vec<u64>,
    /// 1 where it failed, else 0.
    pub(crate) error: Vec<u8>,
    /// By how many microseconds it was moved because a clock differs, above 0 is later; with both sides, the side that
    /// was moved furthest.
    pub(crate) skew: Vec<i64>,
    /// The row after the last one below it.
    pub(crate) end: Vec<u32>,
    /// Index in `services` of who was called and told nothing, or -1.
    pub(crate) remote: Vec<i32>,
}

/// The spans of one row.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RowSpans {
    /// As they are stored, in Zipkin's v2 JSON: all that have the identifier.
    #[schemars(schema_with = "crate::described::spans")]
    pub(crate) spans: Vec<serde_json::Value>,
    /// As the row's `skew` in the view of the trace.
    pub(crate) skew: i64,
    /// By how many microseconds each of `spans` was moved.
    pub(crate) skews: Vec<i64>,
}

/// Makes the view of the spans of one trace, at least one.
pub(crate) fn view(stored: &[Span], version_tags: &[String], rows_max: usize) -> TraceView {
    let sides = Sides::of(stored);
    let rows = Rows::of(&sides, version_tags);
    let (order, places) = rows.in_order(rows_max);
    let (start, end) = bounds(&sides);
    let mut position_of = vec![None; rows.rows.len()];
    for (position, &row) in order.iter().enumerate() {
        position_of[row] = Some(position);
    }
    let mut tables = Tables::default();
    let mut columns = Columns::default();
    for &row in &order {
        let parent = rows.rows[row].parent.and_then(|parent| position_of[parent]);
        columns.push(&rows.rows[row], places[row], parent, start, &mut tables);
    }
    let (notes, note_count) = notes(&sides, &rows, &position_of, order.len());
    let trace_id = sides.spans.iter().map(|span| span.trace_id).max();
    TraceView {
        trace_id: trace_id.map_or_else(String::new, |id| id.to_string()),
        start,
        duration: end - start,
        span_count: stored.len(),
        trace_ids: None,
        trace_count: None,
        services: tables.services.names(),
        names: tables.names.names(),
        versions: tables.versions.names(),
        notes,
        note_count,
        rows: columns,
    }
}

/// The stored spans of a trace that have an identifier; `None` where none has.
pub(crate) fn row_spans(stored: &[Span], id: SpanId) -> Option<RowSpans> {
    let sides = Sides::of(stored);
    let own = sides.with_id(id);
    let moved = |side: usize| sides.moves[side].micros;
    let skew = own
        .clone()
        .map(moved)
        .max_by_key(|micros| micros.unsigned_abs())?;
    let spans = stored.iter().filter(|span| span.id == id);
    let side_of = |span: &Span| {
        let is_same_kind = |side: &usize| sides.spans[*side].kind == span.kind;
        let is_same =
            |side: &usize| is_same_kind(side) && sides.spans[*side].local_endpoint == span.local_endpoint;
        let exact = own.clone().find(is_same);
        exact.or_else(|| own.clone().find(is_same_kind))
    };
    let skews = spans.clone().map(|span| side_of(span).map_or(skew, moved));
    Some(RowSpans {
        skew,
        skews: skews.collect(),
        spans: spans.map(json_of).collect(),
    })
}

fn json_of(span: &Span) -> serde_json::Value {
    let mut text = Vec::new();
    proto::write_span(&mut text, span);
    serde_json::from_slice(&text).expect("what is written as JSON is JSON")
}

/// When the first span began and the last ended, corrected; both 0 where no span has a timestamp.
fn bounds(sides: &Sides<'_>) -> (u64, u64) {
    let timed = || (0..sides.spans.len()).filter_map(|index| Some((index, sides.start(index)?)));
    let start = timed().map(|(_, start)| start).min();
    let end = timed().map(|(index, start)| start.saturating_add(sides.spans[index].duration.unwrap_or(0)));
    (start.unwrap_or(0), end.max().unwrap_or(0))
}

/// What to know, the worst first, then as the rows come; and how much there is of it.
fn notes(
    sides: &Sides<'_>,
    rows: &Rows<'_>,
    position_of: &[Option<usize>],
    shown: usize,
) -> (Vec<Note>, usize) {
    let mut of_rows: Vec<(usize, Note)> = Vec::new();
    for index in 0..sides.spans.len() {
        let row = rows.row_of[index] as usize;
        let Some(position) = position_of[row] else {
            continue;
        };
        of_rows.extend(notes_of(sides, index, position).map(|note| (position, note)));
    }
    of_rows.sort_by_key(|(position, _)| *position);
    let total = rows.rows.len();
    let truncated = (shown < total).then_some(Note::Truncated { total });
    let merged = rows.rows.iter().filter(|row| row.sides > 1).count();
    let merged = (merged > 0).then_some(Note::Merged { rows: merged });
    let general = truncated.into_iter().chain(merged);
    let mut notes: Vec<Note> = general.chain(of_rows.into_iter().map(|(_, note)| note)).collect();
    let count = notes.len();
    notes.truncate(NOTES_MAX);
    (notes, count)
}

fn notes_of(sides: &Sides<'_>, index: usize, row: usize) -> impl Iterator<Item = Note> {
    let orphan = sides.orphan(index).map(|orphan| match orphan {
        Orphan::MissingParent(parent_id) => Note::MissingParent {
            row,
            parent_id: parent_id.to_string(),
        },
        Orphan::Cycle(parent_id) => Note::Cycle {
            row,
            parent_id: parent_id.to_string(),
        },
    });
    let moved = sides.moves[index];
    let skew = moved.is_found_here.then(|| Note::ClockSkew {
        service: sides.spans[index].local_service_name().map(str::to_owned),
        row,
        microseconds: moved.micros,
    });
    orphan.into_iter().chain(skew)
}

impl Columns {
    fn push<'a>(
        &mut self,
        row: &Row<'a>,
        place: Place,
        parent: Option<usize>,
        trace_start: u64,
        tables: &mut Tables<'a>,
    ) {
        self.id.push(row.id.to_string());
        self.parent.push(parent.map_or(-1, |parent| parent as i32));
        self.depth.push(place.depth);
        self.service.push(tables.services.index_of(row.service));
        self.name.push(tables.names.index_of(row.name));
        self.version.push(tables.versions.index_of(row.version));
        self.kind.push(row.kind.map_or(0, |kind: Kind| kind as u8));
        let start = row.start.map(|start| start - trace_start);
        self.start.push(or_minus_one(start));
        self.duration.push(or_minus_one(row.duration));
        self.self_time.push(place.self_time);
        self.critical.push(place.critical);
        self.error.push(u8::from(row.is_error));
        self.skew.push(row.moved);
        self.end.push(place.end);
        self.remote.push(tables.services.index_of(row.remote));
    }
}

fn or_minus_one(micros: Option<u64>) -> i64 {
    micros.map_or(-1, |micros| i64::try_from(micros).unwrap_or(i64::MAX))
}

/// Texts that rows give by a number.
#[derive(Default)]
struct Tables<'a> {
    services: Table<'a>,
    names: Table<'a>,
    versions: Table<'a>,
}

/// Texts, each once, in the order in which rows first have them.
#[derive(Default)]
struct Table<'a> {
    indexes: HashMap<&'a str, i32>,
    texts: Vec<&'a str>,
}

impl<'a> Table<'a> {
    /// -1 where there is no text.
    fn index_of(&mut self, text: Option<&'a str>) -> i32 {
        let Some(text) = text else { return -1 };
        let Self { indexes, texts } = self;
        *indexes.entry(text).or_insert_with(|| {
            texts.push(text);
            texts.len() as i32 - 1
        })
    }

    fn names(self) -> Vec<String> {
        self.texts.into_iter().map(str::to_owned).collect()
    }
}
