//! Moves a cursor through a session, and tells the event and the state there.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use super::find::{Sought, find as find_texts};
use super::kept::HasReplays;
use super::spot::Spot;
use super::told::{Shown, Teller, ToldState};
use super::{PATIENCE, unsearchable};
use crate::http::api::content::ContentPage;
use crate::http::api::reel::Reel;
use crate::http::api::search::refusal;
use crate::http::api::sessions::{CURRENCY, ID, find};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, BodyForm, Description, PROBLEM};
use crate::http::route::parameter::{TIME, read_time};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::store::StoreError;
use crate::transcript::time::Timestamp;
use crate::views::sessions::kinds::EventKind;
use crate::views::text::find::query::Query;

/// Description of [`step`].
pub static CURSOR: Description = Description {
    summary: "Opens a cursor, moves it through the events of a session, or closes it.",
    parameters: &[&ID],
    answers: &[AnswerForm::json::<CursorAnswer>(
        "ReplayCursor",
        "Where the cursor is now, with the event and the state of the session there.",
    )],
    refusal: PROBLEM,
};

/// What [`step`] takes.
pub static MOVE: BodyForm =
    BodyForm { form: AnswerForm::json::<Move>("ReplayMove", "What to do with which cursor."), bytes_max: 16 << 10 };

/// What the status of a cursor that was opened means.
pub const OPENED: &str = "The cursor was opened; the answer is as for every move.";

/// What to do with a cursor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum Move {
    /// Opens a cursor at the first event, or at the place that is given.
    Open {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<To>,
    },
    /// Goes to the next event.
    Step { cursor: String },
    /// Goes to the event before.
    Back { cursor: String },
    /// Goes to the place that is given.
    Seek { cursor: String, to: To },
    /// Goes to the first event.
    Reset { cursor: String },
    /// Forgets the cursor, and tells a last time where it is.
    Close { cursor: String },
}

/// A place in a session.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
enum To {
    Index {
        /// The position of an event; a greater one is the end, and a negative one the place before the first.
        #[serde(deserialize_with = "whole")]
        #[schemars(with = "i64")]
        index: i64,
    },
    At {
        /// The first event at this time or later, RFC 3339.
        at: String,
    },
    Next {
        /// The next event of this kind.
        next: Landmark,
    },
    Previous {
        /// The latest event of this kind before the cursor.
        previous: Landmark,
    },
    Text {
        /// The next event with a text that has this, as the parameter `q` of the replay.
        text: String,
    },
}

/// A whole number of 64 bits, also one that is written with a point.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    /// Beyond this, numbers with a point are not exact.
    const EXACT_MAX: f64 = 9e15;
    let number = Number::deserialize(deserializer)?;
    let of_float = |number: f64| format!("{number:.0}").parse().ok();
    let is_whole = |number: &f64| number.fract() == 0.0 && number.abs() <= EXACT_MAX;
    let float = || number.as_f64().filter(is_whole).and_then(of_float);
    number.as_i64().or_else(float).ok_or_else(|| D::Error::custom(format!("{number} is no whole number of 64 bits")))
}

/// What a cursor can be sent to.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Landmark {
    /// A tool call.
    Tool,
    /// A failed API attempt, or a call that failed.
    Error,
    /// A prompt.
    Prompt,
    /// The start of a sub-agent.
    Agent,
    /// A compaction.
    Compaction,
}

/// A place that was read.
enum Target {
    Index(i64),
    At(Timestamp),
    Next(Landmark),
    Previous(Landmark),
    Text(Query),
}

impl Target {
    fn of(to: &To) -> Result<Self, Problem> {
        Ok(match to {
            To::Index { index } => Self::Index(*index),
            To::At { at } => Self::At(read_time(at).ok_or_else(|| Problem::bad_parameter("at", TIME, at))?),
            To::Next { next } => Self::Next(*next),
            To::Previous { previous } => Self::Previous(*previous),
            To::Text { text } => Self::Text(Query::parse(text).map_err(|mistake| refusal(&mistake))?),
        })
    }
}

/// Where a cursor is.
#[derive(Serialize, JsonSchema)]
struct CursorAnswer {
    /// The name of the cursor, for further moves.
    cursor: String,
    /// The position of its event; -1 before the first one, and `total` behind the last.
    position: i64,
    /// How many events the session has.
    total: usize,
    /// The event; `null` before the first one and behind the last.
    event: Option<Shown>,
    /// The state of the session after this event.
    state: ToldState,
    /// Until when the cursor is kept; each move puts it off.
    expires_at: String,
    currency: &'static str,
}

