//! Zipkin's settings that this version does not act on: those that would lose spans or surprise stop the start,
//! the others are named in one warning.

use super::parse;
use super::values::is_same_name;

/// A setting that must not be passed over in silence.
struct Refused {
    name: &'static str,
    when: When,
    reason: &'static str,
}

/// When it asks for something.
enum When {
    /// It is set, unless this switch is off.
    SetUnless(&'static str),
    /// It says yes.
    True,
}

#[rustfmt::skip]
const REFUSED: &[Refused] = &[
    #[cfg(not(feature = "kafka"))]
    refused("KAFKA_BOOTSTRAP_SERVERS", When::SetUnless("COLLECTOR_KAFKA_ENABLED"), "this server was built without Kafka: spans sent there would not be seen"),
    #[cfg(not(feature = "rabbitmq"))]
    refused("RABBIT_ADDRESSES", When::SetUnless("COLLECTOR_RABBITMQ_ENABLED"), "this server was built without RabbitMQ: spans sent there would not be seen"),
    #[cfg(not(feature = "rabbitmq"))]
    refused("RABBIT_URI", When::SetUnless("COLLECTOR_RABBITMQ_ENABLED"), "this server was built without RabbitMQ: spans sent there would not be seen"),
    refused("ACTIVEMQ_URL", When::SetUnless("COLLECTOR_ACTIVEMQ_ENABLED"), "spans are not read from ActiveMQ: those sent there would not be seen"),
    refused("PULSAR_SERVICE_URL", When::SetUnless("COLLECTOR_PULSAR_ENABLED"), "spans are not read from Pulsar: those sent there would not be seen"),
    refused("STORAGE_THROTTLE_ENABLED", When::True, "there is no such throttle: too much is refused with 503, bounded by COLLECTOR_REQUESTS_IN_FLIGHT_MAX and COLLECTOR_BYTES_IN_FLIGHT_MAX"),
    refused("EUREKA_SERVICE_URL", When::SetUnless("DISCOVERY_EUREKA_ENABLED"), "the server does not register with Eureka: clients would not find it"),
    refused("ARMERIA_SSL_ENABLED", When::True, "set TLS_CERT_FILE and TLS_KEY_FILE, files in PEM, to serve TLS"),
];

const fn refused(name: &'static str, when: When, reason: &'static str) -> Refused {
    Refused { name, when, reason }
}

/// No effect here: they belong to another storage or transport, to Java, or to nothing even in Zipkin.
#[rustfmt::skip]
const IGNORED: &[&str] = &[
    "JAVA_OPTS", "QUERY_LOG_LEVEL", "QUERY_NAMES_MAX_AGE", "AUTOCOMPLETE_TTL", "ZIPKIN_UI_INSTRUMENTED",
    "ACTIVEMQ_QUEUE", "ACTIVEMQ_CONCURRENCY", "ACTIVEMQ_USERNAME", "ACTIVEMQ_PASSWORD",
    "PULSAR_TOPIC", "PULSAR_SUBSCRIPTION_NAME", "PULSAR_CONCURRENCY",
    "STORAGE_THROTTLE_MIN_CONCURRENCY", "STORAGE_THROTTLE_MAX_CONCURRENCY", "STORAGE_THROTTLE_MAX_QUEUE_SIZE",
    "CASSANDRA_INDEX_FETCH_MULTIPLIER", "CASSANDRA_INDEX_CACHE_MAX", "CASSANDRA_INDEX_CACHE_TTL",
    "ES_HTTP_LOGGING", "ES_MAX_REQUESTS",
    "EUREKA_APP_NAME", "EUREKA_INSTANCE_ID", "EUREKA_HOSTNAME",
];

/// What was found of both kinds.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Whole messages.
    pub(super) refused: Vec<String>,
    /// Names.
    pub(super) ignored: Vec<String>,
}

/// Looks for both in the environment. An empty variable is none.
pub(super) fn find(environment: &[(String, String)]) -> Findings {
    let value_of = |name: &str| {
        let variable = environment
            .iter()
            .find(|variable| is_same_name(&variable.0, name));
        variable
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    let asks = |rule: &Refused, value: &str| match rule.when {
        When::SetUnless(switch) => value_of(switch).is_none_or(|switch| parse::boolean(switch) != Ok(false)),
        When::True => parse::boolean(value) == Ok(true),
    };
    let refused = REFUSED.iter().filter_map(|rule| {
        let value = value_of(rule.name).filter(|value| asks(rule, value))?;
        // Addresses may carry passwords: only switches are shown with their value.
        let shown = if matches!(rule.when, When::True) {
            format!("={value}")
        } else {
            String::new()
        };
        Some(format!("{}{shown}: {}", rule.name, rule.reason))
    });
    let ignored = IGNORED.iter().filter(|name| value_of(name).is_some());
    Findings {
        refused: refused.collect(),
        ignored: ignored.map(|name| (*name).to_owned()).collect(),
    }
}
