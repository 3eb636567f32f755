//! Traces of the head counted as sealing would count them, in memory: profiles in some bytes a span, and times of
//! operations. Each trace is counted as if it were whole in its generation, with the spans it had then.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::TraceProfile;
use storage::StorageError;

use crate::head::Generation;
use crate::names::Names;
use crate::postings::PostingsBuilder;
use crate::profile_codes::ProfileFrame;
use crate::profiles::{ProfilesDirectory, TRACES_PER_PAGE};
use crate::rollup::RollupBuilder;
use crate::rows::TraceRows;
use crate::search::check;
use crate::segment_shapes::{Learners, SegmentShapes};
use crate::shape_plan::ShapePlan;
use crate::sketches::{SketchEntry, read_sketches};
use crate::trace_table::TraceTimes;
use crate::writer::WriterOptions;
use storage_record::bytes::Malformed;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct HeadSection {
    /// Low identifiers, ascending, and how many spans of each trace were counted.
    counted: Vec<(u64, u32)>,
    frames: Vec<ProfileFrame>,
    /// The first and the last timestamp of the traces of each page.
    bounds: Vec<(u64, u64)>,
    pages: Vec<Vec<u8>>,
    directory: ProfilesDirectory,
    times: Vec<SketchEntry>,
    bytes: u64,
}

impl HeadSection {
    /// Memory it takes, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many traces were counted.
    pub(crate) fn traces(&self) -> usize {
        self.counted.len()
    }

    /// Low identifiers, ascending, and how many spans of each trace were counted.
    pub(crate) fn counted(&self) -> &[(u64, u32)] {
        &self.counted
    }

    /// How many spans of a trace were counted, if it is here.
    pub(crate) fn spans_counted(&self, low: u64) -> Option<u32> {
        let place = self.counted.binary_search_by_key(&low, |trace| trace.0).ok()?;
        Some(self.counted[place].1)
    }

    /// What its profiles are numbers of.
    pub(crate) fn directory(&self) -> &ProfilesDirectory {
        &self.directory
    }

    /// Times of operations by version and minute.
    pub(crate) fn times(&self) -> &[SketchEntry] {
        &self.times
    }

    /// Pages with profiles of traces that may be of a window.
    pub(crate) fn pages_of(&self, window: (u64, u64)) -> Vec<u32> {
        let touches = |bounds: &(u64, u64)| bounds.1 >= window.0 && bounds.0 <= window.1;
        let pages = (0..).zip(&self.bounds);
        pages.filter(|page| touches(page.1)).map(|page| page.0).collect()
    }

    /// Gives `visit` the profiles of a page.
    pub(crate) fn visit_profiles(
        &self,
        page: u32,
        visit: impl FnMut(&TraceProfile),
    ) -> Result<(), StorageError> {
        let first = (page * TRACES_PER_PAGE) as usize;
        let end = self.frames.len().min(first + TRACES_PER_PAGE as usize);
        let bytes = &self.pages[page as usize];
        let visited = self.directory.visit(page, bytes, &self.frames[first..end], visit);
        visited.map_err(of_head)
    }
}

/// Counts traces of a generation. Those that it cannot count, because they came in shapes that are newer than it or
/// have more spans than `spans_max`, are not in the section.
pub(crate) fn count(
    generation: &Generation,
    lows: &[u64],
    options: &WriterOptions,
    spans_max: u64,
    cancelled: &AtomicBool,
) -> Result<HeadSection, StorageError> {
    let plan = Arc::new(generation.with_shapes(|table| ShapePlan::of(&[table])));
    let mut counting = Counting {
        shapes: SegmentShapes::new(plan.clone()),
        plan,
        options,
        names: Names::default(),
        postings: PostingsBuilder::default(),
        rollup: RollupBuilder::default(),
    };
    let (mut rows, mut counted, mut frames, mut bounds) =
        (TraceRows::default(), Vec::new(), Vec::new(), Vec::new());
    for &low in lows {
        check(cancelled)?;
        let Some(mut reading) = generation.rows_of(low) else {
            continue;
        };
        rows.clear();
        reading.read(spans_max.saturating_add(1) as usize, &mut rows);
        let spans = rows.len();
        if spans as u64 > spans_max {
            continue;
        }
        if !counting.recode(&mut rows).map_err(of_head)? {
            continue;
        }
        let timestamp = TraceTimes::of_rows(&rows).timestamp;
        counting.add(timestamp, &rows).map_err(of_head)?;
        if frames.len() % TRACES_PER_PAGE as usize == 0 {
            bounds.push((u64::MAX, 0));
        }
        if let Some(bounds) = bounds.last_mut() {
            *bounds = (bounds.0.min(timestamp), bounds.1.max(timestamp));
        }
        frames.push(ProfileFrame { low, timestamp });
        counted.push((low, spans as u32));
    }
    counted.sort_unstable();
    counting.finish(counted, frames, bounds)
}

/// What traces are counted with.
struct Counting<'o> {
    plan: Arc<ShapePlan>,
    shapes: SegmentShapes,
    options: &'o WriterOptions,
    // Nothing is listed here, because what is in memory is not searched this way.
    names: Names,
    postings: PostingsBuilder,
    rollup: RollupBuilder,
}

impl Counting<'_> {
    /// Codes the rows of a trace, each once, against the shapes that are counted by; false where the plan has not all
    /// of theirs.
    fn recode(&mut self, rows: &mut TraceRows) -> Result<bool, Malformed> {
        if rows.iter().any(|row| !self.plan.has(0, row.head.shape)) {
            return Ok(false);
        }
        self.plan.recode(0, rows)?;
        rows.sort_distinct(self.plan.table())?;
        let mut learners = Learners {
            options: self.options,
            names: &mut self.names,
            postings: &mut self.postings,
            rollup: &mut self.rollup,
        };
        self.shapes.recode(rows, &mut learners)?;
        Ok(true)
    }

    fn add(&mut self, timestamp: u64, rows: &TraceRows) -> Result<(), Malformed> {
        let version_tags = &self.options.version_tags;
        self.rollup.add_trace(timestamp, rows, &self.shapes, version_tags)
    }

    fn finish(
        mut self,
        counted: Vec<(u64, u32)>,
        frames: Vec<ProfileFrame>,
        bounds: Vec<(u64, u64)>,
    ) -> Result<HeadSection, StorageError> {
        let (directory, pages) = self.rollup.take_profiles();
        let directory = ProfilesDirectory::read(&directory)
            .and_then(|directory| directory.ok_or(Malformed("profiles of another version")))
            .map_err(of_head)?;
        let times = read_sketches(&self.rollup.sketches_bytes()).map_err(of_head)?;
        let of_traces = size_of_val(&*counted) + size_of_val(&*frames) + size_of_val(&*bounds);
        let of_pages = pages.iter().map(Vec::len).sum::<usize>();
        let of_times = times.iter().map(SketchEntry::bytes).sum::<usize>();
        Ok(HeadSection {
            bytes: (of_traces + of_pages + of_times) as u64 + directory.bytes(),
            counted,
            frames,
            bounds,
            pages,
            directory,
            times,
        })
    }
}

/// What was counted was made by this process: a failure is a mistake in it.
fn of_head(error: Malformed) -> StorageError {
    StorageError::Unavailable(format!("traces of the head cannot be counted: {error}"))
}
