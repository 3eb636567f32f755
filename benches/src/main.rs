//! Seeded workloads, load generator, comparisons.
fn main() {}
