//! Charts, lists of operations, two traces side by side and budgets, against the real server.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::process::Server;

/// Milliseconds.
const MINUTE: u64 = 60_000;

/// The beginning of this hour, epoch milliseconds: what happened before it is over.
fn hour() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    now - now % (60 * MINUTE)
}

/// A request to `shop` every second of twenty minutes, which calls `stock`. In the second ten minutes half of them are
/// served by version 2, which asks twice, takes 30 instead of 20 ms and fails at every fifth.
fn spans(end: u64) -> Vec<Value> {
    let start = end - 20 * MINUTE;
    let requests = (0..1_200).flat_map(|number: u64| {
        let is_new = number >= 600 && number.is_multiple_of(2);
        let at = (start + number * 1_000) * 1_000;
        let trace_id = format!("{:016x}", number + 1);
        let calls = if is_new { 2 } else { 1 };
        let mut tags = json!({"version": if is_new { "2" } else { "1" }});
        if is_new && number.is_multiple_of(5) {
            tags["error"] = json!("503");
            tags["http.status_code"] = json!("503");
        }
        let request = json!({
            "traceId": trace_id, "id": "1", "kind": "SERVER", "name": "get /cart", "timestamp": at,
            "duration": 10_000 + calls * 10_000, "localEndpoint": {"serviceName": "shop"}, "tags": tags,
        });
        let calls = (0..calls).map(|call| {
            json!({
                "traceId": trace_id, "id": format!("{:x}", call + 2), "parentId": "1", "kind": "CLIENT", "name": "get",
                "timestamp": at + 5_000 + call * 10_000, "duration": 10_000, "localEndpoint": {"serviceName": "shop"},
                "remoteEndpoint": {"serviceName": "stock"},
            })
        });
        std::iter::once(request).chain(calls).collect::<Vec<_>>()
    });
    requests.collect()
}

fn get(server: &Server, path: &str) -> Value {
    let answer = server.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(
        answer.header("tracehound-completeness"),
        Some("complete"),
        "{path}"
    );
    answer.json()
}

/// Everything that is asked, as it was answered.
fn answers(server: &Server, end: u64) -> Vec<Value> {
    let window = format!("endTs={}&lookback={}", end - 1, 10 * MINUTE - 1);
    [
        format!(
            "/api/v2/latency?serviceName=shop&{window}&groupBy=version&histogram=true&step={}",
            5 * MINUTE
        ),
        format!("/api/v2/operations?serviceName=shop&{window}"),
        "/api/v2/traces/diff?baseline=1&candidate=259".to_owned(),
        format!("/api/v2/slos/shop/budget?endTs={}", end - 1),
    ]
    .map(|path| get(server, &path))
    .to_vec()
}

fn series_points(chart: &Value, series: usize) -> &Vec<Value> {
    chart["series"][series]["points"].as_array().unwrap()
}

fn assert_told([chart, operations, diff, budget]: &[Value; 4]) {
    let series = chart["series"].as_array().unwrap();
    let versions: Vec<_> = series.iter().map(|series| &series["version"]).collect();
    assert_eq!(versions, ["1", "2"]);
    for (series, p95) in series.iter().zip([20_000.0, 30_000.0]) {
        let points = series["points"].as_array().unwrap();
        let counts: Vec<_> = points.iter().map(|point| &point["count"]).collect();
        assert_eq!(counts, [150, 150]);
        let told = points[0]["p95"].as_f64().unwrap();
        assert!((told - p95).abs() <= p95 / 128.0, "{told}");
    }
    assert_eq!(series[1]["points"][1]["errors"], 30);
    let spread = |series: usize| &series_points(chart, series)[0]["histogram"];
    assert_eq!(
        (spread(0), spread(1)),
        (&json!([[20_479, 150]]), &json!([[32_767, 150]]))
    );

    let rows = operations["operations"].as_array().unwrap();
    let cart = rows.iter().find(|row| row["spanName"] == "get /cart").unwrap();
    assert_eq!((&cart["count"], &cart["mean"]), (&json!(600), &json!(25_000.0)));
    assert_eq!(cart["selfTimeMean"], 10_000.0);
    assert_eq!(cart["change"]["mean"]["relative"], 0.25);
    assert_eq!(cart["change"]["mean"]["significant"], true);
    assert_eq!(cart["change"]["errorRate"]["significant"], true);
    let call = rows.iter().find(|row| row["spanName"] == "get").unwrap();
    assert_eq!(call["callsPerTrace"], 1.5);

    assert_eq!(diff["change"], 10_000);
    assert_eq!(
        diff["totals"],
        json!({"both": 0, "baselineOnly": 0, "candidateOnly": 10_000})
    );

    assert_eq!(
        (&budget["valid"], &budget["bad"], &budget["countedBy"]),
        (&json!(1_200), &json!(60), &json!("http_status"))
    );
    assert!(budget["budgetRemaining"].as_f64().unwrap() < 0.0);
    let firing = |alert: &Value| alert["firing"].as_bool().unwrap();
    assert!(budget["alerts"].as_array().unwrap().iter().any(firing));
}

#[test]
fn what_stores_tell_is_the_same_in_memory_on_disk_and_after_a_crash() {
    let end = hour();
    let directory = tempfile::tempdir().unwrap();
    let objective =
        json!({"serviceName": "shop", "indicator": "availability", "objective": 0.995, "windowDays": 1});
    let fill = |server: &Server| {
        for part in spans(end).chunks(500) {
            assert_eq!(server.post(Value::from(part).to_string()).status, 202);
        }
        let put = server.ask("PUT", "/api/v2/slos/shop", &[], objective.to_string().as_bytes());
        assert_eq!(put.status, 201, "{}", put.text());
    };
    let in_memory = Server::start(&[]);
    fill(&in_memory);
    let told = answers(&in_memory, end);
    assert_told(&told.clone().try_into().unwrap());
    let on_disk = Server::start_in(directory.path(), &[]);
    fill(&on_disk);
    assert_eq!(answers(&on_disk, end), told);
    on_disk.kill();
    let again = Server::start_in(directory.path(), &[]);
    assert_eq!(answers(&again, end), told);
    assert_eq!(again.complaints(), [""; 0]);
}

#[test]
fn what_cannot_be_answered_is_told_by_its_place() {
    let server = Server::start(&[]);
    for (path, told) in [
        ("latency?step=60000", (400, "serviceName: is required")),
        (
            "latency?serviceName=a&endTs=86399999&lookback=86400000&step=60000&histogram=true",
            (
                400,
                "step: the window has 1440 steps, more than 500; at least 180000 would do",
            ),
        ),
        (
            "operations?limit=0",
            (
                400,
                "limit: has to be a whole number from 1 to 10000, and is \"0\"",
            ),
        ),
        (
            "traces/diff?baseline=1&candidate=2",
            (404, "baseline: there is no trace 0000000000000001"),
        ),
        ("slos/none/budget", (404, "there is no objective \"none\"")),
    ] {
        let answer = server.get(&format!("/api/v2/{path}"));
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert_eq!((answer.status, error.as_str()), told, "{path}");
    }
    assert_eq!(server.complaints(), [""; 0]);
}
