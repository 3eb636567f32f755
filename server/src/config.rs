//! What the server is told by its environment and its command line. The only reader of `std::env`.
//!
//! [`settings`] is the table of everything that can be set, under Zipkin's names where Zipkin has one
//! (`zipkin.md` 3); every row is a variable and a flag. [`values`] finds what each row is set to and where;
//! [`Config`] is the typed result. Every mistake is found before any is reported.

mod analysis;
#[cfg(feature = "cassandra")]
mod cassandra;
mod commands;
mod demo;
#[cfg(feature = "elasticsearch")]
mod elasticsearch;
mod jaeger;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "mysql")]
mod mysql;
mod otlp;
mod parse;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
mod scribe;
mod self_tracing;
mod settings;
mod tls;
mod unsupported;
mod values;
mod watching;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use collector::{Limits, Sampler};
use storage::StoreOptions;
use storage_journal::SyncPolicy;

use crate::demo::DemoConfig;
use crate::deploy::DeployConfig;
use crate::doctor::DoctorConfig;
use crate::export::ExportConfig;
use crate::gate::GateConfig;
use crate::import::ImportConfig;
pub(crate) use commands::encoded;
pub(crate) use jaeger::JaegerConfig;
pub(crate) use otlp::OtlpConfig;
pub(crate) use scribe::ScribeConfig;
pub(crate) use self_tracing::{SelfSampling, SelfTracingConfig};
pub(crate) use tls::TlsConfig;
use values::{Reader, Values};
pub(crate) use watching::WatchConfig;

/// Everything the server is told, valid and typed.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) collector: CollectorConfig,
    pub(crate) query: QueryConfig,
    /// What the web UI is told, or `None` where there is none.
    pub(crate) ui: Option<ui::UiConfig>,
    pub(crate) storage: StorageConfig,
    pub(crate) logs: LogConfig,
    /// `None` where OTLP is not served.
    pub(crate) otlp: Option<OtlpConfig>,
    /// `None` where Jaeger's clients are not served.
    pub(crate) jaeger: Option<JaegerConfig>,
    /// `None` where Scribe is not served.
    pub(crate) scribe: Option<ScribeConfig>,
    /// `None` where Kafka is not read.
    #[cfg(feature = "kafka")]
    pub(crate) kafka: Option<collector::kafka::KafkaConfig>,
    /// `None` where RabbitMQ is not read.
    #[cfg(feature = "rabbitmq")]
    pub(crate) rabbitmq: Option<collector::rabbitmq::RabbitMqConfig>,
    /// `None` where the server does not trace its own requests.
    pub(crate) self_tracing: Option<SelfTracingConfig>,
    pub(crate) watch: WatchConfig,
    /// Recognised variables that have no effect here, for one line of warning.
    pub(crate) ignored: Vec<String>,
}

/// Where and how connections are served.
#[derive(Debug)]
pub(crate) struct ServerConfig {
    /// `None` is every address, IPv6 and IPv4.
    pub(crate) listen: Option<IpAddr>,
    /// Zero is any free one.
    pub(crate) port: u16,
    /// `None` where TLS is not spoken.
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) connections_max: u32,
    /// From the first wait for a request's head to its last byte; also how long an idle connection is kept.
    pub(crate) head_timeout: Duration,
    /// How long a client may take no byte of an answer.
    pub(crate) answer_timeout: Duration,
    /// How long a stopping server waits for the requests it has.
    pub(crate) drain_timeout: Duration,
    pub(crate) allowed_origins: AllowedOrigins,
}

/// Whose browser pages may read the API (`zipkin.md` 2.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AllowedOrigins {
    Any,
    /// Exactly these.
    Listed(Vec<String>),
}

/// How spans come in.
#[derive(Debug)]
pub(crate) struct CollectorConfig {
    pub(crate) http_enabled: bool,
    pub(crate) grpc_enabled: bool,
    pub(crate) sampler: Sampler,
    pub(crate) limits: Limits,
}

/// How questions are answered.
#[derive(Debug)]
pub(crate) struct QueryConfig {
    pub(crate) enabled: bool,
    pub(crate) timeout: Duration,
    pub(crate) lookback_ms: u64,
    pub(crate) names_max_age_s: u64,
    /// How deployments are judged.
    pub(crate) analysis: regression::analysis::Options,
}

