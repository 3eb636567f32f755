//! Everything that can be set.

/// One thing that can be set, as a variable of the environment and as a flag.
#[derive(Debug)]
pub(super) struct Setting {
    /// The variable. The flag is the same in lower case with `-` for `_`.
    pub(super) name: &'static str,
    /// Other variables with the same meaning, in order of precedence: Zipkin's configuration keys as Spring reads
    /// them from the environment, and what Zipkin called it earlier.
    pub(super) aliases: &'static [&'static str],
    /// As one would write it; empty where there is none.
    pub(super) default: &'static str,
    pub(super) help: &'static str,
}

impl Setting {
    /// The flag, without its dashes.
    pub(super) fn flag(&self) -> String {
        self.name.to_lowercase().replace('_', "-")
    }
}

const fn setting(
    name: &'static str,
    aliases: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        aliases,
        default,
        help,
    }
}

/// In the order of `--help`.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    // Where it listens.
    setting("LISTEN", &[], "", "Address to listen on; all of this machine without it"),
    setting("QUERY_PORT", &[], "9411", "Port to listen on; 0 is any free one"),
    setting("TLS_CERT_FILE", &[], "", "The server's certificate chain, PEM; with TLS_KEY_FILE the port speaks TLS, and nothing else"),
    setting("TLS_KEY_FILE", &[], "", "The private key of that certificate, PEM"),
    setting("TLS_CLIENT_CA_FILE", &[], "", "Certificates of authorities, PEM; clients must then have a certificate of one of them"),
    setting("CONNECTIONS_MAX", &[], "8192", "Connections served at one time; more wait to be accepted"),
    setting("REQUEST_HEAD_TIMEOUT", &[], "15s", "How long a connection may take for the handshake of TLS, to send a request's head, or stay idle"),
    setting("ANSWER_TIMEOUT", &[], "30s", "How long a client may take no byte of an answer"),
    setting("DRAIN_TIMEOUT", &[], "10s", "How long a stopping server waits for the requests it is answering"),
    setting("ZIPKIN_QUERY_ALLOWED_ORIGINS", &[], "*", "Origins whose pages may read the API: * or a comma list"),
    // Spans coming in.
    setting("COLLECTOR_HTTP_ENABLED", &["ZIPKIN_COLLECTOR_HTTP_ENABLED", "HTTP_COLLECTOR_ENABLED"], "true", "Accept spans over HTTP"),
    setting("COLLECTOR_GRPC_ENABLED", &["ZIPKIN_COLLECTOR_GRPC_ENABLED"], "true", "Accept spans over gRPC, on the same port"),
    setting("COLLECTOR_SAMPLE_RATE", &["ZIPKIN_COLLECTOR_SAMPLE_RATE"], "1.0", "Share of traces to keep, 0.0 to 1.0; debug spans are always kept"),
    setting("COLLECTOR_BODY_BYTES_MAX", &[], "10MiB", "Longest body as received"),
    setting("COLLECTOR_INFLATED_BYTES_MAX", &[], "64MiB", "Longest compressed body once it is inflated"),
    setting("COLLECTOR_MESSAGE_SPANS_MAX", &[], "200000", "Most spans in one message"),
    setting("COLLECTOR_REQUESTS_IN_FLIGHT_MAX", &[], "4096", "Messages being received or stored at one time; more are told to come back"),
    setting("COLLECTOR_BYTES_IN_FLIGHT_MAX", &[], "256MiB", "Bytes of such messages; more are told to come back"),
    setting("COLLECTOR_BODY_TIMEOUT", &[], "30s", "How long a body may take to arrive"),
    setting("COLLECTOR_OTLP_ENABLED", &["COLLECTOR_HTTP_OTEL_ENABLED"], "true", "Accept spans of OpenTelemetry: OTLP by HTTP and gRPC on the one port, and on the two below"),
    setting("COLLECTOR_OTLP_GRPC_PORT", &[], "", "Port for OTLP by gRPC beside the one port, 4317 in OpenTelemetry; none without it"),
    setting("COLLECTOR_OTLP_HTTP_PORT", &[], "", "Port for OTLP by HTTP beside the one port, 4318 in OpenTelemetry; none without it"),
    setting("COLLECTOR_OTEL_RESOURCE_ATTRIBUTE_PREFIX", &[], "", "Put before the keys of tags that were attributes of a resource"),
    setting("COLLECTOR_JAEGER_ENABLED", &[], "true", "Accept spans of Jaeger's clients: by gRPC on the one port, and on the two below"),
    setting("COLLECTOR_JAEGER_HTTP_PORT", &[], "", "Port for Jaeger's thrift over HTTP, 14268 in Jaeger; none without it"),
    setting("COLLECTOR_JAEGER_GRPC_PORT", &[], "", "Port for Jaeger's gRPC beside the one port, 14250 in Jaeger; none without it"),
    setting("COLLECTOR_SCRIBE_ENABLED", &["ZIPKIN_COLLECTOR_SCRIBE_ENABLED", "SCRIBE_ENABLED"], "false", "Accept spans over Scribe, on COLLECTOR_PORT"),
    setting("SCRIBE_CATEGORY", &["ZIPKIN_COLLECTOR_SCRIBE_CATEGORY"], "zipkin", "Category of Scribe whose entries are spans"),
    setting("COLLECTOR_PORT", &["ZIPKIN_COLLECTOR_SCRIBE_PORT"], "9410", "Port for Scribe"),
    setting("COLLECTOR_KAFKA_ENABLED", &["ZIPKIN_COLLECTOR_KAFKA_ENABLED"], "true", "Read spans from Kafka, where KAFKA_BOOTSTRAP_SERVERS says it is"),
    setting("KAFKA_BOOTSTRAP_SERVERS", &["ZIPKIN_COLLECTOR_KAFKA_BOOTSTRAP_SERVERS"], "", "Brokers, a comma list of host:port; any property of librdkafka is set as KAFKA_OVERRIDES_<NAME>, in the environment only"),
    setting("KAFKA_TOPIC", &["ZIPKIN_COLLECTOR_KAFKA_TOPIC"], "zipkin", "Topics to read, a comma list"),
    setting("KAFKA_GROUP_ID", &["ZIPKIN_COLLECTOR_KAFKA_GROUP_ID"], "zipkin", "Consumer group; its members share the partitions"),
    setting("KAFKA_STREAMS", &["ZIPKIN_COLLECTOR_KAFKA_STREAMS"], "1", "Consumers in this server"),
    setting("KAFKA_DEAD_LETTER_TOPIC", &[], "", "Topic for messages that are not spans; without it they are counted and skipped"),
    setting("COLLECTOR_RABBITMQ_ENABLED", &["ZIPKIN_COLLECTOR_RABBITMQ_ENABLED"], "true", "Read spans from RabbitMQ, where RABBIT_ADDRESSES or RABBIT_URI says it is"),
    setting("RABBIT_ADDRESSES", &["ZIPKIN_COLLECTOR_RABBITMQ_ADDRESSES"], "", "Brokers, a comma list of host:port; the first that answers is used"),
    setting("RABBIT_URI", &["ZIPKIN_COLLECTOR_RABBITMQ_URI"], "", "amqp://user:password@host:port/virtual-host, instead of addresses, user, password, virtual host and TLS"),
    setting("RABBIT_USER", &["ZIPKIN_COLLECTOR_RABBITMQ_USERNAME"], "guest", "Who connects to RabbitMQ"),
    setting("RABBIT_PASSWORD", &["ZIPKIN_COLLECTOR_RABBITMQ_PASSWORD"], "guest", "The password for that"),
    setting("RABBIT_VIRTUAL_HOST", &["ZIPKIN_COLLECTOR_RABBITMQ_VIRTUAL_HOST"], "/", "Virtual host of the queue"),
    setting("RABBIT_USE_SSL", &["ZIPKIN_COLLECTOR_RABBITMQ_USE_SSL"], "false", "TLS; the broker's certificate must be one that the system trusts"),
    setting("RABBIT_QUEUE", &["ZIPKIN_COLLECTOR_RABBITMQ_QUEUE"], "zipkin", "Queue to read; declared durable if there is none"),
    setting("RABBIT_CONCURRENCY", &["ZIPKIN_COLLECTOR_RABBITMQ_CONCURRENCY"], "1", "Consumers of the queue"),
    setting("RABBIT_CONNECTION_TIMEOUT", &["ZIPKIN_COLLECTOR_RABBITMQ_CONNECTION_TIMEOUT"], "60000", "How long a broker may take to answer; a bare number is milliseconds"),
    setting("RABBIT_PREFETCH", &[], "64", "Messages that a consumer holds unanswered"),
    // Questions.
    setting("QUERY_ENABLED", &["ZIPKIN_QUERY_ENABLED"], "true", "Serve the query API, and the UI unless UI_ENABLED says otherwise"),
    setting("SEARCH_ENABLED", &["ZIPKIN_STORAGE_SEARCH_ENABLED"], "true", "Index spans and serve searches; without it only traces by identifier"),
    setting("TEXT_INDEX_ENABLED", &[], "true", "Index the words of spans in the segment store; without it a search for text reads every span of its window"),
    setting("QUERY_TIMEOUT", &["ZIPKIN_QUERY_TIMEOUT"], "11s", "A question not answered by then fails"),
    setting("QUERY_LOOKBACK", &["ZIPKIN_QUERY_LOOKBACK"], "86400000", "How far a search looks back when it does not say, in milliseconds"),
    setting("ZIPKIN_QUERY_NAMES_MAX_AGE", &[], "300", "How long browsers may keep lists of names, in seconds"),
    setting("AUTOCOMPLETE_KEYS", &["ZIPKIN_STORAGE_AUTOCOMPLETE_KEYS"], "", "Tag keys whose values are suggested, a comma list"),
    setting("VERSION_TAGS", &[], "service.version,version,app.version", "Tag keys that name the version of a service, the first a span bears counts"),
    setting("ENVIRONMENT_TAGS", &[], "deployment.environment.name,deployment.environment,environment", "Tag keys that name the environment of a service, the first a span bears counts"),
    // Rollouts.
    setting("WATCH_ENABLED", &[], "true", "Keep the verdict of rollouts up to date while they go on, and tell who listens what changes; needs QUERY_ENABLED"),
    setting("WATCH_DEPLOYMENTS_MAX", &[], "32", "Rollouts watched at one time, the newest"),
    setting("WATCH_CPU_SHARE", &[], "0.05", "Share of the time of one processor that watching may take, 0.001 to 1; reports of finished deployments may take as much again"),
    setting("ANALYSIS_MIN_CHANGE_MS", &[], "1", "Changes of less than this a call are no finding, 0.001 to 60000"),
    setting("ANALYSIS_MIN_CHANGE_PERCENT", &[], "5", "Changes of less than this are no finding where both versions serve at the same time, 0.1 to 90"),
    setting("ANALYSIS_MIN_CHANGE_BEFORE_AFTER_PERCENT", &[], "10", "The same where one version serves before the other"),
    setting("ANALYSIS_MIN_TRACES", &[], "30", "Traces of an entry operation that each version needs, 10 to 20000"),
    setting("ANALYSIS_WARM_UP", &[], "60s", "How long a new instance is not warm, at most 24h"),
    setting("ANALYSIS_MONITOR", &[], "1h", "How long a rollout is observed after its end, at most 30d"),
    setting("EVENT_LISTENERS_MAX", &[], "100", "Listeners to events of deployments at one time; more are told to come back"),
    setting("WEBHOOK_URLS", &[], "", "Where events of deployments are posted, a comma list of at most 8 addresses with http or https"),
    setting("WEBHOOK_SECRET_FILE", &[], "", "File with the secret that these posts are signed with; without it they are not signed"),
    // Keeping spans.
    setting("STORAGE_TYPE", &["ZIPKIN_STORAGE_TYPE"], "segment", "segment (on disk), mem (gone when the server stops), mysql (MySQL 8 or MariaDB), elasticsearch (or OpenSearch) or cassandra3, each with Zipkin's tables or indexes"),
    setting("STORAGE_PATH", &[], "tracehound-data", "Directory of the segment store, and of spans on their way to another"),
    setting("STRICT_TRACE_ID", &["ZIPKIN_STORAGE_STRICT_TRACE_ID"], "true", "Compare all 128 bits of trace identifiers; without it the low 64"),
    setting("JOURNAL_SYNC", &[], "always", "When spans are synced to disk: always (before they are acknowledged), interval:<ms>, or os"),
    setting("STORAGE_MAX_AGE", &[], "", "Delete spans older than this, such as 7d"),
    setting("STORAGE_MAX_BYTES", &[], "", "Delete the oldest spans beyond this size on disk, such as 100GiB"),
    setting("STORAGE_JOURNAL_BYTES_MAX", &[], "2GiB", "Longest journal of spans not yet in segments; beyond it spans are refused"),
    setting("STORAGE_HEAD_BYTES_MAX", &[], "192MiB", "Memory for traces not yet in segments; beyond it spans are refused"),
    setting("MEM_MAX_SPANS", &["ZIPKIN_STORAGE_MEM_MAX_SPANS"], "500000", "Spans that mem keeps; the oldest traces go first"),
    setting("SPOOL_BYTES_MAX", &[], "4GiB", "Spans that wait on disk while a storage elsewhere is away; beyond it spans are refused"),
    setting("MYSQL_JDBC_URL", &["ZIPKIN_STORAGE_MYSQL_JDBC_URL"], "", "jdbc:mysql://host:port/database?user=u&password=p, instead of host, port and database"),
    setting("MYSQL_HOST", &["ZIPKIN_STORAGE_MYSQL_HOST"], "localhost", "Where MySQL is"),
    setting("MYSQL_TCP_PORT", &["ZIPKIN_STORAGE_MYSQL_PORT"], "3306", "Its port"),
    setting("MYSQL_USER", &["ZIPKIN_STORAGE_MYSQL_USERNAME"], "", "Who connects to MySQL"),
    setting("MYSQL_PASS", &["ZIPKIN_STORAGE_MYSQL_PASSWORD"], "", "The password for that"),
    setting("MYSQL_DB", &["ZIPKIN_STORAGE_MYSQL_DB"], "zipkin", "Database with Zipkin's tables"),
    setting("MYSQL_MAX_CONNECTIONS", &["ZIPKIN_STORAGE_MYSQL_MAX_ACTIVE"], "10", "Connections to MySQL at one time"),
    setting("MYSQL_USE_SSL", &["ZIPKIN_STORAGE_MYSQL_USE_SSL"], "false", "TLS; the server's certificate must be one that the system trusts, or of MYSQL_SSL_CA_FILE, and for MYSQL_HOST"),
    setting("MYSQL_SSL_CA_FILE", &[], "", "Certificates of authorities, PEM, whom to trust instead of the system's"),
    setting("MYSQL_ENSURE_SCHEMA", &[], "false", "Create the tables that are missing, Zipkin's and our own"),
    setting("CASSANDRA_CONTACT_POINTS", &["ZIPKIN_STORAGE_CASSANDRA3_CONTACT_POINTS"], "localhost", "Nodes of Cassandra of which one must be there, a comma list; port 9042 without one"),
    setting("CASSANDRA_LOCAL_DC", &["ZIPKIN_STORAGE_CASSANDRA3_LOCAL_DC"], "datacenter1", "Data centre whose nodes are asked"),
    setting("CASSANDRA_USERNAME", &["ZIPKIN_STORAGE_CASSANDRA3_USERNAME"], "", "Who logs in"),
    setting("CASSANDRA_PASSWORD", &["ZIPKIN_STORAGE_CASSANDRA3_PASSWORD"], "", "The password for that"),
    setting("CASSANDRA_KEYSPACE", &["ZIPKIN_STORAGE_CASSANDRA3_KEYSPACE"], "zipkin2", "Keyspace with Zipkin's tables"),
    setting("CASSANDRA_MAX_CONNECTIONS", &["ZIPKIN_STORAGE_CASSANDRA3_MAX_CONNECTIONS"], "8", "Connections to each node"),
    setting("CASSANDRA_ENSURE_SCHEMA", &["ZIPKIN_STORAGE_CASSANDRA3_ENSURE_SCHEMA"], "true", "Create the keyspace and the tables that are missing, Zipkin's and our own"),
    setting("CASSANDRA_USE_SSL", &["ZIPKIN_STORAGE_CASSANDRA3_USE_SSL"], "false", "TLS; a node's certificate must be one that the system trusts, or of CASSANDRA_SSL_CA_FILE"),
    setting("CASSANDRA_SSL_HOSTNAME_VALIDATION", &["ZIPKIN_STORAGE_CASSANDRA3_SSL_HOSTNAME_VALIDATION"], "true", "And it must be for the node's address"),
    setting("CASSANDRA_SSL_CA_FILE", &[], "", "Certificates of authorities, PEM, whom to trust instead of the system's"),
    setting("ES_HOSTS", &["ZIPKIN_STORAGE_ELASTICSEARCH_HOSTS"], "http://localhost:9200", "Nodes of Elasticsearch or OpenSearch, a comma list; with https:// before one of them, TLS to all"),
    setting("ES_INDEX", &["ZIPKIN_STORAGE_ELASTICSEARCH_INDEX"], "zipkin", "What names of indexes begin with"),
    setting("ES_DATE_SEPARATOR", &["ZIPKIN_STORAGE_ELASTICSEARCH_DATE_SEPARATOR"], "-", "One character between year, month and day in them, or none"),
    setting("ES_INDEX_SHARDS", &["ZIPKIN_STORAGE_ELASTICSEARCH_INDEX_SHARDS"], "5", "Shards of an index"),
    setting("ES_INDEX_REPLICAS", &["ZIPKIN_STORAGE_ELASTICSEARCH_INDEX_REPLICAS"], "1", "Replicas of an index"),
    setting("ES_ENSURE_TEMPLATES", &["ZIPKIN_STORAGE_ELASTICSEARCH_ENSURE_TEMPLATES"], "true", "Write the templates of indexes"),
    setting("ES_TEMPLATE_PRIORITY", &["ZIPKIN_STORAGE_ELASTICSEARCH_TEMPLATE_PRIORITY"], "", "Write composable templates, of this priority"),
    setting("ES_PIPELINE", &["ZIPKIN_STORAGE_ELASTICSEARCH_PIPELINE"], "", "Ingest pipeline that documents go through"),
    setting("ES_TIMEOUT", &["ZIPKIN_STORAGE_ELASTICSEARCH_TIMEOUT"], "10000", "How long an answer of Elasticsearch may take; a bare number is milliseconds"),
    setting("ES_USERNAME", &["ZIPKIN_STORAGE_ELASTICSEARCH_USERNAME"], "", "Who logs in, by basic authentication"),
    setting("ES_PASSWORD", &["ZIPKIN_STORAGE_ELASTICSEARCH_PASSWORD"], "", "The password for that"),
    setting("ES_CREDENTIALS_FILE", &["ZIPKIN_STORAGE_ELASTICSEARCH_CREDENTIALS_FILE"], "", "File of properties that says who logs in, instead: zipkin.storage.elasticsearch.username and .password"),
    setting("ES_CREDENTIALS_REFRESH_INTERVAL", &["ZIPKIN_STORAGE_ELASTICSEARCH_CREDENTIALS_REFRESH_INTERVAL"], "5", "How often that file is read; a bare number is seconds"),
    setting("ES_SSL_CA_FILE", &[], "", "Certificates of authorities, PEM, whom to trust instead of the system's"),
    setting("ES_SSL_NO_VERIFY", &["ZIPKIN_STORAGE_ELASTICSEARCH_SSL_NO_VERIFY"], "false", "Take any certificate: for tests"),
    setting("ES_HEALTH_CHECK_ENABLED", &["ZIPKIN_STORAGE_ELASTICSEARCH_HEALTH_CHECK_ENABLED"], "true", "Ask a node that could not be reached only where the others cannot either, for ES_HEALTH_CHECK_INTERVAL"),
    setting("ES_HEALTH_CHECK_INTERVAL", &["ZIPKIN_STORAGE_ELASTICSEARCH_HEALTH_CHECK_INTERVAL"], "3s", "How long that lasts"),
    // The UI.
    setting("UI_ENABLED", &["ZIPKIN_UI_ENABLED"], "", "Serve the UI; as QUERY_ENABLED without it"),
    setting("ZIPKIN_UI_ENVIRONMENT", &[], "", "Name of this environment, shown by the UI"),
    setting("ZIPKIN_UI_QUERY_LIMIT", &[], "10", "Traces the UI asks for"),
    setting("ZIPKIN_UI_DEFAULT_LOOKBACK", &[], "900000", "How far the UI looks back, in milliseconds"),
    setting("ZIPKIN_UI_LOGS_URL", &[], "", "Where the UI links to for logs; {traceId} is replaced"),
    setting("ZIPKIN_UI_SUPPORT_URL", &[], "", "Where the UI links to for help"),
    setting("ZIPKIN_UI_ARCHIVE_POST_URL", &[], "", "Where the UI posts traces to be archived"),
    setting("ZIPKIN_UI_ARCHIVE_URL", &[], "", "Where archived traces are seen; {traceId} is replaced"),
    setting("ZIPKIN_UI_DEPENDENCY_ENABLED", &[], "true", "Show dependencies"),
    setting("ZIPKIN_UI_DEPENDENCY_LOWERRORRATE", &["ZIPKIN_UI_DEPENDENCY_LOW_ERROR_RATE"], "0.5", "Error rate from which a dependency is yellow"),
    setting("ZIPKIN_UI_DEPENDENCY_HIGHERRORRATE", &["ZIPKIN_UI_DEPENDENCY_HIGH_ERROR_RATE"], "0.75", "Error rate from which a dependency is red"),
    setting("ZIPKIN_UI_BASEPATH", &["ZIPKIN_UI_BASE_PATH"], "/zipkin", "Path that the UI is reached by"),
    // What it says.
    setting("SELF_TRACING_ENABLED", &["ZIPKIN_SELF_TRACING_ENABLED"], "false", "Store the server's own requests as spans of the service zipkin-server"),
    setting("SELF_TRACING_SAMPLE_RATE", &["ZIPKIN_SELF_TRACING_SAMPLE_RATE"], "1.0", "Share of its own requests to trace, 0.0 to 1.0"),
    setting("SELF_TRACING_TRACES_PER_SECOND", &["ZIPKIN_SELF_TRACING_TRACES_PER_SECOND"], "1", "Most of its own requests to trace in a second, where the share is 1.0; 0 is all"),
    setting("SELF_TRACING_FLUSH_INTERVAL", &["ZIPKIN_SELF_TRACING_MESSAGE_TIMEOUT"], "1", "How often its own spans are stored; a bare number is seconds"),
    setting("LOG_FORMAT", &[], "text", "text or json"),
    setting("RUST_LOG", &[], "info", "What is logged: error, warn, info, debug, trace, also a module such as collector=debug"),
];
