//! What two runs of `compare` differ in by more than chance and the machine explain.
//!
//! Questions that were asked on one connection are the same in both runs, so each is held against itself: of the ratios of how
//! long it took the median counts, with an interval that assumes nothing of how they are distributed. What has no partner,
//! questions under load and reports, is compared by the medians of both. A limit is only known to lie between the
//! load that held and the one that did not.
//!
//! A machine is not as fast today as it was yesterday: both runs have measured the same work beside the rest (`pace.rs`). A
//! difference is told as one only where the interval leaves out 1 as it is *and* when the machine's own ratio is taken out of it.
//! Figures of which a run has one value, such as bytes, are shown with their ratio and without a judgement.

mod figures;
mod median;
mod run;

use std::path::PathBuf;

use serde::Serialize;

use figures::{Figure, Judgement};
use median::Interval;
use run::Run;

/// What to hold against what.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// The JSON that `compare` wrote first.
    pub before: PathBuf,
    /// The JSON that it wrote afterwards: the same seed, spans and questions.
    pub after: PathBuf,
    /// How often an interval has the true ratio.
    #[arg(long, default_value_t = 0.99, value_parser = level)]
    pub level: f64,
}

fn level(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(level) if (0.5..1.0).contains(&level) => Ok(level),
        _ => Err("a level is from 0.5 to less than 1".to_owned()),
    }
}

/// Prints a table of both.
///
/// # Errors
/// Where a file is not one that `compare` wrote, or the runs did not ask the same.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let runs = [Run::read(&options.before)?, Run::read(&options.after)?];
    print!("{}", told(&runs, options.level)?);
    Ok(())
}

/// All that there is to say, as Markdown.
fn told(runs: &[Run; 2], level: f64) -> anyhow::Result<String> {
    let [before, after] = runs;
    before.require_same(after)?;
    let mut text = String::new();
    for (name, run) in [("Before", before), ("After", after)] {
        text += &format!("- {name}: {}\n", run.about());
    }
    for name in before.missing_in(after) {
        text += &format!("- {name}: only before\n");
    }
    for name in after.missing_in(before) {
        text += &format!("- {name}: only after\n");
    }
    for of_before in &before.measured {
        let same = |of_after: &&run::Measured| of_after.backend == of_before.backend;
        let Some(of_after) = after.measured.iter().find(same) else {
            continue;
        };
        let machine = median::of_ratio(&of_before.pace_ms, &of_after.pace_ms, level);
        text += &table(
            &of_before.backend,
            machine,
            &figures::of([of_before, of_after], level),
        );
    }
    let beyond = 1.0 - level;
    text += &format!(
        "\nOf figures that do not differ, {:.0} in 100 are expected to be told as different all the same.\n",
        beyond * 100.0
    );
    Ok(text)
}

fn table(backend: &str, machine: Option<Interval>, figures: &[Figure]) -> String {
    let mut text = format!("\n## {backend}\n\n");
    text += &match machine {
        Some(machine) => format!("The same work took the machine {machine} times as long.\n"),
        None => "How fast the machine was is not in both files: nothing is judged.\n".to_owned(),
    };
    text += "\n| figure | before | after | ratio | |\n| --- | ---: | ---: | ---: | --- |\n";
    for figure in figures {
        let ratio = figure.ratio.map_or("–".to_owned(), |ratio| ratio.to_string());
        let judgement = match figure.judge(machine) {
            Judgement::Better => "**better**",
            Judgement::Worse => "**worse**",
            Judgement::Noise => "within the noise",
            Judgement::Unknown => "one value each, or too few",
        };
        text += &format!(
            "| {} | {} | {} | {ratio} | {judgement} |\n",
            figure.name, figure.before, figure.after
        );
    }
    text
}

#[cfg(test)]
mod tests;