/// Where spans are kept.
#[derive(Clone, Debug)]
pub(crate) struct StorageConfig {
    pub(crate) kind: StorageKind,
    pub(crate) options: StoreOptions,
}

/// Which store, and what only it is told.
#[derive(Clone, Debug)]
pub(crate) enum StorageKind {
    /// Zipkin's `mem`: gone when the server stops.
    Memory { spans_max: usize },
    /// The embedded store, on disk.
    Segment(SegmentConfig),
    /// MySQL or MariaDB.
    #[cfg(feature = "mysql")]
    MySql(Box<storage_mysql::MySqlServer>, SpoolPlace),
    /// Elasticsearch or OpenSearch.
    #[cfg(feature = "elasticsearch")]
    Elasticsearch(Box<storage_elasticsearch::Cluster>, SpoolPlace),
    /// Cassandra.
    #[cfg(feature = "cassandra")]
    Cassandra(Box<storage_cassandra::Cluster>, SpoolPlace),
}

/// Where spans wait on their way to a storage elsewhere.
#[cfg(feature = "spool")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpoolPlace {
    pub(crate) directory: PathBuf,
    pub(crate) journal_sync: SyncPolicy,
    pub(crate) bytes_max: u64,
}

/// What the embedded store is told.
#[derive(Clone, Debug)]
pub(crate) struct SegmentConfig {
    pub(crate) directory: PathBuf,
    pub(crate) journal_sync: SyncPolicy,
    pub(crate) journal_bytes_max: u64,
    pub(crate) head_bytes_max: u64,
    pub(crate) age_max: Option<Duration>,
    pub(crate) bytes_max: Option<u64>,
}

/// How the server says what it does.
#[derive(Debug)]
pub(crate) struct LogConfig {
    pub(crate) json: bool,
    /// Directives of `tracing-subscriber`'s `EnvFilter`, valid.
    pub(crate) filter: String,
    pub(crate) output: LogOutput,
}

/// Where it says that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogOutput {
    Standard,
    Error,
}

/// Why there is no configuration.
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// `--help`, `--version`, or a command line that is none.
    CommandLine(clap::Error),
    /// One line each.
    Mistakes(Vec<String>),
}

impl Config {
    fn from_values(values: &Values) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(values);
        let mut config = read(&mut reader);
        let findings = unsupported::find(values.environment());
        config.ignored = findings.ignored;
        let mistakes: Vec<String> = reader
            .into_mistakes()
            .into_iter()
            .chain(findings.refused)
            .collect();
        if mistakes.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Mistakes(mistakes))
        }
    }
}

/// What this process is to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Run the server.
    Serve(Box<Config>),
    /// Look at stores.
    Doctor(DoctorConfig),
    /// Send files to a server.
    Import(ImportConfig),
    /// Write a server's traces.
    Export(ExportConfig),
    /// Tell a server of a deployment.
    Deploy(DeployConfig),
    /// Wait for a verdict about one.
    Gate(GateConfig),
    /// Show what all of this is for.
    Demo(Box<Config>, DemoConfig),
    /// Be one of its instances.
    DemoInstance,
}

impl Task {
    /// From this process's command line and environment.
    pub(crate) fn load() -> Result<Self, ConfigError> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::from_parts(std::env::args_os(), environment.collect())
    }

    fn from_parts(
        arguments: impl IntoIterator<Item = OsString>,
        environment: Vec<(String, String)>,
    ) -> Result<Self, ConfigError> {
        let values = Values::new(arguments, environment).map_err(ConfigError::CommandLine)?;
        match values.command() {
            Some(("doctor", flags)) => {
                let mut reader = Reader::new(&values);
                let config = commands::read_doctor(flags, &mut reader);
                match reader.into_mistakes() {
                    mistakes if mistakes.is_empty() => Ok(Self::Doctor(config)),
                    mistakes => Err(ConfigError::Mistakes(mistakes)),
                }
            }
            Some(("import", flags)) => Ok(Self::Import(commands::read_import(flags)?)),
            Some(("export", flags)) => Ok(Self::Export(commands::read_export(flags)?)),
            Some(("deploy", flags)) => Ok(Self::Deploy(commands::read_deploy(flags)?)),
            Some(("gate", flags)) => Ok(Self::Gate(commands::read_gate(flags)?)),
            Some(("demo", flags)) if flags.get_flag("instance") => Ok(Self::DemoInstance),
            Some(("demo", flags)) => {
                let config = demo::read(flags, values.environment())?;
                let server = demo::server(flags, values.environment())?;
                Ok(Self::Demo(Box::new(server), config))
            }
            _ => Ok(Self::Serve(Box::new(Config::from_values(&values)?))),
        }
    }
}

