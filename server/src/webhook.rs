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
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::WatchConfig;
use crate::peer::{PeerAddress, system_tls};

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
pub(crate) fn targets(addresses: &[PeerAddress]) -> anyhow::Result<Vec<Target>> {
    let tls = match addresses.iter().any(PeerAddress::is_tls) {
        true => Some(system_tls().context("WEBHOOK_URLS")?),
        false => None,
    };
    let numbered = addresses.iter().zip(1..);
    Ok(numbered
        .map(|(address, number)| target(address, number, tls.clone()))
        .collect())
}

fn target(address: &PeerAddress, number: usize, tls: Option<TlsConnector>) -> Target {
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

/// The status of the answer; its body is not read. Errors do not have the path, which may be secret.
async fn post(address: &PeerAddress, tls: Option<TlsConnector>, delivery: Delivery) -> anyhow::Result<u16> {
    let stream = address.connect(tls.as_ref()).await?;
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
    use super::*;
    use crate::peer::tests::receiver;

    async fn deliver(address: &PeerAddress, tls: TlsConnector) -> Result<u16, String> {
        let target = target(address, 1, Some(tls));
        let delivery = Delivery {
            headers: vec![("content-type", "application/json".to_owned())],
            body: "{}".to_owned(),
        };
        (target.post)(delivery).await
    }

    #[tokio::test]
    async fn events_go_over_tls_to_who_can_prove_to_be_who_is_meant() {
        let (address, tls) = receiver().await;
        assert_eq!(deliver(&address, tls).await, Ok(202));
        let (address, _) = receiver().await;
        let (_, strangers) = receiver().await;
        let error = deliver(&address, strangers).await.unwrap_err();
        assert!(error.contains("certificate"), "{error}");
    }
}
