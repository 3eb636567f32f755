//! Whether and where OTLP is served, and what becomes of its resources.

use super::parse;
use super::values::Reader;

/// How OTLP is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OtlpConfig {
    /// A port for gRPC, which the one port serves always; zero is any free one.
    pub(crate) grpc_port: Option<u16>,
    /// A port for HTTP, which the one port serves always; zero is any free one.
    pub(crate) http_port: Option<u16>,
    /// Stands before the keys of tags that were attributes of a resource.
    pub(crate) resource_prefix: &'static str,
}

/// `None` where it is not served; mistakes are found either way.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<OtlpConfig> {
    let enabled = reader.read("COLLECTOR_OTLP_ENABLED", parse::boolean);
    let prefix = reader.read("COLLECTOR_OTEL_RESOURCE_ATTRIBUTE_PREFIX", parse::text);
    let config = OtlpConfig {
        grpc_port: reader.optional("COLLECTOR_OTLP_GRPC_PORT", parse::port),
        http_port: reader.optional("COLLECTOR_OTLP_HTTP_PORT", parse::port),
        // Read once, and needed as long as the server runs.
        resource_prefix: String::leak(prefix),
    };
    enabled.then_some(config)
}

#[cfg(test)]
mod tests {
    use super::super::values::read_from;
    use super::*;

    fn load(environment: &[(&str, &str)]) -> Option<OtlpConfig> {
        let (config, mistakes) = read_from(environment, read);
        assert_eq!(mistakes, [""; 0]);
        config
    }

    #[test]
    fn it_is_served_on_the_one_port_unless_it_is_switched_off() {
        let none = OtlpConfig {
            grpc_port: None,
            http_port: None,
            resource_prefix: "",
        };
        assert_eq!(load(&[]), Some(none));
        assert_eq!(load(&[("COLLECTOR_OTLP_ENABLED", "false")]), None);
        assert_eq!(load(&[("COLLECTOR_HTTP_OTEL_ENABLED", "false")]), None);
    }

    #[test]
    fn its_own_ports_and_the_prefix_are_as_they_are_set() {
        let set = [
            ("COLLECTOR_OTLP_GRPC_PORT", "4317"),
            ("COLLECTOR_OTLP_HTTP_PORT", "4318"),
            ("COLLECTOR_OTEL_RESOURCE_ATTRIBUTE_PREFIX", "resource."),
        ];
        let config = OtlpConfig {
            grpc_port: Some(4317),
            http_port: Some(4318),
            resource_prefix: "resource.",
        };
        assert_eq!(load(&set), Some(config));
    }
}
