//! The few distributions that p-values and bounds come from, over the functions of `special`.

use special::{Beta, Error, Gamma};

use super::search::first;

/// Above so many degrees of freedom the incomplete beta function takes long for Student's t, without end in the extreme,
/// and the first terms of its expansion about the normal distribution give twelve digits.
const FREEDOM_MAX: f64 = 1e4;

/// Above this variance the incomplete beta function takes ever longer (the root of it), and the normal distribution
/// gives six digits.
const BINOMIAL_VARIANCE_MAX: f64 = 1e6;

/// Below this probability, events are rare.
const RARE_MAX: f64 = 1e-4;

/// P(|Z| > |z|).
pub fn two_sided_p(z: f64) -> f64 {
    (z.abs() / std::f64::consts::SQRT_2).compl_error()
}

/// P(Z > z).
pub(super) fn normal_above(z: f64) -> f64 {
    0.5 * (z / std::f64::consts::SQRT_2).compl_error()
}

/// The z that is exceeded with `probability`; `None` outside (0, 1).
pub(super) fn normal_upper(probability: f64) -> Option<f64> {
    within_unit(probability)?;
    // Near 1 the tail has no digits left; the other one has.
    let tail = probability.min(1.0 - probability);
    let z = first(|z| normal_above(z) <= tail).max(0.0);
    Some(if probability > 0.5 { -z } else { z })
}

/// How many standard errors a two-sided interval of this confidence extends.
pub(super) fn critical(level: f64) -> Option<f64> {
    normal_upper((1.0 - within_unit(level)?) / 2.0)
}

/// The same from Student's t, for a standard error that is itself estimated with so many degrees of freedom.
pub(super) fn critical_t(level: f64, freedom: f64) -> Option<f64> {
    let outside = 1.0 - within_unit(level)?;
    if freedom.is_nan() || freedom <= 0.0 {
        return None;
    }
    if freedom > FREEDOM_MAX {
        let z = critical(level)?;
        let first_order = (z.powi(3) + z) / (4.0 * freedom);
        let second_order = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * freedom * freedom);
        return Some(z + first_order + second_order);
    }
    let guess = critical(level)?;
    Some(
        polished_t(guess, outside, freedom)
            .unwrap_or_else(|| first(|t| t >= 0.0 && two_sided_p_t(t, freedom) <= outside)),
    )
}

/// Newton's steps on the logarithms of t and of its p-value, which are nearly a line where the tail is heavy; `None`
/// where they do not come to an end. One evaluation a step, where searching takes 64.
fn polished_t(guess: f64, outside: f64, freedom: f64) -> Option<f64> {
    const STEPS_MAX: usize = 24;
    /// What is left after such a step is its square.
    const SETTLED: f64 = 1e-7;
    let ln_scale = -ln_beta(0.5, freedom / 2.0) - 0.5 * freedom.ln();
    let mut t = guess;
    for _ in 0..STEPS_MAX {
        let p = two_sided_p_t(t, freedom);
        let density = (ln_scale - (freedom + 1.0) / 2.0 * (t * t / freedom).ln_1p()).exp();
        // d ln p / d ln t, and the step to where ln p is as asked.
        let slope = -2.0 * density * t / p;
        let step = (outside / p).ln() / slope;
        t *= step.clamp(-1.0, 1.0).exp();
        if !t.is_finite() || t <= 0.0 {
            return None;
        }
        if step.abs() <= SETTLED {
            return Some(t);
        }
    }
    None
}

/// P(|T| > |t|) for Student's t with `freedom` degrees; 1 without any, as nothing is improbable then.
pub(super) fn two_sided_p_t(t: f64, freedom: f64) -> f64 {
    let square = t * t;
    if square.is_nan() || freedom.is_nan() || freedom <= 0.0 {
        return 1.0;
    }
    if square.is_infinite() {
        return 0.0;
    }
    if freedom > FREEDOM_MAX {
        return two_sided_p(normal_of_t(square, freedom));
    }
    if square < 4.0 {
        // Near 1 the other argument would lose what distinguishes it from 1; in the tail this one loses the answer.
        1.0 - regularised_beta(square / (freedom + square), 0.5, freedom / 2.0)
    } else {
        regularised_beta(freedom / (freedom + square), freedom / 2.0, 0.5)
    }
}

