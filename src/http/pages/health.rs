//! Probes and `/metrics`, named as Prometheus exporters name them.

use crate::http::pages::status::{Status, Waiting};
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;

/// Description of [`healthy`].
pub static HEALTHY: Description = Description {
    summary: "Tells whether what is written can be counted.",
    parameters: &[],
    answers: &[AnswerForm::text("A sentence for people; the status is for the probe.")],
    refusal: AnswerForm::text("Why it cannot."),
};

/// Description of [`ready`].
pub static READY: Description = Description {
    summary: "Tells whether the first scan is complete.",
    parameters: &[],
    answers: &[AnswerForm::text("A sentence for people; the status is for the probe.")],
    refusal: INCOMPLETE,
};

/// The form in which routes refuse that wait for the first scan.
pub(in crate::http) const INCOMPLETE: AnswerForm = AnswerForm::text("How far the first scan is.");

/// Answers 200 as long as what Claude Code writes can be counted, and 503 with the reason while it cannot.
pub fn healthy<C: Status>(context: &C, _: &Request) -> Result<Answer, Problem> {
    Ok(match context.healthy() {
        Ok(()) => Answer::text("tailspan is healthy.\n"),
        Err(trouble) => Answer::not_ready(format!("{trouble}\n")),
    })
}

/// Answers 200 once the first scan is complete, and 503 before.
pub fn ready<C: Status>(context: &C, _: &Request) -> Result<Answer, Problem> {
    Ok(match context.ready() {
        Ok(()) => Answer::text("tailspan is ready.\n"),
        Err(waiting) => incomplete(waiting),
    })
}

/// Answers with the metrics once the first scan is complete. Before that, counters would rise by the history that is
/// read, as if it happened now.
pub fn metrics<C: Status>(context: &C, request: &Request) -> Result<Answer, Problem> {
    match context.ready() {
        Ok(()) => {
            let (content_type, body) = context.metrics(request.accept())?;
            Answer::bytes(&content_type, body)
        }
        Err(waiting) => Ok(incomplete(waiting)),
    }
}

pub(in crate::http) fn incomplete(waiting: Waiting) -> Answer {
    let Waiting { files_done, files_total } = waiting;
    Answer::not_ready(format!("first scan is not complete: {files_done} of {files_total} files\n"))
}
