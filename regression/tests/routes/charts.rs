//! A service over time, and its operations beside what they were.

use std::sync::Arc;

use model::Kind;
use regression::{Settings, Sources};
use serde_json::{Value, json};

use crate::service::{Damaged, MINUTE, NOW, Service, Told};

/// A request every second from a moment on, each of a trace of its own.
fn requests(from: u64, count: u64, duration: impl Fn(u64) -> u64) -> Vec<Told> {
    (0..count)
        .map(|index| Told::request(from + index, from + index * 1_000, duration(index)))
        .collect()
}

fn points(chart: &Value, series: usize) -> Vec<(u64, u64)> {
    let points = chart["series"][series]["points"].as_array().unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    points
        .iter()
        .map(|point| (number(&point["startTs"]), number(&point["count"])))
        .collect()
}

#[tokio::test]
async fn every_step_of_the_window_is_there_with_what_happened_in_it() {
    let service = Service::new();
    let mut spans = requests(NOW - 3 * MINUTE, 60, |index| 1_000 + index);
    spans[7] = spans[7].clone().tagged("error", "");
    let call = Told {
        kind: Some(Kind::Client),
        name: "get",
        ..Told::request(9, NOW - MINUTE, 50)
    };
    spans.push(call);
    service.keep(spans).await;
    let query = format!("serviceName=Shop&endTs={}&lookback={}", NOW - 1, 4 * MINUTE - 1);
    let chart = service.get_whole(&format!("/api/v2/latency?{query}")).await;
    assert_eq!(
        (&chart["step"], &chart["side"]),
        (&json!(MINUTE), &json!("server"))
    );
    assert_eq!(chart["startTs"], NOW - 4 * MINUTE);
    assert_eq!(chart["endTs"], NOW);
    let start = NOW - 4 * MINUTE;
    let expected = [0, 60, 0, 0]
        .iter()
        .zip(0..)
        .map(|(&count, step)| (start + step * MINUTE, count));
    assert_eq!(points(&chart, 0), expected.collect::<Vec<_>>());
    let point = &chart["series"][0]["points"][1];
    assert_eq!(
        *point,
        json!({
            "startTs": start + MINUTE, "count": 60, "errors": 1, "rate": 1.0, "errorRate": 1.0 / 60.0,
            "mean": 1030, "p50": 1027, "p90": 1051, "p95": 1059, "p99": 1059,
        })
    );
    assert_eq!(
        chart["series"][0]["points"][0],
        json!({"startTs": start, "count": 0, "errors": 0, "rate": 0.0})
    );

    let calls = service
        .get_whole(&format!("/zipkin/api/v2/latency?{query}&spanKind=CLIENT"))
        .await;
    assert_eq!(calls["side"], "client");
    assert_eq!(points(&calls, 0)[3].1, 1);
    let none = service
        .get_whole(&format!("/api/v2/latency?{query}&spanName=other"))
        .await;
    assert!(points(&none, 0).iter().all(|point| point.1 == 0));
}

#[tokio::test]
async fn longer_steps_begin_at_their_multiples_and_add_up() {
    let service = Service::new();
    service.keep(requests(NOW - 12 * MINUTE, 700, |_| 5_000)).await;
    let query = format!(
        "serviceName=shop&endTs={}&lookback={}&step={}",
        NOW - 1,
        12 * MINUTE,
        5 * MINUTE
    );
    let chart = service.get_whole(&format!("/api/v2/latency?{query}")).await;
    let start = NOW - 15 * MINUTE;
    assert_eq!(
        points(&chart, 0),
        [
            (start, 120),
            (start + 5 * MINUTE, 300),
            (start + 10 * MINUTE, 280)
        ]
    );
}

#[tokio::test]
async fn versions_have_series_the_busiest_first_and_the_rest_is_told() {
    let service = Service::new();
    let versions: Vec<String> = (0..25).map(|index| format!("v{index:02}")).collect();
    let mut spans = Vec::new();
    for (index, version) in (0..).zip(&versions) {
        for request in 0..=index {
            let span = Told::request(index * 100 + request + 1, NOW - 2 * MINUTE, 1_000);
            spans.push(span.tagged("version", version.clone().leak()));
        }
    }
    spans.push(Told::request(7_777, NOW - 2 * MINUTE, 1_000));
    service.keep(spans).await;
    let query = format!("serviceName=shop&endTs={NOW}&groupBy=version");
    let chart = service.get_whole(&format!("/api/v2/latency?{query}")).await;
    let series = chart["series"].as_array().unwrap();
    assert_eq!(series.len(), 20);
    assert_eq!(
        (&series[0]["version"], &series[19]["version"]),
        (&json!("v24"), &json!("v05"))
    );
    // 1 to 5 requests of the versions v00 to v04, and one without a version.
    assert_eq!(chart["leftOut"], json!({"versions": 6, "count": 16}));
    let nobody = service
        .get_whole("/api/v2/latency?serviceName=nobody&groupBy=version")
        .await;
    assert_eq!(nobody["series"], json!([]));
}

