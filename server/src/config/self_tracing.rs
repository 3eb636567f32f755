//! Whether and how often the server traces its own requests.

use std::num::NonZeroU32;
use std::time::Duration;

use collector::Sampler;

use super::parse;
use super::values::Reader;

/// How the server traces itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SelfTracingConfig {
    pub(crate) sampling: SelfSampling,
    /// How often its spans are stored.
    pub(crate) flush_interval: Duration,
}

/// Which of the requests are traced that do not say themselves whether they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SelfSampling {
    /// A share of them.
    Share(Sampler),
    /// So many a second.
    PerSecond(NonZeroU32),
}

/// `None` unless it is enabled; mistakes are found either way.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<SelfTracingConfig> {
    let enabled = reader.read("SELF_TRACING_ENABLED", parse::boolean);
    let share = reader.read("SELF_TRACING_SAMPLE_RATE", parse::sampler);
    let per_second = reader.read("SELF_TRACING_TRACES_PER_SECOND", parse::number::<u32>);
    let flush_interval = reader.read("SELF_TRACING_FLUSH_INTERVAL", seconds);
    enabled.then_some(SelfTracingConfig {
        sampling: sampling(share, per_second),
        flush_interval,
    })
}

/// As Zipkin has it: the bound a second counts only where all are to be sampled, and 0 is none.
fn sampling(share: Sampler, per_second: u32) -> SelfSampling {
    match NonZeroU32::new(per_second) {
        Some(per_second) if share.keeps_all() => SelfSampling::PerSecond(per_second),
        _ => SelfSampling::Share(share),
    }
}

/// A duration; a bare number is seconds, as Zipkin reads this setting.
fn seconds(value: &str) -> Result<Duration, String> {
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        parse::duration(&format!("{value}s"))
    } else {
        parse::duration(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_a_second_counts_only_where_all_are_sampled() {
        let tenth = Sampler::new(0.1).unwrap();
        let ten = NonZeroU32::new(10).unwrap();
        assert_eq!(sampling(Sampler::ALL, 10), SelfSampling::PerSecond(ten));
        assert_eq!(sampling(Sampler::ALL, 0), SelfSampling::Share(Sampler::ALL));
        assert_eq!(sampling(tenth, 10), SelfSampling::Share(tenth));
        assert_eq!(sampling(tenth, 0), SelfSampling::Share(tenth));
    }

    #[test]
    fn a_bare_number_is_seconds() {
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        assert_eq!(seconds("50ms"), Ok(Duration::from_millis(50)));
        for wrong in ["", "0", "soon", "-1"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
