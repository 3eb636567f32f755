//! The battery for [`DeploymentStore`]s of which several servers share a table: each sees at once what the other was
//! told, and what spans told the other.

use std::sync::Arc;

use model::{Deployment, SpanBatch};

use super::fixtures::{Build, span, trace_id};
use crate::{DeploymentPatch, DeploymentStore, Patched, Put, SpanSink};

/// A store that takes spans and keeps deployments.
pub trait Store: SpanSink + DeploymentStore {}

impl<T: SpanSink + DeploymentStore> Store for T {}

const ID: &str = "run-412";

/// Runs all cases; `open` gives another server on the same tables, which are empty at first.
///
/// # Panics
/// At the first that fails.
pub async fn run(open: &(dyn Fn() -> Arc<dyn Store> + Sync)) {
    let [one, other] = [open(), open()];
    what_one_was_told_the_other_knows(one.as_ref(), other.as_ref()).await;
    changes_at_the_same_time_are_all_made(&one, &other).await;
    // The second version that anybody saw is a deployment, whoever saw the first.
    for (store, version, low) in [(&one, "1", 1), (&other, "2", 2), (&one, "2", 3)] {
        let mut batch = SpanBatch::new();
        batch.push_span(&span(trace_id(low), low).tag("version", version));
        store
            .accept(&batch)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let third = open();
    for store in [&one, &other, &third] {
        let history = store
            .history("frontend")
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let versions: Vec<_> = history
            .iter()
            .map(|deployment| deployment.version.as_str())
            .collect();
        assert_eq!(versions, ["2"]);
    }
}

fn declared(id: &str) -> Deployment {
    Deployment {
        id: id.to_owned(),
        service_name: "checkout".to_owned(),
        version: id.to_owned(),
        start_ts: 1_000,
        ..Deployment::default()
    }
}

async fn what_one_was_told_the_other_knows(one: &dyn Store, other: &dyn Store) {
    assert!(matches!(
        one.put_deployment(declared(ID)).await,
        Ok(Put::Added(_))
    ));
    assert!(matches!(
        other.put_deployment(declared(ID)).await,
        Ok(Put::Present(_))
    ));
    let patch = DeploymentPatch {
        end_ts: Some(2_000),
        ..DeploymentPatch::default()
    };
    assert!(matches!(
        other.patch_deployment(ID, patch).await,
        Ok(Patched::Done(_))
    ));
    for store in [one, other] {
        let shown = store.deployment(ID).await;
        assert!(matches!(shown, Ok(Some(shown)) if shown.end_ts == Some(2_000)));
    }
    assert_eq!(one.put_report(ID, b"slower".to_vec()).await, Ok(true));
    assert_eq!(other.report(ID).await, Ok(Some(b"slower".to_vec())));
    assert_eq!(one.delete_deployment(ID).await, Ok(true));
    assert_eq!(other.deployment(ID).await, Ok(None));
    assert_eq!(other.report(ID).await, Ok(None));
}

/// None stands in the way of another for good, and none is overwritten.
async fn changes_at_the_same_time_are_all_made(one: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    const EACH: usize = 5;
    let put = |store: &Arc<dyn Store>, name: &'static str| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for number in 0..EACH {
                let put = store.put_deployment(declared(&format!("{name}-{number}"))).await;
                assert!(matches!(put, Ok(Put::Added(_))), "{put:?}");
            }
        })
    };
    for task in [put(one, "one"), put(other, "other")] {
        task.await.unwrap_or_else(|error| panic!("{error}"));
    }
    for store in [one, other] {
        let history = store
            .history("checkout")
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(history.len(), 2 * EACH);
    }
}
