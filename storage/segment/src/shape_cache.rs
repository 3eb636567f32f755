//! The shapes of a segment in memory: what its rows are read with and where the lists of its shapes are, kept in a
//! cache that all segments share.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use storage_record::bytes::{Cursor, Malformed};

use crate::page::{ListRef, PageNumber};
use crate::row::codes::{CONTEXTS, Decoder};
use crate::row::dictionary::Dictionary;
use crate::shape::ShapeTable;

/// Shapes of segments lately searched, bounded by their bytes.
pub(crate) type ShapeCache = Cache<u64, Arc<Shapes>, ShapesWeight>;

/// Weighs the shapes of a segment by the memory they take.
#[derive(Clone, Debug)]
pub(crate) struct ShapesWeight;

impl Weighter<u64, Arc<Shapes>> for ShapesWeight {
    fn weight(&self, _: &u64, shapes: &Arc<Shapes>) -> u64 {
        shapes.bytes
    }
}

/// A cache of at most `bytes_max`.
pub(crate) fn shape_cache(bytes_max: u64) -> ShapeCache {
    Cache::with_weighter(64, bytes_max, ShapesWeight)
}

/// The shapes of a segment and where their lists are.
#[derive(Debug)]
pub(crate) struct Shapes {
    pub(crate) table: ShapeTable,
    pub(crate) lists: Vec<Option<ListRef>>,
    pub(crate) dictionary: Dictionary,
    /// The first page of every chapter, and its codes.
    pub(crate) chapters: Vec<PageNumber>,
    pub(crate) codes: Vec<Decoder>,
    bytes: u64,
}

/// Reads the section of shapes; the dictionary is added by [`read_dictionary`].
pub(crate) fn read_shapes(page: &[u8]) -> Result<Shapes, Malformed> {
    let mut cursor = Cursor::new(page);
    let table = ShapeTable::read(&mut cursor)?;
    let lists = (0..table.len())
        .map(|_| read_place(&mut cursor))
        .collect::<Result<_, _>>()?;
    // A string costs its text, an end and an entry of the hash table; a shape its slots: about four times what
    // is written.
    Ok(Shapes {
        table,
        lists,
        dictionary: Dictionary::default(),
        chapters: Vec::new(),
        codes: Vec::new(),
        bytes: page.len() as u64 * 4 + 1024,
    })
}

/// Adds what the pages of rows are read with beside shapes.
pub(crate) fn read_dictionary(page: &[u8], shapes: &mut Shapes) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(page);
    shapes.dictionary = Dictionary::read(&mut cursor, &shapes.table)?;
    for _ in 0..cursor.count(CONTEXTS)? {
        let first = PageNumber::try_from(cursor.varint()?).map_err(|_| Malformed("a page beyond 32 bits"))?;
        shapes.chapters.push(first);
        shapes.codes.push(Decoder::read(&mut cursor)?);
    }
    let codes: usize = shapes.codes.iter().map(Decoder::bytes).sum();
    shapes.bytes += (shapes.dictionary.bytes() + codes) as u64;
    Ok(())
}

/// Reads where a list is; `None` where there is none.
pub(crate) fn read_place(cursor: &mut Cursor<'_>) -> Result<Option<ListRef>, Malformed> {
    let beyond = |_| Malformed("a place beyond 32 bits");
    match cursor.varint()? {
        0 => Ok(None),
        page => Ok(Some(ListRef {
            page: PageNumber::try_from(page - 1).map_err(beyond)?,
            offset: u32::try_from(cursor.varint()?).map_err(beyond)?,
        })),
    }
}