/// The z that is as improbable as Student's t with this `square` and many degrees of freedom.
/// G. W. Hill, "Algorithm 395: Student's t-distribution", 1970.
fn normal_of_t(square: f64, freedom: f64) -> f64 {
    // More differ from infinitely many by less than a number tells.
    let freedom = freedom.min(1e18);
    let a = freedom - 0.5;
    let b = 48.0 * a * a;
    let y = a * (square / freedom).ln_1p();
    let correction = (((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b) + y + 3.0;
    (correction / b + 1.0) * y.sqrt()
}

/// P(X >= `successes`) of a binomial distribution; defined for parts of trials as well, as a design effect makes
/// them.
pub(super) fn binomial_at_least(successes: f64, trials: f64, probability: f64) -> f64 {
    if successes <= 0.0 {
        1.0
    } else if successes > trials {
        0.0
    } else if trials * probability * (1.0 - probability) > BINOMIAL_VARIANCE_MAX {
        // The normal distribution, corrected for continuity and skewness (Cornish and Fisher).
        let deviation = (trials * probability * (1.0 - probability)).sqrt();
        let z = (successes - 0.5 - trials * probability) / deviation;
        normal_above(z - (1.0 - 2.0 * probability) / deviation * (z * z - 1.0) / 6.0)
    } else {
        regularised_beta(probability, successes, trials - successes + 1.0)
    }
}

/// ln B(a, b) for positive arguments.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    a.ln_beta(b)
}

fn regularised_beta(x: f64, a: f64, b: f64) -> f64 {
    // Of what is not a number the series would not end.
    if [x, a, b].into_iter().any(f64::is_nan) {
        return f64::NAN;
    }
    let x = x.clamp(0.0, 1.0);
    let beta = if is_rare(x, a, b) {
        rare_beta(x, a, b)
    } else if is_rare(1.0 - x, b, a) {
        1.0 - rare_beta(1.0 - x, b, a)
    } else {
        x.inc_beta(a, b, ln_beta(a, b))
    };
    beta.clamp(0.0, 1.0)
}

/// Where the series of the incomplete beta function takes up to 36/x steps, so that it may never end.
fn is_rare(x: f64, a: f64, b: f64) -> bool {
    x < RARE_MAX && a < RARE_MAX * b
}

/// The incomplete beta function near its limit, which is to the incomplete gamma function as the binomial distribution
/// to Poisson's, with the first term of what is between them; the next is of the order of (a/b)⁴.
/// M. E. Wise, "The incomplete beta function as a contour integral and a quickly converging series for its inverse",
/// 1950.
fn rare_beta(x: f64, a: f64, b: f64) -> f64 {
    let scale = b + (a - 1.0) / 2.0;
    let y = -scale * (-x).ln_1p();
    let density = (a * y.ln() - y - Gamma::ln_gamma(a).0).exp();
    y.inc_gamma(a) - density * (a - 1.0) * (a + 1.0 + y) / (24.0 * scale * scale)
}

/// The number, if it is strictly between 0 and 1.
pub(super) fn within_unit(number: f64) -> Option<f64> {
    (number > 0.0 && number < 1.0).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Table {
        of: String,
        cases: Vec<Vec<f64>>,
    }

    fn relative_error(found: f64, expected: f64) -> f64 {
        (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE)
    }

    /// (arguments…, expected) of each function, by SciPy.
    #[test]
    fn distributions_are_those_of_scipy() {
        let tables: Vec<Table> =
            serde_json::from_str(include_str!("../../testdata/distributions.json")).unwrap();
        assert_eq!(tables.len(), 6);
        for Table { of, cases } in tables {
            for case in cases {
                let (&expected, arguments) = case.split_last().unwrap();
                let (found, tolerance) = match (of.as_str(), arguments) {
                    ("two_sided_p", &[z]) => (two_sided_p(z), 1e-13),
                    ("normal_upper", &[p]) => (normal_upper(p).unwrap(), 1e-13),
                    ("two_sided_p_t", &[t, freedom]) => (two_sided_p_t(t, freedom), 1e-10),
                    ("critical_t", &[level, freedom]) => (critical_t(level, freedom).unwrap(), 1e-11),
                    ("binomial_at_least", &[k, n, q]) => {
                        let approximate = n * q * (1.0 - q) > BINOMIAL_VARIANCE_MAX;
                        (binomial_at_least(k, n, q), if approximate { 1e-6 } else { 1e-7 })
                    }
                    _ => panic!("no function {of} of {} arguments", arguments.len()),
                };
                if expected == 0.0 {
                    assert!(found.abs() < 1e-15, "{of}({arguments:?}) is {found}");
                } else {
                    assert!(
                        relative_error(found, expected) < tolerance,
                        "{of}({arguments:?}) is {found:e} and not {expected:e}"
                    );
                }
            }
        }
    }

    /// What the steps end at is where the p-value is as asked, and they do end.
    #[test]
    fn steps_come_to_what_searching_finds() {
        for freedom in [0.8, 1.0, 2.0, 3.5, 6.0, 11.0, 22.0, 150.0, 9_999.0] {
            for outside in [0.2, 0.1, 0.05, 0.01, 1e-4] {
                let guess = critical(1.0 - outside).unwrap();
                let found = polished_t(guess, outside, freedom).unwrap();
                let expected = first(|t| t >= 0.0 && two_sided_p_t(t, freedom) <= outside);
                assert!(
                    relative_error(found, expected) < 1e-10,
                    "{outside} {freedom}: {found} and not {expected}"
                );
            }
        }
    }

    #[test]
    fn arguments_outside_have_no_answer_and_certain_ones_are_certain() {
        assert_eq!(critical(0.0), None);
        assert_eq!(critical(1.0), None);
        assert_eq!(critical(f64::NAN), None);
        assert_eq!(critical_t(0.95, 0.0), None);
        assert_eq!(critical_t(0.95, f64::NAN), None);
        assert_eq!(two_sided_p_t(1e200, 3.0), 0.0);
        assert_eq!(two_sided_p_t(1e200, 1e5), 0.0);
        assert_eq!(two_sided_p_t(2.0, f64::NAN), 1.0);
        assert_eq!(two_sided_p_t(2.0, 0.0), 1.0);
        assert_eq!(two_sided_p_t(f64::NAN, 5.0), 1.0);
        assert_eq!(two_sided_p_t(1.5, f64::MAX), two_sided_p(1.5));
        assert_eq!(two_sided_p_t(1.5, f64::INFINITY), two_sided_p(1.5));
        assert!(binomial_at_least(f64::NAN, 5.0, 0.3).is_nan());
        assert_eq!(binomial_at_least(0.0, 5.0, 0.3), 1.0);
        assert_eq!(binomial_at_least(6.0, 5.0, 0.3), 0.0);
    }

    /// Where the two ways meet, they agree.
    #[test]
    fn many_trials_continue_what_fewer_begin() {
        for q in [0.01f64, 0.3, 0.99] {
            let trials = (BINOMIAL_VARIANCE_MAX / q / (1.0 - q)).floor();
            for z in [-3.0, 0.0, 3.0] {
                let successes = |trials: f64| (trials * q + z * 1000.0).round();
                let exact = binomial_at_least(successes(trials), trials, q);
                let normal = binomial_at_least(successes(trials + 200.0), trials + 200.0, q);
                assert!(relative_error(normal, exact) < 2e-3, "{q} {z}: {exact} {normal}");
            }
        }
    }
}
