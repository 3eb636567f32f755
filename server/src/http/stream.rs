//! A connection that does not wait for ever for its client: neither for the first bytes, which say what it speaks,
//! nor for it to take its answer. hyper bounds how long a head may take and we bound bodies, but hyper waits for the
//! first bytes as long as it takes, and a client that asks for much and reads nothing would keep the answer in
//! memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What an HTTP/2 client that knows its server sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For so many bytes that it is clear which protocol is spoken.
    pub(super) greeting: Duration,
    /// For one byte of an answer to be taken.
    pub(super) answer: Duration,
}

/// Fails with `TimedOut` when its patience is at an end.
pub(super) struct ImpatientStream<S> {
    inner: S,
    /// Set until it is clear what is spoken.
    greeting: Option<Greeting>,
    answer_patience: Duration,
    /// Set while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// The begin of a preface, so far.
struct Greeting {
    length: usize,
    patience: Pin<Box<Sleep>>,
}

impl<S> ImpatientStream<S> {
    pub(super) fn new(inner: S, patience: Patience) -> Self {
        let greeting = Greeting {
            length: 0,
            patience: Box::pin(sleep(patience.greeting)),
        };
        Self {
            inner,
            greeting: Some(greeting),
            answer_patience: patience.answer,
            stalled: None,
        }
    }

    fn bounded<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let patience = self.answer_patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(timed_out("the client does not take its answer"))),
        }
    }
}

impl Greeting {
    /// True when these bytes, after those before, make clear what is spoken: a whole preface, or anything else.
    fn is_over_after(&mut self, bytes: &[u8]) -> bool {
        let rest = &PREFACE[self.length..];
        self.length += bytes.len();
        bytes.is_empty() || bytes.len() >= rest.len() || !rest.starts_with(bytes)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ImpatientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(context, buffer);
        let Some(greeting) = &mut self.greeting else {
            return outcome;
        };
        if outcome.is_pending() {
            let waited = greeting.patience.as_mut().poll(context);
            return waited.map(|()| Err(timed_out("the client does not say what it speaks")));
        }
        if greeting.is_over_after(&buffer.filled()[before..]) {
            self.greeting = None;
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ImpatientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.bounded(context, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(context);
        self.bounded(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(context);
        self.bounded(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.bounded(context, outcome)
    }
}

fn timed_out(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, message)
}
