//! What the server says of itself: one line an event on standard output, as text or as JSON.

use tracing_subscriber::EnvFilter;

use crate::config::LogConfig;

/// What it calls errors are the ends of connections, which it tells its caller as well, who tries again and says so.
const QUIET: &str = "lapin=off";

/// Starts logging. Only the first call in a process has an effect.
pub(crate) fn start(config: &LogConfig) {
    // What the operator asks for comes later, and wins.
    let filter = EnvFilter::new(format!("{QUIET},{}", config.filter));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Otherwise what cannot be written is told on standard error, and the thread panics where that fails too: on a
        // full disk that has the log, the server would end.
        .log_internal_errors(false)
        .with_writer(std::io::stdout);
    let started = if config.json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_ansi(false).try_init()
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging has been started already");
    }
}
