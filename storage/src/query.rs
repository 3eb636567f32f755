//! A search, parsed once and always valid, and the rule that decides whether a trace matches it.
//!
//! `zipkin.md` 5.1 and 5.2 are the rule, and `text.rs` for what is not Zipkin's; backends may find candidates as they like, but
//! [`TraceQuery::matches`] decides.

use std::fmt;

use model::Span;

use crate::TracePosition;
use crate::text::{TextError, TextQuery};

/// Which traces come first, and so which stay when there are more than `limit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By the newest span timestamp in the window, as Zipkin.
    #[default]
    Newest,
    /// By duration: the end of the last span minus the begin of the first. Ties: newest.
    Slowest,
    /// By the number of spans with the tag key `error`. Ties: newest. Traces without one come last.
    Errors,
}

/// What a search asks for. Built by [`TraceQuery::builder`]; its fields are valid together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceQuery {
    service_name: Option<String>,
    remote_service_name: Option<String>,
    span_name: Option<String>,
    annotation_query: AnnotationQuery,
    text: TextQuery,
    min_duration: Option<u64>,
    max_duration: Option<u64>,
    end_ts: u64,
    lookback: u64,
    limit: usize,
    order: Order,
    after: Option<TracePosition>,
}

/// The raw parts of a search, as they come.
#[derive(Clone, Debug, Default)]
pub struct TraceQueryBuilder {
    /// Any case; empty means any.
    pub service_name: Option<String>,
    /// Any case; empty means any.
    pub remote_service_name: Option<String>,
    /// Any case; empty or `all` means any.
    pub span_name: Option<String>,
    /// Zipkin's grammar (`zipkin.md` 5.2).
    pub annotation_query: Option<String>,
    /// Text to look for, in the grammar of [`TextQuery::parse`].
    pub text: Option<String>,
    /// Microseconds.
    pub min_duration: Option<i64>,
    /// Microseconds; only with a minimum.
    pub max_duration: Option<i64>,
    /// Epoch milliseconds.
    pub end_ts: i64,
    /// Milliseconds.
    pub lookback: i64,
    /// The most traces to answer.
    pub limit: i64,
    /// Which come first.
    pub order: Order,
    /// Only traces that come later than this in that order.
    pub after: Option<TracePosition>,
}

