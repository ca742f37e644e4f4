//! What the replay wants to be told, and why it is not.

use serde_json::Value;

use crate::cli::ask::answer::{count, list};

/// A question that the replay has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// The session from afar.
    Outline,
    /// The rows of a page.
    Page(usize),
    /// An event with its texts and the state there.
    Event(usize),
    /// The nearest event of a kind.
    Seek { from: usize, is_next: bool, what: &'static str },
    /// The next event from here on with a text that has these words.
    Find { from: usize, words: String },
    /// The last event before `to` that has these words: looked for from the beginning on, because the API looks forwards. `from`
    /// is how far that is, and `found` the last one so far.
    FindBack { from: usize, to: usize, words: String, found: Option<usize> },
    /// A whole text of an event.
    Text { event: usize, part: usize },
    /// A file as the session knew it after an event.
    File { path: String, at: usize },
}

/// How a search for words goes on after an answer.
#[derive(Debug)]
pub(super) enum Hunt {
    /// It has found this event.
    Found(usize),
    /// It goes on with a question, and what is said meanwhile.
    Further(Wish, String),
    /// There is none, and what is said of it.
    Nothing(String),
}

impl Wish {
    /// What the answer to a search for words leads to, which began at the event `at`. Every answer leads closer to the end.
    pub(super) fn after(self, answer: &Value, at: usize) -> Hunt {
        let number = |value: &Value, place| count(value, place).and_then(|number| usize::try_from(number).ok());
        let hits = list(answer, "/events").iter().filter_map(|event| number(event, "/index"));
        let next = number(answer, "/next_from");
        match self {
            Self::Find { from, words } => match (hits.min(), next.filter(|next| *next > from)) {
                (Some(hit), _) => Hunt::Found(hit),
                (None, Some(from)) => {
                    let said = format!("looking for “{words}”: event {from} …");
                    Hunt::Further(Self::Find { from, words }, said)
                }
                (None, None) => Hunt::Nothing(format!("“{words}” is not said after event {at}")),
            },
            Self::FindBack { from, to, words, found } => {
                let is_past = hits.clone().any(|hit| hit >= to);
                let found = hits.filter(|hit| *hit < to).max().or(found);
                match (next.filter(|next| !is_past && (from + 1..to).contains(next)), found) {
                    (Some(from), found) => {
                        let said = format!("looking back for “{words}”: event {from} of {to} …");
                        Hunt::Further(Self::FindBack { from, to, words, found }, said)
                    }
                    (None, Some(hit)) => Hunt::Found(hit),
                    (None, None) => Hunt::Nothing(format!("“{words}” is not said before event {at}")),
                }
            }
            other => Hunt::Nothing(format!("{other:?} looks for no words")),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Asking again later may help.
    Silent(String),
    /// The same question would be refused again.
    Refused(String),
}

/// A landmark of cursors, in words.
pub(super) fn landmark(what: &str) -> &str {
    match what {
        "tool" => "tool call",
        "prompt" => "turn",
        what => what,
    }
}
