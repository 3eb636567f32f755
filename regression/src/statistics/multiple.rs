//! Of many comparisons some look real by chance.

/// P-values adjusted so that those up to q are, on average, a share of at most q false discoveries, if the tests
/// are independent or positively dependent: the step-up procedure. In the order given; what is no number counts as
/// 1.
///
/// For the p-value of rank i of m: the least of p_j·m/j over all ranks j ≥ i, at most 1.
/// Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", 1995.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    weighted_benjamini_hochberg(p_values, &vec![1.0; p_values.len()])
}

/// The same where some discoveries are expected rather than others: each p-value is divided by its weight, of which the
/// mean is 1. What weighs nothing is never found, and its chance is the others'.
///
/// Weights are as many as p-values, not negative, and must not depend on what is tested. They are given in any unit.
/// C. R. Genovese, K. Roeder and L. Wasserman, "False discovery control with p-value weighting", 2006.
pub fn weighted_benjamini_hochberg(p_values: &[f64], weights: &[f64]) -> Vec<f64> {
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    let weighted = |(p, weight): (&f64, &f64)| {
        let p = p.clamp(0.0, 1.0) * (mean / weight);
        if *weight > 0.0 && p < 1.0 { p } else { 1.0 }
    };
    let of_index = p_values.iter().zip(weights).map(weighted);
    let mut ranked: Vec<(usize, f64)> = of_index.enumerate().collect();
    ranked.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 1.0f64;
    for (before, &(index, p)) in ranked.iter().enumerate().rev() {
        least = least.min(p * p_values.len() as f64 / (before + 1) as f64);
        adjusted[index] = least;
    }
    adjusted
}

/// Which of many tests could find anything: whether the least p-value that a test can come to, whatever it finds, is
/// small enough. The others need not be made up for.
///
/// With m(k) the number of tests whose least p-value is at most q/k: those up to q/k of the first k for which
/// m(k) ≤ k. The least p-values must not depend on what is tested, only on how many values there are, and on ties.
/// R. E. Tarone, "A modified Bonferroni method for discrete data", 1990; P. B. Gilbert, 2005.
pub fn can_be_found(least_p_values: &[f64], q: f64) -> Vec<bool> {
    let mut ascending = least_p_values.to_vec();
    ascending.sort_by(f64::total_cmp);
    let found_at = |level: f64| ascending.partition_point(|&least| least <= level);
    let family = (1..=ascending.len()).find(|&size| found_at(q / size as f64) <= size);
    let level = q / family.unwrap_or(1) as f64;
    least_p_values.iter().map(|&least| least <= level).collect()
}
