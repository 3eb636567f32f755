//! Stores on a server of others, held to everything that is asked of them: the battery, times, and what servers share.
//! A test program says where the server is; the rest is the same for all.

use std::process::ExitCode;
use std::sync::Arc;

use super::{Stores, check, check_case, latency, sharing};
use crate::{BoxFuture, DeploymentStore, LatencySource, SpanSink, SpanSource, StoreOptions};

/// A server, and how stores on it are opened.
pub trait Elsewhere: Clone + Send + Sync + 'static {
    /// What a store is opened by.
    type Config: Clone + Send + Sync + 'static;
    /// What is held to the contract.
    type Store: SpanSink + SpanSource + DeploymentStore + LatencySource + 'static;

    /// Where a store will be that is fresh and empty.
    fn fresh(&self, options: StoreOptions) -> BoxFuture<'static, Self::Config>;

    /// Opens what is there.
    fn open(config: Self::Config) -> Self::Store;
}

/// Runs everything, or one case of the battery; says what came of it, as a test program does.
pub fn run<E: Elsewhere>(server: &E, excuses: &[(&str, &str)], case: Option<&str>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
    let (told, status) = match runtime.block_on(held(server, excuses, case)) {
        Ok(told) => (told, ExitCode::SUCCESS),
        Err(failures) => (failures, ExitCode::FAILURE),
    };
    println!("{told}");
    status
}

async fn held<E: Elsewhere>(
    server: &E,
    excuses: &[(&str, &str)],
    case: Option<&str>,
) -> Result<String, String> {
    let open = |options| -> BoxFuture<'static, Stores> {
        let config = server.fresh(options);
        Box::pin(async move { stores::<E>(config.await) })
    };
    if let Some(case) = case {
        check_case(open, case).await?;
        return Ok(format!("{case} passed"));
    }
    let report = check(open, excuses).await?;
    latency::run(&|options| {
        let config = server.fresh(options);
        Box::pin(async move { Arc::new(E::open(config.await)) as Arc<dyn latency::Store> })
    })
    .await;
    let shared = server.fresh(StoreOptions::default()).await;
    sharing::run(&|| Arc::new(E::open(shared.clone()))).await;
    Ok(format!(
        "{} cases of the contract passed; excused: {:?}; not offered: {:?}",
        report.passed.len(),
        report.excused,
        report.not_offered
    ))
}

fn stores<E: Elsewhere>(config: E::Config) -> Stores {
    let again = config.clone();
    let store = Arc::new(E::open(config));
    let deployments = Arc::clone(&store) as Arc<dyn DeploymentStore>;
    Stores {
        store,
        reopen: Some(Box::new(move |store| {
            Box::pin(async move {
                drop(store);
                stores::<E>(again)
            })
        })),
        deployments: Some(deployments),
    }
}
