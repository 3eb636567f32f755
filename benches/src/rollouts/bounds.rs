//! What a few scenarios can hold: bounds that an analysis which works keeps whatever machine it runs on, and one that
//! blames the wrong or finds nothing does not. What is promised ([`Measure::target`]) takes many scenarios to show.

use super::score::{Measure, Tally, Target};

/// Well inside of what the scenarios of the first seeds come to.
const BOUNDS: [(Measure, Target); 8] = [
    (Measure::Service, Target::AtLeast(0.8)),
    (Measure::Operation, Target::AtLeast(0.7)),
    (Measure::Cause, Target::AtLeast(0.6)),
    (Measure::Power, Target::AtLeast(0.6)),
    (Measure::FalseAlarm, Target::AtMost(0.06)),
    (Measure::Decoy, Target::AtMost(0.06)),
    (Measure::Found, Target::AtLeast(0.5)),
    (Measure::Contribution, Target::AtLeast(0.6)),
];

/// Holds what an analysis came to against the bounds.
///
/// # Errors
/// Naming every bound that is not kept, and every figure that was not counted at all.
pub(super) fn hold(tally: &Tally) -> anyhow::Result<()> {
    let broken = BOUNDS.iter().filter_map(|(measure, bound)| {
        let count = tally.measures.get(measure).copied().unwrap_or_default();
        match count.rate() {
            Some(rate) if bound.is_met(rate) => None,
            Some(rate) => Some(format!(
                "{}: {rate:.3} of {}, and {bound:?} is expected",
                measure.name(),
                count.trials
            )),
            None => Some(format!("{}: never counted", measure.name())),
        }
    });
    let broken: Vec<String> = broken.collect();
    anyhow::ensure!(
        broken.is_empty(),
        "not what a working analysis comes to:\n{}",
        broken.join("\n")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::score::Count;
    use super::*;

    #[test]
    fn what_is_out_of_bounds_or_was_not_counted_is_named() {
        let mut tally = Tally::default();
        for (measure, bound) in BOUNDS {
            let hits = u64::from(matches!(bound, Target::AtLeast(_)));
            tally.measures.insert(measure, Count { hits, trials: 1 });
        }
        assert!(hold(&tally).is_ok());
        tally
            .measures
            .insert(Measure::Decoy, Count { hits: 1, trials: 10 });
        tally.measures.remove(&Measure::Power);
        let told = hold(&tally).unwrap_err().to_string();
        assert!(
            told.contains(Measure::Decoy.name()) && told.contains(Measure::Power.name()),
            "{told}"
        );
        assert_eq!(told.lines().count(), 3, "{told}");
    }
}
