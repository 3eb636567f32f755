//! Links of segments and of traces, numbered and kept in memory between questions.
//!
//! A link is the number of its two names; the counts of a segment are then some bytes a link, and thousands of
//! segments are added up in a few milliseconds without reading a file. Everything here can be lost and is found out
//! again, so it is bounded by dropping.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use foldhash::fast::RandomState;
use model::{DependencyLink, LinkCounts};
use parking_lot::{Mutex, MutexGuard};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::head_links::KnownHead;
use crate::timed_links::TimedLinks;

/// Links that are numbered before everything is forgotten, numbers included.
const LINKS_MAX: usize = 100_000;
/// Memory for the sums of segments, and for those of traces that are in several: some 4,000 segments of 300 links.
const SUMS_BYTES_MAX: u64 = 16 << 20;
/// Memory for links by time: the traces of some 15 million spans.
const TIMED_BYTES_MAX: u64 = 16 << 20;

/// Calls and errors of a link: of a trace, or of a segment, which has fewer spans than these numbers can be. What a
/// damaged file claims beyond them stays at their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) link: u32,
    pub(crate) calls: i32,
    pub(crate) errors: i32,
}

impl Counted {
    pub(crate) fn new(link: u32, calls: i64, errors: i64) -> Self {
        let narrow = |count: i64| count.clamp(i64::from(i32::MIN + 1), i64::from(i32::MAX)) as i32;
        Self {
            link,
            calls: narrow(calls),
            errors: narrow(errors),
        }
    }

    /// Taken away in place of added.
    pub(crate) fn negated(self) -> Self {
        Self {
            calls: self.calls.saturating_neg(),
            errors: self.errors.saturating_neg(),
            ..self
        }
    }
}

/// The links of all traces of a segment, each as if it were whole there.
#[derive(Debug, Default)]
pub(crate) struct SegmentSums {
    /// Minutes since the epoch, the first and the last there is; `None` where there is none.
    pub(crate) minutes: Option<(u64, u64)>,
    pub(crate) total: Vec<Counted>,
}

/// What traces that are in several segments make different: the links of the whole ones less those of their parts.
#[derive(Debug, Default)]
pub(crate) struct SplitSums {
    /// The version of the view in which it was last found to be still right.
    pub(crate) version: AtomicU64,
    /// Tells whether the same traces are in the same segments.
    pub(crate) fingerprint: u64,
    /// Of traces and parts the least and greatest timestamp, microseconds since the epoch; `None` where there is none.
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) total: Vec<Counted>,
    /// By the timestamps of traces, and of parts.
    pub(crate) timed: TimedLinks,
    /// Traces too large to be counted: when they began, when their last span began, and what is said of them.
    pub(crate) left_out: Vec<(u64, u64, String)>,
}

/// Which links of a segment are kept by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// Those of every minute, by minutes since the epoch.
    Minutes,
    /// Those of every trace of a page of the trace table, by their timestamps.
    Page(u32),
}

/// Bytes of what is cached.
#[derive(Clone, Debug)]
struct Weight;

/// What an entry of a cache takes beside its links.
const ENTRY_BYTES: usize = 160;

impl Weighter<u64, Arc<SegmentSums>> for Weight {
    fn weight(&self, _: &u64, sums: &Arc<SegmentSums>) -> u64 {
        (size_of_val(&*sums.total) + ENTRY_BYTES) as u64
    }
}

impl Weighter<u64, Arc<SplitSums>> for Weight {
    fn weight(&self, _: &u64, sums: &Arc<SplitSums>) -> u64 {
        (size_of_val(&*sums.total) + sums.timed.bytes() + ENTRY_BYTES) as u64
    }
}

