//! What a request's B3 headers say: the one, `b3`, or the several that begin with `x-b3-`.

use ::http::HeaderMap;
use model::{SpanId, TraceId};

/// What the sender of a request decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Incoming {
    pub(super) decision: Option<Decision>,
    /// The span that the sender began, which the server takes part in.
    pub(super) span: Option<IncomingSpan>,
}

/// Whether a trace is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Dropped,
    Sampled,
    /// Sampled, whatever samplers on its way say.
    Debug,
}

/// The identifiers of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IncomingSpan {
    pub(super) trace_id: TraceId,
    pub(super) parent_id: Option<SpanId>,
    pub(super) id: SpanId,
}

impl Incoming {
    /// The single header comes first. What is malformed is as if it were not there, as Brave reads it.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let single = text("b3").and_then(read_single);
        single.unwrap_or_else(|| read_several(text).unwrap_or_default())
    }
}

/// `{trace}-{span}`, `{trace}-{span}-{decision}`, `{trace}-{span}-{decision}-{parent}`, or `{decision}` alone.
fn read_single(text: &str) -> Option<Incoming> {
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    let (trace_id, id, decision, parent_id) = match parts[..] {
        [decision] => {
            return Some(Incoming {
                decision: Some(read_decision(decision)?),
                span: None,
            });
        }
        [trace_id, id] => (trace_id, id, None, None),
        [trace_id, id, decision] => (trace_id, id, Some(decision), None),
        [trace_id, id, decision, parent_id] => (trace_id, id, Some(decision), Some(parent_id)),
        _ => return None,
    };
    let decision = match decision {
        Some(decision) => Some(read_decision(decision)?),
        None => None,
    };
    Some(Incoming {
        decision,
        span: Some(read_span(trace_id, id, parent_id)?),
    })
}

fn read_several<'a>(text: impl Fn(&'static str) -> Option<&'a str>) -> Option<Incoming> {
    let sampled = match text("x-b3-sampled") {
        Some(sampled) => Some(read_sampled(sampled)?),
        None => None,
    };
    let debug = text("x-b3-flags") == Some("1");
    let decision = if debug { Some(Decision::Debug) } else { sampled };
    let span = match text("x-b3-traceid") {
        Some(trace_id) => Some(read_span(
            trace_id,
            text("x-b3-spanid")?,
            text("x-b3-parentspanid"),
        )?),
        None => None,
    };
    Some(Incoming { decision, span })
}

fn read_decision(text: &str) -> Option<Decision> {
    if text == "d" {
        Some(Decision::Debug)
    } else {
        read_sampled(text)
    }
}

/// Old senders write words.
fn read_sampled(text: &str) -> Option<Decision> {
    match text {
        "1" => Some(Decision::Sampled),
        "0" => Some(Decision::Dropped),
        word if word.eq_ignore_ascii_case("true") => Some(Decision::Sampled),
        word if word.eq_ignore_ascii_case("false") => Some(Decision::Dropped),
        _ => None,
    }
}

fn read_span(trace_id: &str, id: &str, parent_id: Option<&str>) -> Option<IncomingSpan> {
    let parent_id = match parent_id {
        Some(parent_id) => Some(SpanId::parse(parent_id, "parentId").ok()?),
        None => None,
    };
    Some(IncomingSpan {
        trace_id: TraceId::parse(trace_id).ok()?,
        parent_id,
        id: SpanId::parse(id, "id").ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(headers: &[(&'static str, &'static str)]) -> Incoming {
        let pairs = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Incoming::of(&pairs.collect())
    }

    fn span(trace_id: u64, parent_id: Option<u64>, id: u64) -> Option<IncomingSpan> {
        Some(IncomingSpan {
            trace_id: TraceId::new(0, trace_id).unwrap(),
            parent_id: parent_id.map(SpanId::new),
            id: SpanId::new(id),
        })
    }

    #[test]
    fn one_header_says_it_all() {
        let read = |value| incoming(&[("b3", value)]);
        let of = |decision, span| Incoming { decision, span };
        assert_eq!(read("a-b"), of(None, span(10, None, 11)));
        assert_eq!(read("a-b-1"), of(Some(Decision::Sampled), span(10, None, 11)));
        assert_eq!(
            read("a-b-0-c"),
            of(Some(Decision::Dropped), span(10, Some(12), 11))
        );
        assert_eq!(read("a-b-d"), of(Some(Decision::Debug), span(10, None, 11)));
        assert_eq!(read("0"), of(Some(Decision::Dropped), None));
        assert_eq!(read("1"), of(Some(Decision::Sampled), None));
        assert_eq!(read("d"), of(Some(Decision::Debug), None));
    }

    #[test]
    fn several_headers_say_it_one_by_one() {
        let ids = [("x-b3-traceid", "a"), ("x-b3-spanid", "b")];
        let with = |more: &[(&'static str, &'static str)]| incoming(&[&ids[..], more].concat());
        assert_eq!(with(&[]).span, span(10, None, 11));
        assert_eq!(with(&[("x-b3-parentspanid", "c")]).span, span(10, Some(12), 11));
        for (value, decision) in [
            ("1", Decision::Sampled),
            ("true", Decision::Sampled),
            ("0", Decision::Dropped),
            ("False", Decision::Dropped),
        ] {
            assert_eq!(
                with(&[("x-b3-sampled", value)]).decision,
                Some(decision),
                "{value}"
            );
        }
        assert_eq!(
            with(&[("x-b3-flags", "1"), ("x-b3-sampled", "0")]).decision,
            Some(Decision::Debug)
        );
        assert_eq!(
            incoming(&[("x-b3-sampled", "0")]),
            Incoming {
                decision: Some(Decision::Dropped),
                span: None
            }
        );
    }

    #[test]
    fn what_is_malformed_says_nothing() {
        for value in [
            "",
            "x",
            "a",
            "a-",
            "-b",
            "a-b-",
            "a-b-2",
            "A-b-1",
            "0-b-1",
            "a-b-1-",
            "a-b-1-c-d",
            "11111111111111111-11111111111111111-1",
        ] {
            assert_eq!(incoming(&[("b3", value)]), Incoming::default(), "{value}");
        }
        for headers in [
            &[("x-b3-traceid", "a")][..],
            &[
                ("x-b3-traceid", "zz"),
                ("x-b3-spanid", "b"),
                ("x-b3-sampled", "1"),
            ],
            &[
                ("x-b3-traceid", "a"),
                ("x-b3-spanid", "b"),
                ("x-b3-sampled", "yes"),
            ],
        ] {
            assert_eq!(incoming(headers), Incoming::default(), "{headers:?}");
        }
    }

    #[test]
    fn the_single_header_wins_unless_it_is_malformed() {
        let several = [("x-b3-sampled", "0")];
        let decision = |single| incoming(&[&[("b3", single)], &several[..]].concat()).decision;
        assert_eq!(decision("1"), Some(Decision::Sampled));
        assert_eq!(decision("?"), Some(Decision::Dropped));
    }
}
