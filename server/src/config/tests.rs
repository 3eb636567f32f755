//! Flags, variables, defaults and mistakes.

use super::settings::SETTINGS;
use super::*;

fn load(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    match load_task(arguments, environment)? {
        Task::Serve(config) => Ok(*config),
        other => panic!("expected to serve, got {other:?}"),
    }
}

fn load_task(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Task, ConfigError> {
    let arguments = std::iter::once("tracehound")
        .chain(arguments.iter().copied())
        .map(OsString::from);
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Task::from_parts(arguments, environment.collect())
}

fn mistakes(environment: &[(&str, &str)]) -> Vec<String> {
    match load(&[], environment) {
        Err(ConfigError::Mistakes(mistakes)) => mistakes,
        other => panic!("expected mistakes, got {other:?}"),
    }
}

#[test]
fn defaults_are_zipkins_but_for_the_storage() {
    let config = load(&[], &[]).unwrap();
    assert_eq!((config.server.listen, config.server.port), (None, 9411));
    assert_eq!(config.server.allowed_origins, AllowedOrigins::Any);
    assert_eq!(config.collector.limits, Limits::default());
    assert_eq!(config.collector.sampler, Sampler::ALL);
    assert_eq!(config.query.timeout, Duration::from_secs(11));
    assert_eq!(
        (config.query.lookback_ms, config.query.names_max_age_s),
        (86_400_000, 300)
    );
    assert_eq!(config.storage.options, StoreOptions::default());
    assert!(config.query.enabled && config.collector.http_enabled);
    assert!(matches!(config.storage.kind, StorageKind::Segment(_)));
    assert_eq!(config.ui, Some(ui::UiConfig::default()));
    assert!(config.ignored.is_empty());
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_default() {
    let environment = [
        ("QUERY_PORT", "1"),
        ("STORAGE_TYPE", "mem"),
        ("MEM_MAX_SPANS", "7"),
    ];
    let config = load(&["--query-port", "2"], &environment).unwrap();
    assert_eq!(config.server.port, 2);
    assert!(matches!(
        config.storage.kind,
        StorageKind::Memory { spans_max: 7 }
    ));
    assert_eq!(load(&["serve"], &environment).unwrap().server.port, 1);
}

#[test]
fn relaxed_and_legacy_names_are_read() {
    let port = |name: &str| load(&[], &[(name, "false")]).unwrap().collector.http_enabled;
    assert!(!port("COLLECTOR_HTTP_ENABLED") && !port("HTTP_COLLECTOR_ENABLED"));
    assert!(!port("ZIPKIN_COLLECTOR_HTTP_ENABLED") && !port("zipkin.collector.http.enabled"));
    let strict = load(&[], &[("ZIPKIN_STORAGE_STRICTTRACEID", "false")]).unwrap();
    assert!(!strict.storage.options.strict_trace_id);
    assert!(
        port("HTTPCOLLECTORENABLED"),
        "only names that begin with ZIPKIN_ are relaxed"
    );
    let age = load(&[], &[("ZIPKIN_QUERY_NAMESMAXAGE", "5")]).unwrap();
    assert_eq!(age.query.names_max_age_s, 5);
}

#[test]
fn an_empty_variable_is_none() {
    let config = load(
        &[],
        &[
            ("QUERY_PORT", ""),
            ("UI_ENABLED", ""),
            ("KAFKA_BOOTSTRAP_SERVERS", ""),
        ],
    )
    .unwrap();
    assert_eq!((config.server.port, config.ui.is_some()), (9411, true));
}

#[test]
fn the_ui_follows_the_query_api_unless_told() {
    assert_eq!(load(&[], &[("QUERY_ENABLED", "false")]).unwrap().ui, None);
    let both = [
        ("QUERY_ENABLED", "false"),
        ("UI_ENABLED", "true"),
        ("SEARCH_ENABLED", "false"),
    ];
    assert!(!load(&[], &both).unwrap().ui.unwrap().search_enabled);
}

#[test]
fn every_mistake_is_reported_at_once_with_its_name() {
    let mistakes = mistakes(&[
        ("QUERY_PORT", "tcp://10.0.0.1:9411"),
        ("QUERY_TIMEOUT", "soon"),
        ("STORAGE_TYPE", "cassandra"),
        ("COLLECTOR_SAMPLE_RATE", "1.5"),
        ("KAFKA_BOOTSTRAP_SERVERS", "user:password@kafka:9092"),
        ("STORAGE_THROTTLE_ENABLED", "true"),
    ]);
    let all = mistakes.join("\n");
    assert_eq!(mistakes.len(), 6, "{all}");
    for part in [
        "QUERY_PORT=tcp:",
        "QUERY_TIMEOUT=soon",
        "STORAGE_TYPE=cassandra: is no storage: Cassandra is cassandra3",
    ] {
        assert!(all.contains(part), "{part} is not in:\n{all}");
    }
    assert!(all.contains("COLLECTOR_SAMPLE_RATE=1.5") && all.contains("STORAGE_THROTTLE_ENABLED=true"));
    assert!(
        all.contains("KAFKA_BOOTSTRAP_SERVERS: ") && !all.contains("password"),
        "{all}"
    );
}

#[test]
fn what_is_switched_off_does_not_stop_the_start() {
    let environment = [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"),
        ("COLLECTOR_KAFKA_ENABLED", "false"),
        ("STORAGE_THROTTLE_ENABLED", "false"),
        ("COLLECTOR_GRPC_ENABLED", "false"),
    ];
    assert!(load(&[], &environment).unwrap().ignored.is_empty());
}

#[test]
fn what_has_no_effect_is_named() {
    let config = load(
        &[],
        &[
            ("JAVA_OPTS", "-Xmx1g"),
            ("EUREKA_HOSTNAME", "zipkin"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.ignored, ["JAVA_OPTS", "EUREKA_HOSTNAME"]);
}

#[test]
fn a_wrong_command_line_is_refused() {
    for arguments in [&["--no-such-flag", "1"][..], &["--query-port"], &["deploy"]] {
        assert!(
            matches!(load(arguments, &[]), Err(ConfigError::CommandLine(_))),
            "{arguments:?}"
        );
    }
}

#[test]
fn flags_come_before_or_behind_serve() {
    for arguments in [
        &["--query-port", "1"][..],
        &["serve", "--query-port", "1"],
        &["--query-port", "1", "serve"],
    ] {
        assert_eq!(
            load(arguments, &[("QUERY_PORT", "2")]).unwrap().server.port,
            1,
            "{arguments:?}"
        );
    }
}

#[test]
fn the_doctor_looks_at_the_store_of_the_server_or_at_those_named() {
    let stores = |arguments: &[&str], environment: &[(&str, &str)]| match load_task(arguments, environment) {
        Ok(Task::Doctor(config)) => config.stores,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        stores(&["doctor"], &[("STORAGE_PATH", "here")]),
        [PathBuf::from("here")]
    );
    let named = stores(
        &["doctor", "--store", "a", "--store", "b"],
        &[("QUERY_PORT", "no port")],
    );
    assert_eq!(named, [PathBuf::from("a"), PathBuf::from("b")]);
    let none = load_task(&["doctor"], &[("STORAGE_TYPE", "mem")]);
    assert!(matches!(none, Err(ConfigError::Mistakes(mistakes)) if mistakes[0].contains("--store")));
}

#[test]
fn filters_of_an_export_are_parameters_of_the_search() {
    let arguments = [
        "export",
        "out",
        "--service",
        "a b",
        "--annotation-query",
        "x=1 and é",
        "--to",
        "7",
    ];
    let Ok(Task::Export(config)) = load_task(&arguments, &[]) else {
        panic!("an export");
    };
    assert_eq!(
        config.filters,
        "&serviceName=a%20b&annotationQuery=x%3D1%20and%20%C3%A9"
    );
    assert_eq!((config.from_ms, config.to_ms), (0, 7));
    for wrong in [
        &["export", "--resume", "f"][..],
        &["import"],
        &["import", "f", "--server", "host"],
    ] {
        assert!(
            matches!(load_task(wrong, &[]), Err(ConfigError::CommandLine(_))),
            "{wrong:?}"
        );
    }
}

#[test]
fn the_table_has_no_name_twice() {
    let mut names: Vec<&str> = SETTINGS
        .iter()
        .flat_map(|row| std::iter::once(row.name).chain(row.aliases.iter().copied()))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn self_tracing_is_off_unless_asked_for_and_its_mistakes_are_told_anyway() {
    assert_eq!(
        load(&[], &[("SELF_TRACING_TRACES_PER_SECOND", "5")])
            .unwrap()
            .self_tracing,
        None
    );
    let environment = [
        ("SELF_TRACING_ENABLED", "true"),
        ("SELF_TRACING_FLUSH_INTERVAL", "5"),
    ];
    let config = load(&[], &environment).unwrap().self_tracing.unwrap();
    assert_eq!(config.flush_interval, Duration::from_secs(5));
    assert!(matches!(config.sampling, SelfSampling::PerSecond(limit) if limit.get() == 1));
    let wrong = [
        ("SELF_TRACING_SAMPLE_RATE", "2"),
        ("SELF_TRACING_TRACES_PER_SECOND", "-1"),
    ];
    assert_eq!(mistakes(&wrong).len(), 2);
}

#[cfg(feature = "kafka")]
#[test]
fn kafka_is_read_where_its_brokers_are_named() {
    assert!(load(&[], &[("KAFKA_TOPIC", "zipkin")]).unwrap().kafka.is_none());
    let environment = [
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092, b:9092"),
        ("ZIPKIN_COLLECTOR_KAFKA_TOPIC", "zipkin, more"),
        ("KAFKA_OVERRIDES_AUTO_OFFSET_RESET", "latest"),
        ("KAFKA_OVERRIDES_CLIENT_ID", ""),
    ];
    let kafka = load(&["--kafka-streams", "2"], &environment)
        .unwrap()
        .kafka
        .unwrap();
    assert_eq!(kafka.bootstrap_servers, "a:9092,b:9092");
    assert_eq!(
        (kafka.topics, kafka.streams),
        (vec!["zipkin".to_owned(), "more".to_owned()], 2)
    );
    assert_eq!(kafka.group_id, "zipkin");
    let properties = [("auto.offset.reset".to_owned(), "latest".to_owned())];
    assert_eq!(kafka.properties, properties);
}

#[cfg(feature = "kafka")]
#[test]
fn what_kafka_cannot_be_told_stops_the_start() {
    let mistakes = mistakes(&[
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092"),
        ("KAFKA_DEAD_LETTER_TOPIC", "zipkin"),
        ("KAFKA_OVERRIDES_ENABLE_AUTO_COMMIT", "true"),
        ("KAFKA_OVERRIDES_SASL_JAAS_CONFIG", "password=hush"),
        ("KAFKA_OVERRIDES_NO_SUCH_PROPERTY", "1"),
    ]);
    let all = mistakes.join("\n");
    assert_eq!(mistakes.len(), 4, "{all}");
    for part in [
        "KAFKA_DEAD_LETTER_TOPIC: must not be a topic that is read",
        "KAFKA_OVERRIDES_ENABLE_AUTO_COMMIT: enable.auto.commit cannot be overridden",
        "set sasl.mechanisms, sasl.username and sasl.password",
        "No such configuration property",
    ] {
        assert!(all.contains(part), "{part} is not in:\n{all}");
    }
    assert!(!all.contains("hush"), "{all}");
}

#[test]
fn a_demo_hears_nothing_of_what_servers_are_told() {
    let told = [
        ("STORAGE_PATH", "/var/lib/theirs"),
        ("STORAGE_TYPE", "mem"),
        ("QUERY_PORT", "1"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"),
        ("ANALYSIS_MIN_TRACES", "nonsense"),
        ("NO_COLOR", "1"),
    ];
    let Task::Demo(server, demo) = load_task(&["demo", "--port", "0", "--seed", "3"], &told).unwrap() else {
        panic!("expected a demo");
    };
    let StorageKind::Segment(segment) = &server.storage.kind else {
        panic!("{:?}", server.storage.kind);
    };
    assert_ne!(segment.directory, PathBuf::from("/var/lib/theirs"));
    assert_eq!(
        (server.server.listen, server.server.port),
        (Some([127, 0, 0, 1].into()), 0)
    );
    assert_eq!(server.query.analysis.warm_up_ms, 1_000);
    assert_eq!(server.query.analysis.min_traces, 30);
    assert_eq!(server.logs.output, LogOutput::Error);
    assert_eq!(demo.options.seed, 3);
    assert_eq!(demo.options.fault, ::demo::Fault::Serialised);
    assert!(demo.no_colour && !demo.check);
    assert_eq!(demo.program, None);
    let instance = load_task(&["demo", "--instance"], &[]);
    assert!(matches!(instance, Ok(Task::DemoInstance)), "{instance:?}");
    let refused = load_task(&["demo", "--fault", "all"], &[]);
    assert!(matches!(refused, Err(ConfigError::CommandLine(_))), "{refused:?}");
}
