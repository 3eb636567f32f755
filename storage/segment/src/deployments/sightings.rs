//! Versions that the spans of a batch bear, as far as anything new can come of them.
//!
//! Tags are found once a family of a batch, a version is looked up where it differs from that of the family's span
//! before; so a span whose version has been there for a while costs a comparison of numbers.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use storage::{Gathering, Interest, StoreOptions};
use storage_record::{NO_TEXT, Numbering};

use crate::spans::Spans;

/// Where the spans of a family bear what tells their version, and what was last found there.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Among the values of a span.
    version: Option<usize>,
    environment: Option<usize>,
    /// Numbers of the texts.
    last: (u32, u32),
    number: Option<usize>,
}

/// Gathers what spans tell; `None` where nothing new can come of them.
pub(super) fn gather<'b>(
    spans: &'b impl Spans,
    numbering: &Numbering,
    options: &StoreOptions,
    mut interest: impl FnMut(&str, &str, &str) -> Interest,
) -> Option<Gathering<'b>> {
    let mut places = places(spans, numbering, options)?;
    let text = |number: u32| match number {
        NO_TEXT => "",
        _ => spans.text(numbering.texts()[number as usize]),
    };
    let mut gathering = Gathering::default();
    // Of service, environment and version, so that texts are compared once and not for every family that bears them.
    let mut known: HashMap<[u32; 3], Option<usize>, RandomState> = HashMap::default();
    for index in 0..numbering.len() {
        let (family, values) = numbering.span(index);
        let place = &mut places[family as usize];
        let Some(version) = place.version else { continue };
        let told = (
            values[version],
            place.environment.map_or(NO_TEXT, |slot| values[slot]),
        );
        if told != place.last {
            let service = numbering.families()[family as usize].service;
            place.last = told;
            place.number = *known.entry([service, told.1, told.0]).or_insert_with(|| {
                let key = (text(service), text(told.1), text(told.0));
                gathering.number(key, || interest(key.0, key.1, key.2))
            });
        }
        if let Some(number) = place.number {
            let head = spans.head(index);
            gathering.add(number, head.timestamp, head.local);
        }
    }
    let is_any = gathering.sightings().next().is_some();
    is_any.then_some(gathering)
}

/// The places of every family; `None` where no family has a version.
fn places(spans: &impl Spans, numbering: &Numbering, options: &StoreOptions) -> Option<Vec<Place>> {
    let mut ranks = Ranks {
        spans,
        numbering,
        options,
        known: vec![Telling::NotAsked; numbering.texts().len()],
    };
    let mut any = false;
    let places = numbering.families().iter().map(|family| {
        let (mut version, mut environment): (Option<Found>, Option<Found>) = (None, None);
        for (slot, &key) in numbering.keys(family).iter().enumerate() {
            let Some((as_version, as_environment)) = ranks.of(key) else {
                continue;
            };
            let better = |best: Option<Found>, rank: Option<u32>| match (best, rank) {
                (Some(best), Some(rank)) if best.0 <= rank => Some(best),
                (_, Some(rank)) => Some((rank, slot)),
                (best, None) => best,
            };
            version = better(version, as_version);
            environment = better(environment, as_environment);
        }
        let version = version.filter(|_| family.service != NO_TEXT);
        any |= version.is_some();
        Place {
            version: version.map(|best| best.1),
            environment: environment.map(|best| best.1),
            last: (NO_TEXT, NO_TEXT),
            number: None,
        }
    });
    let places = places.collect();
    any.then_some(places)
}

/// The rank of the best tag that was found, and its slot.
type Found = (u32, usize);

/// A key's place among the version tags, and among the environment tags.
type Rank = (Option<u32>, Option<u32>);

/// What a key tells.
#[derive(Clone, Copy, Debug)]
enum Telling {
    NotAsked,
    Nothing,
    Tells(Rank),
}

/// Looks a key up once a batch.
struct Ranks<'b, S> {
    spans: &'b S,
    numbering: &'b Numbering,
    options: &'b StoreOptions,
    /// By number of the text.
    known: Vec<Telling>,
}

impl<S: Spans> Ranks<'_, S> {
    /// Nothing for most keys.
    #[inline]
    fn of(&mut self, key: u32) -> Option<Rank> {
        match self.known[key as usize] {
            Telling::Nothing => None,
            Telling::Tells(rank) => Some(rank),
            Telling::NotAsked => self.look_up(key),
        }
    }

    fn look_up(&mut self, key: u32) -> Option<Rank> {
        let text = self.spans.text(self.numbering.texts()[key as usize]);
        let rank = |tags: &[String]| tags.iter().position(|tag| tag == text).map(|rank| rank as u32);
        let rank = (
            rank(&self.options.version_tags),
            rank(&self.options.environment_tags),
        );
        let tells = rank != (None, None);
        self.known[key as usize] = match tells {
            true => Telling::Tells(rank),
            false => Telling::Nothing,
        };
        tells.then_some(rank)
    }
}
