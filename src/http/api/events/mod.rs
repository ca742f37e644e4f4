//! `/api/v1/events`: what happens, as server-sent events, while it happens.
//!
//! ```text
//! frame    events as they are sent, and who wants them
//! render   makes them of what the log names
//! hub      makes each once, for all clients
//! client   where one client is
//! ```

mod client;
mod frame;
pub mod hub;
mod render;

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};

use self::client::{Begin, Client};
use self::frame::{EventName, Wish, read_id};
use self::hub::Events;
use crate::http::api::analytics::questions::{
    AGENT, BRANCH, ENTRYPOINT, MODEL, ORIGIN, PROJECT, SESSION, SINCE, TOOL, TZ, UNTIL, WORKFLOW, filter_of,
};
use crate::http::api::state::{HasReader, unreadable};
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::parameter::{Boolean, OneOf, Parameter, Text};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;

const EVENT_STREAM: &str = "text/event-stream";

/// The header in which a browser sends the id that it has got last.
const LAST_EVENT_ID_HEADER: HeaderName = HeaderName::from_static("last-event-id");

/// A proxy that gathers pieces would hold events back.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

const EVENT: Parameter<OneOf<EventName>> =
    Parameter::query("event", OneOf(&EventName::NAMES), "Only events of this name; heartbeats come always.").several();
const LAST_EVENT_ID: Parameter<Text> = Parameter::query(
    "last_event_id",
    Text,
    "Only what came behind the event with this id; the header `Last-Event-ID` says the same and is stronger.",
);
const FOLLOW: Parameter<Boolean> =
    Parameter::query("follow", Boolean, "Whether the answer goes on with what happens from now on.").or("true");

/// Description of [`events`].
pub static EVENTS: Description = Description {
    summary: "Tells what happens while it happens, as server-sent events.",
    parameters: &[
        &TZ,
        &SINCE,
        &UNTIL,
        &PROJECT,
        &BRANCH,
        &MODEL,
        &AGENT,
        &TOOL,
        &WORKFLOW,
        &ORIGIN,
        &SESSION,
        &ENTRYPOINT,
        &EVENT,
        &LAST_EVENT_ID,
        &FOLLOW,
    ],
    answers: &[AnswerForm::of(
        EVENT_STREAM,
        "Events, each with an `id`, an `event` that is its name, and `data`, one line of JSON with the fields that the replay \
         has, and `session`, `project` and `workflow`.",
    )],
    refusal: PROBLEM,
};

/// A context that tells events, whatever else it holds.
pub trait HasEvents: HasReader {
    /// The stream of events.
    fn events(&self) -> &Events;
    /// The clock.
    fn clock(&self) -> fn() -> crate::transcript::time::Timestamp;
}

/// Answers with events for as long as the client stays. Fails if a parameter is bad, or the state cannot be read.
pub fn events<C: HasEvents>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let filter = filter_of(request, request.value(&TZ)?)?;
    let wish = Wish { names: request.all(&EVENT)?, filter };
    let given = request.header(&LAST_EVENT_ID_HEADER).filter(|id| !id.is_empty());
    let begin = match given.map_or_else(|| request.given(&LAST_EVENT_ID), |id| Ok(Some(id)))? {
        Some(id) => read_id(id).map_or(Begin::Unknown, Begin::Behind),
        None if wish.filter.window.since.is_some() => Begin::First,
        None => Begin::Now,
    };
    let shared = (Arc::clone(&context.events().hub), context.clock());
    let client = Client::new(shared, (begin, wish, request.value(&FOLLOW)?)).map_err(unreadable)?;
    let (name, value) = UNBUFFERED;
    Ok(Answer::feed(EVENT_STREAM, Box::new(client))?.with_header(name, value))
}
