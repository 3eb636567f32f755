//! What cannot be answered has no answer, constants have one, and nothing makes a NaN or a panic.

use proptest::prelude::*;
use regression::statistics::{
    Arms, Block, DesignEffect, Detection, ErrorProcess, Growth, Histogram, Interval, NormalMixture,
    PlannedStratum, Proportion, Rate, RatioInterval, RatioSums, Unit, benjamini_hochberg, block_bootstrap,
    clustered_difference, compare_proportions, exact_rank_test, exact_test, mean_score_test,
    permutation_test, poisson_test, quantile_difference, quantile_interval, rank_test, ratio_difference,
    risk_ratio, shift, tail,
};

const NONE: DesignEffect = DesignEffect::NONE;

fn constant(value: f64, count: u64) -> Histogram {
    Histogram::from_iter([(value, count)])
}

fn arms<T>(baseline: T, candidate: T) -> Arms<T> {
    Arms { baseline, candidate }
}

/// The ways to divide many would be counted for long.
#[test]
fn only_few_are_ranked_exactly() {
    let pairs = |count: u64| [arms(constant(3.0, count), constant(4.0, 20))];
    assert!(exact_rank_test(&pairs(20), NONE).unwrap().p_value < 1e-9);
    assert_eq!(exact_rank_test(&pairs(21), NONE), None);
    assert_eq!(exact_rank_test(&pairs(u64::MAX), NONE), None);
    let equal = [arms(constant(3.0, 9), constant(3.0, 9))];
    assert_eq!(exact_rank_test(&equal, NONE).unwrap().p_value, 1.0);
}

#[test]
fn an_empty_arm_has_no_answer() {
    let strata = [
        arms(Histogram::default(), constant(3.0, 50)),
        arms(constant(3.0, 1), constant(4.0, 50)),
    ];
    assert_eq!(rank_test(&strata, NONE), None);
    assert_eq!(exact_rank_test(&strata, NONE), None);
    assert_eq!(shift(&strata, 0.95, NONE), None);
    assert_eq!(mean_score_test(&strata, NONE), None);
    assert_eq!(permutation_test(&strata, 99, 1), None);
    assert_eq!(tail(&strata[..1], 0.9, 0.95, NONE), None);
    assert_eq!(NormalMixture::new(0.01, 300.0).unwrap().look(&strata, NONE), None);
    assert_eq!(quantile_interval(&Histogram::default(), 0.5, 0.95, NONE), None);
    let proportions = [arms(Proportion::new(0, 0), Proportion::new(1, 5))];
    assert_eq!(compare_proportions(&proportions, 0.95, NONE), None);
    assert_eq!(exact_test(&proportions), None);
    assert_eq!(risk_ratio(&proportions, 0.95, NONE), None);
    let nothing = Rate {
        events: 0,
        exposure: 5.0,
    };
    assert_eq!(poisson_test(arms(nothing, nothing), 0.95), None);
    let no_time = Rate {
        events: 5,
        exposure: 0.0,
    };
    assert_eq!(poisson_test(arms(no_time, nothing), 0.95), None);
    let sums = RatioSums::of_values(1.0, 5.0, 25.0);
    assert_eq!(
        ratio_difference(&[arms(RatioSums::default(), sums)], 0.95, NONE),
        None
    );
    let unit = Unit {
        numerator: 5.0,
        denominator: 1.0,
        place: 0,
        period: 0,
    };
    assert_eq!(clustered_difference(&[arms(vec![unit], vec![unit; 9])]), None);
    assert_eq!(clustered_difference(&[]), None);
    assert_eq!(DesignEffect::of_blocks(&[]), None);
    assert_eq!(DesignEffect::of_proportions(&[Proportion::new(3, 9)]), None);
    assert!(benjamini_hochberg(&[]).is_empty());
    assert_eq!(
        block_bootstrap(arms(&[1.0], &[1.0, 2.0]), |_| Some(1.0), 100, 0.95, 1),
        None
    );
}

