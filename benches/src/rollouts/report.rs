//! What came of it, as Markdown for people, JSON for programs, and plots: a column an analysis.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;

use crate::ingest::command;
use crate::ingest::report::{of_machine, thousands};
use crate::machine::Machine;
use crate::options::Reports;

use super::Options;
use super::evaluate::Named;
use super::score::{Count, Measure, Tally, Target};
use super::{Purpose, plot};

/// Everything that was counted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    command: String,
    title: &'static str,
    /// What was judged, in words.
    material: String,
    machine: Machine,
    pub(super) analyses: Vec<Judging>,
}

/// An analysis and what it came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Judging {
    pub(super) name: &'static str,
    #[serde(flatten)]
    pub(super) tally: Tally,
    micros_a_judgement: f64,
}

impl Report {
    pub(super) fn new(options: &Options, cases: usize, tallies: Vec<Named>) -> Self {
        let seeds = match options.purpose() {
            Purpose::Tune => "seeds that methods may be fitted to",
            Purpose::Report => "seeds that no method was fitted to",
        };
        let material = format!("{cases} cases, {} scenarios of each, {seeds}", options.seeds);
        Self::of("Which deployment made it slow", material, tallies)
    }

    pub(super) fn of(title: &'static str, material: String, tallies: Vec<Named>) -> Self {
        let judging = |(name, tally): Named| Judging {
            name,
            micros_a_judgement: tally.micros as f64 / tally.judged.max(1) as f64,
            tally,
        };
        Self {
            command: command(),
            title,
            material,
            machine: Machine::find(),
            analyses: tallies.into_iter().map(judging).collect(),
        }
    }

