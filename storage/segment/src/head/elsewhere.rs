//! Which traces of a generation are in other places, too: in segments, or in older generations.
//!
//! What was asked once is remembered for each part of the traces, so a question asks for the traces that are new, of
//! the places that are new. Places are asked without a lock, and each for all traces one after the other: its filter
//! is in the processor's cache then, and thousands of segments are asked in little time.

use std::collections::HashSet;
use std::sync::Arc;

use super::Generation;

/// What was asked of the traces of a part.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The first so many traces were asked for,
    traces: usize,
    /// in all places before this one.
    end: u64,
    /// Low identifiers of those that may be there.
    found: HashSet<u64>,
}

/// A trace to be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    pub(crate) low: u64,
    /// In places from this one on.
    pub(crate) from: u64,
    /// Whether a place may hold it.
    pub(crate) is_there: bool,
}

/// Among which places is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Among {
    Segments,
    OlderGenerations,
}

impl Generation {
    /// Traces that a segment may hold, too. `ask` asks the segments from [`Asking::from`] on, in the order in which
    /// they were opened, of which there is none from `end` on.
    pub(crate) fn also_in(&self, end: u64, ask: impl FnOnce(&mut [Asking])) -> Vec<u64> {
        self.elsewhere(Among::Segments, end, ask)
    }

    /// Traces that one of `older` has, too. These MUST be all older generations of a view.
    pub(crate) fn also_in_older(&self, older: &[Arc<Generation>]) -> Vec<u64> {
        let Some(oldest) = older.iter().map(|generation| generation.number).min() else {
            return Vec::new();
        };
        // They take no more spans, so a trace is asked for once.
        self.elsewhere(Among::OlderGenerations, u64::MAX - oldest, |asking| {
            for generation in older {
                for asking in asking.iter_mut().filter(|asking| !asking.is_there) {
                    asking.is_there = generation.span_count(asking.low) > 0;
                }
            }
        })
    }

    fn elsewhere(&self, among: Among, end: u64, ask: impl FnOnce(&mut [Asking])) -> Vec<u64> {
        let mut all: Vec<Asking> = Vec::new();
        // Of each part what was known, how many traces it has, and how many of them are asked for.
        let mut parts = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let mut shard = shard.lock();
            let (asked, lows) = shard.asked(among);
            let (known, traces, before) = ((asked.traces, asked.end), lows.len(), all.len());
            let begin = if end > asked.end { 0 } else { asked.traces };
            let asking = lows.enumerate().skip(begin).map(|(index, low)| Asking {
                low,
                from: if index < known.0 { known.1 } else { 0 },
                is_there: false,
            });
            all.extend(asking.filter(|asking| !asked.found.contains(&asking.low)));
            parts.push((known, traces, all.len() - before));
        }
        ask(&mut all);
        let (mut found, mut answers) = (Vec::new(), all.as_slice());
        for (shard, (known, traces, count)) in self.shards.iter().zip(parts) {
            let (of_part, rest) = answers.split_at(count);
            answers = rest;
            let there = of_part.iter().filter(|asking| asking.is_there);
            let mut shard = shard.lock();
            let (asked, _) = shard.asked(among);
            if (asked.traces, asked.end) == known {
                asked.found.extend(there.map(|asking| asking.low));
                (asked.traces, asked.end) = (traces, end);
            } else {
                // Somebody else asked meanwhile, perhaps of another view.
                found.extend(there.map(|asking| asking.low));
            }
            found.extend(&asked.found);
        }
        found
    }
}
