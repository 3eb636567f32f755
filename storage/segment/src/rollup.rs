//! Rollups: what a segment knows of its traces without reading spans.
//!
//! - Dependency links by the minute of the trace, as if every trace were whole here; a query corrects those that
//!   are not (`dependencies.rs`).
//! - Latency sketches by operation, version and minute (`sketches.rs`).

use std::collections::BTreeMap;

use model::{DependencyLinker, LinkCounts, Span};

use crate::sketches::SketchesBuilder;
use storage_record::bytes::{Cursor, Malformed, Put};

/// Microseconds of a minute: what rollups are kept by.
pub(crate) const MINUTE: u64 = 60_000_000;

/// The links of the traces of a minute.
#[derive(Clone, Debug)]
pub(crate) struct MinuteLinks {
    /// Minutes since the epoch.
    pub(crate) minute: u64,
    pub(crate) links: LinkCounts,
}

/// Collects rollups of the traces of a segment.
#[derive(Debug, Default)]
pub(crate) struct RollupBuilder {
    links: BTreeMap<u64, LinkCounts>,
    pub(crate) sketches: SketchesBuilder,
}

/// The links of one trace.
pub(crate) fn links_of(spans: &[Span]) -> LinkCounts {
    let mut linker = DependencyLinker::new();
    linker.put_trace(spans);
    linker.into_counts()
}

impl RollupBuilder {
    /// Adds a trace; `timestamp` is what dependency windows go by, 0 when it has none, and then it is in no window.
    pub(crate) fn add_trace(&mut self, timestamp: u64, spans: &[Span], version_tags: &[String]) {
        if timestamp != 0 {
            self.links
                .entry(timestamp / MINUTE)
                .or_default()
                .add_all(&links_of(spans));
        }
        self.sketches.add_trace(spans, version_tags);
    }

    pub(crate) fn links_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_varint(self.links.len() as u64);
        for (minute, links) in &self.links {
            out.put_varint(*minute);
            out.put_varint(links.iter().len() as u64);
            for link in links.iter() {
                out.put_text(&link.parent);
                out.put_text(&link.child);
                out.put_zigzag(link.calls);
                out.put_zigzag(link.errors);
            }
        }
        out
    }
}

/// Reads what [`RollupBuilder::links_bytes`] wrote.
pub(crate) fn read_links(bytes: &[u8]) -> Result<Vec<MinuteLinks>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let count = cursor.count(2)?;
    let mut minutes = Vec::with_capacity(count);
    for _ in 0..count {
        let minute = cursor.varint()?;
        let mut links = LinkCounts::new();
        for _ in 0..cursor.count(4)? {
            let (parent, child) = (cursor.text()?, cursor.text()?);
            links.add(parent, child, cursor.zigzag()?, cursor.zigzag()?);
        }
        minutes.push(MinuteLinks { minute, links });
    }
    Ok(minutes)
}
