//! From a query to its traces: candidates by Zipkin's tables, of which the definition chooses.
//!
//! Where few traces meet one of the conditions, those are the candidates. Otherwise all traces of the window are, newest
//! first, until the answer is decided; where that takes long, only those of them that are known to meet the conditions.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use scylla::value::CqlTimestamp;
use storage::{BestTraces, Completeness, Found, TraceQuery};

use crate::CassandraStore;
use crate::error::Failure;
use crate::index::{ANY, Days, Lookup, Window, in_millis};
use crate::link::{Link, read};
use crate::rows::{Key, MOMENT_MAX_MS, fit, term};
use crate::walk::Walk;

/// Rows of a condition that are few, and as many traces that are looked at before more is known of them.
const RARE_MAX: usize = 2_000;
/// Traces that a search looks at, and rows of a condition that it reads; beyond it an answer is partial.
const CANDIDATES_MAX: usize = 100_000;
/// Traces that are read at one time.
const TRACES_A_READ: usize = 64;
/// By how much spans that meet a condition may begin before and after a window that has others of their trace, milliseconds.
const BEFORE_MS: u64 = 60_000;
const AFTER_MS: u64 = 3_600_000;
/// How long an index of all spans may take to tell whether it finds few.
const INDEX_TIMEOUT: Duration = Duration::from_secs(2);

const BY_ANNOTATION: &str = "SELECT trace_id FROM span WHERE annotation_query LIKE ? AND ts_uuid >= minTimeuuid(?) \
     AND ts_uuid <= maxTimeuuid(?) LIMIT ? ALLOW FILTERING";
const BY_ANNOTATION_OF: &str = "SELECT trace_id FROM span WHERE annotation_query LIKE ? AND l_service = ? \
     AND ts_uuid >= minTimeuuid(?) AND ts_uuid <= maxTimeuuid(?) LIMIT ? ALLOW FILTERING";

impl CassandraStore {
    /// See [`storage::SpanSource::search`].
    pub(crate) async fn find(&self, link: &Link, query: &TraceQuery) -> Result<Found, Failure> {
        let window = in_millis(query.window());
        let wide = (
            window.0.saturating_sub(BEFORE_MS),
            (window.1 + AFTER_MS).min(MOMENT_MAX_MS),
        );
        let days = self.days(link, wide).await?;
        let conditions = Conditions {
            store: self,
            link,
            query,
            days: &days,
            window: wide,
        };
        let mut search = Search {
            store: self,
            link,
            best: BestTraces::new(query, self.is_strict()),
            walk: Walk::new(self, link, &days, window),
            pending: VecDeque::new(),
            seen: HashSet::new(),
        };
        for most in [RARE_MAX, CANDIDATES_MAX] {
            let candidates = conditions.candidates(most).await?;
            if let Some(few) = candidates
                .as_ref()
                .filter(|candidates| candidates.len() <= RARE_MAX)
            {
                search.look_at_few(few).await?;
                return Ok(search.best.into_found());
            }
            if search.look_at_all(candidates.as_ref(), most).await? {
                return Ok(search.best.into_found());
            }
        }
        let mut found = search.best.into_found();
        found.completeness =
            Completeness::Partial(format!("only the newest {CANDIDATES_MAX} traces were looked at"));
        Ok(found)
    }
}

impl CassandraStore {
    /// What an index cannot tell in time, or is not there any more to tell, says nothing: the traces themselves are looked at
    /// then.
    fn index_answer<T>(&self, found: Result<Option<T>, Failure>) -> Result<Option<T>, Failure> {
        match found {
            Err(failure) if failure.is_too_much() || failure.is_of_schema() => {
                tracing::debug!(?failure, "an index of Cassandra says nothing");
                self.learn(&failure);
                Ok(None)
            }
            found => found,
        }
    }
}

/// What tables and indexes find of what a query asks for.
struct Conditions<'a> {
    store: &'a CassandraStore,
    link: &'a Link,
    query: &'a TraceQuery,
    days: &'a Days,
    window: Window,
}

