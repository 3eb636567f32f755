//! Source files as the rules see them: code without comments, texts and tests, and where functions begin and end.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What checks by itself; what calls something that checks does as well.
const CHECKS: &[&str] = &[
    "assert",
    "panic!",
    "unreachable!",
    ".expect_err(",
    ".unwrap_err(",
    "contract::",
];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// One source file, split so that rules for code do not see its tests, comments and texts.
pub(crate) struct Source {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Line by line, without comments and without what is inside texts.
    pub(crate) code: Vec<String>,
    /// For each line, whether it is inside an item marked `#[cfg(test)]`.
    pub(crate) in_test_item: Vec<bool>,
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

    pub(crate) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    /// A file of tests or benchmarks as a whole.
    pub(crate) fn is_test_file(&self) -> bool {
        let parts = ["tests", "benches", "fuzz", "contract"];
        self.path
            .split('/')
            .rev()
            .skip(1)
            .any(|part| parts.contains(&part))
            || ["tests.rs", "build.rs", "contract.rs", "testing.rs"].contains(&self.file_name())
    }

    /// The lines of code that are not tests, numbered from 1.
    pub(crate) fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
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
pub(crate) fn sources() -> Vec<Source> {
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
pub(crate) fn functions(source: &Source) -> Vec<(String, usize, usize)> {
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
pub(crate) fn checking_functions(sources: &[Source]) -> HashSet<String> {
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

pub(crate) fn checks(source: &Source, start: usize, end: usize, checking: &HashSet<String>) -> bool {
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

/// True if `line` uses a path into the crate, and not a longer name that ends or begins with it.
pub(crate) fn names_crate(line: &str, library: &str) -> bool {
    line.match_indices(library).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let rest = &line[start + library.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && (rest.starts_with("::") || rest.starts_with(';'))
    })
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
