//! The hostile workload: what no sender should send and some senders do. Seeded, as the reference is.
//!
//! Everything in it is valid, so that a server has to take it: what it may not do is take more memory than its bounds
//! say, answer wrongly, or lose a span.

use model::{Annotation, Endpoint, Kind, Span, SpanId, TraceId};

use super::EPOCH_US;
use super::random::{Random, mix};
use super::vocabulary::{RESOURCES, SERVICES};

const SPANS_A_TRACE: u64 = 8;
const TAGS_MANY: usize = 200;
/// Bytes of a stack trace.
const STACK_BYTES: usize = 1 << 20;
const YEAR_US: u64 = 365 * 86_400_000_000;
/// One more span begins so much later.
const SPAN_EVERY_US: u64 = 700;

/// What is wrong with the spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hostility {
    /// No value of a tag and no annotation comes twice.
    UniqueValues,
    /// 200 tags a span, their keys from a few thousand, half their values unique.
    ManyTags,
    /// A stack trace of a megabyte in each span.
    StackTraces,
    /// All spans are of one trace.
    EndlessTrace,
    /// Clocks are years off, in both directions, or there is no time at all.
    WrongClocks,
    /// All identifiers are the same; the spans differ in everything else.
    EqualIds,
}

impl Hostility {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::UniqueValues,
        Self::ManyTags,
        Self::StackTraces,
        Self::EndlessTrace,
        Self::WrongClocks,
        Self::EqualIds,
    ];

    /// Whether all its spans are of one trace. Each bears its number as a tag then.
    pub fn is_one_trace(self) -> bool {
        matches!(self, Self::EndlessTrace | Self::EqualIds)
    }

    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UniqueValues => "unique values everywhere",
            Self::ManyTags => "200 tags a span",
            Self::StackTraces => "stack traces of 1 MB",
            Self::EndlessTrace => "one trace",
            Self::WrongClocks => "clocks off by years",
            Self::EqualIds => "every id equal",
        }
    }
}

/// An endless series of such spans.
#[derive(Debug)]
pub struct Hostile {
    hostility: Hostility,
    random: Random,
    number: u64,
    trace_id: TraceId,
}

impl Hostile {
    /// The same spans for the same seed, on every machine. No two kinds have a trace in common.
    pub fn new(seed: u64, hostility: Hostility) -> Self {
        let mut random = Random::new(mix(seed ^ (hostility as u64 + 1) << 48));
        Self {
            hostility,
            trace_id: trace_id(&mut random),
            random,
            number: 0,
        }
    }

    fn tags(&mut self) -> Vec<(String, String)> {
        let mut tags: Vec<(String, String)> = match self.hostility {
            Hostility::UniqueValues => vec![
                ("request.id".to_owned(), self.hexadecimal(32)),
                ("http.path".to_owned(), self.path()),
                ("db.statement".to_owned(), self.statement()),
                ("message".to_owned(), self.sentence(12)),
                ("user.agent".to_owned(), self.sentence(6)),
            ],
            Hostility::ManyTags => {
                let first = self.random.below(20);
                (0..TAGS_MANY)
                    .map(|number| {
                        let value = if number % 2 == 0 {
                            self.hexadecimal(16)
                        } else {
                            RESOURCES[self.random.below(RESOURCES.len())].to_owned()
                        };
                        (format!("attribute.{:04}", first * TAGS_MANY + number), value)
                    })
                    .collect()
            }
            Hostility::StackTraces => vec![("error".to_owned(), self.stack_trace())],
            Hostility::EndlessTrace | Hostility::WrongClocks | Hostility::EqualIds => {
                vec![("number".to_owned(), self.number.to_string())]
            }
        };
        tags.sort();
        tags
    }

    /// With what is true of all times: an end is not beyond what 64 bits hold.
    fn timestamp(&mut self) -> Option<u64> {
        let now = EPOCH_US + self.number * SPAN_EVERY_US;
        match (self.hostility, self.number % 5) {
            (Hostility::WrongClocks, 0) => Some(1 + self.random.below(1_000) as u64),
            (Hostility::WrongClocks, 1) => Some(now - YEAR_US * (1 + self.random.below(40) as u64)),
            (Hostility::WrongClocks, 2) => Some(now + YEAR_US * (1 + self.random.below(5_000) as u64)),
            (Hostility::WrongClocks, 3) => None,
            _ => Some(now),
        }
    }

    fn hexadecimal(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            text += &format!("{:016x}", self.random.next());
        }
        text.truncate(digits);
        text
    }

    fn path(&mut self) -> String {
        let resource = self.random.pick(&RESOURCES);
        format!("/{resource}/{}/{}", self.hexadecimal(12), self.hexadecimal(8))
    }

    fn statement(&mut self) -> String {
        let table = self.random.pick(&RESOURCES);
        format!(
            "SELECT * FROM {table} WHERE token = '{}' AND id > {}",
            self.hexadecimal(20),
            self.random.next()
        )
    }

    /// Words that nobody knows.
    fn sentence(&mut self, words: usize) -> String {
        let words = (0..words).map(|_| {
            let letters = 3 + self.random.below(9);
            (0..letters)
                .map(|_| char::from(b'a' + self.random.below(26) as u8))
                .collect()
        });
        words.collect::<Vec<String>>().join(" ")
    }

    fn stack_trace(&mut self) -> String {
        let mut text = String::with_capacity(STACK_BYTES + 200);
        text += "java.lang.IllegalStateException: ";
        text += &self.hexadecimal(16);
        while text.len() < STACK_BYTES {
            let (resource, line) = (self.random.pick(&RESOURCES), self.random.below(3_000));
            text += &format!(
                "\n\tat com.example.{resource}.Handler${}.run(Handler.java:{line})",
                self.hexadecimal(6)
            );
        }
        text.truncate(STACK_BYTES);
        text
    }

    fn ids(&mut self) -> (SpanId, Option<SpanId>) {
        match self.hostility {
            Hostility::EqualIds => (SpanId::new(self.trace_id.low()), None),
            // Every span below one of those before it: as deep as it is long.
            Hostility::EndlessTrace => {
                let parent = (self.number > 0)
                    .then(|| SpanId::new(1 + self.random.below(self.number as usize) as u64));
                (SpanId::new(self.number + 1), parent)
            }
            _ => {
                let within = self.number % SPANS_A_TRACE;
                let parent = (within > 0).then(|| SpanId::new(within));
                (SpanId::new(within + 1), parent)
            }
        }
    }
}

