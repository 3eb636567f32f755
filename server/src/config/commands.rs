//! Everything but serving that the binary does: its subcommands, their flags, and what they are told.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::values::Reader;
use super::{ConfigError, StorageKind, read_storage};
use crate::api_client::{ServerAccess, bearer};
use crate::deploy::DeployConfig;
use crate::doctor::DoctorConfig;
use crate::export::ExportConfig;
use crate::gate::GateConfig;
use crate::import::ImportConfig;
use crate::peer::PeerAddress;

/// All of them.
pub(super) fn commands() -> [Command; 6] {
    [
        doctor(),
        import(),
        export(),
        deploy(),
        gate(),
        super::demo::command(),
    ]
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Checks a store that no server has open, and mends what can be mended")
        .long_about(
            "Checks a store that no server has open: every byte, every trace, and whether a search finds what is there. \
             Exit status 0: whole, 1: broken, 2: wrong use.",
        )
        .arg(several("store", "DIR", "Directory of a store; STORAGE_PATH without it").value_parser(value_parser!(PathBuf)))
        .arg(switch("repair", "Mend what can be mended; what was there before is kept under another name"))
        .arg(output())
}

fn import() -> Command {
    Command::new("import")
        .about("Sends Zipkin JSON from files to a running server")
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .num_args(1..)
                .value_parser(value_parser!(PathBuf))
                .help("Arrays of spans or of traces, or one a line, gzip or not; - is standard input"),
        )
        .args(server())
        .arg(
            one(
                "resume",
                "FILE",
                "Remember there what is stored, and go on from it",
            )
            .value_parser(value_parser!(PathBuf)),
        )
        .arg(switch("skip-bad", "Leave out what is no span, and count it"))
        .arg(
            one("connections", "N", "Requests at one time")
                .default_value("4")
                .value_parser(value_parser!(u16).range(1..=256)),
        )
        .arg(
            one("batch", "SPANS", "Spans in a request")
                .default_value("1000")
                .value_parser(value_parser!(u32).range(1..=100_000)),
        )
}

fn export() -> Command {
    let filters = FILTERS.map(|(flag, parameter, help)| one(flag, parameter, help));
    Command::new("export")
        .about("Writes traces of a running server as Zipkin JSON, one trace a line")
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Where to; standard output without it, and for -"),
        )
        .args(server())
        .arg(
            one("from", "MILLISECONDS", "Traces from this moment on, since 1970")
                .default_value("0")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            one(
                "to",
                "MILLISECONDS",
                "Traces up to this moment, since 1970; all without it",
            )
            .value_parser(value_parser!(u64)),
        )
        .args(filters)
        .arg(switch("gzip", "Compress"))
        .arg(
            one(
                "resume",
                "FILE",
                "Remember there what is written, and go on from it; needs a file to write to",
            )
            .value_parser(value_parser!(PathBuf))
            .requires("file"),
        )
        .arg(switch(
            "allow-partial",
            "Go on where the server lacks what is damaged",
        ))
}

fn deploy() -> Command {
    Command::new("deploy")
        .about("Tells a running server of a deployment")
        .long_about(
            "Tells a running server of a deployment. With the same --id again, adds to it: --end now, --instance, \
             --metadata. Exit status 0: told, 1: refused, 2: wrong use, 4: the server is not reachable.",
        )
        .args(DEPLOYMENT_TEXTS.map(|(flag, _, value, help)| {
            one(flag, value, help).required(["service", "version"].contains(&flag))
        }))
        .args(DEPLOYMENT_MOMENTS.map(|(flag, _, help)| one(flag, "MILLISECONDS", help).value_parser(moment)))
        .arg(
            several("instance", "IP[:PORT]", "An instance that has switched: IP, IP:PORT or [IP]:PORT, and perhaps @MILLISECONDS when; now without it")
                .value_parser(parse_instance),
        )
        .arg(several("metadata", "KEY=VALUE", "Shown to people, such as commit=9f31c2e").value_parser(parse_metadata))
        .args(server())
        .arg(output())
}

fn gate() -> Command {
    Command::new("gate")
        .about("Waits until a running server has a verdict about a deployment")
        .long_about(
            "Waits until a running server has a verdict about a deployment. Exit status 0: go on, 1: roll back, \
             2: wrong use, 3: not enough data in time, 4: the server is not reachable.",
        )
        .args(GATE_TEXTS.map(|(flag, _, value, help)| {
            one(flag, value, help).required(["service", "version"].contains(&flag))
        }))
        .arg(
            one("monitor", "TIME", "How long to wait for a verdict, such as 90s or 15m")
                .default_value("10m")
                .value_parser(patience),
        )
        .arg(
            one("min-score", "SCORE", "The score it passes with, 0 to 100; 90 without it").value_parser(score),
        )
        .arg(switch(
            "require-budget",
            "Roll back where the error budget of the service is spent",
        ))
        .args(server())
        .arg(output())
}

