//! What is known of the head's traces between questions about profiles and times.
//!
//! A question counts the traces that came since the last one (`head_section.rs`); those that have been quiet for some
//! seconds will hardly change any more, and what was counted of them is kept. A trace that gets another span
//! nevertheless is told, so that whoever asks reads it whole.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use storage::StorageError;

use crate::head::Generation;
use crate::head_section::{HeadSection, count};
use crate::view::View;
use crate::writer::WriterOptions;

/// Traces without a new span for so long are counted for good, milliseconds: nearly all are whole by then.
const QUIET_MS: u64 = 5_000;
/// Fewer quiet traces are counted again by the next question, so that sections are few.
const SECTION_TRACES_MIN: usize = 2_000;
/// A section of which one trace in so many has changed is counted anew.
const CHANGED_SHARE: usize = 8;
/// Memory for what is kept of a generation: the traces of some five million spans.
const KNOWN_BYTES_MAX: u64 = 32 << 20;
/// Sections of a generation; with more of them all are counted anew, together.
const SECTIONS_MAX: usize = 16;
/// Threads that count for one question; more would take the processors from those who send spans.
const THREADS_MAX: usize = 2;
/// Traces that are worth another thread.
const TRACES_OF_A_THREAD_MIN: usize = 4_000;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct KnownSections {
    generations: Vec<(Weak<Generation>, KnownGeneration)>,
}

/// What is kept of a generation.
#[derive(Debug, Default)]
struct KnownGeneration {
    sections: Vec<Arc<HeadSection>>,
    /// Of each part the traces, in the order in which they came: how many spans the sections count of each.
    spans: Vec<Vec<u32>>,
}

/// The head as far as it touches a window.
#[derive(Debug, Default)]
pub(crate) struct CountedHead {
    /// Sections, each with the generation whose traces it counts. No trace of a generation is in two of them.
    pub(crate) sections: Vec<(Arc<Generation>, Arc<HeadSection>)>,
    /// Low identifiers of traces that touch the window and have spans that no section counts.
    pub(crate) changed: HashSet<u64, RandomState>,
}

/// What a question counts by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counter<'c> {
    pub(crate) options: &'c WriterOptions,
    /// Traces of more spans are not counted, and told as changed.
    pub(crate) spans_max: u64,
    /// Epoch milliseconds.
    pub(crate) now: u64,
    pub(crate) window: (u64, u64),
    pub(crate) cancelled: &'c AtomicBool,
}

impl KnownSections {
    /// Counts what of the head touches the window and is not known yet.
    pub(crate) fn update(&mut self, view: &View, by: Counter<'_>) -> Result<CountedHead, StorageError> {
        self.generations
            .retain(|(generation, _)| generation.strong_count() > 0);
        let mut head = CountedHead::default();
        for generation in view.generations() {
            self.of_generation(generation).update(generation, by, &mut head)?;
        }
        Ok(head)
    }

    fn of_generation(&mut self, generation: &Arc<Generation>) -> &mut KnownGeneration {
        let is_it = |known: &(Weak<Generation>, _)| std::ptr::eq(known.0.as_ptr(), Arc::as_ptr(generation));
        let index = self.generations.iter().position(is_it).unwrap_or_else(|| {
            self.generations
                .push((Arc::downgrade(generation), KnownGeneration::default()));
            self.generations.len() - 1
        });
        &mut self.generations[index].1
    }
}

