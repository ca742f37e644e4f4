//! TLS of one endpoint: makes a connector from the files that the configuration names. Only this file uses rustls.
//!
//! The configured certificate authority is trusted in addition to those of the system, not instead of them: it is often
//! given once for several endpoints, and one of these may have a public certificate.

use std::fs;
use std::path::{Path, PathBuf};

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, InvalidMessage, RootCertStore};

use super::error::ExportError;

/// Files of an endpoint's TLS, all of them PEM. They are read once, and only for an `https` endpoint.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Certificate authorities that are trusted besides those of the system.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to a server that asks for one.
    pub client: Option<ClientFiles>,
}

/// The files of a client certificate and of its key.
#[derive(Debug, Clone)]
pub struct ClientFiles {
    /// The certificate, followed by those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
}

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// A connector for `endpoint`, with TLS if its scheme is `https`.
pub(super) fn connector(endpoint: &Uri, files: &TlsFiles) -> Result<Connector, ExportError> {
    let is_plain = endpoint.scheme_str() != Some("https");
    let builder = if is_plain {
        ClientConfig::builder().with_root_certificates(RootCertStore::empty())
    } else {
        ClientConfig::builder().with_root_certificates(roots(endpoint, files.ca.as_deref())?)
    };
    let config = match files.client.as_ref().filter(|_| !is_plain) {
        None => builder.with_no_client_auth(),
        Some(client) => builder
            .with_client_auth_cert(certificates(&client.certificate)?, key(&client.key)?)
            .map_err(|source| ExportError::ClientCertificate { path: client.certificate.clone(), source })?,
    };
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build())
}

/// What the user can do about a refused certificate; `None` if the error is about something else.
pub(super) fn advice(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    match tls_error(error)? {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => Some(
            "nobody that this machine trusts has signed the endpoint's certificate, its authority may be missing in `ca`",
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Some("the endpoint's certificate is for another host name"),
        // The certificate verifier below rustls has no public type for this reason, only this name.
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            Some(
                "the endpoint shows the certificate of an authority as its own: give it one of its own (CA:FALSE) that this \
                 authority has signed, and name the authority's as `ca`",
            )
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some("the endpoint answers without TLS: write http:// in its URL if that is what you want")
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            Some("the endpoint asks for a client certificate, which `certificate` and `key` would give")
        }
        _ => None,
    }
}

/// True if the server ended the handshake. It cannot have read a request then, even if the client believed that the
/// handshake was done and had sent one, as TLS 1.3 allows.
pub(super) fn is_refused_handshake(error: &(dyn std::error::Error + 'static)) -> bool {
    use AlertDescription as Alert;
    matches!(
        tls_error(error),
        Some(rustls::Error::AlertReceived(
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::HandshakeFailure
        ))
    )
}

/// The TLS error among the causes of `error`, however deep; `None` if there is none.
fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // The `source` of an `io::Error` skips the error that it wraps, so that one is asked for directly.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn roots(endpoint: &Uri, ca: Option<&Path>) -> Result<RootCertStore, ExportError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(error = crate::text::chain(error), "a certificate authority of the system cannot be read");
    }
    // Some systems carry certificates that no library accepts; those are left out.
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|source| ExportError::Authority { path: path.to_owned(), source })?;
        }
    }
    if roots.is_empty() { Err(ExportError::NoAuthority { endpoint: endpoint.to_string() }) } else { Ok(roots) }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ExportError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(ExportError::Pem { path: path.to_owned(), expected: "certificate" }),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, ExportError> {
    // The parser's error might show a part of the key.
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|_| ExportError::Pem { path: path.to_owned(), expected: "private key that is not encrypted" })
}

fn read(path: &Path) -> Result<Vec<u8>, ExportError> {
    fs::read(path).map_err(|source| ExportError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_refused_handshake_is_found_below_other_errors() {
        let alert = |alert| io::Error::other(io::Error::other(rustls::Error::AlertReceived(alert)));
        assert!(is_refused_handshake(&alert(AlertDescription::CertificateRequired)));
        assert!(advice(&alert(AlertDescription::CertificateRequired)).unwrap().contains("`certificate` and `key`"));
        // This alert may come after the handshake, when the server may have read anything.
        assert!(!is_refused_handshake(&alert(AlertDescription::InternalError)));
        assert!(!is_refused_handshake(&io::Error::other("reset")));
    }
}
