//! One trace: its spans once each, when they happened, and where they are indexed.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use model::Span;

use crate::time_index::Place;

/// All spans whose trace identifier ends in the same 64 bits.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    // Shared with readers. Adding to it copies it only while one of them is at it, so at most once a read.
    spans: Arc<Vec<Span>>,
    // Positions in `spans`, found by the hash of the whole span: drops duplicates in constant time.
    distinct: HashTable<u32>,
    extent: Option<(u64, u64)>,
    places: Vec<Place>,
}

impl Trace {
    /// In order of arrival.
    pub(crate) fn spans(&self) -> &Arc<Vec<Span>> {
        &self.spans
    }

    /// Adds a span unless an equal one is there; returns whether it was added.
    pub(crate) fn push(&mut self, hasher: &DefaultHashBuilder, span: Span) -> bool {
        let hash = hasher.hash_one(&span);
        if self
            .distinct
            .find(hash, |&at| self.spans[at as usize] == span)
            .is_some()
        {
            return false;
        }
        let spans = Arc::make_mut(&mut self.spans);
        self.distinct.insert_unique(hash, spans.len() as u32, |&at| {
            hasher.hash_one(&spans[at as usize])
        });
        if let Some(timestamp) = span.timestamp {
            let (first, last) = self.extent.unwrap_or((timestamp, timestamp));
            self.extent = Some((first.min(timestamp), last.max(timestamp)));
        }
        spans.push(span);
        true
    }

    /// The least and greatest timestamp of its spans; `None` when none has one.
    pub(crate) fn extent(&self) -> Option<(u64, u64)> {
        self.extent
    }

    /// When it began, for eviction: traces without a timestamp are the oldest.
    pub(crate) fn age(&self) -> u64 {
        self.extent.map_or(0, |(first, _)| first)
    }

    /// Where it is indexed; the last place covers all its timestamps.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// A new place, if its spans have outgrown the last.
    pub(crate) fn settle(&mut self) -> Option<Place> {
        let (first, last) = self.extent?;
        if self.places.last().is_some_and(|place| place.covers(first, last)) {
            return None;
        }
        let place = Place::around(first, last);
        self.places.push(place);
        Some(place)
    }
}
