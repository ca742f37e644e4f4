//! What a handler returns: a status, a content type, and a body that is in memory or is written while the client reads.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::http::route::description::{HTML, JSON, PROBLEM_JSON, TEXT};
use crate::http::route::feed::{Feed, Next};
use crate::http::route::problem::{ELSEWHERE, FINE, MADE, NOT_READY, Problem, TAKEN};
use crate::http::route::stream::Stream;

/// Bodies of up to this many bytes are never compressed: they fit one packet, and gzip would cost more than it saves.
const GZIP_BYTES_MIN: usize = 1024;

/// An answer; [`Problem`] is the other outcome of a handler.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    content_type: HeaderValue,
    body: AnswerBody,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// True if the body must not be compressed: it is compressed already, or its pieces must be sent at once.
    as_it_is: bool,
}

/// The body of an answer.
#[derive(Debug)]
pub(in crate::http) enum AnswerBody {
    Whole(Vec<u8>),
    Stream(Stream),
    /// One that goes on for as long as the client stays.
    Feed(Box<dyn Feed>),
}

impl Answer {
    pub(in crate::http) fn new(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Self {
        Self { status, content_type, body: AnswerBody::Whole(body), headers: Vec::new(), as_it_is: false }
    }

    /// `value` as JSON. Fails with an internal problem if `value` cannot be JSON, for example a map whose keys are not
    /// text.
    pub fn json(value: &impl Serialize) -> Result<Self, Problem> {
        Self::json_of(value, 128)
    }

    /// [`Answer::json`] for a value that will have about so many `bytes`, because a large body that grows step by step
    /// takes up to twice its size.
    pub(in crate::http) fn json_of(value: &impl Serialize, bytes: usize) -> Result<Self, Problem> {
        let mut body = Vec::with_capacity(bytes);
        serde_json::to_writer(&mut body, value)
            .map_err(|error| Problem::internal(format!("the answer cannot be written as JSON: {error}")))?;
        Ok(Self::new(FINE, HeaderValue::from_static(JSON), body))
    }

    /// Plain text in UTF-8.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self::new(FINE, HeaderValue::from_static(TEXT), body.into().into_bytes())
    }

    /// An HTML page in UTF-8. The caller must escape its text.
    #[must_use]
    pub fn html(body: impl Into<String>) -> Self {
        Self::new(FINE, HeaderValue::from_static(HTML), body.into().into_bytes())
    }

    /// Any other content type. Fails with an internal problem if `content_type` cannot be a header value.
    pub fn bytes(content_type: &str, body: Vec<u8>) -> Result<Self, Problem> {
        Ok(Self::new(FINE, header_of(content_type)?, body))
    }

