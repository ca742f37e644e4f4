//! A session as one document of JSON: an event on each line.

use schemars::JsonSchema;
use serde::Serialize;

use super::entry::{Entry, ForkPlace, Form, Head, Piece, Texts, TurnHead};
use super::level::Level;
use crate::views::sessions::event::Event;
use crate::views::sessions::summary::SessionSummary;

/// Why the texts of an event are not told that the level leaves out.
const LEFT_OUT: &str = "left out by the level";

/// A session with its events and their whole texts.
#[derive(Serialize, JsonSchema)]
pub struct TranscriptDocument<'t> {
    #[serde(flatten)]
    head: HeadForm<'t>,
    /// The events that the level tells, in order.
    events: Vec<EventForm<'t>>,
}

#[derive(Serialize, JsonSchema)]
struct HeadForm<'t> {
    /// The program and its version.
    exported_by: String,
    /// How much is told.
    level: Level,
    /// Whether secrets were taken out.
    scrubbed: bool,
    session: &'t SessionSummary,
    /// How many events the session has, whatever the level tells of them.
    total_events: usize,
    /// Failed API attempts and failed calls.
    errors: u64,
    turns: &'t [TurnHead],
    /// Where a fork left its source; `null` for what is no fork, and if nothing is known of the source.
    left_source: Option<&'t ForkPlace>,
    /// The sessions that were forked from this one, at most 100, by where they left it.
    forks: &'t [ForkPlace],
    /// Currency of every field whose name ends in `_usd`.
    currency: &'static str,
}

/// An event with its whole texts.
#[derive(Serialize, JsonSchema)]
struct EventForm<'t> {
    #[serde(flatten)]
    event: &'t Event,
    /// Tokens in the prompt of the latest message of the main thread up to this event, or what its latest compaction left;
    /// `null` before.
    context_tokens: Option<u64>,
    /// The pieces of the text; empty for events without text, `null` if the text is not told.
    content: Option<Vec<PieceForm<'t>>>,
    /// Why the text is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_unavailable: Option<&'static str>,
}

/// One whole text of an event, or a note that there is something else than text.
#[derive(Serialize, JsonSchema)]
struct PieceForm<'t> {
    /// `text`, `thinking`, `tool_input` (JSON as text), `tool_result`, `image`, ...
    r#type: &'t str,
    /// The whole text; `null` for something that is no text, such as an image.
    text: Option<&'t str>,
    /// Length of the text in the session file, in bytes of UTF-8; for something that is no text, the length of its JSON.
    bytes: usize,
}

/// Writes JSON.
#[derive(Debug, Default)]
pub(super) struct Json {
    events: usize,
}

impl Form for Json {
    fn pause(&self) -> &'static [u8] {
        b"\n"
    }

    fn begin(&mut self, head: &Head, out: &mut Vec<u8>) {
        let form = HeadForm {
            exported_by: format!("tailspan {}", head.version),
            level: head.level,
            scrubbed: head.scrubbed,
            session: &head.session,
            total_events: head.total_events,
            errors: head.errors,
            turns: &head.turns,
            left_source: head.left_source.as_ref(),
            forks: &head.forks,
            currency: "USD",
        };
        push(&form, out);
        // The events belong to the same object.
        out.pop();
        out.extend_from_slice(b",\"events\":[");
    }

    fn entry(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.events == 0 { b"\n" } else { b",\n" });
        self.events += 1;
        let (content, content_unavailable) = match entry.texts {
            Texts::Told(pieces) => (Some(pieces.iter().map(piece).collect()), None),
            Texts::LeftOut => (None, Some(LEFT_OUT)),
            Texts::Missing(reason) => (None, Some(*reason)),
        };
        let context_tokens = entry.context_tokens;
        push(&EventForm { event: entry.event, context_tokens, content, content_unavailable }, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n]}\n");
    }
}

fn piece(piece: &Piece) -> PieceForm<'_> {
    PieceForm { r#type: &piece.kind, text: piece.text.as_deref(), bytes: piece.bytes }
}

fn push(value: &impl Serialize, out: &mut Vec<u8>) {
    // It fails for maps whose keys are no texts alone, of which there are none.
    if let Ok(json) = serde_json::to_vec(value) {
        out.extend_from_slice(&json);
    }
}
