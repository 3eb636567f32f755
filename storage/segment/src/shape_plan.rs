//! How shapes of other tables become those of a segment: decided once a shape, so that a span costs a look-up.
//!
//! The sources are a generation's table, or those of segments that are joined. Each learnt by itself which values of a
//! family vary (`registry.rs`); here they agree: a slot that varies in one of them, or has too many values in all of
//! them together, is left open by every shape of the plan. A row whose shape had a value there gets it as its own.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::registry::{FAMILY_SHAPES_MAX, FIXED_VALUES_MAX};
use crate::rows::{RowCoding, TraceRows};
use crate::shape::{GENERIC, Shape, ShapeNumber, ShapeTable, Slot};
use crate::strings::Symbol;
use storage_record::bytes::Malformed;

/// The place of a table among the sources of a plan.
pub(crate) type SourceNumber = usize;

/// The shapes that segments made of some sources may have. See the head of this file.
#[derive(Debug)]
pub(crate) struct ShapePlan {
    table: ShapeTable,
    sources: Vec<Vec<PlannedShape>>,
}

/// What becomes of a shape of a source.
#[derive(Clone, Debug)]
struct PlannedShape {
    /// The number of a shape of the plan.
    number: ShapeNumber,
    /// Where the plan's shape leaves more open: for each value it leaves open the one to put there, or `None` for one
    /// of the row's own.
    opened: Option<Box<[Slot]>>,
}

impl ShapePlan {
    pub(crate) fn of(sources: &[&ShapeTable]) -> Self {
        let mut planner = Planner::default();
        let symbols: Vec<Vec<Symbol>> = sources.iter().map(|source| planner.symbols_of(source)).collect();
        let families: Vec<Vec<u32>> = sources
            .iter()
            .zip(&symbols)
            .map(|(source, symbols)| planner.learn(source, symbols))
            .collect();
        let sources = sources.iter().zip(&symbols).zip(&families);
        let sources = sources
            .map(|((source, symbols), families)| planner.plan(source, symbols, families))
            .collect();
        Self {
            table: planner.table,
            sources,
        }
    }

    /// The shapes of the plan and their strings.
    pub(crate) fn table(&self) -> &ShapeTable {
        &self.table
    }

    /// Whether it has a shape of a source.
    pub(crate) fn has(&self, source: SourceNumber, shape: ShapeNumber) -> bool {
        let shapes = self.sources.get(source);
        shapes.is_some_and(|shapes| (shape as usize) < shapes.len())
    }

    /// Codes rows of a source against the plan's table.
    ///
    /// # Errors
    /// [`Malformed`] where the source has no such shape.
    pub(crate) fn recode(&self, source: SourceNumber, rows: &mut TraceRows) -> Result<(), Malformed> {
        let shapes = self.sources.get(source).map(Vec::as_slice).unwrap_or_default();
        rows.recode(&self.table, |number| {
            let planned = shapes.get(number as usize);
            let PlannedShape { number, opened } =
                planned.ok_or(Malformed("a shape number beyond the shapes"))?;
            Ok(match opened {
                None => RowCoding::Shape(*number),
                Some(opened) => RowCoding::Opened(*number, opened, &self.table.strings),
            })
        })
    }
}

/// A family over all sources.
struct Family {
    /// All slots open.
    shape: Shape,
    slots: Vec<FamilySlot>,
    /// Shapes of the plan.
    shapes: u32,
}

#[derive(Clone, Default)]
struct FamilySlot {
    varying: bool,
    seen: Vec<Symbol>,
}

#[derive(Default)]
struct Planner {
    table: ShapeTable,
    hasher: RandomState,
    families: Vec<Family>,
    family_numbers: HashTable<u32>,
    // Family, shape of the plan.
    shape_numbers: HashTable<(u32, ShapeNumber)>,
}

impl Planner {
    /// The plan's symbols of the symbols of a source.
    fn symbols_of(&mut self, source: &ShapeTable) -> Vec<Symbol> {
        let strings = &mut self.table.strings;
        let rest =
            (1..source.strings.len()).map(|number| strings.insert(source.strings.get(Symbol(number as u32))));
        std::iter::once(Symbol::NONE).chain(rest).collect()
    }

    /// Learns the families of a source; gives the family of each shape, [`u32::MAX`] for the generic one.
    fn learn(&mut self, source: &ShapeTable, symbols: &[Symbol]) -> Vec<u32> {
        let shapes = source.shapes.iter().skip(1);
        let families = shapes.map(|shape| {
            let number = self.family_of(shape, symbols);
            for (family, slot) in self.families[number as usize]
                .slots
                .iter_mut()
                .zip(slots_of(shape))
            {
                family.note(slot.map(|symbol| translate(symbols, symbol)));
            }
            number
        });
        std::iter::once(u32::MAX).chain(families).collect()
    }

