//! What is on the disk of a store, and forgetting what the system holds of it in memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{Advice, fadvise};
use serde::Serialize;

/// Bytes of a store's files by what they are for.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Disk {
    pub(super) journal_bytes: u64,
    pub(super) segment_bytes: u64,
    /// The manifest and what is none of the others.
    pub(super) other_bytes: u64,
    pub(super) segments: u64,
}

impl Disk {
    pub(super) fn of(store: &Path) -> anyhow::Result<Self> {
        let mut disk = Self::default();
        for file in files(store)? {
            let bytes = file.metadata()?.len();
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
            } else if folder == "journal" || name.ends_with(".journal") {
                disk.journal_bytes += bytes;
            } else {
                disk.other_bytes += bytes;
            }
        }
        Ok(disk)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.journal_bytes + self.segment_bytes + self.other_bytes
    }
}

/// Has the system forget every page of every file of the store that is on the disk already. Nobody else's files are
/// touched, and nobody needs to be root.
pub(super) fn forget(store: &Path) -> anyhow::Result<()> {
    for path in files(store)? {
        // Compaction may have removed it meanwhile.
        let Ok(file) = File::open(&path) else { continue };
        fadvise(&file, 0, None, Advice::DontNeed)
            .with_context(|| format!("{} cannot be forgotten", path.display()))?;
    }
    Ok(())
}

/// Has the system read every file once.
pub(super) fn read_all(store: &Path) -> anyhow::Result<()> {
    for path in files(store)? {
        let Ok(mut file) = File::open(&path) else { continue };
        std::io::copy(&mut file, &mut std::io::sink())?;
    }
    Ok(())
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
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
