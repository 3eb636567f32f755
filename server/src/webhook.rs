//! How events reach webhooks: a connection a POST, TLS where the address says `https`, no redirects, bounded time.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use regression::watch::{Delivery, Target};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::{WatchConfig, WebhookAddress};

/// For everything from the look-up of the host to the status of the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// What signatures are made with; `None` where the configuration names no file.
///
/// # Errors
/// Where the file cannot be read or is empty.
pub(crate) fn secret(config: &WatchConfig) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(file) = &config.webhook_secret_file else {
        if !config.webhooks.is_empty() {
            tracing::warn!(
                "WEBHOOK_URLS without WEBHOOK_SECRET_FILE: receivers cannot tell who sent an event"
            );
        }
        return Ok(None);
    };
    let shown = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("WEBHOOK_SECRET_FILE={shown}"))?;
    // Editors end a file with a line feed, and nobody thinks it part of the secret.
    let secret = bytes.trim_ascii_end();
    anyhow::ensure!(!secret.is_empty(), "WEBHOOK_SECRET_FILE={shown}: is empty");
    Ok(Some(secret.to_vec()))
}

/// Those who are told, by their addresses.
///
/// # Errors
/// Where one needs TLS and no authority is known that the system trusts.
pub(crate) fn targets(addresses: &[WebhookAddress]) -> anyhow::Result<Vec<Target>> {
    let tls = match addresses.iter().any(|address| address.is_tls) {
        true => Some(connector(roots_of_the_system()?)?),
        false => None,
    };
    let numbered = addresses.iter().zip(1..);
    Ok(numbered
        .map(|(address, number)| target(address, number, tls.clone()))
        .collect())
}

fn target(address: &WebhookAddress, number: usize, tls: Option<TlsConnector>) -> Target {
    let address = Arc::new(address.clone());
    Target {
        name: format!("{number}:{}", address.authority),
        post: Arc::new(move |delivery| {
            let (address, tls) = (Arc::clone(&address), tls.clone());
            Box::pin(async move {
                match timeout(ATTEMPT_TIMEOUT, post(&address, tls, delivery)).await {
                    Ok(answered) => answered.map_err(|error| format!("{error:#}")),
                    Err(_) => Err(format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs())),
                }
            })
        }),
    }
}

fn roots_of_the_system() -> anyhow::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    anyhow::ensure!(
        added > 0,
        "WEBHOOK_URLS has an address with https, and the system trusts no authority: {:?}",
        found.errors
    );
    Ok(roots)
}

fn connector(roots: RootCertStore) -> anyhow::Result<TlsConnector> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The status of the answer; its body is not read. Errors do not have the path, which may be secret.
async fn post(
    address: &WebhookAddress,
    tls: Option<TlsConnector>,
    delivery: Delivery,
) -> anyhow::Result<u16> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    match tls.filter(|_| address.is_tls) {
        Some(tls) => {
            let name = ServerName::try_from(address.host.clone())?;
            send(tls.connect(name, stream).await?, address, delivery).await
        }
        None => send(stream, address, delivery).await,
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: &WebhookAddress,
    delivery: Delivery,
) -> anyhow::Result<u16> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&address.path_and_query)
        .header(header::HOST, &address.authority)
        .header(
            header::USER_AGENT,
            concat!("tracehound/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close");
    for (name, value) in delivery.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(delivery.body)))?;
    // Driven here and not by a task of its own: given up, the connection is gone with it.
    let mut answer = pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = answer.as_mut() => answer,
        ended = connection => {
            ended?;
            // It may have ended with the answer.
            answer.await
        }
    };
    Ok(answer?.status().as_u16())
}

#[cfg(test)]
mod tests {
    use rcgen::CertifiedKey;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;

    /// Takes a connection by TLS with a certificate of its own and answers 202; its port and that certificate.
    async fn receiver() -> (u16, RootCertStore) {
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
        (port, roots)
    }

    async fn deliver(port: u16, roots: RootCertStore) -> Result<u16, String> {
        let address = WebhookAddress {
            is_tls: true,
            authority: format!("localhost:{port}"),
            host: "localhost".to_owned(),
            port,
            path_and_query: "/".to_owned(),
        };
        let target = target(&address, 1, Some(connector(roots).unwrap()));
        let delivery = Delivery {
            headers: vec![("content-type", "application/json".to_owned())],
            body: "{}".to_owned(),
        };
        (target.post)(delivery).await
    }

    #[tokio::test]
    async fn events_go_over_tls_to_who_can_prove_to_be_who_is_meant() {
        let (port, roots) = receiver().await;
        assert_eq!(deliver(port, roots).await, Ok(202));
        let (port, _) = receiver().await;
        let (_, strangers) = receiver().await;
        let error = deliver(port, strangers).await.unwrap_err();
        assert!(error.contains("certificate"), "{error}");
    }
}