    fn family_of(&mut self, shape: &Shape, symbols: &[Symbol]) -> u32 {
        let hash = family_hash(&self.hasher, shape, |symbol| translate(symbols, symbol));
        let families = &self.families;
        let is_it = |&number: &u32| is_family(&families[number as usize].shape, shape, symbols);
        if let Some(&found) = self.family_numbers.find(hash, is_it) {
            return found;
        }
        let number = self.families.len() as u32;
        let own = |symbol| translate(symbols, symbol);
        let shape = Shape {
            service: own(shape.service),
            name: own(shape.name),
            remote_service: own(shape.remote_service),
            tags: shape.tags.iter().map(|&(key, _)| (own(key), None)).collect(),
            annotations: vec![None; shape.annotations.len()].into(),
            ..*shape
        };
        let slots = vec![FamilySlot::default(); shape.tags.len() + shape.annotations.len()];
        self.families.push(Family {
            shape,
            slots,
            shapes: 0,
        });
        let Self { families, hasher, .. } = self;
        self.family_numbers.insert_unique(hash, number, |&number| {
            family_hash(hasher, &families[number as usize].shape, |symbol| symbol)
        });
        number
    }

    /// Makes the shapes of a source shapes of the plan; every family is known.
    fn plan(&mut self, source: &ShapeTable, symbols: &[Symbol], families: &[u32]) -> Vec<PlannedShape> {
        let generic = PlannedShape {
            number: GENERIC,
            opened: None,
        };
        let shapes = source.shapes.iter().zip(families).skip(1);
        let mut slots = Vec::new();
        let planned = shapes.map(|(shape, &family)| {
            slots.clear();
            slots.extend(slots_of(shape).map(|slot| slot.map(|symbol| translate(symbols, symbol))));
            self.plan_shape(family, &slots)
        });
        std::iter::once(generic).chain(planned).collect()
    }

    fn plan_shape(&mut self, family: u32, slots: &[Slot]) -> PlannedShape {
        let number = self.find_shape(family, slots).unwrap_or_else(|| {
            let known = &mut self.families[family as usize];
            if known.shapes >= FAMILY_SHAPES_MAX {
                known.slots.iter_mut().for_each(FamilySlot::open_if_several);
            }
            self.find_shape(family, slots)
                .unwrap_or_else(|| self.insert_shape(family, slots))
        });
        let kept = slots_of(&self.table.shapes[number as usize]);
        let is_open = || kept.clone().zip(slots).filter(|(kept, _)| kept.is_none());
        let opened = is_open().any(|(_, slot)| slot.is_some());
        PlannedShape {
            number,
            opened: opened.then(|| is_open().map(|(_, slot)| *slot).collect()),
        }
    }

    fn find_shape(&self, family: u32, slots: &[Slot]) -> Option<ShapeNumber> {
        let known = &self.families[family as usize].slots;
        let kept = || known.iter().zip(slots).map(|(known, slot)| known.keep(*slot));
        let is_it = |&(of, number): &(u32, ShapeNumber)| {
            of == family && slots_of(&self.table.shapes[number as usize]).eq(kept())
        };
        self.shape_numbers
            .find(shape_hash(&self.hasher, family, kept()), is_it)
            .map(|found| found.1)
    }

    fn insert_shape(&mut self, family: u32, slots: &[Slot]) -> ShapeNumber {
        let Self {
            table,
            hasher,
            families,
            shape_numbers,
            ..
        } = self;
        let known = &mut families[family as usize];
        known.shapes += 1;
        let mut kept = known
            .slots
            .iter()
            .zip(slots)
            .map(|(known, slot)| known.keep(*slot));
        let mut shape = known.shape.clone();
        shape
            .tags
            .iter_mut()
            .for_each(|tag| tag.1 = kept.next().flatten());
        shape
            .annotations
            .iter_mut()
            .for_each(|slot| *slot = kept.next().flatten());
        let hash = shape_hash(hasher, family, slots_of(&shape));
        let number = table.shapes.len() as ShapeNumber;
        table.shapes.push(shape);
        shape_numbers.insert_unique(hash, (family, number), |&(family, number)| {
            shape_hash(hasher, family, slots_of(&table.shapes[number as usize]))
        });
        number
    }
}

impl FamilySlot {
    fn note(&mut self, slot: Slot) {
        match slot {
            _ if self.varying => {}
            Some(symbol) if self.seen.contains(&symbol) => {}
            Some(symbol) if self.seen.len() < FIXED_VALUES_MAX => self.seen.push(symbol),
            _ => *self = Self::open(),
        }
    }

    fn open() -> Self {
        Self {
            varying: true,
            seen: Vec::new(),
        }
    }

    fn open_if_several(&mut self) {
        if self.seen.len() > 1 {
            *self = Self::open();
        }
    }

    /// What a shape of the plan has in this slot, for one of a source that has `slot`.
    fn keep(&self, slot: Slot) -> Slot {
        if self.varying { None } else { slot }
    }
}

