//! Feeds every reader with damaged input, a second or so each, on every run of the tests.
//!
//! Starts from `fuzz/corpus/<format>/` and the bodies of real clients, and mutates: what is accepted joins
//! the pool, so that damage adds up. Seeded, so the order of inputs is always the same; how many there are
//! depends on the machine. An input that fails is printed; put it into the corpus to keep it fixed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use model::{Span, SpanBatch};
use proto::scribe::Call;
use proto::{Format, OtlpEncoding, Wire};

/// How long each format is fuzzed.
const TIME_BOX: Duration = Duration::from_millis(1250);
/// Longest input, in bytes.
const INPUT_BYTES_MAX: usize = 16 << 10;
/// Most inputs to start from; newly accepted ones replace others then.
const POOL_MAX: usize = 512;
/// Longest that one input may take, though the machine be busy and the build unoptimised.
const PATIENCE: Duration = Duration::from_secs(5);

const JSON_TOKENS: [&[u8]; 24] = [
    b"null",
    b"true",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u",
    b"\\ud83d",
    b"\\ude00",
    b"-",
    b"1e9",
    b"0",
    b"9223372036854775808",
    b"\"tags\":{",
    b"\"annotations\":[",
    b"\"id\":\"1\"",
    b"\xff",
    b"\xe2\x80\xa8",
    b"\"binaryAnnotations\":[",
    b"{\"traceId\":\"1\",\"id\":\"1\"}",
];

const BINARY_TOKENS: [&[u8]; 14] = [
    b"\x00",
    b"\x01",
    b"\x0a",
    b"\x0b",
    b"\x0c",
    b"\x0f",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x00\x00\x00\x00",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
];

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound.max(1)
    }
}

fn mutate(input: &mut Vec<u8>, other: &[u8], tokens: &[&[u8]], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + random.below(16)).min(input.len());
    match random.below(8) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.next() as u8,
        2 => drop(input.drain(at..end)),
        3 => input.truncate(at),
        4 => {
            let repeated = input[at..end].to_vec();
            input.splice(end..end, repeated);
        }
        5 => {
            let from = random.below(other.len() + 1);
            let to = (from + random.below(64)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        6 => drop(input.splice(at..end, tokens[random.below(tokens.len())].iter().copied())),
        _ => drop(input.splice(at..at, tokens[random.below(tokens.len())].iter().copied())),
    }
    input.truncate(INPUT_BYTES_MAX);
}

/// The inputs of a format's corpus, and the bodies of Zipkin's clients that are wanted.
fn corpus(folder: &str, clients: fn(&str) -> bool) -> Vec<Vec<u8>> {
    let mut inputs = files(&format!("fuzz/corpus/{folder}"), |_| true);
    inputs.extend(files("testdata/clients", clients));
    inputs
}

/// What the files of a directory hold whose paths are wanted, in the order of their names.
fn files(directory: &str, wanted: fn(&str) -> bool) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut paths: Vec<_> = fs::read_dir(directory)
        .expect("a directory of inputs")
        .map(|file| file.expect("a file").path())
        .filter(|path| wanted(&path.to_string_lossy()))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("an input"))
        .collect()
}

fn decode(format: Format, body: &[u8]) -> Option<Vec<Span>> {
    let mut batch = SpanBatch::new();
    let outcome = proto::decode(format, body, &mut batch);
    // What a refused body leaves behind is nothing, what an accepted one does is in proportion to it.
    let bound = if outcome.is_ok() { 8 * body.len() } else { 0 };
    assert!(
        batch.text_bytes() <= bound,
        "{} bytes of text",
        batch.text_bytes()
    );
    assert!(batch.len() <= body.len(), "{} spans", batch.len());
    outcome
        .is_ok()
        .then(|| batch.iter().map(|span| span.to_span()).collect())
}

/// Whether the input was accepted. `lossless` tells that the format can say all that a span can.
fn check(format: Format, lossless: bool, body: &[u8]) -> bool {
    // Whatever they say, they must come back. A thrift list is five bytes, then spans.
    let _ = (proto::detect(body), proto::check_list(format, body).is_ok());
    let first_span = body.get(5..).unwrap_or_default();
    let _ = proto::decode_thrift_span(first_span, &mut SpanBatch::new()).is_ok();
    let Some(spans) = decode(format, body) else {
        return false;
    };
    assert_eq!(
        decode(Format::JsonV2, &proto::encode(Format::JsonV2, &spans)).as_ref(),
        Some(&spans)
    );
    let again = decode(format, &proto::encode(format, &spans));
    if lossless {
        assert_eq!(again, Some(spans));
    } else {
        assert!(again.is_some(), "what was written can be read");
    }
    true
}

