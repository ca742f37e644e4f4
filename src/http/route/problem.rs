//! What goes wrong: for the client a [`Problem`], for the operator a [`ServeError`].
//!
//! The only file of the project with HTTP status codes.

use std::io;
use std::net::SocketAddr;

use http::header::{ALLOW, CONNECTION, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use serde::Serialize;

use crate::http::route::answer::Answer;

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {hint}")]
    Bind { address: SocketAddr, hint: &'static str, source: io::Error },
    #[error("cannot hand the listener on {address} to the runtime")]
    Start { address: SocketAddr, source: io::Error },
    #[error("`web.content_users` names users, and the list of users (/etc/passwd) cannot be read")]
    Users { source: io::Error },
    #[error(
        "`web.content_users` names `{name}`, and there is no such user in /etc/passwd; a user that the system knows from \
         elsewhere is named by its number (`id -u {name}`)"
    )]
    UnknownUser { name: String },
}

impl ServeError {
    pub(in crate::http) fn bind(address: SocketAddr, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "the port is in use; stop the other process or choose another port with --listen"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine does not have the address; choose one that it has with --listen"
            }
            io::ErrorKind::PermissionDenied => "the port needs privileges; choose one above 1023 with --listen",
            _ => "choose another address with --listen",
        };
        Self::Bind { address, hint, source }
    }

    /// True if the configuration must be mended.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        matches!(self, Self::UnknownUser { .. })
    }
}

/// An answer that is not what was asked for, sent as `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{title}: {detail}")]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    // Boxed: rare, and it would double the size of every `Result` on the way.
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

    /// The request is not one that can be answered; `detail` says what would be.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Bad request", detail)
    }

    /// The parameter `name` has a value that it does not take; `takes` completes "`name` takes …".
    #[must_use]
    pub fn bad_parameter(name: &str, takes: &str, value: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Bad parameter", format!("`{name}` takes {takes}, not `{value}`"))
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

    /// A defect of ours; trying again will not help.
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

    // What is left of the body would be read as the next request.
    fn closing(self) -> Self {
        self.with_header(CONNECTION, HeaderValue::from_static("close"))
    }

    pub(in crate::http) fn code(&self) -> u16 {
        self.status.as_u16()
    }

    pub(in crate::http) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    pub(in crate::http) fn detail(&self) -> &str {
        &self.detail
    }

    /// The same refusal in the words of another project's API: the status stays, `body` is JSON of its own shape.
    pub(in crate::http) fn told_as(self, body: &impl Serialize) -> Answer {
        match Answer::json(body) {
            Ok(answer) => answer.with_status(self.status),
            Err(_) => self.into_answer(),
        }
    }

    pub(in crate::http) fn into_answer(self) -> Answer {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: &'static str,
            title: &'a str,
            status: u16,
            detail: &'a str,
        }
        let body =
            Body { r#type: "about:blank", title: self.title, status: self.status.as_u16(), detail: &self.detail };
        let bytes = serde_json::to_vec(&body).unwrap_or_else(|_| b"{}".to_vec());
        let answer = Answer::new(self.status, HeaderValue::from_static("application/problem+json"), bytes);
        match self.header.map(|header| *header) {
            Some((name, value)) => answer.with_header(name, value),
            None => answer,
        }
    }
}

/// The status of an answer that is what was asked for.
pub(in crate::http) const FINE: StatusCode = StatusCode::OK;

/// Plain text for a probe that reads only the status: not yet.
pub(in crate::http) fn not_ready(text: impl Into<String>) -> Answer {
    Answer::text(text).with_status(StatusCode::SERVICE_UNAVAILABLE)
}
