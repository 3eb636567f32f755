//! How long operations took, as a segment keeps it: by the minute, and summed up by the hour.

use std::sync::Arc;

use super::{Result, SegmentReader};
use crate::format::Section;
use crate::hour_sums::HourSums;
use crate::sketch_codes::unpack;
use crate::sketches::{SketchEntry, read_sketches};

impl SegmentReader {
    /// Latency sketches by operation, version and minute, through the cache.
    pub(crate) fn sketches(&self) -> Result<Arc<[SketchEntry]>> {
        if let Some(known) = self.sketches.get(&self.number) {
            return Ok(known);
        }
        let entries: Arc<[SketchEntry]> = self.read_sketches()?.into();
        self.sketches.insert(self.number, entries.clone());
        Ok(entries)
    }

    /// What the sketches sum up to by the hour, through a cache of their own; `None` where they cannot be summed up.
    pub(crate) fn hour_sums(&self) -> Result<Option<Arc<HourSums>>> {
        if let Some(known) = self.hour_sums.get(&self.number) {
            return Ok(known);
        }
        // Sketches that are only summed up take no room in their cache.
        let sums = match self.sketches.get(&self.number) {
            Some(entries) => HourSums::of(&entries),
            None => HourSums::of(&self.read_sketches()?),
        };
        let sums = sums.map(Arc::new);
        self.hour_sums.insert(self.number, sums.clone());
        Ok(sums)
    }

    pub(super) fn read_sketches(&self) -> Result<Vec<SketchEntry>> {
        let number = self.footer.section(Section::Sketches).first;
        let page = self.pages.page_uncached(number)?;
        unpack(&page)
            .and_then(|section| read_sketches(&section))
            .map_err(|error| self.pages.corrupt(number, error))
    }
}