/// Whether a message that nobody writes any more, or not we, was accepted.
fn check_message(wire: Wire, body: &[u8]) -> bool {
    let mut batch = SpanBatch::new();
    let is_accepted = proto::decode_message(wire, body, &mut batch).is_ok();
    assert!(is_accepted || batch.is_empty(), "a message is refused whole");
    assert!(batch.len() <= body.len(), "{} spans", batch.len());
    let spans: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
    let written = proto::encode(Format::JsonV2, &spans);
    assert_eq!(decode(Format::JsonV2, &written).as_ref(), Some(&spans));
    is_accepted
}

fn fuzz(format: &str, mut pool: Vec<Vec<u8>>, tokens: &[&[u8]], check: impl Fn(&[u8]) -> bool) {
    assert!(!pool.is_empty(), "no input to start from");
    for input in &pool {
        assert!(check(input), "the corpus is of accepted inputs");
    }
    let seed = format.bytes().fold(0, |seed, byte| seed << 5 ^ u64::from(byte));
    let mut random = Random(0x5eed_0000 ^ seed);
    let (mut accepted, mut refused) = (0u32, 0u32);
    let begin = Instant::now();
    while begin.elapsed() < TIME_BOX {
        let mut input = pool[random.below(pool.len())].clone();
        for _ in 0..=random.below(4) {
            let other = random.below(pool.len());
            mutate(&mut input, &pool[other], tokens, &mut random);
        }
        let failing = PrintOnPanic {
            format,
            input: &input,
        };
        let started = Instant::now();
        let is_accepted = check(&input);
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        drop(failing);
        if !is_accepted {
            refused += 1;
            continue;
        }
        accepted += 1;
        if pool.len() < POOL_MAX {
            pool.push(input);
        } else {
            let replaced = random.below(POOL_MAX);
            pool[replaced] = input;
        }
    }
    assert!(
        accepted > 50 && refused > 50,
        "{accepted} accepted, {refused} refused: that is no fuzzing"
    );
}

fn fuzz_list(format: Format, lossless: bool, pool: Vec<Vec<u8>>, tokens: &[&[u8]]) {
    assert!(pool.len() > 10, "only {} inputs to start from", pool.len());
    fuzz(format.zipkin_name(), pool, tokens, |body| {
        check(format, lossless, body)
    });
}

/// Tells which input it was when something below it panics.
struct PrintOnPanic<'a> {
    format: &'a str,
    input: &'a [u8],
}

impl Drop for PrintOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} fails on \"{}\"", self.format, self.input.escape_ascii());
        }
    }
}

#[test]
fn json_v2_survives_damage() {
    let pool = corpus("json_v2", |path| {
        path.ends_with(".json") && !path.ends_with("-v1.json")
    });
    fuzz_list(Format::JsonV2, true, pool, &JSON_TOKENS);
}

#[test]
fn json_v1_survives_damage() {
    let pool = corpus("json_v1", |path| path.ends_with("-v1.json"));
    fuzz_list(Format::JsonV1, false, pool, &JSON_TOKENS);
}

#[test]
fn thrift_survives_damage() {
    let pool = corpus("thrift", |path| path.ends_with(".thrift"));
    fuzz_list(Format::Thrift, false, pool, &BINARY_TOKENS);
}

#[test]
fn proto3_survives_damage() {
    let pool = corpus("proto3", |path| path.ends_with(".proto3"));
    fuzz_list(Format::Proto3, true, pool, &BINARY_TOKENS);
}

#[test]
fn jaegers_thrift_survives_damage() {
    let pool = files("testdata/jaeger", |path| path.ends_with(".thrift"));
    fuzz("jaeger.thrift", pool, &BINARY_TOKENS, |body| {
        check_message(Wire::JaegerThrift, body)
    });
}

#[test]
fn jaegers_proto3_survives_damage() {
    let pool = files("testdata/jaeger", |path| path.ends_with(".proto3"));
    fuzz("jaeger.proto3", pool, &BINARY_TOKENS, |body| {
        check_message(Wire::JaegerProto, body)
    });
}

#[test]
fn scribe_survives_damage() {
    let pool = files("testdata/scribe", |path| path.ends_with(".frame"));
    fuzz("scribe", pool, &BINARY_TOKENS, |frame| {
        let entries = Call::read(frame).and_then(|call| call.entries("zipkin"));
        entries.is_ok_and(|entries| check_message(Wire::ScribeEntries, &entries.body))
    });
}

fn check_otlp(encoding: OtlpEncoding, body: &[u8]) -> bool {
    let wire = Wire::Otlp {
        encoding,
        resource_prefix: "",
    };
    check_message(wire, body)
}

#[test]
fn otlp_protobuf_survives_damage() {
    let pool = files("testdata/otlp", |path| path.ends_with(".otlp"));
    fuzz("otlp.protobuf", pool, &BINARY_TOKENS, |body| {
        check_otlp(OtlpEncoding::Protobuf, body)
    });
}

#[test]
fn otlp_json_survives_damage() {
    let pool = files("testdata/otlp", |path| path.ends_with(".json"));
    fuzz("otlp.json", pool, &JSON_TOKENS, |body| {
        check_otlp(OtlpEncoding::Json, body)
    });
}
