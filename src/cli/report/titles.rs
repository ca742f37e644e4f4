//! Titles and projects of sessions whose ids an answer tells.

use std::collections::HashMap;

use super::asker::Asker;
use crate::cli::ask::answer::{list, some_text, text};
use crate::cli::ask::question::Question;
use crate::cli::ask::source::AskError;

/// Most sessions that are asked for at once: the address of a question has an end.
const AT_ONCE: usize = 100;

/// How many characters of an id are shown. Eight find a session among millions, and the API takes them.
const ID_CHARS: usize = 8;

/// What is told of a session besides its sums.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) title: Option<String>,
    pub(super) project: Option<String>,
    /// The address of its page.
    pub(super) page: Option<String>,
}

/// Titles and projects by id. Sessions that are not known are missing.
pub(super) fn of(asker: &Asker<'_>, ids: &[&str]) -> Result<HashMap<String, Told>, AskError> {
    let mut told = HashMap::new();
    for some in ids.chunks(AT_ONCE) {
        let question = Question::of("sessions").with("limit", &some.len().to_string());
        let question = some.iter().fold(question, |question, id| question.with("session", id));
        let answer = asker.ask(&question)?;
        for session in list(&answer.json, "/sessions") {
            let Some(id) = text(session, "/id") else { continue };
            let own = |place| some_text(session, place);
            told.insert(id.to_owned(), Told { title: own("/title"), project: own("/project"), page: own("/page") });
        }
    }
    Ok(told)
}

/// The beginning of an id, which is enough to find the session.
pub(super) fn short_id(id: &str) -> String {
    id.chars().take(ID_CHARS).collect()
}
