//! Links between services of days that Zipkin's job has counted already: rows of `dependency`.

use scylla::value::CqlDate;
use storage::{DailyLink, whole_days};

use crate::CassandraStore;
use crate::error::Failure;
use crate::link::Link;

/// What days are counted from.
const EPOCH: u32 = 1 << 31;

type LinkRow = (String, String, Option<i64>, Option<i64>);

impl CassandraStore {
    /// What the job counted on days that lie wholly in a window.
    pub(crate) async fn daily_links(
        &self,
        link: &Link,
        window: (u64, u64),
    ) -> Result<Vec<DailyLink>, Failure> {
        let days = whole_days(window);
        if days.is_empty() {
            return Ok(Vec::new());
        }
        let counted: Vec<(CqlDate,)> = link.rows("SELECT DISTINCT day FROM dependency", ()).await?;
        let mut links = Vec::new();
        for (date,) in counted {
            let Some(day) = date
                .0
                .checked_sub(EPOCH)
                .map(u64::from)
                .filter(|day| days.contains(day))
            else {
                continue;
            };
            let rows = "SELECT parent, child, calls, errors FROM dependency WHERE day = ?";
            let rows: Vec<LinkRow> = link.rows(rows, (date,)).await?;
            links.extend(rows.into_iter().map(|(parent, child, calls, errors)| DailyLink {
                day,
                parent,
                child,
                calls: calls.unwrap_or_default(),
                errors: errors.unwrap_or_default(),
            }));
        }
        Ok(links)
    }
}
