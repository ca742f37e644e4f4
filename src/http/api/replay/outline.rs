//! What a whole session looks like: where its turns begin, and what each stretch of it cost; and one turn without its texts.
//!
//! Both are read from the reel, so they say nothing that was said in the session.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use http::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use schemars::JsonSchema;
use serde::Serialize;

use super::kept::HasReplays;
use crate::http::api::reel::Reel;
use crate::http::api::sessions::{CURRENCY, ID, ROWS_MAX, find};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::parameter::{Parameter, Whole};
use crate::http::route::problem::{Problem, UNCHANGED};
use crate::http::route::request::Request;
use crate::ledger::money::Money;
use crate::store::StoreError;
use crate::transcript::ids::SessionId;
use crate::views::sessions::event::Event;
use crate::views::sessions::kinds::EventKind;
use crate::views::sessions::state::SessionState;

const STRETCHES: Parameter<Whole> = Parameter::query(
    "stretches",
    Whole::within(1, 1000),
    "Into how many stretches of about the same number of events the session is cut at most.",
)
.or("200");
const TURN: Parameter<Whole> = Parameter::path("turn", Whole::from(1), "The turn of the session, from 1.");
const NEAR: Parameter<Whole> = Parameter::query(
    "near",
    Whole::from(0),
    "The position of an event of the session: of a turn with more than 1,000 events those around it are told, instead of the \
     first.",
)
.or("0");

/// Most turns that an outline names.
const TURNS_MAX: usize = 5000;

/// Tells the tags of this process from those of another.
static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(()));

/// Description of [`outline()`].
pub static OUTLINE: Description = Description {
    summary: "Tells how long a session is, where its turns begin, and what each stretch of it cost.",
    parameters: &[&ID, &STRETCHES],
    answers: &[AnswerForm::json::<Outline>("ReplayOutline", "The session from afar, without its texts.")],
    refusal: PROBLEM,
};

/// Description of [`turn()`].
pub static ONE_TURN: Description = Description {
    summary: "Tells the events of a turn without their texts: how long each took, and for what the turn waited.",
    parameters: &[&ID, &TURN, &NEAR],
    answers: &[AnswerForm::json::<TurnEvents>("ReplayTurn", "The events of the turn and of its sub-agents, in order.")],
    refusal: PROBLEM,
};

#[derive(Serialize, JsonSchema)]
struct Outline {
    #[schemars(with = "String")]
    session: SessionId,
    /// How many events the session has.
    total_events: usize,
    /// In order; together they hold every event once.
    stretches: Vec<Stretch>,
    /// In order, at most 5,000.
    turns: Vec<TurnStart>,
    /// How many further turns there are.
    turns_omitted: usize,
    currency: &'static str,
}

/// Events that follow each other.
#[derive(Serialize, JsonSchema)]
struct Stretch {
    /// Position of its first event.
    from: usize,
    /// Time of that event, RFC 3339 UTC.
    at: String,
    events: usize,
    /// List price of its tokens in US dollars.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    cost_usd: Money,
    /// Failed API attempts and failed calls.
    errors: usize,
}

/// The beginning of a turn.
#[derive(Serialize, JsonSchema)]
struct TurnStart {
    /// Its number, from 1.
    turn: u32,
    /// Position of its first event.
    event: usize,
    /// Time of that event, RFC 3339 UTC.
    at: String,
    /// What was spent before it, in US dollars.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    cost_usd_before: Money,
}

#[derive(Serialize, JsonSchema)]
struct TurnEvents {
    #[schemars(with = "String")]
    session: SessionId,
    turn: usize,
    /// At most 1,000, which follow each other in the turn.
    events: Vec<Event>,
    /// How many further events the turn has.
    events_omitted: usize,
    /// How many of these come before the first one that is told.
    events_omitted_before: usize,
}

fn as_text<S: serde::Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(money)
}

