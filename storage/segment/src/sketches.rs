//! Latency sketches: durations, self times, errors and calls of each operation, version and minute.
//!
//! An operation is (service, span name, kind). Times of a span count in the minute it began in. Self times are
//! those of the trace as it is in this segment.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use model::{Kind, Sketch, Span, SpanTree, Timeline};

use crate::rollup::MINUTE;
use storage_record::bytes::{Cursor, Malformed, Put};

/// Entries a segment may have. Beyond that, spans of further operations count for their service, without span
/// name and version, so that hostile names cost neither memory nor truth.
const ENTRIES_MAX: usize = 50_000;

/// What is known of the spans of one operation, version and minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SketchEntry {
    pub(crate) operation: Operation,
    /// Empty where no tag tells it.
    pub(crate) version: String,
    /// Minutes since the epoch.
    pub(crate) minute: u64,
    pub(crate) spans: u64,
    /// Spans with the tag key `error`.
    pub(crate) errors: u64,
    /// Traces with at least one of the spans: calls a trace are `spans / traces`.
    pub(crate) traces: u64,
    /// Of spans that have one, microseconds.
    pub(crate) durations: Sketch,
    /// Of spans that have a timestamp and a duration, microseconds.
    pub(crate) self_times: Sketch,
}

/// What spans of one kind do at one service. Names are empty where spans have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) service: String,
    pub(crate) span_name: String,
    pub(crate) kind: Option<Kind>,
}

/// Collects the sketches of a segment.
#[derive(Debug, Default)]
pub(crate) struct SketchesBuilder {
    entries: Vec<SketchEntry>,
    numbers: HashTable<u32>,
    hasher: RandomState,
    /// The number of the trace each entry was last counted for.
    last_traces: Vec<u64>,
    traces: u64,
}

/// An entry's key, borrowed from a span.
#[derive(Clone, Copy)]
struct Key<'a> {
    service: &'a str,
    span_name: &'a str,
    kind: Option<Kind>,
    version: &'a str,
    minute: u64,
}

impl<'a> Key<'a> {
    fn of_entry(entry: &'a SketchEntry) -> Self {
        let Operation {
            service,
            span_name,
            kind,
        } = &entry.operation;
        Self {
            service,
            span_name,
            kind: *kind,
            version: &entry.version,
            minute: entry.minute,
        }
    }

    fn is(&self, other: &Self) -> bool {
        (self.service, self.span_name, self.kind, self.version, self.minute)
            == (
                other.service,
                other.span_name,
                other.kind,
                other.version,
                other.minute,
            )
    }

    fn hash(&self, hasher: &RandomState) -> u64 {
        let mut hasher = hasher.build_hasher();
        for text in [self.service, self.span_name, self.version] {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
        }
        hasher.write_u8(self.kind.map_or(0, |kind| kind as u8));
        hasher.write_u64(self.minute);
        hasher.finish()
    }
}

impl SketchesBuilder {
    pub(crate) fn add_trace(&mut self, spans: &[Span], version_tags: &[String]) {
        self.traces += 1;
        let tree = SpanTree::build(spans);
        let timeline = Timeline::build(spans, &tree);
        for (index, span) in spans.iter().enumerate() {
            let Some(timestamp) = span.timestamp else { continue };
            let key = Key {
                service: span.local_service_name().unwrap_or_default(),
                span_name: span.name.as_deref().unwrap_or_default(),
                kind: span.kind,
                version: version_tags
                    .iter()
                    .find_map(|tag| span.tag(tag))
                    .unwrap_or_default(),
                minute: timestamp / MINUTE,
            };
            let number = self.number(key);
            let entry = &mut self.entries[number];
            entry.spans += 1;
            entry.errors += u64::from(span.is_error());
            if self.last_traces[number] != self.traces {
                self.last_traces[number] = self.traces;
                entry.traces += 1;
            }
            if let Some(duration) = span.duration {
                entry.durations.record(duration);
            }
            if let Some(self_time) = timeline.self_time(index) {
                entry.self_times.record(self_time);
            }
        }
    }

    fn number(&mut self, key: Key<'_>) -> usize {
        if let Some(number) = self.find(&key) {
            return number;
        }
        if self.entries.len() < ENTRIES_MAX {
            return self.insert(key);
        }
        let rest = Key {
            span_name: "",
            version: "",
            kind: None,
            ..key
        };
        self.find(&rest).unwrap_or_else(|| {
            // Services are bounded far below entries in any fleet; where they are not, they share one entry.
            let rest = if self.entries.len() < 2 * ENTRIES_MAX {
                rest
            } else {
                Key { service: "", ..rest }
            };
            self.find(&rest).unwrap_or_else(|| self.insert(rest))
        })
    }

