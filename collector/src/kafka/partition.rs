//! One partition while it is ours: which of its messages are done, and so how far it may be committed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// More messages than this are not taken of one partition while its oldest one is not done: they would have to be
/// read again after a crash.
pub(super) const OPEN_MESSAGES_MAX: usize = 1 << 16;

/// A commit that the broker has not confirmed for so long is asked for again.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(10);

/// What the broker has not told.
const UNKNOWN: i64 = -1;

/// A partition that was assigned to one of our consumers. When it is taken away and assigned again, it is another.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) topic: Arc<str>,
    pub(super) number: i32,
    ledger: Mutex<Ledger>,
    /// Told when nothing is open any more.
    idle: Condvar,
    /// It belongs to another member, or nobody waits for it any more: what is done from now on does not count.
    lost: AtomicBool,
    /// We asked librdkafka to pause it. Resuming one that is not paused would lose what was read ahead.
    pub(super) paused: AtomicBool,
    watermarks: Watermarks,
}

/// What librdkafka's statistics told last.
#[derive(Debug)]
struct Watermarks {
    /// One more than the last offset in the log.
    high: AtomicI64,
    /// Where reading began: what the group had committed, or the begin of the log.
    begin: AtomicI64,
    /// What will be asked of the broker next.
    next: AtomicI64,
}

impl Partition {
    pub(super) fn new(topic: Arc<str>, number: i32) -> Self {
        Self {
            topic,
            number,
            ledger: Mutex::default(),
            idle: Condvar::new(),
            lost: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            watermarks: Watermarks {
                high: AtomicI64::new(UNKNOWN),
                begin: AtomicI64::new(UNKNOWN),
                next: AtomicI64::new(UNKNOWN),
            },
        }
    }

    /// A message was taken; the answer is for [`Partition::finish`].
    pub(super) fn begin(&self, offset: i64) -> Ticket {
        self.ledger.lock().begin(offset)
    }

    /// It is stored, or put aside on purpose.
    pub(super) fn finish(&self, ticket: Ticket) {
        let mut ledger = self.ledger.lock();
        ledger.finish(ticket);
        if ledger.open.is_empty() {
            self.idle.notify_all();
        }
    }

    /// The offset to commit, if there is one that was not asked to be committed yet; it now was.
    pub(super) fn to_commit(&self, now: Instant) -> Option<i64> {
        let mut ledger = self.ledger.lock();
        let position = ledger.position?;
        if ledger
            .requested
            .is_some_and(|requested| requested.offset == position)
        {
            return None;
        }
        ledger.requested = Some(Requested {
            offset: position,
            at: now,
        });
        Some(position)
    }

    /// What the broker says is committed. A request that it does not know after a while was lost.
    pub(super) fn confirm(&self, committed: i64, now: Instant) {
        let mut ledger = self.ledger.lock();
        let lost = |requested: &Requested| {
            requested.offset != committed && now.saturating_duration_since(requested.at) > CONFIRMED_WITHIN
        };
        if ledger.requested.as_ref().is_some_and(lost) {
            ledger.requested = None;
        }
    }

    /// The last request to commit failed: it is to be asked again.
    pub(super) fn not_committed(&self) {
        self.ledger.lock().requested = None;
    }

    /// True if so many messages wait for the oldest one that no more should be taken.
    pub(super) fn is_full(&self) -> bool {
        self.ledger.lock().open.len() >= OPEN_MESSAGES_MAX
    }

    /// Waits until every message taken is done. False if that takes longer.
    pub(super) fn wait_idle(&self, deadline: Instant) -> bool {
        let mut ledger = self.ledger.lock();
        while !ledger.open.is_empty() {
            if self.idle.wait_until(&mut ledger, deadline).timed_out() {
                return ledger.open.is_empty();
            }
        }
        true
    }

    /// Nobody waits for its messages any more.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// What librdkafka tells of it: the high watermark, the offset committed or else the low watermark, and the
    /// offset that will be fetched next. Negative where it does not know.
    pub(super) fn watermarks(&self, high: i64, begin: i64, next: i64) {
        self.watermarks.high.store(high, Ordering::Relaxed);
        self.watermarks.next.store(next, Ordering::Relaxed);
        if self.watermarks.begin.load(Ordering::Relaxed) < 0 {
            self.watermarks.begin.store(begin, Ordering::Relaxed);
        }
    }

    /// The offset that will be fetched next, if librdkafka told.
    pub(super) fn next_fetched(&self) -> Option<i64> {
        Some(self.watermarks.next.load(Ordering::Relaxed)).filter(|next| *next >= 0)
    }

    /// How many messages are in the log and not stored. `None` while the broker has not told its end.
    pub(super) fn lag(&self) -> Option<u64> {
        let high = self.watermarks.high.load(Ordering::Relaxed);
        let stored = self.ledger.lock().position;
        let begin = self.watermarks.begin.load(Ordering::Relaxed);
        let stored = stored.unwrap_or(begin);
        (high >= 0 && stored >= 0).then(|| high.saturating_sub(stored).max(0) as u64)
    }
}

