//! Reads both forms of a span, and the span that is exported, into what they must agree on.

use std::collections::BTreeMap;

use serde_json::Value;
use tailspan::views::traces::ids::{SpanId, TraceId};
use tailspan::views::traces::span::{Attribute, Span, SpanKind, SpanStatus, Value as Own};

use super::jaeger::{At, Known, spans, text};

/// Tags that are no attributes.
const EXTRA: [&str; 6] =
    ["otel.scope.name", "otel.scope.version", "span.kind", "error", "otel.status_code", "otel.status_description"];

/// Spans of v1's form.
pub(crate) fn of_v1(traces: &[Value]) -> BTreeMap<At, Known> {
    let all = traces.iter().flat_map(spans);
    let known: BTreeMap<At, Known> = all.clone().map(span_v1).collect();
    assert_eq!(known.len(), all.count(), "an id stands twice");
    known
}

fn span_v1(span: &Value) -> (At, Known) {
    let (tags, references) = (tags(&span["tags"]), span["references"].as_array().unwrap());
    let is_parent = |reference: &&Value| reference["refType"] == "CHILD_OF";
    assert!(references.iter().skip(1).all(|reference| reference["refType"] == "FOLLOWS_FROM"), "{span}");
    let start = i128::from(span["startTime"].as_i64().unwrap()) * 1000;
    let log = |log: &Value| {
        let mut fields = tags_without(&log["fields"], &[]);
        let name = fields.remove("event").unwrap();
        (i128::from(log["timestamp"].as_i64().unwrap()) * 1000, name, fields)
    };
    let error = tags.get("error").map(|error| {
        assert_eq!((&**error, &*tags["otel.status_code"]), ("true", "ERROR"));
        tags["otel.status_description"].clone()
    });
    let known = Known {
        name: text(&span["operationName"]).to_owned(),
        kind: tags["span.kind"].clone(),
        parent: references.iter().find(is_parent).map(|parent| text(&parent["spanID"]).to_owned()),
        start,
        end: start + i128::from(span["duration"].as_i64().unwrap()) * 1000,
        error,
        attributes: tags_without(&span["tags"], &EXTRA),
        events: span["logs"].as_array().unwrap().iter().map(log).collect(),
        links: references
            .iter()
            .filter(|reference| !is_parent(reference))
            .map(|link| (text(&link["traceID"]).to_owned(), text(&link["spanID"]).to_owned()))
            .collect(),
    };
    ((text(&span["traceID"]).to_owned(), text(&span["spanID"]).to_owned()), known)
}

fn tags(list: &Value) -> BTreeMap<String, String> {
    let one = |tag: &Value| {
        let value = &tag["value"];
        let fits = match text(&tag["type"]) {
            "string" => value.is_string(),
            "bool" => value.is_boolean(),
            "int64" => value.is_i64(),
            "float64" => value.is_f64(),
            other => panic!("no type of a tag: {other}"),
        };
        assert!(fits, "{tag}");
        (text(&tag["key"]).to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    list.as_array().unwrap().iter().map(one).collect()
}

fn tags_without(list: &Value, without: &[&str]) -> BTreeMap<String, String> {
    tags(list).into_iter().filter(|(key, _)| !without.contains(&&**key)).collect()
}

/// Spans of v3's form.
pub(crate) fn of_v3(answer: &Value) -> BTreeMap<At, Known> {
    let resources = answer["result"]["resourceSpans"].as_array().unwrap();
    let scopes = resources.iter().flat_map(|resource| resource["scopeSpans"].as_array().unwrap());
    scopes.flat_map(|scope| scope["spans"].as_array().unwrap()).map(span_v3).collect()
}

fn span_v3(span: &Value) -> (At, Known) {
    let nanoseconds = |value: &Value| text(value).parse::<i128>().unwrap();
    let list = |name: &str| span.get(name).map_or(&[][..], |list| list.as_array().unwrap());
    let known = Known {
        name: text(&span["name"]).to_owned(),
        kind: match span["kind"].as_u64().unwrap() {
            1 => "internal",
            3 => "client",
            other => panic!("kind {other}"),
        }
        .to_owned(),
        parent: span.get("parentSpanId").map(|parent| text(parent).to_owned()),
        start: nanoseconds(&span["startTimeUnixNano"]),
        end: nanoseconds(&span["endTimeUnixNano"]),
        error: span["status"].get("code").map(|code| {
            assert_eq!(code, 2);
            text(&span["status"]["message"]).to_owned()
        }),
        attributes: attributes_v3(&span["attributes"]),
        events: list("events")
            .iter()
            .map(|event| {
                (
                    nanoseconds(&event["timeUnixNano"]),
                    text(&event["name"]).to_owned(),
                    attributes_v3(&event["attributes"]),
                )
            })
            .collect(),
        links: list("links")
            .iter()
            .map(|link| (text(&link["traceId"]).to_owned(), text(&link["spanId"]).to_owned()))
            .collect(),
    };
    ((text(&span["traceId"]).to_owned(), text(&span["spanId"]).to_owned()), known)
}

fn attributes_v3(list: &Value) -> BTreeMap<String, String> {
    let one = |attribute: &Value| {
        let (kind, value) = attribute["value"].as_object().unwrap().iter().next().unwrap();
        let value = match kind.as_str() {
            "stringValue" | "intValue" => text(value).to_owned(),
            "boolValue" | "doubleValue" => value.to_string(),
            "arrayValue" => {
                let texts = value["values"].as_array().unwrap().iter().map(|one| one["stringValue"].clone());
                Value::from(texts.collect::<Vec<_>>()).to_string()
            }
            other => panic!("no kind of a value: {other}"),
        };
        (text(&attribute["key"]).to_owned(), value)
    };
    list.as_array().unwrap().iter().map(one).collect()
}

/// Spans as they are exported.
pub(crate) fn of_export(spans: &[Span]) -> BTreeMap<At, Known> {
    let id = |trace: TraceId, span: SpanId| (trace.to_string(), span.to_string());
    let nanoseconds = |milliseconds: i64| i128::from(milliseconds) * 1_000_000;
    let one = |span: &Span| {
        let known = Known {
            name: span.name.clone(),
            kind: if span.kind == SpanKind::Client { "client" } else { "internal" }.to_owned(),
            parent: span.parent.map(|parent| parent.to_string()),
            start: nanoseconds(span.start.0),
            end: nanoseconds(span.end.0),
            error: match &span.status {
                SpanStatus::Unset => None,
                SpanStatus::Error(text) => Some(text.clone()),
            },
            attributes: attributes(&span.attributes),
            events: span
                .events
                .iter()
                .map(|event| (nanoseconds(event.time.0), event.name.to_string(), attributes(&event.attributes)))
                .collect(),
            links: span.links.iter().map(|link| id(link.trace, link.span)).collect(),
        };
        (id(span.trace, span.id), known)
    };
    spans.iter().map(one).collect()
}

fn attributes(list: &[Attribute]) -> BTreeMap<String, String> {
    let one = |attribute: &Attribute| {
        let value = match &attribute.value {
            Own::Text(text) => text.clone(),
            Own::Int(number) => number.to_string(),
            Own::Float(number) => Value::from(*number).to_string(),
            Own::Bool(flag) => flag.to_string(),
            Own::Texts(texts) => Value::from(texts.as_slice()).to_string(),
        };
        (attribute.key.to_string(), value)
    };
    list.iter().map(one).collect()
}
