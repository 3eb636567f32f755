//! The architecture's rules, held by a test: which package may use which, where a dependency may be imported,
//! how files and tests look. A rule that a test cannot hold is not in here.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The packages of this workspace and what each may depend on, test dependencies included: the table of
/// `ARCHITECTURE.md`. A new edge is a decision, and is made there first.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("proto", &["model"]),
    ("collector", &["proto", "storage", "model"]),
    ("storage", &["model"]),
    ("storage/journal", &[]),
    ("storage/spool", &["storage", "storage-journal", "model", "proto"]),
    ("storage/segment", &["storage", "storage-journal", "model"]),
    ("storage/memory", &["storage", "model"]),
    ("storage/mysql", &["storage", "model"]),
    ("storage/cassandra", &["storage", "model"]),
    ("storage/elasticsearch", &["storage", "model", "proto"]),
    ("query", &["proto", "storage", "model"]),
    ("regression", &["storage", "model"]),
    ("ui", &[]),
    ("demo", &[]),
    ("server", &ALL),
    ("benches", &ALL),
];

/// Every package that another may depend on; nothing depends on `server` or `benches`.
const ALL: [&str; 15] = [
    "model",
    "proto",
    "collector",
    "storage",
    "storage-journal",
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
const TEST_EDGES: &[(&str, &[&str])] = &[("query", &["storage-memory"])];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// What a test may check with. Helpers that check are named so.
const CHECKS: &[&str] = &[
    "assert",
    "panic!",
    "proptest!",
    "prop_assert",
    "unreachable!",
    "expect_",
    "check",
    "contract",
    "should_",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// One source file, split so that rules for code do not see its tests, comments and texts.
struct Source {
    /// From the root, with `/`.
    path: String,
    text: String,
    /// Line by line, without comments and without what is inside texts.
    code: Vec<String>,
    /// For each line, whether it is inside an item marked `#[cfg(test)]`.
    in_test_item: Vec<bool>,
}

impl Source {
    fn new(path: String, text: String) -> Self {
        let code = code_lines(&text);
        let in_test_item = test_items(&code);
        Self {
            path,
            text,
            code,
            in_test_item,
        }
    }

    fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    /// A file of tests or benchmarks as a whole.
    fn is_test_file(&self) -> bool {
        let parts = ["tests", "benches", "fuzz", "contract"];
        self.path
            .split('/')
            .rev()
            .skip(1)
            .any(|part| parts.contains(&part))
            || ["tests.rs", "build.rs", "contract.rs", "testing.rs"].contains(&self.file_name())
    }

    /// The lines of code that are not tests, numbered from 1.
    fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self
            .code
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.in_test_item[*index]);
        lines
            .filter(|_| !self.is_test_file())
            .map(|(index, line)| (index + 1, line.as_str()))
    }
}

/// Every `.rs` file of the workspace.
fn sources() -> Vec<Source> {
    let root = root();
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            let skipped = name.starts_with('.') || name == "target" || name == "node_modules";
            if path.is_dir() && !skipped {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let shown = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .replace('\\', "/");
                sources.push(Source::new(shown, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        sources.len() > 20,
        "only {} source files found below {}",
        sources.len(),
        root.display()
    );
    sources
}

/// Replaces comments, texts and characters by nothing, and keeps the lines.
fn code_lines(text: &str) -> Vec<String> {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = text_length(rest, code.chars().next_back()) {
            length
        } else {
            code.push(first);
            first.len_utf8()
        };
        if length > first.len_utf8() || rest.starts_with('"') {
            code.extend(rest[..length].chars().filter(|&character| character == '\n'));
        }
        rest = &rest[length..];
    }
    code.lines().map(str::to_owned).collect()
}

/// The length of the text or character literal that begins here, if one does.
fn text_length(rest: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|before| before.is_alphanumeric() || before == '_');
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !in_word || before == Some('b')) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let end = raw[hashes + 1..].find(&close)?;
            return Some(1 + hashes + 1 + end + close.len());
        }
    }
    if rest.starts_with('"') {
        return Some(escaped_length(rest, '"'));
    }
    if let Some(quoted) = rest.strip_prefix('\'') {
        // A character, not a lifetime: closed after one character or an escape.
        let mut following = quoted.chars();
        let closed = match following.next()? {
            '\\' => true,
            _ => following.next() == Some('\''),
        };
        return closed.then(|| escaped_length(rest, '\''));
    }
    None
}

