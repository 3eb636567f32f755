//! What an error of the cluster or of the way to it means to who asked.

use scylla::errors::{
    BadQuery, DbError, ExecutionError, NewSessionError, NextPageError, NextRowError, PagerExecutionError,
    PrepareError, RequestAttemptError, RequestError, UseKeyspaceError,
};
use storage::StorageError;

/// Why something failed: what the cluster said, as far as it did, and all of it in words.
#[derive(Debug)]
pub(crate) struct Failure {
    said: Said,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// An error of the protocol.
    Error(DbError),
    /// Nothing in time.
    Nothing,
    /// No node has a connection.
    Unreached,
    /// What it said was not understood, or the way to it broke meanwhile.
    Other,
    /// It was not asked, since it would be asked for too much.
    Unsupported,
    /// It was not told, since there is no way to tell it.
    Unfit,
}

impl Failure {
    fn new(said: Said, error: &impl std::error::Error) -> Self {
        let text = error.to_string();
        Self { said, text }
    }

    /// Something that the driver does not know of.
    pub(crate) fn other(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            said: Said::Other,
            text,
        }
    }

    /// More than is done for one answer.
    pub(crate) fn unsupported(text: String) -> Self {
        let said = Said::Unsupported;
        Self { said, text }
    }

    /// Whether a keyspace, a table, a column or an index is not what it was.
    pub(crate) fn is_of_schema(&self) -> bool {
        let words = [
            "unconfigured table",
            "does not exist",
            "ndefined column",
            "nknown ",
            "LIKE restriction",
        ];
        matches!(self.said, Said::Error(DbError::Invalid))
            && words.iter().any(|word| self.text.contains(word))
    }

    /// Whether the connections are of use no more until somebody makes others. The driver makes them again by itself, but at
    /// intervals that grow to ten seconds, and looks for nodes that moved by those it has.
    pub(crate) fn is_unreached(&self) -> bool {
        self.said == Said::Unreached
    }

    /// Whether the cluster refused what was asked because of its configuration.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self.said,
            Said::Error(
                DbError::Invalid | DbError::ConfigError | DbError::ServerError | DbError::Unauthorized
            )
        )
    }

    /// Whether a value is what cannot be stored, ever. By the words: under the same number a node refuses everything while
    /// its disk is full, or whatever its operators do not allow.
    fn is_of_value(&self) -> bool {
        let words = [
            "longer than maximum",
            "is too large",
            "oversized mutation",
            "too big",
            // Bounds of operators on what one row may have.
            "items_per_collection",
            "collection_size",
            "column_value_size",
        ];
        matches!(self.said, Said::Error(_)) && words.iter().any(|word| self.text.contains(word))
    }

    /// Whether it may be answered in another way: it took too long, or too much had to be read for it.
    pub(crate) fn is_too_much(&self) -> bool {
        let failed = matches!(
            self.said,
            Said::Error(DbError::ReadTimeout { .. } | DbError::ReadFailure { .. } | DbError::Overloaded)
        );
        failed || self.said == Said::Nothing
    }

    /// Whether what was to be written may have been.
    pub(crate) fn is_unknown(&self) -> bool {
        let timed_out = matches!(
            self.said,
            Said::Error(DbError::WriteTimeout { .. } | DbError::WriteFailure { .. })
        );
        timed_out || matches!(self.said, Said::Nothing | Said::Unreached | Said::Other)
    }

    /// Tells who asked what to do; `place` says where the cluster is.
    pub(crate) fn tell(&self, place: &str) -> StorageError {
        let text = format!("Cassandra at {place}: {}", self.text);
        match &self.said {
            Said::Unsupported => StorageError::Unsupported(self.text.clone()),
            Said::Unfit => StorageError::Invalid(text),
            Said::Nothing => StorageError::Timeout(text),
            Said::Error(DbError::Overloaded | DbError::RateLimitReached { .. }) => {
                StorageError::Overloaded(text)
            }
            Said::Error(DbError::ReadTimeout { .. } | DbError::WriteTimeout { .. }) => {
                StorageError::Timeout(text)
            }
            Said::Error(_) if self.is_of_value() => StorageError::Invalid(text),
            Said::Error(_) | Said::Unreached | Said::Other => StorageError::Unavailable(text),
        }
    }
}

