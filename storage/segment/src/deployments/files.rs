//! Records as files: `deployments/0000000042.record`. Their names are numbers, whatever they are about.
//!
//! A record is a line and what the line is about:
//!
//! ```text
//! tracehound record 1 <kind> <bytes that follow> <CRC32C of what follows, 8 hexadecimal digits>\n
//! <identifier or name, as a JSON string>\n
//! <the rest: JSON, or a report as it was given>
//! ```
//!
//! It is written under another name, synced, renamed, and the directory synced: so a crash leaves the one before or the
//! one after. A file that is anything else is damaged: it stays, is named, and costs nothing else.

use std::io;
use std::sync::Arc;

use storage::StorageError;
use storage_journal::Disk;

use super::Numbers;

/// Where records are.
pub(crate) const DIRECTORY: &str = "deployments";
const RECORD: &str = "record";
const WRITING: &str = "writing";
/// A record holds a deployment of some thousand instances, or a report.
const RECORD_BYTES_MAX: u64 = 16 << 20;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Deployment,
    Report,
    Slo,
}

impl Kind {
    const NAMES: [(&'static str, Self); 3] = [
        ("deployment", Self::Deployment),
        ("report", Self::Report),
        ("slo", Self::Slo),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Report => "report",
            Self::Slo => "slo",
        }
    }
}

/// The files that are there.
#[derive(Debug)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    /// Kept of what could not be written for certain, too: the next try takes the same file.
    numbers: Numbers,
    next: u64,
    /// The directory is there, durably.
    has_directory: bool,
}

/// What was in the files at the start: file and text.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) deployments: Vec<(String, Vec<u8>)>,
    pub(super) slos: Vec<(String, Vec<u8>)>,
    /// What is damaged, with its file.
    pub(super) damaged: Vec<String>,
}

/// A file, and what is wrong with it.
#[derive(Debug)]
pub(crate) struct Examined {
    /// By its name in the store's directory.
    pub(crate) file: String,
    pub(crate) what: String,
    /// Nothing is lost by it.
    pub(crate) is_harmless: bool,
}

impl Files {
    /// Reads all records but reports, of which only the identifier is kept.
    pub(super) fn open(disk: Arc<dyn Disk>) -> Result<(Self, Contents), StorageError> {
        let mut files = Self {
            disk,
            numbers: Numbers::new(),
            next: 1,
            has_directory: false,
        };
        let mut contents = Contents::default();
        for (number, _) in records(files.disk.as_ref())? {
            files.next = number + 1;
            let name = file_name(number);
            let (kind, id, rest) = match read(files.disk.as_ref(), &name) {
                Ok(record) => record,
                Err(what) => {
                    contents.damaged.push(format!("{name}: {what}"));
                    continue;
                }
            };
            match kind {
                Kind::Deployment => contents.deployments.push((name, rest)),
                Kind::Slo => contents.slos.push((name, rest)),
                Kind::Report => {}
            }
            files.numbers.insert((kind, id), number);
        }
        Ok((files, contents))
    }

    /// Writes a record in the place of the one before, durably.
    pub(super) fn write(&mut self, kind: Kind, id: &str, rest: &[u8]) -> Result<(), StorageError> {
        if !self.has_directory {
            let made = self.disk.create_directory(DIRECTORY);
            made.and_then(|()| self.disk.sync_directory(""))
                .map_err(cannot_write)?;
            self.has_directory = true;
        }
        let next = &mut self.next;
        let number = *self.numbers.entry((kind, id.to_owned())).or_insert_with(|| {
            *next += 1;
            *next - 1
        });
        replace(self.disk.as_ref(), &file_name(number), &frame(kind, id, rest))
    }

    /// Removes a record, durably, if it is there.
    pub(super) fn remove(&mut self, kind: Kind, id: &str) -> Result<(), StorageError> {
        let key = (kind, id.to_owned());
        let Some(number) = self.numbers.get(&key) else {
            return Ok(());
        };
        match self.disk.remove(&file_name(*number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot_write(error)),
            _ => {}
        }
        self.disk.sync_directory(DIRECTORY).map_err(cannot_write)?;
        self.numbers.remove(&key);
        Ok(())
    }

    /// Reads a record, if it is there.
    pub(super) fn read(&self, kind: Kind, id: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(number) = self.numbers.get(&(kind, id.to_owned())) else {
            return Ok(None);
        };
        let name = file_name(*number);
        match read(self.disk.as_ref(), &name) {
            Ok((_, _, rest)) => Ok(Some(rest)),
            Err(what) => Err(StorageError::Corrupt(format!("{name}: {what}"))),
        }
    }
}

