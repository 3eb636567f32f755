//! The manifest: which segments the store consists of.
//!
//! One small JSON file, replaced atomically: written under another name, synced, renamed. A segment file that
//! the manifest does not name was never finished, or has been replaced, and is removed at start.

use std::io;

use serde::{Deserialize, Serialize};
use storage::StorageError;
use storage_journal::Disk;

const NAME: &str = "manifest.json";
const TEMPORARY: &str = "manifest.json.writing";
const VERSION: u32 = 1;
/// A manifest has some 40 bytes a segment.
const BYTES_MAX: u64 = 64 << 20;

/// Where segments are.
pub(crate) const DIRECTORY: &str = "segments";

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Manifest {
    version: u32,
    /// The number the next segment gets; numbers are never used again.
    pub(crate) next_segment: u64,
    /// Every segment of the store, in no particular order.
    pub(crate) segments: Vec<ManifestSegment>,
}

/// A segment of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ManifestSegment {
    pub(crate) number: u64,
    /// The length of its file.
    pub(crate) bytes: u64,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            version: VERSION,
            next_segment: 1,
            segments: Vec::new(),
        }
    }
}

impl Manifest {
    /// Reads the manifest; that of an empty store where there is none.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self, StorageError> {
        let io = |error: io::Error| StorageError::Unavailable(format!("{NAME} cannot be read: {error}"));
        let file = match disk.open(NAME) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other.map_err(io)?,
        };
        let length = file.len().map_err(io)?;
        if length > BYTES_MAX {
            return Err(StorageError::Corrupt(format!(
                "{NAME}: {length} bytes, more than a manifest can have"
            )));
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        let corrupt = |what: String| StorageError::Corrupt(format!("{NAME}: {what}"));
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
        match manifest.version {
            VERSION => Ok(manifest),
            newer => Err(corrupt(format!(
                "store version {newer}; this server reads version {VERSION}"
            ))),
        }
    }

    /// Puts this manifest in the place of the one before, durably.
    pub(crate) fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        let file = disk.create(TEMPORARY)?;
        file.write_all_at(&bytes, 0)?;
        file.sync()?;
        disk.rename(TEMPORARY, NAME)?;
        disk.sync_directory("")
    }

    /// The file of a segment.
    pub(crate) fn file_name(number: u64) -> String {
        format!("{DIRECTORY}/{number:010}.segment")
    }

    /// What the file of a segment is called while it is written.
    pub(crate) fn temporary_name(number: u64) -> String {
        format!("{DIRECTORY}/{number:010}.writing")
    }

    /// Removes files of segments that are not the manifest's; gives how many.
    pub(crate) fn remove_orphans(&self, disk: &dyn Disk) -> io::Result<usize> {
        let mut removed = 0;
        for (name, _) in disk.list(DIRECTORY)? {
            let name = format!("{DIRECTORY}/{name}");
            if !self
                .segments
                .iter()
                .any(|segment| Self::file_name(segment.number) == name)
            {
                disk.remove(&name)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