/// Names one message taken of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// The messages taken, in the order they came.
#[derive(Debug, Default)]
struct Ledger {
    open: VecDeque<Message>,
    /// The ticket of the first of them.
    first: u64,
    /// One more than the offset of the last message that is done as all before it are.
    position: Option<i64>,
    /// What was last asked to be committed, unless that failed.
    requested: Option<Requested>,
}

#[derive(Clone, Copy, Debug)]
struct Requested {
    offset: i64,
    at: Instant,
}

#[derive(Debug)]
struct Message {
    offset: i64,
    done: bool,
}

impl Ledger {
    /// Offsets may leave some out (compaction, transactions), and even go back when a log was cut: what counts is
    /// the order in which messages came.
    fn begin(&mut self, offset: i64) -> Ticket {
        let ticket = Ticket(self.first + self.open.len() as u64);
        self.open.push_back(Message { offset, done: false });
        ticket
    }

    fn finish(&mut self, Ticket(ticket): Ticket) {
        let index = ticket.checked_sub(self.first);
        if let Some(message) = index.and_then(|index| self.open.get_mut(index as usize)) {
            message.done = true;
        }
        while let Some(message) = self.open.pop_front_if(|message| message.done) {
            self.first += 1;
            self.position = Some(message.offset + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn partition() -> Partition {
        Partition::new("zipkin".into(), 0)
    }

    fn to_commit(partition: &Partition) -> Option<i64> {
        partition.to_commit(Instant::now())
    }

    #[test]
    fn only_what_all_before_it_are_done_with_is_committed_and_once() {
        let partition = partition();
        let tickets: Vec<Ticket> = [3, 4, 7, 8].map(|offset| partition.begin(offset)).into();
        partition.finish(tickets[1]);
        partition.finish(tickets[3]);
        assert_eq!(to_commit(&partition), None);
        partition.finish(tickets[0]);
        assert_eq!((to_commit(&partition), to_commit(&partition)), (Some(5), None));
        partition.finish(tickets[2]);
        assert_eq!(to_commit(&partition), Some(9));
    }

    #[test]
    fn a_commit_that_failed_is_asked_again() {
        let partition = partition();
        partition.finish(partition.begin(0));
        assert_eq!(to_commit(&partition), Some(1));
        partition.not_committed();
        assert_eq!((to_commit(&partition), to_commit(&partition)), (Some(1), None));
    }

    #[test]
    fn a_commit_that_is_not_confirmed_is_asked_again() {
        let (partition, begin) = (partition(), Instant::now());
        partition.finish(partition.begin(0));
        assert_eq!(partition.to_commit(begin), Some(1));
        partition.confirm(0, begin + CONFIRMED_WITHIN);
        assert_eq!(partition.to_commit(begin), None, "it may still be on its way");
        partition.confirm(1, begin + 2 * CONFIRMED_WITHIN);
        assert_eq!(partition.to_commit(begin), None, "it is confirmed");
        partition.confirm(0, begin + 2 * CONFIRMED_WITHIN);
        assert_eq!(partition.to_commit(begin), Some(1));
    }

    #[test]
    fn a_log_that_was_cut_is_followed_back() {
        let partition = partition();
        let late = partition.begin(900);
        let again = partition.begin(5);
        partition.finish(again);
        assert_eq!(to_commit(&partition), None);
        partition.finish(late);
        assert_eq!(to_commit(&partition), Some(6));
    }

    #[test]
    fn a_ticket_used_twice_finishes_nothing_else() {
        let partition = partition();
        let first = partition.begin(0);
        partition.begin(1);
        partition.finish(first);
        partition.finish(first);
        assert_eq!(to_commit(&partition), Some(1));
    }

    #[test]
    fn lag_counts_what_is_not_stored() {
        let partition = partition();
        assert_eq!(partition.lag(), None);
        partition.watermarks(10, 4, 4);
        assert_eq!(partition.lag(), Some(6));
        let ticket = partition.begin(4);
        assert_eq!(partition.lag(), Some(6));
        partition.finish(ticket);
        partition.watermarks(12, 9, 10);
        assert_eq!((partition.lag(), partition.next_fetched()), (Some(7), Some(10)));
    }

    #[test]
    fn waits_for_the_last_message_but_no_longer_than_told() {
        let partition = Arc::new(partition());
        let ticket = partition.begin(0);
        assert!(!partition.wait_idle(Instant::now()));
        let waiting = Arc::clone(&partition);
        let waiter = std::thread::spawn(move || waiting.wait_idle(Instant::now() + Duration::from_secs(60)));
        partition.finish(ticket);
        assert!(waiter.join().unwrap());
    }
}
