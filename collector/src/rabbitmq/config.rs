//! Where a queue is, and how it is read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

/// What a [`super::RabbitMqCollector`] is told. `Debug` does not show the password.
#[derive(Clone)]
pub struct RabbitMqConfig {
    /// Tried in this order until one answers; at least one.
    pub addresses: Vec<Address>,
    /// Who connects.
    pub user: String,
    /// With what.
    pub password: String,
    /// Where the queue is on the broker.
    pub virtual_host: String,
    /// TLS. The broker's certificate must be one that the system trusts.
    pub tls: bool,
    /// The queue's name. It is declared durable if there is none.
    pub queue: String,
    /// Channels that consume at one time.
    pub consumers: u16,
    /// How long one address may take to answer.
    pub connection_timeout: Duration,
    /// Messages that a channel may hold unanswered: each has all of its bytes in memory.
    pub prefetch: u16,
}

/// A broker's host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address; one of IPv6 without its brackets.
    pub host: String,
    /// `None` is AMQP's own, 5672, and with TLS 5671.
    pub port: Option<u16>,
}

impl FromStr for Address {
    type Err = String;

    /// `host`, `host:port`, `[v6]` or `[v6]:port`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').or((!port.is_empty()).then_some("?"))),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        if host.is_empty() {
            return Err("must be host:port".to_owned());
        }
        let port = match port.map(str::parse) {
            None => None,
            Some(Ok(0)) | Some(Err(_)) => return Err("must end in a port, 1 to 65535".to_owned()),
            Some(Ok(port)) => Some(port),
        };
        let host = host.to_owned();
        Ok(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match port {
            Some(port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Some(port) => write!(f, "{host}:{port}"),
            None => f.write_str(host),
        }
    }
}

impl RabbitMqConfig {
    /// Takes host, port, user, password, virtual host and scheme from a URI, as Zipkin does.
    ///
    /// # Errors
    /// What is wrong with it, without repeating any of it: it may hold a password.
    pub fn apply_uri(&mut self, uri: &str) -> Result<(), String> {
        let uri: AMQPUri = uri
            .parse()
            .map_err(|_| "must be amqp://user:password@host:port/virtual-host".to_owned())?;
        self.addresses = vec![Address {
            host: uri.authority.host,
            port: Some(uri.authority.port),
        }];
        self.user = uri.authority.userinfo.username;
        self.password = uri.authority.userinfo.password;
        self.virtual_host = uri.vhost;
        self.tls = uri.scheme == AMQPScheme::AMQPS;
        Ok(())
    }

    /// How a health check names it, in Zipkin's words.
    pub fn display_name(&self) -> String {
        let addresses: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
        let queue = &self.queue;
        format!(
            "RabbitMQCollector{{addresses=[{}], queue={queue}}}",
            addresses.join(", ")
        )
    }

    /// All of it for one of the addresses.
    pub(super) fn uri(&self, address: &Address) -> AMQPUri {
        let scheme = if self.tls {
            AMQPScheme::AMQPS
        } else {
            AMQPScheme::AMQP
        };
        let timeout_ms = u64::try_from(self.connection_timeout.as_millis()).unwrap_or(u64::MAX);
        AMQPUri {
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.user.clone(),
                    password: self.password.clone(),
                },
                host: address.host.clone(),
                port: address.port.unwrap_or(scheme.default_port()),
            },
            scheme,
            vhost: self.virtual_host.clone(),
            query: AMQPQueryString {
                connection_timeout: Some(timeout_ms),
                ..AMQPQueryString::default()
            },
        }
    }
}

impl fmt::Debug for RabbitMqConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMqConfig")
            .field("addresses", &self.addresses)
            .field("user", &self.user)
            .field("virtual_host", &self.virtual_host)
            .field("tls", &self.tls)
            .field("queue", &self.queue)
            .field("consumers", &self.consumers)
            .field("connection_timeout", &self.connection_timeout)
            .field("prefetch", &self.prefetch)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::rabbitmq) fn config() -> RabbitMqConfig {
        RabbitMqConfig {
            addresses: vec!["a:1".parse().unwrap(), "b".parse().unwrap()],
            user: "guest".to_owned(),
            password: "secret".to_owned(),
            virtual_host: "/".to_owned(),
            tls: false,
            queue: "zipkin".to_owned(),
            consumers: 1,
            connection_timeout: Duration::from_secs(60),
            prefetch: 64,
        }
    }

    #[test]
    fn addresses_are_hosts_with_or_without_a_port() {
        let parse = |text: &str| {
            text.parse::<Address>()
                .map(|address| (address.host, address.port))
        };
        assert_eq!(parse("rabbit"), Ok(("rabbit".to_owned(), None)));
        assert_eq!(parse("rabbit:5673"), Ok(("rabbit".to_owned(), Some(5673))));
        assert_eq!(parse("[::1]"), Ok(("::1".to_owned(), None)));
        assert_eq!(parse("[::1]:5673"), Ok(("::1".to_owned(), Some(5673))));
        for wrong in [
            "",
            ":5672",
            "rabbit:",
            "rabbit:0",
            "rabbit:99999",
            "[::1]x",
            "::1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!("[::1]:5673".parse::<Address>().unwrap().to_string(), "[::1]:5673");
    }

    #[test]
    fn a_port_that_is_not_given_is_that_of_the_scheme() {
        let mut config = config();
        let second = config.addresses[1].clone();
        assert_eq!(config.uri(&second).authority.port, 5672);
        config.tls = true;
        assert_eq!(config.uri(&second).authority.port, 5671);
        assert_eq!(config.uri(&config.addresses[0]).authority.port, 1);
    }

    #[test]
    fn a_uri_replaces_what_it_says() {
        let mut config = config();
        config
            .apply_uri("amqps://u%40:p%2f@broker:1234/spans%2f1")
            .unwrap();
        assert_eq!(
            config.display_name(),
            "RabbitMQCollector{addresses=[broker:1234], queue=zipkin}"
        );
        assert_eq!(
            (
                config.user.as_str(),
                config.password.as_str(),
                config.virtual_host.as_str()
            ),
            ("u@", "p/", "spans/1")
        );
        assert!(config.tls);
        let error = config.apply_uri("http://u:secret@broker").unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn the_password_is_not_shown() {
        let shown = format!("{:?}", config());
        assert!(shown.contains("guest") && !shown.contains("secret"), "{shown}");
    }
}
