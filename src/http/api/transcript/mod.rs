//! `/api/v1/analytics/sessions/{id}/transcript`: a whole session as one file, written while the client reads it.
//!
//! ```text
//! asked   what is asked for: form, level, secrets
//! turns   the turns of the session in short
//! read    the events with their texts, in pages; and the passes over them
//! ```

mod asked;
mod read;
mod turns;

use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};

use self::asked::{FORMAT, LEVEL, SCRUB};
use self::read::Session;
use crate::http::api::replay::forks::{forks, left_source};
use crate::http::api::replay::kept::HasReplays;
use crate::http::api::sessions::{ID, find, summary_of};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::transcripts::entry::Head;
use crate::views::transcripts::form::FormKind;
use crate::views::transcripts::json::TranscriptDocument;

/// The style sheet of the pages, which a transcript has as well.
const STYLE: &str = include_str!("../../pages/files/style.css");

/// What a browser may do with a transcript that it shows without saving it: show it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
);

/// Description of [`transcript`].
pub static TRANSCRIPT: Description = Description {
    summary: "Exports a whole session as a file: its events in order, with their whole texts.",
    parameters: &[&ID, &FORMAT, &LEVEL, &SCRUB],
    answers: &[
        AnswerForm::json::<TranscriptDocument<'static>>("Transcript", "The session as one document of JSON."),
        AnswerForm::of(FormKind::Markdown.content_type(), "The session as Markdown."),
        AnswerForm::of(FormKind::Html.content_type(), "The session as one page that needs nothing else."),
        AnswerForm::of(FormKind::Perfetto.content_type(), "The session as a trace of Perfetto, for ui.perfetto.dev."),
        AnswerForm::of(FormKind::Asciicast.content_type(), "The session as a recording of a terminal, asciicast v3."),
    ],
    refusal: PROBLEM,
};

/// Answers with a transcript. Fails if a parameter is bad, there is no such session, or the state cannot be read; a state
/// that cannot be read later breaks the answer off. Text that cannot be read is no error: its event says why.
pub fn transcript<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let reader = context.reader();
    let (kind, level, scrubbed) = (request.value(&FORMAT)?, request.value(&LEVEL)?, request.value(&SCRUB)?);
    let session = find(context, request.value(&ID)?)?;
    let reel = context.replays().reel(reader, &session).map_err(unreadable)?;
    let head = Head {
        session: summary_of(reader, &session)?,
        total_events: reel.timeline.len(),
        errors: 0,
        turns: Vec::new(),
        left_source: left_source(context, &session)?,
        forks: forks(context, &session, &reel)?,
        level,
        scrubbed,
        version: env!("CARGO_PKG_VERSION"),
    };
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", file_name(&session.id.0, kind)));
    let session = Session { reader: reader.clone(), archive: context.archive(), reel };
    let answer =
        Answer::stream(kind.content_type(), move |sink| session.write(head, kind.writer(STYLE).as_mut(), sink))?;
    let answer = match name {
        Ok(name) => answer.with_header(CONTENT_DISPOSITION, name),
        Err(_) => answer,
    };
    let answer = answer.with_header(CONTENT_SECURITY_POLICY, POLICY);
    Ok(answer.with_header(REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
}

/// The name of the file that a transcript is saved as.
fn file_name(session: &str, kind: FormKind) -> String {
    const ID_CHARS_MAX: usize = 64;
    let id = session.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-');
    let id: String = id.take(ID_CHARS_MAX).collect();
    format!("tailspan-{id}.{}", kind.extension())
}
