//! Views of traces that are written down as a table, and of traces at random.

use model::{Span, SpanBatch};
use proto::Format;
use serde_json::{Value, json};

use super::columns::{Note, TraceView, view};

/// Reads spans of JSON v2, of which each may leave out the trace's identifier.
pub(super) fn spans(list: &Value) -> Vec<Span> {
    let mut list = list.clone();
    for span in list.as_array_mut().unwrap() {
        let fields = span.as_object_mut().unwrap();
        fields.entry("traceId").or_insert_with(|| json!("a"));
    }
    let mut batch = SpanBatch::new();
    proto::decode(Format::JsonV2, list.to_string().as_bytes(), &mut batch).unwrap();
    batch.iter().map(|span| span.to_span()).collect()
}

fn version_tags() -> Vec<String> {
    vec!["version".to_owned()]
}

fn view_of(list: &Value) -> TraceView {
    view(&spans(list), &version_tags(), super::ROWS_MAX)
}

/// One side of a call: `kind`, `service@address`, when it began and how long it took.
fn side(id: &str, parent: &str, kind: &str, place: &str, timestamp: u64, duration: u64) -> Value {
    let (service, address) = place.split_once('@').unwrap_or((place, ""));
    let mut span = json!({
        "id": id, "name": format!("{service} does {id}"), "timestamp": timestamp, "duration": duration,
        "localEndpoint": {"serviceName": service, "ipv4": address},
    });
    for (field, value) in [("parentId", parent), ("kind", kind)] {
        if !value.is_empty() {
            span[field] = json!(value);
        }
    }
    span
}

fn shared(mut span: Value) -> Value {
    span["shared"] = json!(true);
    span
}

fn names_of(view: &TraceView, indexes: &[i32], table: &[String]) -> Vec<String> {
    assert_eq!(indexes.len(), view.rows.id.len());
    let name = |&index: &i32| {
        usize::try_from(index)
            .map_or("-", |index| &*table[index])
            .to_owned()
    };
    indexes.iter().map(name).collect()
}

#[test]
fn a_call_that_shares_an_identifier_is_one_row() {
    let mut server = shared(side("2", "1", "SERVER", "stock@10.0.0.2", 1_200, 500));
    server["tags"] = json!({"version": "1.4.3", "error": ""});
    let view = view_of(&json!([
        side("3", "2", "", "stock@10.0.0.2", 1_300, 100),
        server,
        side("1", "", "SERVER", "shop@10.0.0.1", 1_000, 1_000),
        side("2", "1", "CLIENT", "shop@10.0.0.1", 1_100, 700),
    ]));
    let rows = &view.rows;
    assert_eq!(
        rows.id,
        ["0000000000000001", "0000000000000002", "0000000000000003"]
    );
    assert_eq!((&*rows.parent, &*rows.depth), (&[-1, 0, 1][..], &[0, 1, 2][..]));
    assert_eq!(
        names_of(&view, &rows.service, &view.services),
        ["shop", "stock", "stock"]
    );
    assert_eq!(names_of(&view, &rows.name, &view.names)[1], "stock does 2");
    assert_eq!(
        names_of(&view, &rows.version, &view.versions),
        ["-", "1.4.3", "-"]
    );
    assert_eq!((&*rows.kind, &*rows.error), (&[2, 2, 0][..], &[0, 1, 0][..]));
    assert_eq!(
        (&*rows.start, &*rows.duration),
        (&[0, 100, 300][..], &[1_000, 700, 100][..])
    );
    assert_eq!(
        (&*rows.self_time, &*rows.critical),
        (&[300, 600, 100][..], &[300, 600, 100][..])
    );
    assert_eq!(rows.end, [3, 3, 3]);
    assert_eq!((view.start, view.duration, view.span_count), (1_000, 1_000, 4));
    assert_eq!(
        (&*view.notes, view.note_count),
        (&[Note::Merged { rows: 1 }][..], 1)
    );
}

#[test]
fn a_server_that_seems_to_begin_first_is_moved_into_the_call() {
    let view = view_of(&json!([
        side("1", "", "CLIENT", "shop@10.0.0.1", 10_000, 1_000),
        side("2", "1", "SERVER", "stock@10.0.0.2", 7_000, 600),
        // By the same clock, and by another one.
        side("3", "2", "", "stock@10.0.0.2", 7_100, 50),
        side("4", "2", "", "cache@10.0.0.3", 10_400, 50),
    ]));
    // 200 on the way, after the call began.
    assert_eq!(view.rows.start, [0, 200, 300, 400]);
    assert_eq!(view.rows.skew, [0, 3_200, 3_200, 0]);
    assert_eq!((view.start, view.duration), (10_000, 1_000));
    let service = Some("stock".to_owned());
    let skew = Note::ClockSkew {
        service,
        row: 1,
        microseconds: 3_200,
    };
    assert_eq!(view.notes, [skew]);
}

