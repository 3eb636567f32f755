//! Other requests of the same entry operation: paths that are asked for more often, and what that alone did to its
//! mean. It is told of what a comparison compared, because only that has paths.

use model::OperationNumber;

use crate::report::{Explanation, Finding};
use crate::statistics::{Arms, RatioSums};

use super::super::cause::Sizes;
use super::super::comparison::Compared;
use super::super::names::{operation_text, time_text};
use super::super::study::Study;
use super::Event;

/// Standard errors from which on a mean was moved by other requests.
const Z_MIN: f64 = 4.0;
/// Blocks on either side that an error can be told from.
const BLOCKS_MIN: f64 = 6.0;

/// By how much other requests alone moved the mean of an entry operation.
struct Moved {
    entry: OperationNumber,
    /// Microseconds.
    micros: f64,
    z: f64,
}

/// The entry operation of which it is surest, if it matters.
pub(in super::super) fn mix_shift(study: &Study<'_>, sizes: &Sizes<'_>) -> Option<Finding> {
    let strata = &study.comparison.strata;
    let entry_of = |compared: &Compared| strata[compared.stratum as usize].entry;
    // Strata are in the order of their entries.
    let entries = study
        .comparison
        .compared
        .chunk_by(|one, next| entry_of(one) == entry_of(next));
    let moved = entries.filter_map(|compared| moved(study, entry_of(&compared[0]), compared));
    let matters = |moved: &Moved| {
        let least = sizes.min_relative() * study.entry_mean(moved.entry);
        moved.micros.abs() >= least.max(sizes.options.min_entry_micros) && moved.z.abs() >= Z_MIN
    };
    let surest = moved
        .filter(matters)
        .max_by(|one, other| one.z.abs().total_cmp(&other.z.abs()))?;
    let event = Event {
        explanation: Explanation::MixShift,
        origin: surest.entry,
        z: surest.z,
        instance: None,
        summary: format!(
            "{} is asked for other things: that alone moved its mean by {}",
            operation_text(study.traces, surest.entry),
            time_text(surest.micros)
        ),
    };
    Some(event.finding(study.traces))
}

/// As if every path took what it took in the baseline: what requests of a minute on an instance have in common is in
/// the error.
fn moved(study: &Study<'_>, entry: OperationNumber, compared: &[Compared]) -> Option<Moved> {
    let usual = |compared: &Compared| {
        let sums = &study.sums[compared.stratum as usize];
        sums.durations.baseline as f64 / sums.traces.baseline.max(1) as f64
    };
    let mut blocks: Vec<_> = compared
        .iter()
        .map(|compared| (compared.side, compared.block, usual(compared)))
        .collect();
    blocks.sort_by_key(|block| (block.0, block.1));
    let mut arms = Arms::<RatioSums>::default();
    for block in blocks.chunk_by(|one, next| (one.0, one.1) == (next.0, next.1)) {
        let micros = block.iter().map(|(.., usual)| usual).sum();
        let side = block[0].0;
        side.of_mut(&mut arms).add(micros, block.len() as f64);
    }
    if arms.baseline.units.min(arms.candidate.units) < BLOCKS_MIN {
        return None;
    }
    let micros = arms.candidate.ratio()? - arms.baseline.ratio()?;
    let error = (arms.candidate.variance()? + arms.baseline.variance()?).sqrt();
    (error > 0.0).then(|| Moved {
        entry,
        micros,
        z: micros / error,
    })
}
