//! What a journal is configured with. All sizes are bytes.

use std::str::FromStr;
use std::time::Duration;

/// Bounds and promises of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// Its directory on the disk.
    pub directory: String,
    /// A file is followed by the next at about this size; only a single larger record makes one longer.
    pub file_bytes: u64,
    /// Records from the checkpoint to the end, with their headers. An append beyond it is
    /// [`crate::JournalError::Full`]. The files on disk are at most this, half-used files apart, and stay for
    /// reuse once they exist.
    pub bytes_max: u64,
    /// A larger record is [`crate::JournalError::TooLarge`].
    pub record_bytes_max: u32,
    /// Records appended but not yet written or refused, with their headers: what the journal holds in memory.
    pub queue_bytes_max: u64,
    /// When a record counts as durable.
    pub sync: SyncPolicy,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            directory: "journal".to_owned(),
            file_bytes: 64 << 20,
            bytes_max: 1 << 30,
            record_bytes_max: 16 << 20,
            queue_bytes_max: 64 << 20,
            sync: SyncPolicy::Always,
        }
    }
}

/// When a record counts as durable (`JOURNAL_SYNC`). Rotation, checkpoints and closing sync under each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// `always`: when it is synced to disk. It survives the loss of power.
    #[default]
    Always,
    /// `interval:<ms>`: when it is written. It survives the process; a sync follows within the interval.
    Interval(Duration),
    /// `os`: when it is written. It survives the process; the operating system syncs when it likes.
    Os,
}

/// A text that is no [`SyncPolicy`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a sync policy: expected always, interval:<milliseconds, at least 1> or os")]
pub struct InvalidSyncPolicy(pub String);

impl FromStr for SyncPolicy {
    type Err = InvalidSyncPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidSyncPolicy(text.to_owned());
        match text {
            "always" => Ok(Self::Always),
            "os" => Ok(Self::Os),
            _ => {
                let digits = text.strip_prefix("interval:").ok_or_else(invalid)?;
                // u32 keeps the interval below 50 days; `parse` alone would also take a sign.
                let milliseconds: u32 = digits.parse().map_err(|_| invalid())?;
                if milliseconds == 0 || digits.starts_with('+') {
                    return Err(invalid());
                }
                Ok(Self::Interval(Duration::from_millis(milliseconds.into())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sync_policies_are_parsed() {
        assert_eq!("always".parse(), Ok(SyncPolicy::Always));
        assert_eq!("os".parse(), Ok(SyncPolicy::Os));
        assert_eq!(
            "interval:250".parse(),
            Ok(SyncPolicy::Interval(Duration::from_millis(250)))
        );
        for text in [
            "",
            "Always",
            "interval",
            "interval:",
            "interval:0",
            "interval:-1",
            "interval:+1",
            "interval:1s",
            "interval:99999999999",
        ] {
            let error = text.parse::<SyncPolicy>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "{text:?} is not a sync policy: expected always, interval:<milliseconds, at least 1> or os"
                )
            );
        }
    }
}
