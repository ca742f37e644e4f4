//! The JSON Schemas of answers, made of the types that are written.
//!
//! Names mean the same in every answer, so what a name promises is said here once, and not at each field:
//!
//! ```text
//! at, *_at, since, until    a time in RFC 3339
//! *_usd, *_usd_*            an exact decimal in US dollars, as text
//! currency                  always USD
//! ```

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::http::route::description::AnswerForm;

/// Where the schemas are in the document.
const PLACE: &str = "/components/schemas";

/// An exact decimal number as text.
const DECIMAL: &str = r"^-?[0-9]+(\.[0-9]+)?$";

/// Collects the schemas of answers.
pub(super) struct Schemas {
    generator: SchemaGenerator,
    named: BTreeMap<&'static str, Value>,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
            settings.definitions_path = PLACE.into();
            settings.meta_schema = None;
        });
        Self { generator: settings.into_generator(), named: BTreeMap::new() }
    }

    /// The body of an answer, as the `content` of OpenAPI has it below its content type.
    pub(super) fn body(&mut self, form: &AnswerForm) -> Value {
        // OpenAPI 3.1 does not say whether a schema of these is one of the whole text or one of each event: readers differ.
        if form.content_type == "text/event-stream" {
            return json!({});
        }
        let Some(schema) = form.schema else { return json!({"schema": {"type": "string"}}) };
        let mut value = (schema.make)(&mut self.generator).to_value();
        if let Value::Object(object) = &mut value {
            object.insert("description".to_owned(), form.meaning.into());
        }
        let known = self.named.entry(schema.name).or_insert_with(|| value.clone());
        debug_assert_eq!(*known, value, "two schemas are called {}", schema.name);
        json!({"schema": {"$ref": format!("#{PLACE}/{}", schema.name)}})
    }

    /// All schemas by their names: those of answers, and those that these refer to.
    pub(super) fn into_map(mut self) -> Map<String, Value> {
        let mut all = self.generator.take_definitions(false);
        for (name, schema) in self.named {
            let other = all.insert(name.to_owned(), schema);
            debug_assert!(other.is_none(), "an answer and a type within an answer are called {name}");
        }
        all.values_mut().for_each(promise);
        all
    }
}

/// Adds what the names of fields promise, to the fields of every object in a schema.
fn promise(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(promise),
        Value::Object(object) => {
            if let Some(Value::String(text)) = object.get_mut("description") {
                // Lines end where the source had no room.
                *text = text.replace('\n', " ");
            }
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                properties.iter_mut().for_each(|(name, field)| promise_of(name, field));
            }
            // Not every system knows this format, which is that of a number without a fixed size.
            if object.get("format").is_some_and(|format| format == "uint") {
                object.insert("format".to_owned(), "uint64".into());
            }
            object.values_mut().for_each(promise);
        }
        _ => {}
    }
}

fn promise_of(name: &str, field: &mut Value) {
    let Value::Object(field) = field else { return };
    let is_text = field.get("type").is_some_and(|is| *is == "string" || *is == json!(["string", "null"]));
    if !is_text {
        return;
    }
    if matches!(name, "at" | "since" | "until") || name.ends_with("_at") {
        field.insert("format".to_owned(), "date-time".into());
    } else if name.ends_with("_usd") || name.contains("_usd_") {
        field.insert("pattern".to_owned(), DECIMAL.into());
    } else if name == "currency" {
        field.insert("const".to_owned(), "USD".into());
    }
}
