//! Links between services of days that Zipkin's job has counted already: rows of `zipkin_dependencies`.

use sqlx::{AssertSqlSafe, Row};
use storage::{DailyLink, whole_days};

use crate::MySqlStore;
use crate::in_time::InTime;
use crate::schema::Schema;

impl MySqlStore {
    /// What the job counted on days that lie wholly in a window.
    pub(crate) async fn daily_links(
        &self,
        window: (u64, u64),
        schema: &Schema,
    ) -> sqlx::Result<Vec<DailyLink>> {
        let days = whole_days(window);
        if !schema.has_dependencies || days.is_empty() {
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
            .bind(days.start as i64)
            .bind(days.end as i64)
            .fetch_all(self.pool())
            .in_time()
            .await?;
        rows.iter()
            .map(|row| {
                Ok(DailyLink {
                    day: row.try_get(0)?,
                    parent: row.try_get(1)?,
                    child: row.try_get(2)?,
                    calls: row.try_get(3)?,
                    errors: row.try_get(4)?,
                })
            })
            .collect()
    }
}
