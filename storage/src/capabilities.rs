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
