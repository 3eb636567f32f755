//! A disk in memory that loses what was not synced, fails, tears writes and fills up: for tests of crashes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile};
use crate::lossy_image::{Choice, Contents, NameChange, overwrite};

/// A [`Disk`] in memory with two images: what programs see, and what would survive the loss of power.
///
/// Clones share it. Operations that change something (`create`, `rename`, `remove`, `create_directory`, writes
/// and syncs) are counted, so that a test can stop the machine at each of them in turn:
///
/// ```
/// use storage_journal::{Disk, LossyDisk};
///
/// let disk = LossyDisk::new();
/// let file = disk.create("log").unwrap();
/// file.write_all_at(b"kept", 0).unwrap();
/// file.sync().unwrap();
/// disk.sync_directory("").unwrap();
/// disk.fail_after(1);
/// file.write_all_at(b"lost", 4).unwrap();
/// assert!(file.sync().is_err());
/// assert_eq!(disk.crash(0).list("").unwrap(), [("log".to_owned(), 4)]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct LossyDisk {
    machine: Arc<Mutex<Machine>>,
}

#[derive(Debug, Default)]
struct Machine {
    /// By inode number.
    files: Vec<Contents>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    directories: Vec<String>,
    operations: u64,
    operations_left: Option<u64>,
    capacity_bytes: Option<u64>,
    failing_syncs: bool,
    torn_write: Option<usize>,
}

impl LossyDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Operations so far that changed, or should have changed, something.
    pub fn operations(&self) -> u64 {
        self.machine.lock().operations
    }

    /// Lets this many more operations succeed, and none after them.
    pub fn fail_after(&self, operations: u64) {
        self.machine.lock().operations_left = Some(operations);
    }

    /// Bounds the sum of all file lengths: a write beyond it is done in part and fails with
    /// [`io::ErrorKind::StorageFull`].
    pub fn fill_up(&self, capacity_bytes: u64) {
        self.machine.lock().capacity_bytes = Some(capacity_bytes);
    }

    /// Fails every sync from now on. What the failed ones should have synced is not durable.
    pub fn fail_syncs(&self) {
        self.machine.lock().failing_syncs = true;
    }

    /// Fails the next write after this many of its bytes.
    pub fn tear_next_write(&self, bytes: usize) {
        self.machine.lock().torn_write = Some(bytes);
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        let mut machine = self.machine.lock();
        machine.operations_left = None;
        machine.capacity_bytes = None;
        machine.failing_syncs = false;
        machine.torn_write = None;
    }

    /// The disk after the loss of power, without faults; this one goes on as it is.
    ///
    /// What was synced is there. Of what was not, each seed keeps another choice: of each write all, nothing, a
    /// beginning, or some of its sectors; of the changes to names the first so many, as a file system with a
    /// journal does. Seed 0 keeps nothing of it.
    pub fn crash(&self, seed: u64) -> Self {
        let machine = self.machine.lock();
        let mut choice = Choice(seed);
        let survivors = if seed == 0 {
            0
        } else {
            choice.below(machine.unsynced_names.len() + 1)
        };
        let mut names = machine.durable_names.clone();
        for change in &machine.unsynced_names[..survivors] {
            change.apply(&mut names);
        }
        let files = machine
            .files
            .iter()
            .map(|contents| contents.survive(seed, &mut choice))
            .collect();
        let after = Machine {
            files,
            durable_names: names.clone(),
            names,
            directories: machine.directories.clone(),
            ..Machine::default()
        };
        Self {
            machine: Arc::new(Mutex::new(after)),
        }
    }

    fn open_inode(&self, name: &str, inode: usize) -> Box<dyn DiskFile> {
        Box::new(LossyFile {
            machine: Arc::clone(&self.machine),
            name: name.to_owned(),
            inode,
        })
    }
}

impl Machine {
    fn operation(&mut self) -> io::Result<()> {
        self.operations += 1;
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("the disk stopped")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn inode(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| not_found(name))
    }

