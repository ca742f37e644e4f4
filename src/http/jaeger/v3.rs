//! Jaeger's v3 routes: the same traces as OTLP. Refusals have Jaeger's form.

use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::state::HasReader;
use crate::http::jaeger::parameters::{self, OPERATIONS_SERVICE, SEARCH_V3, SPAN_KIND_V3, TraceSearch};
use crate::http::jaeger::search::{bytes_of, find, one, operations};
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::traces::jaeger::{ResourceSpans, Trace, TraceSummary, resource_spans, summary};

/// The form of refusals in v3.
const REFUSAL: AnswerForm = AnswerForm::json::<Refusal<'static>>(
    "JaegerV3Refusal",
    "What is wrong, as Jaeger's v3 has it: `error` with a message.",
);

/// Description of [`services`].
pub static SERVICES: Description = Description {
    summary: "Lists the names of services, of which there is one.",
    parameters: &[],
    answers: &[AnswerForm::json::<Services<'static>>("JaegerV3Services", "The names of services.")],
    refusal: REFUSAL,
};

/// Description of [`operations_with_kinds`].
pub static OPERATIONS: Description = Description {
    summary: "Lists the names and span kinds of a service's operations.",
    parameters: &[&OPERATIONS_SERVICE, &SPAN_KIND_V3],
    answers: &[AnswerForm::json::<Operations>("JaegerV3Operations", "Names with span kinds.")],
    refusal: REFUSAL,
};

/// Description of [`traces`].
pub static TRACES: Description = Description {
    summary: "Finds traces, newest first.",
    parameters: SEARCH_V3,
    answers: &[AnswerForm::json::<Wrapper<'static>>("JaegerV3Traces", "Traces as OTLP: spans by resource and scope.")],
    refusal: REFUSAL,
};

/// Description of [`trace`].
pub static TRACE: Description = Description {
    summary: "Tells one trace, or one session as a trace.",
    parameters: &[&parameters::TRACE],
    answers: &[AnswerForm::json::<Wrapper<'static>>("JaegerV3Traces", "Traces as OTLP: spans by resource and scope.")],
    refusal: REFUSAL,
};

/// Description of [`summaries`].
pub static SUMMARIES: Description = Description {
    summary: "Finds traces, newest first, and tells each in one line.",
    parameters: SEARCH_V3,
    answers: &[AnswerForm::json::<Summaries<'static>>(
        "JaegerV3Summaries",
        "Ids, names, times and numbers of spans of traces.",
    )],
    refusal: REFUSAL,
};

#[derive(Serialize, JsonSchema)]
struct Services<'a> {
    services: [&'a str; 1],
}

#[derive(Serialize, JsonSchema)]
struct Operations {
    operations: Vec<OperationV3>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "JaegerV3Operation")]
struct OperationV3 {
    name: String,
    span_kind: &'static str,
}

/// Jaeger wraps the traces, because gRPC sends them in parts.
#[derive(Serialize, JsonSchema)]
struct Wrapper<'a> {
    result: TracesV3<'a>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OtlpTraces")]
struct TracesV3<'a> {
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Summaries<'a> {
    summaries: Vec<TraceSummary<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Refusal<'a> {
    error: Details<'a>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "JaegerV3Error")]
struct Details<'a> {
    http_code: u16,
    message: &'a str,
}

/// Answers with the names of services, of which there is one.
pub fn services<C: HasReader>(context: &C, _: &Request) -> Result<Answer, Problem> {
    told(Answer::json(&Services { services: [&context.span_rules().service] }))
}

/// Answers with the names and span kinds of a service's operations.
pub fn operations_with_kinds<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let kind = request.given(&SPAN_KIND_V3)?;
    told(operations(context, request.given(&OPERATIONS_SERVICE)?).and_then(|operations| {
        let wanted = operations.into_iter().filter(|(_, of)| kind.is_none_or(|kind| kind == *of));
        Answer::json(&Operations {
            operations: wanted.map(|(name, span_kind)| OperationV3 { name, span_kind }).collect(),
        })
    }))
}

/// Answers with the traces of a search, newest first; with "not found" if there are none.
pub fn traces<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    told(TraceSearch::v3(request).and_then(|search| {
        let found = find(context, &search)?;
        if found.traces.is_empty() {
            return Err(Problem::not_found("trace that meets the query"));
        }
        shown(context, &found.traces)
    }))
}

/// Answers with one trace, or with one session as a trace.
pub fn trace<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    told(one(context, request.value(&parameters::TRACE)?).and_then(|trace| shown(context, &[trace])))
}

/// Answers with a summary of each trace of a search, newest first.
pub fn summaries<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    told(TraceSearch::v3(request).and_then(|search| {
        let found = find(context, &search)?;
        let summaries = found.traces.iter().map(|trace| summary(trace, &context.span_rules().service)).collect();
        Answer::json(&Summaries { summaries })
    }))
}

fn shown<C: HasReader>(context: &C, traces: &[Trace]) -> Result<Answer, Problem> {
    let service = &context.span_rules().service;
    let resource_spans = traces.iter().flat_map(|trace| resource_spans(trace, service)).collect();
    Answer::json_of(&Wrapper { result: TracesV3 { resource_spans } }, bytes_of(traces))
}

/// Turns a problem into a refusal in Jaeger's form.
fn told(outcome: Result<Answer, Problem>) -> Result<Answer, Problem> {
    outcome.or_else(|problem| {
        let message = problem.detail().to_owned();
        let error = Details { http_code: problem.status().as_u16(), message: &message };
        Ok(Answer::refusal(problem, &Refusal { error }))
    })
}