/// Moves a cursor. Fails if the body cannot be read, there is no such session, the cursor is not kept any more, or the state
/// cannot be read.
pub fn step<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let (reader, replays, now) = (context.reader(), context.replays(), context.now());
    let wanted: Move = serde_json::from_slice(&request.body)
        .map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))?;
    // What is wrong with the body is said before what is gone.
    let target = match &wanted {
        Move::Open { to: Some(to) } | Move::Seek { to, .. } => Some(Target::of(to)?),
        _ => None,
    };
    let session = find(context, request.value(&ID)?)?;
    let held = match &wanted {
        Move::Open { .. } => None,
        Move::Step { cursor }
        | Move::Back { cursor }
        | Move::Seek { cursor, .. }
        | Move::Reset { cursor }
        | Move::Close { cursor } => {
            let spot = replays.spot(cursor, &session.id, now).ok_or_else(|| gone(cursor))?;
            Some((cursor.clone(), spot))
        }
    };
    let reel = replays.reel(reader, &session).map_err(unreadable)?;
    let total = reel.timeline.len();
    let from = held.as_ref().map_or(Spot::of(0, total), |(_, spot)| *spot);
    let spot = match (&wanted, &target) {
        // From before the first event, so that the first one may be what is looked for.
        (Move::Open { .. }, Some(target)) => seek(context, &reel, Spot::Before, target)?,
        (_, Some(target)) => seek(context, &reel, from, target)?,
        (Move::Step { .. }, None) => from.step(total),
        (Move::Back { .. }, None) => from.back(total),
        (Move::Close { .. }, None) => from,
        (Move::Open { .. } | Move::Reset { .. } | Move::Seek { .. }, None) => Spot::of(0, total),
    };
    let (cursor, expires) = match held {
        None => replays.open(&session.id, spot, now),
        Some((cursor, _)) if matches!(wanted, Move::Close { .. }) => {
            replays.close(&cursor);
            (cursor, now)
        }
        Some((cursor, _)) => {
            let expires = replays.put(&cursor, spot, now).ok_or_else(|| gone(&cursor))?;
            (cursor, expires)
        }
    };
    let (event, state) = there(context, &reel, spot).map_err(unreadable)?;
    let (position, expires_at) = (spot.position(total), expires.to_rfc3339());
    let answer = Answer::json(&CursorAnswer { cursor, position, total, event, state, expires_at, currency: CURRENCY })?;
    Ok(if matches!(wanted, Move::Open { .. }) { answer.made() } else { answer })
}

fn gone(cursor: &str) -> Problem {
    let shown: String = cursor.chars().take(64).collect();
    Problem::gone(format!("there is no cursor `{shown}` for this session any more: open another one"))
}

/// The event and the state at a spot.
fn there<C: HasReplays>(context: &C, reel: &Reel, spot: Spot) -> Result<(Option<Shown>, ToldState), StoreError> {
    let reader = context.reader();
    let mut page = ContentPage::new(reader, &context.archive());
    let at = match spot {
        Spot::At(position) => reel.events(reader, &[position])?.into_iter().next(),
        Spot::Before | Spot::Behind(_) => None,
    };
    let (event, state) = match at {
        Some((event, state)) => {
            let content = page.content(event.source.as_ref())?;
            (Some(Shown { event, content, state: None }), state)
        }
        None => (None, reel.timeline.state_before(spot.next())),
    };
    let mut teller = Teller::new((reader, reel), context.replays(), &mut page);
    Ok((event, teller.state(&state)?))
}

/// The spot that is looked for; the end that lies in that direction if there is none.
fn seek<C: HasReplays>(context: &C, reel: &Reel, from: Spot, to: &Target) -> Result<Spot, Problem> {
    let total = reel.timeline.len();
    let at = |position: usize, landmark: Landmark| {
        reel.timeline.look(position).is_some_and(|look| match landmark {
            Landmark::Tool => look.kind == EventKind::ToolCall,
            Landmark::Error => look.failed,
            Landmark::Prompt => look.kind == EventKind::Prompt,
            Landmark::Agent => look.kind == EventKind::SubagentStart,
            Landmark::Compaction => look.kind == EventKind::Compaction,
        })
    };
    let found = match to {
        Target::Index(index) => usize::try_from(*index).ok(),
        Target::At(time) => Some(reel.timeline.at(*time)),
        Target::Next(next) => Some((from.next()..total).find(|position| at(*position, *next)).unwrap_or(total)),
        Target::Previous(previous) => (0..from.before().min(total)).rev().find(|position| at(*position, *previous)),
        Target::Text(query) => {
            let index = context.index();
            let sought = Sought { query, from: from.next(), limit: 1, patience: PATIENCE };
            let hits = find_texts((context.reader(), &context.archive(), index.get()), reel, &sought, |_| true)
                .map_err(unsearchable)?;
            // If the time is up before one is found, the next search goes on there.
            Some(hits.positions.first().copied().or(hits.next).unwrap_or(total))
        }
    };
    Ok(found.map_or(Spot::Before, |position| Spot::of(position, total)))
}
