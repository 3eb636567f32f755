//! How fast the machine itself is at a moment: the same work, done again and again. What two runs say is compared with that,
//! since a shared machine is not as fast today as it was yesterday.

use std::hint::black_box;
use std::time::Instant;

use crate::workload::Random;

/// Numbers that are sorted: more than the nearest caches hold, a few milliseconds of work.
const NUMBERS: usize = 200_000;
const ROUNDS: usize = 25;

/// How long a fixed work took, milliseconds, as often as it was done. It is done on one thread, by comparing and moving what is
/// in memory; disk and network are not in it.
pub(crate) fn sample() -> Vec<f64> {
    let mut random = Random::new(1);
    let numbers: Vec<u64> = (0..NUMBERS).map(|_| random.next()).collect();
    let mut sorted = numbers.clone();
    let mut once = || {
        sorted.copy_from_slice(&numbers);
        let begin = Instant::now();
        black_box(&mut sorted[..]).sort_unstable();
        begin.elapsed().as_secs_f64() * 1e3
    };
    // The first touches memory that nobody has touched.
    once();
    (0..ROUNDS).map(|_| once()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_work_is_done_as_often_as_said() {
        let took = sample();
        assert_eq!(took.len(), ROUNDS);
        assert!(took.iter().all(|ms| (0.01..10_000.0).contains(ms)), "{took:?}");
    }
}
