//! Holds judgements to runs of which is known what is different.

use std::path::Path;

use serde_json::{Value, json};

use super::*;

/// A run in which times are so many times those of another, and the machine's own so many.
fn run_of(times: f64, machine: f64) -> Value {
    let samples = |count: u32, each: f64| -> Vec<f64> {
        (0..count)
            .map(|number| each * f64::from(1 + number % 7))
            .collect()
    };
    json!({
        "options": { "spans": 1.0, "questions": 100, "seed": 1, "bound_ms": 100.0, "connections": 16 },
        "machine": { "processor": "some", "threads": 2, "commit": "abc", "date": "today" },
        "server": "tracehound 0.1.0",
        "measured": [{
            "backend": "segment",
            "limit": {
                "spans_per_second": 100_000.0,
                "steps": [{ "offered": 100_000.0, "holds": true }, { "offered": 110_000.0, "holds": false }],
            },
            "stored": {
                "bytes_per_span": 28.0,
                "cpu_us_per_span": { "server": 4.0, "backend": null },
                "asked": [{ "kind": "trace", "wrong": 0, "samples_ms": samples(50, times) }],
            },
            "report": { "again_ms": samples(9, 100.0) },
            "mixed": null,
            "pace_ms": (0..50).map(|number| machine * (10.0 + f64::from(number % 3) / 100.0)).collect::<Vec<f64>>(),
        }],
    })
}

fn read(run: &Value) -> Run {
    serde_json::from_value(run.clone()).unwrap()
}

fn difference(before: &Value, after: &Value) -> String {
    told(&[read(before), read(after)], 0.99).unwrap()
}

/// The line about a figure.
fn line<'a>(text: &'a str, figure: &str) -> &'a str {
    let begins = format!("| {figure} |");
    text.lines().find(|line| line.starts_with(&begins)).unwrap()
}

#[test]
fn a_run_differs_from_itself_in_nothing() {
    let text = difference(&run_of(1.0, 1.0), &run_of(1.0, 1.0));
    assert!(!text.contains("**"), "{text}");
    assert!(
        line(&text, "trace").ends_with("| 4.00 ms | 4.00 ms | 1.00 (1.00 to 1.00) | within the noise |"),
        "{text}"
    );
    assert!(
        line(&text, "disk, bytes a span").ends_with("one value each, or too few |"),
        "{text}"
    );
}

#[test]
fn what_takes_longer_is_told_and_what_takes_less_too() {
    let text = difference(&run_of(1.0, 1.0), &run_of(1.2, 1.0));
    assert!(
        line(&text, "trace").ends_with("| 1.20 (1.20 to 1.20) | **worse** |"),
        "{text}"
    );
    let text = difference(&run_of(1.2, 1.0), &run_of(1.0, 1.0));
    assert!(line(&text, "trace").ends_with("**better** |"), "{text}");
}

#[test]
fn what_the_machine_explains_is_no_difference() {
    let text = difference(&run_of(1.0, 1.0), &run_of(1.2, 1.2));
    assert!(line(&text, "trace").ends_with("within the noise |"), "{text}");
    assert!(
        text.contains("took the machine 1.20 (1.20 to 1.20) times as long"),
        "{text}"
    );
    // Nor is the machine taken out where nothing became slower with it.
    let text = difference(&run_of(1.0, 1.0), &run_of(1.0, 1.2));
    assert!(line(&text, "trace").ends_with("within the noise |"), "{text}");
    // More than it explains.
    let text = difference(&run_of(1.0, 1.0), &run_of(1.5, 1.2));
    assert!(line(&text, "trace").ends_with("**worse** |"), "{text}");
}

#[test]
fn limits_are_told_apart_where_what_held_is_what_did_not_before() {
    let with_limit = |(held, refused): (f64, f64), machine: f64| {
        let mut run = run_of(1.0, machine);
        run["measured"][0]["limit"] = json!({
            "spans_per_second": held,
            "steps": [{ "offered": held, "holds": true }, { "offered": refused, "holds": false }],
        });
        run
    };
    let name = "most spans a second that hold";
    let judged_on = |before: (f64, f64), after: (f64, f64), machine: f64| {
        let text = difference(&with_limit(before, 1.0), &with_limit(after, machine));
        line(&text, name).rsplit("| ").next().unwrap().to_owned()
    };
    let judged = |before, after| judged_on(before, after, 1.0);
    assert_eq!(judged((100.0, 120.0), (130.0, 150.0)), "**better** |");
    assert_eq!(judged((130.0, 150.0), (100.0, 120.0)), "**worse** |");
    assert_eq!(judged((100.0, 120.0), (110.0, 130.0)), "within the noise |");
    // A machine that is faster holds more, one that is slower less.
    let faster = judged_on((100.0, 120.0), (130.0, 150.0), 0.8);
    let slower = judged_on((130.0, 150.0), (100.0, 120.0), 1.4);
    assert_eq!([faster, slower], ["within the noise |"; 2]);
}

#[test]
fn answers_that_become_wrong_are_worse_whatever_they_take() {
    let mut wrong = run_of(1.0, 1.0);
    wrong["measured"][0]["stored"]["asked"][0]["wrong"] = json!(3);
    let text = difference(&run_of(1.0, 1.0), &wrong);
    assert!(
        line(&text, "trace: wrong answers").ends_with("| 0 | 3 | – | **worse** |"),
        "{text}"
    );
}

#[test]
fn runs_that_asked_something_else_are_not_held_against_each_other() {
    let mut other = run_of(1.0, 1.0);
    other["options"]["seed"] = json!(2);
    let error = told(&[read(&run_of(1.0, 1.0)), read(&other)], 0.99).unwrap_err();
    assert!(error.to_string().contains("seed: 2"), "{error}");
    let error = Run::read(Path::new("/nowhere/compare.json")).unwrap_err();
    assert!(error.to_string().contains("/nowhere/compare.json"), "{error}");
}

#[test]
fn a_storage_of_one_run_only_is_named() {
    let mut none = run_of(1.0, 1.0);
    none["measured"] = json!([]);
    let text = difference(&none, &run_of(1.0, 1.0));
    assert!(text.contains("- segment: only after"), "{text}");
}
