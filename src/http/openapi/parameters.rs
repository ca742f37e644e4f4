//! The JSON Schemas of parameters, and how their values are written into an address.

use serde_json::{Map, Value, json};

use crate::http::route::parameter::{About, Described, ParameterPlace, Schema};
use crate::views::analytics::period::Zone;

/// The name of the schema of time zones, which is long and the same for all.
const TIME_ZONE: &str = "TimeZone";

/// A duration as Go writes it, of at most six numbers with their units.
const GO_DURATION: &str = r"^(0|([0-9]{1,5}(\.[0-9]{1,9})?(ns|us|ms|s|m|h)){1,6})$";

/// How the value of a parameter is written.
enum Written {
    /// As it is.
    Plain,
    /// As a list with commas.
    List,
    /// As JSON.
    Json,
}

/// The parameter object of OpenAPI.
pub(super) fn parameter(parameter: &dyn Described) -> Value {
    let about = parameter.about();
    let place = match about.place {
        ParameterPlace::Path => "path",
        ParameterPlace::Query => "query",
    };
    let is_text = parameter.schema() == Schema::Text;
    let (mut schema, written) = schema_of(&parameter.schema());
    if let (true, ParameterPlace::Path) = (is_text, about.place) {
        schema = json!({"type": "string", "minLength": 1});
    }
    if let (Some(default), Value::Object(schema)) = (about.default, &mut schema) {
        schema.insert("default".to_owned(), value_of(&parameter.schema(), default));
    }
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("name", about.name.into());
    put("in", place.into());
    put("required", about.required.into());
    put("description", meaning(about, &written).into());
    // Any text may be empty, and an empty list is none.
    if matches!((&written, about.place), (Written::Plain, ParameterPlace::Query)) && !about.several && !is_text {
        put("allowEmptyValue", (!about.required).into());
    }
    match written {
        Written::Json => {
            put("content", json!({"application/json": {"schema": schema}}));
        }
        Written::List => {
            put("schema", schema);
            put("style", "form".into());
            put("explode", false.into());
        }
        Written::Plain if about.several => {
            put("schema", json!({"type": "array", "items": schema}));
            put("style", "form".into());
            put("explode", true.into());
        }
        Written::Plain => {
            put("schema", schema);
        }
    }
    object.into()
}

/// What a parameter means, and what OpenAPI has no place for.
fn meaning(about: &About, written: &Written) -> String {
    let mut text = about.meaning.to_owned();
    if let [first, rest @ ..] = about.also {
        let more: String = rest.iter().map(|name| format!(" or `{name}`")).collect();
        text.push_str(&format!(" It may also be called `{first}`{more}."));
    }
    if about.several && matches!(written, Written::Json) {
        text.push_str(" It may be given several times: all of them count.");
    } else if about.several && matches!(written, Written::Plain) {
        text.push_str(" It may be given several times: any of them counts.");
    }
    text
}

/// The text of a parameter as the JSON value that it stands for.
fn value_of(schema: &Schema, text: &str) -> Value {
    match schema {
        Schema::Whole { .. } | Schema::Number | Schema::Dollars { .. } | Schema::Boolean => {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        Schema::ListOf { .. } => text.split(',').collect::<Vec<_>>().into(),
        _ => text.into(),
    }
}

fn schema_of(schema: &Schema) -> (Value, Written) {
    let plain = match schema {
        Schema::Text => json!({"type": "string"}),
        Schema::Whole { min, max } => {
            // What is whole and has no bound is read as 64 bits, with a sign if it may be negative.
            let (least, most) = match min {
                Some(min) => (Value::from(*min), Value::from(u64::MAX)),
                None => (Value::from(i64::MIN), Value::from(i64::MAX)),
            };
            json!({"type": "integer", "minimum": least, "maximum": max.map_or(most, Value::from)})
        }
        Schema::Number => json!({"type": "number"}),
        Schema::Dollars { max } => json!({"type": "number", "minimum": 0, "maximum": max}),
        Schema::Boolean => json!({"type": "boolean"}),
        Schema::OneOf(words) => json!({"type": "string", "enum": words}),
        Schema::Name(pattern) => json!({"type": "string", "pattern": pattern}),
        Schema::Date => json!({"type": "string", "format": "date"}),
        Schema::Time => json!({"type": "string", "format": "date-time"}),
        Schema::TimeOrDate => {
            json!({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]})
        }
        Schema::TimeZone => json!({"$ref": format!("#/components/schemas/{TIME_ZONE}")}),
        Schema::Duration => json!({"type": "string", "pattern": GO_DURATION}),
        Schema::NameAndValue => json!({"type": "string", "pattern": ":"}),
        Schema::ListOf { words, max } => {
            let items = json!({"type": "string", "enum": words});
            let list = json!({"type": "array", "items": items, "minItems": 1, "maxItems": max, "uniqueItems": true});
            return (list, Written::List);
        }
        // A value that is no text stands for the JSON text that it is.
        Schema::JsonObject => return (json!({"type": "object"}), Written::Json),
    };
    (plain, Written::Plain)
}

/// What the schemas of parameters refer to, by name.
pub(super) fn shared() -> [(&'static str, Value); 1] {
    let names: Vec<&str> = Zone::names().collect();
    let meaning = "The name of a time zone in the IANA database; the case of its letters makes no difference.";
    [(TIME_ZONE, json!({"type": "string", "description": meaning, "enum": names}))]
}
