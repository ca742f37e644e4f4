//! What a form is given: the head of the session, then event after event. Secrets are taken out before.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::escape::one_line;
use super::level::Level;
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::transcript::time::Timestamp;
use crate::views::sessions::event::Event;
use crate::views::sessions::summary::SessionSummary;
use crate::views::text::pictures::Picture;

/// Writes a session. It is called once with the head, then with each event in order, then to the end, and adds what it
/// writes to `out`, which is taken away after each call.
pub trait Form {
    /// Whether it shows pictures; if not, pieces have none.
    fn takes_pictures(&self) -> bool {
        false
    }

    /// What may stand before everything else, any number of times, and means nothing: it is written while the texts of a
    /// long session are learned, so that nobody takes the answer for lost.
    fn pause(&self) -> &'static [u8];

    /// Writes what stands before all events.
    fn begin(&mut self, head: &Head, out: &mut Vec<u8>);

    /// Writes an event.
    fn entry(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>);

    /// Writes what stands behind all events.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// What is told of a session before its events.
#[derive(Debug, Clone)]
pub struct Head {
    /// The sums of the session.
    pub session: SessionSummary,
    /// How many events the session has, whatever the level tells of them.
    pub total_events: usize,
    /// Failed API attempts and failed calls.
    pub errors: u64,
    /// In order.
    pub turns: Vec<TurnHead>,
    /// Where the session left its source, if it is a fork of a session that is known.
    pub left_source: Option<ForkPlace>,
    /// The sessions that were forked from this one, by where they left it.
    pub forks: Vec<ForkPlace>,
    pub level: Level,
    /// Whether secrets were taken out.
    pub scrubbed: bool,
    /// The version of the program.
    pub version: &'static str,
}

/// Where a fork left its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ForkPlace {
    /// The other session.
    pub session: String,
    /// Position of the last event of the source that the fork has too; `null` if it is not known.
    pub event: Option<usize>,
    /// Time of the last row that was copied, RFC 3339 UTC.
    pub at: String,
}

/// A turn in short. Its sums are with those of its sub-agents.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TurnHead {
    /// Its number, from 1.
    pub index: usize,
    /// Position of its prompt among the events of the session.
    pub event: usize,
    /// The beginning of its prompt in one line, at most 80 characters; empty if the prompt has no text, or cannot be read
    /// any more.
    pub title: String,
    /// Time of the prompt, RFC 3339 UTC.
    #[serde(serialize_with = "as_rfc3339")]
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// Seconds from prompt to end; `null` while it is open.
    pub duration_seconds: Option<f64>,
    /// How it ended: `stop`, `interrupted`, `api_error`, `next_prompt`; `null` while it is open.
    pub end: Option<&'static str>,
    /// Who asked: `human`, `sdk` and the like.
    pub origin: &'static str,
    /// Distinct API responses.
    pub messages: u64,
    /// Distinct tool calls.
    pub tool_calls: u64,
    /// Failed API attempts and failed calls.
    pub errors: u64,
    /// Tokens of these responses.
    pub tokens: Tokens,
    /// List price of these tokens in US dollars.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub cost_usd: Money,
}

/// An event, as forms are given it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'e> {
    pub event: &'e Event,
    /// The type of the sub-agent that it happened in, if it is told.
    pub agent_type: Option<&'e str>,
    /// The turn that begins with it: it is its prompt.
    pub turn: Option<&'e TurnHead>,
    /// Tokens of the prompt of the latest message of the main thread up to this event, or what its latest compaction left;
    /// `None` before.
    pub context_tokens: Option<u64>,
    pub texts: &'e Texts,
}

/// The texts of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Texts {
    /// All of them, whole; none if such an event has none.
    Told(Vec<Piece>),
    /// The level leaves them out.
    LeftOut,
    /// They cannot be read any more, for this reason.
    Missing(&'static str),
}

/// A text of an event, or something else than text.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// `text`, `thinking`, `tool_input` (JSON as text), `tool_result`, `image`, ...
    pub kind: String,
    /// The whole text; `None` for something that is no text, such as an image.
    pub text: Option<String>,
    /// Length of the text in bytes of UTF-8 as it stands in the session file; for something that is no text, the length of
    /// its JSON.
    pub bytes: usize,
    /// The input of a call as a value; its `text` is the same as text.
    pub input: Option<Value>,
    /// The picture, if it is one that browsers know.
    pub picture: Option<Picture>,
}

impl Texts {
    /// The pieces that are told.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        match self {
            Self::Told(pieces) => pieces,
            Self::LeftOut | Self::Missing(_) => &[],
        }
    }
}

impl Entry<'_> {
    /// The input of a call.
    #[must_use]
    pub fn input(&self) -> Option<&Value> {
        self.texts.pieces().iter().find_map(|piece| piece.input.as_ref())
    }
}

/// The title of a turn with these texts of its prompt: see [`TurnHead::title`].
#[must_use]
pub fn title_of(prompt: &Texts) -> String {
    const CHARS_MAX: usize = 80;
    let texts = prompt.pieces().iter().filter_map(|piece| piece.text.as_deref());
    let line = texts.map(one_line).find(|line| !line.is_empty()).unwrap_or_default();
    let mut title: String = line.chars().take(CHARS_MAX).collect();
    if title.len() < line.len() {
        title.pop();
        title.push('\u{2026}');
    }
    title
}

fn as_rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339())
}

fn as_text<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(money)
}
