//! What shapes leave to the rows is found all the same: values that vary, and spans of no shape.

use model::{Annotation, Span, SpanBatch, SpanId, TraceId};
use storage::{SpanSink, SpanSource, StoreOptions, TraceQueryBuilder};
use storage_segment::SegmentStore;

mod support;

const NOW: u64 = 1_600_000_000_000;

/// A trace of one span in which everything but the service has a value of its own.
fn span(number: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, number + 1).expect("not zero"),
        parent_id: None,
        id: SpanId::new(1),
        kind: None,
        name: Some(format!("name-{number}")),
        timestamp: Some(NOW * 1000 - number),
        duration: Some(number + 1),
        local_endpoint: Some(model::Endpoint {
            service_name: Some("web".into()),
            ..Default::default()
        }),
        remote_endpoint: Some(model::Endpoint {
            service_name: Some(format!("remote-{number}")),
            ..Default::default()
        }),
        annotations: vec![Annotation {
            timestamp: NOW * 1000,
            value: format!("note-{number}"),
        }],
        tags: vec![
            (format!("key-{number}"), format!("value-{number}")),
            ("user".into(), format!("user-{number}")),
        ],
        debug: false,
        shared: false,
    }
}

/// Only the values of a tag and an annotation differ: one family, both slots varying.
fn alike(number: u64) -> Span {
    let one = span(0);
    Span {
        annotations: vec![Annotation {
            timestamp: NOW * 1000,
            value: format!("note-{number}"),
        }],
        tags: vec![("user".into(), format!("user-{number}"))],
        trace_id: TraceId::new(0, number + 1).expect("not zero"),
        ..one
    }
}

async fn finds(store: &SegmentStore, query: TraceQueryBuilder, number: u64) {
    for service_name in [None, Some("web".to_owned())] {
        let query = TraceQueryBuilder {
            service_name,
            end_ts: NOW as i64,
            lookback: 60_000,
            limit: 10,
            ..query.clone()
        };
        let query = query.build().expect("a valid query");
        let found = store.search(&query).await.expect("a search").traces;
        let low: Vec<u64> = found.iter().map(|trace| trace[0].trace_id.low()).collect();
        assert_eq!(low, [number + 1], "{query:?}");
    }
}

async fn stored(spans: Vec<Span>, sealed: bool) -> (Store, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store =
        SegmentStore::open(support::config(directory.path(), StoreOptions::default())).expect("a store");
    for spans in spans.chunks(500) {
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span));
        store.accept(&batch).await.expect("room");
    }
    if sealed {
        tokio::task::block_in_place(|| store.seal_all()).expect("a segment");
        assert_eq!(store.stats().head_spans, 0);
    }
    (store, directory)
}

type Store = std::sync::Arc<SegmentStore>;

#[tokio::test(flavor = "multi_thread")]
async fn values_that_vary_are_found() {
    for sealed in [false, true] {
        let (store, _directory) = stored((0..200).map(alike).collect(), sealed).await;
        for number in [0, 3, 4, 100, 199] {
            let annotation = |text: String| TraceQueryBuilder {
                annotation_query: Some(text),
                ..Default::default()
            };
            finds(&store, annotation(format!("user=user-{number}")), number).await;
            finds(&store, annotation(format!("note-{number}")), number).await;
            finds(
                &store,
                annotation(format!("note-{number} and user=user-{number} and user")),
                number,
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_no_shape_are_found() {
    for sealed in [false, true] {
        // More families than a service may have.
        let (store, _directory) = stored((0..2000).map(span).collect(), sealed).await;
        for number in [0, 1500, 1999] {
            let of = |query: TraceQueryBuilder| finds(&store, query, number);
            let any = TraceQueryBuilder::default;
            of(TraceQueryBuilder {
                span_name: Some(format!("name-{number}")),
                ..any()
            })
            .await;
            of(TraceQueryBuilder {
                remote_service_name: Some(format!("remote-{number}")),
                ..any()
            })
            .await;
            for text in [
                format!("key-{number}"),
                format!("key-{number}=value-{number}"),
                format!("note-{number}"),
            ] {
                of(TraceQueryBuilder {
                    annotation_query: Some(text),
                    ..any()
                })
                .await;
            }
            let duration = Some(number as i64 + 1);
            of(TraceQueryBuilder {
                min_duration: duration,
                max_duration: duration,
                ..any()
            })
            .await;
        }
    }
}
