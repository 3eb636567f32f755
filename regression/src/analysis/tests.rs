//! Small populations made by hand, one rule a test.

mod attribution;
mod contributions;
mod entries;
mod few;
mod hostile;
mod judging;
mod population;
mod shop;
mod surroundings;

use crate::report::{Explanation, Report};

/// Whether a report names an explanation of anything.
fn is_told(report: &Report, explanation: Explanation) -> bool {
    let mut findings = report.findings.iter();
    findings.any(|found| found.explanation == Some(explanation))
}
