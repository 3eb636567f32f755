//! What the store is configured with, and the pool of connections that comes of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlConnection};
use storage::StoreOptions;

use crate::in_time::answers;

/// How long a question or a write waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections that nobody uses are closed after this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The server closes those that nobody uses after this: of one that was cut off it learns nothing else, and would keep what a
/// transaction had locked there for hours, so that the same spans could not be written again.
const IDLE_AT_SERVER_SECONDS_MAX: u32 = 30;
/// And all of them after this, so that addresses which changed are followed.
const LIFETIME_MAX: Duration = Duration::from_secs(1800);
/// A statement that takes longer is ended by the server: who asked does not wait that long.
const STATEMENT_SECONDS_MAX: u32 = 30;

/// What a MySQL store is configured with.
#[derive(Clone)]
pub struct MySqlConfig {
    /// What every store is configured with.
    pub options: StoreOptions,
    /// Where its tables are.
    pub server: MySqlServer,
    /// What time it is.
    pub now: Clock,
}

/// A server, and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct MySqlServer {
    /// `MYSQL_HOST`.
    pub host: String,
    /// `MYSQL_TCP_PORT`.
    pub port: u16,
    /// `MYSQL_USER`; nothing lets the server take the connection for an anonymous one.
    pub user: Option<String>,
    /// `MYSQL_PASS`.
    pub password: Option<String>,
    /// `MYSQL_DB`.
    pub database: String,
    /// `MYSQL_MAX_CONNECTIONS`.
    pub connections_max: u32,
    /// `MYSQL_USE_SSL`.
    pub tls: Tls,
    /// `MYSQL_ENSURE_SCHEMA`: tables are created where they are missing, Zipkin's and our own.
    pub ensure_schema: bool,
}

/// Milliseconds since the epoch, as whoever owns the clock says.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Whether connections are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// They are not.
    #[default]
    Off,
    /// They are, and the server's certificate must be one of these authorities' (PEM), or, without a file, of those
    /// that the system trusts, and for its name.
    Verified(Option<PathBuf>),
}

impl Default for MySqlServer {
    /// As Zipkin's.
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 3306,
            user: None,
            password: None,
            database: "zipkin".to_owned(),
            connections_max: 10,
            tls: Tls::Off,
            ensure_schema: false,
        }
    }
}

impl MySqlServer {
    /// Where the server is, without anything secret.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }

    pub(crate) fn connect_options(&self) -> MySqlConnectOptions {
        let mut options = MySqlConnectOptions::new()
            .host(&self.host)
            .port(self.port)
            .username(self.user.as_deref().unwrap_or_default())
            .database(&self.database)
            .pipes_as_concat(false)
            // A statement of several hundred rows is no line of a log; a slow one is in the server's own.
            .disable_statement_logging();
        if let Some(password) = &self.password {
            options = options.password(password);
        }
        match &self.tls {
            Tls::Off => options.ssl_mode(MySqlSslMode::Disabled),
            Tls::Verified(authorities) => {
                let options = options.ssl_mode(MySqlSslMode::VerifyIdentity);
                match authorities {
                    Some(file) => options.ssl_ca(file),
                    None => options,
                }
            }
        }
    }

    /// Connects when there is something to do.
    pub(crate) fn pool(&self) -> MySqlPool {
        MySqlPoolOptions::new()
            .max_connections(self.connections_max)
            .min_connections(0)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .max_lifetime(LIFETIME_MAX)
            .after_connect(|connection, _| Box::pin(bound_statements(connection)))
            .after_release(|connection, _| Box::pin(answers(connection)))
            .connect_lazy_with(self.connect_options())
    }

    /// Tries to connect once, for the sake of the error: a pool that waited in vain does not say what for.
    pub(crate) async fn try_connection(&self) -> sqlx::Result<()> {
        MySqlConnection::connect_with(&self.connect_options())
            .await?
            .close()
            .await
    }
}

/// How long a statement, and how long doing nothing. MySQL and MariaDB have different names for the former.
async fn bound_statements(connection: &mut MySqlConnection) -> sqlx::Result<()> {
    let version: String = sqlx::query_scalar("SELECT VERSION()")
        .fetch_one(&mut *connection)
        .await?;
    let statements = match is_mariadb(&version) {
        true => format!("max_statement_time = {STATEMENT_SECONDS_MAX}"),
        false => format!("max_execution_time = {STATEMENT_SECONDS_MAX}000"),
    };
    let set = format!("SET SESSION {statements}, wait_timeout = {IDLE_AT_SERVER_SECONDS_MAX}");
    connection.execute(AssertSqlSafe(set)).await.map(drop)
}

/// Whether a server of this version is MariaDB.
pub(crate) fn is_mariadb(version: &str) -> bool {
    version.to_lowercase().contains("mariadb")
}

impl fmt::Debug for MySqlServer {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlServer")
            .field("place", &self.place())
            .field("user", &self.user)
            .field("connections_max", &self.connections_max)
            .field("tls", &self.tls)
            .field("ensure_schema", &self.ensure_schema)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MySqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlConfig")
            .field("options", &self.options)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
