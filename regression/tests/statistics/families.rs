//! Many tests at once, some of which matter more, and some of which could find nothing.

use regression::statistics::{
    Arms, DesignEffect, Histogram, benjamini_hochberg, can_be_found, exact_rank_test, extremes,
    mean_score_test, p_value_apart, rank_test, weighted_benjamini_hochberg,
};

use crate::draws::Draws;

#[track_caller]
fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} and not {expected}");
    }
}

/// By hand: p over weight is 0.005, 0.04 and 1 of three.
#[test]
fn p_values_are_divided_by_their_weights() {
    let found = weighted_benjamini_hochberg(&[0.01, 0.02, 0.5], &[2.0, 0.5, 0.5]);
    near(&found, &[0.015, 0.06, 1.0]);
    let in_another_unit = weighted_benjamini_hochberg(&[0.01, 0.02, 0.5], &[40.0, 10.0, 10.0]);
    near(&in_another_unit, &[0.015, 0.06, 1.0]);
    let p_values = [0.01, 0.04, 0.03, 0.005, 0.55];
    near(
        &weighted_benjamini_hochberg(&p_values, &[7.0; 5]),
        &benjamini_hochberg(&p_values),
    );
}

#[test]
fn what_weighs_nothing_takes_nothing_from_the_others() {
    let found = weighted_benjamini_hochberg(&[0.01, 0.0, 0.04, f64::NAN], &[1.0, 0.0, 1.0, 1.0]);
    near(&found, &[0.03, 1.0, 0.06, 1.0]);
    near(
        &weighted_benjamini_hochberg(&[0.01, 0.02], &[0.0, 0.0]),
        &[1.0, 1.0],
    );
    assert!(weighted_benjamini_hochberg(&[], &[]).is_empty());
}

/// By hand, at 0.05: three are up to 0.05, so not one; two are up to 0.025, which is two.
#[test]
fn what_could_not_be_found_is_no_part_of_a_family() {
    let found = can_be_found(&[0.2, 0.001, 0.04, 0.02, 1.0], 0.05);
    assert_eq!(found, [false, true, false, true, false]);
    assert_eq!(can_be_found(&[0.0; 7], 0.05), [true; 7]);
    assert_eq!(can_be_found(&[0.051, 1.0], 0.05), [false; 2]);
    assert!(can_be_found(&[], 0.05).is_empty());
}

/// Of the strata that a test is given.
type PValueOf = fn(&[Arms<Histogram>]) -> f64;

/// Of all 70 ways to divide eight values, with ties and without, none has a lesser p-value.
#[test]
fn nothing_is_farther_apart_than_extremes() {
    for values in [
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        [1.0, 1.0, 1.0, 1.0, 1.0, 6.0, 6.0, 8.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0],
    ] {
        let ways = (0u32..256).filter(|way| way.count_ones() == 4).map(|way| {
            let arm = |bit: u32| -> Histogram {
                let of_arm = values
                    .iter()
                    .enumerate()
                    .filter(|(place, _)| way >> place & 1 == bit);
                of_arm.map(|(_, value)| *value).collect()
            };
            [Arms {
                baseline: arm(0),
                candidate: arm(1),
            }]
        });
        let ways: Vec<[Arms<Histogram>; 1]> = ways.collect();
        assert_eq!(ways.len(), 70);
        let found = extremes(&ways[17]);
        let tests: [PValueOf; 3] = [
            |strata| rank_test(strata, DesignEffect::NONE).unwrap().p_value,
            |strata| exact_rank_test(strata, DesignEffect::NONE).unwrap().p_value,
            |strata| mean_score_test(strata, DesignEffect::NONE).unwrap().p_value,
        ];
        for test in tests {
            let least = ways.iter().map(|way| test(way)).fold(1.0, f64::min);
            let of_extremes = found.iter().map(|strata| test(strata)).fold(1.0, f64::min);
            assert!(
                (least - of_extremes).abs() < 1e-12,
                "{least} {of_extremes} of {values:?}"
            );
        }
    }
}

