//! Medians and their intervals by order statistics: nothing is assumed of how values are distributed.

use std::fmt;

/// A ratio, with what it may as well be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) middle: f64,
    /// `None` where there are too few values to say.
    pub(super) ends: Option<(f64, f64)>,
}

impl Interval {
    /// Of one value each.
    pub(super) fn without_ends(middle: f64) -> Self {
        Self { middle, ends: None }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.middle)?;
        match self.ends {
            Some((low, high)) => write!(f, " ({low:.2} to {high:.2})"),
            None => Ok(()),
        }
    }
}

/// The median of the ratios of pairs; `None` without any. What the one has more of has no partner and is left out.
pub(super) fn of_pairs(before: &[f64], after: &[f64], level: f64) -> Option<Interval> {
    let ratios = before.iter().zip(after).map(|(before, after)| after / before);
    of(ratios.collect(), level)
}

/// The ratio of the medians of values that are no pairs. Its interval is that of both medians at a level at which both have
/// theirs as often as `level` says, so it is rather too wide.
pub(super) fn of_ratio(before: &[f64], after: &[f64], level: f64) -> Option<Interval> {
    let each = f64::midpoint(1.0, level);
    let (before, after) = (of(before.to_vec(), each)?, of(after.to_vec(), each)?);
    Some(Interval {
        middle: after.middle / before.middle,
        ends: before
            .ends
            .zip(after.ends)
            .map(|(before, after)| (after.0 / before.1, after.1 / before.0)),
    })
}

/// The median of some values.
pub(super) fn of(mut values: Vec<f64>, level: f64) -> Option<Interval> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let middle = f64::midpoint(values[last / 2], values[last.div_ceil(2)]);
    let ends = rank(values.len(), level).map(|rank| (values[rank], values[last - rank]));
    Some(Interval { middle, ends })
}

/// How many values may lie outside at each end; `None` where even all of them have the median too seldom. So many are below it
/// as heads among as many coins (Conover, Practical Nonparametric Statistics, 3.2).
fn rank(count: usize, level: f64) -> Option<usize> {
    let outside_max = (1.0 - level) / 2.0;
    let mut probability_ln = count as f64 * 0.5_f64.ln();
    let mut outside = 0.0;
    let mut found = None;
    for below in 0..count / 2 {
        outside += probability_ln.exp();
        if outside > outside_max {
            break;
        }
        found = Some(below);
        probability_ln += ((count - below) as f64 / (below + 1) as f64).ln();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Random;

    #[test]
    fn ranks_are_those_of_published_tables() {
        // The interval of n values at 95 % is that of the ranks: 6: 1 and 6, 10: 2 and 9, 20: 6 and 15, 50: 18 and 33.
        let first = |count| rank(count, 0.95).map(|rank| rank + 1);
        assert_eq!(
            [5, 6, 10, 20, 50].map(first),
            [None, Some(1), Some(2), Some(6), Some(18)]
        );
        assert_eq!(rank(0, 0.95), None);
        // Far more than powers of a half can be written down for.
        let many = rank(100_000, 0.9999999).unwrap();
        assert!((49_000..50_000).contains(&many), "{many}");
    }

    #[test]
    fn medians_are_of_what_there_is() {
        let interval = of((1..=10).map(f64::from).collect(), 0.95).unwrap();
        assert_eq!((interval.middle, interval.ends), (5.5, Some((2.0, 9.0))));
        assert_eq!(of(vec![3.0], 0.95), Some(Interval::without_ends(3.0)));
        assert_eq!(of(vec![f64::NAN], 0.95), None);
    }

    #[test]
    fn pairs_tell_what_medians_of_both_cannot() {
        let before: Vec<f64> = (1..=50).map(|number| f64::from(number * number)).collect();
        let after: Vec<f64> = before.iter().map(|ms| ms * 1.1).collect();
        let (low, high) = of_pairs(&before, &after, 0.99).unwrap().ends.unwrap();
        assert!(
            (low - 1.1).abs() < 1e-9 && (high - 1.1).abs() < 1e-9,
            "{low} to {high}"
        );
        let apart = of_ratio(&before, &after, 0.99).unwrap();
        assert!((apart.middle - 1.1).abs() < 1e-9);
        let (low, high) = apart.ends.unwrap();
        assert!(low < 0.5 && high > 2.0, "{low} to {high}");
    }

    /// Skewed values of one distribution: an interval leaves out the truth as seldom as it says.
    #[test]
    fn intervals_have_the_truth_as_often_as_they_say() {
        let mut random = Random::new(7);
        let mut draw = || random.log_normal(1.0, 1.5);
        let rounds = 4_000;
        let missed = (0..rounds).filter(|_| {
            let mut values = || (0..40).map(|_| draw()).collect::<Vec<f64>>();
            let (before, after) = (values(), values());
            let (low, high) = of_pairs(&before, &after, 0.95).unwrap().ends.unwrap();
            low > 1.0 || high < 1.0
        });
        let share = missed.count() as f64 / f64::from(rounds);
        assert!((0.02..=0.055).contains(&share), "{share}");
    }
}
