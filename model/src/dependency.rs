//! Who calls whom: links between services, counted over traces (`zipkin.md` 4.5).
//!
//! A call is one link whoever reported it: the server's half where there is one, else the client's. Messages
//! link producers and consumers to their broker.

use std::collections::HashMap;

use crate::{Kind, Span, SpanTree, TraceNode, merge};

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
    counts: LinkCounts,
    tree: SpanTree,
    finder: LinkFinder,
}

impl DependencyLinker {
    /// No links yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the links of one trace: all its spans, in any order, raw (not merged).
    pub fn put_trace(&mut self, spans: &[Span]) {
        let spans = merge(spans);
        let Self { counts, tree, finder } = self;
        tree.rebuild(&spans);
        finder.find(&spans, tree, |call| {
            counts.add(call.parent, call.child, 1, i64::from(call.failed));
        });
    }

    /// The links so far, each (parent, child) once, in the order first seen.
    pub fn links(self) -> Vec<DependencyLink> {
        self.counts.links()
    }

    /// The links so far as counts, for sums and differences.
    pub fn into_counts(self) -> LinkCounts {
        self.counts
    }
}

/// One call of one service by another.
#[derive(Debug)]
pub struct LinkCall<'s, S: TraceNode> {
    /// Who calls.
    pub parent: &'s S::Name,
    /// Who is called.
    pub child: &'s S::Name,
    /// Whether either side says that it failed.
    pub failed: bool,
    /// The side that it is counted by, the callee's where there is one: how long that took is how long the call took.
    /// `None` of messages, which nobody waits for, and where neither side was reported.
    pub timed_by: Option<&'s S>,
}

/// Finds the links of one trace after the other, in the same memory.
#[derive(Clone, Debug, Default)]
pub struct LinkFinder {
    // Of each span the nearest one above that took part in a remote operation: local spans may be in between.
    remote_ancestors: Vec<u32>,
}

/// No span.
const NONE: u32 = u32::MAX;

impl LinkFinder {
    /// Gives `found` every call in a trace. `spans` are merged, and `tree` is theirs.
    ///
    /// # Panics
    /// If the tree was built from a different number of spans.
    pub fn find<'s, S: TraceNode>(
        &mut self,
        spans: &'s [S],
        tree: &SpanTree,
        mut found: impl FnMut(LinkCall<'s, S>),
    ) {
        let ancestors = &mut self.remote_ancestors;
        ancestors.clear();
        ancestors.resize(spans.len(), NONE);
        for index in tree.breadth_first() {
            if let Some(parent) = tree.parent(index) {
                ancestors[index] = match spans[parent].kind() {
                    Some(_) => parent as u32,
                    None => ancestors[parent],
                };
            }
            let position = Position {
                is_root: tree.root() == Some(index),
                has_children: tree.children(index).len() > 0,
                remote_ancestor: spans.get(ancestors[index] as usize),
            };
            put_span(&spans[index], position, &mut found);
        }
    }
}

/// Where a span is in its trace.
struct Position<'a, S> {
    is_root: bool,
    has_children: bool,
    remote_ancestor: Option<&'a S>,
}

fn put_span<'s, S: TraceNode>(
    span: &'s S,
    position: Position<'s, S>,
    found: &mut impl FnMut(LinkCall<'s, S>),
) {
    let (local, remote) = (span.local_name(), span.remote_name());
    let kind = match span.kind() {
        // What the server says of itself is better: its half is among the children.
        Some(Kind::Client) if position.has_children => return,
        Some(kind) => kind,
        None if local.is_some() && remote.is_some() => Kind::Client,
        None => return,
    };
    let mut put = |parent: Option<&'s S::Name>, child: Option<&'s S::Name>, failed, timed_by| {
        if let (Some(parent), Some(child)) = (parent, child) {
            found(LinkCall {
                parent,
                child,
                failed,
                timed_by,
            });
        }
    };
    match kind {
        Kind::Producer => put(local, remote, span.is_error(), None),
        Kind::Consumer => put(remote, local, span.is_error(), None),
        // Nobody knows who called the root.
        Kind::Server if position.is_root && remote.is_none() => {}
        Kind::Client | Kind::Server => put_call(span, kind, position.remote_ancestor, &mut put),
    }
}

