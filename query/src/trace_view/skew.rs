//! Whose clock differs, as Zipkin's UI finds it out (`zipkin.md` 4.6).
//!
//! A server cannot have begun before its client asked. Where it says so, its clock is behind, and everything that ran by
//! the same clock, which is told by its address, is moved by as much: into the middle of the client's span where it fits,
//! to right after its beginning where it does not.

use model::{IpAddresses, Kind, Span, SpanTree};

/// How one span is moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Move {
    /// Microseconds that are added to its timestamp.
    pub(super) micros: i64,
    /// Whether it is this span that shows it, and not one above it.
    pub(super) is_found_here: bool,
}

/// A clock that differs: that of a host, below the span that showed it.
#[derive(Clone, Copy)]
struct Clock {
    host: IpAddresses,
    micros: i64,
}

/// How each span is moved. Nobody is where a trace does not say where it begins: without a root, or with a second one.
pub(super) fn moves<S: AsRef<Span>>(spans: &[S], tree: &SpanTree) -> Vec<Move> {
    let mut moves = vec![Move::default(); spans.len()];
    let Some(root) = tree.root() else { return moves };
    let is_root = |child: usize| {
        let span = spans[child].as_ref();
        span.parent_id.is_none() && !span.shared
    };
    if tree.children(root).any(is_root) {
        return moves;
    }
    let mut clocks: Vec<Option<Clock>> = vec![None; spans.len()];
    for index in tree.breadth_first() {
        let Some(parent) = tree.parent(index) else {
            continue;
        };
        let span = spans[index].as_ref();
        let inherited = clocks[parent].filter(|clock| share_address(clock.host, host(span)));
        let mut own = Move {
            micros: inherited.map_or(0, |clock| clock.micros),
            is_found_here: false,
        };
        clocks[index] = clocks[parent];
        if let Some(behind) = behind(spans[parent].as_ref(), moves[parent].micros, span, own.micros) {
            own.micros = own.micros.saturating_add(behind);
            own.is_found_here = true;
            clocks[index] = Some(Clock {
                host: host(span),
                micros: own.micros,
            });
        }
        moves[index] = own;
    }
    moves
}

/// A time as it is after a move.
pub(super) fn moved(timestamp: u64, micros: i64) -> u64 {
    timestamp.saturating_add_signed(micros)
}

/// By how many microseconds a server's clock is behind its client's; `None` where nothing shows that. Both sides are
/// moved by as much as they are already.
fn behind(client: &Span, client_moved: i64, server: &Span, server_moved: i64) -> Option<i64> {
    if (client.kind, server.kind) != (Some(Kind::Client), Some(Kind::Server)) {
        return None;
    }
    let (client_host, server_host) = (host(client), host(server));
    // Who is not known by an address cannot be told apart from others of its name.
    if server_host.is_empty() || client.local_endpoint.is_none() || share_address(client_host, server_host) {
        return None;
    }
    let asked = moved(client.timestamp?, client_moved);
    let answered = moved(server.timestamp?, server_moved);
    let ahead = asked.checked_sub(answered)?;
    let on_the_way = match (client.duration, server.duration) {
        (Some(client), Some(server)) if client >= server => (client - server) / 2,
        // The server began at some moment after, nobody knows which.
        _ => 1,
    };
    let behind = i64::try_from(ahead.saturating_add(on_the_way)).ok()?;
    Some(behind).filter(|&behind| behind != 0)
}

fn host(span: &Span) -> IpAddresses {
    span.local_endpoint
        .as_ref()
        .map_or_else(IpAddresses::default, |endpoint| endpoint.ip)
}

fn share_address(a: IpAddresses, b: IpAddresses) -> bool {
    let same_v4 = a.v4.is_some() && a.v4 == b.v4;
    let same_v6 = a.v6.is_some() && a.v6 == b.v6;
    same_v4 || same_v6
}