#[test]
fn a_server_that_does_not_fit_begins_right_after_its_client() {
    let long = view_of(&json!([
        side("1", "", "CLIENT", "shop@10.0.0.1", 10_000, 100),
        side("2", "1", "SERVER", "stock@10.0.0.2", 7_000, 600),
    ]));
    assert_eq!(long.rows.start, [0, 1]);
    let mut unfinished = side("2", "1", "SERVER", "stock@10.0.0.2", 7_000, 600);
    unfinished.as_object_mut().unwrap().remove("duration");
    let unfinished = view_of(&json!([
        side("1", "", "CLIENT", "shop@10.0.0.1", 10_000, 100),
        unfinished,
    ]));
    assert_eq!(
        (&*unfinished.rows.start, &*unfinished.rows.duration),
        (&[0, 1][..], &[100, -1][..])
    );
}

#[test]
fn what_is_below_is_corrected_by_what_was_corrected_above() {
    let view = view_of(&json!([
        side("1", "", "CLIENT", "shop@10.0.0.1", 10_000, 1_000),
        shared(side("1", "", "SERVER", "stock@10.0.0.2", 5_000, 800)),
        side("2", "1", "CLIENT", "stock@10.0.0.2", 5_100, 400),
        side("3", "2", "SERVER", "price@10.0.0.3", 9_000, 200),
    ]));
    // The server by 5,100 to 10,100; so the call it makes to 10,200, and whom it asks to 10,300.
    assert_eq!(view.rows.start, [0, 200, 300]);
    assert_eq!(view.rows.skew, [5_100, 5_100, 1_300]);
}

#[test]
fn clocks_are_left_alone_where_nothing_shows_a_difference() {
    let client = || side("1", "", "CLIENT", "shop@10.0.0.1", 10_000, 1_000);
    let second_root = side("9", "", "CLIENT", "shop@10.0.0.1", 10_000, 1_000);
    let behind = || side("2", "1", "SERVER", "stock@10.0.0.2", 7_000, 600);
    let mut headless = client();
    headless["parentId"] = json!("77");
    for (what, list) in [
        (
            "of one host",
            json!([client(), side("2", "1", "SERVER", "stock@10.0.0.1", 7_000, 600)]),
        ),
        (
            "later",
            json!([
                client(),
                side("2", "1", "SERVER", "stock@10.0.0.2", 10_001, 5_000)
            ]),
        ),
        (
            "a local span",
            json!([client(), side("2", "1", "", "stock@10.0.0.2", 7_000, 600)]),
        ),
        (
            "no address",
            json!([client(), side("2", "1", "SERVER", "stock", 7_000, 600)]),
        ),
        ("a second root", json!([client(), behind(), second_root])),
        ("no root", json!([headless, behind()])),
    ] {
        let view = view_of(&list);
        assert!(view.rows.skew.iter().all(|&skew| skew == 0), "{what}: {view:?}");
    }
    assert_ne!(view_of(&json!([client(), behind()])).rows.skew, [0, 0]);
}

#[test]
fn rows_stand_before_what_they_called_and_by_their_beginning() {
    let view = view_of(&json!([
        side("4", "1", "", "a", 1_500, 10),
        side("3", "2", "", "a", 1_200, 10),
        side("2", "1", "", "a", 1_100, 200),
        side("1", "", "", "a", 1_000, 1_000),
        side("5", "1", "", "a", 1_050, 10),
    ]));
    let ids: Vec<_> = view.rows.id.iter().map(|id| id.trim_start_matches('0')).collect();
    assert_eq!(ids, ["1", "5", "2", "3", "4"]);
    assert_eq!(view.rows.parent, [-1, 0, 0, 2, 0]);
    assert_eq!(view.rows.end, [5, 2, 4, 4, 5]);
    assert_eq!(view.notes, []);
}

#[test]
fn what_names_a_parent_that_is_not_there_or_is_below_it_is_told() {
    let view = view_of(&json!([
        side("1", "", "", "a", 1_000, 1_000),
        side("2", "77", "", "a", 1_100, 10),
        side("3", "4", "", "a", 1_200, 10),
        side("4", "3", "", "a", 1_300, 10),
    ]));
    assert_eq!(view.rows.parent, [-1, 0, 0, 2]);
    let notes = [
        Note::MissingParent {
            row: 1,
            parent_id: "0000000000000077".to_owned(),
        },
        Note::Cycle {
            row: 2,
            parent_id: "0000000000000004".to_owned(),
        },
    ];
    assert_eq!(view.notes, notes);
    let headless = view_of(&json!([
        side("2", "77", "", "a", 1_100, 10),
        side("3", "78", "", "a", 1_000, 10),
    ]));
    assert_eq!((&*headless.rows.parent, headless.note_count), (&[-1, -1][..], 2));
    assert_eq!(headless.rows.id[0], "0000000000000003");
}

