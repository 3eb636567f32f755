//! What the files of a store take on the disk, by what they are for.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

/// Bytes of a store's files by what they are for.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Disk {
    pub(crate) journal_bytes: u64,
    pub(crate) segment_bytes: u64,
    /// The manifest and what is none of the others.
    pub(crate) other_bytes: u64,
    pub(crate) segments: u64,
    pub(crate) largest_segment_bytes: u64,
}

impl Disk {
    pub(crate) fn of(store: &Path) -> anyhow::Result<Self> {
        let mut disk = Self::default();
        for file in files(store)? {
            let bytes = match file.metadata() {
                Ok(metadata) => metadata.len(),
                // The server drops segments while this looks.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| file.display().to_string()),
            };
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let folder = file
                .parent()
                .and_then(Path::file_name)
                .unwrap_or_default()
                .to_string_lossy();
            if name.ends_with(".segment") {
                disk.segment_bytes += bytes;
                disk.segments += 1;
                disk.largest_segment_bytes = disk.largest_segment_bytes.max(bytes);
            } else if folder == "journal" || name.ends_with(".journal") {
                disk.journal_bytes += bytes;
            } else {
                disk.other_bytes += bytes;
            }
        }
        Ok(disk)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.journal_bytes + self.segment_bytes + self.other_bytes
    }
}

/// All files below a folder.
///
/// # Errors
/// Where a folder cannot be listed.
pub(crate) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("{} cannot be listed", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
