//! What comes first in a record: its texts, and its families.

use model::{Kind, Text};

use crate::bytes::{Cursor, Malformed, Put};
use crate::numbering::{Family, NO_TEXT, Numbering};

const KIND: u8 = 0b111;
const DEBUG: u8 = 1 << 3;
const SHARED: u8 = 1 << 4;
const SERVICE: u8 = 1 << 5;
const NAME: u8 = 1 << 6;
const REMOTE_SERVICE: u8 = 1 << 7;

/// The smallest family: flags and two counts.
const FAMILY_BYTES_MIN: usize = 3;

/// Appends a family; `number` gives the numbers that texts have in the record.
pub(crate) fn put_family(family: &Family, keys: &[u32], number: impl Fn(u32) -> u32, record: &mut Vec<u8>) {
    let texts = [
        (SERVICE, family.service),
        (NAME, family.name),
        (REMOTE_SERVICE, family.remote_service),
    ];
    let there = texts.iter().filter(|text| text.1 != NO_TEXT);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    record.push(
        family.kind.map_or(0, |kind| kind as u8)
            | flag(family.debug, DEBUG)
            | flag(family.shared, SHARED)
            | there.clone().fold(0, |flags, text| flags | text.0),
    );
    there.for_each(|text| record.put_varint(u64::from(number(text.1))));
    record.put_varint(u64::from(family.tags));
    keys.iter()
        .for_each(|&key| record.put_varint(u64::from(number(key))));
    record.put_varint(u64::from(family.annotations));
}

/// Reads texts and families in place of those that are there; gives the bytes of the texts, which are numbered by where
/// they are among all.
pub(crate) fn read<'r>(cursor: &mut Cursor<'r>, numbering: &mut Numbering) -> Result<&'r str, Malformed> {
    numbering.clear();
    let text = read_texts(cursor, numbering)?;
    let mut annotations = 0;
    for _ in 0..cursor.count(FAMILY_BYTES_MIN)? {
        annotations += read_family(cursor, numbering, annotations)?;
    }
    Ok(text)
}

fn read_texts<'r>(cursor: &mut Cursor<'r>, numbering: &mut Numbering) -> Result<&'r str, Malformed> {
    let count = cursor.count(1)?;
    let mut lengths = cursor.clone();
    let mut bytes = 0usize;
    for _ in 0..count {
        let length = cursor.varint()? as usize;
        bytes = bytes
            .checked_add(length)
            .ok_or(Malformed("texts beyond all memory"))?;
    }
    let bytes = cursor.take(bytes)?;
    let all = std::str::from_utf8(bytes).map_err(|_| Malformed("text that is not UTF-8"))?;
    // Then every place is between two characters.
    let is_ascii = all.is_ascii();
    let mut end = 0;
    for _ in 0..count {
        let length = lengths.varint()? as usize;
        let text = Text::new(end, length);
        end += length;
        if !is_ascii && !all.is_char_boundary(end) {
            return Err(Malformed("a text that ends within a character"));
        }
        numbering.push_text(text);
    }
    Ok(all)
}

/// Reads the number of one of so many texts.
#[inline(always)]
pub(crate) fn read_number(cursor: &mut Cursor<'_>, texts: usize) -> Result<u32, Malformed> {
    let number = cursor.varint()?;
    if number < texts as u64 {
        Ok(number as u32)
    } else {
        Err(Malformed("a text number beyond the texts"))
    }
}

/// Reads a family, after others of so many annotations; gives how many it has.
fn read_family(
    cursor: &mut Cursor<'_>,
    numbering: &mut Numbering,
    annotations_before: usize,
) -> Result<usize, Malformed> {
    let flags = cursor.u8()?;
    let text_count = numbering.texts().len();
    let mut optional = |bit: u8| match flags & bit {
        0 => Ok(NO_TEXT),
        _ => read_number(cursor, text_count),
    };
    let texts = [optional(SERVICE)?, optional(NAME)?, optional(REMOTE_SERVICE)?];
    let tags = cursor.count(1)?;
    for _ in 0..tags {
        let key = read_number(cursor, text_count)?;
        numbering.push_key(key);
    }
    let annotations = cursor.varint()?;
    // Every family has a span, and each of its annotations takes a byte there.
    if annotations > (cursor.remaining() as u64).saturating_sub(annotations_before as u64) {
        return Err(Malformed("a count beyond the bytes that follow"));
    }
    let family = Family::new(
        Kind::from_number(u64::from(flags & KIND)),
        flags & DEBUG != 0,
        flags & SHARED != 0,
        texts,
    );
    numbering.push_family(family, tags as u32, annotations as u32);
    Ok(annotations as usize)
}
