//! How much may be on its way at one time. What is beyond is refused at once, never queued.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Limits, Reason, Refusal};

/// Counts the messages on their way and the bytes they hold. Relaxed atomics: the counts guard memory, nothing
/// is read because of them.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    requests: AtomicUsize,
    requests_max: usize,
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        let shared = Shared {
            requests: AtomicUsize::new(0),
            requests_max: limits.requests_in_flight_max,
            bytes: AtomicUsize::new(0),
            bytes_max: limits.bytes_in_flight_max,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Lets one message in.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] where too many are in already.
    pub(crate) fn admit(&self) -> Result<InFlight, Refusal> {
        let Shared {
            requests,
            requests_max,
            ..
        } = &*self.shared;
        if requests.fetch_add(1, Ordering::Relaxed) >= *requests_max {
            requests.fetch_sub(1, Ordering::Relaxed);
            let message = format!("{requests_max} requests are in flight already: try again later");
            return Err(Refusal::Overloaded(Reason::RequestsInFlight, message));
        }
        Ok(InFlight {
            shared: Some(Arc::clone(&self.shared)),
            bytes: 0,
        })
    }
}

/// One message on its way, and the bytes reserved for it. Dropping it frees both.
#[derive(Debug)]
pub struct InFlight {
    shared: Option<Arc<Shared>>,
    bytes: usize,
}

impl InFlight {
    /// Reserves `bytes` more.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] where that is more than is free now.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let held = shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        if held.saturating_add(bytes) > shared.bytes_max {
            shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
            let message = format!(
                "{} bytes of messages are in flight already: try again later",
                shared.bytes_max
            );
            return Err(Refusal::Overloaded(Reason::BytesInFlight, message));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Hands the reservation over and leaves an empty one behind.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            shared: self.shared.take(),
            bytes: std::mem::take(&mut self.bytes),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
            shared.requests.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::new(&Limits {
            requests_in_flight_max: 2,
            bytes_in_flight_max: 10,
            ..Limits::default()
        })
    }

    #[test]
    fn refuses_the_message_too_many_until_one_is_done() {
        let admission = admission();
        let first = admission.admit().unwrap();
        let _second = admission.admit().unwrap();
        assert_eq!(admission.admit().unwrap_err().reason(), Reason::RequestsInFlight);
        drop(first);
        assert!(admission.admit().is_ok());
    }

    #[test]
    fn refuses_the_byte_too_many_and_keeps_the_count() {
        let admission = admission();
        let (mut first, mut second) = (admission.admit().unwrap(), admission.admit().unwrap());
        first.reserve(6).unwrap();
        assert_eq!(second.reserve(5).unwrap_err().reason(), Reason::BytesInFlight);
        second.reserve(4).unwrap();
        drop(first);
        second.reserve(6).unwrap();
        drop(second);
        assert_eq!(admission.shared.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_reservation_that_moved_is_freed_once() {
        let admission = admission();
        let mut first = admission.admit().unwrap();
        first.reserve(3).unwrap();
        let moved = first.take();
        drop(first);
        assert_eq!(admission.shared.bytes.load(Ordering::Relaxed), 3);
        drop(moved);
        assert_eq!(admission.shared.bytes.load(Ordering::Relaxed), 0);
        assert_eq!(admission.shared.requests.load(Ordering::Relaxed), 0);
    }
}
