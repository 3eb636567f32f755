//! Lets analyses judge scenarios, on all processors; what comes out depends on seeds alone.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context;

use super::baseline::{Kayenta, Sentry, ServiceLevel, VersionAndRest};
use super::catalogue::Case;
use super::judge::{Analysis, Judgement};
use super::misses::{Miss, misses};
use super::ours::Tracehound;
use super::scenario::{Purpose, Scenario, Seed};
use super::score::Tally;

/// An analysis that can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// On the command line.
    pub short_name: &'static str,
    /// Makes one, for a thread.
    pub make: fn() -> Box<dyn Analysis>,
}

/// All that there are, the one that the reports are about first.
pub fn contenders() -> Vec<Contender> {
    let contender = |short_name, make| Contender { short_name, make };
    vec![
        contender("tracehound", || Box::new(Tracehound::default())),
        contender("sentry", || Box::new(Sentry)),
        contender("coroot", || Box::new(ServiceLevel)),
        contender("lightstep", || Box::new(VersionAndRest)),
        contender("kayenta", || Box::new(Kayenta)),
    ]
}

/// Those that are asked for; all without a name.
///
/// # Errors
/// Naming what there is not.
pub(super) fn chosen(names: &[String]) -> anyhow::Result<Vec<Contender>> {
    let all = contenders();
    if names.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        let found = all.iter().find(|contender| contender.short_name == name);
        let known: Vec<&str> = all.iter().map(|contender| contender.short_name).collect();
        found
            .copied()
            .with_context(|| format!("there is no analysis {name}, but {}", known.join(", ")))
    };
    names.iter().map(find).collect()
}

/// What is known of an analysis.
pub(super) type Named = (&'static str, Tally);

/// What is known of all analyses, and what the first of them got wrong.
pub(super) struct Evaluated {
    pub(super) tallies: Vec<Named>,
    pub(super) misses: Vec<Miss>,
}

/// Scenarios of a case that has very many spans.
const LONG_SEEDS_MAX: u64 = 8;

/// Judges the scenarios of these seeds of each case by every contender.
///
/// # Errors
/// Where a scenario cannot be made; the first such error.
pub(super) fn evaluate(
    cases: &[Case],
    seeds: Range<u64>,
    purpose: Purpose,
    contenders: &[Contender],
) -> anyhow::Result<Evaluated> {
    let work: Vec<(&Case, Seed)> = cases
        .iter()
        .flat_map(|case| {
            let most = if case.is_long() { LONG_SEEDS_MAX } else { u64::MAX };
            let end = seeds.end.min(seeds.start.saturating_add(most));
            (seeds.start..end).map(move |number| (case, Seed { purpose, number }))
        })
        .collect();
    judge_all(work.len(), contenders, |number, judges| {
        let (case, seed) = work[number];
        let scenario = case
            .scenario(seed)
            .with_context(|| format!("{} #{}", case.name, seed.number))?;
        judges.judge_case(&scenario, case);
        Ok(())
    })
}

/// Contenders of one thread, with what they have come to.
pub(super) struct Judges {
    analyses: Vec<(Box<dyn Analysis>, Tally)>,
    misses: Vec<Miss>,
}

impl Judges {
    fn judge_case(&mut self, scenario: &Scenario, case: &Case) {
        if case.is_long() {
            let prompt = scenario.asked_promptly();
            self.judge(&prompt, |tally, judgement| tally.add_prompt(&prompt, judgement));
        } else {
            self.judge(scenario, |tally, judgement| {
                tally.add(scenario, case.power(), judgement)
            });
        }
    }

    /// Lets all judge a scenario, and adds what they say to what they have come to.
    pub(super) fn judge(&mut self, scenario: &Scenario, mut add: impl FnMut(&mut Tally, &Judgement)) {
        for (number, (analysis, tally)) in self.analyses.iter_mut().enumerate() {
            let begin = Instant::now();
            let judgement = analysis.judge(scenario);
            tally.spend(begin, scenario);
            let before = tally.measures.clone();
            add(tally, &judgement);
            if number == 0 {
                let missed = misses(&before, &tally.measures, scenario, &judgement);
                self.misses.extend(missed);
            }
        }
    }
}

impl Tally {
    fn spend(&mut self, begin: Instant, scenario: &Scenario) {
        self.judged += 1;
        self.micros += begin.elapsed().as_micros() as u64;
        self.spans += scenario.spans() as u64;
    }
}

/// Does so many pieces of work, each by whatever thread is free, and joins what the threads counted.
///
/// # Errors
/// The first of the work.
pub(super) fn judge_all(
    pieces: usize,
    contenders: &[Contender],
    work: impl Fn(usize, &mut Judges) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<Evaluated> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<(usize, anyhow::Error)>> = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let one_thread = || {
        let analyses = contenders
            .iter()
            .map(|contender| ((contender.make)(), Tally::default()));
        let mut judges = Judges {
            analyses: analyses.collect(),
            misses: Vec::new(),
        };
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= pieces {
                return judges;
            }
            if let Err(error) = work(number, &mut judges) {
                let mut failed = failed.lock().expect("nobody panics with the error");
                if failed.as_ref().is_none_or(|(first, _)| number < *first) {
                    *failed = Some((number, error));
                }
                return judges;
            }
        }
    };
    let counted: Vec<Judges> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one_thread)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Judges>| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    if let Some((_, error)) = failed.into_inner().expect("nobody panics with the error") {
        return Err(error);
    }
    let mut all = Evaluated {
        tallies: Vec::new(),
        misses: Vec::new(),
    };
    for judges in counted {
        all.misses.extend(judges.misses);
        for (number, (analysis, tally)) in judges.analyses.into_iter().enumerate() {
            match all.tallies.get_mut(number) {
                Some((_, own)) => own.join(tally),
                None => all.tallies.push((analysis.name(), tally)),
            }
        }
    }
    Ok(all)
}
