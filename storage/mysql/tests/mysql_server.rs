//! The store on a real server keeps the contract. `./check mysql` starts one and says where it is:
//!
//! ```text
//! cargo test --workspace --all-features --test mysql_server -- --port 3306 --user root --password secret
//! ```

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use storage::contract::elsewhere::{self, Elsewhere};
use storage::{BoxFuture, StoreOptions};
use storage_mysql::{MySqlConfig, MySqlServer, MySqlStore};

/// Why a case cannot pass: what Zipkin's tables do not tell.
const EXCUSES: &[(&str, &str)] = &[
    ("span_store/reads_back_large_values", ANNOTATIONS_ARE_SHORT),
    (
        "span_store/get_traces_differentiates_debug_from_shared",
        ONE_DEBUG,
    ),
    ("traces/get_trace_differentiates_debug_from_shared", ONE_DEBUG),
    ("traces/get_traces_differentiates_debug_from_shared", ONE_DEBUG),
    ("hostile_text/long_names_are_only_text", NAMES_ARE_SHORT),
    (
        "hostile_text/long_tags_and_annotations_are_only_text",
        ANNOTATIONS_ARE_SHORT,
    ),
    (
        "hostile_text/links_between_services_with_long_names",
        NAMES_ARE_SHORT,
    ),
];

const ANNOTATIONS_ARE_SHORT: &str = "annotations and keys of tags are VARCHAR(255)";
const NAMES_ARE_SHORT: &str = "names are VARCHAR(255)";
const ONE_DEBUG: &str = "both halves of a span share a row, and its column debug";

/// Where the server is. Databases are created on it, and left.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// On this machine; nothing is tested without it.
    #[arg(long)]
    port: Option<u16>,
    /// Who may create databases.
    #[arg(long, default_value = "root")]
    user: String,
    /// The password for that.
    #[arg(long, default_value = "")]
    password: String,
    /// Only this case, `group/case`.
    #[arg(long)]
    case: Option<String>,
    /// As cargo passes it on.
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(port) = arguments.port else {
        println!("no --port of a MySQL server: nothing is tested, see ./check mysql");
        return ExitCode::SUCCESS;
    };
    let server = Server {
        port,
        user: arguments.user,
        password: arguments.password,
        databases: Arc::default(),
    };
    elsewhere::run(&server, EXCUSES, arguments.case.as_deref())
}

/// The server, and how many databases were created on it.
#[derive(Clone)]
struct Server {
    port: u16,
    user: String,
    password: String,
    databases: Arc<AtomicU64>,
}

impl Elsewhere for Server {
    type Config = MySqlConfig;
    type Store = MySqlStore;

    /// On a database of its own.
    fn fresh(&self, options: StoreOptions) -> BoxFuture<'static, MySqlConfig> {
        let server = self.clone();
        Box::pin(async move { server.config(options).await })
    }

    fn open(config: MySqlConfig) -> MySqlStore {
        MySqlStore::new(config)
    }
}

impl Server {
    async fn config(&self, options: StoreOptions) -> MySqlConfig {
        let database = format!("contract_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let create = format!("DROP DATABASE IF EXISTS {database}; CREATE DATABASE {database}");
        self.execute(&create).await;
        MySqlConfig {
            options,
            server: MySqlServer {
                host: "127.0.0.1".to_owned(),
                port: self.port,
                user: Some(self.user.clone()),
                password: Some(self.password.clone()),
                database,
                ensure_schema: true,
                ..MySqlServer::default()
            },
            now: Arc::new(now_ms),
        }
    }

    async fn execute(&self, sql: &str) {
        let url = format!("mysql://{}:{}@127.0.0.1:{}", self.user, self.password, self.port);
        let connection = MySqlConnection::connect(&url).await;
        let mut connection = connection.unwrap_or_else(|error| panic!("no server: {error}"));
        for statement in sql.split(';') {
            let done = connection.execute(AssertSqlSafe(statement.to_owned())).await;
            done.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
