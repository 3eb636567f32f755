//! Links between services of days that Zipkin's job has counted already: documents of `zipkin-dependency-…`.

use serde::Deserialize;
use serde_json::json;
use storage::{DailyLink, Result, whole_days};

use crate::ElasticsearchStore;
use crate::indexes::Contents;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    parent: String,
    child: String,
    #[serde(default)]
    call_count: i64,
    #[serde(default)]
    error_count: i64,
}

impl ElasticsearchStore {
    /// What the job counted on days that lie wholly in a window.
    pub(crate) async fn daily_links(&self, window: (u64, u64)) -> Result<Vec<DailyLink>> {
        let days = whole_days(window);
        if days.is_empty() {
            return Ok(Vec::new());
        }
        let indexes = self
            .names
            .of_days(Contents::Dependencies, days.start..=days.end - 1);
        let hits = self.documents(&indexes, &json!({ "match_all": {} })).await?;
        let mut links = Vec::with_capacity(hits.len());
        for hit in &hits {
            let Some(day) = self.names.day_of(Contents::Dependencies, &hit.index) else {
                continue;
            };
            if !days.contains(&day) {
                continue;
            }
            match serde_json::from_str::<Link>(hit.source.get()) {
                Ok(link) => links.push(DailyLink {
                    day,
                    parent: link.parent,
                    child: link.child,
                    calls: link.call_count,
                    errors: link.error_count,
                }),
                Err(error) => tracing::error!(%error, index = hit.index, "a document is no link of services"),
            }
        }
        Ok(links)
    }
}
