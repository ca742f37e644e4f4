//! The answer to a client that does not get what it asked for.
//!
//! The only file of the project with HTTP status codes.

use http::header::{ALLOW, CONNECTION, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

/// The status of a successful answer.
pub(in crate::http) const FINE: StatusCode = StatusCode::OK;

/// The status that says that something was made.
pub(in crate::http) const MADE: StatusCode = StatusCode::CREATED;

/// The status that says that something was taken, and is looked at later.
pub(in crate::http) const TAKEN: StatusCode = StatusCode::ACCEPTED;

/// The status that says where the answer is.
pub(in crate::http) const ELSEWHERE: StatusCode = StatusCode::SEE_OTHER;

/// The status that tells a client that it has the answer already.
pub(in crate::http) const UNCHANGED: StatusCode = StatusCode::NOT_MODIFIED;

/// The status that tells a probe "not now".
pub(in crate::http) const NOT_READY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

/// Whether a status says that something does not exist.
pub(in crate::http) fn is_missing(status: StatusCode) -> bool {
    status == StatusCode::NOT_FOUND
}

/// A status with which requests are refused.
pub(in crate::http) struct Refusal {
    status: StatusCode,
    meaning: &'static str,
    header: Option<(&'static str, &'static str)>,
    by: By,
}

/// Who refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The server, before or instead of the handler.
    Server,
    /// The server, while it reads a body.
    Body,
    /// The handler of a route that keeps what arrives.
    Keeper,
    /// The handler of a route that keeps something for its clients.
    Holder,
    /// The server or the handler.
    Both,
    /// The handler.
    Handler,
}

/// Every status with which a request that finds its route may be refused.
const REFUSALS: [Refusal; 11] = [
    Refusal {
        status: StatusCode::BAD_REQUEST,
        meaning: "The request cannot be answered as it is; the detail says what would be right.",
        header: None,
        by: By::Both,
    },
    Refusal {
        status: StatusCode::FORBIDDEN,
        meaning: "The `Host` header does not name this server, or the answer quotes conversations and is not for this user.",
        header: None,
        by: By::Server,
    },
    Refusal { status: StatusCode::NOT_FOUND, meaning: "There is nothing of this name.", header: None, by: By::Handler },
    Refusal {
        status: StatusCode::REQUEST_TIMEOUT,
        meaning: "The body took too long to arrive.",
        header: None,
        by: By::Body,
    },
    Refusal {
        status: StatusCode::GONE,
        meaning: "What the request goes on with is not kept any more.",
        header: None,
        by: By::Holder,
    },
    Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        meaning: "The body has too many bytes.",
        header: None,
        by: By::Body,
    },
    Refusal {
        status: StatusCode::URI_TOO_LONG,
        meaning: "The path and the query have too many bytes.",
        header: None,
        by: By::Server,
    },
    Refusal {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        meaning: "The body is of another content type than the route takes, or compressed (`Content-Encoding`).",
        header: None,
        by: By::Body,
    },
    Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        meaning: "The state cannot be read, or this program has a defect; the log says more.",
        header: None,
        by: By::Both,
    },
    Refusal {
        status: StatusCode::SERVICE_UNAVAILABLE,
        meaning: "There is no answer now; trying again later may help.",
        header: Some(("Retry-After", "After how many seconds to try again.")),
        by: By::Both,
    },
    Refusal {
        status: StatusCode::INSUFFICIENT_STORAGE,
        meaning: "The disk is full: nothing more can be kept until there is room.",
        header: Some(("Retry-After", "After how many seconds to try again.")),
        by: By::Keeper,
    },
];

/// The statuses with which requests are refused that find their route.
pub(in crate::http) fn refusals(has_body: bool, holds: Holds) -> impl Iterator<Item = &'static Refusal> {
    let may = move |by| match by {
        By::Body => has_body,
        By::Holder => holds.keeps,
        By::Keeper => holds.takes_in,
        _ => true,
    };
    REFUSALS.iter().filter(move |refusal| may(refusal.by))
}

/// What a route has of its clients.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::http) struct Holds {
    /// Whether it keeps something for its clients, which may be gone when they come back.
    pub(in crate::http) keeps: bool,
    /// Whether it keeps what they send.
    pub(in crate::http) takes_in: bool,
}

