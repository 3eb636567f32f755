//! Whether and where Scribe is served.

use super::parse;
use super::values::Reader;

/// How Scribe is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScribeConfig {
    /// Zero is any free one.
    pub(crate) port: u16,
    /// Whose entries are spans.
    pub(crate) category: String,
}

/// `None` unless it is enabled; mistakes are found either way.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<ScribeConfig> {
    let enabled = reader.read("COLLECTOR_SCRIBE_ENABLED", parse::boolean);
    let config = ScribeConfig {
        port: reader.read("COLLECTOR_PORT", parse::port),
        category: reader.read("SCRIBE_CATEGORY", parse::text),
    };
    enabled.then_some(config)
}
