//! What the app is told by its server, as Zipkin's `config.json` (`zipkin.md` 2.6).

use std::fmt::Write;

/// What the app is told by its server. The names are Zipkin's, in `config.json` in camel case.
#[derive(Clone, Debug, PartialEq)]
pub struct UiConfig {
    /// The name of this installation, such as `staging`. Empty is none.
    pub environment: String,
    /// How many traces a search asks for, unless the user says.
    pub query_limit: u32,
    /// How far a search looks back, unless the user says, in milliseconds.
    pub default_lookback_ms: u64,
    /// Whether the server answers searches, or only knows traces by identifier.
    pub search_enabled: bool,
    /// Where a trace's logs are; `{traceId}` stands for its identifier.
    pub logs_url: Option<String>,
    /// Where users get help.
    pub support_url: Option<String>,
    /// Where a trace is posted to in order to be kept.
    pub archive_post_url: Option<String>,
    /// Where an archived trace is seen; `{traceId}` stands for its identifier.
    pub archive_url: Option<String>,
    /// Whether there is a page of dependencies.
    pub dependency_enabled: bool,
    /// The share of failed calls, 0 to 1, from which a dependency is suspicious.
    pub low_error_rate: f64,
    /// The share of failed calls, 0 to 1, from which a dependency is failing.
    pub high_error_rate: f64,
    /// The path that browsers reach the app by. It is not in `config.json`: the page itself says it.
    ///
    /// Only what the page says changes with it, as in Zipkin: the server keeps answering below `/zipkin`, and a
    /// proxy in front maps the one to the other.
    pub base_path: String,
}

impl Default for UiConfig {
    /// Zipkin's defaults.
    fn default() -> Self {
        Self {
            environment: String::new(),
            query_limit: 10,
            default_lookback_ms: 900_000,
            search_enabled: true,
            logs_url: None,
            support_url: None,
            archive_post_url: None,
            archive_url: None,
            dependency_enabled: true,
            low_error_rate: 0.5,
            high_error_rate: 0.75,
            base_path: "/zipkin".to_owned(),
        }
    }
}

impl UiConfig {
    /// The bytes of `config.json`: Zipkin's keys, order and spacing, which some tools compare as text.
    pub(crate) fn json(&self) -> String {
        let top = [
            ("environment", text(&self.environment)),
            ("queryLimit", self.query_limit.to_string()),
            ("defaultLookback", self.default_lookback_ms.to_string()),
            ("searchEnabled", self.search_enabled.to_string()),
            ("logsUrl", optional_text(self.logs_url.as_deref())),
            ("supportUrl", optional_text(self.support_url.as_deref())),
            ("archivePostUrl", optional_text(self.archive_post_url.as_deref())),
            ("archiveUrl", optional_text(self.archive_url.as_deref())),
            ("dependency", self.dependency_json()),
        ];
        object(&top, "")
    }

    fn dependency_json(&self) -> String {
        let fields = [
            ("enabled", self.dependency_enabled.to_string()),
            ("lowErrorRate", number(self.low_error_rate)),
            ("highErrorRate", number(self.high_error_rate)),
        ];
        object(&fields, "  ")
    }
}

/// One key a line, a blank on either side of the colon.
fn object(fields: &[(&str, String)], indent: &str) -> String {
    let mut json = String::from("{");
    for (index, (key, value)) in fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(json, "{comma}\n{indent}  \"{key}\" : {value}");
    }
    json + "\n" + indent + "}"
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn optional_text(value: Option<&str>) -> String {
    value.map_or_else(|| "null".to_owned(), text)
}

/// With at least one decimal, as Java writes them.
fn number(value: f64) -> String {
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_zipkins_to_the_byte() {
        let expected = r#"{
  "environment" : "",
  "queryLimit" : 10,
  "defaultLookback" : 900000,
  "searchEnabled" : true,
  "logsUrl" : null,
  "supportUrl" : null,
  "archivePostUrl" : null,
  "archiveUrl" : null,
  "dependency" : {
    "enabled" : true,
    "lowErrorRate" : 0.5,
    "highErrorRate" : 0.75
  }
}"#;
        assert_eq!(UiConfig::default().json(), expected);
    }

    #[test]
    fn everything_that_is_set_is_said() {
        let config = UiConfig {
            environment: "prod \"eu\"".to_owned(),
            query_limit: 25,
            default_lookback_ms: 3_600_000,
            search_enabled: false,
            logs_url: Some("https://logs.example/{traceId}".to_owned()),
            support_url: Some("https://help.example".to_owned()),
            archive_post_url: Some("https://archive.example/api/v2/spans".to_owned()),
            archive_url: Some("https://archive.example/zipkin/traces/{traceId}".to_owned()),
            dependency_enabled: false,
            low_error_rate: 1.0,
            high_error_rate: 0.25,
            base_path: "/elsewhere".to_owned(),
        };
        let said: serde_json::Value = serde_json::from_str(&config.json()).unwrap();
        let expected = serde_json::json!({
            "environment": "prod \"eu\"",
            "queryLimit": 25,
            "defaultLookback": 3_600_000,
            "searchEnabled": false,
            "logsUrl": "https://logs.example/{traceId}",
            "supportUrl": "https://help.example",
            "archivePostUrl": "https://archive.example/api/v2/spans",
            "archiveUrl": "https://archive.example/zipkin/traces/{traceId}",
            "dependency": {"enabled": false, "lowErrorRate": 1.0, "highErrorRate": 0.25},
        });
        assert_eq!(said, expected);
        assert!(config.json().contains("\"lowErrorRate\" : 1.0"));
    }
}
