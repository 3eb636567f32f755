//! Questions that a trace answers: if a search by one does not find it, an index does not agree with the spans.

use model::Span;
use storage::text::words;
use storage::{TraceQuery, TraceQueryBuilder};

/// Characters that a question by the begin of a word has of it.
const PREFIX_CHARACTERS: usize = 3;

/// Questions with what they ask by, in the window of the trace's own milliseconds; none for a trace without a time.
/// Of its texts one is asked for, another for another `turn`.
pub(super) fn questions(spans: &[Span], turn: usize) -> Vec<(&'static str, TraceQuery)> {
    let mut questions: Vec<(&'static str, TraceQueryBuilder)> = Vec::new();
    if let Some(builder) = by_conditions(spans) {
        questions.push(("service, name and tag of its first span", builder));
    }
    let text = |text: String| TraceQueryBuilder {
        text: Some(text),
        ..TraceQuery::builder()
    };
    let (word, next) = words_of(spans, turn);
    if let Some(word) = word {
        let prefix: String = word.chars().take(PREFIX_CHARACTERS).collect();
        questions.push(("a word of its texts", text(word.to_owned())));
        questions.push(("the begin of a word of its texts", text(format!("{prefix}*"))));
        if let Some(next) = next {
            questions.push(("a phrase of its texts", text(format!("\"{word} {next}\""))));
        }
    }
    let questions = questions.into_iter().filter_map(|(what, builder)| {
        let query = in_window_of(spans, builder)?;
        query.matches(spans).then_some((what, query))
    });
    questions.collect()
}

/// Two words that follow each other in one of the texts, or one.
fn words_of(spans: &[Span], turn: usize) -> (Option<&str>, Option<&str>) {
    let texts: Vec<&str> = spans
        .iter()
        .flat_map(|span| {
            let values = span.tags.iter().map(|(_, value)| value.as_str());
            let annotations = span
                .annotations
                .iter()
                .map(|annotation| annotation.value.as_str());
            span.name.as_deref().into_iter().chain(values).chain(annotations)
        })
        .filter(|text| words(text).next().is_some())
        .collect();
    let Some(text) = turn.checked_rem(texts.len()).map(|at| texts[at]) else {
        return (None, None);
    };
    let count = words(text).count();
    let mut chosen = words(text).skip(turn / texts.len() % count);
    (chosen.next(), chosen.next())
}

fn by_conditions(spans: &[Span]) -> Option<TraceQueryBuilder> {
    let span = spans
        .iter()
        .find(|span| span.timestamp.is_some() && span.local_service_name().is_some())?;
    let is_plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte))
    };
    let tag = span
        .tags
        .iter()
        .rev()
        .find(|(key, value)| is_plain(key) && is_plain(value));
    Some(TraceQueryBuilder {
        service_name: span.local_service_name().map(str::to_owned),
        span_name: span.name.clone(),
        annotation_query: tag.map(|(key, value)| format!("{key}={value}")),
        ..TraceQuery::builder()
    })
}

fn in_window_of(spans: &[Span], builder: TraceQueryBuilder) -> Option<TraceQuery> {
    let first = spans.iter().filter_map(|span| span.timestamp).min()? / 1000;
    let last = spans.iter().filter_map(|span| span.timestamp).max()? / 1000;
    let builder = TraceQueryBuilder {
        end_ts: i64::try_from(last).ok()?.checked_add(1)?,
        lookback: i64::try_from(last - first).ok()?.checked_add(2)?,
        limit: 1000,
        ..builder
    };
    builder.build().ok()
}