#[test]
fn constants_are_alike_or_wholly_different() {
    let alike = [arms(constant(7.0, 50), constant(7.0, 60))];
    let test = rank_test(&alike, NONE).unwrap();
    assert_eq!(
        (test.z, test.p_value, test.effect, test.rank_biserial()),
        (0.0, 1.0, 0.5, 0.0)
    );
    assert_eq!(
        shift(&alike, 0.95, NONE),
        Some(Interval {
            estimate: 0.0,
            low: 0.0,
            high: 0.0
        })
    );
    let score = mean_score_test(&alike, NONE).unwrap();
    assert_eq!((score.z, score.p_value, score.dispersion), (0.0, 1.0, Some(0.0)));
    assert_eq!(permutation_test(&alike, 99, 1), Some(1.0));

    let apart = [arms(constant(7.0, 50), constant(9.0, 60))];
    let test = rank_test(&apart, NONE).unwrap();
    assert!(test.p_value < 1e-20);
    assert_eq!((test.effect, test.rank_biserial()), (1.0, 1.0));
    let shift = shift(&apart, 0.95, NONE).unwrap();
    for bound in [shift.estimate, shift.low, shift.high] {
        assert!((bound - 2.0).abs() < 1e-12, "{shift:?}");
    }
    assert!(mean_score_test(&apart, NONE).unwrap().p_value < 1e-20);
    assert_eq!(permutation_test(&apart, 99, 1), Some(0.01));
    let look = NormalMixture::new(0.01, 300.0)
        .unwrap()
        .look(&apart, NONE)
        .unwrap();
    assert_eq!((look.difference.low, look.p_value), (2.0, 0.0));
    let sums = |value: f64| RatioSums::of_values(50.0, 50.0 * value, 50.0 * value * value);
    let difference = ratio_difference(&[arms(sums(7.0), sums(9.0))], 0.95, NONE);
    assert_eq!(
        difference,
        Some(Interval {
            estimate: 2.0,
            low: 2.0,
            high: 2.0
        })
    );
}

#[test]
fn proportions_without_variation_are_alike() {
    for hits in [0, 40] {
        let strata = [arms(Proportion::new(hits, 40), Proportion::new(hits, 40))];
        let test = compare_proportions(&strata, 0.95, NONE).unwrap();
        assert_eq!(test.p_value, 1.0);
        assert_eq!(test.difference.estimate, 0.0);
        assert!(test.difference.low < 0.0 && test.difference.high > 0.0);
        let ratio = risk_ratio(&strata, 0.95, NONE);
        assert_eq!(ratio.is_some(), hits > 0);
        if let Some(ratio) = ratio {
            assert!(
                ratio.low < 1.0 && ratio.high.is_some_and(|high| high > 1.0),
                "{ratio:?}"
            );
        }
    }
    // More hits than there are requests cannot be.
    assert_eq!(Proportion::new(9, 5), Proportion::new(5, 5));
}

/// With no error before, five now are at least so many times as many, and no bound above.
#[test]
fn a_ratio_to_nothing_has_a_lower_bound_only() {
    let ratio = risk_ratio(
        &[arms(Proportion::new(0, 1000), Proportion::new(5, 1000))],
        0.95,
        NONE,
    )
    .unwrap();
    assert_eq!((ratio.estimate, ratio.high), (None, None));
    assert!((1.0..2.0).contains(&ratio.low), "{ratio:?}");
    let ratio = risk_ratio(
        &[arms(Proportion::new(5, 1000), Proportion::new(0, 1000))],
        0.95,
        NONE,
    )
    .unwrap();
    assert_eq!((ratio.estimate, ratio.low), (Some(0.0), 0.0));
}

#[test]
fn too_little_for_bounds_has_none() {
    let few = [arms(
        Histogram::from_iter([1.0, 2.0]),
        Histogram::from_iter([3.0, 4.0]),
    )];
    assert!(rank_test(&few, NONE).unwrap().p_value > 0.05);
    assert_eq!(shift(&few, 0.95, NONE), None);
    let hundred: Histogram = (0..100).map(f64::from).collect();
    assert_eq!(quantile_interval(&hundred, 0.99, 0.95, NONE), None);
    assert!(quantile_interval(&hundred, 0.9, 0.95, NONE).is_some());
    assert_eq!(
        quantile_interval(&hundred, 0.9, 0.95, DesignEffect::new(8.0)),
        None
    );
    assert_eq!(
        quantile_difference(arms(&hundred, &few[0].baseline), 0.5, 0.95, NONE),
        None
    );
    let mixture = NormalMixture::new(0.01, 300.0).unwrap();
    let fewer: Histogram = (0..39).map(f64::from).collect();
    assert_eq!(mixture.look(&[arms(&hundred, &fewer)], NONE), None);
    assert_eq!(
        mixture.look(&[arms(&hundred, &hundred)], DesignEffect::new(3.0)),
        None
    );
}

