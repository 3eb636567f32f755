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
use storage::contract::{self, Stores};
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
    let outcome = runtime.block_on(run(&arguments, port));
    match outcome {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(failures) => {
            println!("{failures}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, port: u16) -> Result<String, String> {
    let server = Server {
        port,
        user: arguments.user.clone(),
        password: arguments.password.clone(),
        databases: Arc::default(),
    };
    let open = |options| -> BoxFuture<'static, Stores> {
        let server = server.clone();
        Box::pin(async move { server.open(options).await })
    };
    if let Some(case) = &arguments.case {
        contract::check_case(open, case).await?;
        return Ok(format!("{case} passed"));
    }
    let report = contract::check(open, EXCUSES).await?;
    contract::latency::run(&|options| {
        let server = server.clone();
        Box::pin(async move {
            let store: Arc<dyn contract::latency::Store> =
                Arc::new(MySqlStore::new(server.config(options).await));
            store
        })
    })
    .await;
    let shared = server.config(StoreOptions::default()).await;
    contract::sharing::run(&|| Arc::new(MySqlStore::new(shared.clone()))).await;
    Ok(format!(
        "{} cases of the contract passed; excused: {:?}; not offered: {:?}",
        report.passed.len(),
        report.excused,
        report.not_offered
    ))
}

/// The server, and how many databases were created on it.
#[derive(Clone)]
struct Server {
    port: u16,
    user: String,
    password: String,
    databases: Arc<AtomicU64>,
}

impl Server {
    /// A store on a database of its own.
    async fn open(&self, options: StoreOptions) -> Stores {
        stores(self.config(options).await)
    }

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

fn stores(config: MySqlConfig) -> Stores {
    let again = config.clone();
    let store = Arc::new(MySqlStore::new(config));
    let deployments = Arc::clone(&store) as Arc<dyn storage::DeploymentStore>;
    Stores {
        store,
        reopen: Some(Box::new(move |store| {
            Box::pin(async move {
                drop(store);
                stores(again)
            })
        })),
        deployments: Some(deployments),
    }
}
