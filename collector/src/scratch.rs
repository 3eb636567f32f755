//! Memory that is used again for the next message.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use model::SpanBatch;

use crate::{gzip, zstd};

/// Idle scratches kept; more are freed. As many as decode at one time on a large machine.
const IDLE_MAX: usize = 64;

/// A batch that held more text or spans than this is freed, so that one long message does not stay in memory.
const KEPT_TEXT_BYTES_MAX: usize = 1 << 20;
const KEPT_SPANS_MAX: usize = 4096;

/// What one message needs while it is decoded and stored.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) batch: SpanBatch,
    pub(crate) gzip: gzip::Inflater,
    pub(crate) zstd: zstd::Inflater,
}

/// Scratches that nobody uses now.
#[derive(Default)]
pub(crate) struct ScratchPool {
    idle: Mutex<Vec<Scratch>>,
}

impl ScratchPool {
    /// An empty one; it comes back when it is dropped.
    pub(crate) fn take(&self) -> Pooled<'_> {
        let scratch = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Pooled {
            pool: self,
            scratch: scratch.unwrap_or_default(),
        }
    }
}

/// A scratch on loan.
pub(crate) struct Pooled<'a> {
    pool: &'a ScratchPool,
    scratch: Scratch,
}

impl Deref for Pooled<'_> {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        &self.scratch
    }
}

impl DerefMut for Pooled<'_> {
    fn deref_mut(&mut self) -> &mut Scratch {
        &mut self.scratch
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        let mut scratch = std::mem::take(&mut self.scratch);
        if scratch.batch.text_bytes() > KEPT_TEXT_BYTES_MAX || scratch.batch.len() > KEPT_SPANS_MAX {
            scratch.batch = SpanBatch::new();
        }
        scratch.batch.clear();
        scratch.gzip.trim();
        scratch.zstd.trim();
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(scratch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_empty_and_used_again() {
        let pool = ScratchPool::default();
        pool.take().batch.add_text("left over");
        assert_eq!(pool.idle.lock().unwrap().len(), 1);
        assert_eq!(pool.take().batch.text_bytes(), 0);
        assert_eq!(pool.idle.lock().unwrap().len(), 1);
    }

    #[test]
    fn no_more_than_the_bound_stay_idle() {
        let pool = ScratchPool::default();
        let loans: Vec<_> = (0..IDLE_MAX + 3).map(|_| pool.take()).collect();
        drop(loans);
        assert_eq!(pool.idle.lock().unwrap().len(), IDLE_MAX);
    }
}
