//! What a [`crate::LossyDisk`] holds: contents and names as they are and as they would survive, and the choice of
//! what survives.

use std::collections::BTreeMap;

/// What a disk writes whole or not at all, mostly.
const SECTOR_BYTES: usize = 512;

/// Bytes of a file.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) live: Vec<u8>,
    durable: Vec<u8>,
    /// Writes that are not durable, in order, and those between them that are.
    writes: Vec<Write>,
}

#[derive(Debug)]
struct Write {
    offset: usize,
    bytes: Vec<u8>,
    fate: Fate,
}

/// Whether a write survives the loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Perhaps; the next sync decides.
    Pending,
    /// Perhaps: the sync that should have written it failed, and the next will not try again.
    Forgotten,
    Durable,
}

impl Contents {
    /// A file as a disk has it after power was lost: what is there is durable.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self {
            live: bytes.clone(),
            durable: bytes,
            writes: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        overwrite(&mut self.live, offset, bytes);
        self.writes.push(Write {
            offset,
            bytes: bytes.to_vec(),
            fate: Fate::Pending,
        });
    }

    /// Makes durable what waits for it.
    pub(crate) fn sync(&mut self) {
        self.decide(Fate::Durable);
        let durable = self.writes.iter().take_while(|write| write.fate == Fate::Durable);
        let durable = durable.count();
        for write in self.writes.drain(..durable) {
            overwrite(&mut self.durable, write.offset, &write.bytes);
        }
    }

    /// Fails a sync as Linux does: what could not be written counts as clean, and is read back as if all were well.
    pub(crate) fn fail_sync(&mut self) {
        self.decide(Fate::Forgotten);
    }

    fn decide(&mut self, fate: Fate) {
        let pending = self.writes.iter_mut().filter(|write| write.fate == Fate::Pending);
        pending.for_each(|write| write.fate = fate);
    }

    /// What is left after the loss of power; of what is not durable nothing without a `choice`.
    pub(crate) fn survive(&self, mut choice: Option<&mut Choice>) -> Self {
        let mut bytes = self.durable.clone();
        for write in &self.writes {
            match &mut choice {
                _ if write.fate == Fate::Durable => overwrite(&mut bytes, write.offset, &write.bytes),
                Some(choice) => write.survive(&mut bytes, choice),
                None => {}
            }
        }
        Self::new(bytes)
    }
}

impl Write {
    /// Overwrites with all, nothing, a stretch between any two bytes, or some of the sectors.
    fn survive(&self, durable: &mut Vec<u8>, choice: &mut Choice) {
        let (offset, bytes) = (self.offset, self.bytes.as_slice());
        match choice.below(5) {
            0 => {}
            1 => overwrite(durable, offset, bytes),
            2 => overwrite(durable, offset, &bytes[..choice.below(bytes.len() + 1)]),
            3 => {
                let start = choice.below(bytes.len() + 1);
                let end = start + choice.below(bytes.len() - start + 1);
                overwrite(durable, offset + start, &bytes[start..end]);
            }
            _ => keep_sectors(durable, offset, bytes, choice),
        }
    }
}

/// Overwrites with some of the sectors that the bytes touch.
fn keep_sectors(durable: &mut Vec<u8>, offset: usize, bytes: &[u8], choice: &mut Choice) {
    let mut start = 0;
    while start < bytes.len() {
        let end = ((offset + start) / SECTOR_BYTES + 1) * SECTOR_BYTES - offset;
        let end = end.min(bytes.len());
        if choice.below(2) == 1 {
            overwrite(durable, offset + start, &bytes[start..end]);
        }
        start = end;
    }
}

fn overwrite(contents: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if contents.len() < end {
        contents.resize(end, 0);
    }
    contents[offset..end].copy_from_slice(bytes);
}

/// A change to which file has which name. Numbers are inodes.
#[derive(Clone, Debug)]
pub(crate) enum NameChange {
    Linked(String, usize),
    Unlinked(String),
    Renamed(String, String, usize),
}

impl NameChange {
    pub(crate) fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Linked(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Unlinked(name) => {
                names.remove(name);
            }
            Self::Renamed(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }

    /// Where it takes place; nothing is renamed from one directory to another.
    pub(crate) fn directory(&self) -> &str {
        match self {
            Self::Linked(name, _) | Self::Unlinked(name) | Self::Renamed(_, name, _) => directory_of(name),
        }
    }
}

/// Directory of a name; the root is empty.
pub(crate) fn directory_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The names that survive: what was synced, and of each directory's other changes the first so many, as of file
/// systems with a journal. Between directories there is no order. Without a `choice` none of them.
pub(crate) fn surviving_names(
    durable: &BTreeMap<String, usize>,
    unsynced: &[NameChange],
    mut choice: Option<&mut Choice>,
) -> BTreeMap<String, usize> {
    let mut names = durable.clone();
    let mut directories: BTreeMap<&str, Vec<&NameChange>> = BTreeMap::new();
    for change in unsynced {
        directories.entry(change.directory()).or_default().push(change);
    }
    for changes in directories.into_values() {
        let survivors = choice
            .as_mut()
            .map_or(0, |choice| choice.below(changes.len() + 1));
        changes[..survivors]
            .iter()
            .for_each(|change| change.apply(&mut names));
    }
    names
}

/// Repeatable choices (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Choice(pub(crate) u64);

impl Choice {
    /// A number less than `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