/// Answers with the outline of a session, or that it is as it was. Fails if a parameter is bad, there is no such session, or the
/// state cannot be read.
pub fn outline<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let reader = context.reader();
    let most = usize::try_from(request.value(&STRETCHES)?).unwrap_or(usize::MAX);
    let session = find(context, request.value(&ID)?)?;
    // Before the session is read, so that a change meanwhile makes the tag old.
    let (opened, commit) = reader.version_of(&session.id);
    let tag = format!("W/\"{:x}-{opened:x}-{commit:x}-{most}-{}\"", *PROCESS, session.id.0);
    let known = request.header(&IF_NONE_MATCH).unwrap_or_default();
    let answer = if known.split(',').any(|known| known.trim() == tag) {
        Answer::empty(UNCHANGED)
    } else {
        let reel = context.replays().reel(reader, &session).map_err(unreadable)?;
        Answer::json(&outline_of(session.id, &reel, most))?
    };
    Ok(match HeaderValue::from_str(&tag) {
        Ok(tag) => answer.with_header(ETAG, tag),
        Err(_) => answer,
    })
}

fn outline_of(session: SessionId, reel: &Reel, most: usize) -> Outline {
    let timeline = &reel.timeline;
    let total = timeline.len();
    let length = total.div_ceil(most).max(1);
    let (mut stretches, mut turns) = (Vec::with_capacity(total.div_ceil(length)), Vec::new());
    let (mut state, mut turns_omitted) = (SessionState::default(), 0);
    for position in 0..total {
        let Some(look) = timeline.look(position) else { break };
        let (before, turn) = (state.so_far.cost, state.turn);
        timeline.go_on(&mut state, position);
        if position % length == 0 {
            let at = look.at.to_rfc3339();
            stretches.push(Stretch { from: position, at, events: 0, cost_usd: Money::ZERO, errors: 0 });
        }
        if let Some(stretch) = stretches.last_mut() {
            stretch.events += 1;
            stretch.cost_usd += state.so_far.cost - before;
            stretch.errors += usize::from(look.failed);
        }
        if state.turn != turn && turns.len() < TURNS_MAX {
            turns.push(TurnStart {
                turn: state.turn,
                event: position,
                at: look.at.to_rfc3339(),
                cost_usd_before: before,
            });
        } else if state.turn != turn {
            turns_omitted += 1;
        }
    }
    Outline { session, total_events: total, stretches, turns, turns_omitted, currency: CURRENCY }
}

/// Answers with the events of a turn. Fails if there is no such session or turn, or the state cannot be read.
pub fn turn<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let number = usize::try_from(request.value(&TURN)?).unwrap_or(usize::MAX);
    let session = find(context, request.value(&ID)?)?;
    let reel = context.replays().reel(context.reader(), &session).map_err(unreadable)?;
    let near = usize::try_from(request.value(&NEAR)?).unwrap_or(usize::MAX);
    let told = events_of(context, &reel, number, near).map_err(unreadable)?;
    let (events, omitted) = told.ok_or_else(|| Problem::not_found(&format!("turn {number}")))?;
    let (events_omitted, events_omitted_before) = (omitted.0 + omitted.1, omitted.0);
    Answer::json(&TurnEvents { session: session.id, turn: number, events, events_omitted, events_omitted_before })
}

/// Events of a turn, and how many before and behind them were left out.
type SomeEvents = (Vec<Event>, (usize, usize));

/// The events of a turn; of many, those around a position in the session. `None` if there is no such turn.
fn events_of<C: HasReplays>(
    context: &C,
    reel: &Reel,
    turn: usize,
    near: usize,
) -> Result<Option<SomeEvents>, StoreError> {
    let is_of_turn = |position: &usize| {
        let look = reel.timeline.look(*position);
        look.is_some_and(|look| look.kind != EventKind::ToolCall && reel.outline.turn(look.unit) == Some(turn))
    };
    let mut positions: Vec<usize> = (0..reel.timeline.len()).filter(is_of_turn).collect();
    if positions.is_empty() {
        return Ok(None);
    }
    let most = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
    let before = positions.partition_point(|position| *position < near).saturating_sub(most / 2);
    let before = before.min(positions.len().saturating_sub(most));
    positions.drain(..before);
    let behind = positions.len().saturating_sub(most);
    positions.truncate(most);
    let events = reel.events(context.reader(), &positions)?;
    Ok(Some((events.into_iter().map(|(event, _)| event).collect(), (before, behind))))
}