/// Each stratum by itself, of as many values as there were.
#[test]
fn extremes_keep_strata_and_counts() {
    let sample = |values: &[f64]| values.iter().copied().collect::<Histogram>();
    let strata = [
        Arms {
            baseline: sample(&[5.0, 1.0, 5.0]),
            candidate: sample(&[5.0, 2.0]),
        },
        Arms {
            baseline: sample(&[9.0]),
            candidate: sample(&[]),
        },
    ];
    let [greater, less] = extremes(&strata);
    assert_eq!(greater[0].baseline, sample(&[1.0, 2.0, 5.0]));
    assert_eq!(greater[0].candidate, sample(&[5.0, 5.0]));
    assert_eq!(less[0].baseline, sample(&[5.0, 5.0, 5.0]));
    assert_eq!(less[0].candidate, sample(&[1.0, 2.0]));
    assert_eq!(greater[1], strata[1]);
    assert_eq!(less[1], strata[1]);
}

/// Whatever weights say in advance, of what is selected at q at most q is not real; and more is found where they are
/// right.
#[test]
fn false_discoveries_are_as_rare_as_promised_with_weights() {
    let mut draws = Draws::new(31);
    let rounds = 1500;
    // Of 40 the first 8 are real, of which every other one is expected.
    let weight = |index: usize| if index.is_multiple_of(2) { 1.8 } else { 0.2 };
    let weights: Vec<f64> = (0..40).map(weight).collect();
    let (mut share, mut expected, mut unexpected) = (0.0, 0, 0);
    for _ in 0..rounds {
        let p_value = |index: usize| {
            let even = draws.uniform();
            if index < 8 { even.powi(5) } else { even }
        };
        let p_values: Vec<f64> = (0..40).map(p_value).collect();
        let adjusted = weighted_benjamini_hochberg(&p_values, &weights);
        let selected = |index: &usize| adjusted[*index] <= 0.1;
        let wrong = (8..40).filter(selected).count();
        share += wrong as f64 / (0..40).filter(selected).count().max(1) as f64;
        expected += (0..8).step_by(2).filter(selected).count();
        unexpected += (1..8).step_by(2).filter(selected).count();
    }
    let average = share / f64::from(rounds);
    // Four fifths of the weight is on what is not real.
    assert!((0.06..0.1).contains(&average), "{average}");
    assert!(expected > unexpected * 5 / 4, "{expected} {unexpected}");
}

/// Samples of any size, with few ties and with many: the bound holds, and of many values it is as good as nothing.
#[test]
fn samples_that_are_apart_are_told_at_least_as_surely_as_their_sizes_say() {
    let mut draws = Draws::new(20);
    for round in 0..400_u32 {
        let distinct = [3.0, 20.0, 1e6][round as usize % 3];
        let mut sample =
            |count: u32| -> Histogram { (0..count).map(|_| (draws.uniform() * distinct).floor()).collect() };
        let strata: Vec<Arms<Histogram>> = (0..1 + round % 4)
            .map(|stratum| Arms {
                baseline: sample(2 + round % 37 + stratum),
                candidate: sample(2 + round % 11),
            })
            .collect();
        let effect = DesignEffect::NONE;
        let bound = p_value_apart(&strata, effect);
        for apart in extremes(&strata) {
            let found = rank_test(&apart, effect).expect("two values an arm");
            assert!(found.p_value <= bound * (1.0 + 1e-9), "{found:?} {bound}");
        }
    }
    let many = |from: u32| -> Histogram { (from..from + 100).map(f64::from).collect() };
    let strata = [Arms {
        baseline: many(0),
        candidate: many(50),
    }];
    assert!(p_value_apart(&strata, DesignEffect::NONE) < 1e-30);
    let tied: Histogram = std::iter::repeat_n(1.0, 50).collect();
    let strata = [Arms {
        baseline: tied.clone(),
        candidate: tied,
    }];
    assert_eq!(p_value_apart(&strata, DesignEffect::NONE), 1.0);
}
