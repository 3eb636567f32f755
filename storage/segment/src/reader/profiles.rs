//! Reads the profiles of a segment.

use std::sync::Arc;

use model::TraceProfile;

use super::{Result, SegmentReader};
use crate::format::Section;
use crate::profile_codes::ProfileFrame;
use crate::profiles::{ProfilesDirectory, TABLE_PAGES};

impl SegmentReader {
    /// What is needed to read profiles, through the cache; `None` where it has none, or of another version.
    pub(crate) fn profiles(&self) -> Result<Option<Arc<ProfilesDirectory>>> {
        let run = self.footer.section(Section::Profiles);
        let Some(last) = run.count.checked_sub(1) else {
            return Ok(None);
        };
        if let Some(known) = self.profiles.get(&self.number) {
            return Ok(Some(known));
        }
        let number = run.first + last;
        let page = self.pages.page_uncached(number)?;
        let directory = ProfilesDirectory::read(&page).map_err(|error| self.pages.corrupt(number, error))?;
        let directory = directory.map(Arc::new);
        if let Some(directory) = &directory {
            self.profiles.insert(self.number, directory.clone());
        }
        Ok(directory)
    }

    /// Gives `visit` the profiles of a page, from the first of their section.
    pub(crate) fn visit_profiles(
        &self,
        directory: &ProfilesDirectory,
        page: u32,
        visit: impl FnMut(&TraceProfile),
    ) -> Result<()> {
        let run = self.footer.section(Section::Profiles);
        if page + 1 >= run.count {
            return Err(self
                .pages
                .corrupt(run.first, "a page of profiles beyond their section"));
        }
        let first = page * TABLE_PAGES;
        let mut frames = Vec::new();
        for table_page in first..(first + TABLE_PAGES).min(self.footer.bounds.len() as u32) {
            let entries = self.entries_of_page(table_page)?;
            frames.extend(entries.iter().map(ProfileFrame::of));
        }
        let bytes = self.pages.page_uncached(run.first + page)?;
        directory
            .visit(page, &bytes, &frames, visit)
            .map_err(|error| self.pages.corrupt(run.first + page, error))
    }

    /// Reads them all.
    pub(super) fn verify_profiles(&self) -> Result<()> {
        let Some(directory) = self.profiles()? else {
            return Ok(());
        };
        let mut profiles = 0;
        for page in 0..self.footer.section(Section::Profiles).count - 1 {
            self.visit_profiles(&directory, page, |_| profiles += 1)?;
        }
        if profiles == self.footer.summary.traces {
            return Ok(());
        }
        let first = self.footer.section(Section::Profiles).first;
        Err(self.pages.corrupt(first, "other profiles than there are traces"))
    }
}
