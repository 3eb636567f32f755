//! Who calls whom: links between services, counted over traces (`zipkin.md` 4.5).

use crate::Span;

/// Calls between two services in some window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DependencyLink {
    /// The caller's service name.
    pub parent: String,
    /// The callee's service name.
    pub child: String,
    /// How many calls; at least 1.
    pub call_count: u64,
    /// How many of them failed.
    pub error_count: u64,
}

/// Collects the links of traces.
#[derive(Debug, Default)]
pub struct DependencyLinker {
    links: Vec<DependencyLink>,
}

impl DependencyLinker {
    /// No links yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the links of one trace: all its spans, in any order, raw (not merged).
    pub fn put_trace(&mut self, _spans: &[Span]) {}

    /// The links so far, each (parent, child) once, in the order first seen.
    pub fn links(self) -> Vec<DependencyLink> {
        self.links
    }
}
