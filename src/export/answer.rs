//! What an answer, or the lack of one, means for the spans of a request.
//!
//! ```text
//! 2xx of an OTLP receiver                   the spans are taken (see `taken`); partial success tells how many were not
//! 2xx or 400 of something else              a login page, a proxy, a wrong port: the spans are kept, with a warning
//! 408 425 429 5xx                           the same request is sent again later
//! 3xx 401-405 407 410 415 421 426 431 451   the endpoint or a proxy refuses every request: the spans are kept, with a
//!                                           warning
//! 400 413 422 and the rest of 4xx           the receiver refuses these spans
//! no connection                             the same request is sent again later
//! no answer                                 the same request is sent again later, though it may have arrived already
//! ```
//!
//! The OTLP specification lets a client drop spans on 401 and 404 too. Such an answer ends when somebody mends the
//! configuration, so the spans wait for that.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use prost::Message;

use super::outcome::{RequestOutcome, shortened};
use super::taken::taken;
use super::tls;

impl RequestOutcome {
    /// What an HTTP answer means. `now` is the moment of the answer, from which a `Retry-After` date is counted.
    pub(super) fn of_answer(status: StatusCode, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Self {
        let code = status.as_u16();
        if status.is_success() {
            return taken(status, content_type(headers), body);
        }
        if code == 400
            && let Some(message) = not_a_receiver(headers, body)
        {
            return Self::Foreign { status: code, message };
        }
        let message = message_of(headers, body);
        match code {
            408 | 425 | 429 | 500.. => {
                let after = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
                Self::Retry { status: Some(code), after, message }
            }
            ..=399 | 401..=405 | 407 | 410 | 415 | 421 | 426 | 431 | 451 => {
                Self::Unauthorized { status: code, message }
            }
            _ => Self::Rejected { status: Some(code), message },
        }
    }

    /// What the error of a request without an answer means.
    pub(super) fn of_error(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Self {
        let message = match tls::advice(error).or_else(|| not_http(error)) {
            Some(advice) => advice.to_owned(),
            None => with_sources(error),
        };
        let no_connection =
            error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect());
        if no_connection || tls::is_refused_handshake(error) {
            return Self::Retry { status: None, after: None, message };
        }
        Self::Ambiguous { timed_out: error.is::<tokio::time::error::Elapsed>(), message }
    }
}

/// Why a 400 does not come from an OTLP receiver; `None` if it may come from one.
fn not_a_receiver(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    // Servers in Go and nginx answer so on a TLS port: "Client sent an HTTP request to an HTTPS server."
    let text = String::from_utf8_lossy(body);
    if text.contains("HTTP request") && text.contains("HTTPS") {
        return Some("it expects TLS there: write https:// in the endpoint's URL".to_owned());
    }
    let is_page = !body.is_empty() && content_type(headers).contains("html");
    is_page.then(|| "with a page of HTML: that is no OTLP receiver; a proxy, or another port?".to_owned())
}

/// `google.rpc.Status`, the body of an OTLP error; its details are not needed.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

fn message_of(headers: &HeaderMap, body: &[u8]) -> String {
    let kind = content_type(headers);
    if kind.contains("protobuf") {
        return RpcStatus::decode(body).map(|status| shortened(&status.message)).unwrap_or_default();
    }
    // The first 200 characters of an HTML page are markup, not a reason.
    if kind.contains("html") { String::new() } else { shortened(&String::from_utf8_lossy(body)) }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Seconds or an HTTP date; `None` if it is neither or lies in the past.
fn retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    date.signed_duration_since(now).to_std().ok()
}

fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    shortened(&text)
}

/// What the user can do about an answer that is no HTTP; `None` if the error is about something else.
fn not_http(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return Some(
                "what answers there does not speak HTTP/1.1: a gRPC port (4317), or one with TLS? Set the endpoint to \
                 the port of OTLP over HTTP, by default 4318, or to https://",
            );
        }
        next = error.source();
    }
    None
}