impl Refusal {
    pub(in crate::http) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// What it means, in one sentence.
    pub(in crate::http) const fn meaning(&self) -> &'static str {
        self.meaning
    }

    /// The name of a header that it carries, and what that means.
    pub(in crate::http) const fn header(&self) -> Option<(&'static str, &'static str)> {
        self.header
    }

    /// Whether handlers refuse so, and not only the server.
    pub(in crate::http) fn is_by_handlers(&self) -> bool {
        matches!(self.by, By::Both | By::Handler | By::Holder | By::Keeper)
    }

    pub(in crate::http) fn is_missing(&self) -> bool {
        is_missing(self.status)
    }

    pub(in crate::http) fn is_unavailable(&self) -> bool {
        self.status == NOT_READY
    }
}

/// A problem as JSON, in the form of RFC 9457.
#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct ProblemBody<'a> {
    /// Always `about:blank`: the status says what kind of problem it is.
    r#type: &'static str,
    /// The kind of problem in a word or two.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// What is wrong with this request, and what would be right.
    detail: &'a str,
}

/// The reason why a request is not answered, sent as `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{title}: {detail}")]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    // Boxed, because it is rare and would double the size of every `Result` that holds a problem.
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), header: None }
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// The request cannot be answered as it is; `detail` says what is wrong.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Bad request", detail)
    }

    /// The parameter `name` has a value that it does not take; `takes` completes "`name` takes …".
    #[must_use]
    pub fn bad_parameter(name: &str, takes: &str, value: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Bad parameter", format!("`{name}` takes {takes}, not `{value}`"))
    }

    /// The same, and what may have been meant.
    #[must_use]
    pub(in crate::http) fn meant(mut self, nearest: Option<&str>) -> Self {
        self.detail.extend(nearest.map(|nearest| format!("; the nearest is `{nearest}`")));
        self
    }

    /// There is no `what`, for example "session 0b1c…".
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", format!("there is no {what}"))
    }

    /// The server cannot answer now; trying again later may help.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", detail)
            .with_header(RETRY_AFTER, HeaderValue::from_static("10"))
    }

    /// A defect of this program; trying again will not help.
    #[must_use]
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", detail)
    }

    pub(in crate::http) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", detail)
    }

    pub(in crate::http) fn address_too_long(bytes_max: usize) -> Self {
        Self::new(
            StatusCode::URI_TOO_LONG,
            "Address too long",
            format!("the path and query may have {bytes_max} bytes at most"),
        )
    }

    pub(in crate::http) fn body_too_large(bytes_max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Body too large",
            format!("the body of a request may have {bytes_max} bytes at most"),
        )
        .closing()
    }

    /// The disk is full; `detail` says which.
    pub(in crate::http) fn full(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "Disk full", detail)
            .with_header(RETRY_AFTER, HeaderValue::from_static("10"))
    }

    /// A part of the body has too many bytes, as `detail` says.
    pub(in crate::http) fn part_too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Body too large", detail).closing()
    }

    /// The body must be of the content type `takes`.
    pub(in crate::http) fn unsupported_type(takes: &str) -> Self {
        let detail = format!("the body must be `{takes}`, and the header `Content-Type` must say so");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", detail).closing()
    }

    /// The body must not be compressed.
    pub(in crate::http) fn unsupported_encoding() -> Self {
        let detail = "the body must not be compressed: the header `Content-Encoding` may say `identity` only";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", detail).closing()
    }

    /// What the request goes on with is not kept any more.
    pub(in crate::http) fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Gone", detail)
    }

    pub(in crate::http) fn body_too_slow(seconds: f64) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "Request too slow",
            format!("the body of a request must arrive within {seconds} s"),
        )
        .closing()
    }

    pub(in crate::http) fn method_not_allowed(method: &Method, path: &str, allow: &str) -> Self {
        let problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Method not allowed",
            format!("{path} takes {allow}, not {method}"),
        );
        match HeaderValue::from_str(allow) {
            Ok(value) => problem.with_header(ALLOW, value),
            Err(_) => problem,
        }
    }

    // The connection is closed, because the rest of the body would be read as the next request.
    fn closing(self) -> Self {
        self.with_header(CONNECTION, HeaderValue::from_static("close"))
    }

    pub(in crate::http) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(in crate::http) fn is_not_found(&self) -> bool {
        is_missing(self.status)
    }

    pub(in crate::http) const fn title(&self) -> &'static str {
        self.title
    }

    pub(in crate::http) fn detail(&self) -> &str {
        &self.detail
    }

    /// A further header of the answer, for example `Retry-After`.
    pub(in crate::http) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        self.header.as_deref().cloned()
    }

    /// The problem as JSON in the form of RFC 9457.
    pub(in crate::http) fn to_json(&self) -> Vec<u8> {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        serde_json::to_vec(&body).unwrap_or_else(|_| b"{}".to_vec())
    }
}
