//! How much of the time work may take that nobody waits for.

use std::time::Duration;

/// The smallest there is: less would never get anything done.
const LEAST: f64 = 0.001;

/// A share of the time of one processor, 0.001 to 1; a twentieth unless told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Default for Share {
    fn default() -> Self {
        Self(0.05)
    }
}

impl Share {
    /// The nearest there is; what is not a number is the least.
    pub fn new(share: f64) -> Self {
        match share >= LEAST {
            true => Self(share.min(1.0)),
            false => Self(LEAST),
        }
    }

    /// For how long nothing more is done after work that took so long, however much else went on meanwhile.
    pub(crate) fn rest_after(self, took: Duration) -> Duration {
        took.mul_f64((1.0 - self.0) / self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_its_share_of_the_time_and_no_more() {
        let took = Duration::from_millis(100);
        let rest = Share::new(0.05).rest_after(took);
        assert!((rest.as_secs_f64() - 1.9).abs() < 1e-6, "{rest:?}");
        assert_eq!(Share::new(1.0).rest_after(took), Duration::ZERO);
        for least in [0.0, -1.0, f64::NAN] {
            assert_eq!(Share::new(least), Share::new(LEAST), "{least}");
        }
    }
}
