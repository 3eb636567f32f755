//! How much is on its way to the store at one time, whether the store takes it, and whether we are to stop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Messages between the broker and the store, of all consumers together.
#[derive(Debug)]
pub(super) struct InFlight {
    held: Mutex<Held>,
    changed: Condvar,
    messages_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Held {
    messages: usize,
    bytes: usize,
}

impl InFlight {
    pub(super) fn new(messages_max: usize, bytes_max: usize) -> Self {
        Self {
            held: Mutex::default(),
            changed: Condvar::new(),
            messages_max,
            bytes_max,
        }
    }

    /// Counts a message in. Whoever takes messages asks for room before: one message may go beyond the bound.
    pub(super) fn add(&self, bytes: usize) {
        let mut held = self.held.lock();
        held.messages += 1;
        held.bytes += bytes;
    }

    pub(super) fn remove(&self, bytes: usize) {
        let mut held = self.held.lock();
        held.messages -= 1;
        held.bytes -= bytes;
        drop(held);
        self.changed.notify_all();
    }

    /// Waits until there is room for another message. False if that takes longer.
    pub(super) fn wait_for_room(&self, within: Duration) -> bool {
        let mut held = self.held.lock();
        if self.has_room(&held) {
            return true;
        }
        let deadline = Instant::now() + within;
        while !self.has_room(&held) {
            if self.changed.wait_until(&mut held, deadline).timed_out() {
                return self.has_room(&held);
            }
        }
        true
    }

    /// True if at most half of what may be held is: enough to begin again.
    pub(super) fn is_half_empty(&self) -> bool {
        let held = self.held.lock();
        held.messages <= self.messages_max / 2 && held.bytes <= self.bytes_max / 2
    }

    fn has_room(&self, held: &Held) -> bool {
        held.messages < self.messages_max && held.bytes < self.bytes_max
    }
}

/// Messages that the store did not take and that are tried again. While there are any, nothing else is read.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    retrying: AtomicUsize,
}

impl Pressure {
    /// One more message is being tried again, until the answer is dropped.
    pub(super) fn enter(&self) -> Retrying<'_> {
        self.retrying.fetch_add(1, Ordering::Relaxed);
        Retrying { pressure: self }
    }

    pub(super) fn is_high(&self) -> bool {
        self.retrying.load(Ordering::Relaxed) > 0
    }
}

/// One message being tried again.
#[derive(Debug)]
pub(super) struct Retrying<'a> {
    pressure: &'a Pressure,
}

impl Drop for Retrying<'_> {
    fn drop(&mut self) {
        self.pressure.retrying.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells threads to end, and until when.
#[derive(Debug, Default)]
pub(super) struct Stop {
    deadline: Mutex<Option<Instant>>,
    asked: Condvar,
}

impl Stop {
    /// Everything should have ended by `deadline`.
    pub(super) fn ask(&self, deadline: Instant) {
        *self.deadline.lock() = Some(deadline);
        self.asked.notify_all();
    }

    /// Until when, if it was asked.
    pub(super) fn deadline(&self) -> Option<Instant> {
        *self.deadline.lock()
    }

    /// Waits, but not after it was asked. True if it was.
    pub(super) fn wait(&self, longest: Duration) -> bool {
        let mut deadline = self.deadline.lock();
        let until = Instant::now() + longest;
        while deadline.is_none() {
            if self.asked.wait_until(&mut deadline, until).timed_out() {
                return deadline.is_some();
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn room_is_bounded_by_messages_and_by_bytes() {
        let in_flight = InFlight::new(2, 100);
        in_flight.add(10);
        assert!(in_flight.wait_for_room(Duration::ZERO) && in_flight.is_half_empty());
        in_flight.add(10);
        assert!(!in_flight.wait_for_room(Duration::ZERO) && !in_flight.is_half_empty());
        in_flight.remove(10);
        in_flight.remove(10);
        in_flight.add(100);
        assert!(!in_flight.wait_for_room(Duration::ZERO));
        in_flight.remove(100);
        assert!(in_flight.wait_for_room(Duration::ZERO));
    }

    #[test]
    fn whoever_waits_for_room_is_woken() {
        let in_flight = Arc::new(InFlight::new(1, 100));
        in_flight.add(1);
        let waiting = Arc::clone(&in_flight);
        let waiter = std::thread::spawn(move || waiting.wait_for_room(Duration::from_secs(60)));
        in_flight.remove(1);
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn pressure_is_high_while_any_message_is_tried_again() {
        let pressure = Pressure::default();
        let first = pressure.enter();
        let second = pressure.enter();
        drop(first);
        assert!(pressure.is_high());
        drop(second);
        assert!(!pressure.is_high());
    }

    #[test]
    fn nobody_waits_once_the_end_was_asked_for() {
        let stop = Stop::default();
        assert!(!stop.wait(Duration::ZERO) && stop.deadline().is_none());
        let deadline = Instant::now();
        stop.ask(deadline);
        assert!(stop.wait(Duration::from_secs(60)));
        assert_eq!(stop.deadline(), Some(deadline));
    }
}
