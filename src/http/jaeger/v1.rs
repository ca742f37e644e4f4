//! Jaeger's v1 routes, which Grafana's data source calls. Refusals have Jaeger's form.

use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::state::HasReader;
use crate::http::jaeger::parameters::{self, OPERATIONS_SERVICE, SEARCH, SERVICE_OF, SPAN_KIND, TRACE_ID, TraceSearch};
use crate::http::jaeger::search::{FoundTraces, bytes_of, find, one, operations};
use crate::http::jaeger::traces::SPANS_MAX;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::traces::jaeger::{Trace, TraceV1, trace_v1};

/// The form of refusals in v1.
const REFUSAL: AnswerForm =
    AnswerForm::json::<Envelope<()>>("JaegerRefusal", "What is wrong, as Jaeger's v1 has it: `data` is null.");

/// Description of [`services`].
pub static SERVICES: Description = Description {
    summary: "Lists the names of services, of which there is one.",
    parameters: &[],
    answers: &[AnswerForm::json::<Envelope<Vec<String>>>("JaegerNames", "Names, and how many there are.")],
    refusal: REFUSAL,
};

/// Description of [`operation_names`].
pub static OPERATION_NAMES: Description = Description {
    summary: "Lists the names of a service's operations.",
    parameters: &[&SERVICE_OF],
    answers: &[AnswerForm::json::<Envelope<Vec<String>>>("JaegerNames", "Names, and how many there are.")],
    refusal: REFUSAL,
};

/// Description of [`operations_with_kinds`].
pub static OPERATIONS: Description = Description {
    summary: "Lists the names and span kinds of a service's operations.",
    parameters: &[&OPERATIONS_SERVICE, &SPAN_KIND],
    answers: &[AnswerForm::json::<Envelope<Vec<OperationV1>>>(
        "JaegerOperations",
        "Names with span kinds, and how many there are.",
    )],
    refusal: REFUSAL,
};

/// Description of [`traces`].
pub static TRACES: Description = Description {
    summary: "Finds traces, newest first.",
    parameters: SEARCH,
    answers: &[AnswerForm::json::<Envelope<Vec<TraceV1<'static>>>>(
        "JaegerTraces",
        "Traces with their spans and processes, in the form of Jaeger's v1.",
    )],
    refusal: REFUSAL,
};

/// Description of [`trace`].
pub static TRACE: Description = Description {
    summary: "Tells one trace, or one session as a trace.",
    parameters: &[&parameters::TRACE],
    answers: &[AnswerForm::json::<Envelope<Vec<TraceV1<'static>>>>(
        "JaegerTraces",
        "Traces with their spans and processes, in the form of Jaeger's v1.",
    )],
    refusal: REFUSAL,
};

/// Description of [`dependencies`].
pub static DEPENDENCIES: Description = Description {
    summary: "Lists calls between services, of which there are none.",
    parameters: &[],
    answers: &[AnswerForm::json::<Envelope<[(); 0]>>("JaegerDependencies", "An empty list.")],
    refusal: REFUSAL,
};

/// The JSON object that holds every answer of v1.
#[derive(Serialize, JsonSchema)]
struct Envelope<T> {
    data: T,
    total: usize,
    limit: usize,
    offset: usize,
    errors: Option<Vec<Error>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JaegerError")]
struct Error {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    msg: String,
    #[serde(rename = "traceID", skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "JaegerOperation")]
struct OperationV1 {
    name: String,
    span_kind: &'static str,
}

/// Answers with the names of services, of which there is one. Grafana checks its data source with this route.
pub fn services<C: HasReader>(context: &C, _: &Request) -> Result<Answer, Problem> {
    told(listed(&[&context.span_rules().service]), None)
}

/// Answers with the names of a service's operations.
pub fn operation_names<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let names = operations(context, Some(request.value(&SERVICE_OF)?)).and_then(|operations| {
        let mut names: Vec<String> = operations.into_iter().map(|(name, _)| name).collect();
        names.dedup();
        listed(&names)
    });
    told(names, None)
}

/// Answers with the names and span kinds of a service's operations.
pub fn operations_with_kinds<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let kind = request.given(&SPAN_KIND)?;
    let list = operations(context, request.given(&OPERATIONS_SERVICE)?).and_then(|operations| {
        let wanted = operations.into_iter().filter(|(_, of)| kind.is_none_or(|kind| kind == *of));
        let list: Vec<OperationV1> = wanted.map(|(name, span_kind)| OperationV1 { name, span_kind }).collect();
        listed(&list)
    });
    told(list, None)
}