/// All slots in order: tags, then annotations.
fn slots_of(shape: &Shape) -> impl Iterator<Item = Slot> + Clone {
    let tags = shape.tags.iter().map(|tag| tag.1);
    tags.chain(shape.annotations.iter().copied())
}

fn translate(symbols: &[Symbol], symbol: Symbol) -> Symbol {
    symbols.get(symbol.0 as usize).copied().unwrap_or_default()
}

/// `own` gives the plan's symbol of a symbol of the shape.
fn family_hash(hasher: &RandomState, shape: &Shape, own: impl Fn(Symbol) -> Symbol) -> u64 {
    let mut hash = hasher.build_hasher();
    hash.write_u8(
        shape.kind.map_or(0, |kind| kind as u8) | u8::from(shape.debug) << 3 | u8::from(shape.shared) << 4,
    );
    let names = [shape.service, shape.name, shape.remote_service];
    for symbol in names.into_iter().chain(shape.tags.iter().map(|tag| tag.0)) {
        hash.write_u32(own(symbol).0);
    }
    hash.write_usize(shape.annotations.len());
    hash.finish()
}

fn is_family(family: &Shape, shape: &Shape, symbols: &[Symbol]) -> bool {
    let is = |own: Symbol, other: Symbol| own == translate(symbols, other);
    (family.kind, family.debug, family.shared) == (shape.kind, shape.debug, shape.shared)
        && is(family.service, shape.service)
        && is(family.name, shape.name)
        && is(family.remote_service, shape.remote_service)
        && family.annotations.len() == shape.annotations.len()
        && family.tags.len() == shape.tags.len()
        && family
            .tags
            .iter()
            .zip(&shape.tags)
            .all(|(own, other)| is(own.0, other.0))
}

fn shape_hash(hasher: &RandomState, family: u32, slots: impl Iterator<Item = Slot>) -> u64 {
    let mut hash = hasher.build_hasher();
    hash.write_u32(family);
    slots.for_each(|slot| hash.write_u32(slot.unwrap_or_default().0));
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;
    use crate::registry::Registry;
    use crate::testing::{arbitrary_spans, span};
    use model::Span;
    use proptest::prelude::*;

    /// The spans as rows of the shapes that a table of their own has for them.
    fn source(spans: &[Span]) -> (Registry, TraceRows) {
        let (mut registry, mut rows) = (Registry::default(), TraceRows::default());
        for span in spans {
            let fields = Fields::of_span(span);
            let number = registry.insert(&fields);
            rows.push_fields(&fields, number, registry.table().get(number).unwrap());
        }
        (registry, rows)
    }

    fn with_user(user: usize) -> Span {
        let mut span = span(1, 1, 10);
        span.tags[1].1 = format!("user-{user}");
        span
    }

    proptest! {
        #[test]
        fn rows_say_the_same_by_the_shapes_of_the_plan(all in prop::collection::vec(arbitrary_spans(30), 1..5)) {
            let mut sources: Vec<_> = all.iter().map(|spans| source(spans)).collect();
            let tables: Vec<_> = sources.iter().map(|source| source.0.table()).collect();
            let plan = ShapePlan::of(&tables);
            for ((number, spans), (_, rows)) in all.iter().enumerate().zip(&mut sources) {
                plan.recode(number, rows).unwrap();
                prop_assert_eq!(&rows.to_spans(plan.table()).unwrap(), spans);
            }
            let all = plan.table().shapes[1..].iter();
            let mut distinct: Vec<_> = all.clone().collect();
            distinct.sort_by_key(|shape| format!("{shape:?}"));
            distinct.dedup();
            prop_assert_eq!(distinct.len(), all.len());
        }
    }

    #[test]
    fn what_varies_in_one_source_or_in_all_together_varies_in_the_plan() {
        let few = |from: usize| (from..from + 2).map(with_user).collect::<Vec<_>>();
        let of = |sources: &[Vec<Span>]| {
            let sources: Vec<_> = sources.iter().map(|spans| source(spans)).collect();
            let tables: Vec<_> = sources.iter().map(|source| source.0.table()).collect();
            ShapePlan::of(&tables).table().len() - 1
        };
        assert_eq!(of(&[few(0), few(0)]), 2, "shapes in common");
        assert_eq!(of(&[few(0), few(2)]), 4);
        assert_eq!(
            of(&[few(0), few(2), few(4)]),
            1,
            "more values than a shape may have"
        );
        let many: Vec<_> = (0..20).map(with_user).collect();
        assert_eq!(of(&[many, few(0)]), 1, "one source knows that it varies");
    }

    #[test]
    fn a_shape_that_the_source_lacks_is_refused() {
        let (registry, _) = source(&[]);
        let (_, mut rows) = source(&[with_user(1)]);
        assert!(ShapePlan::of(&[registry.table()]).recode(0, &mut rows).is_err());
    }
}
