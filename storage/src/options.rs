//! What every store is configured with.

/// Options that change what a store keeps and answers (`zipkin.md` 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// `STRICT_TRACE_ID`: compare trace identifiers in full.
    pub strict_trace_id: bool,
    /// `SEARCH_ENABLED`: false means no index is written and no search answers.
    pub search_enabled: bool,
    /// `TEXT_INDEX_ENABLED`: false means that no text index is written where there could be one, and text is searched
    /// by reading spans.
    pub text_index_enabled: bool,
    /// `AUTOCOMPLETE_KEYS`: tag keys whose values are kept for completion.
    pub autocomplete_keys: Vec<String>,
    /// `VERSION_TAGS`: tags that tell the version of a service; the first that a span bears counts.
    pub version_tags: Vec<String>,
    /// `ENVIRONMENT_TAGS`: tags that tell the environment; the first that a span bears counts.
    pub environment_tags: Vec<String>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            strict_trace_id: true,
            search_enabled: true,
            text_index_enabled: true,
            autocomplete_keys: Vec::new(),
            version_tags: ["service.version", "version", "app.version"]
                .map(str::to_owned)
                .into(),
            environment_tags: [
                "deployment.environment.name",
                "deployment.environment",
                "environment",
            ]
            .map(str::to_owned)
            .into(),
        }
    }
}
