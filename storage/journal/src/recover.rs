//! What an opening finds: which files count, their records, and whether an end is torn or damaged.
//!
//! 1. Read the checkpoint, then every file's header. Sequence numbers and bases follow each other.
//! 2. Walk the records of each file from the one that holds the checkpoint. All but the last must end at the
//!    next one's base.
//! 3. Where the last one's records end, look for a witness that something after it had been durable. There is
//!    none in a torn tail.
//! 4. Write the last records again as they are, and sync them: the run before may have ended because they could not
//!    be synced, and then the kernel has them in memory, calls them written, and they are not.
//!
//! Memory is bounded by [`crate::log_file::CHUNK_BYTES`] and the largest record.

use std::io;

use crate::checkpoint::CheckpointFile;
use crate::disk::Disk;
use crate::error::JournalError;
use crate::format::{
    ALIGNMENT, FILE_HEADER_BYTES, FileHeader, FileStart, Position, RECORD_HEADER_BYTES, file_name,
    parse_file_name,
};
use crate::gaps::Gaps;
use crate::log_file::{CHUNK_BYTES, LogEnd, LogFile, damage, later_record};
use crate::write::Found;

/// What [`crate::Journal::open`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records replayed.
    pub records: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// Log files read.
    pub files: usize,
    /// Where and why the last record was cut, if it was. It had not been acknowledged, or only under a policy
    /// that allows the loss of it.
    pub torn_tail: Option<String>,
}

/// What the journal goes on with.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) found: Found,
    pub(crate) gaps: Gaps,
    pub(crate) recovery: Recovery,
}

/// The caller's function for records.
type Replay<'a> = &'a mut dyn FnMut(Position, Vec<u8>) -> io::Result<()>;

/// Reads a journal's directory, which is created unless it exists.
pub(crate) fn recover(
    disk: &dyn Disk,
    directory: &str,
    replay: Replay<'_>,
) -> Result<(CheckpointFile, Recovered), JournalError> {
    let unavailable = |error: io::Error| JournalError::Unavailable(format!("{directory}: {error}"));
    disk.create_directory(directory).map_err(unavailable)?;
    disk.sync_directory("").map_err(unavailable)?;
    // A run that was killed may have named a file and not come to make the name durable.
    disk.sync_directory(directory).map_err(unavailable)?;
    let names = disk.list(directory).map_err(unavailable)?;
    let mut sequences: Vec<u64> = names
        .iter()
        .filter_map(|(name, _)| parse_file_name(name))
        .collect();
    sequences.sort_unstable();

    let checkpoint_file = CheckpointFile::open(disk, directory, !sequences.is_empty())?;
    let slot = checkpoint_file.current();
    let (mut files, blank) = read_headers(disk, directory, &sequences)?;
    let first = first_needed(&files, slot.position)?;

    let mut recovered = Recovered::default();
    recovered.found.blank = blank;
    recovered.found.files = files.iter().map(LogFile::sealed).collect();
    let bases: Vec<u64> = files.iter().map(|file| file.header.base).collect();
    let mut end = LogEnd::default();
    for (index, file) in files.iter_mut().enumerate().skip(first) {
        end = file.walk(
            bases.get(index + 1).copied(),
            slot.position,
            &mut recovered,
            replay,
        )?;
    }
    let Some(last) = files.last_mut() else {
        return match slot.durable {
            0 => Ok((checkpoint_file, recovered)),
            _ => Err(damage(
                &format!("{directory}/{}", file_name(1)),
                0,
                "all log files are missing",
            )),
        };
    };
    recovered.recovery.torn_tail = last.examine_end(&end, slot.durable)?;
    // This run's records will call them durable.
    last.write_again(&end, slot.durable)?;
    if end.offset == FILE_HEADER_BYTES && recovered.found.blank.is_none() {
        recovered.found.files.pop_back();
        recovered.found.blank = Some(last.header.sequence);
    }
    recovered.found.end = end.position;
    Ok((checkpoint_file, recovered))
}

/// Opens all files; also says which was never begun, if one was not.
fn read_headers(
    disk: &dyn Disk,
    directory: &str,
    sequences: &[u64],
) -> Result<(Vec<LogFile>, Option<u64>), JournalError> {
    let mut files: Vec<LogFile> = Vec::with_capacity(sequences.len());
    for (index, &sequence) in sequences.iter().enumerate() {
        let name = format!("{directory}/{}", file_name(sequence));
        if index > 0 && sequences[index - 1] + 1 != sequence {
            return Err(damage(&name, 0, "the log file before it is missing"));
        }
        let unavailable = |error: io::Error| JournalError::Unavailable(format!("{name}: {error}"));
        let file = disk.open(&name).map_err(unavailable)?;
        let length = file.len().map_err(unavailable)?;
        let mut start = vec![0; length.min(FILE_HEADER_BYTES) as usize];
        file.read_exact_at(&mut start, 0).map_err(unavailable)?;
        match FileHeader::decode(&start, sequence) {
            FileStart::Begun(header) => {
                let previous = files.last().map_or(0, |file| file.header.base);
                if header.base < previous {
                    return Err(damage(&name, 0, "its base is before that of the file before it"));
                }
                files.push(LogFile::new(name, header, file, length));
            }
            FileStart::NotBegun if index + 1 == sequences.len() => return Ok((files, Some(sequence))),
            FileStart::NotBegun => return Err(damage(&name, 0, "neither copy of its header is whole")),
            FileStart::UnknownVersion(version) => {
                return Err(damage(
                    &name,
                    8,
                    &format!("its format version {version} is not known"),
                ));
            }
        }
    }
    Ok((files, None))
}

