//! The store on a real server keeps the contract. `./check elasticsearch` starts one and says where it is:
//!
//! ```text
//! cargo test --workspace --all-features --test elasticsearch_server -- --port 9200
//! ```

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use storage::contract::elsewhere::{self, Elsewhere};
use storage::{BoxFuture, StoreOptions};
use storage_elasticsearch::{Cluster, ElasticsearchConfig, ElasticsearchStore};

/// Why a case cannot pass: what Zipkin's indexes do not tell.
const EXCUSES: &[(&str, &str)] = &[];

/// After how many stores their indexes are deleted: that takes the server as long as many questions.
const DELETED_EVERY: u64 = 16;

/// Where the server is. Indexes are created on it, and deleted.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// On this machine; nothing is tested without it.
    #[arg(long)]
    port: Option<u16>,
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
        println!("no --port of an Elasticsearch: nothing is tested, see ./check elasticsearch");
        return ExitCode::SUCCESS;
    };
    // The test's own client needs it before the store's does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server {
        base: format!("http://127.0.0.1:{port}"),
        opened: Arc::default(),
    };
    elsewhere::run(&server, EXCUSES, arguments.case.as_deref())
}

/// The server, and how many stores were opened on it.
#[derive(Clone)]
struct Server {
    base: String,
    opened: Arc<AtomicU64>,
}

impl Elsewhere for Server {
    type Config = ElasticsearchConfig;
    type Store = ElasticsearchStore;

    fn fresh(&self, options: StoreOptions) -> BoxFuture<'static, ElasticsearchConfig> {
        let server = self.clone();
        Box::pin(async move { server.config(options).await })
    }

    fn open(config: ElasticsearchConfig) -> ElasticsearchStore {
        ElasticsearchStore::new(config).unwrap()
    }
}

impl Server {
    /// With indexes of its own; now and then those of the ones before are deleted.
    async fn config(&self, options: StoreOptions) -> ElasticsearchConfig {
        let opened = self.opened.fetch_add(1, Ordering::Relaxed);
        if opened.is_multiple_of(DELETED_EVERY) {
            let address = format!("{}/contract*,tracehound_contract*", self.base);
            let answer = reqwest::Client::new().delete(address).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        }
        ElasticsearchConfig {
            options,
            cluster: Cluster {
                hosts: vec![self.base.clone()],
                index: format!("contract{opened}"),
                shards: 1,
                replicas: 0,
                ..Cluster::default()
            },
            now: Arc::new(now_ms),
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
