//! How long calls took, by who called whom: of the newest traces of a window, read one by one.
//!
//! Stores keep how often services call each other and how long operations take, but not how long the calls of one
//! service by another took. So the newest traces are read, a bounded number of them: what is going on now is what a map
//! is looked at for.

use std::collections::HashMap;

use model::{LinkFinder, Sketch, Span, SpanTree, merge};
use storage::{Completeness, DependencyQuery, Found};

use crate::Query;
use crate::answer::{Failure, search_disabled};

/// Traces that are read, and spans of them: some 0.2 s.
const TRACES_MAX: usize = 1_000;
const SPANS_MAX: usize = 200_000;

/// How long calls took, in microseconds, by caller and callee.
#[derive(Debug, Default)]
pub(crate) struct LinkLatencies {
    // By caller, then callee, so that a look-up needs no owned key.
    sketches: HashMap<String, HashMap<String, Sketch>>,
}

impl LinkLatencies {
    /// Nothing of calls that are not timed.
    pub(crate) fn get(&self, parent: &str, child: &str) -> Option<&Sketch> {
        self.sketches.get(parent)?.get(child)
    }

    /// Adds traces until there are too many spans; gives whether there were.
    fn add_all(&mut self, traces: &[Vec<Span>]) -> bool {
        let (mut tree, mut finder) = (SpanTree::default(), LinkFinder::default());
        let mut spans_left = SPANS_MAX;
        for trace in traces {
            let Some(left) = spans_left.checked_sub(trace.len()) else {
                return true;
            };
            spans_left = left;
            let spans = merge(trace);
            tree.rebuild(&spans);
            finder.find(&spans, &tree, |call| {
                let duration = call.timed_by.and_then(|span| span.duration);
                if let Some(duration) = duration {
                    self.sketch(call.parent, call.child).record(duration);
                }
            });
        }
        false
    }

    fn sketch(&mut self, parent: &str, child: &str) -> &mut Sketch {
        if !self.sketches.contains_key(parent) {
            self.sketches.insert(parent.to_owned(), HashMap::new());
        }
        let of_parent = self.sketches.get_mut(parent).expect("it was just added");
        if !of_parent.contains_key(child) {
            of_parent.insert(child.to_owned(), Sketch::new());
        }
        of_parent.get_mut(child).expect("it was just added")
    }
}

impl Query {
    /// How long the calls of a window took, and of which traces that is.
    pub(crate) async fn link_latencies(
        &self,
        window: DependencyQuery,
    ) -> Result<(LinkLatencies, Completeness), Failure> {
        if !self.config.search_enabled {
            return Ok((LinkLatencies::default(), search_disabled()));
        }
        let Found {
            mut traces,
            completeness,
        } = self.source.search(&window.newest(TRACES_MAX + 1)).await?;
        let has_more = traces.len() > TRACES_MAX;
        traces.truncate(TRACES_MAX);
        let (latencies, is_cut) = self
            .turns
            .make(move || {
                let mut latencies = LinkLatencies::default();
                let is_cut = latencies.add_all(&traces);
                Ok((latencies, is_cut))
            })
            .await?;
        let completeness = match completeness {
            Completeness::Complete if has_more || is_cut => Completeness::Partial(format!(
                "p50, p95 and p99 are of the newest traces: at most {TRACES_MAX}, of {SPANS_MAX} spans"
            )),
            other => other,
        };
        Ok((latencies, completeness))
    }
}

#[cfg(test)]
mod tests {
    use model::{Endpoint, Kind, SpanId, TraceId};

    use super::*;

    fn span(id: u64, parent: Option<u64>, kind: Kind, service: &str, duration: u64) -> Span {
        let named = |name: &str| Endpoint {
            service_name: Some(name.to_owned()),
            ..Endpoint::default()
        };
        Span {
            trace_id: TraceId::new(0, 1).unwrap(),
            parent_id: parent.map(SpanId::new),
            id: SpanId::new(id),
            kind: Some(kind),
            name: None,
            timestamp: Some(1_000_000 + id),
            duration: Some(duration),
            local_endpoint: Some(named(service)),
            remote_endpoint: None,
            annotations: Vec::new(),
            tags: Vec::new(),
            debug: false,
            shared: false,
        }
    }

    fn median(latencies: &LinkLatencies, parent: &str, child: &str) -> Option<(u64, u64)> {
        let sketch = latencies.get(parent, child)?;
        Some((sketch.count(), sketch.max()?))
    }

    #[test]
    fn calls_take_what_the_called_side_says_or_else_the_calling_one() {
        let mut store = span(3, Some(2), Kind::Client, "stock", 70);
        store.remote_endpoint = Some(Endpoint {
            service_name: Some("mysql".to_owned()),
            ..Endpoint::default()
        });
        let mut sent = store.clone();
        sent.id = SpanId::new(4);
        sent.kind = Some(Kind::Producer);
        sent.remote_endpoint.as_mut().unwrap().service_name = Some("broker".to_owned());
        let trace = vec![
            span(1, None, Kind::Client, "web", 500),
            span(2, Some(1), Kind::Server, "stock", 300),
            store,
            sent,
        ];
        let mut latencies = LinkLatencies::default();
        assert!(!latencies.add_all(&[trace.clone(), trace]));
        assert_eq!(median(&latencies, "web", "stock"), Some((2, 300)));
        assert_eq!(median(&latencies, "stock", "mysql"), Some((2, 70)));
        // Nobody waits for a message.
        assert_eq!(median(&latencies, "stock", "broker"), None);
        assert_eq!(median(&latencies, "stock", "web"), None);
    }

    #[test]
    fn spans_beyond_the_bound_are_not_read() {
        let huge: Vec<Span> = (0..SPANS_MAX as u64)
            .map(|id| span(id + 1, None, Kind::Client, "web", 1))
            .collect();
        let small = vec![
            span(1, None, Kind::Client, "web", 5),
            span(2, Some(1), Kind::Server, "stock", 3),
        ];
        let mut latencies = LinkLatencies::default();
        assert!(latencies.add_all(&[small, huge]));
        assert_eq!(median(&latencies, "web", "stock"), Some((1, 3)));
    }
}