    /// Prints it, and writes it down.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub(super) fn write(&self, reports: &Reports, name: &str) -> anyhow::Result<()> {
        let markdown = self.markdown();
        print!("{markdown}");
        let written = reports.write(name, &markdown, self)?;
        let panels = plot::panels(self);
        if !panels.is_empty() {
            crate::plot::write(&reports.path(name, "svg")?, 2, &panels)?;
        }
        eprintln!("written: {}", written.display());
        Ok(())
    }

    pub(super) fn markdown(&self) -> String {
        let [hardware, versions] = of_machine(&self.machine);
        let mut text = format!(
            "# {}\n\nWritten by the benchmark; the method is in the README above. A figure is a share, with its 95 % \
             interval after Wilson and what it was counted of.\n\n- Command: `{}`\n- Judged: {}\n- Machine: {hardware}\n\
             - Versions: {versions}\n- Date: {}\n",
            self.title, self.command, self.material, self.machine.date
        );
        text += &self.measures();
        text += &self.by_case(
            "Deployments blamed, by scenario without fault (at most 0.02 of each)",
            |tally| &tally.alarms,
        );
        text += &self.by_case(
            "Guilty deployments blamed, by scenario with a fault that matters",
            |tally| &tally.found,
        );
        text += &self.faults();
        text += &self.power();
        text
    }

    /// A row of what stands in the columns.
    fn header(&self, text: &mut String, first: &str, last: &str) {
        let _ = write!(text, "\n| {first} |");
        for judging in &self.analyses {
            let _ = write!(text, " {} |", judging.name);
        }
        let _ = write!(text, "{last}\n| --- |");
        *text += &" ---: |".repeat(self.analyses.len() + usize::from(!last.is_empty()));
        *text += "\n";
    }

    fn measures(&self) -> String {
        let mut text = String::new();
        self.header(&mut text, "measure", " target |");
        for measure in Measure::ALL {
            let count = |judging: &Judging| judging.tally.measures.get(&measure).copied().unwrap_or_default();
            if self.analyses.iter().all(|judging| count(judging).trials == 0) {
                continue;
            }
            let _ = write!(text, "| {} |", measure.name());
            for judging in &self.analyses {
                let _ = write!(text, " {} |", cell(count(judging), measure.target()));
            }
            let target = match measure.target() {
                Some(Target::AtLeast(least)) => format!("≥ {least}"),
                Some(Target::AtMost(most)) => format!("≤ {most}"),
                None => String::new(),
            };
            let _ = writeln!(text, " {target} |");
        }
        text += "| milliseconds a judgement |";
        for judging in &self.analyses {
            let _ = write!(text, " {:.1} |", judging.micros_a_judgement / 1e3);
        }
        text += " |\n| spans judged |";
        for judging in &self.analyses {
            let _ = write!(text, " {} |", thousands(judging.tally.spans as f64));
        }
        text + " |\n"
    }

    fn by_case(&self, title: &str, of: fn(&Tally) -> &std::collections::BTreeMap<String, Count>) -> String {
        let cases: BTreeSet<&String> = self
            .analyses
            .iter()
            .flat_map(|judging| of(&judging.tally).keys())
            .collect();
        if cases.is_empty() {
            return String::new();
        }
        let mut text = format!("\n{title}:\n");
        self.header(&mut text, "scenario", "");
        for case in cases {
            let _ = write!(text, "| {case} |");
            for judging in &self.analyses {
                let count = of(&judging.tally).get(case).copied().unwrap_or_default();
                let _ = write!(text, " {} |", cell(count, None));
            }
            text += "\n";
        }
        text
    }

    /// Service, operation and cause of the first finding, by fault and size.
    fn faults(&self) -> String {
        let rows: BTreeSet<(&String, &String)> = self
            .analyses
            .iter()
            .flat_map(|judging| &judging.tally.faults)
            .flat_map(|(case, sizes)| sizes.keys().map(move |size| (case, size)))
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        let mut text =
            "\nService / operation / cause first, of faults that matter with 500 requests a side or more, \
                        by size:\n"
                .to_owned();
        self.header(&mut text, "fault", "");
        for (case, size) in rows {
            let _ = write!(text, "| {case} {} |", size.trim());
            for judging in &self.analyses {
                let counts = judging.tally.faults.get(case).and_then(|sizes| sizes.get(size));
                let share =
                    |count: &Count| count.rate().map_or("–".to_owned(), |rate| format!("{rate:.2}"));
                let shares: Vec<String> = counts.into_iter().flatten().map(share).collect();
                let trials = counts.map_or(0, |counts| counts[0].trials);
                let _ = write!(text, " {} of {trials} |", shares.join(" / "));
            }
            text += "\n";
        }
        text
    }

    fn power(&self) -> String {
        let mut text = String::new();
        for judging in &self.analyses {
            let requests: BTreeSet<u64> = judging
                .tally
                .power
                .values()
                .flat_map(|row| row.keys().copied())
                .collect();
            if requests.is_empty() {
                continue;
            }
            let _ = write!(
                text,
                "\nFound by {}, one operation's own work (log-sd 0.5) slower, requests a side:\n\n| |",
                judging.name
            );
            for requests in &requests {
                let _ = write!(text, " {} |", thousands(*requests as f64));
            }
            let _ = writeln!(text, "\n| --- |{}", " ---: |".repeat(requests.len()));
            for (size, row) in &judging.tally.power {
                let _ = write!(text, "| +{size} % |");
                for requests in &requests {
                    let _ = write!(
                        text,
                        " {} |",
                        cell(row.get(requests).copied().unwrap_or_default(), None)
                    );
                }
                text += "\n";
            }
        }
        text
    }
}

/// A share with its interval, and a mark where a target is missed.
fn cell(count: Count, target: Option<Target>) -> String {
    let (Some(rate), Some((low, high))) = (count.rate(), count.interval()) else {
        return "–".to_owned();
    };
    let mark = if target.is_some_and(|target| !target.is_met(rate)) {
        " ✗"
    } else {
        ""
    };
    format!(
        "{rate:.3} ({low:.3}–{high:.3}) of {}{mark}",
        thousands(count.trials as f64)
    )
}
