//! Where a trace stands in the order of a search: what a page of traces comes after.

use std::fmt;

use model::TraceId;

/// A place in the order of a [`TraceQuery`](crate::TraceQuery): the greater comes first, and no two traces share one.
///
/// As text it is what clients hand back to get the next page; they may not look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TracePosition {
    /// [`TraceQuery::rank`](crate::TraceQuery::rank).
    pub rank: (u64, u64),
    /// Decides between traces of the same rank: the greatest identifier of the trace's spans.
    pub trace_id: TraceId,
}

/// The text is not a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPosition(String);

impl fmt::Display for NoPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not what a page of traces gave for the next one",
            self.0
        )
    }
}

impl std::error::Error for NoPosition {}

impl TracePosition {
    /// Reads what [`TracePosition::to_text`] wrote.
    ///
    /// # Errors
    /// [`NoPosition`] where the text is anything else.
    pub fn parse(text: &str) -> Result<Self, NoPosition> {
        let read = || {
            let mut parts = text.split('-');
            let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
            let rank = (number()?, number()?);
            let trace_id = TraceId::parse(parts.next()?).ok()?;
            parts.next().is_none().then_some(Self { rank, trace_id })
        };
        read().ok_or_else(|| NoPosition(text.to_owned()))
    }

    /// At most 66 characters: hexadecimal digits and `-`.
    pub fn to_text(self) -> String {
        let (first, second) = self.rank;
        format!("{first:x}-{second:x}-{}", self.trace_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written_and_nothing_else_is() {
        for trace_id in [TraceId::new(0, 1), TraceId::new(u64::MAX, u64::MAX)] {
            let position = TracePosition {
                rank: (u64::MAX, 7),
                trace_id: trace_id.unwrap(),
            };
            let text = position.to_text();
            assert!(text.len() <= 66, "{text}");
            assert_eq!(TracePosition::parse(&text), Ok(position));
        }
        for text in [
            "",
            "1",
            "1-2",
            "1-2-0",
            "1-2-3-4",
            "x-2-3",
            "1-2-3g",
            "10000000000000000-2-3",
            "-1-2-3",
        ] {
            let error = TracePosition::parse(text).unwrap_err();
            assert!(error.to_string().contains(&format!("\"{text}\"")), "{error}");
        }
    }
}