/// Flags that say which deployment, their parameters, what they take and what they are.
const GATE_TEXTS: [(&str, &str, &str, &str); 3] = [
    ("service", "serviceName", "NAME", "The service"),
    ("version", "version", "VERSION", "The version that goes live"),
    ("environment", "environment", "NAME", "Where, such as prod"),
];

/// A time that is not meant to be milliseconds.
fn patience(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has no unit, such as 90s or 15m".to_owned());
    }
    super::parse::duration(text)
}

fn score(text: &str) -> Result<f64, String> {
    let score = text.parse().ok().filter(|score| (0.0..=100.0).contains(score));
    score.ok_or_else(|| "is no number from 0 to 100".to_owned())
}

/// Flags of a deployment, their fields, what they take and what they are.
const DEPLOYMENT_TEXTS: [(&str, &str, &str, &str); 6] = [
    ("service", "serviceName", "NAME", "The service"),
    ("version", "version", "VERSION", "The version that goes live"),
    (
        "previous-version",
        "previousVersion",
        "VERSION",
        "What it replaces; found from spans without it",
    ),
    ("environment", "environment", "NAME", "Where, such as prod"),
    (
        "strategy",
        "strategy",
        "NAME",
        "rolling, canary, blue_green or recreate",
    ),
    (
        "id",
        "id",
        "ID",
        "An identifier of your own, such as the number of the pipeline's run",
    ),
];

const DEPLOYMENT_MOMENTS: [(&str, &str, &str); 2] = [
    (
        "start",
        "startTs",
        "When the first instance began to switch, since 1970; now without it",
    ),
    (
        "end",
        "endTs",
        "When the last instance had switched, since 1970, or now",
    ),
];

/// Epoch milliseconds; `None` is now.
fn moment(text: &str) -> Result<Option<u64>, String> {
    match text {
        "now" => Ok(None),
        _ => text
            .parse()
            .map(Some)
            .map_err(|_| "is neither epoch milliseconds nor now".to_owned()),
    }
}

/// An instance as the API takes it, without when it switched where that was not told.
fn parse_instance(text: &str) -> Result<serde_json::Value, String> {
    let (place, at) = match text.split_once('@') {
        Some((place, at)) => (place, moment(at)?),
        None => (text, None),
    };
    let mut instance = match (place.parse::<IpAddr>(), place.parse::<SocketAddr>()) {
        (Ok(ip), _) => serde_json::json!({"ip": ip}),
        (_, Ok(address)) => serde_json::json!({"ip": address.ip(), "port": address.port()}),
        _ => return Err("is neither IP, IP:PORT nor [IP]:PORT".to_owned()),
    };
    if let Some(at) = at {
        instance["switchTs"] = at.into();
    }
    Ok(instance)
}

fn parse_metadata(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|pair| !pair.0.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "is not KEY=VALUE".to_owned())
}

/// Flags, and the parameters of the search API that they stand for.
const FILTERS: [(&str, &str, &str); 7] = [
    ("service", "serviceName", "Traces with a span of this service"),
    (
        "remote-service",
        "remoteServiceName",
        "Traces with a call of this service",
    ),
    ("span-name", "spanName", "Traces with a span of this name"),
    (
        "annotation-query",
        "annotationQuery",
        "Traces with these annotations and tags, as \"error and http.method=GET\"",
    ),
    (
        "min-duration",
        "minDuration",
        "Traces with a span this long, microseconds",
    ),
    (
        "max-duration",
        "maxDuration",
        "Traces with a span at most this long, microseconds",
    ),
    ("q", "q", "Traces with this text"),
];

pub(super) fn one(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn several(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    one(name, value, help).action(ArgAction::Append)
}

pub(super) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn output() -> Arg {
    one("output", "FORMAT", "text or json")
        .default_value("text")
        .value_parser(["text", "json"])
}

/// Which server is asked, and how it knows who asks.
fn server() -> [Arg; 2] {
    let address = one(
        "server",
        "URL",
        "The running server; https trusts whom the system trusts, or whom SSL_CERT_FILE names",
    )
    .default_value("http://127.0.0.1:9411")
    .value_parser(PeerAddress::parse);
    let token = one(
        "token",
        "TOKEN",
        "Sent to the server as a bearer token; better by the environment",
    )
    .env("TRACEHOUND_TOKEN")
    .hide_env_values(true);
    [address, token]
}

pub(super) fn given<T: Clone + Send + Sync + 'static>(flags: &ArgMatches, name: &str) -> Option<T> {
    flags.get_one::<T>(name).cloned()
}