#[test]
fn who_was_called_and_recorded_nothing_is_named() {
    let remote = |mut span: Value| {
        span["remoteEndpoint"] = json!({"serviceName": "mysql"});
        span
    };
    let view = view_of(&json!([
        remote(side("1", "", "SERVER", "shop@10.0.0.1", 1_000, 1_000)),
        remote(side("2", "1", "CLIENT", "shop@10.0.0.1", 1_100, 10)),
        remote(side("3", "1", "CLIENT", "shop@10.0.0.1", 1_200, 100)),
        side("4", "3", "SERVER", "stock@10.0.0.2", 1_210, 10),
        remote(side("5", "1", "PRODUCER", "shop@10.0.0.1", 1_400, 100)),
        shared(side("5", "1", "CONSUMER", "stock@10.0.0.2", 1_410, 10)),
    ]));
    assert_eq!(
        names_of(&view, &view.rows.remote, &view.services),
        ["-", "mysql", "-", "-", "-"]
    );
}

#[test]
fn a_trace_without_times_has_rows_all_the_same() {
    let view = view_of(&json!([
        {"id": "2", "parentId": "1", "name": "unknown"},
        {"id": "1"},
    ]));
    assert_eq!((view.start, view.duration), (0, 0));
    let rows = &view.rows;
    assert_eq!((&*rows.start, &*rows.duration), (&[-1, -1][..], &[-1, -1][..]));
    assert_eq!(
        (&*rows.self_time, &*rows.critical, &*rows.name),
        (&[0, 0][..], &[0, 0][..], &[-1, -1][..])
    );
    assert_eq!((view.services.len(), view.names.len()), (0, 0));
}

#[test]
fn a_server_alone_that_says_it_joined_is_where_the_trace_begins() {
    let view = view_of(&json!([
        shared(side("1", "", "SERVER", "shop@10.0.0.1", 10_000, 1_000)),
        side("2", "1", "CLIENT", "shop@10.0.0.1", 10_100, 500),
        side("3", "2", "SERVER", "stock@10.0.0.2", 9_000, 300),
    ]));
    assert_eq!(view.rows.start, [0, 100, 200]);
}

#[test]
fn rows_beyond_the_most_are_left_out_and_told() {
    let list: Vec<Value> = (1..=9u64)
        .map(|id| {
            let parent = if id == 1 { String::new() } else { "1".to_owned() };
            side(&format!("{id:x}"), &parent, "", "a", 1_000 + id, 10)
        })
        .collect();
    let view = view(&spans(&json!(list)), &version_tags(), 4);
    assert_eq!((view.rows.id.len(), view.span_count), (4, 9));
    assert_eq!(view.rows.end, [4, 2, 3, 4]);
    assert_eq!(view.notes, [Note::Truncated { total: 9 }]);
}

#[test]
fn notes_beyond_the_most_are_counted() {
    let list: Vec<Value> = (1..=200u64)
        .map(|id| side(&format!("{id:x}"), "777", "", "a", 1_000 + id, 10))
        .collect();
    let view = view_of(&json!(list));
    assert_eq!((view.notes.len(), view.note_count), (100, 200));
}

mod at_random {
    use model::{Endpoint, IpAddresses, Kind, SpanId, TraceId};
    use proptest::prelude::*;

    use super::*;

    /// A span of few identifiers, places and times, so that all that can be wrong with a trace is.
    fn any_span() -> impl Strategy<Value = Span> {
        let ids = (1..24u64, proptest::option::of(1..24u64), 0..5u8, any::<bool>());
        let times = (proptest::option::of(1..1_000u64), proptest::option::of(1..500u64));
        (ids, times, 0..4u8).prop_map(|((id, parent, kind, shared), (timestamp, duration), host)| {
            let kind = Kind::from_number(u64::from(kind));
            let mut ip = IpAddresses::default();
            ip.insert([10, 0, 0, host].into());
            let endpoint = Endpoint {
                service_name: Some(format!("service {host}")),
                ip,
                port: 0,
            };
            Span {
                trace_id: TraceId::new(0, 1).unwrap(),
                parent_id: parent.filter(|parent| *parent != id).map(SpanId::new),
                id: SpanId::new(id),
                kind,
                name: None,
                timestamp,
                duration,
                local_endpoint: endpoint.into_option().filter(|_| host > 0),
                remote_endpoint: None,
                annotations: Vec::new(),
                tags: Vec::new(),
                debug: false,
                shared: shared && kind != Some(Kind::Client),
            }
        })
    }

