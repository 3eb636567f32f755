//! Critical paths that are known: the traces that come with CRISP, a tool of Uber's, where they are at hand.

#![allow(
    clippy::unwrap_used,
    reason = "a fixture that is not as expected fails the test"
)]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::critical_path::path;
use crate::spans::{Describe, span};

/// Where calls of one parent overlap, the tool these traces come from drops all but one of them; the rule here cuts
/// them to where the next begins. Microseconds by operation.
const OVERLAPPING: &[(&str, &[(&str, u64)])] = &[
    (
        "10",
        &[
            ("[S1] O1", 402),
            ("[S2] O2", 199),
            ("[S3] O3", 99),
            ("[S4] O4", 300),
        ],
    ),
    (
        "12",
        &[("[S1] O1", 40), ("[S2] O2", 35), ("[S3] O3", 5), ("[S4] O4", 20)],
    ),
    (
        "13",
        &[("[S1] O1", 40), ("[S2] O2", 35), ("[S3] O3", 5), ("[S4] O4", 20)],
    ),
    (
        "14",
        &[("[S1] O1", 25), ("[S2] O2", 10), ("[S3] O3", 20), ("[S4] O4", 25)],
    ),
    (
        "16",
        &[
            ("[S1] O1", 40),
            ("[S2] O2", 5),
            ("[S3] O3", 15),
            ("[S4] O4", 10),
            ("[S5] O5", 10),
            ("[S6] O6", 20),
            ("[S7] O7", 10),
        ],
    ),
    (
        "19",
        &[
            ("[S1] O1", 10),
            ("[S2] O2", 195),
            ("[S3] O3", 95),
            ("[S4] O4", 300),
        ],
    ),
    (
        "20",
        &[
            ("[S1] O1", 10),
            ("[S2] O2", 195),
            ("[S3] O3", 95),
            ("[S4] O4", 300),
        ],
    ),
    (
        "21",
        &[
            ("[S1] O1", 10),
            ("[S2] O2", 195),
            ("[S3] O3", 95),
            ("[S4] O4", 300),
        ],
    ),
];

#[test]
fn agrees_with_the_known_paths_of_crisp() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/crisp-fixtures");
    let files: Vec<_> = ["", "err_pattern1", "err_pattern2", "err_pattern3", "err_pattern4"]
        .iter()
        .filter_map(|part| std::fs::read_dir(folder.join(part)).ok())
        .flatten()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    if files.is_empty() {
        eprintln!(
            "SKIPPED agrees_with_the_known_paths_of_crisp: no fixtures in {}",
            folder.display()
        );
        return;
    }
    assert_eq!(files.len(), 33);
    for file in files {
        let fixture: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let expected = expected_path(&file, &fixture);
        assert_eq!(path_by_operation(&fixture), expected, "{}", file.display());
    }
}

fn expected_path(file: &Path, fixture: &Value) -> BTreeMap<String, u64> {
    let name = file.file_stem().unwrap().to_str().unwrap();
    if let Some((_, ours)) = OVERLAPPING.iter().find(|(overlapping, _)| *overlapping == name) {
        return ours
            .iter()
            .map(|&(operation, micros)| (operation.to_owned(), micros))
            .collect();
    }
    let testing = &fixture["testing"];
    let theirs = testing
        .get("opTimeExclusive")
        .unwrap_or(&testing[0])
        .as_object()
        .unwrap();
    let timed = theirs
        .iter()
        .map(|(operation, micros)| (operation.clone(), micros.as_u64().unwrap()));
    timed.filter(|(_, micros)| *micros > 0).collect()
}

fn path_by_operation(fixture: &Value) -> BTreeMap<String, u64> {
    let trace = &fixture["data"][0];
    let read = trace["spans"].as_array().unwrap();
    let id = |name: &Value| 1 + read.iter().position(|span| span["spanID"] == *name).unwrap() as u64;
    let operation = |index: usize| {
        let service = &trace["processes"][read[index]["processID"].as_str().unwrap()]["serviceName"];
        format!(
            "[{}] {}",
            service.as_str().unwrap(),
            read[index]["operationName"].as_str().unwrap()
        )
    };
    let spans: Vec<_> = read
        .iter()
        .map(|json| {
            // They begin at zero, which for us is no timestamp.
            let timed = span(id(&json["spanID"])).at(
                json["startTime"].as_u64().unwrap() + 1,
                json["duration"].as_u64().unwrap(),
            );
            match json["references"].get(0) {
                Some(reference) => timed.below(id(&reference["spanID"])),
                None => timed,
            }
        })
        .collect();
    let mut micros = BTreeMap::new();
    for piece in path(&spans).pieces() {
        *micros.entry(operation(piece.span)).or_insert(0) += piece.interval.duration();
    }
    micros
}