/// # Errors
/// A token that cannot be sent. Told here and not by clap, which would repeat it.
fn server_of(flags: &ArgMatches) -> Result<ServerAccess, ConfigError> {
    let Some(address) = given(flags, "server") else {
        panic!("--server has a default");
    };
    let token: Option<String> = given(flags, "token");
    let authorization = bearer(&token.unwrap_or_default());
    let wrong = |what| ConfigError::Mistakes(vec![format!("--token or TRACEHOUND_TOKEN: {what}")]);
    Ok(ServerAccess {
        address,
        authorization: authorization.map_err(wrong)?,
    })
}

pub(super) fn read_doctor(flags: &ArgMatches, reader: &mut Reader<'_>) -> DoctorConfig {
    let storage = read_storage(reader);
    let mut stores: Vec<PathBuf> = flags.get_many("store").into_iter().flatten().cloned().collect();
    if stores.is_empty() {
        match storage.kind {
            StorageKind::Segment(config) => stores.push(config.directory),
            StorageKind::Memory { .. } => {
                reader.mistake(
                    "STORAGE_TYPE=mem keeps nothing that could be examined; --store names a directory",
                );
            }
            #[cfg(feature = "mysql")]
            StorageKind::MySql(..) => {
                reader.mistake(
                    "STORAGE_TYPE=mysql keeps its spans elsewhere; --store names the directory of a segment store",
                );
            }
            #[cfg(feature = "elasticsearch")]
            StorageKind::Elasticsearch(..) => {
                reader.mistake(
                    "STORAGE_TYPE=elasticsearch keeps its spans elsewhere; --store names the directory of a segment store",
                );
            }
            #[cfg(feature = "cassandra")]
            StorageKind::Cassandra(..) => {
                reader.mistake(
                    "STORAGE_TYPE=cassandra3 keeps its spans elsewhere; --store names the directory of a segment store",
                );
            }
        }
    }
    DoctorConfig {
        stores,
        repair: flags.get_flag("repair"),
        json: given::<String>(flags, "output").as_deref() == Some("json"),
        options: storage.options,
    }
}

pub(super) fn read_import(flags: &ArgMatches) -> Result<ImportConfig, ConfigError> {
    Ok(ImportConfig {
        files: flags.get_many("file").into_iter().flatten().cloned().collect(),
        server: server_of(flags)?,
        resume: given(flags, "resume"),
        skip_bad: flags.get_flag("skip-bad"),
        connections: usize::from(given::<u16>(flags, "connections").unwrap_or(1)),
        batch_spans: given::<u32>(flags, "batch").unwrap_or(1) as usize,
    })
}

pub(super) fn read_export(flags: &ArgMatches) -> Result<ExportConfig, ConfigError> {
    let filter = |(flag, parameter, _): &(&str, &str, &str)| {
        let value: String = given(flags, flag)?;
        Some(format!("&{parameter}={}", encoded(&value)))
    };
    Ok(ExportConfig {
        server: server_of(flags)?,
        file: given(flags, "file").filter(|file: &PathBuf| file.as_os_str() != "-"),
        gzip: flags.get_flag("gzip"),
        from_ms: given(flags, "from").unwrap_or(0),
        to_ms: given(flags, "to").unwrap_or(ExportConfig::END_MS),
        filters: FILTERS.iter().filter_map(filter).collect(),
        resume: given(flags, "resume"),
        allow_partial: flags.get_flag("allow-partial"),
    })
}

pub(super) fn read_deploy(flags: &ArgMatches) -> Result<DeployConfig, ConfigError> {
    let text =
        |(flag, field, ..): &(&str, &'static str, &str, &str)| Some((*field, given::<String>(flags, flag)?));
    let moment = |flag: &str| given::<Option<u64>>(flags, flag);
    Ok(DeployConfig {
        server: server_of(flags)?,
        json: given::<String>(flags, "output").as_deref() == Some("json"),
        texts: DEPLOYMENT_TEXTS.iter().filter_map(text).collect(),
        start: moment("start"),
        end: moment("end"),
        instances: flags
            .get_many("instance")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        metadata: flags
            .get_many("metadata")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
    })
}

pub(super) fn read_gate(flags: &ArgMatches) -> Result<GateConfig, ConfigError> {
    let text = |(flag, parameter, ..): &(&str, &'static str, &str, &str)| {
        Some((*parameter, given::<String>(flags, flag)?))
    };
    let min_score = given::<f64>(flags, "min-score").map(|score| ("minScore", score.to_string()));
    let require_budget = flags
        .get_flag("require-budget")
        .then(|| ("requireBudget", "true".to_owned()));
    let parameters = GATE_TEXTS
        .iter()
        .filter_map(text)
        .chain(min_score)
        .chain(require_budget);
    Ok(GateConfig {
        server: server_of(flags)?,
        json: given::<String>(flags, "output").as_deref() == Some("json"),
        parameters: parameters.collect(),
        // It has a default.
        monitor: given(flags, "monitor").unwrap_or_default(),
    })
}

/// As a value in a URL.
pub(crate) fn encoded(value: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}
