//! Something changed, and we know by how much: intervals hold the truth as often as they say, and power is what was
//! said.

use regression::statistics::{
    Arms, ClusteredDifference, DesignEffect, Detection, Histogram, PlannedStratum, Proportion, RatioSums,
    Unit, block_bootstrap, clustered_difference, proportion_difference, quantile_difference,
    quantile_interval, rank_test, ratio_difference, risk_ratio, shift,
};

use crate::draws::{Draws, expect_share};

const LEVEL: f64 = 0.95;

#[test]
fn shifts_are_held() {
    let mut draws = Draws::new(11);
    let rounds = 1000;
    let held = (0..rounds).filter(|_| {
        let strata = [(20, 25, 0.0), (12, 30, 5.0)].map(|(baseline, candidate, mean)| Arms {
            baseline: draws.normals(baseline, mean, 0.5),
            candidate: draws.normals(candidate, mean + 0.2, 0.5),
        });
        shift(&strata, LEVEL, DesignEffect::NONE).unwrap().contains(0.2)
    });
    expect_share(held.count(), rounds, 0.94, 0.96);
}

#[test]
fn quantiles_and_their_differences_are_held() {
    let mut draws = Draws::new(12);
    let (mut single, mut both) = (0, 0);
    let rounds = 1500;
    for _ in 0..rounds {
        let arms = Arms {
            baseline: draws.normals(150, 0.0, 1.0),
            candidate: draws.normals(250, 0.5, 2.0),
        };
        // The 90th percentile of a normal distribution.
        let z = 1.281_551_6;
        let interval = quantile_interval(&arms.baseline, 0.9, LEVEL, DesignEffect::NONE).unwrap();
        single += usize::from(interval.contains(z));
        let difference = quantile_difference(arms.as_ref(), 0.9, LEVEL, DesignEffect::NONE).unwrap();
        both += usize::from(difference.contains(0.5 + z));
    }
    // Bounds are values of the sample, so they hold a little more.
    expect_share(single, rounds, 0.95, 0.98);
    expect_share(both, rounds, 0.95, 0.98);
}

#[test]
fn differences_and_ratios_of_proportions_are_held() {
    let mut draws = Draws::new(13);
    let (mut differences, mut ratios) = (0, 0);
    let rounds = 1500;
    for _ in 0..rounds {
        let strata = [(0.02, 150, 250), (0.05, 200, 100)].map(|(probability, baseline, candidate)| Arms {
            baseline: Proportion::new(draws.hits(baseline, probability), baseline),
            candidate: Proportion::new(draws.hits(candidate, 2.0 * probability), candidate),
        });
        let weights = strata.map(|arms| {
            let totals = arms.map(|arm| arm.total() as f64);
            totals.baseline * totals.candidate / (totals.baseline + totals.candidate)
        });
        let truth = (0.02 * weights[0] + 0.05 * weights[1]) / (weights[0] + weights[1]);
        let difference = proportion_difference(&strata, LEVEL, DesignEffect::NONE).unwrap();
        differences += usize::from(difference.contains(truth));
        let ratio = risk_ratio(&strata, LEVEL, DesignEffect::NONE).unwrap();
        ratios += usize::from(ratio.low <= 2.0 && ratio.high.is_none_or(|high| high >= 2.0));
    }
    expect_share(differences, rounds, 0.94, 0.97);
    expect_share(ratios, rounds, 0.94, 0.97);
}

/// Blocks of a minute: time and traces, each minute with a level of its own, few minutes a side.
#[test]
fn means_by_blocks_are_held() {
    let mut draws = Draws::new(14);
    let (mut student, mut resampled) = (0, 0);
    let rounds = 600;
    for seed in 0..rounds {
        let blocks = |count: usize, mean: f64, draws: &mut Draws| -> Vec<(f64, f64)> {
            (0..count)
                .map(|_| {
                    let traces = 20.0 + (10.0 * draws.uniform()).floor();
                    (
                        traces * (mean + draws.normal()) + traces.sqrt() * draws.normal(),
                        traces,
                    )
                })
                .collect()
        };
        let arms = Arms {
            baseline: blocks(8, 10.0, &mut draws),
            candidate: blocks(14, 11.0, &mut draws),
        };
        let sums = arms.as_ref().map(|blocks| {
            let mut sums = RatioSums::default();
            blocks.iter().for_each(|&(time, traces)| sums.add(time, traces));
            sums
        });
        let interval = ratio_difference(&[sums], LEVEL, DesignEffect::NONE).unwrap();
        student += usize::from(interval.contains(1.0));
        let mean = |blocks: &[&(f64, f64)]| {
            blocks.iter().map(|block| block.0).sum::<f64>() / blocks.iter().map(|block| block.1).sum::<f64>()
        };
        let statistic = |arms: Arms<&[&(f64, f64)]>| Some(mean(arms.candidate) - mean(arms.baseline));
        let slices = Arms {
            baseline: &arms.baseline[..],
            candidate: &arms.candidate[..],
        };
        let interval = block_bootstrap(slices, statistic, 200, LEVEL, seed).unwrap();
        resampled += usize::from(interval.contains(1.0));
        assert!((interval.estimate - statistic_of(&arms)).abs() < 1e-12);
    }
    expect_share(student, rounds as usize, 0.94, 0.96);
    // Eight blocks are few, and this is what it says of them.
    expect_share(resampled, rounds as usize, 0.86, 0.95);
}

