//! What a long run is at, for who waits: a bar on a terminal, and a line for each thing that happened everywhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const DRAWN_EVERY: Duration = Duration::from_millis(500);
const TEMPLATE: &str = "{elapsed_precise} {bar:30} {pos} of {len}  {msg}";

/// Phases of a run, of which it is known how many there are.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of so many phases, none of which has begun.
    pub(crate) fn of(phases: usize) -> Self {
        let bar = ProgressBar::new(phases as u64);
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.enable_steady_tick(DRAWN_EVERY);
        Self { bar }
    }

    /// A phase begins.
    pub(crate) fn begin(&self, what: String) {
        self.tell(&what);
        self.bar.set_message(what);
    }

    /// So many phases are over, or will not be.
    pub(crate) fn end(&self, phases: usize) {
        self.bar.inc(phases as u64);
    }

    /// A line that stays.
    pub(crate) fn tell(&self, line: &str) {
        match self.bar.is_hidden() {
            true => eprintln!("{line}"),
            false => self.bar.println(line),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_that_ended_are_counted_and_named() {
        let progress = Progress::of(3);
        progress.begin("first".to_owned());
        progress.end(1);
        progress.begin("second".to_owned());
        assert_eq!((progress.bar.position(), progress.bar.length()), (1, Some(3)));
        assert_eq!(progress.bar.message(), "second");
    }
}
