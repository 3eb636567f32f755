//! The disk of the machine, below one directory.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::disk::{Disk, DiskFile};

/// A [`Disk`] below a directory of the file system.
#[derive(Clone, Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// Uses a directory, which is created, with its parents, unless it exists.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn new(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// The path of a name. Names come from code, but one that led out of the root would be a mistake worth
    /// stopping at.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if name.split('/').count() > 2 || !name.split('/').all(plain) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{name:?} is not a name on this disk"),
            ));
        }
        Ok(self.root.join(name))
    }

    fn directory_path(&self, directory: &str) -> io::Result<PathBuf> {
        if directory.is_empty() {
            Ok(self.root.clone())
        } else {
            self.path(directory)
        }
    }
}

impl Disk for RealDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        Ok(Box::new(
            options
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(self.path(name)?)?,
        ))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(
            OpenOptions::new().read(true).write(true).open(self.path(name)?)?,
        ))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name)?)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        let entries = match fs::read_dir(self.directory_path(directory)?) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata()?;
            // A name that is not UTF-8 is not one of ours.
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        File::open(self.directory_path(directory)?)?.sync_all()
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(directory)?)
    }
}

impl DiskFile for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_lists_renames_and_removes() {
        let root = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(root.path().join("a/b")).unwrap();
        assert_eq!(disk.list("journal").unwrap(), []);
        disk.create_directory("journal").unwrap();
        let file = disk.create("journal/one").unwrap();
        file.write_all_at(b"tail", 4).unwrap();
        file.sync().unwrap();
        disk.sync_directory("journal").unwrap();
        disk.sync_directory("").unwrap();
        assert_eq!(disk.list("journal").unwrap(), [("one".to_owned(), 8)]);
        assert_eq!(disk.list("").unwrap(), [], "directories are not files");

        disk.rename("journal/one", "journal/two").unwrap();
        let mut bytes = [1; 8];
        disk.open("journal/two")
            .unwrap()
            .read_exact_at(&mut bytes, 0)
            .unwrap();
        assert_eq!(&bytes, b"\0\0\0\0tail");
        assert_eq!(
            file.read_exact_at(&mut bytes, 1).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert_eq!(disk.create("journal/two").unwrap().len().unwrap(), 0);
        disk.remove("journal/two").unwrap();
        assert_eq!(
            disk.open("journal/two").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn names_stay_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(root.path().to_owned()).unwrap();
        for name in ["", "/etc/passwd", "../x", "a/../b", "a/b/c", "a//b", "."] {
            assert_eq!(
                disk.create(name).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{name:?}"
            );
        }
    }
}
