//! The Tracehound server: a Zipkin that keeps its promises.
//!
//! `config` says what is wanted, `wiring` puts the parts together, `http` serves them, `shutdown` says when to
//! stop. `doctor`, `import`, `export`, `deploy`, `gate` and `demo` are the other things the binary does.

mod api_client;
mod beside;
mod config;
mod demo;
mod deploy;
mod doctor;
mod document;
mod export;
mod gate;
mod grpc;
mod http;
mod import;
mod intake;
mod jaeger;
mod lock;
mod otlp;
mod peer;
mod self_tracing;
mod shutdown;
mod store;
mod telemetry;
mod watching;
mod webhook;
mod wiring;

use std::process::ExitCode;

use config::{Config, ConfigError, Task};

/// What a wrong configuration ends with, as a wrong command line does.
const WRONG_USE: u8 = 2;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Task::load() {
        Ok(Task::Serve(config)) => serve(*config),
        Ok(Task::Doctor(config)) => doctor::run(&config),
        Ok(Task::Import(config)) => import::run(config),
        Ok(Task::Export(config)) => export::run(&config),
        Ok(Task::Deploy(config)) => deploy::run(&config),
        Ok(Task::Gate(config)) => gate::run(&config),
        Ok(Task::Demo(server, config)) => demo::run(*server, &config),
        Ok(Task::DemoInstance) => demo::run_instance(),
        Err(ConfigError::CommandLine(error)) => error.exit(),
        Err(ConfigError::Mistakes(mistakes)) => {
            for mistake in mistakes {
                eprintln!("tracehound: {mistake}");
            }
            ExitCode::from(WRONG_USE)
        }
    }
}

fn serve(config: Config) -> ExitCode {
    telemetry::start(&config.logs);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tracehound: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(wiring::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            eprintln!("tracehound: {error:#}");
            ExitCode::FAILURE
        }
    }
}
