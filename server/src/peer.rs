//! Servers that this process is a client of: where they are, and connections to them, by TLS where the address says
//! `https`.

use std::fmt;
use std::sync::Arc;

use anyhow::Context;
use http::Uri;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Where a server is. Only its scheme and authority are shown: paths may have tokens.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PeerAddress {
    is_tls: bool,
    /// As the `host` header has it.
    pub(crate) authority: String,
    host: String,
    port: u16,
    pub(crate) path_and_query: String,
}

impl PeerAddress {
    /// Takes an address apart that people gave.
    ///
    /// # Errors
    /// What is wrong with it, without what it says.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("must begin with http:// or https://".to_owned()),
        };
        let authority = uri.authority().ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("must not have a user or a password".to_owned());
        }
        let default_port = if is_tls { 443 } else { 80 };
        let path_and_query = uri.path_and_query();
        Ok(Self {
            is_tls,
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(default_port),
            path_and_query: path_and_query.map_or("/", |path| path.as_str()).to_owned(),
        })
    }

    /// Whether connections are encrypted.
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// A new connection; `tls` is what one is made with where the address asks for TLS.
    ///
    /// # Errors
    /// Where nobody answers there, or cannot prove to be who is meant.
    pub(crate) async fn connect(&self, tls: Option<&TlsConnector>) -> anyhow::Result<Box<dyn PeerStream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        if !self.is_tls {
            return Ok(Box::new(stream));
        }
        let tls = tls.context("the address says https, and nothing is there to speak it with")?;
        let name = ServerName::try_from(self.host.clone())?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a connection carries.
pub(crate) trait PeerStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> PeerStream for S {}

/// Trusts whom the system trusts, or whom `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
///
/// # Errors
/// Where that is nobody.
pub(crate) fn system_tls() -> anyhow::Result<TlsConnector> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    anyhow::ensure!(
        added > 0,
        "the system trusts no authority, and https needs one: {:?}",
        found.errors
    );
    tls(roots)
}

fn tls(roots: RootCertStore) -> anyhow::Result<TlsConnector> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
pub(crate) mod tests {
    use rcgen::CertifiedKey;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;

    /// Takes a connection by TLS with a certificate of its own, reads until `{}` and answers 202; where it is, and what
    /// trusts it.
    pub(crate) async fn receiver() -> (PeerAddress, TlsConnector) {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut received = Vec::new();
            while !received.ends_with(b"{}") {
                stream.read_buf(&mut received).await.unwrap();
            }
            stream
                .write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
            stream.shutdown().await.unwrap();
        });
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let address = PeerAddress::parse(&format!("https://localhost:{port}")).unwrap();
        (address, tls(roots).unwrap())
    }

    #[test]
    fn addresses_are_taken_apart() {
        let parts = |text: &str| {
            let address = PeerAddress::parse(text).unwrap();
            let PeerAddress {
                is_tls, host, port, ..
            } = address.clone();
            (
                is_tls,
                host,
                port,
                address.path_and_query.clone(),
                address.to_string(),
            )
        };
        let expect = |is_tls, host: &str, port, path: &str, shown: &str| {
            (is_tls, host.to_owned(), port, path.to_owned(), shown.to_owned())
        };
        for (text, expected) in [
            (
                "http://127.0.0.1:9411",
                expect(false, "127.0.0.1", 9411, "/", "http://127.0.0.1:9411"),
            ),
            (
                "https://hooks.example/T0/secret?x=1",
                expect(
                    true,
                    "hooks.example",
                    443,
                    "/T0/secret?x=1",
                    "https://hooks.example",
                ),
            ),
            (
                "http://[::1]/zipkin/",
                expect(false, "::1", 80, "/zipkin/", "http://[::1]"),
            ),
        ] {
            assert_eq!(parts(text), expected);
        }
        for wrong in ["ftp://host", "host:9411", "http://", "", "http://me:secret@host"] {
            let error = PeerAddress::parse(wrong).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        let secret = PeerAddress::parse("https://hooks.example/secret").unwrap();
        assert!(!format!("{secret:?} {secret}").contains("secret"));
    }
}
