//! What the consumers are told: our few settings, and any property of librdkafka.

use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

/// What the Kafka collector is told. Names and defaults of the settings are Zipkin's (`zipkin.md` 7.2).
#[derive(Clone)]
pub struct KafkaConfig {
    /// `host:port`, a comma list.
    pub bootstrap_servers: String,
    /// Whose messages are read.
    pub topics: Vec<String>,
    /// Members of one group share the partitions.
    pub group_id: String,
    /// How many consumers there are, each with a connection to every broker.
    pub streams: usize,
    /// Where messages go that can never be stored; without it they are counted and left where they are.
    pub dead_letter_topic: Option<String>,
    /// Properties of librdkafka, each accepted by [`check_property`].
    pub properties: Vec<(String, String)>,
}

/// Values may be secrets.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("KafkaConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("topics", &self.topics)
            .field("group_id", &self.group_id)
            .field("streams", &self.streams)
            .field("dead_letter_topic", &self.dead_letter_topic)
            .field("properties", &names)
            .finish()
    }
}

/// How often librdkafka tells how its connections and partitions are.
const STATISTICS_INTERVAL_MS: &str = "2000";

/// What may be overridden. librdkafka's own defaults hold for everything else.
const DEFAULTS: [(&str, &str); 8] = [
    ("client.id", "tracehound"),
    ("auto.offset.reset", "earliest"),
    // Members keep what they have while others come and go.
    ("partition.assignment.strategy", "cooperative-sticky"),
    // Read ahead for each consumer, in memory; librdkafka's own 64 MiB are no faster.
    ("queued.max.messages.kbytes", "16384"),
    // Once it is full, reading goes on as soon as there is room. librdkafka's own second is longer than it takes to
    // store what was read ahead: the store then waits for the broker, and a third of what could be read is not.
    ("fetch.queue.backoff.ms", "20"),
    // A broker that comes back is met within seconds.
    ("reconnect.backoff.max.ms", "2000"),
    // So are topics and partitions that are new.
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("socket.keepalive.enable", "true"),
];

/// What the promise rests on, or a setting of its own, and why it cannot be overridden.
const FIXED: [(&str, Option<&str>, &str); 9] = [
    ("bootstrap.servers", None, "KAFKA_BOOTSTRAP_SERVERS sets it"),
    ("metadata.broker.list", None, "KAFKA_BOOTSTRAP_SERVERS sets it"),
    ("group.id", None, "KAFKA_GROUP_ID sets it"),
    (
        "enable.auto.commit",
        Some("false"),
        "offsets are committed when the spans are stored, never before",
    ),
    (
        "auto.commit.interval.ms",
        None,
        "offsets are committed every second, when the spans are stored",
    ),
    (
        "enable.auto.offset.store",
        Some("false"),
        "offsets are committed when the spans are stored, never before",
    ),
    // KIP-848 in librdkafka before 2.15 stalls and fails to commit.
    (
        "group.protocol",
        Some("classic"),
        "the new protocol stalls with this release of librdkafka",
    ),
    (
        "statistics.interval.ms",
        Some(STATISTICS_INTERVAL_MS),
        "health and lag are read from the statistics",
    ),
    (
        "enable.partition.eof",
        Some("false"),
        "the end of a partition is no message",
    ),
];

