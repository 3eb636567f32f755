//! What the frozen fixtures were written from.
//!
//! **This file never changes what it gives**: `testdata` holds the bytes of these spans for ever, and a span that changed
//! here would make a reader that still understands those bytes look wrong. New spans go into a fixture of a new name.

use model::{Annotation, Endpoint, Kind, Span, SpanId, TraceId};

/// Microseconds since the epoch.
pub(crate) const BEGIN_US: u64 = 1_700_000_000_000_000;

/// The fixtures of every version. `words` and `stragglers-words` have an index of words: its bytes are those of another
/// library, so they are read, not compared.
pub(crate) const NAMES: [&str; 5] = ["plain", "hostile", "words", "stragglers", "stragglers-words"];

/// Whether a fixture has an index of words.
pub(crate) fn has_words(name: &str) -> bool {
    name.ends_with("words")
}

/// The spans of a fixture, a list for each of its segments, sorted. Those of a trace may be in several.
pub(crate) fn rounds_of(name: &str) -> Vec<Vec<Span>> {
    let mut rounds = match name {
        "hostile" => vec![hostile()],
        "plain" | "words" => vec![(1..=40).flat_map(ordinary).collect()],
        _ => split(),
    };
    rounds.iter_mut().for_each(|spans| spans.sort());
    rounds
}

/// Requests whose spans come in three rounds: of some all at once, of the others in two or three.
fn split() -> Vec<Vec<Span>> {
    let mut rounds = vec![Vec::new(); 3];
    for trace in 101..=140 {
        for (mut span, number) in ordinary(trace).into_iter().zip(0..) {
            if number == 3 {
                span.tags
                    .push(("order".to_owned(), format!("batch{trace} of paper")));
                span.tags.sort();
            }
            let round = match trace % 4 {
                0 => number % 3,
                1 => number / 2,
                2 => 2,
                _ => 0,
            };
            rounds[round].push(span);
        }
    }
    rounds
}

fn span(trace: u64, id: u64, service: &str, name: &str) -> Span {
    Span {
        trace_id: TraceId::new(trace.wrapping_mul(0x9e37_79b9_7f4a_7c15), trace).expect("not zero"),
        parent_id: None,
        id: SpanId::new(id),
        kind: Some(Kind::Server),
        name: Some(name.to_owned()),
        timestamp: Some(BEGIN_US + trace % 1000 * 1_000_003 + id % 997),
        duration: Some(1 + trace % 1000 * 7919 % 5000),
        local_endpoint: Some(Endpoint {
            service_name: Some(service.to_owned()),
            port: 8080,
            ..Endpoint::default()
        }),
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: Vec::new(),
        debug: false,
        shared: false,
    }
}

fn tags<const N: usize>(tags: [(&str, String); N]) -> Vec<(String, String)> {
    tags.map(|(key, value)| (key.to_owned(), value)).into()
}

/// A request that reads from a database, as instrumentation reports it: paths and statements with numbers, users.
fn ordinary(trace: u64) -> [Span; 4] {
    let id = |part: u64| (trace * 4 + part).wrapping_mul(0xd134_2543_de82_ef95) | 1;
    let mut front = span(trace, id(0), "front", "get /users/{id}/cart");
    front.tags = tags([
        ("environment", ["prod", "test"][trace as usize % 2].to_owned()),
        ("http.path", format!("/users/{}/cart", trace * 31)),
        ("service.version", "1.4.2".to_owned()),
    ]);
    let mut call = span(trace, id(1), "front", "get");
    call.kind = Some(Kind::Client);
    call.parent_id = Some(SpanId::new(id(0)));
    call.remote_endpoint = Some(Endpoint {
        service_name: Some("cart".to_owned()),
        port: 40_000 + trace as u16,
        ..Endpoint::default()
    });
    let mut cart = span(trace, id(1), "cart", "get /cart");
    cart.parent_id = Some(SpanId::new(id(0)));
    cart.shared = true;
    cart.tags = tags([("user.id", format!("user-{:06}", trace * 17 % 100))]);
    let mut query = span(trace, id(2), "cart", "select");
    query.kind = Some(Kind::Client);
    query.parent_id = Some(SpanId::new(id(1)));
    query.tags = tags([("sql.query", format!("select * from items where cart = {trace}"))]);
    if trace.is_multiple_of(8) {
        query.tags = tags([("error", format!("timeout after {} ms", trace * 100))]);
        query.annotations = vec![Annotation {
            timestamp: BEGIN_US + trace * 1_000_003 - 5,
            value: "retry".to_owned(),
        }];
    }
    [front, call, cart, query]
}

/// What nobody should send: nothing but identifiers, text that is no words, times at the ends, many tags, equal ids.
fn hostile() -> Vec<Span> {
    let mut bare = span(u64::MAX, u64::MAX, "", "");
    (
        bare.name,
        bare.kind,
        bare.timestamp,
        bare.duration,
        bare.local_endpoint,
    ) = (None, None, None, None, None);
    let mut early = span(7, 1, "日本語", "\u{202e}txet");
    (early.timestamp, early.duration) = (Some(1), Some(u64::from(u32::MAX)));
    early.tags = tags([("", String::new()), ("\u{0}", "\u{10ffff}\n\t\"\\".to_owned())]);
    let mut late = span(7, 1, "late", "a");
    late.timestamp = Some(i64::MAX as u64);
    late.annotations = [9, 1, 5]
        .map(|timestamp| Annotation {
            timestamp,
            value: format!("007 0x{timestamp:02X} 1e5 -0"),
        })
        .into();
    late.annotations.sort();
    late.remote_endpoint = Some(Endpoint {
        service_name: None,
        ip: model::IpAddresses {
            v4: Some([255, 255, 255, 255].into()),
            v6: Some([0xfe80, 0, 0, 0, 0, 0, 0, 1].into()),
        },
        port: u16::MAX,
    });
    let mut wide = span(8, 8, &"s".repeat(300), "wide");
    (wide.debug, wide.parent_id) = (true, Some(SpanId::new(9)));
    wide.tags = (0..200)
        .map(|key| (format!("key-{key:03}"), format!("{key:032x}")))
        .collect();
    let mut long = span(8, 9, "long", "long");
    long.tags = tags([("stack", "at a.b.C(D.java:17)\n".repeat(2000))]);
    vec![bare, early, late, wide, long]
}
