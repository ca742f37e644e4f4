//! One route of the description: its parameters, its answers, and how it and the server refuse.

use http::Method;
use serde_json::{Map, Value, json};

use super::parameters::parameter;
use super::schemas::Schemas;
use super::told::Told;
use crate::http::route::description::{AnswerForm, PROBLEM};
use crate::http::route::problem::{MADE, Refusal, UNCHANGED, refusals};

/// The operation object of OpenAPI.
pub(super) fn operation(told: &Told, method: &Method, schemas: &mut Schemas) -> Value {
    let mut parameters: Vec<Value> = told.description.parameters.iter().map(|one| parameter(*one)).collect();
    parameters.extend(told.headers.iter().map(|(name, meaning)| {
        json!({"name": name, "in": "header", "required": false, "schema": {"type": "string"}, "description": meaning})
    }));
    if told.tagged {
        parameters.push(json!({
            "name": "If-None-Match", "in": "header", "required": false, "schema": {"type": "string"},
            "description": "The `ETag` of an answer that the client has: it is answered without a body if nothing has changed.",
        }));
    }
    let mut responses = answers(told, schemas);
    for refusal in
        refusals(*method != Method::GET, told.holds()).filter(|refusal| told.missing || !refusal.is_missing())
    {
        responses.insert(refusal.status().to_string(), refused(told, refusal, schemas));
    }
    let mut operation = json!({
        "operationId": told.operation_id(method),
        "summary": told.description.summary,
        "tags": [told.group()],
        "parameters": parameters,
        "responses": responses,
    });
    if let (Some(body), Value::Object(operation)) = (told.body, &mut operation) {
        let content = content(std::iter::once(&body.form), schemas);
        let body = json!({"description": body.form.meaning, "required": true, "content": content});
        operation.insert("requestBody".to_owned(), body);
    }
    operation
}

/// The answers that are no refusals, by their statuses.
fn answers(told: &Told, schemas: &mut Schemas) -> Map<String, Value> {
    let mut responses = Map::new();
    let meanings: Vec<&str> = told.description.answers.iter().map(|form| form.meaning).collect();
    let mut fine = json!({
        "description": meanings.join(" Or: "),
        "content": content(told.description.answers.iter(), schemas),
    });
    if told.tagged {
        let tag = json!({"ETag": {
            "description": "Stands for the state that the answer was made of.",
            "schema": {"type": "string"},
        }});
        if let Value::Object(fine) = &mut fine {
            fine.insert("headers".to_owned(), tag.clone());
        }
        let unchanged = "Nothing has changed since the answer whose `ETag` was sent as `If-None-Match`.";
        responses.insert(UNCHANGED.as_u16().to_string(), json!({"description": unchanged, "headers": tag}));
    }
    if let Some(meaning) = told.makes {
        let mut made = fine.clone();
        if let Value::Object(made) = &mut made {
            made.insert("description".to_owned(), meaning.into());
        }
        responses.insert(MADE.as_u16().to_string(), made);
    }
    if told.leads {
        let meaning =
            json!({"description": "The address of that page, relative to this one.", "schema": {"type": "string"}});
        if let Value::Object(fine) = &mut fine {
            fine.insert("headers".to_owned(), json!({"Location": meaning}));
        }
    }
    responses.insert(told.fine().as_u16().to_string(), fine);
    responses
}

fn content<'f>(forms: impl Iterator<Item = &'f AnswerForm>, schemas: &mut Schemas) -> Value {
    let bodies = forms.map(|form| (form.content_type.to_owned(), schemas.body(form)));
    Value::Object(bodies.collect())
}

/// A refusal: by the server in the form that all its routes have, by the handler perhaps in another.
fn refused(told: &Told, refusal: &Refusal, schemas: &mut Schemas) -> Value {
    let own = &told.description.refusal;
    let is_other = own.content_type != PROBLEM.content_type;
    // A refusal in words is that of a probe, which can only say "not now".
    let has_own = is_other && refusal.is_by_handlers() && (own.schema.is_some() || refusal.is_unavailable());
    let forms = [Some(own).filter(|_| has_own), Some(&PROBLEM)];
    let mut response = json!({
        "description": refusal.meaning(),
        "content": content(forms.into_iter().flatten(), schemas),
    });
    if let (Some((name, meaning)), Value::Object(response)) = (refusal.header(), &mut response) {
        let header = json!({"description": meaning, "schema": {"type": "string"}});
        response.insert("headers".to_owned(), json!({name: header}));
    }
    response
}
