//! One connection to a running server's HTTP API, as the commands need it that ask one: opened when it is needed, and again
//! when it broke.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest answer that is taken into memory.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// Where a server is: `http://host:port` and perhaps a path that its API is below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    /// As the `host` header has it.
    authority: String,
    host: String,
    port: u16,
    path: String,
}

impl ServerAddress {
    /// From what was given as `--server`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err("must begin with http://".to_owned());
        }
        let authority = uri.authority().ok_or("has no host")?;
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
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
    server: ServerAddress,
    authorization: Option<HeaderValue>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl ApiClient {
    pub(crate) fn new(server: ServerAddress) -> Self {
        Self {
            server,
            authorization: None,
            connection: None,
        }
    }

    /// Sends this header with every request.
    pub(crate) fn with_authorization(self, authorization: Option<HeaderValue>) -> Self {
        Self {
            authorization,
            ..self
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
        answered.with_context(|| format!("{} does not answer", self.server))
    }

    async fn try_send(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        let mut connection = match self
            .connection
            .take()
            .filter(|connection| !connection.is_closed())
        {
            Some(connection) => connection,
            None => connect(&self.server).await?,
        };
        connection.ready().await?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server.path))
            .header(header::HOST, &self.server.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        if let Some(authorization) = &self.authorization {
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

async fn connect(server: &ServerAddress) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect((server.host.as_str(), server.port)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends with the connection; what went wrong is told to who waits for an answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let plain = ServerAddress::parse("http://127.0.0.1:9411").unwrap();
        assert_eq!(
            (plain.host.as_str(), plain.port, plain.path.as_str()),
            ("127.0.0.1", 9411, "")
        );
        let other = ServerAddress::parse("http://[::1]/zipkin/").unwrap();
        assert_eq!(
            (other.host.as_str(), other.port, other.path.as_str()),
            ("::1", 80, "/zipkin")
        );
        assert_eq!(other.to_string(), "http://[::1]/zipkin");
        for wrong in ["https://host", "host:9411", "http://", ""] {
            assert!(ServerAddress::parse(wrong).is_err(), "{wrong}");
        }
    }
}