/// Index of the file that holds the checkpoint.
fn first_needed(files: &[LogFile], checkpoint: u64) -> Result<usize, JournalError> {
    let before = files.partition_point(|file| file.header.base <= checkpoint);
    match files.first() {
        Some(first) if before == 0 => {
            let base = first.header.base;
            let reason = format!(
                "it begins at {base}, after the checkpoint {checkpoint}: files before it are missing"
            );
            Err(damage(&first.name, 0, &reason))
        }
        _ => Ok(before.saturating_sub(1)),
    }
}

impl LogFile {
    /// Replays the records from the checkpoint on, up to the base of the next file or to what is no record.
    fn walk(
        &mut self,
        next_base: Option<u64>,
        checkpoint: u64,
        recovered: &mut Recovered,
        replay: Replay<'_>,
    ) -> Result<LogEnd, JournalError> {
        recovered.recovery.files += 1;
        let mut end = LogEnd {
            offset: FILE_HEADER_BYTES,
            position: self.header.base,
            ..LogEnd::default()
        };
        while next_base != Some(end.position) {
            let (header, payload) = match self.record(&end)? {
                Ok(record) => record,
                Err(reason) => {
                    end.reason = reason;
                    break;
                }
            };
            if header.position >= checkpoint {
                recovered.gaps.add(end.position.max(checkpoint), header.position);
                recovered.recovery.records += 1;
                recovered.recovery.bytes += header.frame_bytes();
                replay(Position(header.position), payload).map_err(|error| {
                    JournalError::Unavailable(format!("replay of the record at {}: {error}", header.position))
                })?;
            }
            end.offset += header.frame_bytes();
            end.position = header.position + header.frame_bytes();
            end.durable = end.durable.max(header.durable);
        }
        self.forget_chunk();
        match next_base {
            Some(base) if base != end.position => {
                let reason = end.reason.unwrap_or("the records end");
                Err(self.damaged(
                    &end,
                    &format!("{reason}, but the next file says they go on to {base}"),
                ))
            }
            _ => Ok(end),
        }
    }

    /// Makes the last records durable that nothing says are. See the head of this file.
    fn write_again(&mut self, end: &LogEnd, durable_at_checkpoint: u64) -> Result<(), JournalError> {
        let durable = durable_at_checkpoint.max(end.durable);
        // Records lie as far apart in the file as their positions say, or closer.
        let bytes = end.position.saturating_sub(durable);
        let mut offset = end.offset.saturating_sub(bytes).max(FILE_HEADER_BYTES);
        while offset < end.offset {
            let count = (end.offset - offset).min(CHUNK_BYTES) as usize;
            let Some(bytes) = self.bytes(offset, count)? else {
                break;
            };
            let bytes = bytes.to_vec();
            let written = self.file.write_all_at(&bytes, offset);
            written.map_err(|error| self.unavailable(&error))?;
            offset += count as u64;
        }
        self.forget_chunk();
        self.file.sync().map_err(|error| self.unavailable(&error))
    }

    /// Looks at the end of the last file: nothing if it is clean, a text if it is torn.
    fn examine_end(
        &mut self,
        end: &LogEnd,
        durable_at_checkpoint: u64,
    ) -> Result<Option<String>, JournalError> {
        let reason = end.reason.unwrap_or("the records end");
        if durable_at_checkpoint > end.position {
            let reason =
                format!("{reason}, but records up to {durable_at_checkpoint} were durable at the checkpoint");
            return Err(self.damaged(end, &reason));
        }
        let salt = self.header.salt;
        let mut torn = end.reason.is_some();
        let mut offset = end.offset;
        while let Some(bytes) = self.bytes(offset, RECORD_HEADER_BYTES)? {
            let least = end.position + (offset - end.offset);
            if let Some(later) = later_record(bytes, salt, least) {
                if later.durable > end.position {
                    let (position, durable) = (later.position, later.durable);
                    let reason = format!(
                        "{reason}, but the record at {position} says records up to {durable} were durable"
                    );
                    return Err(self.damaged(end, &reason));
                }
                torn |= offset > end.offset;
            }
            offset += ALIGNMENT as u64;
        }
        self.forget_chunk();
        let text = || {
            format!(
                "{}: cut at offset {} (position {}): {reason}",
                self.name, end.offset, end.position
            )
        };
        Ok(torn.then(text))
    }
}
