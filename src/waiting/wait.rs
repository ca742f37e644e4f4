//! What a session waits for, of all that is known of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::process::{ProcessSigns, ProcessStatus};
use super::rows::{OpenCall, RowSigns, ThreadSigns};
use super::told::{Asked, ToldSigns};
use crate::transcript::ids::SessionId;
use crate::transcript::shown::shown;
use crate::transcript::time::Timestamp;

/// Tools that do nothing but ask a person.
pub const ASKING: [&str; 2] = ["AskUserQuestion", "ExitPlanMode"];

/// Sessions that wait, by id.
pub type Waits = BTreeMap<SessionId, Wait>;

/// A turn whose end no row tells must have been quiet for so many milliseconds, as before its spans leave.
const QUIET_MS: u64 = 1_000;

/// What is known of a session.
#[derive(Debug, Clone, Default)]
pub struct Signs {
    /// What its rows show.
    pub rows: RowSigns,
    /// What was told of it.
    pub told: ToldSigns,
    /// What is known of its process.
    pub process: ProcessSigns,
    /// A call that has been open for longer than its tool usually takes.
    pub overdue: Option<OpenCall>,
}

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WaitFor {
    /// For a person to allow a tool.
    Permission,
    /// For a person to answer a question.
    Question,
    /// For the next prompt: its turn is over.
    Idle,
    /// A tool takes longer than usual, and nobody tells whether it runs or waits for a permission.
    Unknown,
}

impl WaitFor {
    /// Every value, in the order in which they matter.
    pub const ALL: [Self; 4] = [Self::Permission, Self::Question, Self::Idle, Self::Unknown];

    /// The word for it in answers and labels.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::Question => "question",
            Self::Idle => "idle",
            Self::Unknown => "unknown",
        }
    }
}

/// A wait of a session for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Wait {
    /// What for: `permission`, `question`, `idle` (its turn is over), or `unknown` (a tool takes longer than usual, and
    /// nobody tells whether it runs or waits for a permission).
    #[serde(rename = "for")]
    pub waits_for: WaitFor,
    /// Since when, RFC 3339 UTC.
    #[serde(serialize_with = "as_rfc3339")]
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// The tool that waits; `null` while idle, and if that is not known.
    pub tool: Option<Arc<str>>,
}

fn as_rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339())
}

/// What a session waits for at `now`; `None` if it does not wait, or nothing tells. Without news of its process, a
/// session that has been quiet for `idle_ms` milliseconds has ended.
#[must_use]
pub fn wait(signs: &Signs, now: Timestamp, idle_ms: u64) -> Option<Wait> {
    if has_ended(signs, now, idle_ms) {
        return None;
    }
    let wait = asked(signs, now).or_else(|| question(signs)).or_else(|| idle(signs, now)).or_else(|| unknown(signs))?;
    // A file may name a tool as it likes.
    Some(Wait { tool: wait.tool.map(|tool| shown(&tool).into()), ..wait })
}

/// Whether no process has the session open any more.
fn has_ended(signs: &Signs, now: Timestamp, idle_ms: u64) -> bool {
    let Signs { rows, told, process, .. } = signs;
    match process {
        ProcessSigns::Gone => true,
        ProcessSigns::Runs { .. } => false,
        ProcessSigns::Unknown => {
            let is_told = told.ended.is_some_and(|ended| ended >= rows.last);
            let is_over = told.over.is_some() && told.over == rows.run;
            let is_closed = rows.is_closed && told.last <= rows.last;
            is_told || is_over || is_closed || now.since_ms(rows.last.max(told.last)) > idle_ms
        }
    }
}

/// A permission that is asked for, or a question that was told like one.
fn asked(signs: &Signs, now: Timestamp) -> Option<Wait> {
    let open = signs.told.asked.iter().filter(|asked| stands(asked, signs, now));
    let asked = open.min_by_key(|asked| asked.at);
    let (status, status_since) = match signs.process {
        ProcessSigns::Runs { status: Some((status, since)), .. } => (Some(status), Some(since)),
        _ => (None, None),
    };
    let is_answer = status == Some(ProcessStatus::WaitsForAnswer);
    let since = if is_answer || status == Some(ProcessStatus::WaitsForPermission) {
        status_since
    } else {
        asked.map(|asked| asked.at)
    };
    let since = since?;
    let tool = asked.and_then(|asked| asked.tool.clone()).or_else(|| only_open(&signs.rows));
    if is_answer || tool.as_deref().is_some_and(is_asking) {
        // Its rows tell the same question, and may do so before: it is one wait.
        return question(signs).or(Some(Wait { waits_for: WaitFor::Question, since, tool }));
    }
    Some(Wait { waits_for: WaitFor::Permission, since, tool })
}

