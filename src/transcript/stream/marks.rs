//! The marks in a stream file, which stand between the lines of the client:
//!
//! ```text
//! {"type":"tailspan","mark":"run","run":"<uuid>","workflow":"nightly","labels":{"team":"search"},"at":"<time>",
//!  "traceparent":"00-...","span":true}                                     the first line: who began the run
//! {"type":"tailspan","mark":"at","at":"<time>"}                            when the lines that follow arrived
//! {"type":"tailspan","mark":"lost","lines":12,"bytes":3400,"at":"<time>"}   lines that were not kept, for want of room
//! {"type":"tailspan","mark":"end","at":"<time>","torn_bytes":17}           the stream ended, here within a line
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use super::raw::{COUNT_MAX, RawMark, time_of};
use crate::transcript::ids::RowId;
use crate::transcript::json::Scalar;
use crate::transcript::stream_line::{Began, Mark, RunId};
use crate::transcript::strings::Strings;
use crate::transcript::word::WordText;

/// The `type` of a mark.
pub(super) const MARK: &str = "tailspan";

impl Mark {
    /// The mark that a line is; `None` if it is none that is known.
    pub(super) fn of(raw: &RawMark<'_>, strings: &mut Strings) -> Option<Self> {
        match raw.mark.word().as_deref()? {
            "run" => {
                let mut text = |text: &str| strings.get(text);
                let run = RunId(RowId::of(&raw.run.word()?));
                let workflow = raw.workflow.word().filter(|name| !name.is_empty()).map(|name| text(&name));
                let labels = raw.labels.pairs.iter().map(|(name, value)| (text(name), text(value)));
                let labels: BTreeMap<Arc<str>, Arc<str>> = labels.collect();
                let caller = raw.caller.word().map(|caller| text(&caller));
                let (at, span) = (time_of(raw.at), raw.span.is_true());
                Some(Self::Run(Box::new(Began { run, workflow, labels, at, caller, span })))
            }
            "at" => time_of(raw.at).map(|at| Self::At { at, by_sidecar: raw.by.word().is_some() }),
            "lost" => {
                let count = |told: Scalar| told.count().unwrap_or(0).min(COUNT_MAX);
                Some(Self::Lost { lines: count(raw.lines), bytes: count(raw.bytes), at: time_of(raw.at) })
            }
            "end" => Some(Self::End { at: time_of(raw.at), torn_bytes: raw.torn.count().unwrap_or(0) }),
            _ => None,
        }
    }
}
