//! Reads the files of `testdata`: spans, then requests with the answers they must get.
//!
//! ```text
//! # a remark
//! config autocomplete-keys a,b        for all cases of the file; also: search-enabled, lookback
//! spans [ …v2 JSON, on as many lines as it takes… ]
//!
//! == what is shown                    a case; the path follows without /api/v2
//! GET /spans?serviceName=a
//! 200                                 the status
//! cache-control: max-age=300          a header that must be so, or "-" for one that must not be there
//! ["x",                               the body; lines are joined without their indentation
//!  "y"]
//! ```
//!
//! Cases of a file run in order against one router. Bodies are compared byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of cases.
#[derive(Debug, Default)]
pub(crate) struct CaseFile {
    pub(crate) path: PathBuf,
    /// Name and value.
    pub(crate) config: Vec<(String, String)>,
    /// v2 JSON.
    pub(crate) spans: String,
    pub(crate) cases: Vec<Case>,
}

/// A request and its answer.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) title: String,
    /// Path and query, without the prefix.
    pub(crate) target: String,
    pub(crate) status: u16,
    /// Name and value; `-` for a header that must be absent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// All files of `testdata`, by name.
pub(crate) fn read_all() -> Vec<CaseFile> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|end| end == "case"))
        .collect();
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> CaseFile {
    let text = fs::read_to_string(&path).unwrap();
    let mut blocks = text.split("\n== ");
    let mut file = CaseFile {
        path,
        ..CaseFile::default()
    };
    for line in without_remarks(blocks.next().unwrap_or_default()) {
        if let Some(setting) = line.strip_prefix("config ") {
            let (name, value) = setting.split_once(' ').unwrap_or((setting, ""));
            file.config.push((name.to_owned(), value.to_owned()));
        } else {
            file.spans.push_str(line.strip_prefix("spans").unwrap_or(line));
        }
    }
    file.cases = blocks.map(|block| read_case(block, &file.path)).collect();
    file
}

fn read_case(block: &str, path: &Path) -> Case {
    let mut lines = without_remarks(block);
    let mut next = || {
        lines
            .next()
            .unwrap_or_else(|| panic!("{}: a case ends early: {block}", path.display()))
    };
    let mut case = Case {
        title: next().to_owned(),
        ..Case::default()
    };
    case.target = next()
        .strip_prefix("GET ")
        .expect("a request starts with GET")
        .to_owned();
    case.status = next().parse().expect("the status follows the request");
    for line in lines {
        match line.split_once(": ") {
            Some((name, value)) if case.body.is_empty() && is_header_name(name) => {
                case.headers.push((name.to_owned(), value.to_owned()));
            }
            _ => case.body.push_str(line),
        }
    }
    case
}

fn is_header_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

fn without_remarks(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}