impl Conditions<'_> {
    /// The traces of the window that may match; `None` where no condition is met by so few.
    async fn candidates(&self, most: usize) -> Result<Option<HashSet<Key>>, Failure> {
        let mut candidates: Option<HashSet<Key>> = None;
        for lookup in self.lookups() {
            let found = self
                .store
                .traces_with(self.link, &lookup, self.days, self.window, most);
            narrow(&mut candidates, self.store.index_answer(found.await)?);
        }
        if candidates
            .as_ref()
            .is_some_and(|candidates| candidates.len() <= RARE_MAX)
        {
            return Ok(candidates);
        }
        if self.link.schema.has_annotation_index {
            for (key, value) in self.query.annotation_query().conditions() {
                if let Some(term) = term(key, value) {
                    let found = self.store.index_answer(self.annotated(&term, most).await)?;
                    narrow(&mut candidates, found);
                }
            }
        }
        Ok(candidates)
    }

    /// What the tables of services are asked.
    fn lookups(&self) -> Vec<Lookup<'_>> {
        let Some(service) = self.query.service_name().map(fit) else {
            return Vec::new();
        };
        let name = self.query.span_name().map(fit).unwrap_or_default();
        let mut lookups = vec![Lookup::Span(service, name, ANY)];
        if let Some(min) = self.query.min_duration() {
            let max = self.query.max_duration().unwrap_or(i64::MAX as u64);
            let millis = ((min / 1000) as i64, (max / 1000) as i64);
            // By any of its spans: another than the one of that name may be it.
            lookups.push(Lookup::Span(service, "", millis));
        }
        if let Some(remote) = self
            .query
            .remote_service_name()
            .filter(|_| self.link.schema.has_remote_services)
        {
            lookups.push(Lookup::Remote(service, fit(remote)));
        }
        lookups
    }

    /// The traces with an annotation or a tag; `None` where there are more rows than some.
    async fn annotated(&self, term: &str, rows_max: usize) -> Result<Option<HashSet<Key>>, Failure> {
        let from = CqlTimestamp(self.window.0 as i64);
        let to = CqlTimestamp(self.window.1 as i64);
        let limit = i32::try_from(rows_max).unwrap_or(i32::MAX);
        let statement = |text| {
            let mut statement = read(text);
            statement.set_request_timeout(Some(INDEX_TIMEOUT));
            statement
        };
        let rows: Vec<(String,)> = match self.query.service_name().filter(|name| term_fits(name)) {
            Some(service) => {
                let values = (term, service, from, to, limit);
                self.link.rows_of(statement(BY_ANNOTATION_OF), values).await?
            }
            None => {
                self.link
                    .rows_of(statement(BY_ANNOTATION), (term, from, to, limit))
                    .await?
            }
        };
        if rows.len() >= rows_max {
            return Ok(None);
        }
        Ok(Some(
            rows.iter().filter_map(|row| self.store.key_of(&row.0)).collect(),
        ))
    }
}

fn term_fits(service_name: &str) -> bool {
    term(service_name, "").is_some()
}

/// Those of candidates that were found as well.
fn narrow(candidates: &mut Option<HashSet<Key>>, found: Option<HashSet<Key>>) {
    let Some(found) = found else { return };
    match candidates {
        Some(candidates) => candidates.retain(|key| found.contains(key)),
        None => *candidates = Some(found),
    }
}

struct Search<'a> {
    store: &'a CassandraStore,
    link: &'a Link,
    best: BestTraces<'a>,
    walk: Walk<'a>,
    /// Of the last stretch, newest first.
    pending: VecDeque<(Key, u64)>,
    /// Those that were looked at.
    seen: HashSet<Key>,
}

impl Search<'_> {
    async fn look_at_few(&mut self, candidates: &HashSet<Key>) -> Result<(), Failure> {
        let new: Vec<Key> = candidates
            .iter()
            .copied()
            .filter(|key| self.seen.insert(*key))
            .collect();
        for keys in new.chunks(TRACES_A_READ) {
            self.consider(keys).await?;
        }
        Ok(())
    }

    /// Looks at the traces of the window that are among some; false where it has looked at that many and the answer is not
    /// decided.
    async fn look_at_all(&mut self, among: Option<&HashSet<Key>>, most: usize) -> Result<bool, Failure> {
        let mut keys = Vec::with_capacity(TRACES_A_READ);
        loop {
            while keys.len() < TRACES_A_READ
                && let Some((key, millis)) = self.pending.pop_front()
            {
                if keys.is_empty() && self.best.is_decided(end_of(millis)) {
                    return Ok(true);
                }
                if among.is_none_or(|among| among.contains(&key)) && self.seen.insert(key) {
                    keys.push(key);
                }
            }
            if !keys.is_empty() {
                self.consider(&keys).await?;
                keys.clear();
            }
            if self.seen.len() >= most {
                return Ok(false);
            }
            if self.pending.is_empty() {
                match self.walk.next().await? {
                    Some(stretch) if self.best.is_decided(end_of(stretch.end)) => return Ok(true),
                    Some(stretch) => self.pending = stretch.traces.into(),
                    None => return Ok(true),
                }
            }
        }
    }

    async fn consider(&mut self, keys: &[Key]) -> Result<(), Failure> {
        let traces = self.store.load(self.link, keys).await?;
        traces
            .into_values()
            .for_each(|trace| self.best.consider(Arc::new(trace)));
        Ok(())
    }
}

/// The last microsecond of a millisecond.
const fn end_of(millis: u64) -> u64 {
    millis * 1000 + 999
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_meet_all_that_is_known() {
        let set = |keys: &[u64]| keys.iter().map(|&low| (low, 0)).collect::<HashSet<Key>>();
        let mut candidates = None;
        narrow(&mut candidates, None);
        assert_eq!(candidates, None);
        narrow(&mut candidates, Some(set(&[1, 2, 3])));
        narrow(&mut candidates, None);
        narrow(&mut candidates, Some(set(&[2, 3, 4])));
        assert_eq!(candidates, Some(set(&[2, 3])));
    }
}