#[test]
fn levels_and_rates_outside_are_refused() {
    let hundred: Histogram = (0..100).map(f64::from).collect();
    let strata = [arms(&hundred, &hundred)];
    for level in [0.0, 1.0, -1.0, 2.0, f64::NAN, f64::INFINITY] {
        assert_eq!(shift(&strata, level, NONE), None);
        assert_eq!(quantile_interval(&hundred, 0.5, level, NONE), None);
        assert_eq!(quantile_interval(&hundred, level, 0.95, NONE), None);
        assert_eq!(NormalMixture::new(level, 300.0), None);
        assert_eq!(Detection::new(level, 0.95), None);
        assert_eq!(Detection::new(0.05, level), None);
        assert_eq!(
            block_bootstrap(arms(&[1, 2], &[1, 2]), |_| Some(1.0), 10, level, 1),
            None
        );
    }
    assert_eq!(NormalMixture::new(0.05, 0.0), None);
    assert_eq!(NormalMixture::new(0.05, f64::NAN), None);
    assert_eq!(DesignEffect::new(0.3), NONE);
    assert_eq!(DesignEffect::new(f64::NAN), DesignEffect::new(f64::INFINITY));
    assert_eq!(benjamini_hochberg(&[f64::NAN, 0.01]), [1.0, 0.02]);
}

/// A tenth of the requests became slower: hardly a shift of all, but one of the tail.
#[test]
fn what_happens_in_the_tail_is_seen_there() {
    let baseline: Histogram = (0..1000).map(f64::from).collect();
    let candidate = (0..1000).map(|at| {
        if at % 10 == 0 {
            950.0 + f64::from(at)
        } else {
            f64::from(at)
        }
    });
    let strata = [arms(baseline, candidate.collect())];
    let all = rank_test(&strata, NONE).unwrap();
    let tail = tail(&strata, 0.9, 0.95, NONE).unwrap();
    assert!(
        tail.p_value < 1e-9 && tail.p_value < all.p_value / 1e3,
        "{all:?} {tail:?}"
    );
    // Of both together at most 200 are above: 95 that became slower than all others, and two at each value from 999 down
    // to 948. Of these the baseline has 52, and the candidate 52 and those 95.
    assert!((tail.difference.estimate - 0.095).abs() < 1e-12, "{tail:?}");
}

#[test]
fn tables_beyond_counting_are_left_to_the_normal_distribution() {
    let many = Proportion::new(5_000, 10_000);
    assert_eq!(exact_test(&[arms(many, many)]), None);
    let fewer = Proportion::new(500, 1_000);
    assert_eq!(
        exact_test(&[arms(fewer, fewer)]).map(|test| test.p_value),
        Some(1.0)
    );
}

#[test]
fn minutes_of_one_version_are_no_evidence() {
    let mut process = ErrorProcess::default();
    process.record(50, 0, 1.0);
    process.record(0, 50, 0.0);
    process.record(5, 5, f64::NAN);
    assert_eq!(process, ErrorProcess::default());
    assert_eq!(
        (process.log_e_value(), process.p_value(), process.excess()),
        (0.0, 1.0, 0.0)
    );
}

#[test]
fn a_design_effect_weakens_whatever_it_touches() {
    let values = |by: f64| -> Histogram { (0..200).map(|at| by + f64::from(at * 7919 % 200)).collect() };
    let strata = [arms(values(0.0), values(30.0))];
    let twice = DesignEffect::new(4.0);
    let z = |design_effect| rank_test(&strata, design_effect).unwrap().z;
    assert!((z(NONE) - 2.0 * z(twice)).abs() < 1e-12);
    let width = |interval: Interval| interval.high - interval.low;
    let shifts = |design_effect| width(shift(&strata, 0.95, design_effect).unwrap());
    assert!(shifts(twice) > 1.8 * shifts(NONE));
    let quantiles =
        |design_effect| width(quantile_interval(&strata[0].baseline, 0.5, 0.95, design_effect).unwrap());
    assert!(quantiles(twice) > 1.8 * quantiles(NONE));
    let proportions = [arms(Proportion::new(30, 300), Proportion::new(60, 300))];
    let tests = |design_effect| compare_proportions(&proportions, 0.95, design_effect).unwrap();
    assert!((tests(NONE).z - 2.0 * tests(twice).z).abs() < 1e-12);
    assert!(width(tests(twice).difference) > 1.8 * width(tests(NONE).difference));
    let lows = |design_effect| risk_ratio(&proportions, 0.95, design_effect).unwrap().low;
    assert!(lows(twice) < lows(NONE));
    let few = [arms(Proportion::new(0, 30), Proportion::new(6, 30))];
    let exact = |design_effect| compare_proportions(&few, 0.95, design_effect).unwrap();
    assert!(exact(NONE).exact && exact(twice).p_value > exact(NONE).p_value);
    let planned = [PlannedStratum {
        values: &strata[0].baseline,
        counts: arms(400, 400),
    }];
    let detection = Detection::new(0.05, 0.95).unwrap();
    let smallest = |design_effect| detection.smallest_shift(&planned, design_effect).unwrap();
    assert!(smallest(twice) > 1.8 * smallest(NONE));
}

