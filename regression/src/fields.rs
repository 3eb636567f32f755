//! Reads a JSON object field by field, so that an error names what is wrong and where.

use std::fmt::Display;

use serde_json::{Map, Value};

/// Moments before this, 1973 in milliseconds, are seconds that were meant to be milliseconds.
const MILLIS_MIN: u64 = 100_000_000_000;
/// Moments after this, 5138 in milliseconds, are microseconds.
const MILLIS_MAX: u64 = 100_000_000_000_000;

/// What is wrong, and where.
pub(crate) type Wrong = String;

/// An object, of which every field is one of those expected.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// What its fields are below; empty for the body itself.
    path: String,
}

impl<'a> Fields<'a> {
    /// Takes a value that has to be an object without other fields than these.
    pub(crate) fn of(value: &'a Value, path: &str, expected: &[&str]) -> Result<Self, Wrong> {
        let whole = if path.is_empty() { "the body" } else { path };
        let object = value.as_object().ok_or_else(|| not(whole, "an object", value))?;
        let fields = Self {
            object,
            path: path.to_owned(),
        };
        match object.keys().find(|key| !expected.contains(&key.as_str())) {
            None => Ok(fields),
            Some(other) => {
                let shown: String = other.chars().take(64).collect();
                let expected = expected.join(", ");
                Err(format!(
                    "{}: there is no such field here; there are {expected}",
                    fields.at(&shown)
                ))
            }
        }
    }

    /// Where a field is.
    pub(crate) fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// A field; one that is null is not there.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// What another method gave, of a field that has to be there.
    pub(crate) fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, Wrong> {
        value.ok_or_else(|| format!("{}: is required", self.at(name)))
    }

    /// A text that is not empty.
    pub(crate) fn text(&self, name: &str, bytes_max: usize) -> Result<Option<&'a str>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .ok_or_else(|| not(&self.at(name), "a string", value))?;
        check_text(text, bytes_max).map_err(|what| format!("{}: {what}", self.at(name)))?;
        Ok(Some(text))
    }

    /// A whole number in a range.
    pub(crate) fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        let wrong = || {
            not(
                &self.at(name),
                format!("a whole number from {least} to {most}"),
                value,
            )
        };
        number.ok_or_else(wrong).map(Some)
    }

    /// A moment in epoch milliseconds.
    pub(crate) fn millis(&self, name: &str) -> Result<Option<u64>, Wrong> {
        let number = self.number(name, 0, u64::MAX)?;
        match number {
            Some(..MILLIS_MIN) => Err(self.no_millis(name, number, "seconds")),
            Some(MILLIS_MAX..) => Err(self.no_millis(name, number, "microseconds")),
            moment => Ok(moment),
        }
    }

    fn no_millis(&self, name: &str, number: Option<u64>, perhaps: &str) -> Wrong {
        let number = number.unwrap_or_default();
        format!(
            "{}: {number} is not epoch milliseconds, but perhaps {perhaps}",
            self.at(name)
        )
    }

    /// The elements of a list, each with its path.
    pub(crate) fn list(&self, name: &str, most: usize) -> Result<Vec<(String, &'a Value)>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        let list = value
            .as_array()
            .ok_or_else(|| not(&self.at(name), "a list", value))?;
        if list.len() > most {
            return Err(format!(
                "{}: has {} elements, more than {most}",
                self.at(name),
                list.len()
            ));
        }
        let elements = list.iter().enumerate();
        Ok(elements
            .map(|(index, value)| (format!("{}[{index}]", self.at(name)), value))
            .collect())
    }

    /// An object of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<(&'a str, &'a str)>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        let object = value
            .as_object()
            .ok_or_else(|| not(&self.at(name), "an object", value))?;
        let texts = object.iter().map(|(key, value)| {
            let text = value.as_str();
            let path = || format!("{}.{}", self.at(name), key.chars().take(64).collect::<String>());
            text.map(|text| (key.as_str(), text))
                .ok_or_else(|| not(&path(), "a string", value))
        });
        texts.collect()
    }
}

/// Reads a body; an error says where it ends to be JSON.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Wrong> {
    serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))
}

/// A name for people and for lists: not empty, not endless, on one line.
pub(crate) fn check_text(text: &str, bytes_max: usize) -> Result<(), Wrong> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > bytes_max {
        return Err(format!("has {} bytes, more than {bytes_max}", text.len()));
    }
    match text.chars().position(char::is_control) {
        None => Ok(()),
        Some(index) => Err(format!("character {} is a control character", index + 1)),
    }
}

fn not(path: &str, expected: impl Display, value: &Value) -> Wrong {
    let is = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("\"{}\"", text.chars().take(64).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("{path}: has to be {expected}, and is {is}")
}
