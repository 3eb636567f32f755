//! Whether and where spans are read from RabbitMQ.

use std::time::Duration;

use collector::rabbitmq::{Address, RabbitMqConfig};

use super::parse;
use super::values::Reader;

/// `None` without an address and without a URI, or where it is disabled; mistakes are found either way.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<RabbitMqConfig> {
    let enabled = reader.read("COLLECTOR_RABBITMQ_ENABLED", parse::boolean);
    let addresses = reader.optional("RABBIT_ADDRESSES", addresses);
    let config = RabbitMqConfig {
        addresses: addresses.unwrap_or_default(),
        user: reader.read("RABBIT_USER", parse::text),
        password: reader.read("RABBIT_PASSWORD", parse::text),
        virtual_host: reader.read("RABBIT_VIRTUAL_HOST", parse::text),
        tls: reader.read("RABBIT_USE_SSL", parse::boolean),
        queue: reader.read("RABBIT_QUEUE", parse::text),
        consumers: reader.read("RABBIT_CONCURRENCY", small_count),
        connection_timeout: reader.read("RABBIT_CONNECTION_TIMEOUT", milliseconds),
        prefetch: reader.read("RABBIT_PREFETCH", small_count),
    };
    let config = with_uri(reader, config);
    (enabled && !config.addresses.is_empty()).then_some(config)
}

/// A URI says everything that it can say, as in Zipkin.
fn with_uri(reader: &mut Reader<'_>, config: RabbitMqConfig) -> RabbitMqConfig {
    let given = reader.secret("RABBIT_URI", |uri| {
        let mut config = config.clone();
        config.apply_uri(uri)?;
        Ok(config)
    });
    given.unwrap_or(config)
}

fn addresses(value: &str) -> Result<Vec<Address>, String> {
    parse::list(value)?
        .iter()
        .map(|address| address.parse())
        .collect()
}

fn small_count(value: &str) -> Result<u16, String> {
    let count = parse::small_count(value)?;
    u16::try_from(count).map_err(|_| "must be less than 65536".to_owned())
}

/// A bare number is milliseconds, as Zipkin reads this setting.
fn milliseconds(value: &str) -> Result<Duration, String> {
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        parse::duration(&format!("{value}ms"))
    } else {
        parse::duration(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::read_from;
    use super::*;

    fn load(environment: &[(&str, &str)]) -> (Option<RabbitMqConfig>, Vec<String>) {
        read_from(environment, read)
    }

    #[test]
    fn it_is_read_where_there_is_an_address() {
        assert!(load(&[]).0.is_none());
        let addresses = ("RABBIT_ADDRESSES", "a:1, b");
        let config = load(&[addresses]).0.unwrap();
        assert_eq!(
            config.display_name(),
            "RabbitMQCollector{addresses=[a:1, b], queue=zipkin}"
        );
        assert_eq!(
            (config.user.as_str(), config.password.as_str()),
            ("guest", "guest")
        );
        assert_eq!((config.virtual_host.as_str(), config.tls), ("/", false));
        assert_eq!((config.consumers, config.prefetch), (1, 64));
        assert_eq!(config.connection_timeout, Duration::from_secs(60));
        assert!(
            load(&[addresses, ("COLLECTOR_RABBITMQ_ENABLED", "false")])
                .0
                .is_none()
        );
    }

    #[test]
    fn everything_can_be_said_as_in_zipkin() {
        let (config, mistakes) = load(&[
            ("RABBIT_ADDRESSES", "a"),
            ("RABBIT_USER", "u"),
            ("RABBIT_PASSWORD", "p"),
            ("RABBIT_VIRTUAL_HOST", "v"),
            ("RABBIT_QUEUE", "q"),
            ("RABBIT_USE_SSL", "true"),
            ("RABBIT_CONCURRENCY", "3"),
            ("RABBIT_CONNECTION_TIMEOUT", "1500"),
        ]);
        assert_eq!(mistakes, [""; 0]);
        let config = config.unwrap();
        assert_eq!((config.user.as_str(), config.password.as_str()), ("u", "p"));
        assert_eq!((config.virtual_host.as_str(), config.queue.as_str()), ("v", "q"));
        assert_eq!((config.tls, config.consumers), (true, 3));
        assert_eq!(config.connection_timeout, Duration::from_millis(1500));
    }

    #[test]
    fn a_uri_wins_and_its_mistakes_are_not_repeated() {
        let uri = ("RABBIT_URI", "amqp://u:p@broker:1/v");
        let config = load(&[("RABBIT_ADDRESSES", "a"), uri]).0.unwrap();
        assert_eq!(
            config.display_name(),
            "RabbitMQCollector{addresses=[broker:1], queue=zipkin}"
        );
        let (_, mistakes) = load(&[("RABBIT_URI", "broker:secret"), ("RABBIT_ADDRESSES", "a:0")]);
        assert_eq!(mistakes.len(), 2);
        assert!(
            mistakes.iter().all(|mistake| !mistake.contains("secret")),
            "{mistakes:?}"
        );
    }
}
