//! The whole text of an event, range by range.

use schemars::JsonSchema;
use serde::Serialize;

use super::kept::HasReplays;
use crate::http::api::content::ContentPage;
use crate::http::api::sessions::{ID, find};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::parameter::{Parameter, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::transcript::ids::SessionId;
use crate::views::text::pieces::{TextRange, range};

const EVENT: Parameter<Whole> = Parameter::path("event", Whole::from(0), "The position of the event in the session.");
const PART: Parameter<Whole> =
    Parameter::query("part", Whole::from(0), "Which piece of the event's `content`, from 0.").or("0");
const FROM: Parameter<Whole> = Parameter::query(
    "from",
    Whole::from(0),
    "Where the range begins, in bytes of UTF-8; within a character, at its beginning.",
)
.or("0");
const BYTES: Parameter<Whole> = Parameter::query(
    "bytes",
    Whole::within(1, 1 << 20),
    "How many bytes the range has at most; one character at least.",
)
.or("65536");

/// Description of [`text`].
pub static TEXT: Description = Description {
    summary: "Tells a range of the text of an event, which a page of the replay cuts.",
    parameters: &[&ID, &EVENT, &PART, &FROM, &BYTES],
    answers: &[AnswerForm::json::<EventText>("EventText", "The range, and where the next one begins.")],
    refusal: PROBLEM,
};

#[derive(Serialize, JsonSchema)]
struct EventText {
    /// The session.
    #[schemars(with = "String")]
    session: SessionId,
    /// Position of the event in the session.
    event: usize,
    /// Which piece of its content.
    part: usize,
    #[serde(flatten)]
    range: TextRange,
}

/// Answers with a range of a text. Fails if a parameter is bad, there is no such session, event or piece, the text cannot
/// be shown, or the state cannot be read.
pub fn text<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let reader = context.reader();
    let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let (position, part) = (number(request.value(&EVENT)?), number(request.value(&PART)?));
    let (from, bytes) = (number(request.value(&FROM)?), number(request.value(&BYTES)?));
    let session = find(context, request.value(&ID)?)?;
    let reel = context.replays().reel(reader, &session).map_err(unreadable)?;
    let events = reel.placed_events(reader, &[position]).map_err(unreadable)?;
    let missing = || Problem::not_found(&format!("event {position}: the session has {}", reel.timeline.len()));
    let event = events.into_iter().next().ok_or_else(missing)?.event;
    let no_piece = || Problem::not_found(&format!("piece {part} of event {position}"));
    let source = event.source.as_ref().ok_or_else(no_piece)?;
    let rows = ContentPage::new(reader, &context.archive()).rows(source).map_err(unreadable)?;
    let rows =
        rows.map_err(|hidden| Problem::not_found(&format!("text of event {position} any more: {}", hidden.reason())))?;
    let range = range(&rows, &source.expected, part, (from, bytes)).ok_or_else(no_piece)?;
    Answer::json(&EventText { session: session.id, event: position, part, range })
}