/// A remote call: the spans above it know more of the caller than the span itself.
fn put_call<'s, S: TraceNode>(
    span: &'s S,
    kind: Kind,
    remote_ancestor: Option<&'s S>,
    put: &mut impl FnMut(Option<&'s S::Name>, Option<&'s S::Name>, bool, Option<&'s S>),
) {
    let (local, remote) = (span.local_name(), span.remote_name());
    let (mut parent, child) = if kind == Kind::Client {
        (local, remote)
    } else {
        (remote, local)
    };
    let mut failed = span.is_error();
    let named = remote_ancestor.and_then(|ancestor| Some((ancestor, ancestor.local_name()?)));
    if let Some((ancestor, name)) = named {
        // A client that names itself other than the server it runs in: the call that led there is missing.
        if kind == Kind::Client && local.is_some_and(|local| local != name) {
            put(Some(name), local, false, None);
        }
        if kind == Kind::Server || parent.is_none() {
            parent = Some(name);
        }
        // The client's half was skipped, but only it knows of errors on the way.
        if ancestor.kind() == Some(Kind::Client) && span.parent_id() == Some(ancestor.id()) {
            failed |= ancestor.is_error();
        }
    }
    put(parent, child, failed, Some(span));
}

/// Calls and errors of each (parent, child), which can be added and taken away.
///
/// Counts may be negative in between: what is to be taken away may come first. Their sum does not depend on the
/// order, only the order of [`LinkCounts::links`] does.
#[derive(Clone, Debug, Default)]
pub struct LinkCounts {
    entries: Vec<LinkCount>,
    // Parent, then child, so that a look-up needs no owned key.
    positions: HashMap<String, HashMap<String, usize>>,
}

/// An entry of [`LinkCounts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCount {
    /// The caller's service name.
    pub parent: String,
    /// The callee's service name.
    pub child: String,
    /// Calls added less calls taken away.
    pub calls: i64,
    /// Errors added less errors taken away.
    pub errors: i64,
}

impl LinkCounts {
    /// No counts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds calls and errors of one link; negative numbers take away. Sums beyond the range of `i64` stay at its
    /// ends.
    pub fn add(&mut self, parent: &str, child: &str, calls: i64, errors: i64) {
        let position = self.position(parent, child);
        let entry = &mut self.entries[position];
        entry.calls = entry.calls.saturating_add(calls);
        entry.errors = entry.errors.saturating_add(errors);
    }

    /// Adds all of `other`.
    pub fn add_all(&mut self, other: &Self) {
        for entry in &other.entries {
            self.add(&entry.parent, &entry.child, entry.calls, entry.errors);
        }
    }

    /// Takes away all of `other`.
    pub fn subtract_all(&mut self, other: &Self) {
        for entry in &other.entries {
            self.add(
                &entry.parent,
                &entry.child,
                entry.calls.saturating_neg(),
                entry.errors.saturating_neg(),
            );
        }
    }

    /// All entries in the order first seen, also those that are zero or negative.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &LinkCount> {
        self.entries.iter()
    }

    /// What is left, in the order first seen: entries with at least one call, with no more errors than calls.
    pub fn links(self) -> Vec<DependencyLink> {
        let left = self.entries.into_iter().filter(|entry| entry.calls > 0);
        left.map(|entry| DependencyLink {
            call_count: entry.calls.unsigned_abs(),
            error_count: entry.errors.clamp(0, entry.calls).unsigned_abs(),
            parent: entry.parent,
            child: entry.child,
        })
        .collect()
    }

    fn position(&mut self, parent: &str, child: &str) -> usize {
        if let Some(&position) = self
            .positions
            .get(parent)
            .and_then(|children| children.get(child))
        {
            return position;
        }
        let position = self.entries.len();
        self.entries.push(LinkCount {
            parent: parent.to_owned(),
            child: child.to_owned(),
            calls: 0,
            errors: 0,
        });
        self.positions
            .entry(parent.to_owned())
            .or_default()
            .insert(child.to_owned(), position);
        position
    }
}

/// Sums links of equal (parent, child), in the order first seen.
pub fn merge_links(links: impl IntoIterator<Item = DependencyLink>) -> Vec<DependencyLink> {
    let mut counts = LinkCounts::new();
    for link in links {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        counts.add(
            &link.parent,
            &link.child,
            signed(link.call_count),
            signed(link.error_count),
        );
    }
    counts.links()
}
