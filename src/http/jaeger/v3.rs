//! Jaeger's v3 routes: the same traces as OTLP.

use serde::Serialize;

use super::parameters::Search;
use super::{bytes_of, find, one, operations};
use crate::http::HasReader;
use crate::http::route::answer::Answer;
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::traces::jaeger::{ResourceSpans, Trace, TraceSummary, resource_spans, summary};

/// The names of services: there is one.
///
/// # Errors
/// None.
pub fn services<C: HasReader>(context: &C, _: &Request) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Services<'a> {
        services: [&'a str; 1],
    }
    told(Answer::json(&Services { services: [&context.span_rules().service] }))
}

/// The names and span kinds of a service's operations.
///
/// # Errors
/// None: refusals are answers in Jaeger's form.
pub fn operations_with_kinds<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Operation {
        name: String,
        span_kind: &'static str,
    }
    #[derive(Serialize)]
    struct Operations {
        operations: Vec<Operation>,
    }
    let query = &request.query;
    let kind = query.text("spanKind").or_else(|| query.text("span_kind"));
    told(operations(context, query.text("service")).and_then(|operations| {
        let wanted = operations.into_iter().filter(|(_, of)| kind.is_none_or(|kind| kind == *of));
        Answer::json(&Operations {
            operations: wanted.map(|(name, span_kind)| Operation { name, span_kind }).collect(),
        })
    }))
}

/// The traces of a search, newest first.
///
/// # Errors
/// None: refusals are answers in Jaeger's form.
pub fn traces<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    told(Search::v3(&request.query).and_then(|search| {
        let found = find(context, &search)?;
        if found.traces.is_empty() {
            return Err(Problem::not_found("trace that meets the query"));
        }
        shown(context, &found.traces)
    }))
}

/// One trace, or one session as a trace.
///
/// # Errors
/// None: refusals are answers in Jaeger's form.
pub fn trace<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    told(one(context, request.param("id")).and_then(|trace| shown(context, &[trace])))
}

/// The traces of a search in one line each, newest first.
///
/// # Errors
/// None: refusals are answers in Jaeger's form.
pub fn summaries<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Summaries<'a> {
        summaries: Vec<TraceSummary<'a>>,
    }
    told(Search::v3(&request.query).and_then(|search| {
        let found = find(context, &search)?;
        let summaries = found.traces.iter().map(|trace| summary(trace, &context.span_rules().service)).collect();
        Answer::json(&Summaries { summaries })
    }))
}

fn shown<C: HasReader>(context: &C, traces: &[Trace]) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Traces<'a> {
        resource_spans: Vec<ResourceSpans<'a>>,
    }
    #[derive(Serialize)]
    struct Wrapper<'a> {
        result: Traces<'a>,
    }
    let service = &context.span_rules().service;
    let resource_spans = traces.iter().flat_map(|trace| resource_spans(trace, service)).collect();
    Answer::json_of(&Wrapper { result: Traces { resource_spans } }, bytes_of(traces))
}

/// A refusal in Jaeger's form.
fn told(outcome: Result<Answer, Problem>) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Details<'a> {
        http_code: u16,
        message: &'a str,
    }
    #[derive(Serialize)]
    struct Refusal<'a> {
        error: Details<'a>,
    }
    outcome.or_else(|problem| {
        let message = problem.detail().to_owned();
        let error = Details { http_code: problem.code(), message: &message };
        Ok(problem.told_as(&Refusal { error }))
    })
}
