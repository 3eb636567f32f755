//! The architecture's rules, held by a test: which package may use which, where a dependency may be imported,
//! how files and tests look. A rule that a test cannot hold is not in here.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod source;

use std::fmt::Write;

use source::{checking_functions, checks, functions, names_crate, root, sources};

/// The packages of this workspace and what each may depend on, test dependencies included: the table of
/// `ARCHITECTURE.md`. A new edge is a decision, and is made there first.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("proto", &["model"]),
    ("openapi", &[]),
    ("collector", &["proto", "storage", "model"]),
    ("storage", &["model"]),
    ("storage/journal", &[]),
    ("storage/record", &["model"]),
    (
        "storage/spool",
        &["storage", "storage-journal", "storage-record", "model", "proto"],
    ),
    (
        "storage/segment",
        &["storage", "storage-journal", "storage-record", "model"],
    ),
    ("storage/memory", &["storage", "model"]),
    ("storage/mysql", &["storage", "model", "proto"]),
    ("storage/cassandra", &["storage", "model"]),
    ("storage/elasticsearch", &["storage", "model", "proto"]),
    ("query", &["proto", "storage", "model", "openapi"]),
    ("regression", &["storage", "model", "openapi"]),
    ("ui", &[]),
    ("demo", &[]),
    ("server", &ALL),
    ("benches", &ALL),
];

/// Every package that another may depend on; nothing depends on `server`, and on `benches` only tests.
const ALL: [&str; 17] = [
    "model",
    "proto",
    "openapi",
    "collector",
    "storage",
    "storage-journal",
    "storage-record",
    "storage-spool",
    "storage-segment",
    "storage-memory",
    "storage-mysql",
    "storage-cassandra",
    "storage-elasticsearch",
    "query",
    "regression",
    "ui",
    "demo",
];

/// Tests may use a backend where the table allows none: a fake would be a backend that nobody holds to the contract.
/// Those of the real server post the rollouts that `benches` simulates.
const TEST_EDGES: &[(&str, &[&str])] = &[
    ("query", &["storage-memory"]),
    ("regression", &["storage-memory"]),
    ("storage/spool", &["storage-memory"]),
    ("server", &["benches"]),
];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Fails with all violations at once, each as `file:line: what`.
#[track_caller]
fn expect_none(rule: &str, violations: &[String]) {
    let mut text = String::new();
    for violation in violations {
        writeln!(text, "  {violation}").unwrap();
    }
    assert!(violations.is_empty(), "{rule}\n{text}");
}

/// Packages of this workspace that a manifest names, and whether only its tests use them.
fn edges_of(manifest: &str) -> Vec<(String, bool)> {
    let mut for_tests = None;
    let mut edges = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            for_tests = match section {
                "dependencies" | "build-dependencies" => Some(false),
                "dev-dependencies" => Some(true),
                _ => None,
            };
            continue;
        }
        let name: String = line
            .chars()
            .take_while(|c| c.is_alphanumeric() || "-_".contains(*c))
            .collect();
        let known = ALL.contains(&name.as_str()) || ["server", "benches"].contains(&name.as_str());
        if let Some(for_tests) = for_tests.filter(|_| known) {
            edges.push((name, for_tests));
        }
    }
    edges
}

fn members() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let list = manifest
        .split_once("members = [")
        .unwrap()
        .1
        .split_once(']')
        .unwrap()
        .0;
    list.split(',')
        .map(|member| member.trim().trim_matches('"').to_owned())
        .filter(|m| !m.is_empty())
        .collect()
}

#[test]
fn packages_use_only_what_the_table_allows() {
    let mut violations = Vec::new();
    for member in members() {
        let manifest = std::fs::read_to_string(root().join(&member).join("Cargo.toml")).unwrap();
        let allowed = EDGES
            .iter()
            .find(|(name, _)| *name == member)
            .map(|(_, allowed)| *allowed);
        let Some(allowed) = allowed else {
            violations.push(format!(
                "{member}/Cargo.toml: the package is not in the table of edges"
            ));
            continue;
        };
        let for_tests_too = TEST_EDGES
            .iter()
            .find(|(name, _)| *name == member)
            .map_or(&[][..], |(_, extra)| extra);
        for (used, for_tests) in edges_of(&manifest) {
            let own = used == member.replace('/', "-");
            let fine = own
                || allowed.contains(&used.as_str())
                || for_tests && for_tests_too.contains(&used.as_str());
            if !fine {
                violations.push(format!("{member}/Cargo.toml: {member} may not depend on {used}"));
            }
        }
    }
    expect_none(
        "Dependencies between packages follow the table in ARCHITECTURE.md:",
        &violations,
    );
}

