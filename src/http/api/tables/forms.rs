//! The schema of a table as JSON, made of its columns.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::views::tables::SCHEMA_VERSION;
use crate::views::tables::column::{About, Kind};
use crate::views::tables::table::Table;

/// Any table as JSON.
pub(super) struct TableForm;

impl JsonSchema for TableForm {
    fn schema_name() -> Cow<'static, str> {
        "Table".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let tables: Vec<Value> = Table::ALL.iter().map(|table| schema_of(*table)).collect();
        json_schema!({"oneOf": tables})
    }
}

fn schema_of(table: Table) -> Value {
    let columns = table.columns();
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let fields: Map<String, Value> = columns.iter().map(|column| (column.name.to_owned(), field(column))).collect();
    json!({
        "type": "object",
        "title": table.name(),
        "properties": {
            "table": {"const": table.name()},
            "schema_version": {"const": SCHEMA_VERSION, "description": "Version of the names, types and meanings of all columns."},
            "currency": {"const": "USD", "description": "Currency of every column whose name ends in `_usd`."},
            "rows": {
                "type": "array",
                "description": table.meaning(),
                "items": {"type": "object", "properties": fields, "required": names},
            },
        },
        "required": ["table", "schema_version", "currency", "rows"],
    })
}

fn field(column: &About) -> Value {
    let one = match column.kind {
        Kind::Text | Kind::Money | Kind::Time | Kind::Day => "string",
        Kind::Count | Kind::Tokens | Kind::Bytes | Kind::Whole => "integer",
        Kind::Seconds => "number",
        Kind::Truth => "boolean",
    };
    let kind = if column.optional { json!([one, "null"]) } else { json!(one) };
    let mut field = json!({"type": kind, "description": column.meaning});
    if let Value::Object(field) = &mut field {
        let format = match column.kind {
            Kind::Time => Some("date-time"),
            Kind::Day => Some("date"),
            _ => None,
        };
        field.extend(format.map(|format| ("format".to_owned(), format.into())));
        let least = matches!(column.kind, Kind::Count | Kind::Tokens | Kind::Bytes | Kind::Seconds);
        field.extend(least.then(|| ("minimum".to_owned(), 0.into())));
    }
    field
}
