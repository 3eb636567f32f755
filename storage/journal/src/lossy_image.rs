//! What a [`crate::LossyDisk`] holds: contents and names as they are and as they would survive, and the choice of
//! what survives.

use std::collections::BTreeMap;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Bytes of a file.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) live: Vec<u8>,
    pub(crate) durable: Vec<u8>,
    /// Writes since the last sync, in order.
    pub(crate) unsynced: Vec<(usize, Vec<u8>)>,
}

/// A change to which file has which name. Numbers are inodes.
#[derive(Clone, Debug)]
pub(crate) enum NameChange {
    Linked(String, usize),
    Unlinked(String),
    Renamed(String, String),
}

impl Contents {
    /// What is left after the loss of power.
    pub(crate) fn survive(&self, seed: u64, choice: &mut Choice) -> Self {
        let mut durable = self.durable.clone();
        let unsynced: &[(usize, Vec<u8>)] = if seed == 0 { &[] } else { &self.unsynced };
        for (offset, bytes) in unsynced {
            match choice.below(4) {
                0 => {}
                1 => overwrite(&mut durable, *offset, bytes),
                2 => overwrite(&mut durable, *offset, &bytes[..choice.below(bytes.len() + 1)]),
                _ => keep_sectors(&mut durable, *offset, bytes, choice),
            }
        }
        Self {
            live: durable.clone(),
            durable,
            unsynced: Vec::new(),
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

/// Writes at an offset.
pub(crate) fn overwrite(contents: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if contents.len() < end {
        contents.resize(end, 0);
    }
    contents[offset..end].copy_from_slice(bytes);
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
            Self::Renamed(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Linked(name, _) | Self::Unlinked(name) | Self::Renamed(name, _) => name,
        }
    }
}

/// Repeatable choices (SplitMix64).
pub(crate) struct Choice(pub(crate) u64);

impl Choice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
