//! Whether and where Jaeger's clients are served.

use super::parse;
use super::values::Reader;

/// How Jaeger's clients are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JaegerConfig {
    /// A port for thrift over HTTP; zero is any free one.
    pub(crate) http_port: Option<u16>,
    /// A port for gRPC, which the one port serves always; zero is any free one.
    pub(crate) grpc_port: Option<u16>,
}

/// `None` where they are not served; mistakes are found either way.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<JaegerConfig> {
    let enabled = reader.read("COLLECTOR_JAEGER_ENABLED", parse::boolean);
    let config = JaegerConfig {
        http_port: reader.optional("COLLECTOR_JAEGER_HTTP_PORT", parse::port),
        grpc_port: reader.optional("COLLECTOR_JAEGER_GRPC_PORT", parse::port),
    };
    enabled.then_some(config)
}

#[cfg(test)]
mod tests {
    use super::super::values::read_from;
    use super::*;

    fn load(environment: &[(&str, &str)]) -> Option<JaegerConfig> {
        let (config, mistakes) = read_from(environment, read);
        assert_eq!(mistakes, [""; 0]);
        config
    }

    #[test]
    fn ports_are_opened_only_where_they_are_asked_for() {
        let none = JaegerConfig {
            http_port: None,
            grpc_port: None,
        };
        assert_eq!(load(&[]), Some(none));
        let ports = [
            ("COLLECTOR_JAEGER_HTTP_PORT", "14268"),
            ("COLLECTOR_JAEGER_GRPC_PORT", "14250"),
        ];
        let both = JaegerConfig {
            http_port: Some(14268),
            grpc_port: Some(14250),
        };
        assert_eq!(load(&ports), Some(both));
        assert_eq!(load(&[ports[0], ("COLLECTOR_JAEGER_ENABLED", "false")]), None);
    }
}
