//! The manifest: which segments the store consists of.
//!
//! One small JSON file, replaced atomically: written under another name, synced, renamed. A segment file that
//! the manifest does not name was never finished, or has been replaced, and is removed at start. So a damaged
//! manifest could cost segments that are whole: it bears a checksum, and a store without one is not opened
//! while there are segments.

use std::collections::HashSet;
use std::io;

use serde::{Deserialize, Serialize};
use storage::StorageError;
use storage_journal::Disk;

pub(crate) const NAME: &str = "manifest.json";
const TEMPORARY: &str = "manifest.json.writing";
/// Room for another manifest, taken while there is some: given up when a disk is full, so that segments can go.
const SPARE: &str = "manifest.json.room";
/// More than a segment takes in a manifest.
const SEGMENT_BYTES: usize = 160;
/// In what steps the spare room grows.
const SPARE_STEP_BYTES: usize = 64 << 10;
const VERSION: u32 = 1;
/// A manifest has some 120 bytes a segment.
const BYTES_MAX: u64 = 64 << 20;

/// Where segments are.
pub(crate) const DIRECTORY: &str = "segments";
const SEGMENT: &str = "segment";
const WRITING: &str = "writing";

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Manifest {
    version: u32,
    /// The number the next segment gets; numbers are never used again.
    pub(crate) next_segment: u64,
    /// Every segment of the store, in no particular order.
    pub(crate) segments: Vec<ManifestSegment>,
    /// CRC32C of this manifest as JSON without blanks, with 0 in this place.
    checksum: u32,
}

/// A segment of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ManifestSegment {
    pub(crate) number: u64,
    /// The length of its file.
    pub(crate) bytes: u64,
    /// When it was sealed, epoch milliseconds by the server's clock; of joined segments, the last of them. What
    /// retention and compaction go by: timestamps of spans may be anything.
    pub(crate) sealed_at: u64,
    /// It holds a part of a trace too large for one segment, and is never joined with others.
    pub(crate) part: bool,
}

/// Why a manifest was not replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReplaced {
    /// The one before is in its place.
    #[error("{0}")]
    Certainly(io::Error),
    /// Either may be in its place after a crash, so what either of them names must stay.
    #[error("{0}; it is unknown which of two manifests is on disk")]
    Perhaps(io::Error),
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            version: VERSION,
            next_segment: 1,
            segments: Vec::new(),
            checksum: 0,
        }
    }
}

impl Manifest {
    /// Reads the manifest; that of an empty store, written, where there is none and no segment either.
    pub(crate) fn open(disk: &dyn Disk) -> Result<Self, StorageError> {
        match Self::read(disk)? {
            Some(manifest) => Ok(manifest),
            None => Self::begin(disk),
        }
    }

