//! `tracehound import`: Zipkin JSON from files, as fast as a running server takes it.
//!
//! ```text
//! a thread: file ─▶ inflate ─▶ spans (`items.rs`) ─▶ batches ─▶ a bounded queue ─▶ connections, some at one time
//! ```
//!
//! What was stored without a gap from the start is remembered in a file, if one is named, so that an import that was
//! interrupted goes on there. Storing a span twice is harmless.

mod items;
mod progress;
mod send;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::api_client::ServerAccess;

/// What the import is told.
#[derive(Debug)]
pub(crate) struct ImportConfig {
    /// `-` is standard input.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) server: ServerAccess,
    /// Where the places that were reached are remembered.
    pub(crate) resume: Option<PathBuf>,
    /// Leaves out what is not a span, and counts it.
    pub(crate) skip_bad: bool,
    /// Requests at one time.
    pub(crate) connections: usize,
    /// Spans in a request.
    pub(crate) batch_spans: usize,
}

/// Imports one file after the other; the first that cannot be imported ends it.
pub(crate) fn run(config: ImportConfig) -> ExitCode {
    let config = Arc::new(config);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tracehound: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let imported = runtime.block_on(send::import(&config));
    // Whoever reads standard input may never come to an end.
    runtime.shutdown_background();
    match imported {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracehound: {error:#}");
            if let Some(resume) = &config.resume {
                eprintln!("tracehound: the same command goes on from {}", resume.display());
            }
            ExitCode::FAILURE
        }
    }
}
