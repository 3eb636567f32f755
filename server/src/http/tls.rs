//! TLS on the port: HTTP/2 and HTTP/1.1 over it, with the certificate that the configuration names.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::config::TlsConfig;

/// How TLS is spoken where `config` asks for it.
///
/// # Errors
/// Where a file cannot be read, has nothing of what it is for, or key and certificate do not belong together. The
/// message names the setting.
pub(crate) fn tls(config: &TlsConfig) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(ring::default_provider());
    let certificates = certificates(&config.certificate_file, "TLS_CERT_FILE")?;
    let key = private_key(&config.key_file)?;
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &config.client_authority_file {
        Some(file) => builder.with_client_cert_verifier(client_verifier(file, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut server = builder
        .with_single_cert(certificates, key)
        .context("TLS_CERT_FILE and TLS_KEY_FILE do not belong together")?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}

fn certificates(file: &Path, setting: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = file.display();
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .with_context(|| format!("{setting}={shown}: cannot read certificates"))?;
    anyhow::ensure!(
        !certificates.is_empty(),
        "{setting}={shown}: there is no certificate in it, which begins with -----BEGIN CERTIFICATE-----"
    );
    Ok(certificates)
}

fn private_key(file: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file)
        .with_context(|| format!("TLS_KEY_FILE={}: cannot read a private key", file.display()))
}

/// Lets in whose certificate was signed by one of these.
fn client_verifier(
    file: &Path,
    provider: Arc<CryptoProvider>,
) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(file, "TLS_CLIENT_CA_FILE")? {
        let shown = file.display();
        authorities
            .add(certificate)
            .with_context(|| format!("TLS_CLIENT_CA_FILE={shown}: not the certificate of an authority"))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .build()
        .context("TLS_CLIENT_CA_FILE cannot be used")
}