fn read(reader: &mut Reader<'_>) -> Config {
    let query_enabled = reader.read("QUERY_ENABLED", parse::boolean);
    let storage = read_storage(reader);
    Config {
        server: read_server(reader),
        collector: read_collector(reader),
        query: QueryConfig {
            enabled: query_enabled,
            timeout: reader.read("QUERY_TIMEOUT", parse::duration),
            lookback_ms: reader.read("QUERY_LOOKBACK", parse::positive),
            names_max_age_s: reader.read("ZIPKIN_QUERY_NAMES_MAX_AGE", parse::number),
            analysis: analysis::read(reader),
        },
        ui: read_ui(reader, query_enabled, storage.options.search_enabled),
        storage,
        logs: LogConfig {
            json: reader.read("LOG_FORMAT", parse::log_format),
            filter: reader.read("RUST_LOG", parse::log_filter),
            output: LogOutput::Standard,
        },
        otlp: otlp::read(reader),
        jaeger: jaeger::read(reader),
        scribe: scribe::read(reader),
        #[cfg(feature = "kafka")]
        kafka: kafka::read(reader),
        #[cfg(feature = "rabbitmq")]
        rabbitmq: rabbitmq::read(reader),
        self_tracing: self_tracing::read(reader),
        watch: watching::read(reader),
        ignored: Vec::new(),
    }
}

fn read_server(reader: &mut Reader<'_>) -> ServerConfig {
    ServerConfig {
        listen: reader.optional("LISTEN", parse::address),
        port: reader.read("QUERY_PORT", parse::port),
        tls: tls::read(reader),
        connections_max: reader.read("CONNECTIONS_MAX", parse::small_count),
        head_timeout: reader.read("REQUEST_HEAD_TIMEOUT", parse::duration),
        answer_timeout: reader.read("ANSWER_TIMEOUT", parse::duration),
        drain_timeout: reader.read("DRAIN_TIMEOUT", parse::duration),
        allowed_origins: reader.read("ZIPKIN_QUERY_ALLOWED_ORIGINS", parse::origins),
    }
}

fn read_collector(reader: &mut Reader<'_>) -> CollectorConfig {
    CollectorConfig {
        http_enabled: reader.read("COLLECTOR_HTTP_ENABLED", parse::boolean),
        grpc_enabled: reader.read("COLLECTOR_GRPC_ENABLED", parse::boolean),
        sampler: reader.read("COLLECTOR_SAMPLE_RATE", parse::sampler),
        limits: Limits {
            body_bytes_max: reader.read("COLLECTOR_BODY_BYTES_MAX", parse::bytes_in_memory),
            inflated_bytes_max: reader.read("COLLECTOR_INFLATED_BYTES_MAX", parse::bytes_in_memory),
            message_spans_max: reader.read("COLLECTOR_MESSAGE_SPANS_MAX", parse::count),
            requests_in_flight_max: reader.read("COLLECTOR_REQUESTS_IN_FLIGHT_MAX", parse::count),
            bytes_in_flight_max: reader.read("COLLECTOR_BYTES_IN_FLIGHT_MAX", parse::bytes_in_memory),
            body_timeout: reader.read("COLLECTOR_BODY_TIMEOUT", parse::duration),
            ..Limits::default()
        },
    }
}

