//! Has the system forget, or read, the files of a store: with a cold and with a warm page cache.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use rustix::fs::{Advice, fadvise};

use super::disk::files;

/// Has the system forget every page of every file of the store that is on the disk already. Nobody else's files are
/// touched, and nobody needs to be root.
pub(super) fn forget(store: &Path) -> anyhow::Result<()> {
    for path in files(store)? {
        // Compaction may have removed it meanwhile.
        let Ok(file) = File::open(&path) else { continue };
        fadvise(&file, 0, None, Advice::DontNeed)
            .with_context(|| format!("{} cannot be forgotten", path.display()))?;
    }
    Ok(())
}

/// Has the system read every file once.
pub(super) fn read_all(store: &Path) -> anyhow::Result<()> {
    for path in files(store)? {
        let Ok(mut file) = File::open(&path) else { continue };
        std::io::copy(&mut file, &mut std::io::sink())?;
    }
    Ok(())
}
