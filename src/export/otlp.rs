//! One OTLP endpoint: it is made from a configuration, sends requests and has a [`RequestOutcome`] for each.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;

use super::client::{LastOutcome, ObservedClient, RequestTarget};
use super::convert::span_data;
use super::error::ExportError;
use super::outcome::RequestOutcome;
use super::tls::{TlsFiles, connector};
use crate::views::traces::span::SpanBatch;

/// Path of traces below the base URL of a collector.
const TRACES_PATH: &str = "/v1/traces";

/// Name of the endpoint that `otlp.endpoint` configures, which has no name of its own.
pub(super) const DEFAULT_ENDPOINT: &str = "default";

/// The URL of an endpoint, and what every request to it carries.
#[derive(Clone)]
pub struct OtlpConfig {
    /// What the endpoint is called in the log.
    pub name: String,
    /// URL of the endpoint, see [`normalize_endpoint`].
    pub endpoint: String,
    /// Sent with every request. Values may be secrets: they are never logged.
    pub headers: Vec<(String, String)>,
    /// Limit of one request, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Compress requests.
    pub gzip: bool,
    /// Certificates for an `https` endpoint.
    pub tls: TlsFiles,
    /// Attributes of the resource, from `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: Vec<(String, String)>,
    /// `service.name`; wins over one in [`OtlpConfig::resource`].
    pub service_name: String,
}

impl fmt::Debug for OtlpConfig {
    /// Leaves out the values of headers and the credentials of the URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpConfig")
            .field("name", &self.name)
            .field("endpoint", &without_credentials(&self.endpoint))
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .field("gzip", &self.gzip)
            .field("tls", &self.tls)
            .field("resource", &self.resource)
            .field("service_name", &self.service_name)
            .finish()
    }
}

impl Default for OtlpConfig {
    /// A collector at `http://localhost:4318`, a timeout of 10 s, gzip, and the service name `claude-code`.
    fn default() -> Self {
        Self {
            name: DEFAULT_ENDPOINT.to_owned(),
            endpoint: "http://localhost:4318".to_owned(),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            gzip: true,
            tls: TlsFiles::default(),
            resource: Vec::new(),
            service_name: "claude-code".to_owned(),
        }
    }
}

/// An endpoint. It sends one request at a time.
#[derive(Debug)]
pub struct OtlpEndpoint {
    name: String,
    exporter: SpanExporter,
    seen: LastOutcome,
    scope: InstrumentationScope,
    resource: Vec<KeyValue>,
    /// `service.version` of the exporter's resource; `None` before the first request, empty if it has none.
    service_version: Option<String>,
}

impl OtlpEndpoint {
    /// Checks the configuration; connects to nothing. Sending needs a tokio runtime. Fails if the URL, a header, a
    /// certificate or a key cannot be used.
    pub fn new(config: OtlpConfig) -> Result<Self, ExportError> {
        let endpoint = normalize_endpoint(&config.endpoint)?;
        let seen = LastOutcome::default();
        let client = ObservedClient { target: target(&config, endpoint.clone())?, seen: seen.clone() };
        // `ObservedClient` compresses, after it has sorted attributes. The exporter retries: the crate's own retries
        // would hide failures from it.
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.to_string())
            .with_timeout(config.timeout)
            .with_http_client(client)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|source| ExportError::Build { source })?;
        let mut resource: Vec<_> = config.resource.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        resource.push(KeyValue::new("service.name", config.service_name));
        let scope = InstrumentationScope::builder("tailspan").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self { name: config.name, exporter, seen, scope, resource, service_version: None })
    }

    /// What the endpoint is called in the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends the spans in order and says how the requests ended.
    ///
    /// Batches of different versions have different resources, and an exporter has one resource at a time: each run of
    /// batches with equal versions is a request. The first request that fails ends the call, though the requests before
    /// it were taken. Callers that must know which request failed pass one version at a time.
    pub async fn send(&mut self, batches: &[SpanBatch]) -> RequestOutcome {
        let mut refused = None;
        for run in batches.chunk_by(|a, b| a.service_version == b.service_version) {
            match self.send_run(run).await {
                RequestOutcome::Accepted => {}
                RequestOutcome::Partial { rejected, message } => {
                    let before = refused.map_or(0, |(before, _): (u64, String)| before);
                    refused = Some((before.saturating_add(rejected), message));
                }
                failed => return failed,
            }
        }
        refused.map_or(RequestOutcome::Accepted, |(rejected, message)| RequestOutcome::Partial { rejected, message })
    }

    async fn send_run(&mut self, run: &[SpanBatch]) -> RequestOutcome {
        let spans: Vec<_> =
            run.iter().flat_map(|batch| &batch.spans).map(|span| span_data(span, &self.scope)).collect();
        let Some(first) = run.first().filter(|_| !spans.is_empty()) else {
            return RequestOutcome::Accepted;
        };
        self.set_service_version(&first.service_version);
        let result = self.exporter.export(spans).await;
        // If the client saw no request, the crate itself refused to send, which it does above 64 MiB.
        self.seen.take().unwrap_or_else(|| match result {
            Ok(()) => RequestOutcome::Accepted,
            Err(error) => RequestOutcome::Rejected { status: None, message: error.to_string() },
        })
    }

    fn set_service_version(&mut self, version: &str) {
        if self.service_version.as_deref() == Some(version) {
            return;
        }
        let mut resource = self.resource.clone();
        if !version.is_empty() {
            resource.push(KeyValue::new("service.version", version.to_owned()));
        }
        // Of attributes with equal keys the last wins: `service.name` and `service.version` stand last.
        self.exporter.set_resource(&Resource::builder_empty().with_attributes(resource).build());
        self.service_version = Some(version.to_owned());
    }
}