impl Iterator for Hostile {
    type Item = Span;

    /// Never `None`.
    fn next(&mut self) -> Option<Span> {
        if !self.hostility.is_one_trace() && self.number.is_multiple_of(SPANS_A_TRACE) {
            self.trace_id = trace_id(&mut self.random);
        }
        let (id, parent_id) = self.ids();
        let timestamp = self.timestamp();
        let annotations = match (self.hostility, timestamp) {
            (Hostility::UniqueValues, Some(timestamp)) => vec![Annotation {
                timestamp,
                value: self.sentence(5),
            }],
            _ => Vec::new(),
        };
        let span = Span {
            trace_id: self.trace_id,
            parent_id,
            id,
            kind: Some(Kind::Server),
            name: Some(format!("get /{}", RESOURCES[(self.number % 20) as usize])),
            timestamp,
            duration: Some(1 + self.random.below(50_000) as u64),
            local_endpoint: Some(Endpoint {
                service_name: Some(SERVICES[(self.number % 40) as usize].to_owned()),
                ..Endpoint::default()
            }),
            remote_endpoint: None,
            annotations,
            tags: self.tags(),
            debug: false,
            shared: false,
        };
        self.number += 1;
        Some(span)
    }
}

fn trace_id(random: &mut Random) -> TraceId {
    TraceId::new(random.next(), random.next() | 1).expect("the low half is odd")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use model::SpanBatch;

    use super::*;

    fn spans(hostility: Hostility, count: usize) -> Vec<Span> {
        Hostile::new(1, hostility).take(count).collect()
    }

    #[test]
    fn a_seed_is_the_same_spans_always_and_all_are_normalised() {
        for hostility in Hostility::ALL {
            let first = spans(hostility, 20);
            assert_eq!(first, spans(hostility, 20), "{hostility:?}");
            let other: Vec<Span> = Hostile::new(2, hostility).take(20).collect();
            assert_ne!(first, other, "{hostility:?}");
            for span in &first {
                let mut batch = SpanBatch::new();
                batch.push_span(span);
                assert_eq!(&batch.get(0).to_span(), span, "{hostility:?}");
            }
        }
    }

    #[test]
    fn no_value_comes_twice() {
        let spans = spans(Hostility::UniqueValues, 2_000);
        let tags = spans.iter().flat_map(|span| &span.tags).map(|(_, value)| value);
        let notes = spans
            .iter()
            .flat_map(|span| &span.annotations)
            .map(|note| &note.value);
        let all: Vec<&String> = tags.chain(notes).collect();
        assert_eq!(all.len(), 12_000);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn there_are_200_tags_of_some_thousand_keys() {
        let spans = spans(Hostility::ManyTags, 400);
        assert!(spans.iter().all(|span| span.tags.len() == 200));
        let keys: HashSet<&String> = spans
            .iter()
            .flat_map(|span| &span.tags)
            .map(|tag| &tag.0)
            .collect();
        assert!((3_000..=4_000).contains(&keys.len()), "{}", keys.len());
    }

    #[test]
    fn a_stack_trace_has_a_megabyte() {
        for span in spans(Hostility::StackTraces, 3) {
            assert_eq!(span.tag("error").map(str::len), Some(1 << 20));
        }
    }

    #[test]
    fn one_trace_has_all_spans_and_one_root() {
        let spans = spans(Hostility::EndlessTrace, 5_000);
        assert!(spans.iter().all(|span| span.trace_id == spans[0].trace_id));
        let ids: HashSet<SpanId> = spans.iter().map(|span| span.id).collect();
        assert_eq!(ids.len(), spans.len());
        assert_eq!(spans.iter().filter(|span| span.parent_id.is_none()).count(), 1);
        assert!(
            spans
                .iter()
                .filter_map(|span| span.parent_id)
                .all(|parent| ids.contains(&parent))
        );
    }

    #[test]
    fn clocks_are_years_off_or_missing() {
        let spans = spans(Hostility::WrongClocks, 1_000);
        let times = || spans.iter().filter_map(|span| span.timestamp);
        assert!(times().count() < spans.len());
        assert!(times().any(|time| time < YEAR_US));
        assert!(times().any(|time| time < EPOCH_US - 30 * YEAR_US && time > YEAR_US));
        assert!(times().any(|time| time > EPOCH_US + 1_000 * YEAR_US));
    }

    #[test]
    fn every_identifier_is_equal_and_no_span() {
        let spans = spans(Hostility::EqualIds, 1_000);
        let ids: HashSet<_> = spans
            .iter()
            .map(|span| (span.trace_id, span.id, span.parent_id))
            .collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(spans[0].trace_id.low(), spans[0].id.value());
        assert_eq!(spans.iter().collect::<BTreeSet<_>>().len(), spans.len());
    }
}
