//! What counts as a change, and how long a rollout is observed.

use std::time::Duration;

use regression::analysis::Options;

use super::parse;
use super::values::Reader;

/// Instances that warm up for longer never serve normally.
const WARM_UP_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Spans are seldom kept for longer.
const MONITOR_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Fewer traces a side tell nothing; more than the second are not compared.
const TRACES: (usize, usize) = (10, 20_000);

/// What is not told stays as it is.
pub(super) fn read(reader: &mut Reader<'_>) -> Options {
    Options {
        min_micros: 1_000.0 * reader.read("ANALYSIS_MIN_CHANGE_MS", millis),
        min_relative_concurrent: reader.read("ANALYSIS_MIN_CHANGE_PERCENT", share),
        min_relative_before_after: reader.read("ANALYSIS_MIN_CHANGE_BEFORE_AFTER_PERCENT", share),
        min_traces: reader.read("ANALYSIS_MIN_TRACES", traces),
        warm_up_ms: reader.read("ANALYSIS_WARM_UP", |value| at_most(value, WARM_UP_MAX)),
        monitor_ms: reader.read("ANALYSIS_MONITOR", |value| at_most(value, MONITOR_MAX)),
        ..Options::default()
    }
}

fn millis(value: &str) -> Result<f64, String> {
    within(value, 0.001, 60_000.0)
}

/// Of a percentage.
fn share(value: &str) -> Result<f64, String> {
    within(value, 0.1, 90.0).map(|percent| percent / 100.0)
}

fn traces(value: &str) -> Result<usize, String> {
    match parse::count(value)? {
        count if (TRACES.0..=TRACES.1).contains(&count) => Ok(count),
        _ => Err(format!("must be from {} to {}", TRACES.0, TRACES.1)),
    }
}

fn within(value: &str, least: f64, most: f64) -> Result<f64, String> {
    match parse::number::<f64>(value)? {
        number if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be from {least} to {most}")),
    }
}

/// Milliseconds.
fn at_most(value: &str, most: Duration) -> Result<u64, String> {
    match parse::duration(value)? {
        duration if duration <= most => Ok(duration.as_millis() as u64),
        _ => Err(format!("must be at most {} h", most.as_secs() / 3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::read_from;
    use super::*;

    #[test]
    fn the_settings_have_the_defaults_of_the_analysis() {
        let (options, mistakes) = read_from(&[], read);
        assert_eq!(options, Options::default());
        assert_eq!(mistakes, [""; 0]);
    }

    #[test]
    fn what_counts_as_a_change_can_be_told_within_bounds() {
        let told = [
            ("ANALYSIS_MIN_CHANGE_MS", "2.5"),
            ("ANALYSIS_MIN_CHANGE_PERCENT", "8"),
            ("ANALYSIS_MIN_CHANGE_BEFORE_AFTER_PERCENT", "20"),
            ("ANALYSIS_MIN_TRACES", "100"),
            ("ANALYSIS_WARM_UP", "3m"),
            ("ANALYSIS_MONITOR", "2h"),
        ];
        let (options, mistakes) = read_from(&told, read);
        let expected = Options {
            min_micros: 2_500.0,
            min_relative_concurrent: 0.08,
            min_relative_before_after: 0.2,
            min_traces: 100,
            warm_up_ms: 180_000,
            monitor_ms: 7_200_000,
            ..Options::default()
        };
        assert_eq!((options, mistakes.len()), (expected, 0));
        for (name, value) in [
            ("ANALYSIS_MIN_CHANGE_MS", "0"),
            ("ANALYSIS_MIN_CHANGE_PERCENT", "100"),
            ("ANALYSIS_MIN_CHANGE_BEFORE_AFTER_PERCENT", "NaN"),
            ("ANALYSIS_MIN_TRACES", "9"),
            ("ANALYSIS_WARM_UP", "25h"),
            ("ANALYSIS_MONITOR", "31d"),
        ] {
            let (_, mistakes) = read_from(&[(name, value)], read);
            assert_eq!(mistakes.len(), 1, "{name}={value}");
        }
    }
}