/// What Java's client knows and librdkafka does not, and what to write instead.
#[rustfmt::skip]
const JAVA_ONLY: [(&str, &str); 27] = [
    ("ssl.truststore.location", "set ssl.ca.location to the certificates as PEM"),
    ("ssl.truststore.password", "set ssl.ca.location to the certificates as PEM, which need no password"),
    ("ssl.truststore.type", "set ssl.ca.location to the certificates as PEM"),
    ("ssl.truststore.certificates", "it is ssl.ca.pem"),
    ("ssl.keystore.type", "ssl.keystore.location is PKCS#12; for PEM set ssl.certificate.location and ssl.key.location"),
    ("ssl.keystore.key", "it is ssl.key.pem"),
    ("ssl.keystore.certificate.chain", "it is ssl.certificate.pem"),
    ("ssl.protocol", "the newest version of TLS that both sides know is used"),
    ("ssl.enabled.protocols", "the newest version of TLS that both sides know is used"),
    ("ssl.provider", "TLS is OpenSSL's"),
    ("ssl.trustmanager.algorithm", "TLS is OpenSSL's"),
    ("ssl.keymanager.algorithm", "TLS is OpenSSL's"),
    ("sasl.jaas.config", "set sasl.mechanisms, sasl.username and sasl.password"),
    ("sasl.client.callback.handler.class", "set sasl.mechanisms, sasl.username and sasl.password"),
    ("sasl.login.callback.handler.class", "set sasl.mechanisms, sasl.username and sasl.password"),
    ("sasl.login.class", "set sasl.mechanisms, sasl.username and sasl.password"),
    ("key.deserializer", "keys are not read: leave it out"),
    ("value.deserializer", "values are bytes: leave it out"),
    ("max.poll.records", "COLLECTOR_REQUESTS_IN_FLIGHT_MAX and COLLECTOR_BYTES_IN_FLIGHT_MAX bound what is taken at one time"),
    ("fetch.max.wait.ms", "it is fetch.wait.max.ms"),
    ("request.timeout.ms", "it is socket.timeout.ms"),
    ("default.api.timeout.ms", "it is socket.timeout.ms"),
    ("receive.buffer.bytes", "it is socket.receive.buffer.bytes"),
    ("send.buffer.bytes", "it is socket.send.buffer.bytes"),
    ("interceptor.classes", "there are no classes to load: leave it out"),
    ("metric.reporters", "figures are at /prometheus: leave it out"),
    ("exclude.internal.topics", "topics are named, not matched: leave it out"),
];

/// Checks one property of librdkafka, by what this collector needs and by librdkafka's own rules.
///
/// # Errors
/// Why it cannot be set, and what to set instead where there is something; librdkafka's words for what is wrong
/// with a name or a value. Never the value of what may be a secret.
pub fn check_property(name: &str, value: &str) -> Result<(), String> {
    if let Some((_, advice)) = JAVA_ONLY.iter().find(|(java, _)| *java == name) {
        return Err(format!("{name} is a property of Java's client: {advice}"));
    }
    if let Some((_, kept, reason)) = FIXED.iter().find(|(fixed, _, _)| *fixed == name) {
        return match kept {
            Some(kept) if *kept == value => Ok(()),
            _ => Err(format!("{name} cannot be overridden: {reason}")),
        };
    }
    let mut config = ClientConfig::new();
    config.set(name, value);
    match config.create_native_config() {
        Ok(_) => Ok(()),
        Err(error) => Err(words(&error, value, is_secret(name))),
    }
}

/// librdkafka's words, without the value of a secret.
fn words(error: &KafkaError, value: &str, secret: bool) -> String {
    let words = match error {
        KafkaError::ClientConfig(_, words, ..) => words.clone(),
        // A value with a zero byte.
        other => other.to_string(),
    };
    if secret {
        words.replace(value, "…")
    } else {
        words
    }
}

fn is_secret(name: &str) -> bool {
    ["password", "secret", "pem", "jaas", "oauthbearer", "key"]
        .iter()
        .any(|part| name.contains(part))
}

impl KafkaConfig {
    /// For a consumer of the group.
    pub(super) fn consumer(&self) -> ClientConfig {
        let mut client = self.client();
        client.set("group.id", &self.group_id);
        for (name, value, _) in FIXED {
            if let Some(value) = value {
                client.set(name, value);
            }
        }
        client
    }

    /// For the producer of dead letters: what is set for consumers too, but for what only they know.
    pub(super) fn producer(&self) -> ClientConfig {
        /// What was read is also to be written, whatever its length; the broker has the last word.
        const MESSAGE_BYTES_MAX: &str = "1000000000";
        let mut client = self.client();
        client
            .set("acks", "all")
            .set("compression.type", "zstd")
            .set("message.max.bytes", MESSAGE_BYTES_MAX)
            .set("message.timeout.ms", "30000");
        client
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set_log_level(log_level());
        client.set("bootstrap.servers", &self.bootstrap_servers);
        for (name, value) in DEFAULTS {
            client.set(name, value);
        }
        for (name, value) in &self.properties {
            client.set(name, value);
        }
        let tls = client
            .get("security.protocol")
            .is_some_and(|protocol| protocol.to_lowercase().contains("ssl"));
        if tls && client.get("ssl.ca.location").is_none() && client.get("ssl.ca.pem").is_none() {
            // Wherever the system has its certificates; the OpenSSL that is compiled in does not know.
            client.set("ssl.ca.location", "probe");
        }
        client
    }
}

