//! One row an operation, in the order of a timeline: each before what it called, and that by its beginning.

use model::{CriticalPath, Kind, Span, SpanId, SpanTree, Timeline, TraceNode};

use super::sides::Sides;

/// No row.
const NONE: u32 = u32::MAX;

/// What old clients call a span whose name they do not know.
const UNKNOWN: &str = "unknown";

/// An operation: its sides as one. What both sides tell is the server's, but when it ran: that the client saw whole.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) id: SpanId,
    /// The row it is below.
    pub(super) parent: Option<usize>,
    pub(super) name: Option<&'a str>,
    pub(super) service: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    pub(super) kind: Option<Kind>,
    /// Corrected, microseconds since the epoch.
    pub(super) start: Option<u64>,
    /// Microseconds.
    pub(super) duration: Option<u64>,
    pub(super) is_error: bool,
    /// How many sides it has.
    pub(super) sides: usize,
    /// By how many microseconds it was moved; of several sides that which was moved furthest.
    pub(super) moved: i64,
    /// Whose answer nobody recorded.
    pub(super) remote: Option<&'a str>,
    is_answered: bool,
}

/// The rows of a trace.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    /// In any order, each after its parent.
    pub(super) rows: Vec<Row<'a>>,
    /// The row of each side.
    pub(super) row_of: Vec<u32>,
}

/// Where a row is shown, and what it took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) depth: u32,
    /// Of the place after the last row below it.
    pub(super) end: u32,
    /// Microseconds in which nothing below it ran; 0 where it has no times.
    pub(super) self_time: u64,
    /// Microseconds in which the request waited for it.
    pub(super) critical: u64,
}

impl<'a> Rows<'a> {
    pub(super) fn of(sides: &'a Sides<'_>, version_tags: &[String]) -> Self {
        let mut rows = Self {
            rows: Vec::with_capacity(sides.spans.len()),
            row_of: vec![NONE; sides.spans.len()],
        };
        for index in sides.tree.breadth_first() {
            let above = sides
                .tree
                .parent(index)
                .map(|parent| rows.row_of[parent] as usize);
            let row = match above.filter(|_| sides.is_other_side(index)) {
                Some(row) => row,
                None => rows.begin(sides.spans[index].id, above),
            };
            rows.row_of[index] = row as u32;
            rows.add_side(row, sides, index, version_tags);
        }
        for row in &mut rows.rows {
            let may_ask = matches!(row.kind, None | Some(Kind::Client | Kind::Producer));
            row.remote = row.remote.filter(|_| may_ask && !row.is_answered);
        }
        rows
    }

    fn begin(&mut self, id: SpanId, parent: Option<usize>) -> usize {
        self.rows.push(Row {
            id,
            parent,
            name: None,
            service: None,
            version: None,
            kind: None,
            start: None,
            duration: None,
            is_error: false,
            sides: 0,
            moved: 0,
            remote: None,
            is_answered: false,
        });
        self.rows.len() - 1
    }

    fn add_side(&mut self, row: usize, sides: &'a Sides<'_>, index: usize, version_tags: &[String]) {
        let span: &Span = &sides.spans[index];
        let answers = matches!(span.kind, Some(Kind::Server | Kind::Consumer));
        let service = span.local_service_name();
        if let Some(above) = self.rows[row].parent.map(|parent| &mut self.rows[parent]) {
            let is_elsewhere = service.is_some() && above.service.is_some() && service != above.service;
            above.is_answered |= answers || is_elsewhere;
        }
        let row = &mut self.rows[row];
        let is_better = answers && !matches!(row.kind, Some(Kind::Server | Kind::Consumer));
        let tell = |told: &mut Option<&'a str>, new: Option<&'a str>| {
            if told.is_none() || (is_better && new.is_some()) {
                *told = new;
            }
        };
        tell(
            &mut row.name,
            span.name.as_deref().filter(|name| *name != UNKNOWN),
        );
        tell(&mut row.service, service);
        tell(
            &mut row.version,
            version_tags.iter().find_map(|tag| span.tag(tag)),
        );
        if row.kind.is_none() || is_better {
            row.kind = span.kind.or(row.kind);
        }
        row.start = row.start.or_else(|| sides.start(index));
        row.duration = row.duration.or(span.duration);
        row.is_error |= span.is_error();
        row.sides += 1;
        row.is_answered |= answers;
        if !answers {
            row.remote = row.remote.or_else(|| span.remote_service_name());
        }
        let moved = sides.moves[index].micros;
        if moved.unsigned_abs() > row.moved.unsigned_abs() {
            row.moved = moved;
        }
    }

    /// Puts the rows into order, at most so many of them, and finds out where each stands. What they took is of all.
    pub(super) fn in_order(&self, rows_max: usize) -> (Vec<usize>, Vec<Place>) {
        let is_headless = self.rows.iter().filter(|row| row.parent.is_none()).count() > 1;
        let nodes = self.rows.iter().enumerate();
        let nodes: Vec<Node> = nodes
            .map(|(number, row)| Node::of(number, row, is_headless))
            .collect();
        let tree = SpanTree::build(&nodes);
        let mut order = Vec::with_capacity(nodes.len());
        let mut open: Vec<usize> = tree.tops().rev().collect();
        while let Some(row) = open.pop() {
            order.push(row);
            open.extend(tree.children(row).rev());
        }
        order.truncate(rows_max);
        let mut places = vec![Place::default(); nodes.len()];
        for (position, &row) in order.iter().enumerate() {
            let depth = self.rows[row].parent.map(|parent| places[parent].depth + 1);
            places[row].depth = depth.unwrap_or(0);
            places[row].end = position as u32 + 1;
        }
        for &row in order.iter().rev() {
            if let Some(parent) = self.rows[row].parent {
                places[parent].end = places[parent].end.max(places[row].end);
            }
        }
        add_times(&Timeline::build(&nodes, &tree), &mut places);
        (order, places)
    }
}

fn add_times(timeline: &Timeline, places: &mut [Place]) {
    for (row, place) in places.iter_mut().enumerate() {
        place.self_time = timeline.self_time(row).unwrap_or(0);
    }
    let path = CriticalPath::of(timeline);
    for piece in path.iter().flat_map(CriticalPath::pieces) {
        places[piece.span].critical += piece.interval.duration();
    }
}

/// A row as far as order and times go: its number is its identifier.
struct Node {
    number: u64,
    parent: Option<u64>,
    start: Option<u64>,
    duration: Option<u64>,
}

impl Node {
    /// Of several rows at the top none is the root: all are below one that is not there.
    fn of(number: usize, row: &Row<'_>, is_headless: bool) -> Self {
        let parent = row.parent.map(|parent| parent as u64);
        Self {
            number: number as u64,
            parent: parent.or(is_headless.then_some(u64::MAX)),
            start: row.start,
            duration: row.duration,
        }
    }
}

impl TraceNode for Node {
    type Name = str;
    type Place = ();

    fn id(&self) -> SpanId {
        SpanId::new(self.number)
    }

    fn parent_id(&self) -> Option<SpanId> {
        self.parent.map(SpanId::new)
    }

    fn kind(&self) -> Option<Kind> {
        None
    }

    fn shared(&self) -> bool {
        false
    }

    fn timestamp(&self) -> Option<u64> {
        self.start
    }

    fn duration(&self) -> Option<u64> {
        self.duration
    }

    fn is_error(&self) -> bool {
        false
    }

    fn place(&self) -> Option<&()> {
        None
    }

    fn local_name(&self) -> Option<&str> {
        None
    }

    fn remote_name(&self) -> Option<&str> {
        None
    }
}
