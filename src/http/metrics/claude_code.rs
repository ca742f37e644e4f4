//! `/metrics/claude-code`: our numbers by the names of Claude Code's own telemetry. Off unless it is asked for: scraped
//! beside that telemetry, both would be added up.

use crate::http::context::Context;
use crate::http::metrics::accept::format_for;
use crate::http::pages::health::incomplete;
use crate::http::pages::status::Status;
use crate::http::route::answer::Answer;
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::metrics::claude_code::points;
use crate::views::metrics::totals::Snapshot;

/// What is said while it is off.
const OFF: &str = "page at /metrics/claude-code unless `metrics.claude_code = true` stands in the configuration \
                   (TAILSPAN_METRICS_CLAUDE_CODE=true)";

/// The families, once the first scan is complete.
///
/// # Errors
/// Not found while it is off.
pub fn metrics(context: &Context, request: &Request) -> Result<Answer, Problem> {
    if !context.claude_code {
        return Err(Problem::not_found(OFF));
    }
    match context.ready() {
        Ok(()) => {
            let totals = context.totals.borrow().clone().unwrap_or_default();
            let (content_type, text) = text(&totals, request.accept());
            Answer::bytes(content_type, text.into_bytes())
        }
        Err(waiting) => Ok(incomplete(waiting)),
    }
}

/// The families in the format that an `Accept` header asks for, behind its content type.
#[must_use]
pub fn text(totals: &Snapshot, accept: &str) -> (&'static str, String) {
    let format = format_for(accept);
    (format.content_type(), format.write(&points(totals), &[]))
}