fn statistic_of(arms: &Arms<Vec<(f64, f64)>>) -> f64 {
    let mean = |blocks: &[(f64, f64)]| {
        let (time, traces) = blocks
            .iter()
            .fold((0.0, 0.0), |sum, block| (sum.0 + block.0, sum.1 + block.1));
        time / traces
    };
    mean(&arms.candidate) - mean(&arms.baseline)
}

/// Two strata of the same minutes, three places, each with a weather of which much is still there a minute later.
fn weather(draws: &mut Draws, minutes: u64, deviation: f64, mean: f64, of_strata: &mut [Vec<Unit>; 2]) {
    const PERSISTENCE: f64 = 0.6;
    for place in 0..3 {
        let mut state = draws.normal();
        for period in 0..minutes {
            for (stratum, units) in of_strata.iter_mut().enumerate() {
                for _ in 0..20 {
                    units.push(Unit {
                        numerator: mean + 3.0 * stratum as f64 + deviation * state + 0.5 * draws.normal(),
                        denominator: 1.0,
                        place,
                        period,
                    });
                }
            }
            state = PERSISTENCE * state + (1.0 - PERSISTENCE * PERSISTENCE).sqrt() * draws.normal();
        }
    }
}

fn held_in_weather(rounds: usize, minutes: (u64, u64), deviation: f64, seed: u64) -> usize {
    let mut draws = Draws::new(seed);
    let held = (0..rounds).filter(|_| {
        let mut arms = Arms::<[Vec<Unit>; 2]>::default();
        weather(&mut draws, minutes.0, deviation, 10.0, &mut arms.baseline);
        weather(&mut draws, minutes.1, deviation, 10.5, &mut arms.candidate);
        let [first, second] = arms.baseline;
        let [third, fourth] = arms.candidate;
        let strata =
            [(first, third), (second, fourth)].map(|(baseline, candidate)| Arms { baseline, candidate });
        let found = clustered_difference(&strata).unwrap();
        found.interval(LEVEL).unwrap().contains(0.5)
    });
    held.count()
}

/// The interval holds what is true about as often as it says: without weather, with it, and where a side is short.
#[test]
fn means_in_weather_are_held() {
    expect_share(held_in_weather(600, (12, 12), 0.0, 31), 600, 0.94, 0.985);
    expect_share(held_in_weather(600, (20, 20), 0.15, 32), 600, 0.90, 0.96);
    expect_share(held_in_weather(600, (15, 1), 0.15, 33), 600, 0.90, 0.99);
}

/// What its own units do not show is told by others.
#[test]
fn what_others_vary_is_added() {
    let units = |mean: f64| -> Vec<Unit> {
        let unit = |number: u64| Unit {
            numerator: mean + (number % 3) as f64,
            denominator: 1.0,
            place: 0,
            period: number / 4,
        };
        (0..60).map(unit).collect()
    };
    let strata = [Arms {
        baseline: units(10.0),
        candidate: units(11.0),
    }];
    let found = clustered_difference(&strata).unwrap();
    let half = |found: ClusteredDifference| {
        let interval = found.interval(LEVEL).unwrap();
        (interval.high - interval.low) / 2.0
    };
    assert_eq!(half(found.and_varies(0.0, 5)), half(found));
    assert!(found.p_value() < 0.01);
    // Nearly all of it is that of six others: Student's t with five degrees of freedom, 2.571.
    let wide = found.and_varies(10.0, 6);
    assert!((half(wide) / 10.0 - 2.571).abs() < 0.02, "{}", half(wide));
    assert_eq!(wide.estimate, found.estimate);
    assert!(wide.p_value() > 0.9);
}

/// Time of a call is time over calls, both of which vary from trace to trace.
#[test]
fn ratios_are_held() {
    let mut draws = Draws::new(15);
    let rounds = 1500;
    let held = (0..rounds).filter(|_| {
        let mut arm = |of_call: f64| {
            let mut sums = RatioSums::default();
            for _ in 0..120 {
                let calls = 1.0 + draws.poisson(2.0);
                sums.add(calls * (of_call + draws.normal()), calls);
            }
            sums
        };
        let arms = Arms {
            baseline: arm(5.0),
            candidate: arm(5.5),
        };
        ratio_difference(&[arms], LEVEL, DesignEffect::NONE)
            .unwrap()
            .contains(0.5)
    });
    expect_share(held.count(), rounds, 0.94, 0.96);
}

/// The smallest shift that is found with 95 % power is found in 95 % of the cases, whatever the distribution.
#[test]
fn the_smallest_change_is_found_as_often_as_promised() {
    let mut draws = Draws::new(16);
    // Two modes, as a cache makes them.
    let mut sample = |count: usize, shift: f64| -> Histogram {
        (0..count)
            .map(|_| shift + 0.3 * draws.normal() + if draws.uniform() < 0.2 { 2.0 } else { 0.0 })
            .collect()
    };
    let shape = sample(20_000, 0.0);
    let counts = Arms {
        baseline: 150,
        candidate: 100,
    };
    let planned = [PlannedStratum {
        values: &shape,
        counts,
    }];
    let detection = Detection::new(0.05, 0.95).unwrap();
    let smallest = detection.smallest_shift(&planned, DesignEffect::NONE).unwrap();
    let rounds = 1500;
    let found = (0..rounds).filter(|_| {
        let arms = Arms {
            baseline: sample(150, 0.0),
            candidate: sample(100, smallest),
        };
        rank_test(&[arms], DesignEffect::NONE).unwrap().p_value < 0.05
    });
    expect_share(found.count(), rounds, 0.94, 0.96);
}
