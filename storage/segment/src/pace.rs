//! Pace: how much of the processors maintenance takes.
//!
//! Sealing and joining are bursts of work beside requests that somebody waits for. So they work for a moment and rest as
//! long; a request waits for a moment at most, and half of one processor goes to maintenance at most. When memory runs
//! out, or somebody waits for it, there is no rest.

use std::thread;
use std::time::{Duration, Instant};

use crate::store::Store;

/// A moment. Shorter ones cost more in changes of thread than they save in waiting.
const MOMENT: Duration = Duration::from_millis(1);

/// What work is done at.
#[derive(Debug)]
pub(crate) struct Pace {
    is_leisurely: bool,
    began: Instant,
}

impl Pace {
    /// Rests between moments, unless memory runs out.
    pub(crate) fn leisurely() -> Self {
        Self {
            is_leisurely: true,
            began: Instant::now(),
        }
    }

    /// Never rests.
    pub(crate) fn full() -> Self {
        Self {
            is_leisurely: false,
            began: Instant::now(),
        }
    }

    /// To be called between small pieces of work: rests if a moment has passed.
    pub(crate) fn keep(&mut self, store: &Store) {
        if !self.is_leisurely || self.began.elapsed() < MOMENT {
            return;
        }
        if store.head_bytes() < store.config.head_bytes_max / 4 * 3 {
            thread::sleep(MOMENT);
        }
        self.began = Instant::now();
    }
}
