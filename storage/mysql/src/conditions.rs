//! What every trace that matches a query meets, as SQL: different spans of a trace may meet different conditions.
//!
//! Tables of spans are large and what a database knows of them is now and then of yesterday, so nothing here leaves it a
//! choice. A condition of a trace is a subquery of one row, which is asked for a span at a time and never turned into a
//! join; its columns stand in expressions, so that the index of the trace is the only one there is for it. Where a
//! condition is rare its own index is asked first (`candidates.rs`).

use storage::TraceQuery;

use crate::rows::{ADDRESS, ANNOTATION, TAG};
use crate::scan::signed;
use crate::schema::Schema;

/// A value of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// Conditions of a statement, with the values for their question marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

/// What some row of a trace has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowCondition {
    pub(crate) table: &'static str,
    /// Has an index.
    pub(crate) column: &'static str,
    pub(crate) value: Value,
    /// More that the row `c` has, with values.
    more: String,
    more_values: Vec<Value>,
}

/// Which rows are of the trace of a span `s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SameTrace {
    /// Those with the same identifier.
    Whole,
    /// Those with the same low half; there are no high ones.
    Low,
    /// Those with the same low half, by which `zipkin_spans` has no index and `zipkin_annotations` has one.
    LowOfTwo,
}

impl SameTrace {
    pub(crate) fn of(is_strict: bool, schema: &Schema) -> Self {
        match (schema.has_trace_id_high, is_strict) {
            (true, true) => Self::Whole,
            (true, false) => Self::LowOfTwo,
            (false, _) => Self::Low,
        }
    }

    /// A condition that a row of `zipkin_annotations` is of the trace.
    fn annotation(self, table: &str) -> String {
        match self {
            Self::Whole => whole(table),
            Self::Low | Self::LowOfTwo => format!("{table}.trace_id = s.trace_id"),
        }
    }

    /// A condition that a span `c` of the trace meets `condition`, which has one value; and how often that value.
    fn span(self, condition: &str) -> (String, usize) {
        let by = |same: &str| {
            format!("(SELECT 1 FROM zipkin_spans c WHERE {same} AND {condition} LIMIT 1) IS NOT NULL")
        };
        match self {
            Self::Whole => (by(&whole("c")), 1),
            Self::Low => (by("c.trace_id = s.trace_id"), 1),
            // Every span that has a high half has rows of annotations.
            Self::LowOfTwo => {
                let others = format!(
                    "(SELECT 1 FROM zipkin_annotations a STRAIGHT_JOIN zipkin_spans c \
                     ON c.trace_id_high = a.trace_id_high AND c.trace_id = a.trace_id AND c.id = a.span_id \
                     WHERE a.trace_id = s.trace_id AND {condition} LIMIT 1) IS NOT NULL"
                );
                (format!("({} OR {others})", by(&whole("c"))), 2)
            }
        }
    }
}

fn whole(table: &str) -> String {
    format!("{table}.trace_id_high = s.trace_id_high AND {table}.trace_id = s.trace_id")
}

impl RowCondition {
    fn new(table: &'static str, column: &'static str, value: Value) -> Self {
        Self {
            table,
            column,
            value,
            more: String::new(),
            more_values: Vec::new(),
        }
    }

    /// The row has this, too.
    fn and(mut self, more: &str, values: Vec<Value>) -> Self {
        self.more += &format!(" AND {more}");
        self.more_values.extend(values);
        self
    }

    /// The row is of a span that a service logged something of, if one is asked for.
    fn on_span_of(self, service: Option<&Value>, schema: &Schema) -> Self {
        let Some(service) = service else { return self };
        let id = match self.table {
            "zipkin_spans" => "c.id",
            _ => "c.span_id",
        };
        let (of_log, of_row) = (schema.high("l"), schema.high("c"));
        let logged = format!(
            "(SELECT 1 FROM zipkin_annotations l WHERE {of_log} = {of_row} AND l.trace_id = c.trace_id \
             AND l.span_id = {id} AND CONCAT(l.endpoint_service_name, '') = ? AND l.a_type + 0 <> {ADDRESS} \
             LIMIT 1) IS NOT NULL"
        );
        self.and(&logged, vec![service.clone()])
    }

