//! Looking again and again raises no more false alarms than promised, and still sees what is there.

use regression::statistics::{Arms, DesignEffect, ErrorProcess, Histogram, NormalMixture, Random, rank_test};

use crate::draws::{Draws, expect_share};

const LOOKS: usize = 35;
const A_LOOK: usize = 15;

/// Logarithms of durations, rounded so that a growing sample stays small.
struct Growing(Vec<u64>);

impl Growing {
    const STEP: f64 = 0.1;

    fn new() -> Self {
        Self(vec![0; 200])
    }

    fn grow(&mut self, draws: &mut Draws, count: usize, mean: f64) {
        for _ in 0..count {
            let at = ((mean + draws.normal()) / Self::STEP).round() as i64 + 100;
            self.0[at.clamp(0, 199) as usize] += 1;
        }
    }

    fn values(&self) -> Histogram {
        self.0
            .iter()
            .enumerate()
            .map(|(at, &count)| ((at as f64 - 100.0) * Self::STEP, count))
            .collect()
    }
}

/// What a series of looks at a candidate with this shift came to.
#[derive(Default)]
struct Alarms {
    at_all_times: usize,
    naive: usize,
    looks_until: Vec<usize>,
}

/// The baseline grows with the candidate, or is complete before it.
fn watch(rounds: usize, shift: f64, concurrent: bool, seed: u64) -> Alarms {
    let mixture = NormalMixture::new(0.01, 300.0).unwrap();
    let mut draws = Draws::new(seed);
    let mut alarms = Alarms::default();
    for _ in 0..rounds {
        let mut arms = Arms {
            baseline: Growing::new(),
            candidate: Growing::new(),
        };
        if !concurrent {
            arms.baseline.grow(&mut draws, 500, 0.0);
        }
        let (mut alarm, mut naive) = (None, false);
        for look in 0..LOOKS {
            arms.candidate.grow(&mut draws, A_LOOK, shift);
            if concurrent {
                arms.baseline.grow(&mut draws, A_LOOK, 0.0);
            }
            let seen = [arms.as_ref().map(Growing::values)];
            naive |= rank_test(&seen, DesignEffect::NONE).unwrap().p_value < 0.05;
            let outside = mixture
                .look(&seen, DesignEffect::NONE)
                .is_some_and(|look| !look.difference.contains(0.0));
            if outside && alarm.is_none() {
                alarm = Some(look + 1);
            }
        }
        alarms.at_all_times += usize::from(alarm.is_some());
        alarms.naive += usize::from(naive);
        alarms.looks_until.extend(alarm);
    }
    alarms.looks_until.sort_unstable();
    alarms
}

#[test]
fn looking_again_and_again_raises_no_false_alarms() {
    for (concurrent, seed) in [(true, 21), (false, 22)] {
        let rounds = 1200;
        let alarms = watch(rounds, 0.0, concurrent, seed);
        expect_share(alarms.at_all_times, rounds, 0.0, 0.01);
        assert!(
            alarms.naive * 6 > rounds,
            "peeking does no harm here: {}",
            alarms.naive
        );
    }
}

#[test]
fn a_change_is_seen_while_it_happens() {
    let rounds = 200;
    let alarms = watch(rounds, 0.5, true, 23);
    expect_share(alarms.at_all_times, rounds, 0.97, 1.0);
    let median = alarms.looks_until[alarms.looks_until.len() / 2];
    assert!(median < LOOKS / 2, "after {median} looks");
}

/// The candidate's share grows from minute to minute, and how often requests fail varies.
fn watch_errors(rounds: usize, times: f64, seed: u64) -> usize {
    let mut draws = Draws::new(seed);
    let mut random = Random::new(seed);
    let mut alarms = 0;
    for _ in 0..rounds {
        let mut process = ErrorProcess::default();
        let mut alarm = false;
        for minute in 1..=30 {
            let share = f64::from(minute) / 60.0;
            let probability = 0.01 + 0.02 * draws.uniform();
            let requests = 100 + random.below(100) as u64;
            let candidate = (requests as f64 * share).round();
            process.record(
                draws.hits(candidate as u64, probability * times),
                draws.hits(requests - candidate as u64, probability),
                candidate / requests as f64,
            );
            alarm |= process.p_value() < 0.05 && (process.excess() > 0.0) == (times >= 1.0);
        }
        alarms += usize::from(alarm);
    }
    alarms
}

#[test]
fn errors_that_follow_the_traffic_raise_no_alarm_and_others_do() {
    let rounds = 600;
    expect_share(watch_errors(rounds, 1.0, 24), rounds, 0.0, 0.05);
    expect_share(watch_errors(rounds, 4.0, 25), rounds, 0.95, 1.0);
}
