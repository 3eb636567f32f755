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
