//! What the server says of itself: one line an event, as text or as JSON; on standard output, or on standard error where
//! a command has something else to say there.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::config::{LogConfig, LogOutput};

/// What they call errors are the ends of connections, which they tell their caller as well, who tries again and says so.
const QUIET: &str = "lapin=off,scylla=off";

/// Starts logging. Only the first call in a process has an effect.
pub(crate) fn start(config: &LogConfig) {
    // What the operator asks for comes later, and wins.
    let filter = EnvFilter::new(format!("{QUIET},{}", config.filter));
    let output = match config.output {
        LogOutput::Standard => BoxMakeWriter::new(std::io::stdout),
        LogOutput::Error => BoxMakeWriter::new(std::io::stderr),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Otherwise what cannot be written is told on standard error, and the thread panics where that fails too: on a
        // full disk that has the log, the server would end.
        .log_internal_errors(false)
        .with_writer(output);
    let started = if config.json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_ansi(false).try_init()
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging has been started already");
    }
}
