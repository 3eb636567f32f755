//! Names to choose from: services, spans, remote services, and values of chosen tags (`zipkin.md` 2.2, 5.5).
//!
//! Lists of names may be cached by clients, but only where there are enough of them that the cost matters:
//! someone who has just sent the first span of a service wants to see it.

use std::sync::atomic::Ordering;

use storage::{BoxFuture, SpanSource};

use crate::Query;
use crate::answer::{Answer, Failure, search_disabled};
use crate::params::Params;

/// Up to this many names nothing is cached.
const UNCACHED_NAMES_MAX: usize = 3;

/// A question about the names one service uses.
type AskNames = for<'a> fn(&'a dyn SpanSource, &'a str) -> BoxFuture<'a, storage::Result<Vec<String>>>;

impl Query {
    /// `/services`.
    pub(crate) async fn services(&self) -> Result<Answer, Failure> {
        if !self.config.search_enabled {
            return Ok(no_names());
        }
        let names = self.source.service_names().await?;
        self.service_count.store(names.len(), Ordering::Relaxed);
        Ok(self.names_of_services(&names))
    }

    /// `/spans`.
    pub(crate) async fn span_names(&self, params: &Params<'_>) -> Result<Answer, Failure> {
        self.ask_of_service(params, |source, service_name| source.span_names(service_name))
            .await
    }

    /// `/remoteServices`.
    pub(crate) async fn remote_services(&self, params: &Params<'_>) -> Result<Answer, Failure> {
        self.ask_of_service(params, |source, service_name| {
            source.remote_service_names(service_name)
        })
        .await
    }

    /// `/autocompleteKeys`: configuration, so known even when search is disabled.
    pub(crate) fn autocomplete_keys(&self) -> Answer {
        Answer::json(&self.config.autocomplete_keys).with_cacheable(true)
    }

    /// `/autocompleteValues`.
    pub(crate) async fn autocomplete_values(&self, params: &Params<'_>) -> Result<Answer, Failure> {
        let key = params.required("key")?;
        if key.is_empty() {
            return Err(Failure::Invalid("key was empty".to_owned()));
        }
        if !self.config.search_enabled {
            return Ok(no_names());
        }
        let values = self.source.autocomplete_values(key).await?;
        Ok(Answer::json(&values).with_cacheable(values.len() > UNCACHED_NAMES_MAX))
    }

    async fn ask_of_service(&self, params: &Params<'_>, ask: AskNames) -> Result<Answer, Failure> {
        let service_name = params.required("serviceName")?.to_lowercase();
        if !self.config.search_enabled {
            return Ok(no_names());
        }
        if service_name.is_empty() {
            return Ok(self.names_of_services(&[]));
        }
        let names = ask(&*self.source, &service_name).await?;
        Ok(self.names_of_services(&names))
    }

    fn names_of_services(&self, names: &[String]) -> Answer {
        let cacheable = self.service_count.load(Ordering::Relaxed) > UNCACHED_NAMES_MAX;
        Answer::json(&names).with_cacheable(cacheable)
    }
}

fn no_names() -> Answer {
    Answer::json(&[""; 0]).with_completeness(search_disabled())
}
