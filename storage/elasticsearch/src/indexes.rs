//! Names of the daily indexes (`zipkin.md` 8.3): `zipkin-span-2026-11-20`.

use std::ops::RangeInclusive;

use time::{Date, Month};

/// Microseconds of a day.
pub(crate) const DAY: u64 = 86_400_000_000;
/// The last day that a name tells, 9999-12-31: whatever claims to be later is there.
const LAST_DAY: u64 = 2_932_896;
/// More days, or longer lists of names, are asked for by a pattern: an address has room for four thousand characters
/// (`http.max_initial_line_length`).
const DAYS_NAMED_MAX: u64 = 40;
const NAMED_BYTES_MAX: usize = 3_000;
/// Of 1970-01-01.
const EPOCH_JULIAN: i32 = 2_440_588;

/// What is in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    Spans,
    Dependencies,
    Autocomplete,
}

impl Contents {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Spans => "span",
            Self::Dependencies => "dependency",
            Self::Autocomplete => "autocomplete",
        }
    }
}

/// How indexes are named.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: String,
    separator: String,
}

impl Names {
    pub(crate) fn new(prefix: &str, separator: Option<char>) -> Self {
        Self {
            prefix: prefix.to_owned(),
            separator: separator.map(String::from).unwrap_or_default(),
        }
    }

    /// Of all days.
    pub(crate) fn all(&self, contents: Contents) -> String {
        format!("{}-{}-*", self.prefix, contents.name())
    }

    /// Of the day of a moment, microseconds since the epoch.
    pub(crate) fn at(&self, contents: Contents, micros: u64) -> String {
        self.of_day(contents, micros / DAY)
    }

    fn of_day(&self, contents: Contents, day: u64) -> String {
        let day = day.min(LAST_DAY) as i32;
        let date = Date::from_julian_day(EPOCH_JULIAN + day).unwrap_or(Date::MAX);
        let separator = &self.separator;
        format!(
            "{}-{}-{:04}{separator}{:02}{separator}{:02}",
            self.prefix,
            contents.name(),
            date.year(),
            u8::from(date.month()),
            date.day()
        )
    }

    /// Of some days since the epoch, a list as addresses have it.
    pub(crate) fn of_days(&self, contents: Contents, days: RangeInclusive<u64>) -> String {
        let (first, last) = (*days.start().min(&LAST_DAY), *days.end().min(&LAST_DAY));
        if last.saturating_sub(first) >= DAYS_NAMED_MAX {
            return self.all(contents);
        }
        let names: Vec<String> = (first..=last).map(|day| self.of_day(contents, day)).collect();
        let names = names.join(",");
        match names.len() <= NAMED_BYTES_MAX {
            true => names,
            false => self.all(contents),
        }
    }

    /// Days since the epoch, from the name of an index.
    pub(crate) fn day_of(&self, contents: Contents, name: &str) -> Option<u64> {
        let prefix = format!("{}-{}-", self.prefix, contents.name());
        let date = name.strip_prefix(&prefix)?;
        let digits = match self.separator.as_str() {
            "" => date.to_owned(),
            separator => date.replace(separator, ""),
        };
        if digits.len() != 8 {
            return None;
        }
        let month = Month::try_from(digits.get(4..6)?.parse::<u8>().ok()?).ok()?;
        let (year, day) = (digits.get(..4)?.parse().ok()?, digits.get(6..)?.parse().ok()?);
        let date = Date::from_calendar_date(year, month, day).ok()?;
        u64::try_from(date.to_julian_day() - EPOCH_JULIAN).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_an_index_as_zipkin_names_it() {
        let names = Names::new("zipkin", Some('-'));
        let day = 20_777;
        assert_eq!(names.at(Contents::Spans, day * DAY + 1), "zipkin-span-2026-11-20");
        assert_eq!(names.day_of(Contents::Spans, "zipkin-span-2026-11-20"), Some(day));
        assert_eq!(
            names.day_of(Contents::Spans, "zipkin-dependency-2026-11-20"),
            None
        );
        assert_eq!(names.day_of(Contents::Spans, "zipkin-span-2026-13-20"), None);
        assert_eq!(
            names.at(Contents::Dependencies, 0),
            "zipkin-dependency-1970-01-01"
        );
        assert_eq!(names.at(Contents::Spans, u64::MAX), "zipkin-span-9999-12-31");
        let names = Names::new("z", None);
        assert_eq!(
            names.at(Contents::Autocomplete, day * DAY),
            "z-autocomplete-20261120"
        );
        assert_eq!(
            names.day_of(Contents::Autocomplete, "z-autocomplete-20261120"),
            Some(day)
        );
    }

    #[test]
    fn many_days_are_asked_for_by_a_pattern() {
        let names = Names::new("zipkin", Some('.'));
        assert_eq!(
            names.of_days(Contents::Spans, 20_776..=20_777),
            "zipkin-span-2026.11.19,zipkin-span-2026.11.20"
        );
        assert_eq!(names.of_days(Contents::Spans, 0..=u64::MAX), "zipkin-span-*");
        let prefix = "z".repeat(100);
        let names = Names::new(&prefix, None);
        assert_eq!(names.of_days(Contents::Spans, 0..=38), format!("{prefix}-span-*"));
    }
}