/// A baseline that is over bounds what can ever be found.
#[test]
fn a_small_baseline_cannot_be_made_up_for() {
    let values: Histogram = (0..1000).map(|at| f64::from(at) / 100.0).collect();
    let detection = Detection::new(0.05, 0.95).unwrap();
    let planned = [PlannedStratum {
        values: &values,
        counts: arms(50, 50),
    }];
    let missing = |shift: f64, growth| detection.missing(shift, &planned, NONE, growth);
    assert_eq!(missing(0.3, Growth::Candidate), None);
    let both = missing(0.3, Growth::Both).unwrap();
    assert_eq!(both.baseline, both.candidate);
    let candidate = missing(1.7, Growth::Candidate).unwrap();
    assert!(
        candidate.baseline == 0 && candidate.candidate > 50,
        "{candidate:?}"
    );
    assert_eq!(missing(0.0, Growth::Both), None);
    assert_eq!(
        detection.missing(0.01, &planned, DesignEffect::new(1e6), Growth::Both),
        None
    );
    // A difference of any size is one rank, if there are too few ranks.
    let too_few = [PlannedStratum {
        values: &values,
        counts: arms(2, 2),
    }];
    assert_eq!(detection.smallest_shift(&too_few, NONE), None);
    assert_eq!(detection.smallest_shift(&[], NONE), None);
}

#[test]
fn histograms_hold_each_value_once_in_order() {
    let histogram = Histogram::from_iter([
        (2.0, 1),
        (-0.0, 2),
        (0.0, 3),
        (f64::NAN, 9),
        (1e300, 1),
        (2.0, 4),
        (5.0, 0),
    ]);
    let cells: Vec<(f64, u64)> = histogram
        .cells()
        .iter()
        .map(|cell| (cell.value, cell.count))
        .collect();
    assert_eq!(cells, [(0.0, 5), (2.0, 5), (1e100, 1)]);
    assert_eq!(histogram.count(), 11);
    assert_eq!(histogram.above(2.0), Histogram::from_iter([(1e100, 1)]));
    assert_eq!(histogram.quantile(0.5), Some(2.0));
    assert_eq!(histogram.quantile(0.0), Some(0.0));
    assert_eq!(histogram.quantile(1.0), Some(1e100));
    assert_eq!(Histogram::default().quantile(0.5), None);
    assert_eq!(
        Histogram::from_iter([(0u64, 2), (1, 1)]).ln(),
        Histogram::from_iter([(0.0, 3)])
    );
}

/// A sketch becomes its buckets, each at its middle, and ranks hardly notice.
#[test]
fn buckets_of_a_sketch_are_as_good_as_its_values() {
    let mut sketches = arms(model::Sketch::new(), model::Sketch::new());
    let mut values = arms(Vec::new(), Vec::new());
    for at in 0..400u64 {
        let value = 1000 + at * at * 7 % 90_001;
        values.baseline.push(value as f64);
        sketches.baseline.record(value);
        values.candidate.push((value * 11 / 10) as f64);
        sketches.candidate.record(value * 11 / 10);
    }
    let coarse = rank_test(&[sketches.as_ref().map(Histogram::from)], NONE).unwrap();
    let fine = rank_test(&[values.map(Histogram::from_iter)], NONE).unwrap();
    assert_eq!(coarse.compared, arms(400, 400));
    assert!((coarse.z - fine.z).abs() < 0.05, "{coarse:?} {fine:?}");
}

#[test]
fn answers_do_not_depend_on_the_order_of_values() {
    let forwards: Vec<f64> = (0..60).map(|at| f64::from(at * at % 37)).collect();
    let backwards = forwards.iter().rev();
    let one = [arms(
        forwards.iter().copied().collect::<Histogram>(),
        constant(18.0, 20),
    )];
    let other = [arms(
        backwards.copied().collect::<Histogram>(),
        constant(18.0, 20),
    )];
    assert_eq!(permutation_test(&one, 500, 3), permutation_test(&other, 500, 3));
    assert_ne!(permutation_test(&one, 500, 3), permutation_test(&one, 500, 4));
}