    fn find(&self, key: &Key<'_>) -> Option<usize> {
        let is_it = |&number: &u32| Key::of_entry(&self.entries[number as usize]).is(key);
        self.numbers
            .find(key.hash(&self.hasher), is_it)
            .map(|&number| number as usize)
    }

    fn insert(&mut self, key: Key<'_>) -> usize {
        let number = self.entries.len();
        self.entries.push(SketchEntry {
            operation: Operation {
                service: key.service.to_owned(),
                span_name: key.span_name.to_owned(),
                kind: key.kind,
            },
            version: key.version.to_owned(),
            minute: key.minute,
            spans: 0,
            errors: 0,
            traces: 0,
            durations: Sketch::new(),
            self_times: Sketch::new(),
        });
        self.last_traces.push(0);
        let Self {
            entries,
            numbers,
            hasher,
            ..
        } = self;
        let rehash = |&number: &u32| Key::of_entry(&entries[number as usize]).hash(hasher);
        numbers.insert_unique(key.hash(hasher), number as u32, rehash);
        number
    }

    /// The section: entries in the order first seen.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_varint(self.entries.len() as u64);
        for entry in &self.entries {
            out.put_text(&entry.operation.service);
            out.put_text(&entry.operation.span_name);
            out.push(entry.operation.kind.map_or(0, |kind| kind as u8));
            out.put_text(&entry.version);
            for number in [entry.minute, entry.spans, entry.errors, entry.traces] {
                out.put_varint(number);
            }
            entry.durations.encode(out);
            entry.self_times.encode(out);
        }
    }
}

/// Reads what [`SketchesBuilder::put`] wrote.
pub(crate) fn read_sketches(bytes: &[u8]) -> Result<Vec<SketchEntry>, Malformed> {
    const ENTRY_BYTES_MIN: usize = 10;
    let mut cursor = Cursor::new(bytes);
    let count = cursor.count(ENTRY_BYTES_MIN)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let service = cursor.text()?.to_owned();
        let span_name = cursor.text()?.to_owned();
        let kind = Kind::from_number(u64::from(cursor.u8()?));
        let version = cursor.text()?.to_owned();
        let mut number = || cursor.varint();
        let (minute, spans, errors, traces) = (number()?, number()?, number()?, number()?);
        let operation = Operation {
            service,
            span_name,
            kind,
        };
        let durations = cursor.sketch()?;
        let self_times = cursor.sketch()?;
        entries.push(SketchEntry {
            operation,
            version,
            minute,
            spans,
            errors,
            traces,
            durations,
            self_times,
        });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::span;

    fn versioned(trace: u64, id: u64, version: &str, duration: u64) -> Span {
        let mut span = span(trace, id, 3 * MINUTE + 5);
        span.tags.push(("version".to_owned(), version.to_owned()));
        Span {
            duration: Some(duration),
            ..span
        }
    }

    fn read(builder: &SketchesBuilder) -> Vec<SketchEntry> {
        let mut bytes = Vec::new();
        builder.put(&mut bytes);
        read_sketches(&bytes).unwrap()
    }

    #[test]
    fn counts_by_operation_version_and_minute() {
        let mut builder = SketchesBuilder::default();
        let tags = ["version".to_owned()];
        let child = Span {
            parent_id: Some(model::SpanId::new(1)),
            ..versioned(1, 2, "2", 300)
        };
        builder.add_trace(&[versioned(1, 1, "1", 1000), child], &tags);
        builder.add_trace(&[versioned(2, 1, "1", 2000), versioned(2, 3, "1", 4000)], &tags);
        let entries = read(&builder);
        assert_eq!(entries, builder.entries);
        let of = |version: &str| entries.iter().find(|entry| entry.version == version).unwrap();
        assert_eq!((of("1").minute, of("1").spans, of("1").traces), (3, 3, 2));
        assert_eq!(of("1").durations.sum(), 7000);
        // A child ran inside its parent, 1000 - 300; two that ran together are 0 and 4000.
        assert_eq!(of("1").self_times.sum(), 700 + 4000);
        assert_eq!(of("2").operation.service, "web");
    }

    #[test]
    fn hostile_names_share_an_entry() {
        let mut builder = SketchesBuilder::default();
        for name in 0..ENTRIES_MAX + 100 {
            let span = Span {
                name: Some(format!("name-{name}")),
                ..span(1, 1, MINUTE)
            };
            builder.add_trace(&[span], &[]);
        }
        let entries = read(&builder);
        assert_eq!(entries.len(), ENTRIES_MAX + 1);
        assert_eq!(
            (
                entries[ENTRIES_MAX].spans,
                entries[ENTRIES_MAX].operation.span_name.as_str()
            ),
            (100, "")
        );
    }
}
