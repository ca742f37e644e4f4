//! What every report needs to ask: who answers, about which time, with which filters.

use super::args::{FilterArgs, ReportArgs};
use super::range::{Present, Range};
use crate::cli::ask::answer::{Answer, list, text};
use crate::cli::ask::question::Question;
use crate::cli::ask::source::{AskError, Source};
use crate::text::percent_encoded;

/// Most rows of a table that is no list of times.
const ROWS: u16 = 20;

/// Length of a whole id of a session.
const ID_CHARS: usize = 36;

/// Who is asked, and what all questions have in common.
#[derive(Debug)]
pub(super) struct Asker<'a> {
    pub(super) source: &'a Source,
    pub(super) args: &'a ReportArgs,
    pub(super) present: Present,
    pub(super) range: Range,
    /// Names and values of what counts, in the words of the API.
    pub(super) filters: Vec<(&'static str, String)>,
}

/// The filters of the arguments. Tables show the beginnings of ids, so the beginning of an id will do here: whoever
/// answers is asked which session that is. Fails if it may be several.
pub(in crate::cli) fn filters(source: &Source, filters: &FilterArgs) -> Result<Vec<(&'static str, String)>, AskError> {
    let whole = |(name, value): (&'static str, &str)| {
        if name != "session" || value.chars().count() >= ID_CHARS {
            return Ok((name, value.to_owned()));
        }
        match source.ask(&Question::of(&format!("sessions/{}", percent_encoded(value)))) {
            Ok(answer) => Ok((name, text(&answer.json, "/session/id").unwrap_or(value).to_owned())),
            // No session begins so: then nothing counts.
            Err(AskError::Older { .. }) => Ok((name, value.to_owned())),
            Err(error) => Err(error),
        }
    };
    filters.pairs().map(whole).collect()
}

/// Before every session.
const BEGINNING: &str = "1970-01-01T00:00:00Z";

impl Asker<'_> {
    /// A question with the zone and the filters, about the time of the report.
    pub(super) fn question(&self, path: &str) -> Question {
        self.question_of(path, self.range)
    }

    /// The same about another time.
    pub(super) fn question_of(&self, path: &str, range: Range) -> Question {
        let question = Question::of(path).with("tz", self.present.zone.name()).within(range.since, range.until);
        self.filters.iter().fold(question, |question, (name, value)| question.with(name, value))
    }

    /// Asks.
    pub(super) fn ask(&self, question: &Question) -> Result<Answer, AskError> {
        self.source.ask(question)
    }

    /// Asks for what an older sidecar may not know: `None` then.
    pub(super) fn ask_if_known(&self, question: &Question) -> Result<Option<Answer>, AskError> {
        match self.ask(question) {
            Err(AskError::Older { .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// The rows of a table that is no list of times, as the arguments or the default have it.
    pub(super) fn limit(&self) -> u16 {
        self.args.limit.unwrap_or(ROWS)
    }

    /// The question with the order and the number of rows that the arguments ask for.
    pub(super) fn sorted(&self, question: Question) -> Question {
        self.in_order(question).with_some("limit", self.args.limit.map(|limit| limit.to_string()).as_deref())
    }

    /// The question with the order that the arguments ask for.
    pub(super) fn in_order(&self, question: Question) -> Question {
        question.with_some("sort", self.args.sort.as_deref())
    }

    /// A question that looks back thirty days by itself, and to the beginning if the arguments have none.
    pub(super) fn looking_back(&self, question: Question) -> Question {
        if self.range.since.is_none() { question.with("since", BEGINNING) } else { question }
    }

    /// All rows of an answer and of the pages behind it; only those of the answer if a number of rows is asked for.
    pub(super) fn all_rows(
        &self,
        question: &Question,
        first: &Answer,
        place: &str,
    ) -> Result<Vec<serde_json::Value>, AskError> {
        let mut rows = list(&first.json, place).to_vec();
        let next = |answer: &Answer| text(&answer.json, "/next_cursor").map(str::to_owned);
        let mut cursor = next(first).filter(|_| self.args.limit.is_none());
        while let Some(page) = cursor {
            let answer = self.ask(&question.clone().with("cursor", &page))?;
            rows.extend_from_slice(list(&answer.json, place));
            // A page that leads to itself would never end.
            cursor = next(&answer).filter(|next| *next != page);
        }
        Ok(rows)
    }
}