#[track_caller]
fn sound(interval: Option<Interval>) {
    if let Some(Interval { estimate, low, high }) = interval {
        assert!(
            estimate.is_finite() && low.is_finite() && high.is_finite(),
            "{interval:?}"
        );
        assert!(low <= high, "{interval:?}");
    }
}

#[track_caller]
fn sound_ratio(ratio: Option<RatioInterval>) {
    if let Some(RatioInterval { estimate, low, high }) = ratio {
        assert!(low.is_finite() && low >= 0.0, "{ratio:?}");
        assert!(
            estimate.is_none_or(f64::is_finite) && high.is_none_or(|high| high.is_finite() && high >= low)
        );
    }
}

#[track_caller]
fn sound_p(p_value: f64) {
    assert!((0.0..=1.0).contains(&p_value), "{p_value}");
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        Just(f64::NAN),
        Just(f64::MAX),
        Just(-1e99),
        -5.0..5.0f64,
        any::<f64>()
    ]
}

fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![0..5u64, 0..1000u64, Just(1 << 40), Just(u64::MAX)]
}

fn any_histogram() -> impl Strategy<Value = Histogram> {
    prop::collection::vec((any_value(), any_count()), 0..6).prop_map(Histogram::from_iter)
}

fn any_strata() -> impl Strategy<Value = Vec<Arms<Histogram>>> {
    let stratum =
        (any_histogram(), any_histogram()).prop_map(|(baseline, candidate)| arms(baseline, candidate));
    prop::collection::vec(stratum, 0..3)
}

