//! The spans of a trace as a tree, with Zipkin's rules for who is whose parent (`zipkin.md` 4.4).
//!
//! The tree is a few arrays of indexes into the slice of spans it was built from. Nothing recurses, so a chain
//! may be as deep as memory allows, and every step is O(n log n) whatever the spans claim: ids may repeat, and
//! parents may be missing or form cycles. Every span is in the tree exactly once.

use crate::{SpanId, TraceNode};

/// Who is whose parent in one trace. Spans are named by their index in the slice given to [`SpanTree::build`].
///
/// - The *root* is the first unshared span that names no parent. A trace without one is *headless*: its root is
///   synthetic and is no span.
/// - The parent of a shared span is the unshared span of the same id, else that of its parent id.
/// - The parent of any other span is the shared span of its parent id *at its own local endpoint*, so that what a
///   server does hangs below the server's half; else the unshared span of its parent id. Of several such spans it
///   is the last, but the root only if there is no other.
/// - Spans whose parent cannot be found attach to the root.
/// - A cycle of parents is cut at its earliest span (the first in the slice, of equal timestamps), which attaches
///   to the root.
#[derive(Clone, Debug, Default)]
pub struct SpanTree {
    // `NONE` for the root and, in a headless trace, for the children of the synthetic root.
    parents: Vec<u32>,
    // The children of node i are children[starts[i]..starts[i + 1]]; node `parents.len()` is the synthetic root.
    starts: Vec<u32>,
    children: Vec<u32>,
    breadth_first: Vec<u32>,
    root: Option<u32>,
    // What building takes, kept for the next trace.
    index: ParentIndex,
    numbers: Vec<u32>,
}

/// No span.
const NONE: u32 = u32::MAX;

impl SpanTree {
    /// Arranges the spans of one trace, best as [`crate::merge`] gives them.
    ///
    /// # Panics
    /// If there are 2³² - 1 spans or more.
    pub fn build<S: TraceNode>(spans: &[S]) -> Self {
        let mut tree = Self::default();
        tree.rebuild(spans);
        tree
    }

    /// As [`SpanTree::build`], in the memory of the tree of another trace.
    ///
    /// # Panics
    /// If there are 2³² - 1 spans or more.
    pub fn rebuild<S: TraceNode>(&mut self, spans: &[S]) {
        assert!(
            spans.len() < NONE as usize,
            "a trace has fewer than 2^32 - 1 spans"
        );
        let root = spans
            .iter()
            .position(|span| !span.shared() && span.parent_id().is_none());
        self.root = root.map(|index| index as u32);
        self.index.rebuild(spans, self.root);
        let Self { parents, index, .. } = self;
        parents.clear();
        parents.extend(spans.iter().map(|span| index.parent_of(spans, span)));
        if let Some(root) = root {
            parents[root] = NONE;
        }
        cut_cycles(spans, parents, &mut self.numbers);
        if let Some(root) = root {
            for (index, parent) in parents.iter_mut().enumerate() {
                if *parent == NONE && index != root {
                    *parent = root as u32;
                }
            }
        }
        self.group_children(spans);
        self.order_breadth_first();
    }

    /// How many spans it holds.
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// True if it holds no span.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The span at the root; `None` if the trace is headless.
    pub fn root(&self) -> Option<usize> {
        self.root.map(|root| root as usize)
    }

