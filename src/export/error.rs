//! What can stop delivery for good; everything that passes by itself is an [`super::Outcome`].

use thiserror::Error;

/// Why an exporter cannot be made, or had to stop.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The endpoint does not parse.
    #[error("endpoint {endpoint:?} is not a URL such as http://localhost:4318")]
    Endpoint {
        /// As configured, without credentials.
        endpoint: String,
        /// What the parser disliked.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// No scheme, no host, or a scheme such as `unix` or `grpc`.
    #[error("endpoint {endpoint:?} must be http://HOST:PORT (OTLP over HTTP, by default port 4318)")]
    Scheme {
        /// As configured, without credentials.
        endpoint: String,
    },
    /// An `https` endpoint.
    #[error(
        "https endpoints need a TLS-terminating collector until tailspan speaks TLS itself: \
         send to an OpenTelemetry Collector on http://localhost:4318 and let it forward to {endpoint:?}"
    )]
    Tls {
        /// As configured, without credentials.
        endpoint: String,
    },
    /// `http://user:password@host`. The endpoint is not repeated, for it holds a secret.
    #[error("the endpoint must not hold credentials: send them in an `authorization` header")]
    Credentials,
    /// A header that HTTP does not allow. Its value is not repeated, for it may be a secret.
    #[error("header {name:?} is not a valid HTTP header")]
    Header {
        /// Its name.
        name: String,
    },
    /// The OTLP crate refused, for example because of an `OTEL_EXPORTER_OTLP_*` variable.
    #[error("cannot build the OTLP exporter")]
    Build {
        /// Its reason.
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
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
