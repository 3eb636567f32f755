//! Proportions with few hits, exactly: all tables with the same margins are counted.

use super::{Arms, Proportion, proportion::comparable};

/// What is less probable than this part of the most probable is not followed further, and p-values are at least
/// this.
const NEGLIGIBLE: f64 = 1e-30;

/// Beyond this variance of the candidate's hits a test of all tables costs more than it says: some hundred tables.
const VARIANCE_MAX: f64 = 1000.0;

/// Tables are equally probable within this rounding.
const ROUNDING: f64 = 1e-9;

/// Two-sided p-values of the exact conditional test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExactTest {
    /// The probability of all sums of hits that are not more probable than the one seen.
    pub p_value: f64,
    /// The same, with that of the sum seen counted half, which makes up for its being discrete.
    pub mid_p_value: f64,
}

/// The distribution of a count: probabilities of `least` and those after it.
struct Counts {
    least: u64,
    probabilities: Vec<f64>,
}

/// Fisher's test, and for several strata its conditional generalisation: the distribution of the sum of the
/// candidate's hits, given how many hits each stratum has, if both versions hit alike.
///
/// `None` if no stratum has both arms, or if there are so many hits that a normal distribution serves (a variance
/// above 1,000).
/// D. R. Cox, "The analysis of binary data", 1970; the two-sided rule is Fisher's, as in R and SciPy.
pub fn exact_test(strata: &[Arms<Proportion>]) -> Option<ExactTest> {
    let mut sum = Counts {
        least: 0,
        probabilities: vec![1.0],
    };
    let (mut seen, mut variance, mut any) = (0u64, 0.0, false);
    for arms in comparable(strata) {
        any = true;
        seen = seen.checked_add(arms.candidate.hits())?;
        variance += hypergeometric_variance(arms);
        if variance > VARIANCE_MAX {
            return None;
        }
        sum = sum.plus(&hypergeometric(arms)?);
    }
    any.then(|| sum.test(seen))
}

impl Counts {
    fn test(&self, seen: u64) -> ExactTest {
        let at = seen.checked_sub(self.least).map(|at| at as usize);
        let own = at
            .and_then(|at| self.probabilities.get(at))
            .copied()
            .unwrap_or(0.0);
        let not_more: f64 = self
            .probabilities
            .iter()
            .filter(|&&probability| probability <= own * (1.0 + ROUNDING))
            .sum();
        ExactTest {
            p_value: not_more.clamp(NEGLIGIBLE, 1.0),
            mid_p_value: (not_more - own / 2.0).clamp(NEGLIGIBLE, 1.0),
        }
    }

    /// The distribution of the sum of two independent counts.
    fn plus(&self, other: &Self) -> Self {
        let mut probabilities = vec![0.0; self.probabilities.len() + other.probabilities.len() - 1];
        for (i, a) in self.probabilities.iter().enumerate() {
            for (sum, b) in probabilities[i..].iter_mut().zip(&other.probabilities) {
                *sum += a * b;
            }
        }
        Self {
            least: self.least + other.least,
            probabilities,
        }
        .trimmed()
    }

    /// Without the negligible ends, summing to 1.
    fn trimmed(mut self) -> Self {
        let greatest = self.probabilities.iter().copied().fold(0.0, f64::max);
        let counts = |probability: &f64| *probability > greatest * NEGLIGIBLE;
        let last = self.probabilities.iter().rposition(counts).unwrap_or(0);
        let first = self.probabilities.iter().position(counts).unwrap_or(0);
        self.probabilities.truncate(last + 1);
        self.probabilities.drain(..first);
        self.least += first as u64;
        let total: f64 = self.probabilities.iter().sum();
        for probability in &mut self.probabilities {
            *probability /= total;
        }
        self
    }
}

/// The candidate's hits in one stratum: from the most probable count outwards by the ratios of neighbours, so that
/// nothing large is ever computed.
fn hypergeometric(arms: Arms<Proportion>) -> Option<Counts> {
    let (n, m) = (arms.baseline.total(), arms.candidate.total());
    let hits = arms.baseline.hits().checked_add(arms.candidate.hits())?;
    let total = n.checked_add(m)?;
    let (least, greatest) = (hits.saturating_sub(n), hits.min(m));
    let mode = (u128::from(m) + 1) * (u128::from(hits) + 1) / (u128::from(total) + 2);
    let mode = (mode as u64).clamp(least, greatest);
    // P(a+1)/P(a); what is subtracted is never more, as `a` is below `greatest` and not below `least`.
    let ratio = |a: u64| {
        let up = (m - a) as f64 * (hits - a) as f64;
        let down = (a + 1) as f64 * (n + a + 1 - hits) as f64;
        up / down
    };
    let mut below = Vec::new();
    let (mut a, mut weight) = (mode, 1.0);
    while a > least && weight > NEGLIGIBLE {
        a -= 1;
        weight /= ratio(a);
        below.push(weight);
    }
    let first = a;
    let mut probabilities: Vec<f64> = below.into_iter().rev().collect();
    probabilities.push(1.0);
    (a, weight) = (mode, 1.0);
    while a < greatest && weight > NEGLIGIBLE {
        weight *= ratio(a);
        a += 1;
        probabilities.push(weight);
    }
    Some(
        Counts {
            least: first,
            probabilities,
        }
        .trimmed(),
    )
}

fn hypergeometric_variance(arms: Arms<Proportion>) -> f64 {
    let (n, m) = (arms.baseline.total() as f64, arms.candidate.total() as f64);
    let hits = arms.baseline.hits() as f64 + arms.candidate.hits() as f64;
    let total = n + m;
    n / total * (m / total) * hits * ((total - hits) / (total - 1.0))
}
