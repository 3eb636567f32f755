//! The versions that spans have borne, in `deployments/versions`: a line each, with a checksum of its own, so that a
//! damaged line costs one version.
//!
//! ```text
//! <CRC32C of the JSON, 8 hexadecimal digits> <JSON>\n
//! ```

use std::io;

use storage::{Register, StorageError, record};
use storage_journal::Disk;

use super::files::{cannot_write, read_bytes};

pub(super) const NAME: &str = "deployments/versions";
/// A copy of a file with damage, before it is written anew.
const KEPT: &str = "deployments/versions.damaged";
/// 50,000 versions, some with many instances.
const BYTES_MAX: u64 = 256 << 20;

/// All versions, by service, environment and version.
pub(super) fn to_bytes(register: &Register) -> Vec<u8> {
    let mut seen: Vec<_> = register.seen().collect();
    seen.sort_unstable_by_key(|&(service, environment, version, _)| (service, environment, version));
    let mut bytes = Vec::new();
    for (service, environment, version, seen) in seen {
        let text = record::version_text(service, environment, version, seen);
        bytes.extend(format!("{:08x} ", crc32c::crc32c(&text)).into_bytes());
        bytes.extend(text);
        bytes.push(b'\n');
    }
    bytes
}

/// Gives a register what is written; what is damaged is told, and kept in a copy.
pub(super) fn read(disk: &dyn Disk, register: &mut Register) -> Result<Vec<String>, StorageError> {
    let bytes = match read_bytes(disk, NAME, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            disk.rename(NAME, KEPT).map_err(cannot_write)?;
            return Ok(vec![format!("{NAME}: {error}; kept as {KEPT}")]);
        }
    };
    let damaged = read_lines(&bytes, |service, environment, version, seen| {
        register.restore(&service, environment, version, seen);
    });
    if !damaged.is_empty() {
        super::files::replace(disk, KEPT, &bytes)?;
    }
    Ok(damaged
        .into_iter()
        .map(|what| format!("{NAME}: {what}"))
        .collect())
}

/// What is damaged.
pub(super) fn examine(disk: &dyn Disk) -> Result<Vec<String>, StorageError> {
    match read_bytes(disk, NAME, BYTES_MAX) {
        Ok(bytes) => Ok(read_lines(&bytes, |_, _, _, _| {})),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Ok(vec![error.to_string()]),
    }
}

fn read_lines(
    bytes: &[u8],
    mut visit: impl FnMut(String, String, String, storage::SeenVersion),
) -> Vec<String> {
    let mut damaged = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let (begin, text) = (at, line.strip_suffix(b"\n").unwrap_or_default());
        at += line.len();
        let read = text.split_at_checked(9).and_then(|(sum, text)| {
            let is_whole = format!("{:08x} ", crc32c::crc32c(text)).as_bytes() == sum;
            is_whole.then(|| record::read_version(text)).and_then(Result::ok)
        });
        match read {
            Some((service, environment, version, seen)) => visit(service, environment, version, seen),
            None => damaged.push(format!(
                "byte {begin}: a line of {} bytes is not what was written",
                line.len()
            )),
        }
    }
    damaged
}
