//! The lines of our own in a stream file and in the body of `POST /api/v1/events`.
//!
//! ```text
//! {"type":"tailspan","mark":"run","run":"UUID","workflow":"nightly","labels":{"team":"search"},"at":"…Z",
//!  "traceparent":"00-…-…-01","span":true}      first line of a file; a spool says `"spool":true` as well
//! {"type":"tailspan","mark":"at","at":"…Z"}    when the lines that follow arrived, to the millisecond; with
//!                                              `"by":"sidecar"` if the sender told no times
//! {"type":"tailspan","mark":"lost","lines":3,"bytes":900,"at":"…Z"}
//! {"type":"tailspan","mark":"end","at":"…Z","torn_bytes":17}
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::run::{Caller, Run, RunId};
use crate::transcript::time::Timestamp;

/// The `type` of a mark.
pub const TYPE: &str = "tailspan";

/// Most lines or bytes that one mark can say are missing: 1 TiB. More is no number that anybody counted, and sums of it would
/// be none.
const LOST_MAX: u64 = 1 << 40;

/// A mark that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// Which run it is.
    Run {
        /// The run.
        run: Run,
        /// When it began.
        at: Timestamp,
        /// Whether the file waits for a sidecar.
        spool: bool,
    },
    /// When the lines that follow arrived.
    At {
        /// The time.
        at: Timestamp,
        /// Whether the sidecar told the time, because the sender did not.
        by_sidecar: bool,
    },
    /// Lines are missing here.
    Lost {
        /// How many.
        lines: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The client has closed its output.
    End,
}

#[derive(Serialize, Deserialize, Default)]
struct Form {
    #[serde(rename = "type")]
    kind: String,
    mark: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workflow: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    span: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    spool: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    torn_bytes: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The line, with its newline, that says which run it is and when it began.
#[must_use]
pub fn run(run: &Run, at: Timestamp, spool: bool) -> String {
    let Run { id, caller } = run;
    let Caller { workflow, labels, traceparent, span } = caller.clone();
    written(Form {
        run: Some(id.as_str().to_owned()),
        workflow,
        labels,
        traceparent,
        span,
        spool,
        ..Form::of("run", at)
    })
}

/// The line, with its newline, that says when the lines that follow arrived.
#[must_use]
pub fn at(at: Timestamp, by_sidecar: bool) -> String {
    written(Form { by: by_sidecar.then(|| "sidecar".to_owned()), ..Form::of("at", at) })
}

/// The line, with its newline, that says how many lines are missing here.
#[must_use]
pub fn lost(lines: u64, bytes: u64, at: Timestamp) -> String {
    written(Form { lines: Some(lines), bytes: Some(bytes), ..Form::of("lost", at) })
}

/// The line, with its newline, that says that the client has closed its output. `torn_bytes` is the length of a last line
/// without a newline that is not whole, which is not kept.
#[must_use]
pub fn end(at: Timestamp, torn_bytes: u64) -> String {
    written(Form { torn_bytes: (torn_bytes > 0).then_some(torn_bytes), ..Form::of("end", at) })
}

/// Reads a mark; `None` if it is none that this version knows, or out of its limits.
#[must_use]
pub fn read(line: &[u8]) -> Option<Mark> {
    let form: Form = serde_json::from_slice(line).ok().filter(|form: &Form| form.kind == TYPE)?;
    let at = Timestamp::parse(&form.at)?;
    match form.mark.as_str() {
        "run" => {
            let Form { workflow, labels, traceparent, span, .. } = form;
            let caller = Caller { workflow, labels, traceparent, span };
            let run = Run { id: RunId::parse(form.run.as_deref()?)?, caller };
            run.caller.is_valid().then_some(Mark::Run { run, at, spool: form.spool })
        }
        "at" => Some(Mark::At { at, by_sidecar: form.by.is_some() }),
        "lost" => {
            let believed = |count: Option<u64>| count.filter(|count| *count <= LOST_MAX);
            Some(Mark::Lost { lines: believed(form.lines)?, bytes: believed(form.bytes)? })
        }
        "end" => Some(Mark::End),
        _ => None,
    }
}

impl Form {
    fn of(mark: &str, at: Timestamp) -> Self {
        Self { kind: TYPE.to_owned(), mark: mark.to_owned(), at: at.to_rfc3339(), ..Self::default() }
    }
}

fn written(form: Form) -> String {
    // Texts, numbers and a map with names of text are always JSON.
    serde_json::to_string(&form).map(|text| text + "\n").unwrap_or_default()
}