fn any_proportion() -> impl Strategy<Value = Proportion> {
    (any_count(), any_count()).prop_map(|(hits, total)| Proportion::new(hits, total))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_samples_have_a_sound_answer_or_none(strata in any_strata(), q in any_value(), factor in any_value()) {
        let design_effect = DesignEffect::new(factor);
        if let Some(test) = rank_test(&strata, design_effect) {
            sound_p(test.p_value);
            sound_p(test.effect);
            assert!(test.z.is_finite());
        }
        sound(shift(&strata, 0.95, design_effect));
        if let Some(test) = mean_score_test(&strata, design_effect) {
            sound_p(test.p_value);
            assert!(test.z.is_finite() && test.dispersion.is_none_or(f64::is_finite));
        }
        if let Some(p_value) = permutation_test(&strata, 20, 1) {
            sound_p(p_value);
        }
        if let Some(tail) = tail(&strata, q, 0.95, design_effect) {
            sound_p(tail.p_value);
            assert!(tail.z.is_finite());
        }
        if let Some(look) = NormalMixture::new(0.01, 300.0).unwrap().look(&strata, design_effect) {
            sound(Some(look.difference));
            sound_p(look.p_value);
        }
        let detection = Detection::new(0.05, 0.95).unwrap();
        for arms in &strata {
            sound(quantile_difference(arms.as_ref(), q, 0.95, design_effect));
            let blocks = [arms.as_ref()].map(|arms| vec![
                Block { number: 1, values: arms.baseline },
                Block { number: 2, values: arms.candidate },
            ]);
            let factor = DesignEffect::of_blocks(&blocks).map_or(1.0, DesignEffect::factor);
            assert!(factor.is_finite() && factor >= 1.0);
            let counts = arms.as_ref().map(Histogram::count);
            let planned = [PlannedStratum { values: &arms.baseline, counts }];
            let smallest = detection.smallest_shift(&planned, design_effect);
            assert!(smallest.is_none_or(|shift| shift.is_finite() && shift > 0.0));
            detection.missing(q, &planned, design_effect, Growth::Candidate);
        }
    }

    #[test]
    fn any_proportions_have_a_sound_answer_or_none(
        pairs in prop::collection::vec((any_proportion(), any_proportion()), 0..4),
        factor in any_value(),
        exposure in any_value(),
    ) {
        let strata: Vec<Arms<Proportion>> = pairs.into_iter().map(|pair| arms(pair.0, pair.1)).collect();
        let design_effect = DesignEffect::new(factor);
        if let Some(test) = compare_proportions(&strata, 0.95, design_effect) {
            sound_p(test.p_value);
            assert!(test.z.is_finite());
            sound(Some(test.difference));
        }
        sound_ratio(risk_ratio(&strata, 0.95, design_effect));
        if let Some(test) = exact_test(&strata) {
            sound_p(test.p_value);
            sound_p(test.mid_p_value);
        }
        let mut process = ErrorProcess::default();
        for arms in &strata {
            let rates = arms.map(|arm| Rate { events: arm.hits(), exposure: 7.5 });
            let rates = Arms { candidate: Rate { exposure, ..rates.candidate }, ..rates };
            if let Some(test) = poisson_test(rates, 0.95) {
                sound_p(test.p_value);
                sound_ratio(Some(test.ratio));
            }
            let factor = DesignEffect::of_proportions(&[arms.baseline, arms.candidate]);
            assert!(factor.is_none_or(|factor| factor.factor() >= 1.0));
            process.record(arms.candidate.hits(), arms.baseline.hits(), 0.3);
            sound_p(process.p_value());
        }
    }

    #[test]
    fn any_units_have_a_sound_answer_or_none(
        parts in prop::collection::vec((any_value(), any_value(), 0u64..3, 0u64..12), 0..60),
        at in 0usize..60,
    ) {
        let unit = |&(numerator, denominator, place, period): &(f64, f64, u64, u64)| Unit {
            numerator,
            denominator,
            place,
            period,
        };
        let units: Vec<Unit> = parts.iter().map(unit).collect();
        let (baseline, candidate) = units.split_at(at.min(units.len()));
        let strata = [arms(baseline.to_vec(), candidate.to_vec()), arms(candidate.to_vec(), baseline.to_vec())];
        if let Some(found) = clustered_difference(&strata) {
            sound(found.interval(0.95));
            sound_p(found.p_value());
            assert!(found.standard_error() >= 0.0);
            sound_p(found.and_varies(1e9, 3).p_value());
        }
    }

    #[test]
    fn any_sums_have_a_sound_answer_or_none(parts in prop::array::uniform12(any_value())) {
        let sums = |at: usize| RatioSums {
            units: parts[at],
            numerator: parts[at + 1],
            numerator_squares: parts[at + 2],
            denominator: parts[at + 3],
            denominator_squares: parts[at + 4],
            products: parts[at + 5],
        };
        sound(ratio_difference(&[arms(sums(0), sums(6))], 0.95, NONE));
        benjamini_hochberg(&parts).into_iter().for_each(sound_p);
        let mean = |values: &[&f64]| values.iter().copied().sum::<f64>() / values.len() as f64;
        let halves = arms(&parts[..6], &parts[6..]);
        let statistic = |arms: Arms<&[&f64]>| Some(mean(arms.candidate) - mean(arms.baseline));
        sound(block_bootstrap(halves, statistic, 50, 0.95, 1));
    }
}

/// Rare events among very many, in parts, once kept a series going for ever.
#[test]
fn rare_events_among_very_many_are_bounded_in_time() {
    let values: Histogram = [(1.0, 1), (2.0, u64::MAX - 1)].into_iter().collect();
    for q in [f64::MIN_POSITIVE, 2.2e-16, 1e-9, 1e-5, 1.0 - 1e-5, 1.0 - 1e-16] {
        for factor in [1.0, 1.7, 1e9, 1e17, f64::MAX] {
            sound(quantile_interval(&values, q, 0.95, DesignEffect::new(factor)));
        }
    }
}

/// Where squares of variances are lost there are no degrees of freedom, and a p-value without any never came to its end.
#[test]
fn a_clustered_difference_does_not_depend_on_the_unit_of_its_values() {
    let p_value = |scale: f64| {
        let units = |add: u32| -> Vec<Unit> {
            let unit = |at: u32| Unit {
                numerator: f64::from(at * at % 13 + add) * scale,
                denominator: 1.0,
                place: u64::from(at / 4),
                period: 0,
            };
            (0..40).map(unit).collect()
        };
        let found = clustered_difference(&[arms(units(0), units(3))]).unwrap();
        found.and_varies(0.5 * scale, 4).p_value()
    };
    let expected = p_value(1.0);
    assert!(expected > 1e-4 && expected < 0.5, "{expected}");
    for scale in [1e-60, 1e60] {
        assert!(
            (p_value(scale) - expected).abs() < 1e-9,
            "{scale}: {}",
            p_value(scale)
        );
    }
    for scale in [1e-150, 1e-120, 1e120, 1e150] {
        sound_p(p_value(scale));
    }
}
