//! Nothing changed: p-values are even from 0 to 1, and tests at 5 % are wrong in 5 % of the cases.

use regression::statistics::{
    Arms, Block, DesignEffect, Histogram, Proportion, Rate, benjamini_hochberg, compare_proportions,
    exact_rank_test, mean_score_test, permutation_test, poisson_test, rank_test, tail,
};

use crate::draws::{Draws, expect_even, expect_share};

/// Two strata, of which the second is as different as strata are, and of other sizes.
fn alike(draws: &mut Draws) -> Vec<Arms<Histogram>> {
    [(25, 30, 0.0), (10, 45, 3.0)]
        .into_iter()
        .map(|(baseline, candidate, mean)| Arms {
            baseline: draws.normals(baseline, mean, 0.6),
            candidate: draws.normals(candidate, mean, 0.6),
        })
        .collect()
}

#[test]
fn ranks_of_what_is_alike_are_even() {
    let mut draws = Draws::new(1);
    let p_values = (0..5000).map(|_| rank_test(&alike(&mut draws), DesignEffect::NONE).unwrap().p_value);
    expect_even(p_values.collect());
}

#[test]
fn mean_scores_of_what_is_alike_are_even() {
    let mut draws = Draws::new(2);
    let p_values = (0..5000).map(|_| {
        mean_score_test(&alike(&mut draws), DesignEffect::NONE)
            .unwrap()
            .p_value
    });
    expect_even(p_values.collect());
}

#[test]
fn permutations_of_what_is_alike_are_even() {
    let mut draws = Draws::new(3);
    let p_values = (0..1000).map(|seed| permutation_test(&alike(&mut draws), 99, seed).unwrap());
    // Of 100 possible p-values each is the upper end of what it stands for.
    expect_even(p_values.map(|p| p - 0.005).collect());
}

#[test]
fn proportions_that_are_alike_are_even() {
    let mut draws = Draws::new(4);
    let p_values = (0..2500).map(|_| {
        let strata = [(0.3, 500, 300), (0.7, 200, 400)].map(|(probability, baseline, candidate)| Arms {
            baseline: Proportion::new(draws.hits(baseline, probability), baseline),
            candidate: Proportion::new(draws.hits(candidate, probability), candidate),
        });
        compare_proportions(&strata, 0.95, DesignEffect::NONE)
            .unwrap()
            .p_value
    });
    expect_even(p_values.collect());
}

/// An exact test is wrong at most as often as it says, and of continuous values about as often.
#[test]
fn few_ranks_convict_nobody() {
    let mut draws = Draws::new(6);
    let rounds = 3000;
    let wrong = (0..rounds).filter(|_| {
        let arms = Arms {
            baseline: draws.normals(12, 0.0, 1.0),
            candidate: draws.normals(7, 0.0, 1.0),
        };
        exact_rank_test(&[arms], DesignEffect::NONE).unwrap().p_value <= 0.05
    });
    expect_share(wrong.count(), rounds, 0.04, 0.05);
}

/// An exact test is wrong at most as often as it says.
#[test]
fn few_errors_convict_nobody() {
    let mut draws = Draws::new(5);
    let mut wrong = Arms {
        baseline: 0,
        candidate: 0,
    };
    for _ in 0..3000 {
        let arm = |draws: &mut Draws| Proportion::new(draws.hits(200, 0.015), 200);
        let arms = Arms {
            baseline: arm(&mut draws),
            candidate: arm(&mut draws),
        };
        let test = compare_proportions(&[arms], 0.95, DesignEffect::NONE).unwrap();
        assert!(test.exact || arms.baseline.hits() + arms.candidate.hits() >= 10);
        wrong.baseline += usize::from(test.p_value < 0.05);
        let rates = arms.map(|arm| Rate {
            events: arm.hits(),
            exposure: 200.0,
        });
        let poisson = poisson_test(rates, 0.95);
        wrong.candidate += usize::from(poisson.is_some_and(|test| test.p_value < 0.05));
    }
    expect_share(wrong.baseline, 3000, 0.0, 0.05);
    expect_share(wrong.candidate, 3000, 0.0, 0.05);
}

