//! A window in pieces of some thousand documents, newest first: whoever looks at all traces of it holds few at a time,
//! and whoever looks for the newest is soon done.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::Result;

use crate::ElasticsearchStore;
use crate::indexes::{Contents, DAY};
use crate::read::{LENIENT, WHOLE};

/// Documents of a piece, unless they have the same timestamp.
const SLICE_DOCUMENTS: u64 = 20_000;
/// Into how many parts a window is cut at a time.
const PARTS: u64 = 200;

#[derive(Deserialize)]
struct Answer {
    aggregations: Option<Aggregations>,
}

#[derive(Deserialize)]
struct Aggregations {
    first: Extreme,
    last: Extreme,
    parts: Parts,
}

#[derive(Deserialize)]
struct Extreme {
    value: Option<f64>,
}

#[derive(Deserialize)]
struct Parts {
    buckets: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    /// Its first microsecond.
    key: f64,
    doc_count: u64,
}

/// What is left of a window. Microseconds since the epoch, inclusive.
#[derive(Debug)]
pub(crate) struct Slices {
    /// The newest last; each with whether it is known to be small.
    left: Vec<((u64, u64), bool)>,
}

impl Slices {
    pub(crate) fn of(window: (u64, u64)) -> Self {
        let (start, end) = (window.0, clamp(window.1));
        let is_empty = start > end;
        Self {
            left: if is_empty {
                Vec::new()
            } else {
                vec![((start, end), false)]
            },
        }
    }

    /// The next piece that may have documents.
    pub(crate) async fn next(&mut self, store: &ElasticsearchStore) -> Result<Option<(u64, u64)>> {
        while let Some((window, is_small)) = self.left.pop() {
            if is_small || window.0 == window.1 {
                return Ok(Some(window));
            }
            let Some((full, parts)) = store.parts(window).await? else {
                continue;
            };
            let all: u64 = parts.iter().map(|part| part.1).sum();
            if all <= SLICE_DOCUMENTS {
                return Ok(Some(full));
            }
            // Where most of the window is empty, its parts say little.
            if (full.1 - full.0) < (window.1 - window.0) / 4 {
                self.left.push((full, false));
            } else {
                self.push(full, &parts);
            }
        }
        Ok(None)
    }

    /// Cuts a window where its parts begin; small ones that follow each other stay together.
    fn push(&mut self, (start, end): (u64, u64), parts: &[(u64, u64)]) {
        let mut from = start;
        let mut documents = 0;
        for &(begin, count) in parts {
            let begin = begin.clamp(from, end);
            if documents > 0 && documents + count > SLICE_DOCUMENTS && begin > from {
                self.left.push(((from, begin - 1), documents <= SLICE_DOCUMENTS));
                (from, documents) = (begin, 0);
            }
            documents += count;
        }
        self.left.push(((from, end), documents <= SLICE_DOCUMENTS));
    }
}

/// What finds the spans of a window.
pub(crate) fn within((start, end): (u64, u64)) -> Value {
    json!({ "range": { "timestamp": { "gte": clamp(start), "lte": clamp(end) } } })
}

/// Numbers of indexes have a sign.
fn clamp(micros: u64) -> u64 {
    micros.min(i64::MAX as u64)
}

impl ElasticsearchStore {
    /// The indexes that spans of a window are in.
    pub(crate) fn indexes_of(&self, (start, end): (u64, u64)) -> String {
        self.names.of_days(Contents::Spans, start / DAY..=end / DAY)
    }

    /// What of a window has documents, the begins of its parts, ascending, and how many documents those have; `None`
    /// without any.
    async fn parts(&self, window: (u64, u64)) -> Result<Option<Filled>> {
        let interval = ((window.1 - window.0) / PARTS).max(1);
        let parts = json!({
            "histogram": {
                "field": "timestamp",
                "interval": interval,
                // The first part begins with the window.
                "offset": window.0 % interval,
                "min_doc_count": 1,
            },
        });
        let extreme = |which: &str| json!({ which: { "field": "timestamp" } });
        let body = json!({
            "size": 0,
            "track_total_hits": false,
            "query": within(window),
            "aggs": { "first": extreme("min"), "last": extreme("max"), "parts": parts },
        });
        let path = format!("/{}/_search?{LENIENT}&{WHOLE}", self.indexes_of(window));
        let answer: Answer = self.client.ask(Method::POST, &path, Some(&body)).await?;
        let Some(Aggregations { first, last, parts }) = answer.aggregations else {
            return Ok(None);
        };
        let (Some(first), Some(last)) = (first.value, last.value) else {
            return Ok(None);
        };
        let full = (micros(first, -1).max(window.0), micros(last, 1).min(window.1));
        let parts = parts
            .buckets
            .iter()
            .map(|part| (micros(part.key, 0), part.doc_count));
        Ok(Some((full, parts.collect())))
    }
}

/// What of a window has documents; the begins of its parts, and how many documents they have.
type Filled = ((u64, u64), Vec<(u64, u64)>);

/// A timestamp that was told as a float: beyond the year 2255 it may be off, `towards` before or after.
fn micros(told: f64, towards: i64) -> u64 {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    const OFF_MAX: i64 = 2_048;
    let off = if told < EXACT_MAX { 0 } else { towards * OFF_MAX };
    (told.max(0.0) as u64).saturating_add_signed(off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_stay_together_and_nothing_is_left_out() {
        let mut slices = Slices { left: Vec::new() };
        let parts = [(10, 15_000), (20, 5_000), (30, 1), (40, 90_000), (50, 2)];
        slices.push((12, 59), &parts);
        assert_eq!(
            slices.left,
            [
                ((12, 29), true),
                ((30, 39), true),
                ((40, 49), false),
                ((50, 59), true)
            ]
        );
        let mut slices = Slices { left: Vec::new() };
        slices.push((5, 6), &[(5, 30_000), (6, 30_000)]);
        assert_eq!(slices.left, [((5, 5), false), ((6, 6), false)]);
    }
}
