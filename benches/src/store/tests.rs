//! Holds what is expected of a server against the rule itself, applied to everything that was sent.

use std::collections::{BTreeMap, HashSet};

use model::{Span, TraceId};
use percent_encoding::percent_decode_str;
use storage::{TraceQuery, TraceQueryBuilder};

use super::questions::{Expected, Kind, Questions};
use super::source::{SPANS_PER_REQUEST, Source};
use super::truth::{RARE_KEY, Truth};
use crate::load::Answer;
use crate::workload::{EPOCH_US, Random};

const SPANS: u64 = 30_000;

/// Everything is within the one window.
fn sent() -> (Source, Vec<Vec<Span>>) {
    let mut source = Source::new(3, EPOCH_US, Truth::new(vec![0]).unwrap());
    let batches: Vec<Vec<Span>> = source.until(SPANS).collect();
    (source, batches)
}

fn traces(batches: &[Vec<Span>]) -> BTreeMap<TraceId, Vec<Span>> {
    let mut traces: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
    for span in batches.iter().flatten() {
        traces.entry(span.trace_id).or_default().push(span.clone());
    }
    traces
}

fn answer(body: &str) -> Answer {
    Answer {
        status: 200,
        body: body.as_bytes().to_vec(),
        retry_after: false,
        is_partial: false,
    }
}

#[test]
fn every_trace_is_sent_whole_and_no_span_twice() {
    let (source, batches) = sent();
    let spans = batches.iter().map(Vec::len).sum::<usize>() as u64;
    assert!((SPANS..SPANS + 60).contains(&spans));
    assert_eq!(source.truth.spans, spans);
    assert!(batches.iter().all(|batch| batch.len() <= SPANS_PER_REQUEST));
    assert!(batches.iter().all(|batch| {
        batch
            .iter()
            .all(|span| span.local_endpoint == batch[0].local_endpoint)
    }));
    let traces = traces(&batches);
    assert_eq!(source.truth.traces, traces.len() as u64);
    for sampled in &source.truth.sampled {
        let mut sent = traces[&sampled[0].trace_id].clone();
        let mut sampled = sampled.clone();
        sent.sort();
        sampled.sort();
        assert_eq!(sampled, sent);
    }
    let rare: Vec<&str> = batches
        .iter()
        .flatten()
        .filter_map(|span| span.tag(RARE_KEY))
        .collect();
    assert_eq!(rare.len() as u64, SPANS / 5_000);
    assert_eq!(rare.iter().collect::<HashSet<_>>().len(), rare.len());
}

#[test]
fn what_is_not_noted_comes_after_everything_and_is_new() {
    let (mut source, batches) = sent();
    let last = source.truth.end_us;
    let more: Vec<Vec<Span>> = source.beyond(2_000).collect();
    let known = traces(&batches);
    assert!(traces(&more).keys().all(|trace_id| !known.contains_key(trace_id)));
    assert!(
        traces(&more)
            .values()
            .all(|trace| model::trace_timestamp(trace).unwrap() > last)
    );
    assert_eq!(
        source.truth.spans,
        batches.iter().map(Vec::len).sum::<usize>() as u64
    );
}

/// The search that a path asks for.
fn query(path: &str) -> TraceQuery {
    let mut builder = TraceQueryBuilder::default();
    for (name, value) in path
        .split_once('?')
        .unwrap()
        .1
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
    {
        let value = percent_decode_str(value).decode_utf8().unwrap().into_owned();
        match name {
            "endTs" => builder.end_ts = value.parse().unwrap(),
            "lookback" => builder.lookback = value.parse().unwrap(),
            "limit" => builder.limit = value.parse().unwrap(),
            "serviceName" => builder.service_name = Some(value),
            "spanName" => builder.span_name = Some(value),
            "annotationQuery" => builder.annotation_query = Some(value),
            "minDuration" => builder.min_duration = Some(value.parse().unwrap()),
            "q" => builder.text = Some(value),
            other => panic!("{other}"),
        }
    }
    builder.build().unwrap()
}

#[test]
fn what_a_search_must_find_is_what_the_rule_finds_in_everything() {
    let (source, batches) = sent();
    let traces = traces(&batches);
    let mut questions = Questions {
        truth: &source.truth,
        random: Random::new(5),
    };
    let searches = [
        Kind::ServiceAndName,
        Kind::RareTag,
        Kind::CommonTagAndDuration,
        Kind::Word,
    ];
    for kind in searches {
        for question in questions.draw(kind, 8).unwrap() {
            let query = query(&question.path);
            let mut found: Vec<&Vec<Span>> = traces.values().filter(|trace| query.matches(trace)).collect();
            found.sort_by_key(|trace| std::cmp::Reverse(query.rank(trace)));
            found.truncate(query.limit());
            let mut found: Vec<(TraceId, usize)> = found
                .into_iter()
                .map(|trace| (trace[0].trace_id, trace.len()))
                .collect();
            let Expected::Traces(mut expected) = question.expected else {
                panic!("{} expects no traces", question.path)
            };
            assert!(!expected.is_empty(), "{}", question.path);
            found.sort();
            expected.sort();
            assert_eq!(expected, found, "{}", question.path);
        }
    }
}

#[test]
fn every_kind_of_question_can_be_made() {
    let (source, _) = sent();
    let mut questions = Questions {
        truth: &source.truth,
        random: Random::new(6),
    };
    for kind in Kind::ALL {
        let drawn = questions.draw(kind, 12).unwrap();
        assert_eq!(drawn.len(), 12, "{kind}");
        let paths: HashSet<&String> = drawn.iter().map(|question| &question.path).collect();
        assert!(paths.len() > 2, "{kind}: {paths:?}");
    }
}

#[test]
fn a_wrong_answer_is_told() {
    let id = TraceId::new(0, 7).unwrap();
    let traces = Expected::Traces(vec![(id, 2)]);
    let body = r#"[[{"traceId":"0000000000000007"},{"traceId":"0000000000000007"}]]"#;
    assert_eq!(id.to_string(), "0000000000000007");
    traces.check(&answer(body)).unwrap();
    assert!(traces.check(&answer("[]")).is_err());
    assert!(traces.check(&answer(&body.replacen("},{", "}],[{", 1))).is_err());
    let refused = Answer {
        status: 503,
        ..answer(body)
    };
    assert!(traces.check(&refused).is_err());
    let partial = Answer {
        is_partial: true,
        ..answer(body)
    };
    assert!(traces.check(&partial).is_err());

    let mut texts = Expected::Texts(vec!["a".to_owned(), "b".to_owned()]);
    texts.check(&answer(r#"["a","b"]"#)).unwrap();
    assert!(texts.check(&answer(r#"["a","b","c"]"#)).is_err());
    texts.allow_more();
    texts.check(&answer(r#"["a","b","c"]"#)).unwrap();
    assert!(texts.check(&answer(r#"["a","c"]"#)).is_err());

    let links = Expected::LinksWithin(5);
    let body = |calls: u64| format!(r#"[{{"parent":"a","child":"b","callCount":{calls}}}]"#);
    links.check(&answer(&body(5))).unwrap();
    assert!(links.check(&answer(&body(6))).is_err());
    assert!(links.check(&answer("[]")).is_err());
}

#[test]
fn quantiles_are_values_that_were_there() {
    let quantile = super::quantiles((1..=200).rev().map(f64::from).collect()).unwrap();
    assert_eq!(
        [quantile(0.5), quantile(0.99), quantile(1.0), quantile(0.0)],
        [100.0, 198.0, 200.0, 1.0]
    );
    assert!(super::quantiles(Vec::new()).is_none());
}
