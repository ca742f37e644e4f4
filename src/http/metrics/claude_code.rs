//! `/metrics/claude-code`: our numbers by the names of Claude Code's own telemetry. Off unless it is asked for: scraped
//! beside that telemetry, both would be added up.

use std::fmt::Write;

use crate::http::context::Context;
use crate::http::metrics::accept::wants_openmetrics;
use crate::http::metrics::exposition::{self, encode, families_of};
use crate::http::metrics::openmetrics;
use crate::http::pages::health::incomplete;
use crate::http::pages::status::Status;
use crate::http::route::answer::Answer;
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::metrics::catalog::{Label, Unit};
use crate::views::metrics::claude_code::points;
use crate::views::metrics::openmetrics::{head, labels};
use crate::views::metrics::points::Point;
use crate::views::metrics::totals::{Sample, Snapshot};

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
            let (content_type, body) = text(&totals, request.accept())?;
            Answer::bytes(content_type, body)
        }
        Err(waiting) => Ok(incomplete(waiting)),
    }
}

/// The families in the format that an `Accept` header asks for, and their content type.
///
/// # Errors
/// An internal problem if a family is not one that can be written.
pub fn text(totals: &Snapshot, accept: &str) -> Result<(&'static str, Vec<u8>), Problem> {
    let points = points(totals);
    if wants_openmetrics(accept) {
        return Ok((openmetrics::CONTENT_TYPE, open(&points).into_bytes()));
    }
    let text = encode(&families_of(&points));
    let text = text.map_err(|error| Problem::internal(format!("the metrics cannot be written: {error}")))?;
    Ok((exposition::CONTENT_TYPE, text))
}

/// Counters as OpenMetrics.
fn open(points: &[Point]) -> String {
    let mut text = String::new();
    for family in points.chunk_by(|a, b| a.metric == b.metric) {
        let Some(metric) = family.first().map(|point| point.metric) else { continue };
        let full = metric.full_name();
        let name = full.strip_suffix("_total").unwrap_or(&full);
        text.push_str(&head(name, metric.kind.name(), metric.help));
        for point in family {
            let Sample::Number(number) = point.sample else { continue };
            let names = metric.labels.iter().map(|Label { name, .. }| *name);
            let labels = labels(names.zip(point.labels.iter().map(|value| &**value)));
            line(&mut text, format_args!("{full}{labels} {}", metric.unit.rendered(number)));
            if let Some(created) = point.created {
                let seconds = Unit::Timestamp.rendered(i128::from(created.0));
                line(&mut text, format_args!("{name}_created{labels} {seconds}"));
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    match writeln!(text, "{line}") {
        Ok(()) => {}
        Err(_) => unreachable!("writing to a string does not fail"),
    }
}
