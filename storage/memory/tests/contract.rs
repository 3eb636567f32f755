//! The memory store keeps the contract, without an excuse.

use std::sync::Arc;

use storage::contract::Stores;
use storage_memory::{MemoryConfig, MemoryStore};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract() {
    let report = storage::contract::run(
        |options| {
            let store = Arc::new(MemoryStore::new(MemoryConfig {
                options,
                ..MemoryConfig::default()
            }));
            let deployments = Arc::clone(&store) as Arc<dyn storage::DeploymentStore>;
            Box::pin(async {
                Stores {
                    store,
                    reopen: None,
                    deployments: Some(deployments),
                }
            })
        },
        &[],
    )
    .await;
    // What is in memory is gone with the process: the only capability it does not have.
    assert!(
        report.not_offered.iter().all(|case| case.contains("restart/")),
        "{:?}",
        report.not_offered
    );
    assert!(report.passed.len() > 100, "{} cases", report.passed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract_of_latency() {
    storage::contract::latency::run(&|options| {
        let store: Arc<dyn storage::contract::latency::Store> = Arc::new(MemoryStore::new(MemoryConfig {
            options,
            ..MemoryConfig::default()
        }));
        Box::pin(async { store })
    })
    .await;
}
