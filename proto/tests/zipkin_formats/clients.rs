//! Bodies that real clients sent, and what Zipkin made of them; `testdata/clients/README.md` says which.

use std::fs;
use std::path::{Path, PathBuf};

use model::{Span, SpanBatch};
use proto::Format;

fn bodies() -> Vec<(PathBuf, Format)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/clients");
    let files = fs::read_dir(directory).expect("the directory of bodies");
    let mut bodies: Vec<_> = files
        .map(|file| file.expect("a file").path())
        .filter_map(|path| format_of(&path).map(|format| (path, format)))
        .collect();
    bodies.sort_by(|a, b| a.0.cmp(&b.0));
    bodies
}

/// From the end of the name; `None` for what is no body.
fn format_of(path: &Path) -> Option<Format> {
    let v1 = path.file_stem()?.to_str()?.ends_with("-v1");
    match path.extension()?.to_str()? {
        "json" if v1 => Some(Format::JsonV1),
        "json" => Some(Format::JsonV2),
        "thrift" => Some(Format::Thrift),
        "proto3" => Some(Format::Proto3),
        _ => None,
    }
}

#[test]
fn bodies_of_real_clients_are_read_as_zipkin_reads_them() {
    let bodies = bodies();
    for (path, format) in &bodies {
        let body = fs::read(path).expect("a body");
        assert_eq!(proto::check_list(*format, &body), Ok(()), "{}", path.display());
        assert_eq!(proto::detect(&body), Some(*format), "{}", path.display());
        let mut batch = SpanBatch::new();
        assert_eq!(
            proto::decode(*format, &body, &mut batch),
            Ok(()),
            "{}",
            path.display()
        );
        let spans: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
        let written = String::from_utf8(proto::encode(Format::JsonV2, &spans)).expect("UTF-8");
        let mut expected = path.clone().into_os_string();
        expected.push(".zipkin");
        let expected = fs::read_to_string(expected).expect("what Zipkin made of it");
        assert_eq!(written, expected.trim_end_matches('\n'), "{}", path.display());
    }
    assert_eq!(bodies.len(), 11);
}
