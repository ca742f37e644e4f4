//! `/metrics/claude-code`: the numbers of this program under the names of Claude Code's own telemetry. It is off by
//! default: if that telemetry is scraped too, both would be added up.

use crate::http::context::Context;
use crate::http::metrics::accept::format_for;
use crate::http::pages::health::incomplete;
use crate::http::pages::status::Status;
use crate::http::route::answer::Answer;
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::metrics::claude_code::points;
use crate::views::metrics::totals::Snapshot;

/// What the refusal says while it is off.
const OFF: &str = "page at /metrics/claude-code unless `metrics.claude_code = true` stands in the configuration \
                   (TAILSPAN_METRICS_CLAUDE_CODE=true)";

/// Answers with these metrics, once the first scan is complete. Fails with "not found" while it is off.
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

/// The content type and the text of these metrics, in the format that an `Accept` header asks for.
#[must_use]
pub fn text(totals: &Snapshot, accept: &str) -> (&'static str, String) {
    let format = format_for(accept);
    (format.content_type(), format.write(&points(totals), &[]))
}
