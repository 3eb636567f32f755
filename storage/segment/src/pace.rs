//! Pace: how much of the processors maintenance takes, and how senders are slowed where it falls behind.
//!
//! Sealing and joining are bursts of work beside requests that somebody waits for. So they work for a moment and rest as
//! long; a request waits for a moment at most, and half of one processor goes to maintenance at most. When memory runs
//! out, somebody waits for it, or it does not keep up, there is no rest: sealing alone may take all the time that a
//! leisurely pace has, and then small segments would pile up for as long as the load lasts, each of them making the next
//! seal and every question dearer.
//!
//! Where that is not enough, senders wait a little before their spans are taken, the longer the less room there is. So
//! what comes in falls to what can be sealed before anything has to be refused, and the processors are never idle
//! because senders that were refused stay away.

use std::thread;
use std::time::{Duration, Instant};

use crate::compact;
use crate::store::Store;

/// A moment. Shorter ones cost more in changes of thread than they save in waiting.
const MOMENT: Duration = Duration::from_millis(1);

/// How long a sender waits where there is hardly any room left. Sixteen of them then send some 800 requests a second,
/// less than any machine seals.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// What work is done at.
#[derive(Debug)]
pub(crate) struct Pace {
    is_leisurely: bool,
    began: Instant,
}

impl Pace {
    /// Rests between moments, unless memory runs out or more segments wait to be joined than should.
    pub(crate) fn leisurely(store: &Store) -> Self {
        Self {
            is_leisurely: !compact::is_behind(store),
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
        // Beyond half of what may be in memory the next ones fill faster than this is sealed.
        if store.head_bytes() < store.config.head_bytes_max / 2 {
            thread::sleep(MOMENT);
        }
        self.began = Instant::now();
    }
}

/// How long a sender waits for a store whose head has so many bytes, of so many it may have.
pub(crate) fn wait_for_room(bytes: u64, most: u64) -> Duration {
    let short_at = most / 4 * 3;
    let share = bytes.saturating_sub(short_at) as f64 / most.saturating_sub(short_at).max(1) as f64;
    WAIT_MAX.mul_f64(share.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::seal::{Quiet, seal};
    use crate::testing::{Machine, batch_of, span};

    #[test]
    fn there_is_no_rest_while_small_segments_pile_up() {
        let machine = Machine::new(Limits {
            compaction_segments_behind: 3,
            compaction_segments_min: 2,
            ..Limits::default()
        });
        let store = machine.open();
        let mut traces = 1..;
        let mut seal_one = || {
            let trace = traces.next().unwrap();
            machine.accept(&store, &batch_of(&[span(trace, 1, 1_600_000_000_000_000)]));
            seal(&store, &store.freeze(), Quiet::Everything).unwrap();
        };
        seal_one();
        seal_one();
        assert!(Pace::leisurely(&store).is_leisurely);
        seal_one();
        assert!(!Pace::leisurely(&store).is_leisurely);
        assert!(compact::compact(&store, |_, _| false).unwrap());
        assert!(Pace::leisurely(&store).is_leisurely);
        // Those of different hours are never joined.
        seal_one();
        machine
            .clock
            .fetch_add(3_600_000, std::sync::atomic::Ordering::SeqCst);
        seal_one();
        assert!(Pace::leisurely(&store).is_leisurely);
    }

    #[test]
    fn senders_wait_the_longer_the_less_room_there_is() {
        assert_eq!(wait_for_room(0, 1000), Duration::ZERO);
        assert_eq!(wait_for_room(750, 1000), Duration::ZERO);
        assert_eq!(wait_for_room(875, 1000), WAIT_MAX / 2);
        assert_eq!(wait_for_room(1000, 1000), WAIT_MAX);
        assert_eq!(wait_for_room(u64::MAX, 0), WAIT_MAX);
        assert_eq!(wait_for_room(u64::MAX, u64::MAX), WAIT_MAX);
    }
}
