//! Every statistic against SciPy, statsmodels, published examples, or its definition written out value by value.

use regression::statistics::{
    Arms, Block, DesignEffect, Detection, ErrorProcess, Growth, Histogram, Interval, NormalMixture,
    PlannedStratum, Proportion, Rate, RatioInterval, RatioSums, Unit, benjamini_hochberg,
    clustered_difference, compare_proportions, exact_rank_test, exact_test, mean_score_test,
    permutation_test, poisson_test, proportion_difference, quantile_interval, rank_test, ratio_difference,
    risk_ratio, shift,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

const LEVEL: f64 = 0.95;

/// The cases of a file of `testdata`, of one kind.
fn cases<T: DeserializeOwned>(text: &str, kind: Option<&str>) -> Vec<T> {
    let all: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let of_kind: Vec<T> = all
        .into_iter()
        .filter(|case| kind.is_none_or(|kind| case["kind"] == kind))
        .map(|case| serde_json::from_value(case).unwrap())
        .collect();
    assert!(!of_kind.is_empty());
    of_kind
}

#[track_caller]
fn near(found: f64, expected: f64, tolerance: f64, what: &str) {
    let scale = expected.abs().max(1e-300);
    assert!(
        (found - expected).abs() <= tolerance * scale || (found - expected).abs() < 1e-14,
        "{what}: {found:e} and not {expected:e}"
    );
}

fn strata(pairs: &[(Vec<f64>, Vec<f64>)]) -> Vec<Arms<Histogram>> {
    pairs
        .iter()
        .map(|(baseline, candidate)| Arms {
            baseline: baseline.iter().copied().collect(),
            candidate: candidate.iter().copied().collect(),
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RankCase {
    name: String,
    strata: Vec<(Vec<f64>, Vec<f64>)>,
    design_effect: f64,
    z: f64,
    p_value: f64,
    effect: f64,
    shift: Shift,
}

#[derive(Deserialize)]
struct Shift {
    estimate: f64,
    low: f64,
    high: f64,
}

#[test]
fn ranks_and_shifts_are_those_of_all_pairs() {
    for case in cases::<RankCase>(include_str!("../../testdata/ranks.json"), None) {
        let name = format!("{} with design effect {}", case.name, case.design_effect);
        let strata = strata(&case.strata);
        let design_effect = DesignEffect::new(case.design_effect);
        let test = rank_test(&strata, design_effect).unwrap();
        near(test.z, case.z, 1e-12, &name);
        near(test.p_value, case.p_value, 1e-11, &name);
        near(test.effect, case.effect, 1e-12, &name);
        let shift = shift(&strata, LEVEL, design_effect).unwrap();
        // The differences of the definition are rounded, so that equal ones are.
        for (found, expected) in [
            (shift.estimate, case.shift.estimate),
            (shift.low, case.shift.low),
            (shift.high, case.shift.high),
        ] {
            assert!((found - expected).abs() < 2e-9, "{name}: {shift:?}, {expected}");
        }
        assert_eq!(shift.contains(0.0), test.p_value >= 1.0 - LEVEL, "{name}");
    }
}

#[derive(Deserialize)]
struct BlockedRanks {
    strata: Vec<BlockedStratum>,
    expected: f64,
}

#[derive(Deserialize)]
struct BlockedStratum {
    values: Vec<f64>,
    blocks: Vec<u64>,
}

#[derive(Deserialize)]
struct BlockedProportion {
    hits: Vec<u64>,
    totals: Vec<u64>,
    expected: f64,
}

#[test]
fn design_effects_are_those_of_single_values() {
    let file = include_str!("../../testdata/blocks.json");
    let mut greatest = 0.0f64;
    for case in cases::<BlockedRanks>(file, Some("ranks")) {
        let histograms: Vec<Vec<(u64, Histogram)>> = case
            .strata
            .iter()
            .map(|stratum| {
                let of = |number: u64| {
                    let pairs = stratum.values.iter().zip(&stratum.blocks);
                    pairs
                        .filter(|(_, block)| **block == number)
                        .map(|(value, _)| *value)
                        .collect()
                };
                (0..9).map(|number| (number, of(number))).collect()
            })
            .collect();
        let blocks: Vec<Vec<Block<'_>>> = histograms
            .iter()
            .map(|stratum| {
                let block = |(number, values)| Block { number, values };
                stratum
                    .iter()
                    .map(|(number, values)| block((*number, values)))
                    .collect()
            })
            .collect();
        let found = DesignEffect::of_blocks(&blocks).unwrap().factor();
        near(found, case.expected, 1e-12, "ranks");
        greatest = greatest.max(found);
    }
    for case in cases::<BlockedProportion>(file, Some("proportion")) {
        let blocks: Vec<Proportion> = case
            .hits
            .iter()
            .zip(&case.totals)
            .map(|(&hits, &total)| Proportion::new(hits, total))
            .collect();
        let found = DesignEffect::of_proportions(&blocks).unwrap().factor();
        near(found, case.expected, 1e-12, "proportion");
    }
    assert!(greatest > 3.0, "no case in which blocks matter");
}

#[derive(Deserialize)]
struct QuantileCase {
    values: Vec<f64>,
    q: f64,
    estimate: f64,
    bounds: Option<(f64, f64)>,
}

#[test]
fn quantile_intervals_are_those_of_scipy() {
    for case in cases::<QuantileCase>(include_str!("../../testdata/quantiles.json"), None) {
        let values: Histogram = case.values.iter().copied().collect();
        assert_eq!(values.quantile(case.q), Some(case.estimate));
        let found = quantile_interval(&values, case.q, LEVEL, DesignEffect::NONE);
        assert_eq!(
            found.map(|interval| (interval.low, interval.high)),
            case.bounds,
            "{} {}",
            values.count(),
            case.q
        );
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProportionCase {
    name: String,
    tables: Vec<(u64, u64, u64, u64)>,
    squared_z: f64,
    exact: Exact,
    difference: (f64, f64, f64),
    ratio: (Option<f64>, f64, Option<f64>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exact {
    p_value: f64,
    mid_p_value: f64,
}

#[track_caller]
fn near_interval(found: Interval, expected: (f64, f64, f64), tolerance: f64, what: &str) {
    near(found.estimate, expected.0, tolerance, what);
    near(found.low, expected.1, tolerance, what);
    near(found.high, expected.2, tolerance, what);
}

#[track_caller]
fn near_ratio(found: RatioInterval, expected: (Option<f64>, f64, Option<f64>), tolerance: f64, what: &str) {
    near(found.low, expected.1, tolerance, what);
    for (found, expected) in [(found.estimate, expected.0), (found.high, expected.2)] {
        assert_eq!(found.is_some(), expected.is_some(), "{what}");
        if let Some((found, expected)) = found.zip(expected) {
            near(found, expected, tolerance, what);
        }
    }
}

#[test]
fn proportions_are_those_of_statsmodels() {
    let (mut exact_ones, mut normal_ones) = (0, 0);
    for case in cases::<ProportionCase>(include_str!("../../testdata/proportions.json"), None) {
        let name = &case.name;
        let strata: Vec<Arms<Proportion>> = case
            .tables
            .iter()
            .map(|&(hits_baseline, baseline, hits_candidate, candidate)| Arms {
                baseline: Proportion::new(hits_baseline, baseline),
                candidate: Proportion::new(hits_candidate, candidate),
            })
            .collect();
        let exact = exact_test(&strata).unwrap();
        near(exact.p_value, case.exact.p_value, 1e-7, name);
        near(exact.mid_p_value, case.exact.mid_p_value, 1e-7, name);
        let difference = proportion_difference(&strata, LEVEL, DesignEffect::NONE).unwrap();
        near_interval(difference, case.difference, 1e-10, name);
        near_ratio(
            risk_ratio(&strata, LEVEL, DesignEffect::NONE).unwrap(),
            case.ratio,
            1e-5,
            name,
        );
        let test = compare_proportions(&strata, LEVEL, DesignEffect::NONE).unwrap();
        if test.exact {
            exact_ones += 1;
            near(test.p_value, exact.p_value, 1e-11, name);
        } else {
            normal_ones += 1;
            near(test.z * test.z, case.squared_z, 1e-11, name);
        }
        assert_eq!(test.z > 0.0, difference.estimate > 0.0, "{name}");
    }
    assert!(exact_ones >= 3 && normal_ones >= 3, "{exact_ones} {normal_ones}");
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PoissonCase {
    baseline: (u64, f64),
    candidate: (u64, f64),
    p_value: f64,
    ratio: (Option<f64>, f64, Option<f64>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CountCase {
    strata: Vec<(Vec<f64>, Vec<f64>)>,
    p_value: f64,
    z: Option<f64>,
    dispersion: Option<f64>,
}

#[test]
fn rates_are_those_of_scipy() {
    let file = include_str!("../../testdata/rates.json");
    for case in cases::<PoissonCase>(file, Some("poisson")) {
        let rate = |(events, exposure)| Rate { events, exposure };
        let arms = Arms {
            baseline: case.baseline,
            candidate: case.candidate,
        };
        let name = format!("{arms:?}");
        let test = poisson_test(arms.map(rate), LEVEL).unwrap();
        near(test.p_value, case.p_value, 1e-8, &name);
        near_ratio(test.ratio, case.ratio, 1e-8, &name);
    }
    for case in cases::<CountCase>(file, Some("score")) {
        let test = mean_score_test(&strata(&case.strata), DesignEffect::NONE).unwrap();
        near(test.z, case.z.unwrap(), 1e-12, "z");
        near(test.p_value, case.p_value, 1e-11, "p-value");
        near(
            test.dispersion.unwrap(),
            case.dispersion.unwrap(),
            1e-12,
            "dispersion",
        );
    }
    for case in cases::<CountCase>(file, Some("permutation")) {
        let found = permutation_test(&strata(&case.strata), 20_000, 7).unwrap();
        let deviation = (case.p_value * (1.0 - case.p_value) / 20_000.0).sqrt();
        assert!(
            (found - case.p_value).abs() < 4.0 * deviation,
            "{found} and not {}",
            case.p_value
        );
    }
}

#[derive(Deserialize)]
struct MeanCase {
    baseline: Vec<f64>,
    candidate: Vec<f64>,
    difference: (f64, f64, f64),
}

#[derive(Deserialize)]
struct RatioCase {
    numerators: Vec<f64>,
    denominators: Vec<f64>,
    ratio: f64,
    variance: f64,
}

#[test]
fn means_and_ratios_are_those_of_statsmodels() {
    let file = include_str!("../../testdata/means.json");
    for case in cases::<MeanCase>(file, Some("mean")) {
        let sums = |values: &Vec<f64>| {
            let squares = values.iter().map(|value| value * value).sum();
            RatioSums::of_values(values.len() as f64, values.iter().sum(), squares)
        };
        let arms = Arms {
            baseline: sums(&case.baseline),
            candidate: sums(&case.candidate),
        };
        let found = ratio_difference(&[arms], LEVEL, DesignEffect::NONE).unwrap();
        near_interval(found, case.difference, 1e-9, "mean");
    }
    for case in cases::<RatioCase>(file, Some("ratio")) {
        let mut sums = RatioSums::default();
        for (numerator, denominator) in case.numerators.iter().zip(&case.denominators) {
            sums.add(*numerator, *denominator);
        }
        near(sums.ratio().unwrap(), case.ratio, 1e-12, "ratio");
        near(sums.variance().unwrap(), case.variance, 1e-9, "variance");
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusteredCase {
    name: String,
    /// Stratum, place, period, y and x.
    baseline: Vec<(usize, u64, u64, f64, f64)>,
    candidate: Vec<(usize, u64, u64, f64, f64)>,
    baseline_ratio: f64,
    difference: (f64, f64, f64),
    p_value: f64,
    standard_error: f64,
}

/// Regressions that are robust to what blocks share, by statsmodels, for each arm.
#[test]
fn means_of_what_shares_blocks_are_those_of_statsmodels() {
    let file = include_str!("../../testdata/clusters.json");
    for case in cases::<ClusteredCase>(file, None) {
        let mut strata = vec![Arms::<Vec<Unit>>::default(); 2];
        let unit = |&(_, place, period, numerator, denominator): &(usize, u64, u64, f64, f64)| Unit {
            numerator,
            denominator,
            place,
            period,
        };
        for found in &case.baseline {
            strata[found.0].baseline.push(unit(found));
        }
        // In any order.
        for found in case.candidate.iter().rev() {
            strata[found.0].candidate.push(unit(found));
        }
        let found = clustered_difference(&strata).unwrap();
        near(found.baseline, case.baseline_ratio, 1e-12, &case.name);
        near_interval(found.interval(LEVEL).unwrap(), case.difference, 1e-9, &case.name);
        near(found.p_value(), case.p_value, 1e-7, &case.name);
        near(found.standard_error(), case.standard_error, 1e-9, &case.name);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FewRanksCase {
    name: String,
    strata: Vec<(Vec<f64>, Vec<f64>)>,
    p_value: f64,
    is_greater: bool,
}

#[test]
fn ranks_of_few_are_those_of_all_divisions() {
    for case in cases::<FewRanksCase>(include_str!("../../testdata/few_ranks.json"), None) {
        let strata = strata(&case.strata);
        let test = exact_rank_test(&strata, DesignEffect::NONE).unwrap();
        near(test.p_value, case.p_value, 1e-9, &case.name);
        assert_eq!(test.z > 0.0, case.is_greater, "{}", case.name);
        let dependent = exact_rank_test(&strata, DesignEffect::new(4.0)).unwrap();
        near(dependent.z, test.z / 2.0, 1e-12, &case.name);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MultipleCase {
    p_values: Vec<f64>,
    adjusted: Vec<f64>,
}

#[test]
fn adjusted_p_values_are_those_of_scipy() {
    for case in cases::<MultipleCase>(include_str!("../../testdata/multiple.json"), None) {
        for (found, expected) in benjamini_hochberg(&case.p_values).iter().zip(&case.adjusted) {
            near(*found, *expected, 1e-14, "adjusted");
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MixtureCase {
    alpha: f64,
    samples: f64,
    n: usize,
    z: f64,
    p_value: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorCase {
    minutes: Vec<(u64, u64, f64)>,
    e_value: f64,
    excess: f64,
}

/// An integral over all drifts, and over all probabilities, and not the closed form of it.
#[test]
fn sequences_are_the_mixtures_they_claim_to_be() {
    let file = include_str!("../../testdata/sequences.json");
    for case in cases::<MixtureCase>(file, Some("mixture")) {
        let mixture = NormalMixture::new(case.alpha, case.samples).unwrap();
        // Two arms of n values at -1 and 1, and the candidate's apart by as much as makes this z.
        let half = case.n as u64 / 2;
        let deviation = (2.0 * half as f64 / (2.0 * half as f64 - 1.0)).sqrt();
        let apart = case.z * deviation * (2.0 / case.n as f64).sqrt();
        let arm = |by: f64| Histogram::from_iter([(by - 1.0, half), (by + 1.0, half)]);
        let arms = Arms {
            baseline: arm(0.0),
            candidate: arm(apart),
        };
        let look = mixture.look(&[arms], DesignEffect::NONE).unwrap();
        near(look.samples, case.n as f64, 1e-12, "samples");
        near(look.difference.estimate, apart, 1e-12, "estimate");
        near(look.p_value, case.p_value, 1e-8, "p-value");
        assert_eq!(look.p_value < case.alpha, !look.difference.contains(0.0));
    }
    for case in cases::<ErrorCase>(file, Some("errors")) {
        let mut process = ErrorProcess::default();
        for (candidate, baseline, share) in case.minutes {
            process.record(candidate, baseline, share);
        }
        near(process.log_e_value().exp(), case.e_value, 1e-9, "e-value");
        near(process.p_value(), (1.0 / case.e_value).min(1.0), 1e-9, "p-value");
        near(process.excess(), case.excess, 1e-12, "excess");
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PowerCase {
    deviation: f64,
    counts: (u64, u64),
    design_effect: f64,
    smallest: f64,
    missing_for_half: (f64, f64),
}

/// A sample with the density of a normal distribution, in steps of 1/2000 of its deviation: shifts are rounded to
/// them.
fn normal_sample(deviation: f64) -> Histogram {
    let step = 5e-4;
    let density = |z: f64| (-z * z / 2.0).exp();
    (-12_000..=12_000)
        .map(|at| f64::from(at) * step)
        .map(|z| (z * deviation, (density(z) * 1e6) as u64))
        .collect()
}

#[test]
fn power_is_that_of_normal_logarithms() {
    let detection = Detection::new(0.05, 0.95).unwrap();
    for case in cases::<PowerCase>(include_str!("../../testdata/powers.json"), None) {
        let values = normal_sample(case.deviation);
        let counts = Arms {
            baseline: case.counts.0,
            candidate: case.counts.1,
        };
        let planned = [PlannedStratum {
            values: &values,
            counts,
        }];
        let design_effect = DesignEffect::new(case.design_effect);
        let smallest = detection.smallest_shift(&planned, design_effect).unwrap();
        near(smallest, case.smallest, 3e-3, "smallest shift");
        let missing = detection
            .missing(case.smallest / 2.0, &planned, design_effect, Growth::Both)
            .unwrap();
        near(
            missing.baseline as f64,
            case.missing_for_half.0,
            0.02,
            "missing of the baseline",
        );
        near(
            missing.candidate as f64,
            case.missing_for_half.1,
            0.02,
            "missing of the candidate",
        );
        let none = detection
            .missing(smallest, &planned, design_effect, Growth::Both)
            .unwrap();
        assert_eq!(
            none,
            Arms {
                baseline: 0,
                candidate: 0
            }
        );
    }
}

/// n a side = 2·(z + z)²·σ²/ln²(1+e), published for a power of 0.8 at a one-sided 1 %; ranks need π/3 as many.
#[test]
fn requests_needed_are_those_of_the_table() {
    let detection = Detection::new(0.02, 0.8).unwrap();
    for (deviation, change, table) in [
        (0.3, 1.05, 759.0),
        (0.5, 1.1, 552.0),
        (0.8, 1.2, 386.0),
        (1.2, 1.1, 3182.0),
    ] {
        let values = normal_sample(deviation);
        let counts = Arms {
            baseline: 1,
            candidate: 1,
        };
        let planned = [PlannedStratum {
            values: &values,
            counts,
        }];
        let missing = detection
            .missing(f64::ln(change), &planned, DesignEffect::NONE, Growth::Both)
            .unwrap();
        let needed = 1.0 + missing.candidate as f64;
        near(
            needed,
            table * std::f64::consts::FRAC_PI_3,
            0.02,
            &format!("{deviation} {change}"),
        );
    }
}
