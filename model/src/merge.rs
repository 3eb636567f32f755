//! Joins the pieces spans were reported in: one span a side of each operation (`zipkin.md` 4.4).
//!
//! A client may report a span before it ends and its duration later, a retried report arrives twice, and both
//! sides of a remote call may use one id. Merging sorts the spans of a trace so that what belongs together is
//! adjacent, joins neighbours, and repairs what old instrumentation leaves out of the server's half.
//!
//! Zipkin's order leaves ties to the order of arrival. Here every tie is decided by content, so that the result
//! never depends on the order of the spans. IP addresses are ordered as numbers, not as text; the order matters only
//! for which of several incompatible neighbours an incomplete piece joins.
//!
//! Cost: O(n log n) comparisons; a span is copied only if it is changed.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::{Endpoint, IpAddresses, Kind, Span, SpanId, TraceId, TraceNode};

mod outlines;

pub use outlines::merge_outlines;

/// The spans of one trace, each once: pieces of equal (id, shared, compatible local endpoint) are joined, and
/// all have the longest trace id. Sorted by id, then client, other unshared, shared halves.
///
/// Of contradicting pieces the first in that order wins; of contradicting tags the last. After a CLIENT, a
/// SERVER of the same id that lacks `shared` gets it; a shared span without a parent has its client's.
///
/// Merging what is merged changes nothing, unless a flag that was repaired makes two halves joinable, or an
/// endpoint was reported in pieces that fit several others.
pub fn merge(spans: &[Span]) -> Vec<Cow<'_, Span>> {
    let sorted = sort(spans);
    let mut merged = Vec::with_capacity(sorted.len());
    let mut rest = sorted.as_slice();
    while let Some(first) = rest.first() {
        let (run, next) = rest.split_at(run_length(rest));
        merged.push(if run.iter().all(|piece| piece.span == first.span) {
            Cow::Borrowed(first.span)
        } else {
            Cow::Owned(join(run))
        });
        rest = next;
    }
    lengthen_trace_ids(&mut merged);
    repair_shared(&mut merged);
    merged
}

/// A span with the part of its order that nearly always decides.
struct Piece<'a> {
    id: SpanId,
    side: Side,
    span: &'a Span,
}

/// The order of the halves of one id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Client,
    OtherUnshared,
    Shared,
}

impl Side {
    fn of<S: TraceNode>(span: &S) -> Self {
        if span.shared() {
            Self::Shared
        } else if span.kind() == Some(Kind::Client) {
            Self::Client
        } else {
            Self::OtherUnshared
        }
    }
}

fn sort(spans: &[Span]) -> Vec<Piece<'_>> {
    let mut sorted: Vec<_> = spans
        .iter()
        .map(|span| Piece {
            id: span.id,
            side: Side::of(span),
            span,
        })
        .collect();
    sorted.sort_unstable_by(|a, b| {
        (a.id, &a.side)
            .cmp(&(b.id, &b.side))
            .then_with(|| compare_pieces(a.span, b.span))
    });
    sorted
}

