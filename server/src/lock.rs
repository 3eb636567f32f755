//! One server a store: a lock file in its directory, held by the operating system as long as the process lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, bail};

/// Its name in the store's directory.
const FILE_NAME: &str = "tracehound.lock";

/// Held while the store is open. The file stays behind; an unlocked one means nothing.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Creates `directory` if need be and locks it.
    ///
    /// # Errors
    /// Where another process holds it, which is named, or the directory cannot be written.
    pub(crate) fn acquire(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot create the store's directory {}", directory.display()))?;
        let path = directory.join(FILE_NAME);
        let mut file = open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(in_use(directory, &path, &mut file)),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        write_holder(&mut file).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

fn in_use(directory: &Path, path: &Path, file: &mut File) -> String {
    let mut holder = String::new();
    let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
    let holder = if known { holder.trim() } else { "unknown" };
    format!(
        "the store in {} is in use by the process {holder}, which holds {}: stop it, or choose another STORAGE_PATH",
        directory.display(),
        path.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_and_again_after_it_is_free() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("not/there/yet");
        let first = DirectoryLock::acquire(&directory).unwrap();
        let message = DirectoryLock::acquire(&directory).unwrap_err().to_string();
        assert!(
            message.contains(&format!("process {}", std::process::id())),
            "{message}"
        );
        assert!(message.contains(&directory.display().to_string()), "{message}");
        drop(first);
        assert!(DirectoryLock::acquire(&directory).is_ok());
    }

    #[test]
    fn a_directory_that_cannot_be_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let message = format!("{:#}", DirectoryLock::acquire(&file.join("store")).unwrap_err());
        assert!(
            message.contains("cannot create the store's directory"),
            "{message}"
        );
    }
}
