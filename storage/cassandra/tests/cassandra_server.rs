//! The store on a real cluster keeps the contract. `./check cassandra` starts one and says where it is:
//!
//! ```text
//! cargo test --workspace --all-features --test cassandra_server -- --port 9042 --user cassandra --password cassandra
//! ```

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use futures_util::future::join_all;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use storage::contract::elsewhere::{self, Elsewhere};
use storage::{BoxFuture, StoreOptions};
use storage_cassandra::{CassandraConfig, CassandraStore, Cluster};

/// Why a case cannot pass: what Zipkin's tables do not tell.
const EXCUSES: &[(&str, &str)] = &[];

/// Keyspaces are used by several cases one after the other: to create one takes many times as long as to empty it.
const KEYSPACE: &str = "contract";
/// What there is in a keyspace that is not searched, and what there is besides.
const TABLES: &[&str] = &[
    "span",
    "dependency",
    "tracehound_head",
    "tracehound_changes",
    "tracehound_records",
];
const SEARCHED: &[&str] = &[
    "trace_by_service_span",
    "trace_by_service_remote_service",
    "span_by_service",
    "remote_service_by_service",
    "autocomplete_tags",
];

/// Where the cluster is. Keyspaces are created in it, and left.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// On this machine; nothing is tested without it.
    #[arg(long)]
    port: Option<u16>,
    /// Who may create keyspaces.
    #[arg(long, default_value = "cassandra")]
    user: String,
    /// The password for that.
    #[arg(long, default_value = "cassandra")]
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
        println!("no --port of a Cassandra: nothing is tested, see ./check cassandra");
        return ExitCode::SUCCESS;
    };
    let server = Server {
        port,
        login: (arguments.user, arguments.password),
        session: Arc::default(),
    };
    elsewhere::run(&server, EXCUSES, arguments.case.as_deref())
}

/// The cluster, and how it is spoken to.
#[derive(Clone)]
struct Server {
    port: u16,
    login: (String, String),
    session: Arc<tokio::sync::OnceCell<Session>>,
}

impl Elsewhere for Server {
    type Config = CassandraConfig;
    type Store = CassandraStore;

    /// In a keyspace that is empty.
    fn fresh(&self, options: StoreOptions) -> BoxFuture<'static, CassandraConfig> {
        let server = self.clone();
        Box::pin(async move { server.config(options).await })
    }

    fn open(config: CassandraConfig) -> CassandraStore {
        CassandraStore::new(config)
    }
}

impl Server {
    async fn config(&self, options: StoreOptions) -> CassandraConfig {
        let is_searched = options.search_enabled;
        let keyspace = format!("{KEYSPACE}_{}", if is_searched { "searched" } else { "plain" });
        let config = CassandraConfig {
            options,
            cluster: Cluster {
                contact_points: vec![format!("127.0.0.1:{}", self.port)],
                login: Some(self.login.clone()),
                keyspace,
                ..Cluster::default()
            },
            now: Arc::new(now_ms),
        };
        self.empty(&config.cluster.keyspace, is_searched).await;
        config
    }

    /// Empties what there is of a keyspace.
    async fn empty(&self, keyspace: &str, is_searched: bool) {
        let session = self.session.get_or_init(|| self.connect()).await;
        let exists = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
        let answer = session.query_unpaged(exists, (keyspace,)).await;
        let answer = answer.unwrap_or_else(|error| panic!("no answer: {error}"));
        let found = answer.into_rows_result().map_or(0, |rows| rows.rows_num());
        if found == 0 {
            return;
        }
        let searched = SEARCHED.iter().filter(|_| is_searched);
        let empty = |table: &&str| {
            let truncate = format!("TRUNCATE {keyspace}.{table}");
            async move {
                let done = session.query_unpaged(truncate.as_str(), ()).await;
                done.unwrap_or_else(|error| panic!("{truncate}: {error}"));
            }
        };
        join_all(TABLES.iter().chain(searched).map(empty)).await;
    }

    async fn connect(&self) -> Session {
        let (user, password) = &self.login;
        let session = SessionBuilder::new()
            .known_node(format!("127.0.0.1:{}", self.port))
            .user(user, password)
            .build()
            .await;
        session.unwrap_or_else(|error| panic!("no cluster: {error}"))
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
