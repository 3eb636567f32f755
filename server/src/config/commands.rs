//! Everything but serving that the binary does: its subcommands, their flags, and what they are told.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::values::Reader;
use super::{StorageKind, parse, read_storage};
use crate::api_client::ServerAddress;
use crate::doctor::DoctorConfig;
use crate::export::ExportConfig;
use crate::import::ImportConfig;

/// All of them.
pub(super) fn commands() -> [Command; 3] {
    [doctor(), import(), export()]
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
        .arg(server())
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
        .arg(server())
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

fn one(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn several(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    one(name, value, help).action(ArgAction::Append)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn output() -> Arg {
    one("output", "FORMAT", "text or json")
        .default_value("text")
        .value_parser(["text", "json"])
}

fn server() -> Arg {
    one("server", "URL", "The running server")
        .default_value("http://127.0.0.1:9411")
        .value_parser(ServerAddress::parse)
}

fn given<T: Clone + Send + Sync + 'static>(flags: &ArgMatches, name: &str) -> Option<T> {
    flags.get_one::<T>(name).cloned()
}

/// The address has a default, so there is one.
fn server_of(flags: &ArgMatches) -> ServerAddress {
    match given(flags, "server") {
        Some(server) => server,
        None => panic!("--server has a default"),
    }
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
        }
    }
    DoctorConfig {
        stores,
        repair: flags.get_flag("repair"),
        json: given::<String>(flags, "output").as_deref() == Some("json"),
        options: storage.options,
    }
}

pub(super) fn read_import(flags: &ArgMatches) -> ImportConfig {
    ImportConfig {
        files: flags.get_many("file").into_iter().flatten().cloned().collect(),
        server: server_of(flags),
        resume: given(flags, "resume"),
        skip_bad: flags.get_flag("skip-bad"),
        connections: usize::from(given::<u16>(flags, "connections").unwrap_or(1)),
        batch_spans: given::<u32>(flags, "batch").unwrap_or(1) as usize,
    }
}

pub(super) fn read_export(flags: &ArgMatches) -> ExportConfig {
    let filter = |(flag, parameter, _): &(&str, &str, &str)| {
        let value: String = given(flags, flag)?;
        Some(format!("&{parameter}={}", encoded(&value)))
    };
    ExportConfig {
        server: server_of(flags),
        file: given(flags, "file").filter(|file: &PathBuf| file.as_os_str() != "-"),
        gzip: flags.get_flag("gzip"),
        from_ms: given(flags, "from").unwrap_or(0),
        to_ms: given(flags, "to").unwrap_or(ExportConfig::END_MS),
        filters: FILTERS.iter().filter_map(filter).collect(),
        resume: given(flags, "resume"),
        allow_partial: flags.get_flag("allow-partial"),
    }
}

/// As a value in a URL.
fn encoded(value: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}
