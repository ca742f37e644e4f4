//! The whole description, as OpenAPI 3.1.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::operation::operation;
use super::parameters;
use super::schemas::Schemas;
use super::told::{GROUPS, Told};
use crate::http::route::routes::Route;

/// The version of OpenAPI.
const OPENAPI: &str = "3.1.1";

const ABOUT: &str = "What happened in the sessions of Claude Code, as tailspan counts it. Times are RFC 3339 in UTC unless \
    a time zone is asked for; fields whose names end in `_seconds` are seconds; amounts of money are exact decimal texts in \
    US dollars at list prices; the kinds of tokens are disjoint. A parameter with an empty value counts as not given. The \
    analytics refuse parameters that they do not know; Jaeger's routes, pages and probes pass them over. Later versions may \
    add fields to answers.";

/// The description of the routes of a server, made when it is first asked for.
#[derive(Debug)]
pub struct ApiDocument {
    routes: Vec<Told>,
    text: OnceLock<Vec<u8>>,
}

impl ApiDocument {
    /// Of these routes.
    #[must_use]
    pub fn of<C>(routes: &[Route<C>]) -> Self {
        Self { routes: routes.iter().map(Told::of).collect(), text: OnceLock::new() }
    }

    /// The document as JSON.
    pub(super) fn text(&self) -> &[u8] {
        self.text.get_or_init(|| document(&self.routes).to_string().into_bytes())
    }
}

fn document(routes: &[Told]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for told in routes {
        let path = paths.entry(told.pattern).or_insert_with(|| json!({}));
        for method in told.methods {
            let name = method.as_str().to_ascii_lowercase();
            if let Value::Object(path) = path {
                path.insert(name, operation(told, method, &mut schemas));
            }
        }
    }
    let mut schemas = schemas.into_map();
    schemas.extend(parameters::shared().map(|(name, schema)| (name.to_owned(), schema)));
    let tags = GROUPS.map(|group| json!({"name": group.name, "description": group.meaning}));
    json!({
        "openapi": OPENAPI,
        "info": {
            "title": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "description": ABOUT,
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/", "description": "Where this description comes from."}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas},
    })
}