/// Zipkin's order of pieces of one side: by local endpoint, none first. Then, to leave no tie, by everything else.
fn compare_pieces(a: &Span, b: &Span) -> Ordering {
    let by_endpoint = match (&a.local_endpoint, &b.local_endpoint) {
        (Some(a), Some(b)) => compare_endpoints(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    by_endpoint.then_with(|| a.cmp(b))
}

/// By name, then addresses, each absent last; then by port, which Zipkin leaves to arrival.
fn compare_endpoints(a: &Endpoint, b: &Endpoint) -> Ordering {
    absent_last(a.service_name.as_deref(), b.service_name.as_deref())
        .then_with(|| absent_last(a.ip.v4, b.ip.v4))
        .then_with(|| absent_last(a.ip.v6, b.ip.v6))
        .then_with(|| a.port.cmp(&b.port))
}

fn absent_last<T: Ord>(a: Option<T>, b: Option<T>) -> Ordering {
    b.is_some().cmp(&a.is_some()).then_with(|| a.cmp(&b))
}

/// How many of the first pieces are one span: equal id and `shared`, and endpoints that do not contradict what
/// the pieces before them say.
fn run_length(pieces: &[Piece<'_>]) -> usize {
    let Some((first, rest)) = pieces.split_first() else {
        return 0;
    };
    let mut known = KnownEndpoint::default();
    known.accept_endpoint(first.span.local_endpoint.as_ref());
    1 + rest
        .iter()
        .take_while(|next| {
            next.id == first.id
                && next.span.shared == first.span.shared
                && known.accept_endpoint(next.span.local_endpoint.as_ref())
        })
        .count()
}

/// What is known of an endpoint that is reported in pieces.
#[derive(Default)]
struct KnownEndpoint<N> {
    name: Option<N>,
    ip: IpAddresses,
    port: Option<u16>,
}

impl<'a> KnownEndpoint<&'a str> {
    fn accept_endpoint(&mut self, piece: Option<&'a Endpoint>) -> bool {
        piece.is_none_or(|piece| self.accept(piece.service_name.as_deref(), piece.ip, piece.port))
    }
}

impl<N: PartialEq> KnownEndpoint<N> {
    /// Learns from a piece, unless the piece contradicts; returns whether it did not.
    fn accept(&mut self, name: Option<N>, ip: IpAddresses, port: u16) -> bool {
        let port = Some(port).filter(|&port| port != 0);
        let fits = compatible(&self.name, &name)
            && compatible(&self.ip.v4, &ip.v4)
            && compatible(&self.ip.v6, &ip.v6)
            && compatible(&self.port, &port);
        if fits {
            self.name = self.name.take().or(name);
            self.ip.v4 = self.ip.v4.or(ip.v4);
            self.ip.v6 = self.ip.v6.or(ip.v6);
            self.port = self.port.or(port);
        }
        fits
    }
}

fn compatible<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// Makes one span of its pieces, at least one. Tags and annotations are sorted once at the end, so that a span
/// in very many pieces costs no more than many spans.
fn join(pieces: &[Piece<'_>]) -> Span {
    let mut joined = pieces[0].span.clone();
    for Piece { span: next, .. } in &pieces[1..] {
        joined.parent_id = joined.parent_id.or(next.parent_id);
        joined.kind = joined.kind.or(next.kind);
        joined.timestamp = joined.timestamp.or(next.timestamp);
        joined.duration = joined.duration.or(next.duration);
        if joined.name.is_none() {
            joined.name.clone_from(&next.name);
        }
        fill_endpoint(&mut joined.local_endpoint, next.local_endpoint.as_ref());
        fill_endpoint(&mut joined.remote_endpoint, next.remote_endpoint.as_ref());
        joined.annotations.extend_from_slice(&next.annotations);
        joined.tags.extend_from_slice(&next.tags);
        joined.debug |= next.debug;
    }
    joined.annotations.sort_unstable();
    joined.annotations.dedup();
    // The last of equal keys wins: with the order reversed, that is the one `dedup` keeps.
    joined.tags.reverse();
    joined.tags.sort_by(|a, b| a.0.cmp(&b.0));
    joined.tags.dedup_by(|a, b| a.0 == b.0);
    joined
}

fn fill_endpoint(endpoint: &mut Option<Endpoint>, next: Option<&Endpoint>) {
    let Some(next) = next else { return };
    let Some(endpoint) = endpoint else {
        *endpoint = Some(next.clone());
        return;
    };
    if endpoint.service_name.is_none() {
        endpoint.service_name.clone_from(&next.service_name);
    }
    endpoint.ip.v4 = endpoint.ip.v4.or(next.ip.v4);
    endpoint.ip.v6 = endpoint.ip.v6.or(next.ip.v6);
    if endpoint.port == 0 {
        endpoint.port = next.port;
    }
}

/// Some clients cut the trace id to 64 bits: the spans of a trace get the first 128-bit one.
fn lengthen_trace_ids(spans: &mut [Cow<'_, Span>]) {
    let is_long = |trace_id: &TraceId| trace_id.high() != 0;
    let Some(long) = spans.iter().map(|span| span.trace_id).find(is_long) else {
        return;
    };
    for span in spans.iter_mut().filter(|span| !is_long(&span.trace_id)) {
        span.to_mut().trace_id = long;
    }
}

/// Clients come before servers, so a span's predecessor tells what the span lacks.
fn repair_shared(spans: &mut [Cow<'_, Span>]) {
    for index in 1..spans.len() {
        let (before, rest) = spans.split_at_mut(index);
        let span = &mut rest[0];
        let (shared, parent_id) = repaired(&before[index - 1], span);
        if (shared, parent_id) != (span.shared, span.parent_id) {
            let span = span.to_mut();
            (span.shared, span.parent_id) = (shared, parent_id);
        }
    }
}

/// What `shared` and the parent of a span are, knowing the one before it.
fn repaired<S: TraceNode>(previous: &S, span: &S) -> (bool, Option<SpanId>) {
    if previous.id() != span.id() {
        return (span.shared(), span.parent_id());
    }
    let is_answer = previous.kind() == Some(Kind::Client) && span.kind() == Some(Kind::Server);
    let shared = span.shared() || is_answer;
    let of_client = if shared { previous.parent_id() } else { None };
    (shared, span.parent_id().or(of_client))
}