    /// Every list has an entry a row, and what rows say of each other and of time can be true together.
    fn check(stored: &[Span]) {
        let view = view(stored, &version_tags(), super::super::ROWS_MAX);
        let rows = &view.rows;
        let count = rows.id.len();
        let lengths = [
            rows.parent.len(),
            rows.depth.len(),
            rows.service.len(),
            rows.name.len(),
            rows.version.len(),
            rows.kind.len(),
            rows.start.len(),
            rows.duration.len(),
            rows.self_time.len(),
            rows.critical.len(),
            rows.error.len(),
            rows.skew.len(),
            rows.end.len(),
            rows.remote.len(),
        ];
        assert_eq!(lengths, [count; 14]);
        check_order(&view);
        check_identifiers(&view, stored);
        for row in 0..count {
            let (start, duration) = (rows.start[row], rows.duration[row]);
            assert!((-1..=view.duration as i64).contains(&start), "{row}: {view:?}");
            if start >= 0 && duration >= 0 {
                // A duration may be the other side's, which began later: then it ends as it can.
                assert!(rows.self_time[row] as i64 <= duration, "{row}: {view:?}");
            } else {
                assert_eq!(
                    (rows.self_time[row], rows.critical[row]),
                    (0, 0),
                    "{row}: {view:?}"
                );
            }
        }
        let critical: u64 = rows.critical.iter().sum();
        let entry = rows.duration.iter().copied().max().unwrap_or(0);
        assert!(critical as i64 <= entry.max(0), "{view:?}");
    }

    fn check_order(view: &TraceView) {
        let rows = &view.rows;
        for row in 0..rows.id.len() {
            let end = rows.end[row] as usize;
            assert!(end > row && end <= rows.id.len(), "{row}: {view:?}");
            match usize::try_from(rows.parent[row]) {
                Err(_) => assert_eq!(rows.depth[row], 0, "{row}: {view:?}"),
                Ok(parent) => {
                    assert!(
                        parent < row && end <= rows.end[parent] as usize,
                        "{row}: {view:?}"
                    );
                    assert_eq!(rows.depth[row], rows.depth[parent] + 1, "{row}: {view:?}");
                }
            }
            let next = rows.end[row] as usize;
            if next < rows.id.len() && rows.parent[next] == rows.parent[row] {
                assert!(rows.start[row] <= rows.start[next], "{row}: {view:?}");
            }
        }
    }

    /// Rows are the merged spans: each once, or with the others of its identifier.
    fn check_identifiers(view: &TraceView, stored: &[Span]) {
        let mut of_rows = view.rows.id.clone();
        of_rows.sort();
        let mut merged: Vec<String> = model::merge(stored)
            .iter()
            .map(|span| span.id.to_string())
            .collect();
        merged.sort();
        assert!(of_rows.len() <= merged.len(), "{view:?}");
        let [mut rows, mut spans] = [of_rows, merged];
        rows.dedup();
        spans.dedup();
        assert_eq!(rows, spans, "{view:?}");
    }

    proptest! {
        #[test]
        fn views_of_any_trace_hold_together(stored in proptest::collection::vec(any_span(), 1..60)) {
            check(&stored);
        }

        #[test]
        fn the_order_of_spans_does_not_matter(stored in proptest::collection::vec(any_span(), 1..40)) {
            let backwards: Vec<Span> = stored.iter().rev().cloned().collect();
            let json = |spans: &[Span]| serde_json::to_string(&view(spans, &version_tags(), 1_000)).unwrap();
            prop_assert_eq!(json(&stored), json(&backwards));
        }
    }

    #[test]
    fn a_chain_of_any_depth_and_a_family_of_any_size_are_rows() {
        const SPANS: u64 = 100_000;
        let base = spans(&json!([{"id": "1"}])).remove(0);
        let span = |id: u64, parent: u64| Span {
            id: SpanId::new(id),
            parent_id: Some(SpanId::new(parent)).filter(|_| parent > 0),
            timestamp: Some(1_000 + id),
            duration: Some(1_000_000 - 2 * id),
            ..base.clone()
        };
        let chain: Vec<Span> = (1..=SPANS).map(|id| span(id, id - 1)).collect();
        let deep = view(&chain, &version_tags(), super::super::ROWS_MAX);
        assert_eq!(deep.rows.depth.last(), Some(&(SPANS as u32 - 1)));
        assert!(deep.rows.end.iter().all(|&end| u64::from(end) == SPANS));
        assert_eq!(deep.rows.self_time[0], 2);
        let family: Vec<Span> = (1..=SPANS).map(|id| span(id, u64::from(id > 1))).collect();
        let wide = view(&family, &version_tags(), super::super::ROWS_MAX);
        assert!(wide.rows.parent[1..].iter().all(|&parent| parent == 0));
    }
}
