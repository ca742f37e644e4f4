//! What a handler returns: a status, a content type and a body held in memory.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::http::route::problem::{FINE, Problem};

/// Bodies up to this are sent as they are: they fit one packet, and gzip would cost more than it saves.
const GZIP_BYTES_MIN: usize = 1024;

/// An answer; [`Problem`] is the other outcome of a handler.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    content_type: HeaderValue,
    body: Vec<u8>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    pub(in crate::http) fn new(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Self {
        Self { status, content_type, body, headers: Vec::new() }
    }

    /// `value` as JSON.
    ///
    /// # Errors
    /// An internal problem if `value` cannot be JSON, for example a map whose keys are not text.
    pub fn json(value: &impl Serialize) -> Result<Self, Problem> {
        Self::json_of(value, 128)
    }

    /// [`Answer::json`] of a value that will have some `bytes`: a large body that grows bit by bit takes twice its room.
    ///
    /// # Errors
    /// Those of [`Answer::json`].
    pub(in crate::http) fn json_of(value: &impl Serialize, bytes: usize) -> Result<Self, Problem> {
        let mut body = Vec::with_capacity(bytes);
        serde_json::to_writer(&mut body, value)
            .map_err(|error| Problem::internal(format!("the answer cannot be written as JSON: {error}")))?;
        Ok(Self::new(FINE, HeaderValue::from_static("application/json"), body))
    }

    /// Plain text in UTF-8.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self::new(FINE, HeaderValue::from_static("text/plain; charset=utf-8"), body.into().into_bytes())
    }

    /// A page in UTF-8; the caller escapes.
    #[must_use]
    pub fn html(body: impl Into<String>) -> Self {
        Self::new(FINE, HeaderValue::from_static("text/html; charset=utf-8"), body.into().into_bytes())
    }

    /// Any other content type.
    ///
    /// # Errors
    /// An internal problem if `content_type` cannot be a header value.
    pub fn bytes(content_type: &str, body: Vec<u8>) -> Result<Self, Problem> {
        let content_type = HeaderValue::from_str(content_type)
            .map_err(|_| Problem::internal(format!("`{content_type}` is not a content type")))?;
        Ok(Self::new(FINE, content_type, body))
    }

    /// Adds a header, for example `Content-Disposition`.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(in crate::http) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(in crate::http) fn status_code(&self) -> u16 {
        self.status.as_u16()
    }

    pub(in crate::http) fn into_parts(self) -> (u16, Vec<u8>) {
        (self.status.as_u16(), self.body)
    }

    /// Compresses the body if the client `accepts_gzip` and it is worth it.
    pub(in crate::http) fn encoded(mut self, accepts_gzip: bool) -> Self {
        if accepts_gzip
            && self.body.len() > GZIP_BYTES_MIN
            && let Some(smaller) = gzip(&self.body)
        {
            self.body = smaller;
            self.headers.push((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
        }
        self
    }

    /// What its body takes in memory, in bytes.
    pub(in crate::http) fn body_bytes(&self) -> usize {
        self.body.capacity()
    }

    /// The answer; `kept` is dropped once its last byte was written, or its connection is gone.
    pub(in crate::http) fn into_response(self, kept: impl Send + 'static) -> Response<Full<Bytes>> {
        let body = Bytes::from_owner(Body { bytes: self.body, _kept: kept });
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type);
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Every answer is of this moment, and quotes private conversations.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

/// A body, and what lasts as long as it does.
struct Body<T> {
    bytes: Vec<u8>,
    _kept: T,
}

impl<T> AsRef<[u8]> for Body<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether `Accept-Encoding` lists gzip, or everything, with a weight above 0.
pub(in crate::http) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let listed = |coding: &str| {
        headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|item| item.split_once(';').unwrap_or((item, "")))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(coding))
            .map(|(_, weight)| !is_zero_weight(weight))
    };
    listed("gzip").or_else(|| listed("x-gzip")).or_else(|| listed("*")).unwrap_or(false)
}

/// `q=0`, `q=0.0`, and so on: RFC 9110's "not acceptable".
fn is_zero_weight(weight: &str) -> bool {
    let Some((name, value)) = weight.trim().split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    // Fast: on loopback the processor is dearer than the bytes.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}
