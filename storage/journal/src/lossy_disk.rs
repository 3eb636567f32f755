//! A disk in memory that loses what was not synced, fails, tears writes and fills up: for tests of crashes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile};
use crate::lossy_faults::{Failing, Faults, broken};
use crate::lossy_image::{Choice, Contents, NameChange, directory_of, surviving_names};

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
    faults: Faults,
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
        self.machine.lock().faults.operations_left = Some(operations);
    }

    /// Bounds the sum of all file lengths: a write beyond it is done in part and fails with
    /// [`io::ErrorKind::StorageFull`].
    pub fn fill_up(&self, capacity_bytes: u64) {
        self.machine.lock().faults.capacity_bytes = Some(capacity_bytes);
    }

    /// Fails every sync from now on. What the failed ones should have synced may or may not survive, whatever later
    /// ones say, and is read back as if all were well: as Linux does it.
    pub fn fail_syncs(&self) {
        self.fail_syncs_of("");
    }

    /// As [`LossyDisk::fail_syncs`], of files whose names begin so when they are opened. A directory's is called as
    /// itself with a `/` after it; the root's is `/`.
    pub fn fail_syncs_of(&self, name: &str) {
        self.machine.lock().faults.failing_syncs = Some(name.to_owned());
    }

    /// Fails every read of files whose names begin so when they are opened.
    pub fn fail_reads_of(&self, name: &str) {
        self.machine.lock().faults.failing_reads = Some(name.to_owned());
    }

    /// Fails the next write after this many of its bytes.
    pub fn tear_next_write(&self, bytes: usize) {
        self.machine.lock().faults.torn_write = Some(bytes);
    }

    /// Fails operations of every kind by chance, one in `one_in` of them, `seed` says which: reads; writes after any
    /// of their bytes; syncs; changes of names, which are then done or not.
    pub fn fail_by_chance(&self, seed: u64, one_in: usize) {
        self.machine.lock().faults.chance = Some((Choice(seed), one_in.max(1)));
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        self.machine.lock().faults = Faults::default();
    }

    /// The disk after the loss of power, without faults; this one goes on as it is.
    ///
    /// What was synced is there. Of what was not, each seed keeps another choice: of each write all, nothing, any
    /// stretch of it, or some of its sectors, whatever became of writes before it; of the changes to names in a
    /// directory the first so many, as a file system with a journal does. Seed 0 keeps nothing of it.
    pub fn crash(&self, seed: u64) -> Self {
        let machine = self.machine.lock();
        let mut choice = (seed != 0).then_some(Choice(seed));
        let names = surviving_names(&machine.durable_names, &machine.unsynced_names, choice.as_mut());
        let files = machine
            .files
            .iter()
            .map(|contents| contents.survive(choice.as_mut()))
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
        self.faults.stop()
    }

    fn change_names(&mut self, change: NameChange) -> io::Result<()> {
        let failing = self.faults.chance();
        if failing != Some(Failing::Undone) {
            change.apply(&mut self.names);
            self.unsynced_names.push(change);
        }
        failing.map_or(Ok(()), |_| Err(broken()))
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
        let Some(capacity_bytes) = self.faults.capacity_bytes else {
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
        let (kept, result) = self.faults.write(bytes.len(), room);
        self.files[inode].write(offset, &bytes[..kept]);
        result
    }

    fn sync(&mut self, inode: usize, name: &str) -> io::Result<()> {
        self.operation()?;
        let synced = self.faults.sync(name);
        let contents = &mut self.files[inode];
        match synced {
            Ok(()) => contents.sync(),
            Err(_) => contents.fail_sync(),
        }
        synced
    }
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
        machine.change_names(NameChange::Linked(name.to_owned(), inode))?;
        drop(machine);
        Ok(self.open_inode(name, inode))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut machine = self.machine.lock();
        machine.faults.read(name)?;
        let inode = machine.inode(name)?;
        drop(machine);
        Ok(self.open_inode(name, inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.operation()?;
        let inode = machine.inode(from)?;
        machine.check_directory(directory_of(to))?;
        machine.change_names(NameChange::Renamed(from.to_owned(), to.to_owned(), inode))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut machine = self.machine.lock();
        machine.operation()?;
        machine.inode(name)?;
        machine.change_names(NameChange::Unlinked(name.to_owned()))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        let mut machine = self.machine.lock();
        machine.faults.read(directory)?;
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
        machine.faults.sync(&format!("{directory}/"))?;
        let changes = std::mem::take(&mut machine.unsynced_names);
        let (synced, unsynced): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .partition(|change| change.directory() == directory);
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
        let mut machine = self.machine.lock();
        machine.faults.read(&self.name)?;
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
        self.machine.lock().sync(self.inode, &self.name)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.machine.lock().files[self.inode].live.len() as u64)
    }
}