/// Also where a stratum has too few values for a quantile of its baseline to be known.
#[test]
fn tails_that_are_alike_are_seldom_thought_different() {
    let mut draws = Draws::new(6);
    let rounds = 1500;
    // Few values above a quantile have few p-values: less than 5 % may be all that there is.
    for (quantile, strata, baseline, candidate, least) in [
        (0.9, 1, 500, 700, 0.04),
        (0.95, 6, 150, 60, 0.025),
        (0.98, 12, 40, 60, 0.025),
    ] {
        let mut wrong = Arms::<usize>::default();
        for _ in 0..rounds {
            let mut stratum = || Arms {
                baseline: draws.normals(baseline, 0.0, 1.0),
                candidate: draws.normals(candidate, 0.0, 1.0),
            };
            let strata: Vec<Arms<Histogram>> = (0..strata).map(|_| stratum()).collect();
            let tail = tail(&strata, quantile, 0.95, DesignEffect::NONE).unwrap();
            let is_wrong = usize::from(tail.p_value < 0.05);
            *(if tail.z > 0.0 {
                &mut wrong.candidate
            } else {
                &mut wrong.baseline
            }) += is_wrong;
        }
        let both = wrong.baseline + wrong.candidate;
        expect_share(both, rounds, least, 0.06);
        assert!(
            wrong.baseline * 4 > both && wrong.candidate * 4 > both,
            "{quantile}: {wrong:?}"
        );
    }
}

/// A minute has a level of its own: without the design effect the test is often wrong, with it as often as it says.
#[test]
fn blocks_convict_nobody() {
    let mut draws = Draws::new(7);
    let (mut naive, mut corrected) = (0, 0);
    let rounds = 1000;
    for _ in 0..rounds {
        let arm = |draws: &mut Draws| -> Vec<Histogram> {
            (0..25)
                .map(|_| {
                    let level = 0.5 * draws.normal();
                    draws.normals(12, level, 1.0)
                })
                .collect()
        };
        let (baseline, candidate) = (arm(&mut draws), arm(&mut draws));
        let blocks: Vec<Block<'_>> = (0..)
            .zip(&baseline)
            .map(|(number, values)| Block { number, values })
            .collect();
        let design_effect = DesignEffect::of_blocks(&[blocks]).unwrap();
        let whole = |blocks: &[Histogram]| -> Histogram {
            blocks
                .iter()
                .flat_map(Histogram::cells)
                .map(|cell| (cell.value, cell.count))
                .collect()
        };
        let arms = [Arms {
            baseline: whole(&baseline),
            candidate: whole(&candidate),
        }];
        naive += usize::from(rank_test(&arms, DesignEffect::NONE).unwrap().p_value < 0.05);
        corrected += usize::from(rank_test(&arms, design_effect).unwrap().p_value < 0.05);
    }
    assert!(
        naive * 5 > rounds,
        "blocks do not matter here: {naive} of {rounds}"
    );
    expect_share(corrected, rounds, 0.03, 0.08);
}

/// Independent values have no design effect, on average: half are below and cut to 1.
#[test]
fn independent_values_have_no_design_effect() {
    let mut draws = Draws::new(8);
    let rounds = 600;
    let mut at_one = 0;
    for _ in 0..rounds {
        let values: Vec<Histogram> = (0..30).map(|_| draws.normals(10, 0.0, 1.0)).collect();
        let blocks: Vec<Block<'_>> = (0..)
            .zip(&values)
            .map(|(number, values)| Block { number, values })
            .collect();
        let factor = DesignEffect::of_blocks(&[blocks]).unwrap().factor();
        assert!(factor < 2.2, "{factor}");
        at_one += usize::from(factor <= 1.0);
    }
    expect_share(at_one, rounds, 0.45, 0.6);
}

/// Of what the procedure selects at q, at most q is not real.
#[test]
fn false_discoveries_are_as_rare_as_promised() {
    let mut draws = Draws::new(9);
    let (mut share, mut found) = (0.0, 0);
    let rounds = 1000;
    for _ in 0..rounds {
        // The first 15 are real.
        let p_values: Vec<f64> = (0..60)
            .map(|index| {
                if index < 15 {
                    draws.uniform().powi(6)
                } else {
                    draws.uniform()
                }
            })
            .collect();
        let adjusted = benjamini_hochberg(&p_values);
        let selected = adjusted.iter().filter(|p| **p <= 0.2).count();
        let wrong = adjusted[15..].iter().filter(|p| **p <= 0.2).count();
        share += wrong as f64 / selected.max(1) as f64;
        found += selected - wrong;
    }
    let average = share / f64::from(rounds);
    // Three quarters of the hypotheses are null, so the promise is three quarters of q.
    assert!((0.12..0.18).contains(&average), "{average}");
    assert!(found > 3 * rounds as usize, "{found}");
}
