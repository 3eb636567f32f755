//! From a URL's query to a question that is valid: Zipkin's parameters, defaults and error texts
//! (`zipkin.md` 2.2, 2.3).
//!
//! Nothing is trimmed, a parameter given twice counts once (its first value), and unknown parameters are
//! ignored, all as in Zipkin. `q`, `sort`, `after` and `latency` are ours.

use std::borrow::Cow;
use std::collections::HashSet;

use model::{SpanId, TraceId};
use percent_encoding::percent_decode;
use storage::{DependencyQuery, Order, QueryError, TracePosition, TraceQuery, TraceQueryBuilder};

use crate::QueryConfig;
use crate::answer::Failure;

/// Parameters beyond this many are not read, as in Zipkin's server.
const PARAMETERS_MAX: usize = 1024;

/// `traceIds` is split at its first commas only, as in Zipkin; what is left over is no identifier.
const TRACE_IDS_MAX: usize = 1000;

const LIMIT_DEFAULT: i64 = 10;

/// The parameters of one request, decoded.
#[derive(Debug)]
pub(crate) struct Params<'a> {
    /// As they came.
    text: &'a str,
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Params<'a> {
    /// Reads what follows the `?` of a URL. A parameter without `=` has the empty value.
    pub(crate) fn parse(query: Option<&'a str>) -> Self {
        let text = query.unwrap_or_default();
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .take(PARAMETERS_MAX)
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode_parameter(name), decode_parameter(value))
            })
            .collect();
        Self { text, pairs }
    }

    /// The same question, but for `after`: what a URL of the same path has behind its `?`.
    pub(crate) fn with_after(&self, after: TracePosition) -> String {
        let is_other = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some("after");
        let mut pairs: Vec<&str> = self.text.split('&').filter(is_other).collect();
        let after = format!("after={}", after.to_text());
        pairs.push(&after);
        pairs.join("&")
    }

    /// The first value of a parameter, which may be empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.0 == name).map(|pair| &*pair.1)
    }

    /// As [`Params::get`], for a parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| {
            Failure::Invalid(format!("Mandatory parameter/header/attribute is missing: {name}"))
        })
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn long(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.get(name)
            .filter(|text| !text.is_empty())
            .map(parse_long)
            .transpose()
    }

    /// As [`Params::get`], for a number that an empty text cannot stand for.
    fn filled(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.get(name) {
            Some("") => Err(Failure::Invalid(format!(
                "Cannot set null to primitive type parameter: {name}"
            ))),
            found => Ok(found),
        }
    }
}

/// `+` is a space, then percent escapes are bytes of UTF-8. A broken escape is itself, broken UTF-8 is U+FFFD.
fn decode_parameter(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        Cow::Owned(percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned())
    } else {
        percent_decode(text.as_bytes()).decode_utf8_lossy()
    }
}

fn not_a_number(text: &str) -> Failure {
    Failure::Invalid(format!("For input string: \"{text}\""))
}

/// A signed 64-bit decimal, as Java reads a `long`: an optional sign, then digits only.
fn parse_long(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| not_a_number(text))
}

/// A search: parameters are read in Zipkin's order, so that the first mistake is the one reported.
pub(crate) fn trace_query(params: &Params<'_>, config: &QueryConfig) -> Result<TraceQuery, Failure> {
    let min_duration = params.long("minDuration")?;
    let max_duration = params.long("maxDuration")?;
    let end_ts = params.long("endTs")?;
    let lookback = params.long("lookback")?;
    let builder = TraceQueryBuilder {
        service_name: params.text("serviceName"),
        remote_service_name: params.text("remoteServiceName"),
        span_name: params.text("spanName"),
        annotation_query: params.text("annotationQuery"),
        text: params.text("q"),
        min_duration,
        max_duration,
        end_ts: end_ts.unwrap_or_else(|| saturating_long((config.now)())),
        lookback: lookback.unwrap_or_else(|| saturating_long(config.lookback_ms)),
        limit: limit(params)?,
        order: order(params)?,
        after: after(params)?,
    };
    Ok(builder.build()?)
}

/// The page of `/traces/untimed`: the trace it comes after, the first without one, and how many traces it may have.
pub(crate) fn untimed_page(params: &Params<'_>) -> Result<(Option<TraceId>, usize), Failure> {
    let after = params.get("after").filter(|text| !text.is_empty());
    let after = after.map(TraceId::parse).transpose()?;
    match limit(params)? {
        limit @ 1.. => Ok((after, limit as usize)),
        _ => Err(QueryError::NotPositive("limit").into()),
    }
}

