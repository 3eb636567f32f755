//! The traces behind one lock, and their indexes. The head of `lib.rs` draws them.

use std::collections::BTreeSet;

use hashbrown::{DefaultHashBuilder, HashMap};
use model::Span;

use crate::services::Services;
use crate::time_index::TimeIndex;
use crate::trace::Trace;

/// See the head of `lib.rs`.
#[derive(Debug)]
pub(crate) struct Shard {
    search_enabled: bool,
    hasher: DefaultHashBuilder,
    traces: HashMap<u64, Trace>,
    by_age: BTreeSet<(u64, u64)>,
    by_time: TimeIndex,
    services: Services,
}

impl Shard {
    /// Without search nothing is known by service.
    pub(crate) fn new(search_enabled: bool) -> Self {
        Self {
            search_enabled,
            hasher: DefaultHashBuilder::default(),
            traces: HashMap::new(),
            by_age: BTreeSet::new(),
            by_time: TimeIndex::default(),
            services: Services::default(),
        }
    }

    /// Adds spans of one trace; returns how many of them were new.
    pub(crate) fn insert(&mut self, low: u64, spans: impl Iterator<Item = Span>) -> usize {
        let trace = self.traces.entry(low).or_default();
        let (before, age) = (trace.spans().len(), trace.age());
        for span in spans {
            trace.push(&self.hasher, span);
        }
        let added = trace.spans().len() - before;
        if before == 0 || trace.age() != age {
            self.by_age.remove(&(age, low));
            self.by_age.insert((trace.age(), low));
        }
        let moved = trace.settle();
        if let Some(place) = moved {
            self.by_time.insert(place, low);
        }
        if self.search_enabled {
            for span in &trace.spans()[before..] {
                self.services.count(span);
            }
            // A trace that moved is entered again for all its services, otherwise for those just seen.
            let entered = if moved.is_some() { 0 } else { before };
            if let Some(place) = trace.places().last() {
                for span in &trace.spans()[entered..] {
                    self.services.enter(span, *place, low);
                }
            }
        }
        added
    }

    /// Takes a trace out, with everything known of it.
    pub(crate) fn remove(&mut self, low: u64) -> Option<Trace> {
        let trace = self.traces.remove(&low)?;
        self.by_age.remove(&(trace.age(), low));
        for place in trace.places() {
            self.by_time.remove(*place, low);
        }
        if self.search_enabled {
            for span in trace.spans().iter() {
                self.services.remove(span, trace.places(), low);
            }
        }
        Some(trace)
    }

    pub(crate) fn trace(&self, low: u64) -> Option<&Trace> {
        self.traces.get(&low)
    }

    /// The trace that began first: when, and which.
    pub(crate) fn oldest(&self) -> Option<(u64, u64)> {
        self.by_age.first().copied()
    }

    /// The least of those traces of which no span has a timestamp that are at least `from`.
    pub(crate) fn untimed(&self, from: u64) -> Option<u64> {
        let (age, low) = *self.by_age.range((0, from)..).next()?;
        (age == 0).then_some(low)
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// When traces happened, of one service or of all.
    pub(crate) fn by_time(&self, service_name: Option<&str>) -> Option<&TimeIndex> {
        match service_name {
            Some(name) => self.services.by_time(name),
            None => Some(&self.by_time),
        }
    }
}
