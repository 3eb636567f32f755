//! Whether the port speaks TLS, and with what.

use std::path::PathBuf;

use super::parse;
use super::values::Reader;

/// Files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsConfig {
    /// The server's certificate, and after it those that lead to an authority.
    pub(crate) certificate_file: PathBuf,
    /// The certificate's private key.
    pub(crate) key_file: PathBuf,
    /// Whose signature a client's certificate must bear; `None` asks clients for none.
    pub(crate) client_authority_file: Option<PathBuf>,
}

/// `None` where TLS is not spoken.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<TlsConfig> {
    let certificate_file = reader.optional("TLS_CERT_FILE", parse::path);
    let key_file = reader.optional("TLS_KEY_FILE", parse::path);
    let client_authority_file = reader.optional("TLS_CLIENT_CA_FILE", parse::path);
    match (certificate_file, key_file) {
        (Some(certificate_file), Some(key_file)) => {
            return Some(TlsConfig {
                certificate_file,
                key_file,
                client_authority_file,
            });
        }
        (Some(_), None) => {
            reader.mistake("TLS_CERT_FILE needs TLS_KEY_FILE, the private key of the certificate")
        }
        (None, Some(_)) => reader.mistake("TLS_KEY_FILE needs TLS_CERT_FILE, the certificate of the key"),
        (None, None) if client_authority_file.is_some() => {
            reader.mistake(
                "TLS_CLIENT_CA_FILE needs TLS_CERT_FILE and TLS_KEY_FILE: without TLS no client is asked",
            );
        }
        (None, None) => {}
    }
    None
}