    /// The span at the root, or those right under the synthetic root, by timestamp.
    pub fn tops(&self) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + Clone + '_ {
        let tops = match &self.root {
            Some(root) => std::slice::from_ref(root),
            None => self.child_slice(self.parents.len()),
        };
        tops.iter().map(|&top| top as usize)
    }

    /// The parent of a span; `None` for the root and for what is right under a synthetic root.
    ///
    /// # Panics
    /// If there is no such span.
    pub fn parent(&self, index: usize) -> Option<usize> {
        Some(self.parents[index])
            .filter(|&parent| parent != NONE)
            .map(|parent| parent as usize)
    }

    /// The children of a span by timestamp, absent first; of equal timestamps in the order of the slice.
    ///
    /// # Panics
    /// If there is no such span.
    pub fn children(
        &self,
        index: usize,
    ) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + Clone + '_ {
        assert!(index < self.len(), "span {index} of {}", self.len());
        self.child_slice(index).iter().map(|&child| child as usize)
    }

    /// All spans, each before its children, level by level.
    pub fn breadth_first(&self) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + Clone + '_ {
        self.breadth_first.iter().map(|&index| index as usize)
    }

    fn child_slice(&self, index: usize) -> &[u32] {
        match self.starts.get(index..index + 2) {
            Some(&[start, end]) => &self.children[start as usize..end as usize],
            // Nothing was arranged yet.
            _ => &[],
        }
    }

    /// A counting sort by parent, then a sort of each family.
    fn group_children<S: TraceNode>(&mut self, spans: &[S]) {
        let Self {
            parents,
            starts,
            children,
            root,
            numbers: ends,
            ..
        } = self;
        let synthetic = parents.len() as u32;
        let families = || {
            let all = parents.iter().zip(0..);
            let all = all.filter(|&(_, index)| *root != Some(index));
            all.map(|(&parent, index)| (parent.min(synthetic), index))
        };
        starts.clear();
        starts.resize(parents.len() + 2, 0);
        for (family, _) in families() {
            starts[family as usize + 1] += 1;
        }
        for node in 1..starts.len() {
            starts[node] += starts[node - 1];
        }
        ends.clone_from(starts);
        children.clear();
        children.resize(starts[parents.len() + 1] as usize, 0);
        for (family, index) in families() {
            let next = &mut ends[family as usize];
            children[*next as usize] = index;
            *next += 1;
        }
        for bounds in starts.windows(2) {
            let family = &mut children[bounds[0] as usize..bounds[1] as usize];
            family.sort_unstable_by_key(|&child| (spans[child as usize].timestamp(), child));
        }
    }

    fn order_breadth_first(&mut self) {
        let mut order = std::mem::take(&mut self.breadth_first);
        order.clear();
        order.extend(self.tops().map(|top| top as u32));
        let mut next = 0;
        while let Some(&index) = order.get(next) {
            order.extend_from_slice(self.child_slice(index as usize));
            next += 1;
        }
        debug_assert_eq!(order.len(), self.len(), "every span is in the tree once");
        self.breadth_first = order;
    }
}

/// Finds parents by id, and by id and endpoint among the shared spans.
#[derive(Clone, Debug, Default)]
struct ParentIndex {
    // The last unshared span of each id (the root only if alone), by id.
    unshared: Vec<(SpanId, u32)>,
    // Shared spans by (id, local endpoint, index).
    shared: Vec<u32>,
}

impl ParentIndex {
    fn rebuild<S: TraceNode>(&mut self, spans: &[S], root: Option<u32>) {
        let Self { unshared, shared } = self;
        unshared.clear();
        shared.clear();
        for (span, index) in spans.iter().zip(0..) {
            if span.shared() {
                shared.push(index);
            } else {
                unshared.push((span.id(), index));
            }
        }
        unshared.sort_unstable_by_key(|&(id, index)| (id, Some(index) != root, index));
        unshared.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = next.1;
            }
            same
        });
        shared.sort_unstable_by(|&a, &b| key(spans, a).cmp(&key(spans, b)).then(a.cmp(&b)));
    }

    fn parent_of<S: TraceNode>(&self, spans: &[S], span: &S) -> u32 {
        let by_parent_id = || {
            let parent_id = span.parent_id()?;
            self.shared(spans, (parent_id, span.place()))
                .or_else(|| self.unshared(parent_id))
        };
        let by_own_id = || {
            if span.shared() {
                self.unshared(span.id())
            } else {
                None
            }
        };
        by_own_id().or_else(by_parent_id).unwrap_or(NONE)
    }

    fn unshared(&self, id: SpanId) -> Option<u32> {
        let found = self.unshared.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(self.unshared[found].1)
    }

    fn shared<S: TraceNode>(&self, spans: &[S], wanted: SharedKey<'_, S>) -> Option<u32> {
        let end = self.shared.partition_point(|&index| key(spans, index) <= wanted);
        let last = *self.shared[..end].last()?;
        Some(last).filter(|&last| key(spans, last) == wanted)
    }
}

/// What tells apart the servers that answer one client's span.
type SharedKey<'a, S> = (SpanId, Option<&'a <S as TraceNode>::Place>);

fn key<S: TraceNode>(spans: &[S], index: u32) -> SharedKey<'_, S> {
    let span = &spans[index as usize];
    (span.id(), span.place())
}

/// Makes the parents a forest. Walks up from every span until it meets one that was walked before; if that was
/// on the same walk, it is on a cycle. `walks` says which walk met a span, named by the span it started from.
fn cut_cycles<S: TraceNode>(spans: &[S], parents: &mut [u32], walks: &mut Vec<u32>) {
    walks.clear();
    walks.resize(parents.len(), NONE);
    for start in 0..parents.len() as u32 {
        let mut index = start;
        while index != NONE && walks[index as usize] == NONE {
            walks[index as usize] = start;
            index = parents[index as usize];
        }
        if index == NONE || walks[index as usize] != start {
            continue;
        }
        let cycle = std::iter::successors(Some(index), |&member| {
            Some(parents[member as usize]).filter(|&next| next != index)
        });
        let time = |member: &u32| (spans[*member as usize].timestamp(), *member);
        if let Some(earliest) = cycle.min_by_key(time) {
            parents[earliest as usize] = NONE;
        }
    }
}
