//! Traces that may match a query, newest first, a page at a time.
//!
//! Spans are walked by the index of their begins, from the end of the window backwards, and those are taken whose trace
//! meets the conditions: a page ends as soon as there are enough. Where hardly any trace meets one of them that walk would
//! be long for nothing, so each is looked up in its own index before, and where it has few rows these are the candidates.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use sqlx::{AssertSqlSafe, Row};
use storage::{Order, TraceQuery};

use crate::MySqlStore;
use crate::conditions::{Conditions, RowCondition, SameTrace, conditions, row_conditions};
use crate::in_time::InTime;
use crate::read::{TraceKey, bind_keys, key_conditions, same_low_half, statements};
use crate::scan::{Direction, Place, bind, signed};
use crate::schema::Schema;

/// Spans of a page, of which a trace has several.
const SPANS_MIN: usize = 256;
const SPANS_MAX: usize = 5_000;
const SPANS_FOR_ONE: usize = 4;
/// Every page is so many times as long as the one before.
const GROWTH: usize = 4;
/// Fewer rows than this meet a condition that is rare.
const RARE_MAX: usize = 2_000;

/// A trace, with the newest begin of a span in the window.
pub(crate) type Candidate = (TraceKey, u64);

/// The candidates of a query that are still to be looked at.
#[derive(Debug)]
pub(crate) struct Candidates<'q> {
    query: &'q TraceQuery,
    schema: &'q Schema,
    same: SameTrace,
    conditions: Conditions,
    next: Next,
    page: usize,
    seen: HashSet<TraceKey>,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    First,
    After(Place),
    Nothing,
}

impl<'q> Candidates<'q> {
    pub(crate) fn new(query: &'q TraceQuery, is_strict: bool, schema: &'q Schema) -> Self {
        let same = SameTrace::of(is_strict, schema);
        let page = match query.order() {
            Order::Newest => query
                .limit()
                .saturating_mul(SPANS_FOR_ONE)
                .clamp(SPANS_MIN, SPANS_MAX),
            _ => SPANS_MAX,
        };
        Self {
            query,
            schema,
            same,
            conditions: conditions(query, same, schema),
            next: Next::First,
            page,
            seen: HashSet::new(),
        }
    }

    /// How many there were so far.
    pub(crate) fn seen(&self) -> usize {
        self.seen.len()
    }

    /// More of them, none of which is newer than those before; `None` where that were all.
    pub(crate) async fn next(&mut self, store: &MySqlStore) -> sqlx::Result<Option<Vec<Candidate>>> {
        let (start, end) = self.query.window();
        let after = match self.next {
            Next::Nothing => return Ok(None),
            Next::After(place) => place,
            Next::First => {
                if let Some(rare) = self.rare(store).await? {
                    self.next = Next::Nothing;
                    let newest = self.newest(store, rare).await?;
                    self.seen.extend(newest.iter().map(|candidate| candidate.0));
                    return Ok(Some(newest));
                }
                Direction::Backward.from(signed(end))
            }
        };
        let spans = store
            .page(
                Direction::Backward,
                after,
                signed(start),
                &self.conditions,
                self.page,
                self.schema,
            )
            .await?;
        self.next = match spans.last() {
            Some(last) if spans.len() == self.page => Next::After(*last),
            _ => Next::Nothing,
        };
        self.page = (self.page * GROWTH).min(SPANS_MAX);
        let mut new = Vec::new();
        for span in spans {
            let key = self.key(span.trace_id);
            if self.seen.insert(key) {
                new.push((key, span.start_ts as u64));
            }
        }
        Ok(Some(new))
    }

    fn key(&self, (high, low): TraceKey) -> TraceKey {
        match self.same {
            SameTrace::Whole => (high, low),
            SameTrace::Low | SameTrace::LowOfTwo => (0, low),
        }
    }

    /// All traces that meet a condition that hardly any meets, if there is one, at whatever time.
    async fn rare(&self, store: &MySqlStore) -> sqlx::Result<Option<Vec<TraceKey>>> {
        for condition in row_conditions(self.query, self.schema) {
            let keys = self.rows_of(store, condition).await?;
            if keys.len() < RARE_MAX {
                let keys: HashSet<TraceKey> = keys.into_iter().collect();
                return Ok(Some(keys.into_iter().collect()));
            }
        }
        Ok(None)
    }

    /// Traces of the first rows that meet a condition.
    async fn rows_of(&self, store: &MySqlStore, condition: RowCondition) -> sqlx::Result<Vec<TraceKey>> {
        let sql = format!(
            "SELECT {}, c.trace_id FROM {} c WHERE c.{} = ? LIMIT {RARE_MAX}",
            self.schema.high("c"),
            condition.table,
            condition.column
        );
        let statement = bind(sqlx::query(AssertSqlSafe(sql)), vec![condition.value]);
        let rows = statement.fetch_all(store.pool()).in_time().await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// Those of some traces that meet all conditions, newest first.
    async fn newest(&self, store: &MySqlStore, keys: Vec<TraceKey>) -> sqlx::Result<Vec<Candidate>> {
        let (start, end) = self.query.window();
        let mut connection = store.pool().acquire().await?;
        let keys = match self.same {
            SameTrace::LowOfTwo => same_low_half(&mut connection, &keys).await?,
            SameTrace::Whole | SameTrace::Low => keys,
        };
        let mut newest: HashMap<TraceKey, u64> = HashMap::new();
        for keys in statements(&keys) {
            let sql = format!(
                "SELECT {}, s.trace_id, s.start_ts FROM zipkin_spans s \
                 WHERE ({}) AND s.start_ts BETWEEN ? AND ?{}",
                self.schema.high("s"),
                key_conditions("s", keys.len(), self.schema),
                self.conditions.sql
            );
            let statement = bind_keys(sqlx::query(AssertSqlSafe(sql)), keys)
                .bind(signed(start))
                .bind(signed(end));
            let statement = bind(statement, self.conditions.values.clone());
            for row in statement.fetch_all(&mut *connection).in_time().await? {
                let key = self.key((row.try_get(0)?, row.try_get(1)?));
                let begin = row.try_get::<i64, _>(2)? as u64;
                let known = newest.entry(key).or_default();
                *known = begin.max(*known);
            }
        }
        let mut newest: Vec<Candidate> = newest.into_iter().collect();
        newest.sort_unstable_by_key(|&(key, begin)| Reverse((begin, key)));
        Ok(newest)
    }
}
