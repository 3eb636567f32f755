//! Of many comparisons some look real by chance.

/// P-values adjusted so that those up to q are, on average, a share of at most q false discoveries, if the tests
/// are independent or positively dependent: the step-up procedure. In the order given; what is no number counts as
/// 1.
///
/// For the p-value of rank i of m: the least of p_j·m/j over all ranks j ≥ i, at most 1.
/// Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", 1995.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut ranked: Vec<(usize, f64)> = p_values
        .iter()
        .map(|p| if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) })
        .enumerate()
        .collect();
    ranked.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 1.0f64;
    for (before, &(index, p)) in ranked.iter().enumerate().rev() {
        least = least.min(p * p_values.len() as f64 / (before + 1) as f64);
        adjusted[index] = least;
    }
    adjusted
}
