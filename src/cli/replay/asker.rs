//! Asks the questions of the replay on a thread of its own, so that keys never wait for an answer.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use super::pages::PAGE;
use super::watch::Happening;
use super::wish::{Failure, Wish};
use crate::cli::ask::answer::text;
use crate::cli::ask::question::Question;
use crate::cli::ask::source::{AskError, Source};
use crate::text::{chain, percent_encoded};

/// Most bytes of a text that are asked for at once: as many as the API gives.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;

/// Events with some words that are asked for at once, where the last one is looked for.
const HITS_MAX: usize = 200;

/// A question below the replay of a session.
pub(super) fn replay_of(session: &str, rest: &str) -> Question {
    Question::of(&format!("sessions/{}/replay{rest}", percent_encoded(session)))
}

/// The thread that asks.
#[derive(Debug)]
pub(super) struct Asker {
    wishes: Sender<Wish>,
    thread: JoinHandle<()>,
    is_sidecar: bool,
}

impl Asker {
    /// Starts it. Fails if the system gives no thread.
    pub(super) fn start(source: Source, session: String, happenings: Sender<Happening>) -> std::io::Result<Self> {
        let (wishes, asked) = channel();
        let is_sidecar = source.is_sidecar();
        let body = move || {
            // Said if the thread ends for any other reason than that nobody asks any more.
            let told = Told(happenings);
            Asking { source, session, cursor: None }.answer_all(&asked, &told.0);
        };
        let thread = thread::Builder::new().name("ask".to_owned()).spawn(body)?;
        Ok(Self { wishes, thread, is_sidecar })
    }

    /// Asks. The answer comes as a happening.
    pub(super) fn ask(&self, wish: Wish) {
        // If the thread is gone, that is a happening as well.
        drop(self.wishes.send(wish));
    }

    /// Ends it. What is in this process is closed before this returns; a sidecar's answer is not waited for.
    pub(super) fn end(self) {
        drop(self.wishes);
        if !self.is_sidecar {
            drop(self.thread.join());
        }
    }
}

/// Tells that the thread has ended.
struct Told(Sender<Happening>);

impl Drop for Told {
    fn drop(&mut self) {
        drop(self.0.send(Happening::Broken("the thread that asks has ended")));
    }
}

struct Asking {
    source: Source,
    session: String,
    /// A cursor of the API, for the events that it finds.
    cursor: Option<String>,
}

impl Asking {
    fn answer_all(&mut self, asked: &Receiver<Wish>, happenings: &Sender<Happening>) {
        for wish in asked {
            let answer = self.answer(&wish).map_err(|error| failure(&error));
            if happenings.send(Happening::Answer(answer)).is_err() {
                return;
            }
        }
    }

    fn answer(&mut self, wish: &Wish) -> Result<Value, AskError> {
        let page = |from: usize, limit: usize| {
            replay_of(&self.session, "").with("from", &from.to_string()).with("limit", &limit.to_string())
        };
        let question = match wish {
            Wish::Outline => replay_of(&self.session, "/outline"),
            Wish::Page(number) => page(number.saturating_mul(PAGE), PAGE),
            Wish::Event(index) => page(*index, 1).with("context", "true"),
            Wish::Find { from, words } => page(*from, 1).with("q", words),
            Wish::FindBack { from, words, .. } => page(*from, HITS_MAX).with("q", words).with("text_bytes", "0"),
            Wish::Text { event, part } => replay_of(&self.session, &format!("/{event}/text"))
                .with("part", &part.to_string())
                .with("bytes", &TEXT_BYTES_MAX.to_string()),
            Wish::File { path, at } => replay_of(&self.session, "/file").with("path", path).with("at", &at.to_string()),
            Wish::Seek { from, is_next, what } => return self.seek(*from, *is_next, what),
        };
        Ok(self.source.ask(&question)?.json)
    }

    /// The nearest event of a kind, by a cursor. One that was forgotten, or whose sidecar was started anew, is opened again.
    fn seek(&mut self, from: usize, is_next: bool, what: &str) -> Result<Value, AskError> {
        let to = if is_next { json!({"next": what}) } else { json!({"previous": what}) };
        let here = json!({"index": from});
        if let Some(cursor) = self.cursor.take() {
            let back = self.move_by(&json!({"action": "seek", "cursor": cursor, "to": here}));
            match back {
                Ok(_) => self.cursor = Some(cursor),
                Err(AskError::Refused { status: 410, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => {
                let opened = self.move_by(&json!({"action": "open", "to": here}))?;
                text(&opened, "/cursor").unwrap_or_default().to_owned()
            }
        };
        let found = self.move_by(&json!({"action": "seek", "cursor": cursor, "to": to}))?;
        self.cursor = Some(cursor);
        Ok(found)
    }

    fn move_by(&self, told: &Value) -> Result<Value, AskError> {
        Ok(self.source.post(&replay_of(&self.session, ""), told)?.json)
    }
}

/// What an error means for who asked.
fn failure(error: &AskError) -> Failure {
    let why = chain(error);
    match error {
        AskError::Refused { status, .. } if !matches!(status, 429 | 500..) => Failure::Refused(why),
        AskError::Older { .. } => Failure::Refused("nobody knows this session any more".to_owned()),
        _ => Failure::Silent(why),
    }
}
