//! Which spans of a service are its requests.
//!
//! What a service is asked is told by its SERVER and CONSUMER spans. A service without any is told by its local spans, as
//! a job that nobody calls is; one that has neither, by the calls it makes. The others would count a request twice, or
//! another service's.

use model::Kind;
use schemars::JsonSchema;
use serde::Serialize;

/// What a span is to the service that recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CallSide {
    /// It answers: SERVER and CONSUMER.
    Server,
    /// It is asked by nobody: no kind.
    Local,
    /// It asks: CLIENT and PRODUCER.
    Client,
}

impl CallSide {
    /// In which the spans of a service are looked for.
    const ALL: [Self; 3] = [Self::Server, Self::Local, Self::Client];

    pub(crate) fn of(kind: Option<Kind>) -> Self {
        match kind {
            Some(Kind::Server | Kind::Consumer) => Self::Server,
            None => Self::Local,
            Some(Kind::Client | Kind::Producer) => Self::Client,
        }
    }
}

/// Something of each side, kept until it is known which one tells the requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct BySide<T>([T; 3]);

impl<T> BySide<T> {
    /// What spans of a kind belong to.
    pub(crate) fn of_kind(&mut self, kind: Option<Kind>) -> &mut T {
        &mut self.0[CallSide::of(kind) as usize]
    }

    /// What belongs to a side.
    pub(crate) fn of(&mut self, side: CallSide) -> &mut T {
        &mut self.0[side as usize]
    }

    /// The first side that has something; the server's if none has.
    pub(crate) fn requests(self, is_empty: impl Fn(&T) -> bool) -> (CallSide, T) {
        let has_some = self.0.iter().position(|side| !is_empty(side));
        let found = has_some.unwrap_or(0);
        let [server, local, client] = self.0;
        let sums = match CallSide::ALL[found] {
            CallSide::Server => server,
            CallSide::Local => local,
            CallSide::Client => client,
        };
        (CallSide::ALL[found], sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_that_answers_tells_the_requests_then_local_work_then_calls() {
        let chosen = |kinds: &[Option<Kind>]| {
            let mut counts = BySide::<u32>::default();
            for &kind in kinds {
                *counts.of_kind(kind) += 1;
            }
            counts.requests(|&count| count == 0)
        };
        let (server, consumer) = (Some(Kind::Server), Some(Kind::Consumer));
        let (client, producer) = (Some(Kind::Client), Some(Kind::Producer));
        assert_eq!(
            chosen(&[client, None, server, consumer, client]),
            (CallSide::Server, 2)
        );
        assert_eq!(chosen(&[client, None, producer]), (CallSide::Local, 1));
        assert_eq!(chosen(&[client, producer]), (CallSide::Client, 2));
        assert_eq!(chosen(&[]), (CallSide::Server, 0));
    }
}
