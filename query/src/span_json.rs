//! The JSON of traces, written piece by piece while it is sent.
//!
//! An answer may hold a trace of 100,000 spans, some 50 MB of JSON. Written at once it would need all of that
//! memory a second time and keep a runtime worker busy for tens of milliseconds. Here a piece is written when
//! the connection has room for one, and each span is freed once it is written: pieces of 64 KiB hold some 130
//! usual spans, well under a tenth of a millisecond of work, and a slow client costs no thread.
//!
//! ```text
//! one trace        [span,span,…]
//! many traces     [[span,span,…],[span,…],…]
//! ```

use std::vec::IntoIter;

use model::Span;

/// A piece ends with the first span that takes it this far.
pub(crate) const PIECE_BYTES: usize = 64 * 1024;

/// Room for the span that takes a piece over its size, so that it rarely grows.
const PIECE_SLACK_BYTES: usize = 4 * 1024;

/// An iterator over the pieces; together they are one JSON document.
#[derive(Debug)]
pub(crate) struct SpanJson {
    /// Traces not yet begun.
    traces: IntoIter<Vec<Span>>,
    /// Spans not yet written of the trace that was begun.
    spans: IntoIter<Span>,
    next: Token,
    /// Whether the traces are a list themselves.
    nested: bool,
}

/// What is written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    OpenTraces,
    /// Whether one was before it, so that a comma is due.
    Trace {
        comma: bool,
    },
    Span {
        comma: bool,
    },
    CloseTraces,
    End,
}

impl SpanJson {
    /// One trace: a list of spans.
    pub(crate) fn trace(spans: Vec<Span>) -> Self {
        Self {
            traces: vec![spans].into_iter(),
            spans: Vec::new().into_iter(),
            next: Token::Trace { comma: false },
            nested: false,
        }
    }

    /// Traces: a list of lists of spans.
    pub(crate) fn traces(traces: Vec<Vec<Span>>) -> Self {
        Self {
            traces: traces.into_iter(),
            spans: Vec::new().into_iter(),
            next: Token::OpenTraces,
            nested: true,
        }
    }

    /// Whether everything was written.
    pub(crate) fn is_finished(&self) -> bool {
        self.next == Token::End
    }

    /// Writes one token and tells which comes after it.
    fn write(&mut self, out: &mut Vec<u8>) -> Token {
        match self.next {
            Token::OpenTraces => {
                out.push(b'[');
                Token::Trace { comma: false }
            }
            Token::Trace { comma } => match self.traces.next() {
                Some(spans) => {
                    out.extend_from_slice(if comma { b",[" } else { b"[" });
                    self.spans = spans.into_iter();
                    Token::Span { comma: false }
                }
                None if self.nested => Token::CloseTraces,
                None => Token::End,
            },
            Token::Span { comma } => match self.spans.next() {
                Some(span) => {
                    if comma {
                        out.push(b',');
                    }
                    proto::write_span(out, &span);
                    Token::Span { comma: true }
                }
                None => {
                    out.push(b']');
                    Token::Trace { comma: true }
                }
            },
            Token::CloseTraces => {
                out.push(b']');
                Token::End
            }
            Token::End => Token::End,
        }
    }
}

impl Iterator for SpanJson {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_finished() {
            return None;
        }
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_SLACK_BYTES);
        while !self.is_finished() && piece.len() < PIECE_BYTES {
            self.next = self.write(&mut piece);
        }
        Some(piece)
    }
}
