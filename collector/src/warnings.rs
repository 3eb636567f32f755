//! Warnings that are not repeated with every request.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Often enough to be seen while it lasts, too rare to fill a log.
const INTERVAL: Duration = Duration::from_secs(10);

/// Remembers when it was warned last.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    last: Mutex<Option<Instant>>,
}

impl Warnings {
    /// True if the last one was long ago; this one then counts as the last.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.duration_since(last) >= INTERVAL);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_due_at_first_and_then_after_the_interval() {
        let (warnings, begin) = (Warnings::default(), Instant::now());
        let after = |seconds| warnings.is_due(begin + Duration::from_secs(seconds));
        assert_eq!(
            [after(0), after(1), after(9), after(10), after(11), after(20)],
            [true, false, false, true, false, true]
        );
    }
}