    fn add_to(&self, conditions: &mut Conditions, same: SameTrace) {
        let row = format!("CONCAT(c.{}, '') = ?{}", self.column, self.more);
        let (sql, times) = match self.table {
            "zipkin_spans" => same.span(&row),
            table => {
                let same = same.annotation("c");
                let sql = format!("(SELECT 1 FROM {table} c WHERE {same} AND {row} LIMIT 1) IS NOT NULL");
                (sql, 1)
            }
        };
        conditions.sql += " AND ";
        conditions.sql += &sql;
        for _ in 0..times {
            conditions.values.push(self.value.clone());
            conditions.values.extend(self.more_values.iter().cloned());
        }
    }
}

/// What some rows of every matching trace have, each by an index.
pub(crate) fn row_conditions(query: &TraceQuery, schema: &Schema) -> Vec<RowCondition> {
    const ANNOTATIONS: &str = "zipkin_annotations";
    let text = |text: &str| Value::Text(schema.fit(text).into_owned());
    let asked = query.service_name().map(text);
    let by_service = |name: Value| RowCondition::new(ANNOTATIONS, "endpoint_service_name", name);
    let of_asked = |row: RowCondition| row.on_span_of(asked.as_ref(), schema);
    let mut all = Vec::new();
    if let Some(name) = &asked {
        all.push(by_service(name.clone()).and(&format!("c.a_type + 0 <> {ADDRESS}"), vec![]));
    }
    if let Some(name) = query.remote_service_name() {
        let address = by_service(text(name)).and(&format!("c.a_type + 0 = {ADDRESS}"), vec![]);
        all.push(of_asked(address));
    }
    if let Some(name) = query.span_name() {
        all.push(of_asked(RowCondition::new("zipkin_spans", "name", text(name))));
    }
    for (key, value) in query.annotation_query().conditions() {
        let keyed = RowCondition::new(ANNOTATIONS, "a_key", text(key));
        let row = match value.is_empty() {
            true => keyed.and(&format!("c.a_type + 0 IN ({ANNOTATION}, {TAG})"), vec![]),
            false => {
                let value = Value::Bytes(Schema::fit_value(value).to_vec());
                keyed.and(&format!("c.a_type + 0 = {TAG} AND c.a_value = ?"), vec![value])
            }
        };
        all.push(of_asked(row));
    }
    all
}

/// What every matching trace meets, of its spans `s`.
pub(crate) fn conditions(query: &TraceQuery, same: SameTrace, schema: &Schema) -> Conditions {
    let mut conditions = Conditions::default();
    for row in row_conditions(query, schema) {
        row.add_to(&mut conditions, same);
    }
    if let Some(min) = query.min_duration() {
        // The row has the duration of one half of a span; of the other there are the begin and the end.
        let (span, times) = same.span("c.duration >= ?");
        let either = format!(
            " AND ({span} OR (SELECT 1 FROM zipkin_annotations b JOIN zipkin_annotations e \
             ON {} AND e.span_id = b.span_id AND CONCAT(e.a_key, '') IN ('cr', 'ss', 'ws', 'mr') \
             WHERE {} AND CONCAT(b.a_key, '') IN ('cs', 'sr', 'ms', 'wr') \
             AND e.a_timestamp >= b.a_timestamp + ? LIMIT 1) IS NOT NULL)",
            same.annotation("e"),
            same.annotation("b"),
        );
        conditions.sql += &either;
        let min = Value::Number(signed(min));
        conditions.values.extend(vec![min; times + 1]);
    }
    conditions
}
