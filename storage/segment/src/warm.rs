//! What questions need and files do not say in so many words, found out before somebody asks: links by time.
//!
//! The format has links by minute. A window that cuts a minute needs those of its traces, and reading them takes as
//! long as there are spans. So once somebody has asked anything, and while few spans arrive, the maintenance thread
//! counts them for the newest pages of trace tables, as many as are kept. A store that only takes spans in does
//! nothing of this.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use storage::StorageError;

use crate::dependencies::dependencies;
use crate::link_sums::{LinkSums, Part};
use crate::segment_links::warm_page;
use crate::store::Store;
use crate::view::{Reading, View};

/// How long it goes on before the thread looks what else there is to do.
const AT_ONCE: Duration = Duration::from_millis(500);
/// Spans that came since the last look beyond which the processors are needed for others.
const BUSY_SPANS: u64 = 5_000;

/// How far warming has come.
#[derive(Debug, Default)]
pub(crate) struct Warming {
    /// The version of the view that everything was found out of.
    done_version: u64,
    /// Spans taken in until the last look.
    spans: u64,
}

impl Warming {
    /// Goes on for a moment; `is_over` is asked between small pieces of work.
    pub(crate) fn go_on(&mut self, store: &Store, is_over: impl Fn() -> bool) -> Result<(), StorageError> {
        let view = store.view();
        let spans = view.segments.iter().map(|segment| segment.footer().summary.spans);
        let spans = spans.sum::<u64>()
            + view
                .generations()
                .map(|generation| generation.spans())
                .sum::<u64>();
        let came = spans.abs_diff(std::mem::replace(&mut self.spans, spans));
        if !store.was_asked() || came > BUSY_SPANS || self.done_version == view.version {
            return Ok(());
        }
        let end = Instant::now() + AT_ONCE;
        let mut reading = Reading::new(&view, store.limits.trace_spans_max);
        let is_over = || is_over() || Instant::now() >= end;
        let done = warm(&mut reading, &store.link_sums(), is_over);
        store.set_aside(reading.into_damaged());
        if done? {
            self.done_version = view.version;
        }
        Ok(())
    }
}

/// Finds out what is kept of links until `is_over`; gives whether everything is known, or no more can be kept.
pub(crate) fn warm(
    reading: &mut Reading<'_>,
    sums: &LinkSums,
    is_over: impl Fn() -> bool,
) -> Result<bool, StorageError> {
    let cancelled = AtomicBool::new(false);
    // Whole segments, and traces that are in several.
    dependencies(reading, sums, (0, u64::MAX), &cancelled)?;
    let view: &View = reading.view;
    for segment in &view.segments {
        let pages = segment.footer().bounds.len() as u32;
        for page in (0..pages).rev() {
            if !sums.has_room() {
                return Ok(true);
            }
            if sums.timed(segment.number(), Part::Page(page)).is_some() {
                continue;
            }
            if is_over() {
                return Ok(false);
            }
            warm_page(reading, segment, page, sums, &cancelled)?;
        }
    }
    Ok(true)
}
