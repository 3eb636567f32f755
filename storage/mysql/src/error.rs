//! What an error of the server or of the way to it means to who asked.

use sqlx::mysql::MySqlDatabaseError;
use storage::StorageError;

/// Two writers that waited for each other, and one that waited too long: to be tried again at once.
const DEADLOCK: u16 = 1213;
const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// There is no such table or column: the schema is another than when it was last looked at.
const NO_SUCH_TABLE: u16 = 1146;
const NO_SUCH_COLUMN: u16 = 1054;

/// Too many connections, of all and of this user.
const OVERLOADED: [u16; 3] = [1040, 1203, 1226];

/// A statement was ended because it took too long: MySQL's number, and MariaDB's.
const TOOK_TOO_LONG: [u16; 2] = [3024, 1969];

/// Values that a column cannot have: null, out of its range, not of its characters, too long, longer than a packet.
const BAD_VALUES: [u16; 5] = [1048, 1264, 1366, 1406, 1153];

/// The server's number for an error of its own.
fn number(error: &sqlx::Error) -> Option<u16> {
    let error = error.as_database_error()?;
    Some(error.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

/// Whether the same may succeed when it is tried again at once.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(DEADLOCK | LOCK_WAIT_TIMEOUT))
}

/// Whether the schema is not what it was.
pub(crate) fn is_of_schema(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(NO_SUCH_TABLE | NO_SUCH_COLUMN))
}

/// Tells who asked what to do; `place` says where the server is.
pub(crate) fn tell(error: &sqlx::Error, place: &str) -> StorageError {
    let text = match error {
        sqlx::Error::Database(error) => format!("MySQL at {place}: {error}"),
        sqlx::Error::Io(error) => format!("MySQL at {place} cannot be reached: {error}"),
        sqlx::Error::Tls(error) => format!("MySQL at {place}: no TLS: {error}"),
        error => format!("MySQL at {place}: {error}"),
    };
    match (error, number(error)) {
        (sqlx::Error::PoolTimedOut, _) => StorageError::Overloaded(format!(
            "MySQL at {place}: all connections are busy, see MYSQL_MAX_CONNECTIONS"
        )),
        (_, Some(number)) if OVERLOADED.contains(&number) || is_conflict(error) => {
            StorageError::Overloaded(text)
        }
        (_, Some(number)) if TOOK_TOO_LONG.contains(&number) => StorageError::Timeout(text),
        (_, Some(number)) if BAD_VALUES.contains(&number) => StorageError::Invalid(text),
        _ => StorageError::Unavailable(text),
    }
}
