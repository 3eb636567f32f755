//! Why a message was not taken, by what its sender should do.

use std::fmt::Display;
use std::time::Duration;

use storage::StorageError;

/// Why a message was not taken. `Display` is what the sender reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not what it says it is; sending it again will not help. Zipkin's words.
    #[error("{0}")]
    Malformed(String),
    /// It is beyond a bound of [`crate::Limits`]; smaller messages will be taken.
    #[error("{1}")]
    TooLarge(Reason, String),
    /// It did not arrive in time.
    #[error("the body did not arrive within {} ms", .0.as_millis())]
    TooSlow(Duration),
    /// It ended early, or the connection failed.
    #[error("the body could not be read: {0}")]
    Unreadable(String),
    /// Too much is on its way already; later it will be taken.
    #[error("{1}")]
    Overloaded(Reason, String),
    /// The store did not take it.
    #[error("{error}")]
    Storage {
        /// The store's own words.
        error: StorageError,
        /// How many spans were to be stored.
        spans: usize,
    },
}

/// Which rule refused a message: the label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Reason {
    /// Not a list of spans.
    Malformed,
    /// [`crate::Limits::body_bytes_max`].
    BodyBytes,
    /// [`crate::Limits::inflated_bytes_max`].
    InflatedBytes,
    /// [`crate::Limits::message_spans_max`].
    MessageSpans,
    /// [`crate::Limits::requests_in_flight_max`].
    RequestsInFlight,
    /// [`crate::Limits::bytes_in_flight_max`].
    BytesInFlight,
    /// [`crate::Limits::body_timeout`], or a connection that failed.
    Body,
    /// The sender went away before it was answered.
    Abandoned,
    /// The server is going down.
    Stopping,
    /// The store refused or failed, or said before that it has no room.
    Storage,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::BodyBytes,
        Self::InflatedBytes,
        Self::MessageSpans,
        Self::RequestsInFlight,
        Self::BytesInFlight,
        Self::Body,
        Self::Abandoned,
        Self::Stopping,
        Self::Storage,
    ];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::BodyBytes => "body_bytes",
            Self::InflatedBytes => "inflated_bytes",
            Self::MessageSpans => "message_spans",
            Self::RequestsInFlight => "requests_in_flight",
            Self::BytesInFlight => "bytes_in_flight",
            Self::Body => "body",
            Self::Abandoned => "abandoned",
            Self::Stopping => "stopping",
            Self::Storage => "storage",
        }
    }
}

impl Refusal {
    /// Which rule it is by.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::Malformed,
            Self::TooLarge(reason, _) | Self::Overloaded(reason, _) => *reason,
            Self::TooSlow(_) | Self::Unreadable(_) => Reason::Body,
            Self::Storage { .. } => Reason::Storage,
        }
    }

    /// True where the same message will be refused always: who keeps messages may put this one aside.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Malformed(_) | Self::TooLarge(..) => true,
            Self::Storage { error, .. } => matches!(error, StorageError::Invalid(_)),
            Self::TooSlow(_) | Self::Unreadable(_) | Self::Overloaded(..) => false,
        }
    }

    pub(crate) fn malformed(message: impl Display) -> Self {
        Self::Malformed(message.to_string())
    }

    pub(crate) fn body_too_long(bytes_max: usize) -> Self {
        let advice = "send fewer spans in a message, or raise COLLECTOR_BODY_BYTES_MAX";
        Self::TooLarge(
            Reason::BodyBytes,
            format!("the body is longer than {bytes_max} bytes: {advice}"),
        )
    }

    pub(crate) fn inflated_too_long(bytes_max: usize) -> Self {
        let advice = "send fewer spans in a message, or raise COLLECTOR_INFLATED_BYTES_MAX";
        Self::TooLarge(
            Reason::InflatedBytes,
            format!("the body inflates to more than {bytes_max} bytes: {advice}"),
        )
    }

    pub(crate) fn too_many_spans(spans_max: usize) -> Self {
        let advice = "send fewer, or raise COLLECTOR_MESSAGE_SPANS_MAX";
        Self::TooLarge(
            Reason::MessageSpans,
            format!("more than {spans_max} spans in one message: {advice}"),
        )
    }
}
