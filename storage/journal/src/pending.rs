//! Waiting for a record to be durable.
//!
//! Records that are committed together share one [`Group`]: one allocation, one lock and one round of wake-ups
//! for all of them, however many wait.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Condvar, Mutex};

use crate::{JournalError, Position};

/// How a group ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Records before this position are kept.
    pub(crate) kept: u64,
    /// Why the others are not.
    pub(crate) error: Option<JournalError>,
}

impl Outcome {
    fn of(&self, position: u64) -> Result<(), JournalError> {
        match &self.error {
            Some(error) if position >= self.kept => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

/// What the records of one commit wait on.
#[derive(Debug, Default)]
pub(crate) struct Group {
    state: Mutex<GroupState>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct GroupState {
    outcome: Option<Outcome>,
    wakers: Vec<Waker>,
}

impl Group {
    /// Ends the group and wakes everybody who waits. Only the first call counts.
    pub(crate) fn complete(&self, outcome: Outcome) {
        let mut state = self.state.lock();
        if state.outcome.is_some() {
            return;
        }
        state.outcome = Some(outcome);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.done.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until the group ends.
    pub(crate) fn wait(&self) -> Outcome {
        let mut state = self.state.lock();
        loop {
            if let Some(outcome) = &state.outcome {
                return outcome.clone();
            }
            self.done.wait(&mut state);
        }
    }

    /// `slot` is this waiter's place among the wakers, kept from poll to poll.
    fn poll(
        &self,
        position: u64,
        slot: &mut Option<usize>,
        context: &Context<'_>,
    ) -> Poll<Result<(), JournalError>> {
        let mut state = self.state.lock();
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.of(position));
        }
        match *slot {
            Some(index) => state.wakers[index].clone_from(context.waker()),
            None => {
                *slot = Some(state.wakers.len());
                state.wakers.push(context.waker().clone());
            }
        }
        Poll::Pending
    }
}

/// A record on its way to the disk. Dropping it does not take the record back.
#[derive(Debug)]
#[must_use = "a record is durable only when this says so"]
pub struct Pending {
    pub(crate) position: u64,
    pub(crate) group: Arc<Group>,
}

impl Pending {
    /// The record's position.
    pub fn position(&self) -> Position {
        Position(self.position)
    }

    /// Resolves when the record is as durable as the journal's [`crate::SyncPolicy`] promises.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`]: nothing of it was kept. [`JournalError::Poisoned`]: it may or may not
    /// have been kept.
    pub async fn durable(self) -> Result<(), JournalError> {
        let mut slot = None;
        poll_fn(|context| self.group.poll(self.position, &mut slot, context)).await
    }

    /// Like [`Pending::durable`], blocking the thread.
    ///
    /// # Errors
    /// Those of [`Pending::durable`].
    pub fn wait(self) -> Result<(), JournalError> {
        self.group.wait().of(self.position)
    }
}