fn of_attempt(error: &RequestAttemptError) -> Said {
    match error {
        RequestAttemptError::DbError(error, _) => Said::Error(error.clone()),
        _ => Said::Other,
    }
}

fn of_request(error: &RequestError) -> Said {
    match error {
        RequestError::LastAttemptError(error) => of_attempt(error),
        RequestError::RequestTimeout(_) => Said::Nothing,
        RequestError::EmptyPlan | RequestError::ConnectionPoolError(_) => Said::Unreached,
        _ => Said::Other,
    }
}

fn of_prepare(error: &PrepareError) -> Said {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt, .. } => of_attempt(first_attempt),
        PrepareError::ConnectionPoolError(_) => Said::Unreached,
        _ => Said::Other,
    }
}

fn of_page(error: &NextPageError) -> Said {
    match error {
        NextPageError::RequestFailure(error) => of_request(error),
        _ => Said::Other,
    }
}

impl From<ExecutionError> for Failure {
    fn from(error: ExecutionError) -> Self {
        let said = match &error {
            ExecutionError::LastAttemptError(error) => of_attempt(error),
            ExecutionError::PrepareError(error) => of_prepare(error),
            ExecutionError::RequestTimeout(_) => Said::Nothing,
            ExecutionError::EmptyPlan | ExecutionError::ConnectionPoolError(_) => Said::Unreached,
            // No cluster takes such a key. Other values are held to the columns that there are, which may be mended.
            ExecutionError::BadQuery(BadQuery::ValuesTooLongForKey(..)) => Said::Unfit,
            _ => Said::Other,
        };
        Self::new(said, &error)
    }
}

impl From<PagerExecutionError> for Failure {
    fn from(error: PagerExecutionError) -> Self {
        let said = match &error {
            PagerExecutionError::PrepareError(error) => of_prepare(error),
            PagerExecutionError::NextPageError(error) => of_page(error),
            _ => Said::Other,
        };
        Self::new(said, &error)
    }
}

impl From<NextRowError> for Failure {
    fn from(error: NextRowError) -> Self {
        let said = match &error {
            NextRowError::NextPageError(error) => of_page(error),
            _ => Said::Other,
        };
        Self::new(said, &error)
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        Self::new(of_prepare(&error), &error)
    }
}

impl From<NewSessionError> for Failure {
    fn from(error: NewSessionError) -> Self {
        Self::new(Said::Other, &error)
    }
}

impl From<UseKeyspaceError> for Failure {
    fn from(error: UseKeyspaceError) -> Self {
        let said = match &error {
            UseKeyspaceError::RequestError(error) => of_attempt(error),
            UseKeyspaceError::RequestTimeout(_) => Said::Nothing,
            _ => Said::Other,
        };
        Self::new(said, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(error: DbError, text: &str) -> StorageError {
        Failure::from(ExecutionError::LastAttemptError(RequestAttemptError::DbError(
            error,
            text.to_owned(),
        )))
        .tell("a:9042/zipkin2")
    }

    #[test]
    fn who_asked_is_told_what_to_do() {
        assert!(matches!(
            said(DbError::Overloaded, "busy"),
            StorageError::Overloaded(_)
        ));
        assert!(matches!(
            said(DbError::Invalid, "unconfigured table span"),
            StorageError::Unavailable(_)
        ));
        assert!(matches!(
            said(
                DbError::Invalid,
                "Write request failed because disk usage exceeds failure threshold"
            ),
            StorageError::Unavailable(_)
        ));
        assert!(matches!(
            said(DbError::Invalid, "Guardrail items_per_collection violated: tags"),
            StorageError::Invalid(_)
        ));
        let long = said(
            DbError::Invalid,
            "Key length of 70000 is longer than maximum of 65535",
        );
        assert!(
            matches!(&long, StorageError::Invalid(text) if text.contains("a:9042/zipkin2")),
            "{long}"
        );
        assert!(matches!(
            said(DbError::Unauthorized, "no"),
            StorageError::Unavailable(_)
        ));
    }
}
