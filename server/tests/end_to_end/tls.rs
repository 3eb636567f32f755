//! TLS on the one port: gRPC and HTTP over it, clients with and without certificates, and what stops the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::client::Connection;
use crate::grpc_client::{connect_by_tls, list_of_spans, report};
use crate::process::{Server, run_to_end};

/// Longer than anything a test waits for on purpose.
const PATIENCE: Duration = Duration::from_secs(20);

/// An authority, in a directory with files of what it signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(parameters, key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("authority.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// Writes `NAME.pem` and `NAME.key` for `localhost`.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let (certificate_file, key_file) = (
            self.file(&format!("{name}.pem")),
            self.file(&format!("{name}.key")),
        );
        std::fs::write(&certificate_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (certificate_file, key_file)
    }

    /// What a client of tonic trusts.
    fn trusted(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.text("authority.pem")))
    }

    fn identity(&self, name: &str) -> Identity {
        Identity::from_pem(
            self.text(&format!("{name}.pem")),
            self.text(&format!("{name}.key")),
        )
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn start(certificate: &Path, key: &Path, more: &[(&str, &str)]) -> Server {
    let tls = [("TLS_CERT_FILE", text(certificate)), ("TLS_KEY_FILE", text(key))];
    Server::start(&[&tls, more].concat())
}

/// A request of HTTP/1.1 over TLS, and everything that is answered until the connection ends.
async fn ask_by_tls(server: &Server, authority: &Authority, request: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority.file("authority.pem")).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let answered = async {
        let stream = TcpStream::connect(server.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    tokio::time::timeout(PATIENCE, answered)
        .await
        .expect("the server answers, or closes the connection")
}

#[tokio::test]
async fn grpc_and_http_are_spoken_over_tls() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let server = start(&certificate, &key, &[]);
    let channel = connect_by_tls(&server, authority.trusted()).await.unwrap();
    report(&channel, list_of_spans("0000000000000001", 3))
        .await
        .unwrap();
    let request = "GET /api/v2/trace/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = ask_by_tls(&server, &authority, request).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(
        answer.matches(r#""traceId":"0000000000000001""#).count(),
        3,
        "{answer}"
    );
    assert!(
        connect_by_tls(&server, Authority::new().trusted()).await.is_err(),
        "a client that does not trust the authority does not trust the server"
    );
    let mut plain = Connection::open(server.address);
    plain.send_in_vain("GET /health HTTP/1.1\r\nhost: test\r\n\r\n");
    assert!(plain.is_closed(), "nothing else is spoken on that port");
    assert_eq!(server.complaints(), [] as [String; 0]);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up_and_frees_its_slot() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let limits = [("REQUEST_HEAD_TIMEOUT", "500ms"), ("CONNECTIONS_MAX", "2")];
    let server = start(&certificate, &key, &limits);
    let begin = Instant::now();
    // The head of a record of a handshake, and no more of it.
    let mut silent: Vec<Connection> = ["", "\x16\x03\x01\x02\x00\x01"]
        .iter()
        .map(|start| {
            let mut connection = Connection::open(server.address);
            connection.send(start);
            connection
        })
        .collect();
    let request = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = ask_by_tls(&server, &authority, request).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        begin.elapsed() >= Duration::from_millis(450),
        "a slot was free before"
    );
    assert!(silent.iter_mut().all(Connection::is_closed));
    // After the handshake the first request is waited for as long.
    let answer = ask_by_tls(&server, &authority, "").await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.is_empty()));
}

#[tokio::test]
async fn clients_need_a_certificate_where_they_are_asked_for_one() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    authority.sign("client");
    let file = authority.file("authority.pem");
    let server = start(&certificate, &key, &[("TLS_CLIENT_CA_FILE", text(&file))]);
    let with = |identity| authority.trusted().identity(identity);
    let channel = connect_by_tls(&server, with(authority.identity("client")))
        .await
        .unwrap();
    report(&channel, list_of_spans("1", 1)).await.unwrap();
    let stranger = Authority::new();
    stranger.sign("client");
    for tls in [authority.trusted(), with(stranger.identity("client"))] {
        // TLS 1.3 tells a client only after it believes to be connected.
        let refused = match connect_by_tls(&server, tls).await {
            Ok(channel) => report(&channel, list_of_spans("2", 1)).await.is_err(),
            Err(_) => true,
        };
        assert!(refused);
    }
    let metrics = connect_by_tls(&server, with(authority.identity("client"))).await;
    report(&metrics.unwrap(), list_of_spans("3", 1)).await.unwrap();
    assert_eq!(server.complaints(), [] as [String; 0]);
}

#[test]
fn commands_ask_a_server_by_tls_and_trust_no_other() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let server = start(&certificate, &key, &[]);
    let directory = tempfile::tempdir().unwrap();
    let address = format!("https://localhost:{}", server.address.port());
    let ask = |authority: &Authority, command: &[&str]| {
        let trusted = authority.file("authority.pem");
        let about = ["--server", &address, "--service", "cart", "--version", "2"];
        let settings = [("SSL_CERT_FILE", text(&trusted))];
        let (status, said) = run_to_end(directory.path(), &settings, &[command, &about].concat());
        (status.code(), said)
    };
    let (status, said) = ask(&authority, &["deploy"]);
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = ask(&authority, &["gate", "--monitor", "100ms"]);
    assert_eq!(status, Some(3), "{said}");
    let stranger = Authority::new();
    for command in [&["deploy"][..], &["gate", "--monitor", "100ms"]] {
        let (status, said) = ask(&stranger, command);
        assert_eq!(status, Some(4), "{said}");
        assert!(said.contains("certificate"), "{said}");
    }
}

#[test]
fn wrong_files_stop_the_start_and_are_named() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let (_, other_key) = authority.sign("other");
    let (certificate, key, other_key) = (text(&certificate), text(&key), text(&other_key));
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere.pem");
    let nowhere = text(&nowhere);
    let refused = |settings: &[(&str, &str)], parts: &[&str]| {
        let (status, said) = run_to_end(directory.path(), settings, &[]);
        assert!(!status.success(), "{settings:?}");
        for part in parts {
            assert!(said.contains(part), "{part} is not in: {said}");
        }
    };
    let both = |certificate, key| [("TLS_CERT_FILE", certificate), ("TLS_KEY_FILE", key)];
    refused(
        &[("TLS_CERT_FILE", certificate)],
        &["TLS_CERT_FILE needs TLS_KEY_FILE"],
    );
    refused(&[("TLS_KEY_FILE", key)], &["TLS_KEY_FILE needs TLS_CERT_FILE"]);
    refused(
        &[("TLS_CLIENT_CA_FILE", certificate)],
        &["needs TLS_CERT_FILE and TLS_KEY_FILE"],
    );
    refused(
        &both(nowhere, key),
        &["TLS_CERT_FILE=", "nowhere.pem", "No such file"],
    );
    refused(&both(key, key), &["TLS_CERT_FILE=", "no certificate"]);
    refused(&both(certificate, certificate), &["TLS_KEY_FILE=", "private key"]);
    refused(
        &both(certificate, other_key),
        &["TLS_CERT_FILE and TLS_KEY_FILE do not belong together"],
    );
    let [first, second] = both(certificate, key);
    let authorities = [first, second, ("TLS_CLIENT_CA_FILE", key)];
    refused(&authorities, &["TLS_CLIENT_CA_FILE=", "no certificate"]);
    refused(
        &[("ARMERIA_SSL_ENABLED", "true")],
        &["TLS_CERT_FILE and TLS_KEY_FILE"],
    );
}
