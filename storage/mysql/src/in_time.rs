//! Statements are not waited for without end: a server that is cut off sends nothing, not even that it is gone.

use std::io;
use std::time::Duration;

use sqlx::{Connection, MySqlConnection};

/// Longer than a statement may take at the server, which then says so itself.
const ANSWER_MAX: Duration = Duration::from_secs(40);
/// How long it may take until a connection that is given back is of use again. It may have been left in the middle of an answer.
const RELEASE_MAX: Duration = Duration::from_secs(2);

/// What a server answers.
pub(crate) trait InTime<T>: Future<Output = sqlx::Result<T>> + Send + Sized {
    /// The same, or an error if there is no answer in time. The connection is then of no use any more.
    fn in_time(self) -> impl Future<Output = sqlx::Result<T>> + Send {
        within(ANSWER_MAX, self)
    }
}

impl<T, F: Future<Output = sqlx::Result<T>> + Send> InTime<T> for F {}

async fn within<T>(most: Duration, asked: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let answer = tokio::time::timeout(most, asked).await;
    answer.unwrap_or_else(|_| {
        let text = format!("no answer within {} s", most.as_secs());
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text)))
    })
}

/// Whether a connection that is given back still answers. The pool asks that as well, and waits for as long as it takes: with
/// a server that was cut off it would have no connection left in the end.
pub(crate) async fn answers(connection: &mut MySqlConnection) -> sqlx::Result<bool> {
    within(RELEASE_MAX, connection.ping()).await.map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_never_answers_is_not_waited_for() {
        let begin = tokio::time::Instant::now();
        let error = std::future::pending::<sqlx::Result<()>>()
            .in_time()
            .await
            .unwrap_err();
        assert_eq!(begin.elapsed(), ANSWER_MAX);
        let told = crate::error::tell(&error, "a:3306/zipkin").to_string();
        assert!(
            told.contains("cannot be reached: no answer within 40 s"),
            "{told}"
        );
        assert_eq!(std::future::ready(Ok(7)).in_time().await.unwrap(), 7);
    }
}
