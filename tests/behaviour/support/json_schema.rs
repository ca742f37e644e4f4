//! Holds values against the JSON Schemas of the description of the API. It knows the words that are used there and panics
//! at any other, so that nothing is passed over.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tailspan::transcript::time::Timestamp;

/// The pattern of exact decimals, the only one that answers have.
const DECIMAL: &str = r"^-?[0-9]+(\.[0-9]+)?$";

/// Words that say nothing of a value.
const SILENT: [&str; 3] = ["description", "title", "default"];

/// A description of an API.
pub(crate) struct Schemas(pub(crate) Value);

impl Schemas {
    /// What is wrong with a value. Fields that the schema does not name are wrong too.
    pub(crate) fn wrong(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        self.closed(schema, value, "", &mut wrong);
        wrong
    }

    /// Like [`Schemas::open`], but every field of an object must be named.
    fn closed(&self, schema: &Value, value: &Value, place: &str, wrong: &mut Vec<String>) {
        self.open(schema, value, place, wrong);
        if let (Some(object), Some(known)) = (value.as_object(), self.named(schema, value)) {
            wrong.extend(
                object.keys().filter(|key| !known.contains(*key)).map(|key| format!("{place}/{key} is unknown")),
            );
        }
    }

    /// The fields of an object that a schema names; `None` if it takes any.
    fn named(&self, schema: &Value, value: &Value) -> Option<BTreeSet<String>> {
        let schema = self.resolved(schema);
        let own = schema.get("properties").and_then(Value::as_object);
        let mut names: BTreeSet<String> = own.into_iter().flat_map(Map::keys).cloned().collect();
        let branches = ["oneOf", "anyOf"].iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
        let taken: Vec<&Value> = branches.filter(|branch| self.takes(branch, value)).collect();
        let takes_others = schema.get("additionalProperties").is_some_and(|rule| *rule != false);
        if takes_others || (own.is_none() && taken.is_empty()) {
            return None;
        }
        for branch in taken {
            names.extend(self.named(branch, value)?);
        }
        Some(names)
    }

    fn takes(&self, schema: &Value, value: &Value) -> bool {
        let mut wrong = Vec::new();
        self.open(schema, value, "", &mut wrong);
        wrong.is_empty()
    }

    fn open(&self, schema: &Value, value: &Value, place: &str, wrong: &mut Vec<String>) {
        let words = self.resolved(schema).as_object().unwrap_or_else(|| panic!("{place}: no schema: {schema}"));
        for (word, rule) in words.iter().filter(|(word, _)| !SILENT.contains(&word.as_str())) {
            let mut must = |fine: bool| {
                if !fine {
                    wrong.push(format!("{place}: {value} is not of {word} {rule}"));
                }
            };
            match word.as_str() {
                "type" => must(rule.as_array().unwrap_or(&vec![rule.clone()]).iter().any(|name| is(value, name))),
                "enum" => must(rule.as_array().unwrap().contains(value)),
                "const" => must(value.is_null() || rule == value),
                "minimum" => must(value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap())),
                "maximum" => must(value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap())),
                "minItems" => must(value.as_array().is_none_or(|list| list.len() as u64 >= rule.as_u64().unwrap())),
                "maxItems" => must(value.as_array().is_none_or(|list| list.len() as u64 <= rule.as_u64().unwrap())),
                "pattern" if rule == DECIMAL => must(value.as_str().is_none_or(is_decimal)),
                "format" => {
                    must(value.as_str().is_none_or(|text| rule != "date-time" || Timestamp::parse(text).is_some()))
                }
                "required" => {
                    let missing = |name: &Value| value.is_object() && value.get(name.as_str().unwrap()).is_none();
                    must(!rule.as_array().unwrap().iter().any(missing));
                }
                "anyOf" => must(rule.as_array().unwrap().iter().any(|branch| self.takes(branch, value))),
                "oneOf" => {
                    must(rule.as_array().unwrap().iter().filter(|branch| self.takes(branch, value)).count() == 1)
                }
                "properties" | "items" | "additionalProperties" => self.parts(words, word, value, place, wrong),
                _ => panic!("{place}: an unknown word {word}: {rule}"),
            }
        }
    }

    /// The fields of an object, or the items of a list.
    fn parts(&self, words: &Map<String, Value>, word: &str, value: &Value, place: &str, wrong: &mut Vec<String>) {
        let empty = Map::new();
        let properties = words.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let is_of = |key: &str| if word == "properties" { properties.get(key) } else { None };
        for (key, part) in value.as_object().unwrap_or(&empty) {
            let other = Some(&words[word]).filter(|rule| word == "additionalProperties" && !rule.is_boolean());
            if let Some(schema) = is_of(key).or(other.filter(|_| !properties.contains_key(key))) {
                self.closed(schema, part, &format!("{place}/{key}"), wrong);
            }
        }
        for (number, part) in value.as_array().into_iter().flatten().enumerate().filter(|_| word == "items") {
            self.closed(&words[word], part, &format!("{place}/{number}"), wrong);
        }
    }

    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(name) => self.0.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("there is no {name}")),
            None => schema,
        }
    }
}

fn is(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("an unknown type {other}"),
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    unsigned.split_once('.').map_or_else(|| digits(unsigned), |(whole, rest)| digits(whole) && digits(rest))
}

#[test]
fn what_does_not_fit_is_found() {
    let schemas =
        Schemas(json!({"named": {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}}));
    let alone = json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false});
    assert_eq!(schemas.wrong(&alone, &json!({"a": 1, "b": 1})).len(), 1);
    let schema = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}, "c": {"$ref": "#/named"}},
        "required": ["a"], "oneOf": [{"properties": {"kind": {"const": "x"}, "d": {"minimum": 1}}, "required": ["kind"]},
            {"properties": {"kind": {"const": "y"}}, "required": ["kind"]}]});
    for fine in [json!({"a": null, "kind": "x", "d": 2}), json!({"a": "", "kind": "y", "c": {"b": 1}})] {
        assert_eq!(schemas.wrong(&schema, &fine), Vec::<String>::new(), "{fine}");
    }
    for wrong in [
        json!({"kind": "x"}),
        json!({"a": 1, "kind": "x"}),
        json!({"a": "", "kind": "z"}),
        json!({"a": "", "kind": "y", "d": 2}),
        json!({"a": "", "kind": "x", "d": 0}),
        json!({"a": "", "kind": "x", "e": 0}),
        json!({"a": "", "kind": "y", "c": {"b": 1, "e": 1}}),
        json!({"a": "", "kind": "y", "c": {"b": 1.5}}),
    ] {
        assert_ne!(schemas.wrong(&schema, &wrong), Vec::<String>::new(), "{wrong}");
    }
}
