//! Kinds of parameters that only Jaeger's API has.

use serde_json::{Map, Value};

use crate::http::route::parameter::{ParameterKind, Schema, TIME, read_time};
use crate::views::traces::jaeger::parse_go_duration;

/// A duration in nanoseconds, as Go writes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct GoDuration;

impl ParameterKind for GoDuration {
    type Value<'a> = u64;

    fn read(&self, text: &str) -> Option<u64> {
        parse_go_duration(text)
    }

    fn takes(&self) -> String {
        "a duration such as 100ms, 1.5s or 1m30s".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::Duration
    }
}

/// A time in microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Microseconds;

impl ParameterKind for Microseconds {
    type Value<'a> = i64;

    fn read(&self, text: &str) -> Option<i64> {
        text.parse().ok()
    }

    fn takes(&self) -> String {
        "microseconds since 1970-01-01 UTC".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::Whole { min: None, max: None }
    }
}

/// A time in RFC 3339, which is read as microseconds since 1970-01-01 UTC. Digits below a millisecond are cut off,
/// because the times of spans have none.
#[derive(Debug, Clone, Copy)]
pub(super) struct JaegerTime;

impl ParameterKind for JaegerTime {
    type Value<'a> = i64;

    fn read(&self, text: &str) -> Option<i64> {
        read_time(text).map(|time| time.0.saturating_mul(1000))
    }

    fn takes(&self) -> String {
        TIME.to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::Time
    }
}

/// A name and a value with a colon between them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag;

impl ParameterKind for Tag {
    type Value<'a> = (String, String);

    fn read(&self, text: &str) -> Option<(String, String)> {
        text.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    fn takes(&self) -> String {
        "a name and a value with a colon between".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::NameAndValue
    }
}

/// Names and values as a JSON object. A value that is no text is read as the JSON text that it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonTags;

impl ParameterKind for JsonTags {
    type Value<'a> = Vec<(String, String)>;

    fn read(&self, text: &str) -> Option<Vec<(String, String)>> {
        let object: Map<String, Value> = serde_json::from_str(text).ok()?;
        let tags = object.into_iter().map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        });
        Some(tags.collect())
    }

    fn takes(&self) -> String {
        "a JSON object of names and texts".to_owned()
    }

    fn schema(&self) -> Schema {
        Schema::JsonObject
    }
}
