//! Errors that stop delivery for good. A failure that may pass by itself is an [`super::RequestOutcome`].

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::store::StoreError;

/// Why an exporter cannot be made, or had to stop.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The endpoint does not parse.
    #[error("endpoint {endpoint:?} is not a URL such as http://localhost:4318")]
    Endpoint {
        /// As configured, without credentials.
        endpoint: String,
        /// Reason of the parser.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// No scheme, no host, or a scheme such as `unix` or `grpc`.
    #[error(
        "endpoint {endpoint:?} must be http://HOST:PORT or https://HOST:PORT (OTLP over HTTP, by default port 4318)"
    )]
    Scheme {
        /// As configured, without credentials.
        endpoint: String,
    },
    /// A certificate or a key cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file as it was named.
        path: PathBuf,
        /// Reason of the system.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should. What it does hold is not repeated, for it may be a key.
    #[error("{path} is not a PEM file with a {expected}")]
    Pem {
        /// The file as it was named.
        path: PathBuf,
        /// What the file should hold, in words.
        expected: &'static str,
    },
    /// A certificate authority that cannot be used.
    #[error("{path} holds a certificate that cannot be trusted as an authority")]
    Authority {
        /// The file as it was named.
        path: PathBuf,
        /// Reason of the TLS library.
        #[source]
        source: rustls::Error,
    },
    /// A client certificate that cannot be used, for example because the key is not its own.
    #[error("the client certificate in {path} cannot be used with its key")]
    ClientCertificate {
        /// File of the certificate.
        path: PathBuf,
        /// Reason of the TLS library.
        #[source]
        source: rustls::Error,
    },
    /// Neither the system nor the configuration names a certificate authority, so that no certificate can be checked.
    #[error(
        "the system knows no certificate authority to check {endpoint:?} with: install its CA certificates, or name a file as `ca`"
    )]
    NoAuthority {
        /// URL of the endpoint.
        endpoint: String,
    },
    /// `http://user:password@host`. The endpoint is not repeated, for it holds a secret.
    #[error("the endpoint must not hold credentials: send them in an `authorization` header")]
    Credentials,
    /// A header that HTTP does not allow. Its value is not repeated, for it may be a secret.
    #[error("header {name:?} is not a valid HTTP header")]
    Header { name: String },
    /// The OTLP crate refused, for example because of an `OTEL_EXPORTER_OTLP_*` variable.
    #[error("cannot build the OTLP exporter")]
    Build {
        /// Reason of the OTLP crate.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The queue failed: nothing is lost, but nothing can be delivered either.
    #[error("cannot {action} the span queue")]
    Queue {
        /// `read` or `acknowledge`.
        action: &'static str,
        /// Reason of the store.
        #[source]
        source: StoreError,
    },
}

impl ExportError {
    /// True if the configuration must be mended, false if the queue failed.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        !matches!(self, Self::Queue { .. })
    }
}