/// What nobody will see need not be written.
fn log_level() -> RDKafkaLogLevel {
    if tracing::enabled!(target: "librdkafka", tracing::Level::DEBUG) {
        RDKafkaLogLevel::Debug
    } else {
        RDKafkaLogLevel::Warning
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(properties: &[(&str, &str)]) -> KafkaConfig {
        KafkaConfig {
            bootstrap_servers: "localhost:9092".to_owned(),
            topics: vec!["zipkin".to_owned()],
            group_id: "zipkin".to_owned(),
            streams: 1,
            dead_letter_topic: None,
            properties: properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn any_property_of_librdkafka_may_be_set() {
        for (name, value) in [
            ("auto.offset.reset", "latest"),
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanisms", "SCRAM-SHA-512"),
            ("sasl.username", "tracehound"),
            ("sasl.password", "hush"),
            ("ssl.ca.location", "/etc/ssl/kafka.pem"),
            ("enable.auto.commit", "false"),
        ] {
            assert_eq!(check_property(name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_librdkafka_refuses_is_told_in_its_words() {
        let unknown = check_property("no.such.property", "1").unwrap_err();
        assert_eq!(unknown, "No such configuration property: \"no.such.property\"");
        let wrong = check_property("security.protocol", "carrier-pigeon").unwrap_err();
        assert!(
            wrong.contains("carrier-pigeon") && wrong.contains("security.protocol"),
            "{wrong}"
        );
    }

    #[test]
    fn what_the_promise_rests_on_is_not_overridden() {
        for (name, value) in [
            ("enable.auto.commit", "true"),
            ("enable.auto.offset.store", "true"),
            ("group.protocol", "consumer"),
            ("group.id", "another"),
        ] {
            let error = check_property(name, value).unwrap_err();
            assert!(
                error.starts_with(&format!("{name} cannot be overridden: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_property_of_java_is_answered_with_librdkafkas() {
        for (java, ours) in [
            ("ssl.truststore.location", "ssl.ca.location"),
            ("sasl.jaas.config", "sasl.password"),
            ("fetch.max.wait.ms", "fetch.wait.max.ms"),
        ] {
            let error = check_property(java, "hush-hush").unwrap_err();
            assert!(error.contains(ours) && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let error = KafkaError::ClientCreation("cannot read hush".to_owned());
        assert!(!words(&error, "hush", is_secret("ssl.key.pem")).contains("hush"));
        let shown = format!("{:?}", config(&[("sasl.password", "hush")]));
        assert!(
            shown.contains("sasl.password") && !shown.contains("hush"),
            "{shown}"
        );
    }

    #[test]
    fn overrides_win_over_our_defaults_but_not_over_what_is_fixed() {
        let consumer = config(&[("auto.offset.reset", "latest"), ("enable.auto.commit", "true")]).consumer();
        assert_eq!(consumer.get("auto.offset.reset"), Some("latest"));
        assert_eq!(consumer.get("enable.auto.commit"), Some("false"));
        assert_eq!(
            config(&[]).consumer().get("partition.assignment.strategy"),
            Some("cooperative-sticky")
        );
    }

    #[test]
    fn the_certificates_of_the_system_are_looked_for_unless_others_are_named() {
        let location = |properties: &[(&str, &str)]| {
            config(properties)
                .consumer()
                .get("ssl.ca.location")
                .map(str::to_owned)
        };
        assert_eq!(location(&[]), None);
        assert_eq!(
            location(&[("security.protocol", "SASL_SSL")]).as_deref(),
            Some("probe")
        );
        let named = [("security.protocol", "ssl"), ("ssl.ca.location", "/ca.pem")];
        assert_eq!(location(&named).as_deref(), Some("/ca.pem"));
        assert_eq!(
            location(&[("security.protocol", "ssl"), ("ssl.ca.pem", "…")]),
            None
        );
    }

    #[test]
    fn our_own_properties_are_valid() {
        let config = config(&[]);
        for client in [config.consumer(), config.producer()] {
            assert_eq!(client.create_native_config().err(), None);
        }
    }
}