#[test]
fn http_is_known_only_where_it_is_spoken() {
    let mut violations = Vec::new();
    for source in sources() {
        let spoken = ["http.rs", "grpc.rs"].contains(&source.file_name())
            || ["server/", "benches/", "demo/"]
                .iter()
                .any(|package| source.path.starts_with(package));
        if spoken || source.path.contains("/tests/") {
            continue;
        }
        for (number, line) in source.production_lines() {
            for library in ["axum", "hyper", "tonic"] {
                if names_crate(line, library) {
                    violations.push(format!("{}:{number}: names {library}", source.path));
                }
            }
        }
    }
    expect_none(
        "axum, hyper and tonic are used only in files named http.rs or grpc.rs, and in server:",
        &violations,
    );
}

#[test]
fn only_the_configuration_reads_the_environment() {
    let mut violations = Vec::new();
    for source in sources() {
        if source.path.starts_with("server/src/config") || source.path.starts_with("benches/") {
            continue;
        }
        for (number, line) in source.production_lines() {
            if line.contains("std::env") || line.contains("env::var") || line.contains("env::args") {
                violations.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    expect_none(
        "std::env is read only in server/src/config.rs; pass what you need as an argument:",
        &violations,
    );
}

#[test]
fn only_the_wiring_asks_what_time_it_is() {
    let mut violations = Vec::new();
    for source in sources() {
        if source.path.starts_with("server/")
            || source.path.starts_with("benches/")
            || source.path.starts_with("demo/")
        {
            continue;
        }
        for (number, line) in source.production_lines() {
            if line.contains("SystemTime::now") {
                violations.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    expect_none(
        "the clock is an argument: SystemTime::now only in server and benches:",
        &violations,
    );
}

#[test]
fn files_begin_with_their_role_and_stay_small() {
    let mut violations = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//!") {
            violations.push(format!(
                "{}:1: does not begin with a //! line that gives its role",
                source.path
            ));
        }
        let lines = source.code.len();
        let production = source.in_test_item.iter().filter(|in_test| !**in_test).count();
        if production > FILE_LINES_MAX && !source.is_test_file() {
            violations.push(format!(
                "{}:{lines}: {production} lines outside tests: split it",
                source.path
            ));
        }
    }
    expect_none(
        &format!("Files open with //! and have at most {FILE_LINES_MAX} lines:"),
        &violations,
    );
}

#[test]
fn functions_fit_on_a_page() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test_file()) {
        for (name, start, end) in functions(source) {
            let lines = end - start + 1;
            if lines > FUNCTION_LINES_MAX && !source.in_test_item[start] {
                violations.push(format!("{}:{}: {name} has {lines} lines", source.path, start + 1));
            }
        }
    }
    expect_none(
        &format!("Functions have at most {FUNCTION_LINES_MAX} lines:"),
        &violations,
    );
}

#[test]
fn every_test_checks_something_and_none_is_ignored() {
    let mut violations = Vec::new();
    let mut tests = 0;
    let sources = sources();
    let checking = checking_functions(&sources);
    for source in &sources {
        for (name, start, end) in functions(source) {
            let attributes = source.code[..start]
                .iter()
                .rev()
                .take_while(|line| line.trim_start().starts_with("#["));
            if !attributes
                .clone()
                .any(|line| line.contains("test]") || line.contains("::test("))
            {
                continue;
            }
            tests += 1;
            let should_panic = attributes.clone().any(|line| line.contains("should_panic"));
            if !should_panic && !checks(source, start, end, &checking) {
                violations.push(format!("{}:{}: {name} asserts nothing", source.path, start + 1));
            }
        }
        for (index, line) in source.code.iter().enumerate() {
            if line.trim_start().starts_with("#[ignore") {
                violations.push(format!("{}:{}: an ignored test", source.path, index + 1));
            }
        }
    }
    assert!(
        tests > 100,
        "only {tests} tests were recognised: the rule does not see them"
    );
    expect_none("Every test asserts something, and none is ignored:", &violations);
}

#[test]
fn nothing_is_left_for_later() {
    let mut violations = Vec::new();
    for source in sources() {
        for (index, line) in source.code.iter().enumerate() {
            for left in ["todo!", "unimplemented!", "dbg!"] {
                if line.contains(left) {
                    violations.push(format!("{}:{}: {left}", source.path, index + 1));
                }
            }
        }
    }
    expect_none("no todo!, unimplemented! or dbg!:", &violations);
}

#[test]
fn edges_are_read_from_every_kind_of_section() {
    let manifest = "[package]\nname = \"query\"\n[dependencies]\nmodel.workspace = true\nserde = \"1\"\n\
                    [dev-dependencies]\nstorage = { workspace = true }\n[features]\nui = []\n";
    let edges = edges_of(manifest);
    assert_eq!(edges, [("model".to_owned(), false), ("storage".to_owned(), true)]);
    assert!(
        EDGES
            .iter()
            .all(|(_, allowed)| allowed.iter().all(|name| ALL.contains(name)))
    );
}