/// A client for requests to `endpoint`. Fails if a header, a certificate or a key cannot be used.
pub(super) fn target(config: &OtlpConfig, endpoint: Uri) -> Result<RequestTarget, ExportError> {
    Ok(RequestTarget {
        inner: HyperClient::new(connector(&endpoint, &config.tls)?, config.timeout, None),
        endpoint,
        headers: header_map(&config.headers)?,
        gzip: config.gzip,
    })
}

/// The URL of traces: a base such as `http://host:4318` gets `/v1/traces`, a URL with a path stays as it is. Fails
/// unless the URL is `http://` or `https://` with a host and without credentials.
pub fn normalize_endpoint(url: &str) -> Result<Uri, ExportError> {
    let shown = || without_credentials(url);
    let trimmed = url.trim();
    let uri: Uri = trimmed.parse().map_err(|source| ExportError::Endpoint { endpoint: shown(), source })?;
    let Some(scheme @ ("http" | "https")) = uri.scheme_str() else {
        return Err(ExportError::Scheme { endpoint: shown() });
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(ExportError::Credentials);
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(ExportError::Scheme { endpoint: shown() });
    }
    if uri.path() != "/" {
        return Ok(uri);
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    format!("{scheme}://{authority}{TRACES_PATH}{query}")
        .parse()
        .map_err(|source| ExportError::Endpoint { endpoint: shown(), source })
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, ExportError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let invalid = || ExportError::Header { name: name.clone() };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| invalid())?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

fn without_credentials(url: &str) -> String {
    url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, host)| format!("...@{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_base_or_a_full_url() {
        let normal = |url: &str| normalize_endpoint(url).unwrap().to_string();
        assert_eq!(normal("http://host:4318"), "http://host:4318/v1/traces");
        assert_eq!(normal("http://host:4318/"), "http://host:4318/v1/traces");
        assert_eq!(normal("http://[::1]:4318/?tenant=a"), "http://[::1]:4318/v1/traces?tenant=a");
        assert_eq!(normal("https://host"), "https://host/v1/traces");
        assert_eq!(normal("http://host/otlp/v1/traces"), "http://host/otlp/v1/traces");
        let error = |url: &str| normalize_endpoint(url).unwrap_err();
        for url in ["unix:///run/otlp.sock", "/run/otlp.sock", "grpc://host:4317", "host:4318", "localhost", "http://"]
        {
            assert!(matches!(error(url), ExportError::Scheme { .. } | ExportError::Endpoint { .. }), "{url}");
        }
        let secret = error("http://user:hunter2@host").to_string() + &error("http://user:hunter2@ho st").to_string();
        assert!(!secret.contains("hunter2"), "{secret}");
    }
}
