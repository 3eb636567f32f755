//! The store on a real server keeps the contract. `./check mysql` starts one and says where it is:
//!
//! ```text
//! cargo test --workspace --all-features --test mysql_server -- --port 3306 --user root --password secret
//! ```

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use model::{Deployment, SpanBatch};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use storage::contract::fixtures::{self, Build};
use storage::contract::{self, Stores};
use storage::{BoxFuture, DeploymentPatch, DeploymentStore, Patched, Put, SpanSink, StoreOptions};
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
    servers_that_share_a_database_are_of_one_mind(&server).await;
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

/// Each sees at once what the other was told, and what spans told the other.
async fn servers_that_share_a_database_are_of_one_mind(server: &Server) {
    let config = server.config(StoreOptions::default()).await;
    let [one, other] = [config.clone(), config].map(MySqlStore::new);
    let declared = Deployment {
        id: "run-412".to_owned(),
        service_name: "checkout".to_owned(),
        version: "2".to_owned(),
        start_ts: 1_000,
        ..Deployment::default()
    };
    assert!(matches!(
        one.put_deployment(declared.clone()).await,
        Ok(Put::Added(_))
    ));
    assert!(matches!(
        other.put_deployment(declared).await,
        Ok(Put::Present(_))
    ));
    let patch = DeploymentPatch {
        end_ts: Some(2_000),
        ..DeploymentPatch::default()
    };
    assert!(matches!(
        other.patch_deployment("run-412", patch).await,
        Ok(Patched::Done(_))
    ));
    let end_ts = async |store: &MySqlStore| store.deployment("run-412").await.unwrap().unwrap().end_ts;
    assert_eq!(
        (end_ts(&one).await, end_ts(&other).await),
        (Some(2_000), Some(2_000))
    );
    assert!(one.put_report("run-412", b"slower".to_vec()).await.unwrap());
    assert_eq!(
        other.report("run-412").await.unwrap().as_deref(),
        Some(&b"slower"[..])
    );
    assert!(one.delete_deployment("run-412").await.unwrap());
    assert_eq!(other.deployment("run-412").await.unwrap(), None);
    // The second version that anybody saw is a deployment, whoever saw the first.
    for (store, version, low) in [(&one, "1", 1), (&other, "2", 2), (&one, "2", 3)] {
        let span = fixtures::span(fixtures::trace_id(low), low).tag("version", version);
        let mut batch = SpanBatch::new();
        batch.push_span(&span);
        store.accept(&batch).await.unwrap();
    }
    for store in [&one, &other] {
        let history = store.history("frontend").await.unwrap();
        let versions: Vec<_> = history
            .iter()
            .map(|deployment| deployment.version.as_str())
            .collect();
        assert_eq!(versions, ["2"]);
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