    fn check_directory(&self, directory: &str) -> io::Result<()> {
        let exists = directory.is_empty() || self.directories.iter().any(|known| known == directory);
        if exists { Ok(()) } else { Err(not_found(directory)) }
    }

    /// Bytes that files may still grow by.
    fn free_bytes(&self) -> usize {
        let Some(capacity_bytes) = self.capacity_bytes else {
            return usize::MAX;
        };
        let used: usize = self
            .names
            .values()
            .map(|&inode| self.files[inode].live.len())
            .sum();
        (capacity_bytes as usize).saturating_sub(used)
    }

    fn write(&mut self, inode: usize, bytes: &[u8], offset: usize) -> io::Result<()> {
        self.operation()?;
        let room = self.files[inode]
            .live
            .len()
            .saturating_add(self.free_bytes())
            .saturating_sub(offset);
        let (kept, result) = match self.torn_write.take() {
            Some(kept) if kept < bytes.len() => (kept, Err(io::Error::other("the disk failed in a write"))),
            _ if room < bytes.len() => (room, Err(io::ErrorKind::StorageFull.into())),
            _ => (bytes.len(), Ok(())),
        };
        let contents = &mut self.files[inode];
        overwrite(&mut contents.live, offset, &bytes[..kept]);
        contents.unsynced.push((offset, bytes[..kept].to_vec()));
        result
    }

    fn sync(&mut self, inode: usize) -> io::Result<()> {
        self.operation()?;
        if self.failing_syncs {
            return Err(io::Error::other("the disk failed in a sync"));
        }
        let contents = &mut self.files[inode];
        for (offset, bytes) in contents.unsynced.drain(..) {
            overwrite(&mut contents.durable, offset, &bytes);
        }
        Ok(())
    }
}

/// Directory of a name; the root is empty.
fn directory_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{name} does not exist"))
}

