//! Profiles of a population: from the sections of segments and of the head, on two threads where there is much to read,
//! and from spans where a trace is whole in none of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use model::{Span, TraceProfile};
use storage::{ProfileCollector, ProfileQuery, Profiles, StorageError};

use super::{Scattered, touches};
use crate::head_section::HeadSection;
use crate::profiles::{ProfilesDirectory, TABLE_PAGES};
use crate::reader::SegmentReader;
use crate::search::check;
use crate::store::Store;
use crate::view::Reading;

/// Threads that read profiles for one question; more would take the processors from those who send spans.
const THREADS_MAX: usize = 2;
/// Pages of profiles that are worth another thread, some 60,000 spans.
const PAGES_OF_A_THREAD_MIN: usize = 4;

/// See [`storage::LatencySource::profiles`].
pub(crate) fn profiles(
    store: &Store,
    reading: &mut Reading<'_>,
    query: &ProfileQuery,
    cancelled: &AtomicBool,
) -> Result<Profiles, StorageError> {
    let mut collector = ProfileCollector::new(query);
    let version_tags = &store.config.options.version_tags;
    let view = reading.view;
    let head = store.counted_head(view, query.window, cancelled)?;
    let scattered = Scattered::find(reading, &head, query.window, cancelled)?;
    for &low in &scattered.traces {
        check(cancelled)?;
        collector.add_spans(&reading.spans_unless_too_many(low)?, version_tags);
    }
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (_, section) in &head.sections {
        sections.push(Section {
            place: Place::Head(section),
            pages: section.pages_of(query.window),
        });
    }
    for segment in view
        .segments
        .iter()
        .filter(|segment| touches(segment, query.window))
    {
        match reading.read(segment, SegmentReader::profiles)? {
            Some(directory) => sections.push(Section::of_segment(segment, directory, query)),
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

/// Profiles that lie together, and which pages of them may be asked for.
struct Section<'v> {
    place: Place<'v>,
    pages: Vec<u32>,
}

/// Where profiles are.
enum Place<'v> {
    Head(&'v HeadSection),
    Segment(&'v SegmentReader, Arc<ProfilesDirectory>),
}

impl<'v> Section<'v> {
    fn of_segment(
        segment: &'v SegmentReader,
        directory: Arc<ProfilesDirectory>,
        query: &ProfileQuery,
    ) -> Self {
        let bounds = segment.footer().bounds.chunks(TABLE_PAGES as usize);
        let touched = (0..)
            .zip(bounds)
            .filter(|(_, bounds)| bounds.iter().any(|bounds| bounds.touches(query.window)));
        Self {
            pages: touched.map(|(page, _)| page).collect(),
            place: Place::Segment(segment, directory),
        }
    }

    fn directory(&self) -> &ProfilesDirectory {
        match &self.place {
            Place::Head(section) => section.directory(),
            Place::Segment(_, directory) => directory,
        }
    }

    fn visit(
        &self,
        reading: &mut Reading<'_>,
        page: u32,
        visit: impl FnMut(&TraceProfile),
    ) -> Result<(), StorageError> {
        match &self.place {
            Place::Head(section) => section.visit_profiles(page, visit),
            Place::Segment(segment, directory) => {
                reading.read(segment, |segment| segment.visit_profiles(directory, page, visit))
            }
        }
    }
}

/// A question whose pages are shared out among threads.
struct Question<'q, 'v> {
    query: &'q ProfileQuery,
    scattered: &'q Scattered,
    cancelled: &'q AtomicBool,
    sections: &'q [Section<'v>],
    /// Pages that somebody reads or has read, of all sections one after the other.
    next: AtomicUsize,
}

impl<'q> Question<'q, '_> {
    /// Adds the profiles of the sections' traces that are whole there. In which order they come makes no difference to
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
            let pages = &section.pages;
            let source = collector.source(&section.directory().table);
            while let Some(&page) = pages.get(next - before) {
                check(self.cancelled)?;
                if source.is_asked_for() {
                    section.visit(reading, page, |profile| {
                        if !self.scattered.has(profile.trace_id.low()) {
                            collector.add(&source, profile);
                        }
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
