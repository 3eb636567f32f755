//! Errors by what the caller should do, not by where they arose.

/// Why a store did not do what it was asked. Messages are lower case, without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// A bound is reached: nothing was kept, send it again later.
    #[error("overloaded: {0}")]
    Overloaded(String),
    /// The store cannot be reached or cannot write; nothing was kept.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// It took too long; what was sent may have been stored.
    #[error("timed out: {0}")]
    Timeout(String),
    /// Stored bytes are not what was written; names the file.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// This store cannot answer this question, ever.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The question is wrong.
    #[error("{0}")]
    Invalid(String),
}