/// Puts bytes in the place of a file, durably.
pub(super) fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
    let temporary = format!("{name}.{WRITING}");
    let written = || -> io::Result<()> {
        let file = match disk.create(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk.create_directory(DIRECTORY)?;
                disk.sync_directory("")?;
                disk.create(&temporary)?
            }
            other => other?,
        };
        file.write_all_at(bytes, 0)?;
        file.sync()?;
        disk.rename(&temporary, name)?;
        disk.sync_directory(DIRECTORY)
    };
    written().map_err(|error| {
        // What is half written is in the way of nobody, but takes room on a disk that may be full.
        drop(disk.remove(&temporary));
        cannot_write(error)
    })
}

/// Looks at every file.
pub(crate) fn examine(disk: &dyn Disk) -> Result<Vec<Examined>, StorageError> {
    let mut found = Vec::new();
    for (number, _) in records(disk)? {
        let file = file_name(number);
        let what = match read(disk, &file) {
            Ok((kind, _, rest)) => match kind {
                Kind::Deployment => storage::record::read_deployment(&rest).err(),
                Kind::Slo => storage::record::read_slo(&rest).err(),
                Kind::Report => None,
            },
            Err(what) => Some(what),
        };
        found.extend(what.map(|what| Examined {
            file,
            what,
            is_harmless: false,
        }));
    }
    for (name, _) in list(disk)? {
        if name.ends_with(WRITING) {
            found.push(Examined {
                file: format!("{DIRECTORY}/{name}"),
                what: "never finished: the next one written takes its place".to_owned(),
                is_harmless: true,
            });
        }
    }
    let damaged = super::versions::examine(disk)?.into_iter();
    found.extend(damaged.map(|what| Examined {
        file: super::versions::NAME.to_owned(),
        what,
        is_harmless: false,
    }));
    Ok(found)
}

fn list(disk: &dyn Disk) -> Result<Vec<(String, u64)>, StorageError> {
    let list = disk.list(DIRECTORY);
    list.map_err(|error| StorageError::Unavailable(format!("{DIRECTORY}: {error}")))
}

/// Numbers and lengths of all records, by number.
fn records(disk: &dyn Disk) -> Result<Vec<(u64, u64)>, StorageError> {
    let list = list(disk)?.into_iter();
    let records = list.filter_map(|(name, bytes)| {
        let (number, extension) = name.split_once('.')?;
        let is_number = number.len() >= 10 && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|_| is_number && extension == RECORD)?;
        (number < u64::MAX).then_some((number, bytes))
    });
    let mut records: Vec<_> = records.collect();
    records.sort_unstable();
    Ok(records)
}

fn file_name(number: u64) -> String {
    format!("{DIRECTORY}/{number:010}.{RECORD}")
}

pub(super) fn cannot_write(error: impl std::fmt::Display) -> StorageError {
    StorageError::Unavailable(format!("{DIRECTORY} cannot be written: {error}"))
}

/// The bytes of a file; an error says what is wrong with it.
pub(super) fn read_bytes(disk: &dyn Disk, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let length = file.len()?;
    if length > bytes_max {
        return Err(io::Error::other(format!(
            "it has {length} bytes, more than {bytes_max}"
        )));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn frame(kind: Kind, id: &str, rest: &[u8]) -> Vec<u8> {
    let mut content = serde_json::Value::from(id).to_string().into_bytes();
    content.push(b'\n');
    content.extend_from_slice(rest);
    let mut bytes = head(kind.name(), content.len(), crc32c::crc32c(&content)).into_bytes();
    bytes.extend(content);
    bytes
}

fn head(kind: &str, length: usize, checksum: u32) -> String {
    format!("tracehound record 1 {kind} {length} {checksum:08x}\n")
}

/// Reads a record: what it is about, of whom, and the rest.
fn read(disk: &dyn Disk, name: &str) -> Result<(Kind, String, Vec<u8>), String> {
    let bytes = read_bytes(disk, name, RECORD_BYTES_MAX).map_err(|error| error.to_string())?;
    let line_end = |bytes: &[u8]| memchr::memchr(b'\n', bytes).ok_or("a line has no end");
    let end = line_end(&bytes)?;
    let (line, content) = (&bytes[..=end], &bytes[end + 1..]);
    let kind = Kind::NAMES.into_iter().find(|(name, _)| {
        let expected = head(name, content.len(), crc32c::crc32c(content));
        expected.as_bytes() == line
    });
    let Some((_, kind)) = kind else {
        return Err(format!(
            "byte 0: the first line does not agree with the {} bytes after it",
            content.len()
        ));
    };
    let end = line_end(content)?;
    let id = serde_json::from_slice(&content[..end]).map_err(|error| format!("its identifier: {error}"))?;
    Ok((kind, id, content[end + 1..].to_vec()))
}
