//! Attributes: keys with values of any type.

use model::Text;

use super::{Result, read_text};
use crate::json::write_string;
use crate::otlp::request::Request;
use crate::otlp::value::{
    LEVELS_MAX, as_text, write_base64, write_bool, write_double, write_int, write_json_double, write_member,
};
use crate::protobuf::{Cursor, FIXED64, LENGTH_DELIMITED, VARINT, key};

/// Field numbers of `KeyValue`, which `KeyValueList` repeats.
mod key_value {
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
}

/// Field numbers of `AnyValue`, of which a sender sets one.
mod any_value {
    pub(super) const STRING: u32 = 1;
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
    pub(super) const ARRAY: u32 = 5;
    pub(super) const KVLIST: u32 = 6;
    pub(super) const BYTES: u32 = 7;
}

/// Field number of the elements of `ArrayValue` and of `KeyValueList`.
const VALUES: u32 = 1;

/// Key and value as text of the batch.
pub(super) fn read_attribute(
    mut cursor: Cursor<'_>,
    request: &mut Request<'_>,
    too_deep: &mut bool,
) -> Result<(Text, Text)> {
    const KEY: u32 = key(key_value::KEY, LENGTH_DELIMITED);
    const VALUE: u32 = key(key_value::VALUE, LENGTH_DELIMITED);

    let (mut name, mut value) = (Text::EMPTY, Text::EMPTY);
    while let Some(key) = cursor.next_key()? {
        match key {
            KEY => name = read_text(&mut cursor, request)?,
            VALUE => value = read_value(cursor.message()?, request, too_deep)?,
            _ => cursor.skip(key)?,
        }
    }
    Ok((name, value))
}

/// A value as text of the batch: empty if none of its fields is set.
fn read_value(mut cursor: Cursor<'_>, request: &mut Request<'_>, too_deep: &mut bool) -> Result<Text> {
    const STRING: u32 = key(any_value::STRING, LENGTH_DELIMITED);

    let mut text = Text::EMPTY;
    while let Some(key) = cursor.next_key()? {
        if key == STRING {
            text = read_text(&mut cursor, request)?;
            continue;
        }
        request.scratch.clear();
        if write_other(&mut cursor, key, &mut request.scratch, LEVELS_MAX, too_deep)? {
            text = request.batch.add_text(as_text(&request.scratch));
        }
    }
    Ok(text)
}

/// Writes the value of a field of `AnyValue` other than a string as the text of a tag; whether it is one.
fn write_other(
    cursor: &mut Cursor<'_>,
    key: u32,
    out: &mut Vec<u8>,
    levels_left: usize,
    too_deep: &mut bool,
) -> Result<bool> {
    const BOOL: u32 = self::key(any_value::BOOL, VARINT);
    const INT: u32 = self::key(any_value::INT, VARINT);
    const DOUBLE: u32 = self::key(any_value::DOUBLE, FIXED64);
    const ARRAY: u32 = self::key(any_value::ARRAY, LENGTH_DELIMITED);
    const KVLIST: u32 = self::key(any_value::KVLIST, LENGTH_DELIMITED);
    const BYTES: u32 = self::key(any_value::BYTES, LENGTH_DELIMITED);

    match key {
        BOOL => write_bool(out, cursor.varint64()? != 0),
        INT => write_int(out, cursor.varint64()? as i64),
        DOUBLE => write_double(out, f64::from_bits(cursor.fixed64()?)),
        BYTES => write_base64(out, cursor.bytes()?),
        ARRAY | KVLIST if levels_left == 0 => {
            *too_deep = true;
            cursor.skip(key)?;
            return Ok(false);
        }
        ARRAY => write_array(cursor.message()?, out, levels_left - 1, too_deep)?,
        KVLIST => write_kvlist(cursor.message()?, out, levels_left - 1, too_deep)?,
        _ => {
            cursor.skip(key)?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes a value as JSON.
fn write_value(
    mut cursor: Cursor<'_>,
    out: &mut Vec<u8>,
    levels_left: usize,
    too_deep: &mut bool,
) -> Result<()> {
    const STRING: u32 = key(any_value::STRING, LENGTH_DELIMITED);
    const DOUBLE: u32 = key(any_value::DOUBLE, FIXED64);
    const BYTES: u32 = key(any_value::BYTES, LENGTH_DELIMITED);

    let start = out.len();
    while let Some(key) = cursor.next_key()? {
        out.truncate(start);
        match key {
            STRING => write_string(out, &cursor.text()?),
            DOUBLE => write_json_double(out, f64::from_bits(cursor.fixed64()?)),
            BYTES => {
                out.push(b'"');
                write_base64(out, cursor.bytes()?);
                out.push(b'"');
            }
            _ => {
                write_other(&mut cursor, key, out, levels_left, too_deep)?;
            }
        }
    }
    if out.len() == start {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

fn write_array(
    mut cursor: Cursor<'_>,
    out: &mut Vec<u8>,
    levels_left: usize,
    too_deep: &mut bool,
) -> Result<()> {
    out.push(b'[');
    while let Some(key) = cursor.next_key()? {
        if key == self::key(VALUES, LENGTH_DELIMITED) {
            if out.last() != Some(&b'[') {
                out.push(b',');
            }
            write_value(cursor.message()?, out, levels_left, too_deep)?;
        } else {
            cursor.skip(key)?;
        }
    }
    out.push(b']');
    Ok(())
}

fn write_kvlist(
    mut cursor: Cursor<'_>,
    out: &mut Vec<u8>,
    levels_left: usize,
    too_deep: &mut bool,
) -> Result<()> {
    out.push(b'{');
    while let Some(key) = cursor.next_key()? {
        if key == self::key(VALUES, LENGTH_DELIMITED) {
            write_key_value(cursor.message()?, out, levels_left, too_deep)?;
        } else {
            cursor.skip(key)?;
        }
    }
    out.push(b'}');
    Ok(())
}

/// An attribute of an event or a link, as a member of its object.
pub(super) fn read_member(cursor: Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    let mut too_deep = false;
    write_key_value(cursor, &mut request.object, LEVELS_MAX, &mut too_deep)?;
    request.check_depth(too_deep);
    Ok(())
}

fn write_key_value(
    mut cursor: Cursor<'_>,
    out: &mut Vec<u8>,
    levels_left: usize,
    too_deep: &mut bool,
) -> Result<()> {
    const KEY: u32 = key(key_value::KEY, LENGTH_DELIMITED);
    const VALUE: u32 = key(key_value::VALUE, LENGTH_DELIMITED);

    let (mut name, mut value) = ("".into(), None);
    while let Some(key) = cursor.next_key()? {
        match key {
            KEY => name = cursor.text()?,
            VALUE => value = Some(cursor.message()?),
            _ => cursor.skip(key)?,
        }
    }
    write_member(out, &name);
    match value {
        Some(value) => write_value(value, out, levels_left, too_deep),
        None => {
            out.extend_from_slice(b"null");
            Ok(())
        }
    }
}
