//! What can keep a demo from going on.

use std::io;

use http::StatusCode;

/// See the head of this file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service cannot listen.
    #[error("{service} cannot listen on the loopback interface")]
    Listen {
        /// Which one.
        service: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The process of an instance is gone before it was to end.
    #[error("the process of {service} has ended")]
    Ended {
        /// Which one.
        service: &'static str,
    },
    /// What an instance or whoever started it cannot understand.
    #[error("not understood: {line:?}")]
    Unknown {
        /// What was said.
        line: String,
    },
    /// An instance and whoever started it do not hear each other.
    #[error("an instance and the demo do not hear each other")]
    Pipe {
        /// Why not.
        source: io::Error,
    },
    /// Nobody answers, or the answer ends early.
    #[error("{what} is not answered: {why}")]
    Unanswered {
        /// What was asked.
        what: String,
        /// Why not.
        why: String,
    },
    /// The answer is another than it should be.
    #[error("{what} is answered with {status}: {text}")]
    Refused {
        /// What was asked.
        what: String,
        /// The status of the answer.
        status: StatusCode,
        /// The beginning of the answer.
        text: String,
    },
    /// The answer cannot be read.
    #[error("the answer to {what} cannot be read")]
    Unreadable {
        /// What was asked.
        what: String,
        /// Why not.
        source: serde_json::Error,
    },
}

/// What can be had or not.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same may be answered later.
    pub(crate) fn is_of_a_busy_server(&self) -> bool {
        let Self::Refused { status, .. } = self else {
            return false;
        };
        [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(status)
    }
}
