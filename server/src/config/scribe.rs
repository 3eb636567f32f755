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

#[cfg(test)]
mod tests {
    use super::super::values::read_from;
    use super::*;

    fn load(environment: &[(&str, &str)]) -> Option<ScribeConfig> {
        let (config, mistakes) = read_from(environment, read);
        assert_eq!(mistakes, [""; 0]);
        config
    }

    #[test]
    fn it_is_served_where_zipkin_has_it_once_it_is_asked_for() {
        assert_eq!(load(&[]), None);
        let expected = |port, category: &str| ScribeConfig {
            port,
            category: category.to_owned(),
        };
        assert_eq!(
            load(&[("SCRIBE_ENABLED", "true")]),
            Some(expected(9410, "zipkin"))
        );
        let all = [
            ("COLLECTOR_SCRIBE_ENABLED", "true"),
            ("COLLECTOR_PORT", "1234"),
            ("SCRIBE_CATEGORY", "spans"),
        ];
        assert_eq!(load(&all), Some(expected(1234, "spans")));
    }
}
