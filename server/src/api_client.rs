//! One connection to a running server's HTTP API, as the commands need it that ask one: opened when it is needed, and again
//! when it broke.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::peer::{PeerAddress, system_tls};

/// The longest answer that is taken into memory.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// A running server, and who the command is to it.
#[derive(Clone, Debug)]
pub(crate) struct ServerAccess {
    /// Its API is below the path.
    pub(crate) address: PeerAddress,
    /// As a header has it, not shown anywhere.
    pub(crate) authorization: Option<HeaderValue>,
}

/// A token as a header has it, kept out of logs; none where it is empty.
///
/// # Errors
/// What is wrong with it, without what it is.
pub(crate) fn bearer(token: &str) -> Result<Option<HeaderValue>, String> {
    let token = token.trim();
    if token.is_empty() {
        return Ok(None);
    }
    let header = HeaderValue::try_from(format!("Bearer {token}"));
    let mut header = header.map_err(|_| "has a character that a header cannot have".to_owned())?;
    header.set_sensitive(true);
    Ok(Some(header))
}

/// An answer is not taken into memory.
#[derive(Debug)]
pub(crate) struct TooLarge;

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the answer has more than {ANSWER_BYTES_MAX} bytes")
    }
}

impl std::error::Error for TooLarge {}

/// An answer with its body whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// What it says, for an error.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        format!("{}: {}", self.status, text.trim())
    }

    /// How long the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let seconds = self
            .headers
            .get(header::RETRY_AFTER)?
            .to_str()
            .ok()?
            .parse()
            .ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct ApiClient {
    server: ServerAccess,
    /// What the paths of the API come after.
    base: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl ApiClient {
    pub(crate) fn new(server: ServerAccess) -> Self {
        let base = server
            .address
            .path_and_query
            .split('?')
            .next()
            .unwrap_or_default();
        Self {
            base: base.trim_end_matches('/').to_owned(),
            server,
            connection: None,
        }
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// Where the server cannot be reached, does not answer in time, or answers endlessly; the next call connects anew.
    pub(crate) async fn send(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        let answered = timeout(ANSWER_TIMEOUT, self.try_send(method, path, body)).await;
        let answered = match answered {
            Ok(answered) => answered,
            Err(_) => Err(anyhow::anyhow!("no answer within {} s", ANSWER_TIMEOUT.as_secs())),
        };
        if answered.is_err() {
            self.connection = None;
        }
        answered.with_context(|| format!("{} does not answer", self.server.address))
    }

    async fn try_send(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        let mut connection = match self
            .connection
            .take()
            .filter(|connection| !connection.is_closed())
        {
            Some(connection) => connection,
            None => connect(&self.server.address).await?,
        };
        connection.ready().await?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::HOST, &self.server.address.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        if let Some(authorization) = &self.server.authorization {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, authorization.clone());
        }
        let (head, body) = connection.send_request(request).await?.into_parts();
        let body = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => bail!(TooLarge),
            Err(error) => bail!("the answer ends early: {error}"),
        };
        self.connection = Some(connection);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

async fn connect(server: &PeerAddress) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let tls = server.is_tls().then(system_tls).transpose()?;
    let stream = server.connect(tls.as_ref()).await?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends with the connection; what went wrong is told to who waits for an answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_and_never_shown() {
        let header = bearer("  s3cret\n").unwrap().unwrap();
        assert_eq!(header.to_str().unwrap(), "Bearer s3cret");
        let access = ServerAccess {
            address: PeerAddress::parse("http://localhost").unwrap(),
            authorization: Some(header),
        };
        assert!(!format!("{access:?}").contains("s3cret"), "{access:?}");
        assert_eq!(bearer(" "), Ok(None));
        let error = bearer("s3\ncret").unwrap_err();
        assert!(!error.contains("cret"), "{error}");
    }
}
