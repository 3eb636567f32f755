//! Links of segments and of traces, numbered and kept in memory between questions.
//!
//! A link is the number of its two names; the counts of a segment are then some bytes a link, and thousands of
//! segments are added up in a few milliseconds without reading a file. Everything here can be lost and is found out
//! again, so it is bounded by dropping.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use foldhash::fast::RandomState;
use model::{DependencyLink, LinkCount, LinkCounts};
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Links that are numbered before everything is forgotten, numbers included.
const LINKS_MAX: usize = 100_000;
/// Memory for the sums of segments, and for those of traces that are in several.
const CACHE_BYTES_MAX: u64 = 32 << 20;
/// Links remembered of traces in the head, a few megabytes.
const HEAD_LINKS_MAX: usize = 1 << 20;

/// Calls and errors of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    link: u32,
    calls: i64,
    errors: i64,
}

/// Links added up by minute, and those of all minutes together.
#[derive(Debug, Default)]
pub(crate) struct Minutes {
    /// Minutes since the epoch, the first and the last there is; `None` where there is none.
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) total: Vec<Counted>,
}

impl Minutes {
    pub(crate) fn note(&mut self, minute: u64) {
        let (first, last) = self.range.unwrap_or((minute, minute));
        self.range = Some((first.min(minute), last.max(minute)));
    }
}

/// What traces that are in several segments make different: the links of the whole ones less those of their parts.
#[derive(Debug, Default)]
pub(crate) struct SplitSums {
    /// The version of the view in which it was last found to be still right.
    pub(crate) version: AtomicU64,
    /// Tells whether the same traces are in the same segments.
    pub(crate) fingerprint: u64,
    pub(crate) all: Minutes,
    pub(crate) by_minute: Vec<(u64, Vec<Counted>)>,
    /// Low identifiers, each with the timestamp of the whole trace, ascending.
    pub(crate) traces: Vec<(u64, Option<u64>)>,
    /// Traces too large to be counted: when they began, when their last span began, and what is said of them.
    pub(crate) left_out: Vec<(u64, u64, String)>,
}

/// What is known of a trace of the head.
#[derive(Clone, Debug)]
pub(crate) struct HeadLinks {
    /// How many spans of it there were in the head.
    pub(crate) spans: u64,
    /// The version of the view, where segments have spans of it, too; else 0.
    pub(crate) version: u64,
    /// Of the whole trace.
    pub(crate) timestamp: Option<u64>,
    pub(crate) links: Arc<[Counted]>,
    /// What the segments' sums have of it, with its timestamp there.
    pub(crate) in_segments: Option<(u64, Arc<[Counted]>)>,
}

/// Bytes of what is cached.
#[derive(Clone, Debug)]
struct Weight;

impl Weighter<u64, Arc<Minutes>> for Weight {
    fn weight(&self, _: &u64, sums: &Arc<Minutes>) -> u64 {
        bytes_of(&sums.total)
    }
}

impl Weighter<u64, Arc<SplitSums>> for Weight {
    fn weight(&self, _: &u64, sums: &Arc<SplitSums>) -> u64 {
        let minutes = sums.by_minute.iter().map(|minute| bytes_of(&minute.1));
        bytes_of(&sums.all.total) + minutes.sum::<u64>() + (sums.traces.len() * 24) as u64
    }
}

fn bytes_of(links: &[Counted]) -> u64 {
    (size_of_val(links) + 128) as u64
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct LinkSums {
    numbers: Mutex<Numbers>,
    segments: Cache<u64, Arc<Minutes>, Weight>,
    splits: Cache<u64, Arc<SplitSums>, Weight>,
    head: Mutex<HashMap<u64, HeadLinks, RandomState>>,
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
            segments: Cache::with_weighter(1024, CACHE_BYTES_MAX, Weight),
            splits: Cache::with_weighter(1024, CACHE_BYTES_MAX, Weight),
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
        let number = |count: &LinkCount| Counted {
            link: numbers.of(&count.parent, &count.child),
            calls: count.calls,
            errors: count.errors,
        };
        counts.iter().map(number).collect()
    }

    /// The sums of a segment, if they are known.
    pub(crate) fn of_segment(&self, number: u64) -> Option<Arc<Minutes>> {
        self.segments.get(&number)
    }

    pub(crate) fn keep_segment(&self, number: u64, sums: Arc<Minutes>) {
        self.segments.insert(number, sums);
    }

    /// The sums of the traces whose parts are in a segment and in lower ones, if they are known.
    pub(crate) fn of_splits(&self, number: u64) -> Option<Arc<SplitSums>> {
        self.splits.get(&number)
    }

    pub(crate) fn keep_splits(&self, number: u64, sums: Arc<SplitSums>) {
        self.splits.insert(number, sums);
    }

    /// What is known of the head; it is taken out, and put back by [`LinkSums::keep_head`].
    pub(crate) fn take_head(&self) -> HashMap<u64, HeadLinks, RandomState> {
        std::mem::take(&mut self.head.lock())
    }

    pub(crate) fn keep_head(&self, head: HashMap<u64, HeadLinks, RandomState>) {
        if head.values().map(|trace| trace.links.len() + 4).sum::<usize>() <= HEAD_LINKS_MAX {
            *self.head.lock() = head;
        }
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
    numbered: Vec<(i64, i64)>,
    /// Of those that are not remembered.
    named: LinkCounts,
}

impl<'s> Sum<'s> {
    pub(crate) fn new(sums: &'s LinkSums) -> Self {
        Self {
            sums,
            numbered: Vec::new(),
            named: LinkCounts::new(),
        }
    }

    pub(crate) fn add(&mut self, links: &[Counted]) {
        for counted in links {
            let (calls, errors) = self.entry(counted.link);
            *calls = calls.saturating_add(counted.calls);
            *errors = errors.saturating_add(counted.errors);
        }
    }

    pub(crate) fn subtract(&mut self, links: &[Counted]) {
        for counted in links {
            let (calls, errors) = self.entry(counted.link);
            *calls = calls.saturating_sub(counted.calls);
            *errors = errors.saturating_sub(counted.errors);
        }
    }

    fn entry(&mut self, link: u32) -> (&mut i64, &mut i64) {
        let index = link as usize;
        if index >= self.numbered.len() {
            self.numbered.resize(index + 1, (0, 0));
        }
        let entry = &mut self.numbered[index];
        (&mut entry.0, &mut entry.1)
    }

    pub(crate) fn sums(&self) -> &'s LinkSums {
        self.sums
    }

    /// Counts by name.
    pub(crate) fn named(&mut self) -> &mut LinkCounts {
        &mut self.named
    }

    pub(crate) fn links(mut self) -> Vec<DependencyLink> {
        let numbers = self.sums.numbers.lock();
        for (&(calls, errors), (parent, child)) in self.numbered.iter().zip(&numbers.names) {
            if (calls, errors) != (0, 0) {
                self.named.add(parent, child, calls, errors);
            }
        }
        drop(numbers);
        self.named.links()
    }
}