impl KnownGeneration {
    fn update(
        &mut self,
        generation: &Arc<Generation>,
        by: Counter<'_>,
        head: &mut CountedHead,
    ) -> Result<(), StorageError> {
        let mut survey = self.survey(generation, by);
        let counted: usize = self.sections.iter().map(|section| section.traces()).sum();
        if survey.changed.len() * CHANGED_SHARE > counted || self.sections.len() > SECTIONS_MAX {
            *self = Self::default();
            survey = self.survey(generation, by);
        }
        head.changed.extend(survey.changed);
        let bytes: u64 = self.sections.iter().map(|section| section.bytes()).sum();
        let mut for_now = survey.arriving;
        if survey.quiet.len() >= SECTION_TRACES_MIN && bytes < KNOWN_BYTES_MAX {
            let sections = count_all(generation, survey.quiet, by, head)?;
            sections.iter().for_each(|section| self.note(generation, section));
            self.sections.extend(sections);
        } else {
            for_now.extend(survey.quiet);
        }
        let mut sections = count_all(generation, for_now, by, head)?;
        sections.extend(self.sections.iter().cloned());
        let sections = sections.into_iter().map(|section| (generation.clone(), section));
        head.sections.extend(sections);
        Ok(())
    }

    /// Looks through the traces that touch the window.
    fn survey(&mut self, generation: &Generation, by: Counter<'_>) -> Survey {
        self.spans.resize_with(generation.parts(), Vec::new);
        let (mut survey, mut index, mut last_part) = (Survey::default(), 0, 0);
        generation.for_each_of_parts(|part, trace| {
            if part != last_part {
                (index, last_part) = (0, part);
            }
            let known = self.spans[part].get(index).copied().unwrap_or(0);
            index += 1;
            if trace.last < by.window.0 || trace.first > by.window.1 || known as usize == trace.span_count() {
                return;
            }
            if known != 0 {
                survey.changed.push(trace.low);
            } else if trace.arrival.last.saturating_add(QUIET_MS) <= by.now {
                survey.quiet.push((trace.first, trace.low));
            } else {
                survey.arriving.push((trace.first, trace.low));
            }
        });
        survey
    }

    fn note(&mut self, generation: &Generation, section: &HeadSection) {
        for &(low, spans) in section.counted() {
            let Some((part, index)) = generation.place_of(low) else {
                continue;
            };
            let known = &mut self.spans[part];
            if index >= known.len() {
                known.resize(index + 1, 0);
            }
            known[index] = spans;
        }
    }
}

/// Traces of a generation that touch a window.
#[derive(Debug, Default)]
struct Survey {
    /// Low identifiers of those that have other spans than were counted.
    changed: Vec<u64>,
    /// When they began and their low identifiers, of those that were not counted.
    quiet: Vec<(u64, u64)>,
    arriving: Vec<(u64, u64)>,
}

/// Counts traces, each with the time it began, on two threads where there are many. Those that no section counts are
/// noted as changed.
fn count_all(
    generation: &Generation,
    mut traces: Vec<(u64, u64)>,
    by: Counter<'_>,
    head: &mut CountedHead,
) -> Result<Vec<Arc<HeadSection>>, StorageError> {
    // So that traces of a time are together.
    traces.sort_unstable();
    let lows: Vec<u64> = traces.into_iter().map(|trace| trace.1).collect();
    let threads = (lows.len() / TRACES_OF_A_THREAD_MIN).clamp(1, THREADS_MAX);
    let parts: Vec<&[u64]> = lows.chunks(lows.len().div_ceil(threads).max(1)).collect();
    let count = |lows: &[u64]| count(generation, lows, by.options, by.spans_max, by.cancelled).map(Arc::new);
    let sections = std::thread::scope(|scope| {
        let (first, rest) = parts.split_first()?;
        let rest: Vec<_> = rest.iter().map(|part| scope.spawn(|| count(part))).collect();
        let mut sections = vec![count(first)];
        let lost = |_| StorageError::Unavailable("a thread that counted traces panicked".to_owned());
        sections.extend(
            rest.into_iter()
                .map(|thread| thread.join().map_err(lost).flatten()),
        );
        Some(sections)
    });
    let sections = sections.unwrap_or_default();
    let sections = sections.into_iter().collect::<Result<Vec<_>, _>>()?;
    for (section, lows) in sections.iter().zip(parts) {
        if section.traces() < lows.len() {
            let is_left_out = |low: &u64| section.spans_counted(*low).is_none();
            head.changed.extend(lows.iter().copied().filter(is_left_out));
        }
    }
    Ok(sections)
}