impl Weighter<(u64, Part), Arc<TimedLinks>> for Weight {
    fn weight(&self, _: &(u64, Part), links: &Arc<TimedLinks>) -> u64 {
        (links.bytes() + ENTRY_BYTES) as u64
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct LinkSums {
    numbers: Mutex<Numbers>,
    segments: Cache<u64, Arc<SegmentSums>, Weight>,
    splits: Cache<u64, Arc<SplitSums>, Weight>,
    timed: Cache<(u64, Part), Arc<TimedLinks>, Weight>,
    head: Mutex<KnownHead>,
}

#[derive(Debug, Default)]
struct Numbers {
    numbers: HashMap<Arc<str>, HashMap<Arc<str>, u32, RandomState>, RandomState>,
    names: Vec<(Arc<str>, Arc<str>)>,
}

impl Default for LinkSums {
    fn default() -> Self {
        Self {
            numbers: Mutex::default(),
            segments: Cache::with_weighter(1024, SUMS_BYTES_MAX, Weight),
            splits: Cache::with_weighter(1024, SUMS_BYTES_MAX, Weight),
            timed: Cache::with_weighter(1024, TIMED_BYTES_MAX, Weight),
            head: Mutex::default(),
        }
    }
}

impl LinkSums {
    /// Whether it is time to begin anew: names that are never seen again must not stay for ever.
    pub(crate) fn is_full(&self) -> bool {
        self.numbers.lock().names.len() > LINKS_MAX
    }

    /// Numbers counts.
    pub(crate) fn number(&self, counts: &LinkCounts) -> Vec<Counted> {
        let mut numbers = self.numbers.lock();
        let counts = counts.iter();
        counts
            .map(|count| {
                let link = numbers.of(&count.parent, &count.child);
                Counted::new(link, count.calls, count.errors)
            })
            .collect()
    }

    /// The number of a link.
    pub(crate) fn number_of(&self, parent: &str, child: &str) -> u32 {
        self.numbers.lock().of(parent, child)
    }

    /// The sums of a segment, if they are known.
    pub(crate) fn of_segment(&self, number: u64) -> Option<Arc<SegmentSums>> {
        self.segments.get(&number)
    }

    pub(crate) fn keep_segment(&self, number: u64, sums: Arc<SegmentSums>) {
        self.segments.insert(number, sums);
    }

    /// The sums of the traces whose parts are in a segment and in lower ones, if they are known.
    pub(crate) fn of_splits(&self, number: u64) -> Option<Arc<SplitSums>> {
        self.splits.get(&number)
    }

    pub(crate) fn keep_splits(&self, number: u64, sums: Arc<SplitSums>) {
        self.splits.insert(number, sums);
    }

    /// Links of a segment by time, if they are known.
    pub(crate) fn timed(&self, number: u64, part: Part) -> Option<Arc<TimedLinks>> {
        self.timed.get(&(number, part))
    }

    /// Whether more links by time can be kept without letting go of others.
    pub(crate) fn has_room(&self) -> bool {
        /// The cache is one of several parts, which do not fill evenly.
        const FILLED_MAX: u64 = TIMED_BYTES_MAX / 4 * 3;
        self.timed.weight() < FILLED_MAX
    }

    pub(crate) fn keep_timed(&self, number: u64, part: Part, links: Arc<TimedLinks>) {
        self.timed.insert((number, part), links);
    }

    /// What is known of the head. Questions that come together wait here: the first counts for all.
    pub(crate) fn head(&self) -> MutexGuard<'_, KnownHead> {
        self.head.lock()
    }
}

impl Numbers {
    fn of(&mut self, parent: &str, child: &str) -> u32 {
        if let Some(&known) = self.numbers.get(parent).and_then(|children| children.get(child)) {
            return known;
        }
        let number = self.names.len() as u32;
        let (parent, child): (Arc<str>, Arc<str>) = (parent.into(), child.into());
        self.names.push((parent.clone(), child.clone()));
        self.numbers.entry(parent).or_default().insert(child, number);
        number
    }
}

/// Links being added up.
#[derive(Debug)]
pub(crate) struct Sum<'s> {
    sums: &'s LinkSums,
    /// Calls and errors, by the number of the link.
    counts: Vec<(i64, i64)>,
}

impl<'s> Sum<'s> {
    pub(crate) fn new(sums: &'s LinkSums) -> Self {
        Self {
            sums,
            counts: Vec::new(),
        }
    }

    pub(crate) fn sums(&self) -> &'s LinkSums {
        self.sums
    }

    #[inline]
    pub(crate) fn add(&mut self, counted: Counted) {
        let index = counted.link as usize;
        if index >= self.counts.len() {
            self.counts.resize(index + 1, (0, 0));
        }
        let (calls, errors) = &mut self.counts[index];
        *calls = calls.saturating_add(counted.calls.into());
        *errors = errors.saturating_add(counted.errors.into());
    }

    pub(crate) fn add_all(&mut self, links: &[Counted]) {
        links.iter().for_each(|&counted| self.add(counted));
    }

    /// Takes away what was added, or will be.
    pub(crate) fn subtract(&mut self, counted: Counted) {
        self.add(counted.negated());
    }

    /// The counts that are not zero.
    pub(crate) fn into_counted(self) -> Vec<Counted> {
        let counts = self.counts.into_iter().zip(0..);
        let counts = counts.filter(|(counts, _)| *counts != (0, 0));
        counts
            .map(|((calls, errors), link)| Counted::new(link, calls, errors))
            .collect()
    }

    /// What is left: links with at least one call, with no more errors than calls.
    pub(crate) fn links(self) -> Vec<DependencyLink> {
        let numbers = self.sums.numbers.lock();
        let left = self.counts.iter().zip(&numbers.names);
        let left = left.filter(|((calls, _), _)| *calls > 0);
        left.map(|(&(calls, errors), (parent, child))| DependencyLink {
            parent: parent.to_string(),
            child: child.to_string(),
            call_count: calls.unsigned_abs(),
            error_count: errors.clamp(0, calls).unsigned_abs(),
        })
        .collect()
    }
}
