//! What is asked for: form, level, secrets.

use crate::http::route::parameter::{Boolean, OneOf, Parameter};
use crate::views::transcripts::form::FormKind;
use crate::views::transcripts::level::Level;

pub(super) const FORMAT: Parameter<OneOf<FormKind>> =
    Parameter::query("format", OneOf(&FormKind::NAMES), "How the session is written.").or("md");
pub(super) const LEVEL: Parameter<OneOf<Level>> = Parameter::query(
    "level",
    OneOf(&Level::NAMES),
    "How much is told: every event with its texts, every event without the texts of tool results, or prompts alone.",
)
.or("full");
pub(super) const SCRUB: Parameter<Boolean> =
    Parameter::query("scrub", Boolean, "Whether secrets are taken out of everything that is told.").or("true");
