//! Versions that the spans of a record bear, as far as anything new can come of them.
//!
//! Tags are found once a family of a record, and what a shape says of itself is looked up once a shape: a span whose
//! version has been there for a while costs a look at the number of its shape.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use storage::{Gathering, Interest, StoreOptions};
use storage_record::bytes::Malformed;
use storage_record::{NO_TEXT, RecordRow, RecordSpans};

/// Where the spans of a family bear what tells their version: among their values.
#[derive(Clone, Copy, Debug)]
struct Place<'r> {
    service: &'r str,
    version: usize,
    environment: Option<usize>,
}

/// What a shape tells of its spans.
#[derive(Clone, Copy, Debug)]
enum Told<'r> {
    /// Nothing that is new.
    Nothing,
    /// The number of their version.
    Version(usize),
    /// Each says for itself.
    InRows(Place<'r>),
}

/// Gathers what spans tell; `None` where nothing new can come of them.
///
/// # Errors
/// [`Malformed`] where what is within a row is not what was written.
pub(super) fn gather<'r>(
    spans: RecordSpans<'r>,
    options: &StoreOptions,
    mut interest: impl FnMut(&str, &str, &str) -> Interest,
) -> Result<Option<Gathering<'r>>, Malformed> {
    let places = places(spans, options);
    let mut gathering = Gathering::default();
    // Of service, environment and version, so that texts are compared once and not for every shape that has them.
    let mut known: HashMap<[u32; 3], Option<usize>, RandomState> = HashMap::default();
    let mut told = Vec::with_capacity(spans.shapes().len());
    for shape in spans.shapes() {
        let family = shape.family as usize;
        let Some(place) = places[family] else {
            told.push(Told::Nothing);
            continue;
        };
        let closed = |slot: usize| {
            let found = spans.closed_values(shape).find(|value| value.0 == slot);
            found.map(|value| value.1)
        };
        let environment = match place.environment {
            None => Some(NO_TEXT),
            Some(slot) => closed(slot),
        };
        let (Some(version), Some(environment)) = (closed(place.version), environment) else {
            told.push(Told::InRows(place));
            continue;
        };
        let service = spans.numbering().families()[family].service;
        let number = *known.entry([service, environment, version]).or_insert_with(|| {
            let key = (place.service, spans.text(environment), spans.text(version));
            gathering.number(key, || interest(key.0, key.1, key.2))
        });
        told.push(number.map_or(Told::Nothing, Told::Version));
    }
    if told.iter().all(|told| matches!(told, Told::Nothing)) {
        return Ok(None);
    }
    for row in spans.runs().iter().flat_map(|run| spans.rows(run)) {
        let number = match told[row.shape as usize] {
            Told::Nothing => None,
            Told::Version(number) => Some(number),
            Told::InRows(place) => {
                let key = key_of(spans, row, place)?;
                gathering.number(key, || interest(key.0, key.1, key.2))
            }
        };
        if let Some(number) = number {
            let timestamp = Some(row.timestamp).filter(|&timestamp| timestamp != 0);
            gathering.add(number, timestamp, spans.local(row));
        }
    }
    let is_any = gathering.sightings().next().is_some();
    Ok(is_any.then_some(gathering))
}

fn key_of<'r>(
    spans: RecordSpans<'r>,
    row: &RecordRow,
    place: Place<'r>,
) -> Result<(&'r str, &'r str, &'r str), Malformed> {
    let environment = match place.environment {
        None => "",
        Some(slot) => spans.value(row, slot)?,
    };
    Ok((place.service, environment, spans.value(row, place.version)?))
}

/// The place of every family that has a service and a version.
fn places<'r>(spans: RecordSpans<'r>, options: &StoreOptions) -> Vec<Option<Place<'r>>> {
    let numbering = spans.numbering();
    let mut ranks = Ranks {
        spans,
        options,
        known: vec![Telling::NotAsked; numbering.texts().len()],
    };
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
        let version = version.filter(|_| family.service != NO_TEXT)?;
        Some(Place {
            service: spans.text(family.service),
            version: version.1,
            environment: environment.map(|best| best.1),
        })
    });
    places.collect()
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

/// Looks a key up once a record.
struct Ranks<'b> {
    spans: RecordSpans<'b>,
    options: &'b StoreOptions,
    /// By number of the text.
    known: Vec<Telling>,
}

impl Ranks<'_> {
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
        let text = self.spans.text(key);
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