impl Disk for LossyDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut machine = self.machine.lock();
        machine.operation()?;
        machine.check_directory(directory_of(name))?;
        let inode = machine.files.len();
        machine.files.push(Contents::default());
        machine.change_names(NameChange::Linked(name.to_owned(), inode));
        drop(machine);
        Ok(self.open_inode(name, inode))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.machine.lock().inode(name)?;
        Ok(self.open_inode(name, inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.operation()?;
        machine.inode(from)?;
        machine.check_directory(directory_of(to))?;
        machine.change_names(NameChange::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.operation()?;
        machine.inode(name)?;
        machine.change_names(NameChange::Unlinked(name.to_owned()));
        Ok(())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        let machine = self.machine.lock();
        let within = machine
            .names
            .iter()
            .filter(|(name, _)| directory_of(name) == directory);
        let file = |(name, inode): (&String, &usize)| {
            let name = name.rsplit('/').next().unwrap_or(name);
            (name.to_owned(), machine.files[*inode].live.len() as u64)
        };
        Ok(within.map(file).collect())
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.operation()?;
        machine.check_directory(directory)?;
        if machine.failing_syncs {
            return Err(io::Error::other("the disk failed in a sync"));
        }
        let changes = std::mem::take(&mut machine.unsynced_names);
        let (synced, unsynced): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .partition(|change| directory_of(change.name()) == directory);
        for change in synced {
            change.apply(&mut machine.durable_names);
        }
        machine.unsynced_names = unsynced;
        Ok(())
    }

    /// Durable at once: which directories exist is not what this disk is for.
    fn create_directory(&self, directory: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.operation()?;
        if machine.check_directory(directory).is_err() {
            machine.directories.push(directory.to_owned());
        }
        Ok(())
    }
}

/// A file of a [`LossyDisk`].
#[derive(Debug)]
struct LossyFile {
    machine: Arc<Mutex<Machine>>,
    name: String,
    inode: usize,
}

impl DiskFile for LossyFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let machine = self.machine.lock();
        let live = &machine.files[self.inode].live;
        let range = offset as usize..(offset as usize).saturating_add(buffer.len());
        let bytes = live.get(range).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} ends at {}", self.name, live.len()),
            )
        })?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.machine.lock().write(self.inode, bytes, offset as usize)
    }

    fn sync(&self) -> io::Result<()> {
        self.machine.lock().sync(self.inode)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.machine.lock().files[self.inode].live.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &LossyDisk, name: &str) -> Vec<u8> {
        let file = disk.open(name).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// A disk with a durable file of four sectors of ones, over which twos were written.
    fn overwritten() -> LossyDisk {
        let disk = LossyDisk::new();
        let file = disk.create("file").unwrap();
        file.write_all_at(&[1; 2048], 0).unwrap();
        file.sync().unwrap();
        disk.sync_directory("").unwrap();
        file.write_all_at(&[2; 2048], 0).unwrap();
        disk
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_any_part_of_the_rest() {
        let disk = overwritten();
        assert_eq!(read(&disk, "file"), [2; 2048]);
        assert_eq!(read(&disk.crash(0), "file"), [1; 2048]);
        let outcomes: Vec<_> = (1..200).map(|seed| read(&disk.crash(seed), "file")).collect();
        assert!(outcomes.contains(&vec![1; 2048]) && outcomes.contains(&vec![2; 2048]));
        let torn = |bytes: &&Vec<u8>| bytes.is_sorted_by(|a, b| a >= b) && bytes[0] != bytes[2047];
        assert!(
            outcomes.iter().any(|bytes| torn(&bytes)),
            "a beginning of the write"
        );
        assert!(
            outcomes.iter().any(|bytes| bytes[0] < bytes[2047]),
            "sectors without those before them"
        );
        assert_eq!(read(&disk.crash(5), "file"), read(&disk.crash(5), "file"));
        assert_eq!(read(&disk, "file"), [2; 2048], "the crashed disk goes on");
    }

    #[test]
    fn names_survive_in_the_order_of_their_changes() {
        let disk = overwritten();
        disk.rename("file", "renamed").unwrap();
        disk.create("new").unwrap();
        disk.remove("new").unwrap();
        let names = |disk: &LossyDisk| -> Vec<_> {
            disk.list("").unwrap().into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&disk.crash(0)), ["file"]);
        let stages = [vec!["file"], vec!["renamed"], vec!["new", "renamed"]];
        assert!((1..50).all(|seed| stages.iter().any(|stage| names(&disk.crash(seed)) == *stage)));
        assert!((1..50).any(|seed| names(&disk.crash(seed)) == ["new", "renamed"]));
        disk.sync_directory("").unwrap();
        assert_eq!(names(&disk.crash(0)), ["renamed"]);
        assert_eq!(disk.open("file").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(disk.create("a/b").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn it_fails_as_told() {
        let disk = overwritten();
        let file = disk.open("file").unwrap();
        disk.fill_up(2100);
        assert_eq!(
            file.write_all_at(&[3; 100], 2040).unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        assert_eq!(file.len().unwrap(), 2100, "what fits is written");
        file.write_all_at(&[3; 100], 2000).unwrap();
        disk.heal();
        disk.tear_next_write(1);
        assert!(file.write_all_at(&[4, 4], 0).is_err());
        assert_eq!(read(&disk, "file")[..2], [4, 2]);
        disk.fail_syncs();
        assert!(file.sync().is_err() && disk.sync_directory("").is_err());
        assert_eq!(read(&disk.crash(0), "file"), [1; 2048]);
        disk.heal();
        let operations = disk.operations();
        disk.fail_after(1);
        file.sync().unwrap();
        assert!(disk.create("late").is_err() && file.write_all_at(&[5], 0).is_err());
        assert_eq!(disk.operations(), operations + 3);
        assert_eq!(read(&disk.crash(0), "file").len(), 2100);
    }
}
