//! The boundary sampler: the same traces are kept by every server with the same rate (`zipkin.md` 9).

use model::TraceId;

/// Keeps a trace if the magnitude of its low 64 bits, as a signed number, is within a boundary. Debug spans are
/// always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    boundary: i64,
}

/// A rate outside 0 to 1, or no number.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a rate: it must be between 0.0 and 1.0")]
pub struct InvalidRate(f32);

impl Sampler {
    /// Keeps everything.
    pub const ALL: Self = Self { boundary: i64::MAX };

    /// Keeps about `rate` of all traces. Single precision, as Zipkin's is: a fleet of both must agree.
    ///
    /// # Errors
    /// [`InvalidRate`].
    pub fn new(rate: f32) -> Result<Self, InvalidRate> {
        if !(0.0..=1.0).contains(&rate) {
            return Err(InvalidRate(rate));
        }
        Ok(Self {
            boundary: (i64::MAX as f32 * rate) as i64,
        })
    }

    /// True if nothing is ever dropped.
    pub fn keeps_all(self) -> bool {
        self.boundary == i64::MAX
    }

    /// True if a span of this trace is to be kept.
    pub fn keeps(self, trace_id: TraceId, debug: bool) -> bool {
        // The most negative number has no magnitude of its own type; it counts as the greatest.
        let magnitude = (trace_id.low() as i64).checked_abs().unwrap_or(i64::MAX);
        debug || magnitude <= self.boundary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(rate: f32, low: i64) -> bool {
        Sampler::new(rate)
            .unwrap()
            .keeps(TraceId::new(7, low as u64).unwrap(), false)
    }

    #[test]
    fn keeps_by_magnitude() {
        let tenth = (i64::MAX as f32 * 0.1) as i64;
        assert!(keeps(0.1, tenth) && keeps(0.1, -tenth));
        assert!(!keeps(0.1, tenth + 1) && !keeps(0.1, -tenth - 1));
        assert!(keeps(1.0, i64::MIN) && !keeps(0.9999, i64::MIN));
        assert!(keeps(0.0, 0) && !keeps(0.0, 1));
    }

    #[test]
    fn debug_spans_are_kept_whatever_the_rate() {
        assert!(
            Sampler::new(0.0)
                .unwrap()
                .keeps(TraceId::new(0, 9).unwrap(), true)
        );
    }

    #[test]
    fn a_share_of_evenly_spread_traces_is_kept() {
        let kept = (0..10_000u64)
            .filter(|n| keeps(0.25, n.wrapping_mul(0x9E37_79B9_7F4A_7C15) as i64))
            .count();
        assert!((2_300..2_700).contains(&kept), "{kept} of 10000");
    }

    #[test]
    fn refuses_what_is_no_rate() {
        for rate in [-0.1, 1.1, f32::NAN] {
            assert!(Sampler::new(rate).is_err(), "{rate}");
        }
        assert_eq!(Sampler::new(1.0), Ok(Sampler::ALL));
    }
}
