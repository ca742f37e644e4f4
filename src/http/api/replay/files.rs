//! The files that calls of a session named, and the text of one as the session knew it at an event.
//!
//! The text is worked out from the rows of calls and results: from the latest one that tells all of it on, each that tells more
//! is followed. So it costs a few rows, wherever the event is.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::kept::HasReplays;
use super::told::{CallRows, Teller, call_rows};
use crate::http::api::content::ContentPage;
use crate::http::api::reel::Reel;
use crate::http::api::sessions::{ID, ROWS_MAX, find};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::parameter::{Parameter, Text, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::SessionId;
use crate::views::sessions::evidence::{evidence, path_hash};
use crate::views::sessions::file_uses::{FileUse, FileUses};
use crate::views::sessions::known_text::{Evidence, KnownText};

const AT: Parameter<Whole> =
    Parameter::query("at", Whole::from(0), "After which event, by its position; without it, after the last one.");
const PATH: Parameter<Text> = Parameter::query("path", Text, "The path of the file, as the calls name it.").required();

/// Most calls whose rows are read for the text of a file.
const CALLS_MAX: usize = 500;

/// Most bytes of text in an answer; a longer text is cut.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// Description of [`files`].
pub static FILES: Description = Description {
    summary: "Lists the files that calls of a session have named up to an event.",
    parameters: &[&ID, &AT],
    answers: &[AnswerForm::json::<FileList>(
        "ReplayFiles",
        "The files, those that were named last first, at most 1,000.",
    )],
    refusal: PROBLEM,
};

/// Description of [`file()`].
pub static FILE: Description = Description {
    summary: "Tells the text of a file as a session knew it at an event.",
    parameters: &[&ID, &PATH, &AT],
    answers: &[AnswerForm::json::<FileText>(
        "ReplayFile",
        "What is known of the text, and since when it may be another.",
    )],
    refusal: PROBLEM,
};

#[derive(Serialize, JsonSchema)]
struct FileList {
    #[schemars(with = "String")]
    session: SessionId,
    /// The event after which this is so; `null` if the session has no events.
    event: Option<usize>,
    files: Vec<ListedFile>,
    /// How many further files there are.
    files_omitted: usize,
}

/// A file that calls have named.
#[derive(Serialize, JsonSchema)]
struct ListedFile {
    /// Its path; `null` if the row that names it cannot be read any more.
    path: Option<Arc<str>>,
    /// How often it was read, by calls that ended well.
    reads: usize,
    /// How often it was edited, likewise.
    edits: usize,
    /// How often it was written as a whole, likewise.
    writes: usize,
    /// Position of the first call that names it.
    first_event: usize,
    /// Position of the last one.
    last_event: usize,
    /// Position of the last result that told something of its text; `null` if there is none.
    known_at: Option<usize>,
    /// Position of the first event after that since which it may have changed; `null` if there is none.
    unknown_since: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
struct FileText {
    #[schemars(with = "String")]
    session: SessionId,
    path: String,
    /// The event after which this is so; `null` if the session has no events.
    event: Option<usize>,
    /// How much of the text is known: `whole`, `partial` or `nothing`.
    known: &'static str,
    /// The whole text; `null` if not all of it is known.
    text: Option<String>,
    /// The known parts in order; of a text that is known as a whole there is one.
    parts: Vec<FilePart>,
    /// How many lines the file has; `null` if that is not known.
    total_lines: Option<usize>,
    /// Position of the last result that told something of the text; `null` if there is none.
    known_at: Option<usize>,
    /// Position of the first event after that since which the file may be another: a command, for example, may have changed
    /// it; `null` if there is none.
    unknown_since: Option<usize>,
    /// Positions of the results from which the text was worked out, in order.
    evidence: Vec<usize>,
    /// True if a row that tells of the text cannot be read any more, or there are too many of them: then the text is what the
    /// others tell, without what cannot be followed.
    incomplete: bool,
    /// True if the text is cut.
    truncated: bool,
}

/// Some lines of a file.
#[derive(Serialize, JsonSchema)]
struct FilePart {
    /// The number of the first line, from 1.
    from_line: usize,
    lines: usize,
    /// The lines; left out of a text that is known as a whole, which is in `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// The event that is asked for, or the last one.
fn at(request: &Request, reel: &Reel) -> Result<Option<usize>, Problem> {
    let last = reel.timeline.len().checked_sub(1);
    let wanted = request.given(&AT)?.map(|at| usize::try_from(at).unwrap_or(usize::MAX));
    Ok(last.map(|last| wanted.unwrap_or(last).min(last)))
}

/// Answers with the files that were named up to an event. Fails if a parameter is bad, there is no such session, or the
/// state cannot be read.
pub fn files<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let reader = context.reader();
    let session = find(context, request.value(&ID)?)?;
    let reel = context.replays().reel(reader, &session).map_err(unreadable)?;
    let event = at(request, &reel)?;
    let uses = event.map(|event| reel.timeline.uses(event)).unwrap_or_default();
    let mut named: Vec<(&usize, &FileUse)> = uses.files.iter().collect();
    named.sort_by_key(|(_, own)| std::cmp::Reverse(own.last));
    let rows_max = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
    let files_omitted = named.len().saturating_sub(rows_max);
    let mut page = ContentPage::new(reader, &context.archive());
    let mut teller = Teller::new((reader, &reel), context.replays(), &mut page);
    let mut files = Vec::new();
    for (file, own) in named.into_iter().take(rows_max) {
        let Some(file) = reel.timeline.files().get(*file) else { continue };
        let known_at = own.told.last().map(|(_, result)| *result);
        files.push(ListedFile {
            path: teller.name(file).map_err(unreadable)?,
            reads: own.reads,
            edits: own.edits,
            writes: own.writes,
            first_event: own.first,
            last_event: own.last,
            known_at,
            unknown_since: known_at.and_then(|at| uses.changed_after(at)),
        });
    }
    Answer::json(&FileList { session: session.id, event, files, files_omitted })
}

/// Answers with the text of a file as it was known at an event. Fails if a parameter is bad, there is no such session, no
/// call has named the file up to the event, or the state cannot be read.
pub fn file<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let reader = context.reader();
    let path = request.value(&PATH)?;
    let session = find(context, request.value(&ID)?)?;
    let reel = context.replays().reel(reader, &session).map_err(unreadable)?;
    let event = at(request, &reel)?;
    let uses = event.map(|event| reel.timeline.uses(event)).unwrap_or_default();
    let hash = path_hash(path);
    let file = reel.timeline.files().iter().position(|file| file.hash == hash);
    let own = file.and_then(|file| uses.files.get(&file));
    let own = own.ok_or_else(|| Problem::not_found(&format!("call that names `{path}` up to this event")))?;
    let Known { text, evidence, incomplete } = known(context, &reel, own, &uses).map_err(unreadable)?;
    let known_at = own.told.last().map(|(_, result)| *result);
    let (whole, parts) = (text.whole(), text.parts());
    let known = match (&whole, parts.is_empty()) {
        (Some(_), _) => "whole",
        (None, false) => "partial",
        (None, true) => "nothing",
    };
    let (mut left, mut truncated) = (TEXT_BYTES_MAX, false);
    let mut shown = |text: String| {
        let end = (0..=left.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        truncated |= end < text.len();
        left -= end;
        text.get(..end).unwrap_or_default().to_owned()
    };
    let is_whole = whole.is_some();
    let text_of = whole.map(&mut shown);
    let part = |(from_line, text): (usize, String)| {
        let lines = text.matches('\n').count() + 1;
        FilePart { from_line, lines, text: (!is_whole).then(|| shown(text)) }
    };
    let parts: Vec<FilePart> = parts.into_iter().map(part).collect();
    Answer::json(&FileText {
        session: session.id,
        path: path.to_owned(),
        event,
        known,
        text: text_of,
        parts,
        total_lines: text.total(),
        known_at,
        unknown_since: known_at.and_then(|at| uses.changed_after(at)),
        evidence,
        incomplete,
        truncated,
    })
}

struct Known {
    text: KnownText,
    evidence: Vec<usize>,
    incomplete: bool,
}

/// What is known of a file: from the latest call that tells all of it on, what each tells.
fn known<C: HasReplays>(context: &C, reel: &Reel, own: &FileUse, uses: &FileUses) -> Result<Known, StoreError> {
    let reader = context.reader();
    let mut page = ContentPage::new(reader, &context.archive());
    let mut found: Vec<(usize, Evidence)> = Vec::new();
    let mut incomplete = false;
    for (call, result) in own.told.iter().rev() {
        if found.len() >= CALLS_MAX {
            incomplete = true;
            break;
        }
        let told = told(reader, reel, &mut page, (*call, *result))?;
        incomplete |= told.is_none();
        let told = told.unwrap_or(Evidence::Changed);
        let tells_all = told.tells_all();
        found.push((*result, told));
        if tells_all {
            break;
        }
    }
    let (mut text, mut evidence, mut before) = (KnownText::default(), Vec::new(), None);
    for (result, told) in found.into_iter().rev() {
        let may_have_changed =
            before.is_some_and(|before| uses.changed_after(before).is_some_and(|change| change < result));
        text.learn(&told, may_have_changed);
        before = Some(result);
        evidence.push(result);
    }
    Ok(Known { text, evidence, incomplete })
}

/// What a call tells of its file, from the rows of the call and its result; `None` if these cannot be read any more.
fn told(
    reader: &StoreReader,
    reel: &Reel,
    page: &mut ContentPage<'_>,
    call: (usize, usize),
) -> Result<Option<Evidence>, StoreError> {
    let rows = call_rows((reader, reel), page, &[call])?.pop().flatten();
    Ok(rows.map(|CallRows { id, call, result }| evidence(&id, &call, &result)))
}
