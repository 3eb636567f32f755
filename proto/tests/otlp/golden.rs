//! Bodies that OpenTelemetry's SDKs sent, and what becomes of them; `testdata/otlp/README.md` says which.

use std::fs;
use std::path::{Path, PathBuf};

use proto::{Format, OtlpEncoding, Rejected};

use crate::requests::decode;

fn bodies() -> Vec<(PathBuf, OtlpEncoding)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/otlp");
    let files = fs::read_dir(directory).expect("the directory of bodies");
    let encoding_of = |path: &Path| match path.extension()?.to_str()? {
        "otlp" => Some(OtlpEncoding::Protobuf),
        "json" => Some(OtlpEncoding::Json),
        _ => None,
    };
    files
        .map(|file| file.expect("a file").path())
        .filter_map(|path| encoding_of(&path).map(|encoding| (path, encoding)))
        .collect()
}

#[test]
fn bodies_of_real_sdks_are_read_as_documented() {
    let bodies = bodies();
    for (path, encoding) in &bodies {
        let body = fs::read(path).expect("a body");
        let (spans, rejected) = decode(*encoding, &body).expect("a request");
        assert_eq!(rejected, Rejected::default(), "{}", path.display());
        let written = String::from_utf8(proto::encode(Format::JsonV2, &spans)).expect("UTF-8");
        let mut expected = path.clone().into_os_string();
        expected.push(".zipkin");
        let expected = fs::read_to_string(expected).unwrap_or_default();
        assert_eq!(written, expected.trim_end_matches('\n'), "{}", path.display());
    }
    assert_eq!(bodies.len(), 6);
}
