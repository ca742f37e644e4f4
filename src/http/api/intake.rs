//! Takes lines of streams: what `claude -p --output-format stream-json` prints, while it prints it.

use http::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, BodyForm, Description, PROBLEM};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::streams::run::traceparent;
use crate::streams::{Caller, CallerError, Intake, IntakeError, RunId};
use crate::text::chain;
use crate::transcript::time::Timestamp;

const RUN: &str = "tailspan-run";
const WORKFLOW: &str = "tailspan-workflow";
const LABELS: &str = "tailspan-labels";
const TRACEPARENT: &str = "traceparent";

/// Tells senders which folder lines are kept in, so that one who has the same need not send what lies there.
const FOLDER: HeaderName = HeaderName::from_static("tailspan-folder");

/// What is sent.
const NDJSON: &str = "application/x-ndjson";

/// Description of [`take`].
pub static EVENTS: Description = Description {
    summary: "Takes lines of `claude -p --output-format stream-json` while they come; the same lines again change nothing.",
    parameters: &[],
    answers: &[AnswerForm::json::<TakenAnswer>(
        "EventsTaken",
        "How many lines were taken. They are durable, and are counted a moment later.",
    )],
    refusal: PROBLEM,
};

/// What [`take`] takes.
pub static LINES: BodyForm = BodyForm {
    form: AnswerForm::of(
        NDJSON,
        "Lines of JSON as the client prints them, as many as there are and for as long as they come; each is kept at once. A \
         line has 64 MiB at most.",
    ),
    bytes_max: usize::MAX,
};

/// The headers of [`take`].
pub const HEADERS: &[(&str, &str)] = &[
    ("Tailspan-Run", "The id of the run, a UUID; without it, the first session that a line names."),
    ("Tailspan-Workflow", "The name of the workflow that the run belongs to, percent-encoded; 128 letters at most."),
    ("Tailspan-Labels", "Labels of the run as `name=value,name=value`, names and values percent-encoded; 16 at most."),
    ("traceparent", "The span of the caller, as W3C Trace Context has it."),
];

/// How many lines of a request were taken.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TakenAnswer {
    /// Lines that are kept now, those that were there before included; lines of tailspan's own do not count.
    accepted: u64,
    /// Lines that are no objects of JSON and are not kept.
    rejected: u64,
    /// The session that the first line with one names; `null` if none does.
    session: Option<String>,
}

/// A context that takes lines of streams.
pub trait HasIntake {
    /// What takes them.
    fn intake(&self) -> &Intake;

    /// The time of the clock.
    fn arrived(&self) -> Timestamp;
}

/// Keeps the lines of a request while they arrive, and answers when they are durable.
pub fn take<C: HasIntake>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let (run, caller) = named(request)?;
    let intake = context.intake();
    let mut receiving = intake.begin(run, caller).map_err(refused)?;
    loop {
        match request.arriving.next() {
            Ok(Some(piece)) => receiving.take(&piece, context.arrived()).map_err(refused)?,
            Ok(None) => break,
            // What came as whole lines is kept; the sender sends the rest again.
            Err(_) => return Err(Problem::bad_request("the body has no end")),
        }
    }
    let taken = receiving.finish(context.arrived()).map_err(refused)?;
    if taken.rejected > 0 {
        let run = taken.run.as_ref().map_or("", RunId::as_str);
        tracing::warn!(run, lines = taken.rejected, "lines of a stream are no objects of JSON and are not kept");
    }
    let (accepted, rejected, session) = (taken.accepted, taken.rejected, taken.session);
    let answer = Answer::json(&TakenAnswer { accepted, rejected, session })?.taken();
    let folder = intake.identity().and_then(|identity| HeaderValue::from_str(&identity).ok());
    Ok(match folder {
        Some(folder) => answer.with_header(FOLDER, folder),
        None => answer,
    })
}

/// The run that the headers name, and what they say of it.
fn named(request: &Request) -> Result<(Option<RunId>, Caller), Problem> {
    let text = |name: &'static str| match request.headers.get(HeaderName::from_static(name)) {
        None => Ok(None),
        Some(value) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Problem::bad_request(format!("the header `{name}` is not text of ASCII"))),
        },
    };
    let run = text(RUN)?.map(|run| {
        let refused = || Problem::bad_request(format!("the header `Tailspan-Run` takes a UUID, not `{run}`"));
        RunId::parse(run.trim()).ok_or_else(refused)
    });
    let mut caller = Caller::default();
    let wrong = |error: CallerError| Problem::bad_request(error.to_string());
    if let Some(workflow) = text(WORKFLOW)?.filter(|workflow| !workflow.trim().is_empty()) {
        caller.read_workflow(workflow).map_err(wrong)?;
    }
    if let Some(labels) = text(LABELS)? {
        caller.read_labels(labels).map_err(wrong)?;
    }
    // Tracers set it, so that a sender may know nothing of it: one that cannot be read is as none.
    caller.traceparent = text(TRACEPARENT).ok().flatten().and_then(traceparent);
    Ok((run.transpose()?, caller))
}

fn refused(error: IntakeError) -> Problem {
    let told = chain(&error);
    match error {
        IntakeError::Off | IntakeError::Busy => Problem::unavailable(told),
        IntakeError::NoRun | IntakeError::NoUuid(_) | IntakeError::OtherRun { .. } => Problem::bad_request(told),
        IntakeError::TooLong => Problem::part_too_large(told),
        IntakeError::Full { .. } => {
            tracing::warn!(error = told, "lines of a stream cannot be kept: their sender keeps them");
            Problem::full(told)
        }
        IntakeError::Write { .. } => {
            tracing::warn!(error = told, "lines of a stream cannot be kept: their sender keeps them");
            Problem::unavailable(told)
        }
    }
}