/// Answers with the traces of a search, newest first, or with the traces whose ids are given as `traceID`.
pub fn traces<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let ids = request.all(&TRACE_ID)?;
    // As by Jaeger, a search that cannot be read is refused even if ids are given, and it does not count.
    let answer = TraceSearch::v1(request).and_then(|search| {
        if !ids.is_empty() {
            return several(context, &ids);
        }
        let FoundTraces { traces, partial } = find(context, &search)?;
        let errors = partial.map(|msg| vec![Error { code: None, msg, trace_id: None }]);
        shown(context, &traces, errors)
    });
    told(answer, None)
}

/// Answers with one trace, or with one session as a trace.
pub fn trace<C: HasReader>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let id = request.value(&parameters::TRACE)?;
    told(one(context, id).and_then(|trace| shown(context, &[trace], None)), Some(id))
}

/// Answers with the calls between services; there are none, because there is one service.
pub fn dependencies<C: HasReader>(_: &C, _: &Request) -> Result<Answer, Problem> {
    told(Answer::json(&enveloped::<[(); 0]>([], None)), None)
}

fn several<C: HasReader>(context: &C, ids: &[&str]) -> Result<Answer, Problem> {
    /// Most ids of one request that are answered, about as many as its address can hold.
    const IDS_MAX: usize = 256;
    let (mut traces, mut errors, mut room) = (Vec::new(), Vec::new(), SPANS_MAX);
    let left_out = || Problem::bad_request(format!("left out: an answer has {SPANS_MAX} spans at most"));
    for id in ids.iter().take(IDS_MAX) {
        let trace = if room == 0 { Err(left_out()) } else { one(context, id) };
        let spans = trace.as_ref().map_or(0, |trace| trace.spans().count());
        let fits = spans <= room || traces.is_empty();
        room = if fits { room.saturating_sub(spans) } else { 0 };
        match trace {
            Ok(trace) if fits => traces.push(trace),
            Ok(_) => errors.push(Error { code: None, msg: message(&left_out()), trace_id: Some((*id).to_owned()) }),
            Err(problem) => {
                errors.push(Error { code: None, msg: message(&problem), trace_id: Some((*id).to_owned()) });
            }
        }
    }
    shown(context, &traces, Some(errors).filter(|errors| !errors.is_empty()))
}

fn shown<C: HasReader>(context: &C, traces: &[Trace], errors: Option<Vec<Error>>) -> Result<Answer, Problem> {
    let data: Vec<TraceV1<'_>> = traces.iter().map(|trace| trace_v1(trace, &context.span_rules().service)).collect();
    Answer::json_of(&enveloped(data, errors), bytes_of(traces))
}

/// An answer with a list. `total` is its length, which Jaeger tells for these lists only.
fn listed(data: &[impl Serialize]) -> Result<Answer, Problem> {
    Answer::json(&Envelope { total: data.len(), ..enveloped(data, None) })
}

const fn enveloped<T>(data: T, errors: Option<Vec<Error>>) -> Envelope<T> {
    Envelope { data, total: 0, limit: 0, offset: 0, errors }
}

/// The message of a problem; "trace not found" has Jaeger's own wording, because its clients look for that.
fn message(problem: &Problem) -> String {
    if problem.is_not_found() { "trace not found".to_owned() } else { problem.detail().to_owned() }
}

/// Turns a problem into a refusal in Jaeger's form.
fn told(outcome: Result<Answer, Problem>, trace_id: Option<&str>) -> Result<Answer, Problem> {
    outcome.or_else(|problem| {
        let (msg, trace_id) = (message(&problem), trace_id.map(str::to_owned));
        let error = Error { code: Some(problem.status().as_u16()), msg, trace_id };
        Ok(Answer::refusal(problem, &enveloped((), Some(vec![error]))))
    })
}
