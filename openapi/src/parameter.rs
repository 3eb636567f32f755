//! What may follow the `?` of a path: a table a route, by which parameters are read, refused and described.
//!
//! A parameter given twice counts once, its first value; an empty one is absent; one that is not in the table is ignored,
//! all as in Zipkin.

use percent_encoding::percent_decode_str;

/// Parameters beyond this many are not read.
const PARAMETERS_MAX: usize = 1_024;
/// Bytes of a value whose kind has no bound of its own.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// Of a value that is refused, so much is shown.
const SHOWN_CHARS_MAX: usize = 64;

/// One that a route knows.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// As it stands before the `=`.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Whether it has to be there.
    pub is_required: bool,
    /// For people who read the API's document.
    pub meaning: &'static str,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text of at most so many bytes.
    Text(usize),
    /// A whole number, both bounds included.
    Whole(u64, u64),
    /// A number, both bounds included.
    Number(f64, f64),
    /// One of these words.
    Word(&'static [&'static str]),
}

impl Kind {
    /// Epoch milliseconds, or how many of them.
    pub const MILLIS: Self = Self::Whole(1, i64::MAX as u64);
    /// Any text.
    pub const TEXT: Self = Self::Text(usize::MAX);
    /// A service, a span, a version, an environment.
    pub const NAME: Self = Self::Text(256);

    fn check(self, value: &str) -> Result<(), String> {
        let is_fine = match self {
            Self::Text(bytes_max) => value.len() <= bytes_max,
            Self::Whole(least, most) => value
                .parse()
                .is_ok_and(|number: u64| (least..=most).contains(&number)),
            Self::Number(least, most) => value
                .parse()
                .is_ok_and(|number: f64| (least..=most).contains(&number)),
            Self::Word(words) => words.contains(&value),
        };
        if is_fine {
            return Ok(());
        }
        Err(match self {
            Self::Text(bytes_max) => return Err(format!("has {} bytes, more than {bytes_max}", value.len())),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Number(least, most) => format!("a number from {least} to {most}"),
            Self::Word(words) => format!("one of {}", words.join(", ")),
        })
        .map_err(|expected| {
            let shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
            format!("has to be {expected}, and is \"{shown}\"")
        })
    }
}

impl Parameter {
    /// One that may be absent.
    pub const fn optional(name: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self {
            name,
            kind,
            is_required: false,
            meaning,
        }
    }

    /// One that has to be there.
    pub const fn required(name: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self {
            name,
            kind,
            is_required: true,
            meaning,
        }
    }
}

/// The parameters of one request, each as its table wants it.
#[derive(Debug)]
pub struct Parameters {
    values: Vec<(&'static str, String)>,
}

impl Parameters {
    /// Reads what follows the `?`.
    ///
    /// # Errors
    /// What is wrong, with the parameter's name.
    pub fn read(query: Option<&str>, table: &'static [Parameter]) -> Result<Self, String> {
        let mut read = Self { values: Vec::new() };
        let pairs = query.unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()).take(PARAMETERS_MAX) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !table.iter().any(|known| known.name == name) {
                continue;
            }
            if value.len() > VALUE_BYTES_MAX {
                return Err(format!("{name}: has more than {VALUE_BYTES_MAX} bytes"));
            }
            let spaced = value.replace('+', " ");
            let value = percent_decode_str(&spaced).decode_utf8();
            let value = value.map_err(|_| format!("{name}: is not UTF-8"))?;
            read.add(name, &value, table)?;
        }
        let mut required = table.iter().filter(|known| known.is_required);
        match required.find(|known| read.text(known.name).is_none()) {
            Some(missing) => Err(format!("{}: is required", missing.name)),
            None => Ok(read),
        }
    }

    /// One more, unless it is empty, not in the table, or there already.
    ///
    /// # Errors
    /// What is wrong, with the parameter's name.
    pub fn add(&mut self, name: &str, value: &str, table: &'static [Parameter]) -> Result<(), String> {
        let known = table.iter().find(|known| known.name == name);
        let known = known.filter(|_| !value.is_empty() && self.text(name).is_none());
        if let Some(known) = known {
            known
                .kind
                .check(value)
                .map_err(|what| format!("{name}: {what}"))?;
            self.values.push((known.name, value.to_owned()));
        }
        Ok(())
    }

    /// A value as it was given.
    pub fn text(&self, name: &str) -> Option<&str> {
        let named = self.values.iter().find(|(known, _)| *known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// As [`Parameters::text`], in a string of its own.
    pub fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A name that the store has in lower case.
    pub fn lower_case(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_lowercase)
    }

    /// Of [`Kind::Whole`].
    pub fn whole(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// Of [`Kind::Number`].
    pub fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Parameter] = &[
        Parameter::required("serviceName", Kind::NAME, ""),
        Parameter::optional("limit", Kind::Whole(1, 1_000), ""),
        Parameter::optional("minScore", Kind::Number(0.0, 100.0), ""),
        Parameter::optional("groupBy", Kind::Word(&["version", "instance"]), ""),
    ];

    fn read(query: &str) -> Result<Parameters, String> {
        Parameters::read(Some(query), TABLE)
    }

    #[test]
    fn values_are_decoded_and_typed() {
        let read = read("serviceName=Shop+%26+Co&limit=7&minScore=92.5&limit=8&other=%ff&groupBy=").unwrap();
        assert_eq!(read.text("serviceName"), Some("Shop & Co"));
        assert_eq!(read.lower_case("serviceName").as_deref(), Some("shop & co"));
        assert_eq!(
            (read.whole("limit"), read.number("minScore")),
            (Some(7), Some(92.5))
        );
        assert_eq!((read.text("groupBy"), read.text("other")), (None, None));
    }

    #[test]
    fn what_is_wrong_is_told_by_name() {
        for (query, told) in [
            ("limit=1", "serviceName: is required"),
            ("serviceName=&limit=1", "serviceName: is required"),
            ("serviceName=%ff", "serviceName: is not UTF-8"),
            (
                "serviceName=a&limit=0",
                "limit: has to be a whole number from 1 to 1000, and is \"0\"",
            ),
            (
                "serviceName=a&minScore=NaN",
                "minScore: has to be a number from 0 to 100, and is \"NaN\"",
            ),
            (
                "serviceName=a&groupBy=host",
                "groupBy: has to be one of version, instance, and is \"host\"",
            ),
        ] {
            assert_eq!(read(query).unwrap_err(), told);
        }
        let long = format!("serviceName={}", "a".repeat(257));
        assert_eq!(
            read(&long).unwrap_err(),
            "serviceName: has 257 bytes, more than 256"
        );
    }
}