    /// A body that `source` writes piece by piece, on a thread of its own, no faster than the client reads.
    ///
    /// - The head is sent with the first piece. If `source` fails before that, the client gets a problem; if it fails
    ///   later, the body has no end.
    /// - Pieces are large; `source` flushes what must be sent at once.
    /// - Once the client has gone, writing and flushing fail. `source` must then return, because it holds a handler's
    ///   slot.
    ///
    /// Fails with an internal problem if `content_type` cannot be a header value.
    pub fn stream(
        content_type: &str,
        source: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<Self, Problem> {
        let answer = Self::new(FINE, header_of(content_type)?, Vec::new());
        Ok(Self { body: AnswerBody::Stream(Stream::new(source)), ..answer })
    }

    /// A body that goes on for as long as the client stays. It takes no slot of a handler, and is never compressed. Fails
    /// with an internal problem if `content_type` cannot be a header value.
    pub(in crate::http) fn feed(content_type: &str, feed: Box<dyn Feed>) -> Result<Self, Problem> {
        let answer = Self::new(FINE, header_of(content_type)?, Vec::new());
        Ok(Self { body: AnswerBody::Feed(feed), as_it_is: true, ..answer })
    }

    /// The same answer, never compressed: because it is already, or because its pieces are small and must arrive at
    /// once.
    #[must_use]
    pub fn as_it_is(self) -> Self {
        Self { as_it_is: true, ..self }
    }

    /// The same answer, which says that something was made.
    #[must_use]
    pub(in crate::http) fn made(self) -> Self {
        Self { status: MADE, ..self }
    }

    /// The same answer, which says that what was sent is taken.
    #[must_use]
    pub(in crate::http) fn taken(self) -> Self {
        Self { status: TAKEN, ..self }
    }

    /// Adds a header, for example `Content-Disposition`.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The address of another page, which the browser goes to. Fails with an internal problem if `location` cannot be a
    /// header value.
    pub(in crate::http) fn elsewhere(location: &str) -> Result<Self, Problem> {
        let value = HeaderValue::from_str(location)
            .map_err(|_| Problem::internal(format!("`{location}` is not an address")))?;
        let answer = Self { status: ELSEWHERE, ..Self::text(format!("It is shown at {location}\n")) };
        Ok(answer.with_header(LOCATION, value))
    }

    /// A status without a body.
    pub(in crate::http) fn empty(status: StatusCode) -> Self {
        Self::new(status, HeaderValue::from_static(JSON), Vec::new())
    }

    /// Plain text with the status that tells a probe "not now".
    pub(in crate::http) fn not_ready(text: impl Into<String>) -> Self {
        Self { status: NOT_READY, ..Self::text(text) }
    }

    /// A refusal in the form of another project's API: with the status of `problem`, and `body` as JSON.
    pub(in crate::http) fn refusal(problem: Problem, body: &impl Serialize) -> Self {
        match Self::json(body) {
            Ok(answer) => Self { status: problem.status(), ..answer },
            Err(_) => problem.into(),
        }
    }

    pub(in crate::http) fn content_type(&self) -> &str {
        self.content_type.to_str().unwrap_or_default()
    }

    /// The status and the whole body; a stream is written to its end, and of a body that goes on, what is there.
    pub(in crate::http) fn into_parts(self) -> (u16, Vec<u8>) {
        let mut body = Vec::new();
        let stream = match self.body {
            AnswerBody::Whole(body) => return (self.status.as_u16(), body),
            AnswerBody::Stream(stream) => stream,
            AnswerBody::Feed(feed) => {
                let written = write_what_is_there(feed, &mut body);
                return (written.map_or(0, |()| self.status.as_u16()), body);
            }
        };
        match stream.write_to(&mut body) {
            Ok(()) => (self.status.as_u16(), body),
            Err(error) => {
                let problem = Problem::internal(format!("the answer cannot be written: {error}"));
                (problem.status().as_u16(), problem.to_json())
            }
        }
    }

    /// Writes the body to `sink` if this is an answer. Returns the status, and the body of what is no answer.
    pub(in crate::http) fn write_to(self, sink: &mut dyn Write) -> io::Result<(u16, Vec<u8>)> {
        match self.body {
            AnswerBody::Whole(body) if self.status == FINE => sink.write_all(&body)?,
            AnswerBody::Whole(body) => return Ok((self.status.as_u16(), body)),
            AnswerBody::Stream(stream) => stream.write_to(sink)?,
            AnswerBody::Feed(feed) => write_what_is_there(feed, sink)?,
        }
        Ok((self.status.as_u16(), Vec::new()))
    }

    /// Compresses the body if the client accepts gzip and the body is large enough.
    pub(in crate::http) fn encoded(mut self, accepts_gzip: bool) -> Self {
        if !accepts_gzip || self.as_it_is {
            return self;
        }
        match &mut self.body {
            AnswerBody::Whole(body) if body.len() > GZIP_BYTES_MIN => {
                let Some(smaller) = gzip(body) else { return self };
                *body = smaller;
            }
            AnswerBody::Whole(_) | AnswerBody::Feed(_) => return self,
            AnswerBody::Stream(stream) => stream.gzip = true,
        }
        self.headers.push((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
        self
    }

    /// Head and body.
    pub(in crate::http) fn into_response(self) -> Response<AnswerBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type);
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // No cache may keep answers: they change at every moment, and may quote private conversations. A handler may say
        // otherwise of what does not.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

/// Writes the pieces of a body that goes on, up to the first for which it would have to wait.
fn write_what_is_there(mut feed: Box<dyn Feed>, sink: &mut dyn Write) -> io::Result<()> {
    loop {
        match feed.next() {
            Next::Piece(piece) => sink.write_all(&piece)?,
            Next::Behind => feed.load(),
            Next::Nothing | Next::End => return Ok(()),
        }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let content_type = HeaderValue::from_static(PROBLEM_JSON);
        let answer = Self::new(problem.status(), content_type, problem.to_json());
        match problem.header() {
            Some((name, value)) => answer.with_header(name, value),
            None => answer,
        }
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

/// Whether a parameter is `q=0`, `q=0.0` and so on, which RFC 9110 calls "not acceptable".
fn is_zero_weight(weight: &str) -> bool {
    let Some((name, value)) = weight.trim().split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    // On loopback processor time costs more than bytes, so the fast level is used.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

fn header_of(content_type: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(content_type)
        .map_err(|_| Problem::internal(format!("`{content_type}` is not a content type")))
}
