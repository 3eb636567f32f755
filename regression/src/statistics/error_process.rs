//! Errors as they come, looked at as often as one likes: whose are they, given who served how much?

use super::distribution::{ln_beta, within_unit};

/// Evidence that errors do not fall on the candidate in proportion to its traffic: an e-process, whose chance to
/// ever reach 1/α is at most α if they do.
///
/// Given an error, it is the candidate's with probability θ, its share of the requests in that minute, if both
/// versions fail alike. Against that stands a mixture of all other probabilities, beta distributed: after s of n errors,
/// the product being over minutes,
///
/// ```text
/// E = B(a + s, b + n − s)/B(a, b) / Π θˢ(1 − θ)ⁿ⁻ˢ
/// ```
///
/// How often requests fail at all does not matter, nor how it varies. More and fewer errors are both evidence;
/// [`ErrorProcess::excess`] tells which.
///
/// Errors that come in bursts from one cause must be counted once.
/// J. Ville's inequality; M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data", 2022.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorProcess {
    prior: (f64, f64),
    candidate: u64,
    baseline: u64,
    // Σ s·ln θ + (n−s)·ln(1−θ), and Σ n·θ.
    null_log_likelihood: f64,
    expected: f64,
}

/// Every probability alike.
impl Default for ErrorProcess {
    fn default() -> Self {
        Self {
            prior: (1.0, 1.0),
            candidate: 0,
            baseline: 0,
            null_log_likelihood: 0.0,
            expected: 0.0,
        }
    }
}

impl ErrorProcess {
    /// Counts the errors of a minute in which the candidate served `candidate_share` of the requests. A minute that
    /// one version served alone says nothing and is not counted.
    pub fn record(&mut self, candidate_errors: u64, baseline_errors: u64, candidate_share: f64) {
        let Some(share) = within_unit(candidate_share) else {
            return;
        };
        let (candidate, baseline) = (candidate_errors as f64, baseline_errors as f64);
        self.candidate = self.candidate.saturating_add(candidate_errors);
        self.baseline = self.baseline.saturating_add(baseline_errors);
        self.null_log_likelihood += candidate * share.ln() + baseline * (-share).ln_1p();
        self.expected += (candidate + baseline) * share;
    }

    /// ln E: 0 at first, less while errors fall as the traffic does.
    pub fn log_e_value(&self) -> f64 {
        let (a, b) = self.prior;
        let mixture = ln_beta(a + self.candidate as f64, b + self.baseline as f64) - ln_beta(a, b);
        mixture - self.null_log_likelihood
    }

    /// 1/E, at most 1: the least α at which the evidence suffices now.
    pub fn p_value(&self) -> f64 {
        (-self.log_e_value()).exp().min(1.0)
    }

    /// The candidate's errors less those its traffic explains.
    pub fn excess(&self) -> f64 {
        self.candidate as f64 - self.expected
    }
}
