//! What an answer with a status of success says.
//!
//! A login page and a proxy's "OK" are successes of HTTP too. Only these are deliveries:
//!
//! ```text
//! nothing                        taken
//! application/x-protobuf         an Export*ServiceResponse
//! any other type, or none        JSON: an object that is an Export*ServiceResponse, or null
//! no type                        either of the two
//! ```
//!
//! Fields that are unknown are passed over, as the protocol demands (Langfuse says `{"message": "OK"}`), but for `error`.

use http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde::Deserialize;
use serde_json::Value;

use super::outcome::{RequestOutcome, shortened};

/// The response of traces and that of metrics in JSON. Their protobuf forms have the same bytes.
#[derive(Deserialize)]
struct Response {
    #[serde(default, alias = "partial_success")]
    #[serde(rename = "partialSuccess")]
    partial: Option<Partial>,
    /// What gateways put into an answer with a status of success.
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
    // What frameworks make of an answer without a body.
    if body.trim_ascii() == b"null" {
        return Some(RequestOutcome::Accepted);
    }
    // A struct is read from an array as well, which no answer is.
    if !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let response: Response = serde_json::from_slice(body).ok()?;
    if !matches!(response.error, Value::Null | Value::Bool(false)) {
        return None;
    }
    let partial = response.partial.map(|Partial { rejected, message }| {
        // 64 bits are text in the JSON of protobuf; some write numbers all the same.
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
