//! That `docs/metrics.md` and what servers show are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::process::Server;

/// What is said of a metric: in the documentation's table, or by a server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
    meaning: String,
}

/// Metrics by name, with the servers that show them.
fn documented() -> BTreeMap<String, (Metric, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = text.split_once("| Name | Type |").unwrap().1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut metrics = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, shown, meaning] = cells[..] else {
            panic!("not five cells: {row}");
        };
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`'));
        let metric = Metric {
            kind: kind.to_owned(),
            labels: labels.filter(|label| *label != "–").map(str::to_owned).collect(),
            meaning: meaning.to_owned(),
        };
        let row = (metric, shown.to_owned());
        assert!(
            metrics.insert(name.trim_matches('`').to_owned(), row).is_none(),
            "{name} is there twice"
        );
    }
    metrics
}

/// The same from an answer of `/prometheus`.
fn shown(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    let mut help = BTreeMap::new();
    let mut current = String::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with("# UNIT") && *line != "# EOF")
    {
        if let Some(line) = line.strip_prefix("# HELP ") {
            let (name, meaning) = line.split_once(' ').unwrap();
            // Whether it ends with a dot is up to the library.
            let meaning = format!("{}.", meaning.trim_end_matches('.'));
            help.insert(name.to_owned(), meaning);
        } else if let Some(line) = line.strip_prefix("# TYPE ") {
            let (name, kind) = line.split_once(' ').unwrap();
            current = name.to_owned() + if kind == "counter" { "_total" } else { "" };
            let metric = Metric {
                kind: kind.to_owned(),
                labels: BTreeSet::new(),
                meaning: help[name].clone(),
            };
            assert!(
                metrics.insert(current.clone(), metric).is_none(),
                "{name} is shown twice"
            );
        } else {
            let metric = metrics.get_mut(&current).unwrap();
            metric.labels.extend(labels(line).filter(|label| label != "le"));
        }
    }
    metrics
}

fn labels(sample: &str) -> impl Iterator<Item = String> {
    let set = sample
        .split_once('{')
        .map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
    set.split("\",")
        .filter(|label| !label.is_empty())
        .map(|label| label.split_once('=').unwrap().0.to_owned())
}

fn compare(server: &Server, storage: &str) {
    server.post(r#"[{"traceId":"1","id":"2"}]"#);
    let shown = shown(&server.get("/prometheus").text());
    let documented = documented();
    for (name, metric) in &shown {
        let Some((documented, when)) = documented.get(name) else {
            panic!("{name} is shown, but not in docs/metrics.md");
        };
        assert_eq!(
            documented, metric,
            "{name} in docs/metrics.md, and as it is shown"
        );
        assert!(
            ["always", storage].contains(&when.as_str()),
            "{name} is shown with {storage}, not only with {when}"
        );
    }
    for (name, (_, when)) in &documented {
        if ["always", storage].contains(&when.as_str()) {
            assert!(
                shown.contains_key(name),
                "{name} is in docs/metrics.md, but not shown with {storage}"
            );
        }
    }
}

#[test]
fn the_documentation_says_what_a_server_in_memory_shows() {
    compare(&Server::start(&[]), "mem");
}

#[test]
fn the_documentation_says_what_a_server_on_disk_shows() {
    let directory = tempfile::tempdir().unwrap();
    compare(&Server::start_in(directory.path(), &[]), "segment");
}

/// Metrics of parts that need somebody else to run, such as a broker, are at least named in the table.
#[test]
fn every_name_in_the_code_is_in_the_documentation_and_the_other_way_round() {
    let mut named = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let literals = text.split("\"tracehound_").skip(1);
                named.extend(literals.map(|rest| format!("tracehound_{}", rest.split('"').next().unwrap())));
            }
        }
    }
    let documented: BTreeSet<String> = documented()
        .into_keys()
        .filter(|name| name.starts_with("tracehound_"))
        .collect();
    let is_of = |documented: &str, name: &str| {
        ["", "_total", "_seconds"]
            .iter()
            .any(|suffix| documented == format!("{name}{suffix}"))
    };
    for name in &named {
        assert!(
            documented.iter().any(|row| is_of(row, name)),
            "{name} is not in docs/metrics.md"
        );
    }
    for row in &documented {
        assert!(
            named.iter().any(|name| is_of(row, name)),
            "nothing in the code is named as {row}"
        );
    }
}

#[test]
fn decoding_storing_and_committing_are_timed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    for number in 1..=3 {
        assert_eq!(
            server
                .post(format!(r#"[{{"traceId":"{number}","id":"2"}}]"#))
                .status,
            202
        );
    }
    server.post("nonsense");
    let text = server.get("/prometheus").text();
    let value = |name: &str| -> f64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in:\n{text}"))
            .parse()
            .unwrap()
    };
    let http = |name: &str| value(&format!("tracehound_collector_{name}{{transport=\"http\"}}"));
    for part in ["decode", "store"] {
        assert_eq!(http(&format!("{part}_seconds_count")), 3.0, "{part}");
        let last = format!("tracehound_collector_{part}_seconds_bucket{{le=\"+Inf\",transport=\"http\"}}");
        assert_eq!(value(&last), 3.0);
    }
    assert_eq!(value("tracehound_journal_commit_seconds_count"), 3.0);
    let (commit, store) = (
        value("tracehound_journal_commit_seconds_sum"),
        http("store_seconds_sum"),
    );
    assert!(0.0 < commit && commit < store, "{commit} of {store}");
    assert_eq!(
        value("tracehound_collector_decode_seconds_count{transport=\"grpc\"}"),
        0.0
    );
}