/// The window of `/dependencies`, whose end must be given.
pub(crate) fn dependency_query(
    params: &Params<'_>,
    config: &QueryConfig,
) -> Result<DependencyQuery, Failure> {
    params.filled("endTs")?;
    let end_ts = parse_long(params.required("endTs")?)?;
    let lookback = params
        .long("lookback")?
        .unwrap_or_else(|| saturating_long(config.lookback_ms));
    Ok(DependencyQuery::new(end_ts, lookback)?)
}

/// Whether something of ours is asked for.
pub(crate) fn flag(params: &Params<'_>, name: &str) -> Result<bool, Failure> {
    match params.get(name) {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Failure::Invalid(format!(
            "{name} is true or false, not \"{other}\""
        ))),
    }
}

/// The identifiers of `/traceMany`: two or more, distinct.
pub(crate) fn trace_ids(text: &str) -> Result<Vec<TraceId>, Failure> {
    if text.is_empty() {
        return Err(Failure::Invalid("traceIds parameter is empty".to_owned()));
    }
    let mut seen = HashSet::new();
    let mut trace_ids = Vec::new();
    for part in text.splitn(TRACE_IDS_MAX, ',') {
        let trace_id = TraceId::parse(part)?;
        if !seen.insert(trace_id) {
            return Err(Failure::Invalid(format!("redundant traceId: {part}")));
        }
        trace_ids.push(trace_id);
    }
    if trace_ids.len() == 1 {
        let message = "Use /api/v2/trace/{traceId} endpoint to retrieve a single trace";
        return Err(Failure::Invalid(message.to_owned()));
    }
    Ok(trace_ids)
}

/// The identifier at the end of `/trace/{id}`, still escaped: the one thing that is trimmed, of everything up to
/// the space character, as Java does.
pub(crate) fn trace_id(escaped: &str) -> Result<TraceId, Failure> {
    let text = percent_decode(escaped.as_bytes()).decode_utf8_lossy();
    Ok(TraceId::parse(text.trim_matches(|character| character <= ' '))?)
}

/// The identifier of a span at the end of a path, still escaped.
pub(crate) fn span_id(escaped: &str) -> Result<SpanId, Failure> {
    let text = percent_decode(escaped.as_bytes()).decode_utf8_lossy();
    let text = text.trim_matches(|character| character <= ' ');
    Ok(SpanId::parse(text, "spanId")?)
}

/// Zipkin's limit is a 32-bit number without another maximum.
fn limit(params: &Params<'_>) -> Result<i64, Failure> {
    match params.filled("limit")? {
        None => Ok(LIMIT_DEFAULT),
        Some(text) => text.parse::<i32>().map(i64::from).map_err(|_| not_a_number(text)),
    }
}

fn order(params: &Params<'_>) -> Result<Order, Failure> {
    match params.get("sort") {
        None | Some("newest") => Ok(Order::Newest),
        Some("slowest") => Ok(Order::Slowest),
        Some("errors") => Ok(Order::Errors),
        Some(other) => Err(Failure::Invalid(format!(
            "sort is newest, slowest or errors, not \"{other}\""
        ))),
    }
}

/// Where the page before ended.
fn after(params: &Params<'_>) -> Result<Option<TracePosition>, Failure> {
    let text = params.get("after").filter(|text| !text.is_empty());
    text.map(TracePosition::parse)
        .transpose()
        .map_err(|error| Failure::Invalid(format!("after: {error}")))
}

