//! Whether and how spans are read from Kafka.

use collector::kafka::{KafkaConfig, check_property};

use super::parse;
use super::values::Reader;

/// What a property of librdkafka is set by: `KAFKA_OVERRIDES_AUTO_OFFSET_RESET` is `auto.offset.reset`. The second
/// is how Zipkin's property is written as a variable.
const OVERRIDES: [&str; 2] = ["KAFKA_OVERRIDES_", "ZIPKIN_COLLECTOR_KAFKA_OVERRIDES_"];

/// `None` without brokers, or where it is disabled; mistakes are found either way.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<KafkaConfig> {
    let enabled = reader.read("COLLECTOR_KAFKA_ENABLED", parse::boolean);
    let bootstrap_servers = reader.secret("KAFKA_BOOTSTRAP_SERVERS", brokers);
    let topics = reader.read("KAFKA_TOPIC", topics);
    let dead_letter_topic = reader.optional("KAFKA_DEAD_LETTER_TOPIC", topic);
    if dead_letter_topic
        .as_ref()
        .is_some_and(|topic| topics.contains(topic))
    {
        reader.mistake("KAFKA_DEAD_LETTER_TOPIC: must not be a topic that is read (KAFKA_TOPIC)");
    }
    let config = KafkaConfig {
        bootstrap_servers: bootstrap_servers.unwrap_or_default(),
        topics,
        group_id: reader.read("KAFKA_GROUP_ID", parse::text),
        streams: reader.read("KAFKA_STREAMS", streams),
        dead_letter_topic,
        properties: overrides(reader),
    };
    (enabled && !config.bootstrap_servers.is_empty()).then_some(config)
}

fn overrides(reader: &mut Reader<'_>) -> Vec<(String, String)> {
    let mut properties = Vec::new();
    let mut mistakes = Vec::new();
    for (variable, value) in reader.environment() {
        let Some(name) = property(variable).filter(|_| !value.is_empty()) else {
            continue;
        };
        match check_property(&name, value) {
            Ok(()) => properties.push((name, value.clone())),
            Err(error) => mistakes.push(format!("{variable}: {error}")),
        }
    }
    mistakes.iter().for_each(|mistake| reader.mistake(mistake));
    properties
}

/// The property that a variable sets, if it is such a variable. Zipkin's own spelling, with dots, is one too.
fn property(variable: &str) -> Option<String> {
    let plain = variable.to_uppercase().replace(['.', '-'], "_");
    let name = OVERRIDES.iter().find_map(|prefix| plain.strip_prefix(prefix))?;
    Some(name.to_lowercase().replace('_', "."))
}

/// A comma list of `host:port`; what stands before the host would be a secret in the wrong place.
fn brokers(value: &str) -> Result<String, String> {
    const WRONG: &str = "must be a comma list of host:port";
    let brokers = parse::list(value)?;
    for broker in &brokers {
        if broker.contains('@') {
            return Err(format!(
                "{WRONG}; who connects is told by KAFKA_OVERRIDES_SASL_USERNAME and KAFKA_OVERRIDES_SASL_PASSWORD"
            ));
        }
        let port = broker.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if port.is_some_and(|port| port.is_err()) && !broker.ends_with(']') {
            return Err(WRONG.to_owned());
        }
    }
    Ok(brokers.join(","))
}

/// A comma list; blanks around names do not count.
fn topics(value: &str) -> Result<Vec<String>, String> {
    let names = parse::list(value)?;
    if names.is_empty() {
        return Err("must name a topic".to_owned());
    }
    names.iter().map(|name| topic(name)).collect()
}

/// What Kafka takes for the name of a topic.
fn topic(value: &str) -> Result<String, String> {
    const BYTES_MAX: usize = 249;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if value.len() > BYTES_MAX || !value.bytes().all(allowed) {
        return Err(format!(
            "{value} is no name of a topic: letters, digits, '.', '_' and '-', at most {BYTES_MAX}"
        ));
    }
    Ok(value.to_owned())
}

fn streams(value: &str) -> Result<usize, String> {
    /// Each has threads and connections of its own, and more than partitions are idle.
    const STREAMS_MAX: usize = 256;
    match parse::count(value)? {
        streams if streams > STREAMS_MAX => Err(format!("must not be more than {STREAMS_MAX}")),
        streams => Ok(streams),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_properties_in_every_spelling() {
        for variable in [
            "KAFKA_OVERRIDES_AUTO_OFFSET_RESET",
            "ZIPKIN_COLLECTOR_KAFKA_OVERRIDES_AUTO_OFFSET_RESET",
            "zipkin.collector.kafka.overrides.auto.offset.reset",
        ] {
            assert_eq!(
                property(variable).as_deref(),
                Some("auto.offset.reset"),
                "{variable}"
            );
        }
        assert_eq!(property("KAFKA_TOPIC"), None);
    }

    #[test]
    fn brokers_are_hosts_with_ports() {
        assert_eq!(brokers("a:9092, b:9093,c").unwrap(), "a:9092,b:9093,c");
        assert_eq!(brokers("[::1]:9092").unwrap(), "[::1]:9092");
        for wrong in ["kafka:port", "kafka:99999"] {
            assert!(brokers(wrong).is_err(), "{wrong}");
        }
        let error = brokers("user:hush@kafka:9092").unwrap_err();
        assert!(error.contains("KAFKA_OVERRIDES_SASL_PASSWORD") && !error.contains("hush"));
    }

    #[test]
    fn topics_are_trimmed_and_named_as_kafka_names_them() {
        assert_eq!(topics("a, b.c_d-E ,").unwrap(), ["a", "b.c_d-E"]);
        assert!(topics(" , ").is_err());
        for wrong in ["^zipkin.*", "a b", &"a".repeat(250)] {
            assert!(topics(wrong).is_err(), "{wrong}");
        }
    }
}
