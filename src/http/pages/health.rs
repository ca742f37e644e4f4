//! Probes and `/metrics`, named as Prometheus exporters name them.

use crate::http::route::answer::Answer;
use crate::http::route::problem::{Problem, not_ready};
use crate::http::route::request::Request;
use crate::http::server::app::{Status, Waiting};

/// 200 as long as what is written can be counted, 503 with the reason while it cannot.
///
/// # Errors
/// None.
pub fn healthy<C: Status>(context: &C, _: &Request) -> Result<Answer, Problem> {
    Ok(match context.healthy() {
        Ok(()) => Answer::text("tailspan is healthy.\n"),
        Err(trouble) => not_ready(format!("{trouble}\n")),
    })
}

/// Ready: 200 once the first scan is complete.
///
/// # Errors
/// None.
pub fn ready<C: Status>(context: &C, _: &Request) -> Result<Answer, Problem> {
    Ok(match context.ready() {
        Ok(()) => Answer::text("tailspan is ready.\n"),
        Err(waiting) => incomplete(waiting),
    })
}

/// The metrics, once the first scan is complete: before that, counters would rise through history as if it
/// happened now.
///
/// # Errors
/// That of [`Status::metrics`].
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
    not_ready(format!("first scan is not complete: {files_done} of {files_total} files\n"))
}
