//! The HTTP client below the OTLP crate. It sees the status and the headers of each answer, which the crate's `Result`
//! does not tell, and makes equal spans into equal bytes.

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use chrono::DateTime;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::outcome::RequestOutcome;
use super::tls::Connector;

/// Where the client leaves the outcome of the last request, for [`super::otlp`] to take.
#[derive(Debug, Clone, Default)]
pub(super) struct LastOutcome(Arc<Mutex<Option<RequestOutcome>>>);

impl LastOutcome {
    /// The outcome since the last call; `None` if no request was sent.
    pub(super) fn take(&self) -> Option<RequestOutcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, outcome: RequestOutcome) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}

/// One URL, with the headers and the compression of every request to it.
#[derive(Debug)]
pub(super) struct RequestTarget {
    pub(super) inner: HyperClient<Connector>,
    pub(super) endpoint: Uri,
    pub(super) headers: HeaderMap,
    pub(super) gzip: bool,
}

impl RequestTarget {
    /// Posts `message`, an encoded protobuf message, and says how the request ended.
    pub(super) async fn post(&self, message: Bytes) -> (Result<Response<Bytes>, HttpError>, RequestOutcome) {
        let result = match self.request(message) {
            Ok(request) => self.inner.send_bytes(request).await,
            Err(error) => Err(error),
        };
        let now = DateTime::from(SystemTime::now());
        let outcome = match &result {
            Ok(answer) => RequestOutcome::of_answer(answer.status(), answer.headers(), answer.body(), now),
            Err(error) => RequestOutcome::of_error(error.as_ref()),
        };
        (result, outcome)
    }

    fn request(&self, message: Bytes) -> Result<Request<Bytes>, HttpError> {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let body = if self.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            compressed(&message)?
        } else {
            message
        };
        let mut request = Request::post(self.endpoint.clone()).body(body)?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Sends spans to one endpoint and remembers the outcome.
#[derive(Debug)]
pub(super) struct ObservedClient {
    pub(super) target: RequestTarget,
    pub(super) seen: LastOutcome,
}

impl ObservedClient {
    /// Takes only the body of `request` and sends it with the configured headers: the crate lets
    /// `OTEL_EXPORTER_OTLP_HEADERS` override them, and the configuration has read the environment already. The crate's
    /// own compression is off.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (result, outcome) = self.target.post(in_stable_order(request.into_body())).await;
        self.seen.put(outcome);
        result
    }
}

impl HttpClient for ObservedClient {
    fn send_bytes<'client, 'future>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'future>>
    where
        'client: 'future,
        Self: 'future,
    {
        Box::pin(self.send(request))
    }
}

/// Sorts the attributes of the resource: the SDK keeps them in a hash map, whose order changes with every process, and
/// a span sent again after a restart must have the same bytes.
fn in_stable_order(body: Bytes) -> Bytes {
    let Ok(mut request) = ExportTraceServiceRequest::decode(body.as_ref()) else {
        return body;
    };
    for resource in request.resource_spans.iter_mut().filter_map(|spans| spans.resource.as_mut()) {
        resource.attributes.sort_by(|a, b| a.key.cmp(&b.key));
    }
    request.encode_to_vec().into()
}

fn compressed(body: &[u8]) -> Result<Bytes, std::io::Error> {
    // Without a file time in the header, equal bodies give equal bytes.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::default());
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}
