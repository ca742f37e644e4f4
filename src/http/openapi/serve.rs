//! `/api/v1/openapi.json`: the description of the API.

use serde_json::{Map, Value};

use super::document::ApiDocument;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, JSON, PROBLEM};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;

/// Access to the description, whatever else the context of an [`App`](crate::http::App) holds.
pub trait HasDocument {
    /// The description of the routes.
    fn document(&self) -> &ApiDocument;
}

/// Description of [`openapi`].
pub static OPENAPI: Description = Description {
    summary: "Describes every route, parameter and answer, for programs.",
    parameters: &[],
    answers: &[AnswerForm::json::<Map<String, Value>>("OpenApi", "This description, in OpenAPI 3.1.")],
    refusal: PROBLEM,
};

/// Answers with the description, which is made once. Never fails.
pub fn openapi<C: HasDocument>(context: &C, _: &Request) -> Result<Answer, Problem> {
    Answer::bytes(JSON, context.document().text().to_vec())
}
