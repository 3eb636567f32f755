//! Attributes: keys with values of any type.

use model::Text;

use super::{elements, members, read_text};
use crate::json::{Cursor, Fault, Result, write_string};
use crate::otlp::request::Request;
use crate::otlp::value::{
    LEVELS_MAX, as_text, write_bool, write_double, write_int, write_json_double, write_member,
};

/// Key and value as text of the batch.
pub(super) fn read_attribute(
    cursor: &mut Cursor<'_>,
    request: &mut Request<'_>,
    too_deep: &mut bool,
) -> Result<(Text, Text)> {
    let (mut key, mut value) = (Text::EMPTY, Text::EMPTY);
    members(cursor, |cursor, name| {
        match name {
            "key" => key = read_text(cursor, request)?,
            "value" => value = read_value(cursor, request, too_deep)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok((key, value))
}

/// A value as text of the batch: empty if none of its members is there. Bytes are base64 already.
fn read_value(cursor: &mut Cursor<'_>, request: &mut Request<'_>, too_deep: &mut bool) -> Result<Text> {
    let mut text = Text::EMPTY;
    members(cursor, |cursor, name| {
        match name {
            "stringValue" | "bytesValue" => text = read_text(cursor, request)?,
            "doubleValue" => {
                request.scratch.clear();
                write_double(&mut request.scratch, read_double(cursor)?);
                text = request.batch.add_text(as_text(&request.scratch));
            }
            _ => {
                request.scratch.clear();
                if write_other(cursor, name, &mut request.scratch, LEVELS_MAX, too_deep)? {
                    text = request.batch.add_text(as_text(&request.scratch));
                }
            }
        }
        Ok(())
    })?;
    Ok(text)
}

/// Writes the value of a member of `AnyValue` that is the same as text of a tag and inside of JSON; whether it
/// is one.
fn write_other(
    cursor: &mut Cursor<'_>,
    name: &str,
    out: &mut Vec<u8>,
    levels_left: usize,
    too_deep: &mut bool,
) -> Result<bool> {
    match name {
        "boolValue" => write_bool(out, cursor.boolean()?),
        "intValue" => write_int(out, cursor.long()?),
        "arrayValue" | "kvlistValue" if levels_left == 0 => {
            *too_deep = true;
            cursor.skip()?;
            return Ok(false);
        }
        "arrayValue" => write_values(cursor, out, *b"[]", |cursor, out| {
            if out.last() != Some(&b'[') {
                out.push(b',');
            }
            write_value(cursor, out, levels_left - 1, too_deep)
        })?,
        "kvlistValue" => write_values(cursor, out, *b"{}", |cursor, out| {
            write_key_value(cursor, out, levels_left - 1, too_deep)
        })?,
        _ => {
            cursor.skip()?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes a value as JSON.
fn write_value(
    cursor: &mut Cursor<'_>,
    out: &mut Vec<u8>,
    levels_left: usize,
    too_deep: &mut bool,
) -> Result<()> {
    let start = out.len();
    members(cursor, |cursor, name| {
        out.truncate(start);
        match name {
            "stringValue" | "bytesValue" => {
                let raw = cursor.string()?;
                write_string(out, &cursor.characters(raw)?);
            }
            "doubleValue" => write_json_double(out, read_double(cursor)?),
            _ => {
                write_other(cursor, name, out, levels_left, too_deep)?;
            }
        }
        Ok(())
    })?;
    if out.len() == start {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

/// Writes the `values` of an array or of a list of keys and values, each by `write_one`, which sees what is before it.
fn write_values(
    cursor: &mut Cursor<'_>,
    out: &mut Vec<u8>,
    [begin, end]: [u8; 2],
    mut write_one: impl FnMut(&mut Cursor<'_>, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    out.push(begin);
    members(cursor, |cursor, name| match name {
        "values" => elements(cursor, |cursor| write_one(cursor, out)),
        _ => cursor.skip(),
    })?;
    out.push(end);
    Ok(())
}

/// The attributes of an event or a link, as members of its object.
pub(super) fn write_attributes(cursor: &mut Cursor<'_>, request: &mut Request<'_>) -> Result<()> {
    let mut too_deep = false;
    elements(cursor, |cursor| {
        write_key_value(cursor, &mut request.object, LEVELS_MAX, &mut too_deep)
    })?;
    request.check_depth(too_deep);
    Ok(())
}

/// The value is written when it is read; the key, which may come after it, is then put in front.
fn write_key_value(
    cursor: &mut Cursor<'_>,
    out: &mut Vec<u8>,
    levels_left: usize,
    too_deep: &mut bool,
) -> Result<()> {
    let start = out.len();
    let mut key = None;
    members(cursor, |cursor, name| {
        match name {
            "key" => key = Some(cursor.string()?),
            "value" => {
                out.truncate(start);
                write_value(cursor, out, levels_left, too_deep)?;
            }
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    let mut value = out.split_off(start);
    if value.is_empty() {
        value.extend_from_slice(b"null");
    }
    let name = key.map_or(Ok("".into()), |key| cursor.characters(key))?;
    write_member(out, &name);
    out.append(&mut value);
    Ok(())
}

fn read_double(cursor: &mut Cursor<'_>) -> Result<f64> {
    let raw = cursor.string()?;
    let text = cursor.characters(raw)?;
    match &*text {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        _ if !text.ends_with(|end: char| end.is_ascii_digit()) => Err(no_double(&text, cursor)),
        _ => text.parse().map_err(|_| no_double(&text, cursor)),
    }
}

fn no_double(text: &str, cursor: &Cursor<'_>) -> Box<Fault> {
    Fault::located(format!("Expected a double but was {text}"), cursor.position())
}
