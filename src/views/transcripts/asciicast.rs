//! A session as a recording of a terminal, asciicast version 3: `asciinema play`, and players on pages.
//!
//! <https://docs.asciinema.org/manual/asciicast/v3/>: a header, then a line for each event: `[seconds since the event before,
//! "o", text]`. A pause of more than 3 s is 3 s long: the pauses themselves are shortened, so that every player shows it so.
//! The header has no `idle_time_limit`. `m` marks the beginning of a turn, and `x` is the end.
//!
//! Everything is cut to the width of the terminal here; what stood in the session as a control sequence is left out, or
//! shown as its number, so nothing in it moves the cursor, sets a title or asks the terminal anything.

use serde_json::{Value, json};

use super::entry::{Entry, Form, Head};
use super::shown::{Agents, title};
use super::terminal::{COLUMNS, Drawing, drawn};
use crate::transcript::time::Timestamp;

/// Rows of the terminal.
const ROWS: usize = 32;
/// Longest pause between two events, in milliseconds.
const PAUSE_MS_MAX: u64 = 3_000;

/// Writes a recording.
#[derive(Debug, Default)]
pub(super) struct Asciicast {
    /// Time of the event before.
    last: Option<Timestamp>,
    agents: Agents,
}

impl Form for Asciicast {
    /// A space before the JSON of the first line, where a line of its own would be taken for the header.
    fn pause(&self) -> &'static [u8] {
        b" "
    }

    fn begin(&mut self, head: &Head, out: &mut Vec<u8>) {
        let started = head.session.started_at.as_deref().and_then(Timestamp::parse);
        let mut header = json!({
            "version": 3,
            "term": { "cols": COLUMNS, "rows": ROWS, "type": "xterm-256color" },
            "title": super::escape::one_line(&super::escape::seen(title(head))),
        });
        if let (Some(header), Some(started)) = (header.as_object_mut(), started) {
            header.insert("timestamp".to_owned(), Value::from(started.since_ms(Timestamp(0)) / 1000));
        }
        out.extend_from_slice(format!("{header}\n").as_bytes());
        let mut drawing = Drawing::default();
        drawing.head(head);
        event(0, "o", &drawing.text(), out);
    }

    fn entry(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let at = entry.event.at;
        let mut pause = self.last.map_or(0, |last| at.since_ms(last)).min(PAUSE_MS_MAX);
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        if let Some(turn) = entry.turn {
            let colon = if turn.title.is_empty() { "" } else { ": " };
            event(pause, "m", &format!("Turn {}{colon}{}", turn.index, super::escape::seen(&turn.title)), out);
            pause = 0;
        }
        event(pause, "o", &drawn(entry, &mut self.agents), out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        event(0, "x", "0", out);
    }
}

fn event(pause_ms: u64, code: &str, data: &str, out: &mut Vec<u8>) {
    let (seconds, rest) = (pause_ms / 1000, pause_ms % 1000);
    let data = Value::String(data.to_owned());
    out.extend_from_slice(format!("[{seconds}.{rest:03},\"{code}\",{data}]\n").as_bytes());
}