fn saturating_long(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn config() -> QueryConfig {
        QueryConfig::new(Arc::new(|| 1_700_000_000_000))
    }

    fn search(query: &str) -> Result<TraceQuery, String> {
        trace_query(&Params::parse(Some(query)), &config()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn decodes_as_a_form() {
        let params = Params::parse(Some(
            "a=1+2%2B3&a=second&%E6%9C%8D=%E5%8A%A1&bare&x=b%3Dc=d&&bad=100%&broken=%ff",
        ));
        assert_eq!(params.get("a"), Some("1 2+3"));
        assert_eq!(params.get("服"), Some("务"));
        assert_eq!(params.get("bare"), Some(""));
        assert_eq!(params.get("x"), Some("b=c=d"));
        assert_eq!(params.get("bad"), Some("100%"));
        assert_eq!(params.get("broken"), Some("\u{fffd}"));
        assert_eq!(params.get("A"), None);
    }

    #[test]
    fn reads_no_more_parameters_than_the_maximum() {
        let query: String = (0..=PARAMETERS_MAX).map(|index| format!("p{index}=&")).collect();
        let params = Params::parse(Some(&query));
        assert!(params.get(&format!("p{}", PARAMETERS_MAX - 1)).is_some());
        assert!(params.get(&format!("p{PARAMETERS_MAX}")).is_none());
    }

    #[test]
    fn a_search_without_parameters_has_zipkins_defaults() {
        let query = search("").unwrap();
        assert_eq!(query.window(), (1_699_913_600_000_000, 1_700_000_000_000_000));
        assert_eq!((query.limit(), query.order()), (10, Order::Newest));
        assert_eq!(
            (
                query.service_name(),
                query.span_name(),
                query.remote_service_name()
            ),
            (None, None, None)
        );
    }

    #[test]
    fn a_search_takes_every_parameter() {
        let query = search(
            "serviceName=Web&remoteServiceName=db&spanName=GET+/&annotationQuery=error%20and%20a=b\
             &minDuration=5&maxDuration=%2B6&endTs=2000&lookback=500&limit=2147483647&sort=errors",
        )
        .unwrap();
        assert_eq!(query.service_name(), Some("web"));
        assert_eq!(query.remote_service_name(), Some("db"));
        assert_eq!(query.span_name(), Some("get /"));
        let conditions = [
            ("error".to_owned(), String::new()),
            ("a".to_owned(), "b".to_owned()),
        ];
        assert_eq!(query.annotation_query().conditions(), conditions);
        assert_eq!((query.min_duration(), query.max_duration()), (Some(5), Some(6)));
        assert_eq!(query.window(), (1_500_000, 2_000_000));
        assert_eq!((query.limit(), query.order()), (2_147_483_647, Order::Errors));
    }

    #[test]
    fn a_text_that_is_not_understood_is_refused_with_the_place() {
        let query = search("q=timeo*+%22connection+refused%22").unwrap();
        assert_eq!(query.text().parts().len(), 2);
        assert_eq!(search("q=").unwrap().text().parts().len(), 0);
        assert_eq!(
            search("q=a+%22b").unwrap_err(),
            "q, character 3: the quote that opens here is not closed"
        );
    }

    #[test]
    fn a_page_begins_after_the_one_before() {
        assert_eq!(search("after=").unwrap().after(), None);
        let after = TracePosition::parse("5-6-a").unwrap();
        assert_eq!(search("after=5-6-a").unwrap().after(), Some(after));
        let error = search("after=5-6").unwrap_err();
        assert_eq!(
            error,
            "after: \"5-6\" is not what a page of traces gave for the next one"
        );
        let params = Params::parse(Some("a=%20b&after=1-2-3&&after&afterwards=1&q=+x"));
        assert_eq!(
            params.with_after(after),
            "a=%20b&afterwards=1&q=+x&after=5-6-000000000000000a"
        );
    }

    #[test]
    fn a_flag_is_true_or_false() {
        let read =
            |query| flag(&Params::parse(Some(query)), "latency").map_err(|failure| failure.to_string());
        assert_eq!(read("a=b"), Ok(false));
        assert_eq!(read("latency"), Ok(false));
        assert_eq!(read("latency=false"), Ok(false));
        assert_eq!(read("latency=true"), Ok(true));
        let error = read("latency=1").unwrap_err();
        assert_eq!(error, "latency is true or false, not \"1\"");
    }

    #[test]
    fn an_empty_number_is_absent_unless_zipkin_cannot_do_without() {
        let query = search("minDuration=&maxDuration=&endTs=&lookback").unwrap();
        assert_eq!((query.min_duration(), query.max_duration()), (None, None));
        assert_eq!(query.window(), search("").unwrap().window());
        let missing = |name| format!("Cannot set null to primitive type parameter: {name}");
        assert_eq!(search("limit=").unwrap_err(), missing("limit"));
        let dependencies = dependency_query(&Params::parse(Some("endTs=")), &config());
        assert_eq!(dependencies.unwrap_err().to_string(), missing("endTs"));
    }

    #[test]
    fn names_are_not_trimmed() {
        let query = search("serviceName=%20web+&remoteServiceName=+db&spanName=get+").unwrap();
        assert_eq!(query.service_name(), Some(" web "));
        assert_eq!(
            (query.remote_service_name(), query.span_name()),
            (Some(" db"), Some("get "))
        );
    }

    #[test]
    fn only_the_identifier_in_a_path_is_trimmed() {
        assert_eq!(trace_id("%20%09a%20").unwrap().to_string(), "000000000000000a");
        assert_eq!(
            trace_id("+a").unwrap_err().to_string(),
            "+a should be lower-hex encoded with no prefix"
        );
        let error = trace_ids("1, 2").unwrap_err().to_string();
        assert_eq!(error, " 2 should be lower-hex encoded with no prefix");
    }

    #[test]
    fn the_thousandth_identifier_is_the_last() {
        let ids = |count: u32| {
            (1..=count)
                .map(|id| format!("{id:x}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        assert_eq!(trace_ids(&ids(1000)).unwrap().len(), 1000);
        assert!(trace_ids(&ids(1001)).is_err());
    }
}
