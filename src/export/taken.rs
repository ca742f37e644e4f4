//! Tells whether an answer with a 2xx status comes from an OTLP receiver.
//!
//! A login page and a proxy's "OK" have a 2xx status too. Only these answers mean that the spans were taken:
//!
//! ```text
//! content type                   body
//! any or none                    empty
//! application/x-protobuf         an Export*ServiceResponse
//! any other type                 JSON: an object that is an Export*ServiceResponse, or null
//! none                           either of these two
//! ```
//!
//! Unknown fields of a JSON object are ignored, as the protocol demands (Langfuse answers `{"message": "OK"}`), except
//! for `error`: an object with one is not such an answer.

use http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde::Deserialize;
use serde_json::Value;

use super::outcome::{RequestOutcome, shortened};

/// The response to traces or to metrics in JSON. In protobuf the two responses have the same bytes.
#[derive(Deserialize)]
struct Response {
    #[serde(default, alias = "partial_success")]
    #[serde(rename = "partialSuccess")]
    partial: Option<Partial>,
    /// Some gateways put an error into an answer with a 2xx status.
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
struct Partial {
    #[serde(default, alias = "rejectedSpans", alias = "rejectedDataPoints", alias = "rejected_spans")]
    #[serde(alias = "rejected_data_points")]
    rejected: Option<Value>,
    #[serde(default, rename = "errorMessage", alias = "error_message")]
    message: Option<String>,
}

/// Reads the body of a 2xx. `content_type` is empty if the answer names none.
pub(super) fn taken(status: StatusCode, content_type: &str, body: &[u8]) -> RequestOutcome {
    if body.is_empty() {
        return RequestOutcome::Accepted;
    }
    let is_protobuf = content_type.contains("protobuf");
    let read = match content_type {
        _ if is_protobuf => of_protobuf(body),
        "" => of_protobuf(body).or_else(|| of_json(body)),
        _ => of_json(body),
    };
    read.unwrap_or_else(|| RequestOutcome::Foreign { status: status.as_u16(), message: foreign(content_type) })
}

fn of_protobuf(body: &[u8]) -> Option<RequestOutcome> {
    let response = ExportTraceServiceResponse::decode(body).ok()?;
    let partial = response.partial_success.map(|partial| (partial.rejected_spans, partial.error_message));
    Some(outcome(partial))
}

fn of_json(body: &[u8]) -> Option<RequestOutcome> {
    // Some web frameworks write `null` for an answer without a body.
    if body.trim_ascii() == b"null" {
        return Some(RequestOutcome::Accepted);
    }
    // serde reads a struct from a JSON array too, and no OTLP response is an array.
    if !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let response: Response = serde_json::from_slice(body).ok()?;
    if !matches!(response.error, Value::Null | Value::Bool(false)) {
        return None;
    }
    let partial = response.partial.map(|Partial { rejected, message }| {
        // The JSON form of protobuf writes 64-bit integers as text; some receivers write numbers all the same.
        let rejected = match rejected {
            Some(Value::String(text)) => text.parse().unwrap_or(0),
            Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
            _ => 0,
        };
        (rejected, message.unwrap_or_default())
    });
    Some(outcome(partial))
}

fn outcome(partial: Option<(i64, String)>) -> RequestOutcome {
    match partial {
        Some((rejected, message)) if rejected > 0 || !message.is_empty() => {
            RequestOutcome::Partial { rejected: u64::try_from(rejected).unwrap_or(0), message: shortened(&message) }
        }
        _ => RequestOutcome::Accepted,
    }
}

fn foreign(content_type: &str) -> String {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let what = if kind.is_empty() { "something that is neither protobuf nor JSON" } else { kind };
    format!("with {}: that is no OTLP receiver; a login page or a proxy?", shortened(what))
}
