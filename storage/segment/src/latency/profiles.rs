//! Profiles of a population: from the sections of segments, on two threads where there is much to read, and from spans
//! where a trace is whole in no segment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use model::Span;
use storage::{ProfileCollector, ProfileQuery, Profiles, StorageError};

use super::{Scattered, touches};
use crate::profiles::{ProfilesDirectory, TABLE_PAGES};
use crate::reader::SegmentReader;
use crate::search::check;
use crate::view::Reading;

/// Threads that read profiles for one question; more would take the processors from those who send spans.
const THREADS_MAX: usize = 2;
/// Pages of profiles that are worth another thread, some 60,000 spans.
const PAGES_OF_A_THREAD_MIN: usize = 4;

/// See [`storage::LatencySource::profiles`].
pub(crate) fn profiles(
    reading: &mut Reading<'_>,
    query: &ProfileQuery,
    version_tags: &[String],
    cancelled: &AtomicBool,
) -> Result<Profiles, StorageError> {
    let mut collector = ProfileCollector::new(query);
    let view = reading.view;
    let scattered = Scattered::find(reading, query.window, cancelled)?;
    for &low in scattered.traces.keys() {
        check(cancelled)?;
        collector.add_spans(&reading.spans_unless_too_many(low)?, version_tags);
    }
    let mut sections = Vec::new();
    for segment in view
        .segments
        .iter()
        .filter(|segment| touches(segment, query.window))
    {
        match reading.read(segment, SegmentReader::profiles)? {
            Some(directory) => sections.push(ProfilesOfSegment::new(segment, directory, query)),
            None => {
                let mut add = |spans: &[Span]| collector.add_spans(spans, version_tags);
                add_from_spans(reading, query, segment, &scattered, cancelled, &mut add)?;
            }
        }
    }
    let question = Question {
        query,
        scattered: &scattered,
        cancelled,
        sections: &sections,
        next: AtomicUsize::new(0),
    };
    question.add_all(reading, &mut collector)?;
    Ok(collector.finish(reading.completeness()))
}

/// A segment whose profiles are read, and which pages of them.
struct ProfilesOfSegment<'v> {
    segment: &'v SegmentReader,
    directory: Arc<ProfilesDirectory>,
    pages: Vec<u32>,
}

impl<'v> ProfilesOfSegment<'v> {
    fn new(segment: &'v SegmentReader, directory: Arc<ProfilesDirectory>, query: &ProfileQuery) -> Self {
        let bounds = segment.footer().bounds.chunks(TABLE_PAGES as usize);
        let touched = (0..)
            .zip(bounds)
            .filter(|(_, bounds)| bounds.iter().any(|bounds| bounds.touches(query.window)));
        Self {
            segment,
            directory,
            pages: touched.map(|(page, _)| page).collect(),
        }
    }
}

/// A question whose pages are shared out among threads.
struct Question<'q, 'v> {
    query: &'q ProfileQuery,
    scattered: &'q Scattered,
    cancelled: &'q AtomicBool,
    sections: &'q [ProfilesOfSegment<'v>],
    /// Pages that somebody reads or has read, of all segments one after the other.
    next: AtomicUsize,
}

impl<'q> Question<'q, '_> {
    /// Adds the profiles of the segments' traces that are whole there. In which order they come makes no difference to
    /// the answer.
    fn add_all(
        &self,
        reading: &mut Reading<'_>,
        collector: &mut ProfileCollector<'q>,
    ) -> Result<(), StorageError> {
        let pages: usize = self.sections.iter().map(|section| section.pages.len()).sum();
        let helpers = (pages / PAGES_OF_A_THREAD_MIN).clamp(1, THREADS_MAX) - 1;
        let parts: Vec<_> = (0..helpers)
            .map(|_| (reading.part(), ProfileCollector::new(self.query)))
            .collect();
        std::thread::scope(|scope| {
            let helpers: Vec<_> = parts
                .into_iter()
                .map(|(mut reading, mut collector)| {
                    scope.spawn(move || {
                        self.add_some(&mut reading, &mut collector)?;
                        Ok((reading, collector))
                    })
                })
                .collect();
            let added = self.add_some(reading, collector);
            for helper in helpers {
                let lost = |_| StorageError::Unavailable("a thread that read profiles panicked".to_owned());
                let (part, gathered) = helper.join().map_err(lost)??;
                reading.join(part);
                collector.join(gathered);
            }
            added
        })
    }

    /// Adds page by page those that nobody else reads, until none is left.
    fn add_some(
        &self,
        reading: &mut Reading<'_>,
        collector: &mut ProfileCollector<'q>,
    ) -> Result<(), StorageError> {
        let mut before = 0;
        let mut next = self.next.fetch_add(1, Ordering::Relaxed);
        for section in self.sections {
            let ProfilesOfSegment {
                segment,
                directory,
                pages,
            } = section;
            let source = collector.source(&directory.table);
            while let Some(&page) = pages.get(next - before) {
                check(self.cancelled)?;
                if source.is_asked_for() {
                    reading.read(segment, |segment| {
                        segment.visit_profiles(directory, page, |profile| {
                            if !self.scattered.has(profile.trace_id.low()) {
                                collector.add(&source, profile);
                            }
                        })
                    })?;
                }
                next = self.next.fetch_add(1, Ordering::Relaxed);
            }
            before += pages.len();
        }
        Ok(())
    }
}

/// Gives `add` the spans of a segment's traces that are whole there, of a segment that keeps no profiles.
fn add_from_spans(
    reading: &mut Reading<'_>,
    query: &ProfileQuery,
    segment: &SegmentReader,
    scattered: &Scattered,
    cancelled: &AtomicBool,
    add: &mut impl FnMut(&[Span]),
) -> Result<(), StorageError> {
    let bounds = (0..).zip(&segment.footer().bounds);
    for (page, _) in bounds.filter(|(_, bounds)| bounds.touches(query.window)) {
        for entry in reading.read(segment, |segment| segment.entries_of_page(page))? {
            check(cancelled)?;
            if query.contains(entry.times.timestamp) && !scattered.has(entry.low) {
                add(&reading.read(segment, |segment| segment.spans(&entry))?);
            }
        }
    }
    Ok(())
}
