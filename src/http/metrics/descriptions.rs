//! Descriptions of the routes of metrics.

use crate::http::pages::health::INCOMPLETE;
use crate::http::route::description::{AnswerForm, Description};
use crate::views::metrics::text::TextFormat;

/// Description of [`metrics`](crate::http::pages::health::metrics).
pub static METRICS: Description =
    Description { summary: "Tells every metric as it is now.", parameters: &[], answers: FORMATS, refusal: INCOMPLETE };

/// Description of [`metrics`](crate::http::metrics::claude_code::metrics).
pub static CLAUDE_CODE: Description = Description {
    summary: "Tells the metrics by the names of Claude Code's own telemetry, if the configuration asks for it.",
    parameters: &[],
    answers: FORMATS,
    refusal: INCOMPLETE,
};

const FORMATS: &[AnswerForm] = &[
    AnswerForm::of(TextFormat::Plain.content_type(), "The text format 0.0.4 of Prometheus."),
    AnswerForm::of(TextFormat::Open.content_type(), "OpenMetrics 1.0, to who asks for it by its name."),
];