fn escaped_length(rest: &str, close: char) -> usize {
    let mut escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            character if character == close => return index + character.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// Marks the lines of items under `#[cfg(test)]`.
fn test_items(code: &[String]) -> Vec<bool> {
    let mut marks = vec![false; code.len()];
    let mut index = 0;
    while index < code.len() {
        if !code[index].trim_start().starts_with("#[cfg(test)]") {
            index += 1;
            continue;
        }
        let end = block_end(code, index);
        marks[index..=end].fill(true);
        index = end + 1;
    }
    marks
}

/// The last line of the item that begins at `start`: where its braces close, or its semicolon.
fn block_end(code: &[String], start: usize) -> usize {
    let mut depth = 0i64;
    let mut brackets = 0i64;
    for (index, line) in code.iter().enumerate().skip(start) {
        for character in line.chars() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets -= 1,
                ';' if depth == 0 && brackets == 0 => return index,
                _ => {}
            }
            if character == '}' && depth == 0 {
                return index;
            }
        }
    }
    code.len() - 1
}

/// Name and lines of every function that has a body: index of its first line and of its last.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (index, line) in source.code.iter().enumerate() {
        let declaration = line.trim_start();
        let Some((before, after)) = declaration.split_once("fn ") else {
            continue;
        };
        let words = [
            "pub",
            "pub(crate)",
            "pub(super)",
            "const",
            "async",
            "unsafe",
            "extern",
        ];
        if !before.split_whitespace().all(|word| words.contains(&word)) {
            continue;
        }
        let name: String = after
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let end = block_end(&source.code, index);
        if !name.is_empty() && source.code[index..=end].iter().any(|line| line.contains('{')) {
            found.push((name, index, end));
        }
    }
    found
}

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

/// True if `line` uses a path into the crate, and not a longer name that ends or begins with it.
fn names_crate(line: &str, library: &str) -> bool {
    line.match_indices(library).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let rest = &line[start + library.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && (rest.starts_with("::") || rest.starts_with(';'))
    })
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

/// The package a file belongs to.
fn package(source: &Source) -> &str {
    let path = source.path.as_str();
    let ends = ["/src/", "/tests/", "/benches/", "/fuzz/"]
        .iter()
        .filter_map(|folder| path.find(folder));
    &path[..ends.min().unwrap_or(path.len())]
}

/// Every function that checks something, as `package name`: by itself, or because it calls one of its package
/// that does.
fn checking_functions(sources: &[Source]) -> HashSet<String> {
    let mut checking = HashSet::new();
    loop {
        let known = checking.len();
        for source in sources {
            for (name, start, end) in functions(source) {
                if checks(source, start, end, &checking) {
                    checking.insert(format!("{} {name}", package(source)));
                }
            }
        }
        if checking.len() == known {
            return checking;
        }
    }
}

fn checks(source: &Source, start: usize, end: usize, checking: &HashSet<String>) -> bool {
    // The name of the function itself is not a call of it.
    let body = source.code[start..=end].join("\n");
    let body = body.split_once('(').map_or("", |(_, rest)| rest);
    let calls = |body: &str| {
        let words = body.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '('));
        let mut names = words
            .flat_map(|word| word.split_inclusive('('))
            .filter_map(|word| word.strip_suffix('('));
        names.any(|name| checking.contains(&format!("{} {name}", package(source))))
    };
    CHECKS.iter().any(|check| body.contains(check)) || calls(body)
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
fn comments_texts_and_tests_are_not_code() {
    let text = r##"//! Head, std::env
fn a() { "std::env \" }"; '"'; '{'; b"x"; r#"raw " { text"#; } // std::env
#[cfg(test)]
mod tests {
    fn b<'a>(x: &'a str) { dbg(x) }
}
fn c() {}
"##;
    let source = Source::new("model/src/x.rs".to_owned(), text.to_owned());
    assert_eq!(source.code[1].trim(), "fn a() { ; ; ; b; ; }");
    let production: Vec<usize> = source.production_lines().map(|(number, _)| number).collect();
    assert_eq!(production, [1, 2, 7]);
    let names: Vec<String> = functions(&source).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let helper = "fn helper() { assert!(true) }\nfn a_test() { helper() }\nfn idle() { other(1) }";
    let source = [Source::new("model/src/x.rs".to_owned(), helper.to_owned())];
    let mut checking: Vec<String> = checking_functions(&source).into_iter().collect();
    checking.sort();
    assert_eq!(checking, ["model a_test", "model helper"]);
    assert!(names_crate("use axum::Router;", "axum") && !names_crate("my_axum::x", "axum"));
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
