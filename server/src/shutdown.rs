//! When to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Done at the first SIGTERM or SIGINT. A second one ends the process at once, as if nobody listened.
///
/// # Errors
/// Where the operating system does not let signals be listened for.
pub(crate) fn requested() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping: no more connections are accepted");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("asked to stop twice: stopping at once");
            std::process::exit(1);
        });
    })
}