/// What is wrong with a search. `Display` is Zipkin's wording (`zipkin.md` 2.3), and ours for what is not Zipkin's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// Zero or less; the parameter's name.
    NotPositive(&'static str),
    /// The maximum is below the minimum.
    MaxBelowMin,
    /// A maximum alone.
    MaxWithoutMin,
    /// The text to look for.
    Text(TextError),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPositive(name) => write!(f, "{name} <= 0"),
            Self::MaxBelowMin => f.write_str("maxDuration < minDuration"),
            Self::MaxWithoutMin => f.write_str("maxDuration is only valid with minDuration"),
            Self::Text(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for QueryError {}

/// The conditions of an `annotationQuery`, all of which must be met: key to value, where an empty value means
/// "a tag key or an annotation value".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnotationQuery {
    conditions: Vec<(String, String)>,
}

impl AnnotationQuery {
    /// Reads Zipkin's grammar: conditions joined by the literal ` and ` (at most 100 parts), each split at its
    /// first `=`, both sides trimmed of blanks and control characters. A later equal key wins, but a bare key
    /// never overrides `key=value`. A part without a key says nothing, even if it has a value.
    pub fn parse(text: &str) -> Self {
        let mut conditions: Vec<(String, String)> = Vec::new();
        for part in text.splitn(100, " and ") {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let (key, value) = (trim(key), trim(value));
            if key.is_empty() {
                continue;
            }
            match conditions.iter_mut().find(|known| known.0 == key) {
                Some(known) if part.contains('=') => value.clone_into(&mut known.1),
                Some(_) => {}
                None => conditions.push((key.to_owned(), value.to_owned())),
            }
        }
        Self { conditions }
    }

    /// Key and value; an empty value means "a tag key or an annotation value".
    pub fn conditions(&self) -> &[(String, String)] {
        &self.conditions
    }

    fn is_met(condition: &(String, String), span: &Span) -> bool {
        let (key, value) = condition;
        if value.is_empty() {
            span.tag(key).is_some() || span.annotations.iter().any(|annotation| annotation.value == *key)
        } else {
            span.tag(key) == Some(value)
        }
    }
}

/// What Java's `String.trim` takes away, and no more: a no-break space is part of a key.
fn trim(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

impl TraceQueryBuilder {
    /// Checks the parts and normalises names.
    ///
    /// # Errors
    /// [`QueryError`] in Zipkin's words and order; the text, which Zipkin does not know, comes last.
    pub fn build(self) -> Result<TraceQuery, QueryError> {
        let positive = |name, value: i64| {
            if value > 0 {
                Ok(value as u64)
            } else {
                Err(QueryError::NotPositive(name))
            }
        };
        let end_ts = positive("endTs", self.end_ts)?;
        let limit = positive("limit", self.limit)? as usize;
        let lookback = positive("lookback", self.lookback)?;
        let (min_duration, max_duration) = match (self.min_duration, self.max_duration) {
            (None, None) => (None, None),
            (None, Some(_)) => return Err(QueryError::MaxWithoutMin),
            (Some(min), max) => {
                let min = positive("minDuration", min)?;
                if max.is_some_and(|max| max < min as i64) {
                    return Err(QueryError::MaxBelowMin);
                }
                (Some(min), max.map(|max| max as u64))
            }
        };
        let text = TextQuery::parse(self.text.as_deref().unwrap_or_default()).map_err(QueryError::Text)?;
        Ok(TraceQuery {
            service_name: lower_case(self.service_name),
            remote_service_name: lower_case(self.remote_service_name),
            span_name: lower_case(self.span_name).filter(|name| name != "all"),
            annotation_query: self
                .annotation_query
                .as_deref()
                .map(AnnotationQuery::parse)
                .unwrap_or_default(),
            text,
            min_duration,
            max_duration,
            end_ts,
            lookback,
            limit,
            order: self.order,
            after: self.after,
        })
    }
}

fn lower_case(name: Option<String>) -> Option<String> {
    name.filter(|name| !name.is_empty())
        .map(|name| name.to_lowercase())
}

impl TraceQuery {
    /// Starts from nothing: every field must be given but conditions.
    pub fn builder() -> TraceQueryBuilder {
        TraceQueryBuilder::default()
    }

    /// Only spans local to this service may meet the other conditions.
    pub fn service_name(&self) -> Option<&str> {
        self.service_name.as_deref()
    }

    /// The other side of such a span.
    pub fn remote_service_name(&self) -> Option<&str> {
        self.remote_service_name.as_deref()
    }

    /// The name of such a span.
    pub fn span_name(&self) -> Option<&str> {
        self.span_name.as_deref()
    }

    /// What such spans bear.
    pub fn annotation_query(&self) -> &AnnotationQuery {
        &self.annotation_query
    }

    /// What is looked for in the texts of such spans.
    pub fn text(&self) -> &TextQuery {
        &self.text
    }

    /// The least duration of such a span, microseconds.
    pub fn min_duration(&self) -> Option<u64> {
        self.min_duration
    }

    /// The greatest duration of such a span, microseconds; only with a minimum.
    pub fn max_duration(&self) -> Option<u64> {
        self.max_duration
    }

    /// The window, inclusive, in microseconds since the epoch.
    pub fn window(&self) -> (u64, u64) {
        window_micros(self.end_ts, self.lookback)
    }

    /// The most traces to answer; at least 1.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Which come first.
    pub fn order(&self) -> Order {
        self.order
    }

    /// What the page before ended with, if this is not the first.
    pub fn after(&self) -> Option<TracePosition> {
        self.after
    }

    /// Where a matching trace stands in this query's order: greater comes first. The second part, the newest
    /// span timestamp in the window in microseconds, decides ties.
    pub fn rank(&self, trace: &[Span]) -> (u64, u64) {
        let (start, end) = self.window();
        let timestamps = || trace.iter().filter_map(|span| span.timestamp);
        let newest = timestamps()
            .filter(|timestamp| (start..=end).contains(timestamp))
            .max()
            .unwrap_or(0);
        let first = match self.order {
            Order::Newest => newest,
            Order::Slowest => {
                let ends = trace
                    .iter()
                    .filter_map(|span| Some(span.timestamp? + span.duration.unwrap_or(0)));
                ends.max().unwrap_or(0) - timestamps().min().unwrap_or(0)
            }
            Order::Errors => trace.iter().filter(|span| span.is_error()).count() as u64,
        };
        (first, newest)
    }

    /// Where a trace stands among those of this query. A store answers in this order, greater first.
    ///
    /// # Panics
    /// If there are no spans.
    pub fn position(&self, trace: &[Span]) -> TracePosition {
        let trace_id = trace.iter().map(|span| span.trace_id).max();
        TracePosition {
            rank: self.rank(trace),
            trace_id: trace_id.expect("a trace has spans"),
        }
    }

    /// The same question with room for one trace more: whether there is another page.
    pub fn and_one_more(&self) -> Self {
        Self {
            limit: self.limit.saturating_add(1),
            ..self.clone()
        }
    }

    /// The definition of a match (`zipkin.md` 5.1), and that the trace is not of an earlier page.
    pub fn matches(&self, trace: &[Span]) -> bool {
        self.meets_conditions(trace) && self.after.is_none_or(|after| self.position(trace) < after)
    }

    fn meets_conditions(&self, trace: &[Span]) -> bool {
        let (start, end) = self.window();
        match model::trace_timestamp(trace) {
            Some(timestamp) if (start..=end).contains(&timestamp) => {}
            _ => return false,
        }
        let candidates = || trace.iter().filter(|span| self.is_of_service(span));
        if self.service_name.is_some() && candidates().next().is_none() {
            return false;
        }
        let met = |condition: &dyn Fn(&Span) -> bool| candidates().any(condition);
        self.remote_service_name
            .as_deref()
            .is_none_or(|name| met(&|span| span.remote_service_name() == Some(name)))
            && self
                .span_name
                .as_deref()
                .is_none_or(|name| met(&|span| span.name.as_deref() == Some(name)))
            && self
                .annotation_query
                .conditions
                .iter()
                .all(|condition| met(&|span| AnnotationQuery::is_met(condition, span)))
            && self
                .text
                .parts()
                .iter()
                .all(|part| met(&|span| part.is_met(span)))
            && self.min_duration.is_none_or(|min| {
                let max = self.max_duration.unwrap_or(u64::MAX);
                met(&|span| {
                    span.duration
                        .is_some_and(|duration| (min..=max).contains(&duration))
                })
            })
    }

    /// Whether a span of a matching trace is one of those that the text was found on: it meets a condition of
    /// [`TraceQuery::text`], and may do so.
    pub fn has_text(&self, span: &Span) -> bool {
        self.is_of_service(span) && self.text.parts().iter().any(|part| part.is_met(span))
    }

    /// Whether a span may meet conditions.
    fn is_of_service(&self, span: &Span) -> bool {
        self.service_name.is_none() || span.local_service_name() == self.service_name.as_deref()
    }
}

/// Which traces' links are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DependencyQuery {
    end_ts: u64,
    lookback: u64,
}

impl DependencyQuery {
    /// Both in milliseconds, `end_ts` since the epoch.
    ///
    /// # Errors
    /// [`QueryError::NotPositive`] where one is zero or less.
    pub fn new(end_ts: i64, lookback: i64) -> Result<Self, QueryError> {
        if end_ts <= 0 {
            return Err(QueryError::NotPositive("endTs"));
        }
        if lookback <= 0 {
            return Err(QueryError::NotPositive("lookback"));
        }
        Ok(Self {
            end_ts: end_ts as u64,
            lookback: lookback as u64,
        })
    }

    /// The search for the newest traces of the window, whatever they are.
    pub fn newest(self, limit: usize) -> TraceQuery {
        TraceQuery {
            service_name: None,
            remote_service_name: None,
            span_name: None,
            annotation_query: AnnotationQuery::default(),
            text: TextQuery::default(),
            min_duration: None,
            max_duration: None,
            end_ts: self.end_ts,
            lookback: self.lookback,
            limit,
            order: Order::Newest,
            after: None,
        }
    }

    /// The window, inclusive, in microseconds since the epoch.
    pub fn window(self) -> (u64, u64) {
        window_micros(self.end_ts, self.lookback)
    }
}

fn window_micros(end_ts: u64, lookback: u64) -> (u64, u64) {
    (
        end_ts.saturating_sub(lookback).saturating_mul(1000),
        end_ts.saturating_mul(1000),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(text: &str) -> Vec<(String, String)> {
        AnnotationQuery::parse(text).conditions
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn reads_the_annotation_query_grammar() {
        assert_eq!(
            conditions("error and a=b=c and x=").as_slice(),
            [pair("error", ""), pair("a", "b=c"), pair("x", "")]
        );
        assert_eq!(conditions(" a = b  and  c "), [pair("a", "b"), pair("c", "")]);
        assert_eq!(conditions("a=1 and a=2"), [pair("a", "2")]);
        assert_eq!(conditions("a=1 and a"), [pair("a", "1")]);
        assert_eq!(conditions("a AND b"), [pair("a AND b", "")]);
    }

    #[test]
    fn a_part_without_a_key_is_no_condition() {
        assert_eq!(conditions(""), []);
        assert_eq!(conditions(" and "), []);
        assert_eq!(conditions("=v and  = and a"), [pair("a", "")]);
    }

    #[test]
    fn trims_what_java_trims() {
        assert_eq!(conditions("\ta\0=\u{1}b\r\n"), [pair("a", "b")]);
        assert_eq!(conditions("\u{a0}a"), [pair("\u{a0}a", "")]);
    }

    #[test]
    fn the_hundredth_part_takes_the_rest() {
        let parts: Vec<_> = (1..=101).map(|number| format!("k{number}")).collect();
        let conditions = conditions(&parts.join(" and "));
        assert_eq!(conditions.len(), 100);
        assert_eq!(conditions[99], pair("k100 and k101", ""));
    }

    fn builder() -> TraceQueryBuilder {
        TraceQueryBuilder {
            end_ts: 1,
            lookback: 1,
            limit: 1,
            ..TraceQuery::builder()
        }
    }

    #[test]
    fn refuses_in_zipkins_words() {
        let error = |builder: TraceQueryBuilder| builder.build().unwrap_err().to_string();
        assert_eq!(
            error(TraceQueryBuilder {
                end_ts: 0,
                ..builder()
            }),
            "endTs <= 0"
        );
        assert_eq!(
            error(TraceQueryBuilder {
                lookback: -1,
                ..builder()
            }),
            "lookback <= 0"
        );
        assert_eq!(
            error(TraceQueryBuilder {
                limit: 0,
                ..builder()
            }),
            "limit <= 0"
        );
        assert_eq!(
            error(TraceQueryBuilder {
                min_duration: Some(0),
                ..builder()
            }),
            "minDuration <= 0"
        );
        let below = TraceQueryBuilder {
            min_duration: Some(2),
            max_duration: Some(1),
            ..builder()
        };
        assert_eq!(error(below), "maxDuration < minDuration");
        let alone = TraceQueryBuilder {
            max_duration: Some(1),
            ..builder()
        };
        assert_eq!(error(alone), "maxDuration is only valid with minDuration");
        assert_eq!(DependencyQuery::new(0, 1).unwrap_err().to_string(), "endTs <= 0");
    }

    #[test]
    fn the_first_mistake_is_the_one_zipkin_names() {
        let error = |builder: TraceQueryBuilder| builder.build().unwrap_err().to_string();
        let all = TraceQueryBuilder {
            max_duration: Some(1),
            ..TraceQuery::builder()
        };
        assert_eq!(error(all.clone()), "endTs <= 0");
        assert_eq!(
            error(TraceQueryBuilder {
                end_ts: 1,
                ..all.clone()
            }),
            "limit <= 0"
        );
        assert_eq!(
            error(TraceQueryBuilder {
                end_ts: 1,
                limit: 1,
                ..all
            }),
            "lookback <= 0"
        );
    }

    #[test]
    fn names_are_lower_cased_and_all_means_any() {
        let query = TraceQueryBuilder {
            service_name: Some("Web".into()),
            span_name: Some("ALL".into()),
            remote_service_name: Some(String::new()),
            ..builder()
        };
        let query = query.build().unwrap();
        assert_eq!(
            (
                query.service_name(),
                query.span_name(),
                query.remote_service_name()
            ),
            (Some("web"), None, None)
        );
    }
}