fn read_ui(reader: &mut Reader<'_>, query_enabled: bool, search_enabled: bool) -> Option<ui::UiConfig> {
    let enabled = reader
        .optional("UI_ENABLED", parse::boolean)
        .unwrap_or(query_enabled);
    let config = ui::UiConfig {
        environment: reader.read("ZIPKIN_UI_ENVIRONMENT", parse::text),
        query_limit: reader.read("ZIPKIN_UI_QUERY_LIMIT", parse::number),
        default_lookback_ms: reader.read("ZIPKIN_UI_DEFAULT_LOOKBACK", parse::positive),
        search_enabled,
        logs_url: reader.optional("ZIPKIN_UI_LOGS_URL", parse::text),
        support_url: reader.optional("ZIPKIN_UI_SUPPORT_URL", parse::text),
        archive_post_url: reader.optional("ZIPKIN_UI_ARCHIVE_POST_URL", parse::text),
        archive_url: reader.optional("ZIPKIN_UI_ARCHIVE_URL", parse::text),
        dependency_enabled: reader.read("ZIPKIN_UI_DEPENDENCY_ENABLED", parse::boolean),
        low_error_rate: reader.read("ZIPKIN_UI_DEPENDENCY_LOWERRORRATE", parse::number),
        high_error_rate: reader.read("ZIPKIN_UI_DEPENDENCY_HIGHERRORRATE", parse::number),
        base_path: reader.read("ZIPKIN_UI_BASEPATH", parse::text),
    };
    enabled.then_some(config)
}

fn read_storage(reader: &mut Reader<'_>) -> StorageConfig {
    let spans_max = reader.read("MEM_MAX_SPANS", parse::count);
    let segment = SegmentConfig {
        directory: reader.read("STORAGE_PATH", parse::path),
        journal_sync: reader.read("JOURNAL_SYNC", parse::journal_sync),
        journal_bytes_max: reader.read("STORAGE_JOURNAL_BYTES_MAX", parse::bytes),
        head_bytes_max: reader.read("STORAGE_HEAD_BYTES_MAX", parse::bytes),
        age_max: reader.optional("STORAGE_MAX_AGE", parse::duration),
        bytes_max: reader.optional("STORAGE_MAX_BYTES", parse::bytes),
    };
    #[cfg(feature = "spool")]
    let spool = read_spool(reader, &segment);
    #[cfg(feature = "mysql")]
    let mysql = mysql::read(reader);
    #[cfg(feature = "elasticsearch")]
    let elasticsearch = elasticsearch::read(reader);
    #[cfg(feature = "cassandra")]
    let cassandra = cassandra::read(reader);
    let kind = match reader.read("STORAGE_TYPE", parse::storage_type) {
        parse::StorageType::Memory => StorageKind::Memory { spans_max },
        parse::StorageType::Segment => StorageKind::Segment(segment),
        #[cfg(feature = "mysql")]
        parse::StorageType::MySql => StorageKind::MySql(Box::new(mysql), spool),
        #[cfg(feature = "elasticsearch")]
        parse::StorageType::Elasticsearch => StorageKind::Elasticsearch(Box::new(elasticsearch), spool),
        #[cfg(feature = "cassandra")]
        parse::StorageType::Cassandra => StorageKind::Cassandra(Box::new(cassandra), spool),
    };
    StorageConfig {
        kind,
        options: StoreOptions {
            strict_trace_id: reader.read("STRICT_TRACE_ID", parse::boolean),
            search_enabled: reader.read("SEARCH_ENABLED", parse::boolean),
            text_index_enabled: reader.read("TEXT_INDEX_ENABLED", parse::boolean),
            autocomplete_keys: reader.read("AUTOCOMPLETE_KEYS", parse::list),
            version_tags: reader.read("VERSION_TAGS", parse::list),
            environment_tags: reader.read("ENVIRONMENT_TAGS", parse::list),
        },
    }
}

/// Beside what a segment store would have there.
#[cfg(feature = "spool")]
fn read_spool(reader: &mut Reader<'_>, segment: &SegmentConfig) -> SpoolPlace {
    SpoolPlace {
        directory: segment.directory.clone(),
        journal_sync: segment.journal_sync,
        bytes_max: reader.read("SPOOL_BYTES_MAX", parse::bytes),
    }
}

#[cfg(test)]
mod tests;
