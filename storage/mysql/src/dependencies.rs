//! Links between services: counted from the traces of a window, but for days that Zipkin's job has counted already.
//!
//! Rows of `zipkin_dependencies` stand for whole days (UTC). Those of days that lie wholly in the window are taken as
//! they are: who has the job run often deletes old spans. Traces that began on such a day are not counted again.

use model::DependencyLinker;
use sqlx::{AssertSqlSafe, Row};
use storage::{Completeness, Dependencies, DependencyQuery};

use crate::MySqlStore;
use crate::schema::Schema;

/// Microseconds.
const DAY: u64 = 86_400_000_000;

/// A day's link as the job wrote it; days since the epoch.
type DailyLink = (u64, String, String, i64, i64);

impl MySqlStore {
    /// See [`storage::SpanSource::dependencies`].
    pub(crate) async fn link(&self, query: DependencyQuery, schema: &Schema) -> sqlx::Result<Dependencies> {
        let window = query.window();
        let daily = self.daily_links(window, schema).await?;
        let mut counted_days: Vec<u64> = daily.iter().map(|link| link.0).collect();
        counted_days.sort_unstable();
        counted_days.dedup();
        let mut linker = DependencyLinker::new();
        for stretch in between(&counted_days, window) {
            self.for_each_trace(stretch, schema, |spans| {
                let timestamp = model::trace_timestamp(spans);
                if timestamp.is_some_and(|timestamp| (stretch.0..=stretch.1).contains(&timestamp)) {
                    linker.put_trace(spans);
                }
            })
            .await?;
        }
        let mut counts = linker.into_counts();
        for (_, parent, child, calls, errors) in &daily {
            counts.add(parent, child, *calls, *errors);
        }
        Ok(Dependencies {
            links: counts.links(),
            completeness: Completeness::Complete,
        })
    }

    /// What the job counted on days that lie wholly in a window.
    async fn daily_links(&self, (start, end): (u64, u64), schema: &Schema) -> sqlx::Result<Vec<DailyLink>> {
        let (first, beyond) = (start.div_ceil(DAY), end.saturating_add(1) / DAY);
        if !schema.has_dependencies || first >= beyond {
            return Ok(Vec::new());
        }
        let errors = match schema.has_error_count {
            true => "COALESCE(error_count, 0)",
            false => "0",
        };
        let sql = format!(
            "SELECT CAST(TO_DAYS(day) - TO_DAYS('1970-01-01') AS UNSIGNED), parent, child, \
             CAST(COALESCE(call_count, 0) AS SIGNED), CAST({errors} AS SIGNED) FROM zipkin_dependencies \
             WHERE TO_DAYS(day) - TO_DAYS('1970-01-01') >= ? AND TO_DAYS(day) - TO_DAYS('1970-01-01') < ?"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(first as i64)
            .bind(beyond as i64)
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.try_get(0)?,
                    row.try_get(1)?,
                    row.try_get(2)?,
                    row.try_get(3)?,
                    row.try_get(4)?,
                ))
            })
            .collect()
    }
}

/// What is left of a window without some days, ascending: stretches of microseconds, both ends included.
fn between(days: &[u64], (start, end): (u64, u64)) -> Vec<(u64, u64)> {
    let mut stretches = Vec::new();
    let mut from = start;
    for day in days {
        let (begin, next) = (day * DAY, (day + 1) * DAY);
        if from < begin {
            stretches.push((from, begin - 1));
        }
        from = next;
    }
    if from <= end {
        stretches.push((from, end));
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_were_counted_are_cut_out_of_the_window() {
        let window = (DAY / 2, 5 * DAY);
        assert_eq!(between(&[], window), [window]);
        assert_eq!(
            between(&[1, 3], window),
            [(DAY / 2, DAY - 1), (2 * DAY, 3 * DAY - 1), (4 * DAY, 5 * DAY)]
        );
        assert_eq!(between(&[0], (0, DAY - 1)), []);
    }
}