/// Whether a question still stands: the client has not changed its status since, and no row shows what became of it.
fn stands(asked: &Asked, signs: &Signs, now: Timestamp) -> bool {
    if now < asked.stands_at() {
        return false;
    }
    if let Some(host) = asked.host {
        return is_open(host.call, &signs.rows);
    }
    if let ProcessSigns::Runs { is_terminal: true, status: Some((status, since)) } = signs.process {
        let waits = matches!(status, ProcessStatus::WaitsForPermission | ProcessStatus::WaitsForAnswer);
        // It changes its status when it asks, and once more when it is answered.
        if !waits && since >= asked.at {
            return false;
        }
    }
    let Some(tool) = &asked.tool else {
        // Which call it is about is not known, so any row behind it may be its answer.
        return signs.rows.last <= asked.at;
    };
    // The row of the call may not be written yet; once its thread goes on without it, the question is over.
    let mut threads = signs.rows.threads.iter().filter(|thread| thread.agent == asked.agent);
    let is_open = |call: &OpenCall| call.since <= asked.at && call.tool == *tool;
    let has_gone_on = |thread: &ThreadSigns| thread.last > asked.at;
    let is_over = threads.clone().any(has_gone_on) && !threads.any(|thread| thread.open.iter().any(is_open));
    !is_over
}

/// Whether a call has no result, and no turn has begun since that of the call. No time counts here but those of the rows
/// among themselves: who asks may have another clock.
fn is_open(call: u64, rows: &RowSigns) -> bool {
    let is_in = |thread: &&ThreadSigns| thread.open.iter().any(|open| open.id == Some(call));
    let Some(thread) = rows.threads.iter().find(is_in) else { return false };
    let is_later = |other: &ThreadSigns| other.is_turn && other.agent.is_none() && other.started > thread.started;
    thread.agent.is_some() || !rows.threads.iter().any(is_later)
}

/// A tool that asks a person and has no answer.
fn question(signs: &Signs) -> Option<Wait> {
    let calls = signs.rows.threads.iter().flat_map(|thread| &thread.open);
    let call = calls.filter(|call| is_asking(&call.tool)).min_by_key(|call| call.since)?;
    if let ProcessSigns::Runs { is_terminal: true, status: Some((status, since)) } = signs.process
        && matches!(status, ProcessStatus::Busy | ProcessStatus::Idle)
        && since > call.since
    {
        return None;
    }
    Some(Wait { waits_for: WaitFor::Question, since: call.since, tool: Some(Arc::clone(&call.tool)) })
}

/// A turn that is over, at a place where a person writes the next prompt.
fn idle(signs: &Signs, now: Timestamp) -> Option<Wait> {
    let rows = &signs.rows;
    let over = rows.over.filter(|_| rows.is_of_a_person)?;
    let is_quiet = now.since_ms(rows.last) >= QUIET_MS;
    let is_idle = match signs.process {
        ProcessSigns::Runs { status: Some((status, since)), .. } => {
            // The row of a new prompt is written after the status.
            status == ProcessStatus::Idle || (status == ProcessStatus::Other && since <= over.at)
        }
        _ => true,
    };
    let says_so = matches!(
        signs.process,
        ProcessSigns::Runs { status: Some((ProcessStatus::Idle, since)), .. } if since >= over.at
    );
    let is_stopped = signs.told.stopped.is_some_and(|stopped| stopped >= rows.last);
    let is_settled = over.is_told || says_so || is_stopped || is_quiet;
    (is_idle && is_settled).then_some(Wait { waits_for: WaitFor::Idle, since: over.at, tool: None })
}

/// A call that takes longer than usual, if the client does not say that it runs.
fn unknown(signs: &Signs) -> Option<Wait> {
    let tells = matches!(signs.process, ProcessSigns::Runs { is_terminal: true, status: Some(_) });
    let call = signs.overdue.as_ref().filter(|_| !tells)?;
    Some(Wait { waits_for: WaitFor::Unknown, since: call.since, tool: Some(Arc::clone(&call.tool)) })
}

/// The tool of the only open call; `None` if there is none, or several.
fn only_open(rows: &RowSigns) -> Option<Arc<str>> {
    let mut open = rows.threads.iter().flat_map(|thread| &thread.open);
    let first = open.next()?;
    open.next().is_none().then(|| Arc::clone(&first.tool))
}

fn is_asking(tool: &str) -> bool {
    ASKING.contains(&tool)
}
