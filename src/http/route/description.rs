//! What a route does, takes and answers: all that a description of the API needs besides the pattern and the methods.

use schemars::{JsonSchema, SchemaGenerator};

use crate::http::route::parameter::Described;
use crate::http::route::problem::ProblemBody;

pub(in crate::http) const JSON: &str = "application/json";
pub(in crate::http) const TEXT: &str = "text/plain; charset=utf-8";
pub(in crate::http) const HTML: &str = "text/html; charset=utf-8";
pub(in crate::http) const PROBLEM_JSON: &str = "application/problem+json";

/// What a route does, takes and answers.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// What the route does, in one sentence.
    pub summary: &'static str,
    /// The parameters of the path, then those of the query in the order in which a refusal lists them.
    pub parameters: &'static [&'static dyn Described],
    /// The forms of a successful answer; the client's `Accept` header chooses if there are several.
    pub answers: &'static [AnswerForm],
    /// The form in which the handler refuses. A request that is refused before is always answered with a [`PROBLEM`].
    pub refusal: AnswerForm,
}

/// A form of an answer.
#[derive(Debug, Clone, Copy)]
pub struct AnswerForm {
    pub content_type: &'static str,
    /// The schema of the value, if it is JSON.
    pub schema: Option<AnswerSchema>,
    /// What the answer holds, in one sentence.
    pub meaning: &'static str,
}

/// The body that a route takes.
#[derive(Debug, Clone, Copy)]
pub struct BodyForm {
    pub form: AnswerForm,
    /// Most bytes of it; never more than the server takes.
    pub bytes_max: usize,
}

/// The schema of an answer, which is made of the type that is written.
#[derive(Debug, Clone, Copy)]
pub struct AnswerSchema {
    /// The name under which the description of the API lists it.
    pub name: &'static str,
    /// Makes it.
    pub(in crate::http) make: fn(&mut SchemaGenerator) -> schemars::Schema,
}

/// The form of a refusal, unless a route belongs to another project's API.
pub const PROBLEM: AnswerForm = AnswerForm {
    content_type: PROBLEM_JSON,
    ..AnswerForm::json::<ProblemBody<'static>>(
        "Problem",
        "What is wrong, in the form of RFC 9457: `type`, `title`, `status` and `detail`.",
    )
};

impl AnswerForm {
    /// A `T` as JSON, which the description of the API lists by this name.
    pub const fn json<T: JsonSchema>(name: &'static str, meaning: &'static str) -> Self {
        Self { content_type: JSON, schema: Some(AnswerSchema { name, make: T::json_schema }), meaning }
    }

    /// Plain text in UTF-8.
    pub const fn text(meaning: &'static str) -> Self {
        Self::of(TEXT, meaning)
    }

    /// Any other content type.
    pub const fn of(content_type: &'static str, meaning: &'static str) -> Self {
        Self { content_type, schema: None, meaning }
    }
}

impl Description {
    /// Whether this is the content type of one of its answers or refusals, whatever parameters the type has.
    pub(in crate::http) fn tells(&self, content_type: &str) -> bool {
        fn essence(content_type: &str) -> &str {
            content_type.split(';').next().unwrap_or_default().trim()
        }
        let mut forms = self.answers.iter().chain([&self.refusal, &PROBLEM]);
        forms.any(|form| essence(form.content_type) == essence(content_type))
    }
}
