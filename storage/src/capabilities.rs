//! What a store can do, and whether an answer is whole.

/// What a store can answer. The default is the least capable, so that a forgotten field refuses
/// instead of answering nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Answers the raw spans, not merged ones (Zipkin's kit calls it `returnsRawSpans`).
    pub raw_spans: bool,
    /// Keeps what it acknowledged through a crash of the process.
    pub durable: bool,
    /// Orders a search by [`crate::Order::Slowest`] and [`crate::Order::Errors`] over the whole window.
    pub orders: bool,
}

/// Whether everything stored in the window was considered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Completeness {
    /// It was.
    #[default]
    Complete,
    /// It was not, and why, in words for a person.
    Partial(String),
}

/// What stands between reasons where there are several.
const SEPARATOR: &str = "; ";

/// A reason is cut to this many characters in a header: headers are short.
const REASON_CHARS_MAX: usize = 256;

impl Completeness {
    /// The header that every answer of the API tells it by.
    pub const HEADER: &str = "tracehound-completeness";

    /// Of an answer that is made of two: each reason once.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Complete, either) | (either, Self::Complete) => either,
            (Self::Partial(mut reasons), Self::Partial(others)) => {
                for reason in others.split(SEPARATOR) {
                    if reasons.split(SEPARATOR).all(|known| known != reason) {
                        reasons.push_str(SEPARATOR);
                        reasons.push_str(reason);
                    }
                }
                Self::Partial(reasons)
            }
        }
    }

    /// What the header says: `complete`, or `partial; reason="…"`. Printable ASCII.
    pub fn header_value(&self) -> String {
        match self {
            Self::Complete => "complete".to_owned(),
            Self::Partial(reason) => format!("partial; reason=\"{}\"", quotable(reason)),
        }
    }
}

/// A reason as the inside of a quoted string: what cannot stand there, or in a header at all, becomes `?`.
fn quotable(reason: &str) -> String {
    let quotable = |character| match character {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => character,
        _ => '?',
    };
    reason.chars().take(REASON_CHARS_MAX).map(quotable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_made_of_two_tells_each_reason_once() {
        let partial = |reason: &str| Completeness::Partial(reason.to_owned());
        let both = partial("lost").and(Completeness::Complete);
        assert_eq!(both, partial("lost"));
        assert_eq!(Completeness::Complete.and(partial("late")), partial("late"));
        assert_eq!(both.and(partial("late; lost")), partial("lost; late"));
        assert_eq!(
            Completeness::Complete.and(Completeness::Complete),
            Completeness::Complete
        );
    }

    #[test]
    fn a_reason_is_cut_to_what_a_header_can_say() {
        let partial = |reason: &str| Completeness::Partial(reason.to_owned()).header_value();
        assert_eq!(Completeness::Complete.header_value(), "complete");
        assert_eq!(partial("a \"b\"\\\n\u{fc}"), "partial; reason=\"a 'b'/??\"");
        assert_eq!(partial(&"x".repeat(300)).matches('x').count(), REASON_CHARS_MAX);
    }
}