#[tokio::test]
async fn wrong_questions_are_told_what_is_wrong() {
    let service = Service::new();
    for (path, told) in [
        ("latency", "serviceName: is required"),
        (
            "latency?serviceName=shop&step=90000",
            "step: has to be whole minutes, multiples of 60000, and is 90000",
        ),
        (
            "latency?serviceName=shop&lookback=604800000&step=60000",
            "step: the window has 10081 steps, more than 2000; at least 360000 would do",
        ),
        (
            "latency?serviceName=shop&groupBy=host",
            "groupBy: has to be one of version, and is \"host\"",
        ),
        (
            "operations?lookback=0",
            "lookback: has to be a whole number from 1 to 31622400000, and is \"0\"",
        ),
    ] {
        assert_eq!(
            service.get(&format!("/api/v2/{path}")).await.error(),
            (400, told),
            "{path}"
        );
    }
    let would_do = "/api/v2/latency?serviceName=shop&lookback=604800000&step=360000";
    assert_eq!(points(&service.get_whole(would_do).await, 0).len(), 1681);
}

#[tokio::test]
async fn operations_are_listed_with_their_change_and_whether_it_is_significant() {
    let service = Service::new();
    let noise = |index: u64| index * 7_919 % 400;
    // Ten minutes before, ten minutes now: the cart became slower by a fifth, the list did not.
    let mut spans = requests(NOW - 20 * MINUTE, 600, |index| 10_000 + noise(index));
    spans.extend(requests(NOW - 10 * MINUTE, 600, |index| 12_000 + noise(index)));
    for span in spans.clone() {
        let listed = Told {
            trace: span.trace + 100_000,
            name: "get /list",
            duration: 5_000 + noise(span.at / 1_000),
            ..span
        };
        spans.push(listed);
    }
    spans.push(Told {
        name: "gone",
        ..Told::request(3, NOW - 15 * MINUTE, 9)
    });
    service.keep(spans).await;
    let query = format!("serviceName=shop&endTs={}&lookback={}", NOW - 1, 10 * MINUTE - 1);
    let list = service.get_whole(&format!("/api/v2/operations?{query}")).await;
    assert_eq!(list["startTs"], NOW - 10 * MINUTE);
    assert_eq!(list["beforeStartTs"], NOW - 20 * MINUTE);
    let rows = list["operations"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["spanName"].as_str().unwrap()).collect();
    assert_eq!(names, ["get /cart", "get /list", "gone"]);
    let cart = &rows[0];
    assert_eq!((&cart["count"], &cart["beforeCount"]), (&json!(600), &json!(600)));
    assert_eq!(
        (&cart["rate"], &cart["callsPerTrace"]),
        (&json!(1.0), &json!(1.0))
    );
    assert_eq!(
        (&cart["errorRate"], &cart["spanKind"]),
        (&json!(0.0), &json!("SERVER"))
    );
    assert_eq!(cart["mean"], cart["selfTimeMean"]);
    for figure in ["mean", "p95"] {
        let change = &cart["change"][figure];
        assert_eq!(change["significant"], true, "{figure}: {change}");
        let relative = change["relative"].as_f64().unwrap();
        assert!((0.18..0.21).contains(&relative), "{figure}: {change}");
        assert!(change["low"].as_f64().unwrap() > 1_500.0, "{figure}: {change}");
        assert_eq!(
            rows[1]["change"][figure]["significant"], false,
            "{figure}: {}",
            rows[1]
        );
    }
    assert_eq!((&rows[2]["count"], &rows[2]["change"]), (&json!(0), &json!({})));
    let short = service
        .get_whole(&format!("/api/v2/operations?{query}&limit=1"))
        .await;
    assert_eq!(short["operations"].as_array().unwrap().len(), 1);
    assert_eq!(short["leftOut"], json!({"operations": 2, "count": 600}));
}

#[tokio::test]
async fn failures_that_begin_are_significant_and_a_few_are_not() {
    let service = Service::new();
    let mut spans = requests(NOW - 10 * MINUTE, 300, |_| 1_000);
    spans.extend(requests(NOW - 5 * MINUTE, 300, |_| 1_000));
    let failing: Vec<Told> = spans
        .iter()
        .enumerate()
        .map(|(index, span)| {
            let span = Told {
                trace: span.trace + 100_000,
                name: "failing",
                ..span.clone()
            };
            match index {
                300.. if index % 10 == 0 => span.tagged("error", "500"),
                _ => span,
            }
        })
        .collect();
    spans[400] = spans[400].clone().tagged("error", "once");
    spans.extend(failing);
    service.keep(spans).await;
    let query = format!("endTs={}&lookback={}", NOW - 1, 5 * MINUTE - 1);
    let list = service.get_whole(&format!("/api/v2/operations?{query}")).await;
    let change = |index: usize| list["operations"][index]["change"]["errorRate"].clone();
    assert_eq!(list["operations"][0]["spanName"], "failing");
    assert_eq!(change(0)["significant"], true, "{}", change(0));
    assert_eq!(change(0)["difference"], 0.1);
    assert_eq!(change(0).get("relative"), None);
    assert_eq!(change(1)["significant"], false, "{}", change(1));
}

#[tokio::test]
async fn what_is_of_a_part_of_the_spans_says_so() {
    let service = Service::new();
    service.keep([Told::request(1, NOW - MINUTE, 1_000)]).await;
    let sources = Sources {
        latency: Damaged::over(&service.store) as _,
        ..service.sources.clone()
    };
    let damaged = Service::over(Arc::clone(&service.store), sources, Settings::default());
    for path in ["latency?serviceName=shop", "operations"] {
        let answer = damaged.get(&format!("/api/v2/{path}")).await;
        assert_eq!(answer.completeness.as_deref(), Some(Damaged::TOLD), "{path}");
    }
}