    /// Reads the manifest; nothing where there is none and no segment either.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Self>, StorageError> {
        let Some(bytes) = read_bytes(disk)? else {
            return match first_segment(disk)? {
                None => Ok(None),
                Some(name) => Err(corrupt(format_args!(
                    "it is missing, but {DIRECTORY}/{name} is there"
                ))),
            };
        };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(corrupt)?;
        if manifest.version != VERSION {
            return Err(corrupt(format_args!(
                "store version {}; this server reads version {VERSION}",
                manifest.version
            )));
        }
        if manifest.checksum != manifest.sum() {
            return Err(corrupt("its checksum is wrong"));
        }
        let mut numbers = HashSet::new();
        let mut is_free = |segment: &ManifestSegment| {
            segment.number >= manifest.next_segment || !numbers.insert(segment.number)
        };
        match manifest.segments.iter().find(|&segment| is_free(segment)) {
            None => Ok(Some(manifest)),
            Some(segment) => Err(corrupt(format_args!(
                "segment {} is there twice or was never begun",
                segment.number
            ))),
        }
    }

    fn begin(disk: &dyn Disk) -> Result<Self, StorageError> {
        let mut manifest = Self::default();
        let written = manifest.replace(disk);
        written.map_err(|error| StorageError::Unavailable(format!("{NAME} cannot be written: {error}")))?;
        Ok(manifest)
    }

    /// Puts this manifest in the place of the one before, durably.
    pub(crate) fn replace(&mut self, disk: &dyn Disk) -> Result<(), NotReplaced> {
        self.checksum = self.sum();
        self.write(disk).map_err(NotReplaced::Certainly)?;
        disk.rename(TEMPORARY, NAME).map_err(NotReplaced::Perhaps)?;
        disk.sync_directory("").map_err(NotReplaced::Perhaps)
    }

    /// A manifest of these segments, for a store that has lost its own.
    pub(crate) fn of_segments(next_segment: u64, segments: Vec<ManifestSegment>) -> Self {
        Self {
            next_segment,
            segments,
            ..Self::default()
        }
    }

    fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        let file = disk.create(TEMPORARY)?;
        file.write_all_at(&bytes, 0)?;
        file.sync()
    }

    /// Takes room for a manifest like this one, unless there is enough. Nothing depends on it but what happens on a
    /// full disk.
    pub(crate) fn keep_spare_room(&self, disk: &dyn Disk) -> io::Result<()> {
        let bytes = (self.segments.len() * SEGMENT_BYTES + 1).next_multiple_of(SPARE_STEP_BYTES);
        if let Ok(file) = disk.open(SPARE)
            && file.len()? >= bytes as u64
        {
            return Ok(());
        }
        let taken = disk.create(SPARE).and_then(|file| {
            file.write_all_at(&vec![0; bytes], 0)?;
            file.sync()
        });
        if taken.is_err() {
            // A part of it would be taken for enough.
            disk.remove(SPARE)?;
        }
        taken
    }

    /// Gives up the room that [`Manifest::keep_spare_room`] took; tells whether there was any.
    pub(crate) fn give_up_spare_room(disk: &dyn Disk) -> bool {
        disk.remove(SPARE).is_ok()
    }

    fn sum(&self) -> u32 {
        let plain = Self {
            checksum: 0,
            ..self.clone()
        };
        // Numbers and flags in fixed fields: there is nothing in it that JSON cannot say.
        serde_json::to_vec(&plain).map_or(0, |bytes| crc32c::crc32c(&bytes))
    }

    /// The file of a segment.
    pub(crate) fn file_name(number: u64) -> String {
        format!("{DIRECTORY}/{number:010}.{SEGMENT}")
    }

    /// What the file of a segment is called while it is written.
    pub(crate) fn temporary_name(number: u64) -> String {
        format!("{DIRECTORY}/{number:010}.{WRITING}")
    }

    /// Removes files of segments that are not the manifest's; gives how many. Files that bear no name of ours
    /// are left alone.
    pub(crate) fn remove_orphans(&self, disk: &dyn Disk) -> io::Result<usize> {
        let named = self
            .segments
            .iter()
            .map(|segment| Self::file_name(segment.number));
        let named: HashSet<String> = named.collect();
        let mut removed = 0;
        for (name, _) in disk.list(DIRECTORY)? {
            let is_ours = extension(&name).is_some();
            let name = format!("{DIRECTORY}/{name}");
            if is_ours && !named.contains(&name) {
                disk.remove(&name)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn corrupt(what: impl std::fmt::Display) -> StorageError {
    StorageError::Corrupt(format!("{NAME}: {what}"))
}

/// The bytes of the manifest; nothing where there is none.
fn read_bytes(disk: &dyn Disk) -> Result<Option<Vec<u8>>, StorageError> {
    let io = |error: io::Error| StorageError::Unavailable(format!("{NAME} cannot be read: {error}"));
    let file = match disk.open(NAME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(io)?,
    };
    let length = file.len().map_err(io)?;
    if length > BYTES_MAX {
        return Err(corrupt(format_args!(
            "{length} bytes, more than a manifest can have"
        )));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0).map_err(io)?;
    Ok(Some(bytes))
}

/// A file that has the name of a segment, if there is one.
fn first_segment(disk: &dyn Disk) -> Result<Option<String>, StorageError> {
    let list = disk.list(DIRECTORY);
    let list = list.map_err(|error| StorageError::Unavailable(format!("{DIRECTORY}: {error}")))?;
    let mut names = list.into_iter().map(|(name, _)| name);
    Ok(names.find(|name| extension(name) == Some(SEGMENT)))
}

/// Whether the manifest that is there, and is whole, has the very bytes that were written.
pub(crate) fn is_as_written(disk: &dyn Disk) -> Result<bool, StorageError> {
    let (Some(manifest), Some(bytes)) = (Manifest::read(disk)?, read_bytes(disk)?) else {
        return Ok(true);
    };
    Ok(serde_json::to_vec_pretty(&manifest).is_ok_and(|written| written == bytes))
}

/// Whether a segment's file may have this name.
pub(crate) fn is_ours(name: &str) -> bool {
    extension(name).is_some()
}

/// The number of the segment that has a finished file of this name.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let number = name.split('.').next()?;
    (extension(name) == Some(SEGMENT))
        .then(|| number.parse().ok())
        .flatten()
}

/// The extension of a name that a segment's file may have.
fn extension(name: &str) -> Option<&str> {
    let (number, extension) = name.split_once('.')?;
    let is_number = number.len() >= 10 && number.bytes().all(|byte| byte.is_ascii_digit());
    Some(extension).filter(|extension| is_number && [SEGMENT, WRITING].contains(extension))
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage_journal::LossyDisk;

    fn disk_with(name: &str, bytes: &[u8]) -> LossyDisk {
        let disk = LossyDisk::new();
        disk.create_directory(DIRECTORY).unwrap();
        disk.create(name).unwrap().write_all_at(bytes, 0).unwrap();
        disk
    }

    fn manifest() -> (Manifest, Vec<u8>) {
        let segment = |number| ManifestSegment {
            number,
            bytes: 1000 + number,
            sealed_at: 1_600_000_000_000,
            part: number == 2,
        };
        let mut manifest = Manifest {
            next_segment: 14,
            segments: [12, 2, 13].map(segment).into(),
            ..Manifest::default()
        };
        let disk = LossyDisk::new();
        manifest.replace(&disk).unwrap();
        let file = disk.open(NAME).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        (manifest, bytes)
    }

    #[test]
    fn no_damage_makes_it_name_other_segments() {
        let (manifest, bytes) = manifest();
        assert_eq!(Manifest::open(&disk_with(NAME, &bytes)), Ok(manifest.clone()));
        let mut refused = 0;
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                match Manifest::open(&disk_with(NAME, &damaged)) {
                    Ok(read) => assert_eq!(read, manifest, "byte {at}, bit {bit}"),
                    Err(StorageError::Corrupt(reason)) => {
                        assert!(reason.starts_with(NAME), "{reason}");
                        refused += 1;
                    }
                    Err(error) => panic!("byte {at}, bit {bit}: {error}"),
                }
            }
            assert!(Manifest::open(&disk_with(NAME, &bytes[..at])).is_err());
        }
        assert!(refused > 1000, "{refused}");
    }

    #[test]
    fn segments_without_a_manifest_are_kept() {
        let disk = disk_with("segments/0000000007.segment", b"spans");
        let error = Manifest::open(&disk).unwrap_err().to_string();
        assert!(
            error.contains("it is missing, but segments/0000000007.segment is there"),
            "{error}"
        );
    }

    #[test]
    fn numbers_that_would_be_used_again_are_refused() {
        for (next_segment, numbers) in [(14, [2, 2]), (3, [2, 3])] {
            let segment = |number| ManifestSegment {
                number,
                bytes: 1,
                sealed_at: 1,
                part: false,
            };
            let disk = LossyDisk::new();
            let mut manifest = Manifest {
                next_segment,
                segments: numbers.map(segment).into(),
                ..Manifest::default()
            };
            manifest.replace(&disk).unwrap();
            assert!(Manifest::open(&disk).is_err(), "{numbers:?}");
        }
    }

    #[test]
    fn only_files_of_segments_are_removed() {
        let disk = disk_with("segments/0000000007.segment", b"spans");
        for name in ["0000000008.writing", "notes.txt", "0000000002.segment.bak"] {
            disk.create(&format!("{DIRECTORY}/{name}")).unwrap();
        }
        assert_eq!(Manifest::default().remove_orphans(&disk).unwrap(), 2);
        let names: Vec<_> = disk
            .list(DIRECTORY)
            .unwrap()
            .into_iter()
            .map(|file| file.0)
            .collect();
        assert_eq!(names, ["0000000002.segment.bak", "notes.txt"]);
    }
}
