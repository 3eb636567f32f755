//! How the chance to be wrong is divided among the members of a family: what could not be found takes none of it, and
//! what more of the service's time goes to takes more.

use std::collections::BTreeMap;

use crate::statistics::{can_be_found, weighted_benjamini_hochberg};

use super::evidence::Evidence;
use super::family::What;
use super::score;
use super::study::Study;

/// What is made up for, by member.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Corrected {
    pub(super) p_values: Vec<f64>,
    /// The part of the false discovery rate that a member has by itself: up to so many times it, its p-value is found
    /// whatever the others are. They add up to 1.
    pub(super) shares: Vec<f64>,
}

/// Of a group's share, what its members have evenly, whatever time goes to them: a wait that was nothing may become
/// one.
const EVENLY: f64 = 0.2;

/// How much of the time that another service takes counts: a version changes what it does itself, and now and then what
/// it asks for; everything else that changes there is not its doing.
const OF_OTHERS: f64 = 0.25;

/// How much the same time counts where it is asked about once more, for one entry operation: mostly a version is slower
/// for everybody.
const OF_ONE_ENTRY: f64 = 0.5;

/// Of all that something was seen of. What nothing was seen of has p-value 1, and is no part of the family.
pub(super) fn correct(study: &Study<'_>, evidence: &[Option<Evidence>], q: f64) -> Corrected {
    let seen: Vec<(usize, &Evidence)> = evidence
        .iter()
        .enumerate()
        .filter_map(|(member, found)| Some((member, found.as_ref()?)))
        .collect();
    let least: Vec<f64> = seen.iter().map(|(_, found)| found.least_p_value).collect();
    let p_values: Vec<f64> = seen.iter().map(|(_, found)| found.p_value).collect();
    let family: Vec<usize> = can_be_found(&least, q)
        .iter()
        .zip(&seen)
        .filter_map(|(is_able, (member, _))| is_able.then_some(*member))
        .collect();
    let parts: Vec<Part> = family.iter().map(|&member| part_of(study, member)).collect();
    let mut corrected = Corrected {
        p_values: vec![1.0; evidence.len()],
        shares: vec![0.0; evidence.len()],
    };
    for (&member, share) in family.iter().zip(shares(&parts)) {
        corrected.shares[member] = share;
    }
    let weights: Vec<f64> = seen.iter().map(|(member, _)| corrected.shares[*member]).collect();
    let adjusted = weighted_benjamini_hochberg(&p_values, &weights);
    for ((member, _), p_value) in seen.iter().zip(adjusted) {
        corrected.p_values[*member] = p_value;
    }
    corrected
}

/// What the share of a member goes by.
struct Part {
    /// As in the score, with its part of that.
    group: (&'static str, f64),
    /// Microseconds.
    time: f64,
}

/// In the order given: first by group, where those without a member leave theirs to the others, then by time.
fn shares(parts: &[Part]) -> Vec<f64> {
    #[derive(Default)]
    struct Group {
        weight: f64,
        members: f64,
        time: f64,
    }
    let mut groups = BTreeMap::<&str, Group>::new();
    for part in parts {
        let (name, weight) = part.group;
        let group = groups.entry(name).or_default();
        group.weight = weight;
        group.members += 1.0;
        group.time += part.time;
    }
    let all: f64 = groups.values().map(|group| group.weight).sum();
    let share = |part: &Part| {
        let group = &groups[part.group.0];
        let by_time = if group.time > 0.0 {
            EVENLY / group.members + (1.0 - EVENLY) * part.time / group.time
        } else {
            1.0 / group.members
        };
        group.weight / all * by_time
    };
    parts.iter().map(share).collect()
}

/// Its time is that of both sides together, which does not tell how they differ: on the critical path of all that is
/// compared, as far as it is a version's own to change; nothing of what is no time.
fn part_of(study: &Study<'_>, member: usize) -> Part {
    let what = study.members[member].what;
    let counted = match what {
        What::OwnTime { .. } => 1.0,
        What::OwnTimeFor { .. } => OF_ONE_ENTRY,
        What::OutgoingGap(_) | What::IncomingGap { .. } | What::CalleeTime(_) => OF_OTHERS,
        What::Calls(_) | What::Overlap { .. } | What::Errors { .. } => 0.0,
    };
    let nodes = study.members[member].nodes();
    let time = match what.entry() {
        Some(entry) => study.path_in(entry, nodes),
        None => study.path_of(nodes),
    };
    Part {
        group: score::group_of(what),
        time: counted * time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(group: &'static str, weight: f64, time: f64) -> Part {
        Part {
            group: (group, weight),
            time,
        }
    }

    /// By hand: of 40 + 10, and of those a fifth evenly.
    #[test]
    fn shares_are_by_group_and_then_by_time() {
        let found = shares(&[
            part("latency", 40.0, 900.0),
            part("errors", 10.0, 0.0),
            part("latency", 40.0, 100.0),
            part("errors", 10.0, 0.0),
        ]);
        let expected = [0.8 * (0.1 + 0.8 * 0.9), 0.1, 0.8 * (0.1 + 0.8 * 0.1), 0.1];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} and not {expected}");
        }
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_group_without_a_member_leaves_its_share_to_the_others() {
        assert_eq!(shares(&[part("errors", 30.0, 0.0)]), [1.0]);
        assert!(shares(&[]).is_empty());
    }
}
