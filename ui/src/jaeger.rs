//! Addresses of Jaeger's UI in our own words, so that links people kept lead somewhere.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

/// What stands in a URL as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Parameters beyond this many are not read.
const PARAMETERS_MAX: usize = 100;
/// How far back our own search form can look by a name, in Jaeger's words as well.
const LOOKBACKS: [&str; 12] = [
    "1m", "5m", "15m", "30m", "1h", "2h", "3h", "6h", "12h", "1d", "2d", "7d",
];

/// Where `/trace/{part}` is: a trace, or two that are compared.
pub(crate) fn trace(part: &str, query: &str) -> String {
    if let Some((a, b)) = part.split_once("...") {
        let mut address = Address::new("/zipkin/compare");
        address.add("a", &decoded(a));
        address.add("b", &decoded(b));
        return address.text;
    }
    let id = utf8_percent_encode(&decoded(part), ESCAPED).to_string();
    let mut address = Address::new(&format!("/zipkin/traces/{id}"));
    for (name, value) in parameters(query) {
        if name == "uiFind" {
            address.add("q", &value);
        }
    }
    address.text
}

/// Where `/search?…` is.
pub(crate) fn search(query: &str) -> String {
    let mut address = Address::new("/zipkin/");
    let (mut tags, mut lookback, mut start, mut end) = (Vec::new(), String::new(), None, None);
    for (name, value) in parameters(query) {
        match name.as_str() {
            "service" => address.add("serviceName", &value.to_lowercase()),
            "operation" if value != "all" => address.add("spanName", &value.to_lowercase()),
            "tags" => tags.extend(tags_of_object(&value)),
            "tag" => tags.extend(value.split_once(':').map(condition)),
            "minDuration" | "maxDuration" => {
                if let Some(micros) = micros(&value) {
                    address.add(&name, &micros.to_string());
                }
            }
            "limit" if value.parse::<u32>().is_ok() => address.add("limit", &value),
            "lookback" => lookback = value,
            "start" => start = value.parse::<u64>().ok(),
            "end" => end = value.parse::<u64>().ok(),
            _ => {}
        }
    }
    if !tags.is_empty() {
        address.add("annotationQuery", &tags.join(" and "));
    }
    add_window(&mut address, &lookback, start, end);
    address.text
}

/// A window by its length, else by its ends, which Jaeger has in microseconds and Zipkin in milliseconds.
fn add_window(address: &mut Address, lookback: &str, start: Option<u64>, end: Option<u64>) {
    if LOOKBACKS.contains(&lookback) {
        address.add("lookback", lookback);
        return;
    }
    if let Some(micros) = span_of_time(lookback) {
        address.add("lookback", "millis");
        address.add("millis", &(micros / 1_000).to_string());
        return;
    }
    if let (Some(start), Some(end)) = (start, end) {
        address.add("lookback", "range");
        address.add("startTs", &(start / 1_000).to_string());
        address.add("endTs", &(end / 1_000).to_string());
    }
}

/// `{"error": "true"}`: every tag has to be there.
fn tags_of_object(text: &str) -> Vec<String> {
    let tags: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let text_of = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    tags.iter()
        .map(|(name, value)| condition((name, &text_of(value))))
        .collect()
}

/// What Zipkin asks for has a tag `error` whatever its value.
fn condition((name, value): (&str, &str)) -> String {
    if name == "error" && value == "true" {
        return name.to_owned();
    }
    format!("{name}={value}")
}

/// `1.2s`, `100ms`, `50us`, in microseconds.
fn micros(text: &str) -> Option<u64> {
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
    let micros = match unit {
        "us" | "µs" | "μs" => 1.0,
        "ms" => 1_000.0,
        "s" => 1_000_000.0,
        "m" => 60_000_000.0,
        "h" => 3_600_000_000.0,
        _ => return None,
    };
    let number: f64 = text[..text.len() - unit.len()].parse().ok()?;
    let product = (number * micros).round();
    (1.0..1e15).contains(&product).then_some(product as u64)
}

/// `3h`, `4d`, `2w`, in microseconds.
fn span_of_time(text: &str) -> Option<u64> {
    const DAY: u64 = 86_400_000_000;
    let days = text.strip_suffix('d').map(|days| (days, DAY));
    let weeks = text.strip_suffix('w').map(|weeks| (weeks, 7 * DAY));
    match days.or(weeks) {
        Some((number, micros)) => number.parse::<u64>().ok()?.checked_mul(micros),
        None => micros(text),
    }
}

/// What follows the `?`, decoded.
fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = query.split('&').take(PARAMETERS_MAX);
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (decoded(name), decoded(&value.replace('+', " "))))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A path and what follows its `?`.
struct Address {
    text: String,
    has_parameters: bool,
}

impl Address {
    fn new(path: &str) -> Self {
        Self {
            text: path.to_owned(),
            has_parameters: false,
        }
    }

    fn add(&mut self, name: &str, value: &str) {
        let before = if self.has_parameters { '&' } else { '?' };
        self.has_parameters = true;
        let value = utf8_percent_encode(value, ESCAPED);
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{before}{name}={value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_where_ours_are() {
        assert_eq!(trace("463ac35c", ""), "/zipkin/traces/463ac35c");
        assert_eq!(
            trace("463ac35c", "uiFind=get+%2Fcart"),
            "/zipkin/traces/463ac35c?q=get%20%2Fcart"
        );
        assert_eq!(trace("1...2", ""), "/zipkin/compare?a=1&b=2");
        assert_eq!(trace("a%0d%0ab", ""), "/zipkin/traces/a%0D%0Ab");
    }

    #[test]
    fn a_search_is_the_same_search() {
        for (jaeger, ours) in [
            ("", ""),
            (
                "service=Shop&operation=GET%20%2Fcart&limit=20",
                "?serviceName=shop&spanName=get%20%2Fcart&limit=20",
            ),
            ("service=shop&operation=all&limit=many", "?serviceName=shop"),
            (
                "tags=%7B%22http.status_code%22%3A500%2C%22error%22%3A%22true%22%7D",
                "?annotationQuery=error%20and%20http.status_code%3D500",
            ),
            ("tag=a:b&tag=c:d:e", "?annotationQuery=a%3Db%20and%20c%3Dd%3Ae"),
            ("tags=not+json", ""),
            (
                "minDuration=1.2s&maxDuration=100ms&maxDuration=x",
                "?minDuration=1200000&maxDuration=100000",
            ),
            ("lookback=1h&start=1&end=2", "?lookback=1h"),
            ("lookback=2w", "?lookback=millis&millis=1209600000"),
            (
                "lookback=custom&start=1732100000000000&end=1732100300000000",
                "?lookback=range&startTs=1732100000000&endTs=1732100300000",
            ),
            ("lookback=custom", ""),
        ] {
            assert_eq!(search(jaeger), format!("/zipkin/{ours}"), "{jaeger}");
        }
    }
}
