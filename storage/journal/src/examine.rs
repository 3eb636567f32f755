//! Looking at a journal that nobody has open, without changing a byte of it; of a damaged one, every record that is
//! still whole.

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::error::JournalError;
use crate::format::{
    ALIGNMENT, CheckpointSlot, FILE_HEADER_BYTES, FileHeader, FileStart, RECORD_HEADER_BYTES, SECTOR_BYTES,
    file_name, parse_file_name,
};
use crate::log_file::{LogEnd, LogFile, damage, later_record};
use crate::recover::{self, Recovery};

/// What [`examine`] found.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// What an opening would say, if the journal can be opened.
    pub recovery: Recovery,
    /// Why it cannot be opened.
    pub damage: Option<JournalError>,
    /// Copies and fillings that are not as they were written. What they stand for is whole.
    pub harmless: Vec<JournalError>,
    /// Whole records from the checkpoint on, those behind damaged ones included.
    pub records: u64,
    /// All its files, by their names on the disk.
    pub files: Vec<String>,
}

/// Reads a journal that nobody has open, and gives `visit` every whole record from the checkpoint on, those behind
/// damaged ones included. Changes nothing. Where there is no journal, there is nothing to find.
///
/// # Errors
/// [`JournalError::Unavailable`] where the disk fails.
pub fn examine(
    disk: &dyn Disk,
    directory: &str,
    visit: &mut dyn FnMut(Vec<u8>),
) -> Result<Examination, JournalError> {
    let unavailable = |error: io::Error| JournalError::Unavailable(format!("{directory}: {error}"));
    let mut names: Vec<String> = disk
        .list(directory)
        .map_err(unavailable)?
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name == "checkpoint" || parse_file_name(name).is_some())
        .collect();
    names.sort_unstable();
    let mut found = Examination {
        files: names.iter().map(|name| format!("{directory}/{name}")).collect(),
        ..Examination::default()
    };
    if names.is_empty() {
        return Ok(found);
    }
    match recover::recover(&Untouched(disk), directory, &mut |_, _| Ok(())) {
        Ok((_, recovered)) => found.recovery = recovered.recovery,
        Err(error @ JournalError::Corrupt { .. }) => found.damage = Some(error),
        Err(error) => return Err(error),
    }
    let checkpoint = found.read_slots(disk, &format!("{directory}/checkpoint"))?;
    for sequence in names.iter().filter_map(|name| parse_file_name(name)) {
        let name = format!("{directory}/{}", file_name(sequence));
        found.read_file(disk, &name, sequence, checkpoint, visit)?;
    }
    Ok(found)
}

impl Examination {
    fn note(&mut self, file: &str, offset: u64, reason: &str) {
        self.harmless.push(damage(file, offset, reason));
    }

    /// The checkpoint, or the start where neither slot says one.
    fn read_slots(&mut self, disk: &dyn Disk, name: &str) -> Result<u64, JournalError> {
        let unavailable = |error: io::Error| JournalError::Unavailable(format!("{name}: {error}"));
        let file = match disk.open(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other.map_err(unavailable)?,
        };
        let mut bytes = vec![0; file.len().map_err(unavailable)?.min(2 * SECTOR_BYTES as u64) as usize];
        file.read_exact_at(&mut bytes, 0).map_err(unavailable)?;
        let mut position = 0;
        for (number, bytes) in bytes.chunks(SECTOR_BYTES).enumerate() {
            let slot = (bytes.len() == SECTOR_BYTES)
                .then(|| CheckpointSlot::decode(bytes))
                .flatten();
            let is_blank = bytes.iter().all(|&byte| byte == 0);
            if !is_blank && slot.is_none_or(|slot| slot.encode() != bytes) {
                let offset = (number * SECTOR_BYTES) as u64;
                self.note(
                    name,
                    offset,
                    "a slot is not whole, as after a crash while it was written",
                );
            }
            position = position.max(slot.map_or(0, |slot| slot.position));
        }
        Ok(position)
    }

    fn read_file(
        &mut self,
        disk: &dyn Disk,
        name: &str,
        sequence: u64,
        checkpoint: u64,
        visit: &mut dyn FnMut(Vec<u8>),
    ) -> Result<(), JournalError> {
        let unavailable = |error: io::Error| JournalError::Unavailable(format!("{name}: {error}"));
        let file = disk.open(name).map_err(unavailable)?;
        let length = file.len().map_err(unavailable)?;
        let mut start = vec![0; length.min(FILE_HEADER_BYTES) as usize];
        file.read_exact_at(&mut start, 0).map_err(unavailable)?;
        let FileStart::Begun(header) = FileHeader::decode(&start, sequence) else {
            return Ok(());
        };
        self.compare_header(name, &header, &start);
        let mut end = LogEnd {
            offset: FILE_HEADER_BYTES,
            position: header.base,
            ..LogEnd::default()
        };
        let mut file = LogFile::new(name.to_owned(), header, file, length);
        loop {
            match file.record(&end)? {
                Ok((header, payload)) => {
                    let used = RECORD_HEADER_BYTES as u64 + u64::from(header.length);
                    let filling = (header.frame_bytes() - used) as usize;
                    let filled = file.bytes(end.offset + used, filling)?;
                    if filled.is_some_and(|bytes| bytes.iter().any(|&byte| byte != 0)) {
                        self.note(name, end.offset + used, "what fills up a record is not zeros");
                    }
                    if header.position >= checkpoint {
                        self.records += 1;
                        visit(payload);
                    }
                    end.offset += header.frame_bytes();
                    end.position = header.position + header.frame_bytes();
                }
                // Records behind a torn tail were never acknowledged.
                Err(_) if self.damage.is_none() => return Ok(()),
                Err(_) if file.find_later_record(&mut end)? => {}
                Err(_) => return Ok(()),
            }
        }
    }

    fn compare_header(&mut self, name: &str, header: &FileHeader, start: &[u8]) {
        let written = header.encode();
        let differs = start
            .iter()
            .zip(&written)
            .position(|(read, written)| read != written);
        if let Some(offset) = differs {
            self.note(name, offset as u64, "one of two copies of its header is damaged");
        }
    }
}

impl LogFile {
    /// Goes on to the next place that holds the header of a record; false if there is none.
    fn find_later_record(&mut self, end: &mut LogEnd) -> Result<bool, JournalError> {
        let salt = self.header.salt;
        let mut offset = end.offset + ALIGNMENT as u64;
        while let Some(bytes) = self.bytes(offset, RECORD_HEADER_BYTES)? {
            if let Some(header) = later_record(bytes, salt, end.position) {
                end.offset = offset;
                end.position = header.position;
                return Ok(true);
            }
            offset += ALIGNMENT as u64;
        }
        Ok(false)
    }
}

/// A disk on which reading is all that happens: what opening a journal writes is left out.
#[derive(Debug)]
struct Untouched<'d>(&'d dyn Disk);

#[derive(Debug)]
struct UntouchedFile(Box<dyn DiskFile>);

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "it is only looked at")
}

impl Disk for Untouched<'_> {
    fn create(&self, _: &str) -> io::Result<Box<dyn DiskFile>> {
        Err(refused())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UntouchedFile(self.0.open(name)?)))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(refused())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(refused())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        self.0.list(directory)
    }

    fn sync_directory(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn create_directory(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for UntouchedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    /// Recovery writes what is there already.
    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}
