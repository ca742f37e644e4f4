//! The addresses of spans and traces: each leads to an event on the page of its session.
//!
//! Spans carry such an address as `url.full`, and whoever knows the ids of a span, as from an exemplar, can make it. The
//! position of the event is looked up when somebody asks, because rows that are read later may have moved it. The answer
//! tells where something was, and nothing that was said.

use super::up::up_from;
use crate::http::api::page_address::page_path;
use crate::http::api::replay::kept::HasReplays;
use crate::http::api::state::unreadable;
use crate::http::jaeger::roots::{roots_of, session_of, traces_in};
use crate::http::jaeger::trace_id::parse;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::parameter::{Name, Parameter};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::ledger::session::Session;
use crate::ledger::unit::Unit;
use crate::transcript::ids::SessionId;
use crate::views::traces::ids::{SpanId, TraceId};
use crate::views::traces::tree::invocation_id;

const TRACE_ID: Parameter<Name> = Parameter::path(
    "trace",
    Name { pattern: "^(?!0+$)[0-9a-fA-F]{1,32}$" },
    "The id of a trace in up to 32 hexadecimal digits; with `traces.scope = \"session\"`, that of its turn does too.",
);
const SPAN_ID: Parameter<Name> = Parameter::path(
    "span",
    Name { pattern: "^(?!0+$)[0-9a-fA-F]{1,16}$" },
    "The id of a span in up to 16 hexadecimal digits.",
);

const MEANING: &str = "Where the event is: `Location` leads to it on the page of its session.";

/// Description of [`span`].
pub static SPAN: Description = Description {
    summary: "Leads to the event of a span, on the page of its session.",
    parameters: &[&TRACE_ID, &SPAN_ID],
    answers: &[AnswerForm::text(MEANING)],
    refusal: PROBLEM,
};

/// Description of [`trace`].
pub static TRACE: Description = Description {
    summary: "Leads to the first event of a trace, on the page of its session.",
    parameters: &[&TRACE_ID],
    answers: &[AnswerForm::text(MEANING)],
    refusal: PROBLEM,
};

/// Leads to the event of a span. Fails if there is no such trace or span, or the state cannot be read.
pub fn span<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let (trace, text) = (trace_id(request)?, request.value(&SPAN_ID)?);
    let span = span_id(text).ok_or_else(|| Problem::bad_parameter("span", "the id of a span", text))?;
    for root in roots_of(context.reader(), trace).map_err(unreadable)? {
        if let Some(answer) = shown(context, request, (root.session(), Some(&root)), span)? {
            return Ok(answer);
        }
    }
    // Exemplars name the trace that spans are sent in, which may be that of the whole session.
    let session = session_of(context.reader(), context.span_rules().scope, trace).map_err(unreadable)?;
    if let Some(session) = session
        && let Some(answer) = shown(context, request, (&session.id, None), span)?
    {
        return Ok(answer);
    }
    Err(Problem::not_found(&format!("span {span} in trace {trace}")))
}

/// Leads to the first event of a trace. Fails if there is no such trace, or the state cannot be read.
pub fn trace<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let trace = trace_id(request)?;
    for root in roots_of(context.reader(), trace).map_err(unreadable)? {
        let span = invocation_id(&root, trace);
        if let Some(answer) = shown(context, request, (root.session(), Some(&root)), span)? {
            return Ok(answer);
        }
    }
    let session = session_of(context.reader(), context.span_rules().scope, trace).map_err(unreadable)?;
    match session.filter(Session::is_real) {
        Some(session) => leads(request, &session.id, 0),
        None => Err(Problem::not_found(&format!("trace {trace}"))),
    }
}

fn trace_id(request: &Request) -> Result<TraceId, Problem> {
    let text = request.value(&TRACE_ID)?;
    parse(text).ok_or_else(|| Problem::bad_parameter("trace", "the id of a trace", text))
}

/// Reads an id of hexadecimal digits, with or without leading zeros; `None` if it is none, or 0.
fn span_id(text: &str) -> Option<SpanId> {
    let is_hex = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u64::from_str_radix(text, 16).ok().filter(|id| is_hex && *id != 0);
    id.map(SpanId)
}

/// Leads to the event of a span in a session, in the trace of `root` or in any; `None` if the session has no such event.
fn shown<C: HasReplays>(
    context: &C,
    request: &Request,
    (session, root): (&SessionId, Option<&Unit>),
    span: SpanId,
) -> Result<Option<Answer>, Problem> {
    let reader = context.reader();
    let session = reader.session(session).map_err(unreadable)?.filter(Session::is_real);
    let Some(session) = session else { return Ok(None) };
    let traces = traces_in(reader, &session.id, root).map_err(unreadable)?;
    let reel = context.replays().reel(reader, &session).map_err(unreadable)?;
    let position = reel.of_span(reader, &traces, span).map_err(unreadable)?;
    position.map(|position| leads(request, &session.id, position)).transpose()
}

/// Leads to an event. The address is relative, so that it holds behind any proxy and below any path; browsers without
/// JavaScript begin with the event, and those with it show the event.
fn leads(request: &Request, session: &SessionId, position: usize) -> Result<Answer, Problem> {
    let up = up_from(request);
    Answer::elsewhere(&format!("{up}{}", page_path(&session.0, Some(position))))
}
