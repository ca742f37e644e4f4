//! How long a call waited until somebody answered whether it may run, as far as a stream shows it.
//!
//! A stream shows the question (`control_request`) when a host was asked, and the result of the call. It shows no line at the
//! moment of the answer. So from question to result is
//!
//! - **the wait**, if the call was refused, or its tool does nothing but ask a person: nothing ran after the answer;
//! - **the wait**, but for the moment in which a file was written, if its tool edits a file: 0.04 to 0.14 s in the
//!   recordings, where nobody was asked;
//! - **the wait and the run** of any other call that was allowed, or interrupted: only an upper bound of the wait.

use super::unit::{Tool, ToolEnd};
use crate::transcript::record::Outcome;
use crate::transcript::time::Timestamp;

/// Tools that do nothing but ask a person, and those that edit a file, which takes no time to speak of.
const ASK_OR_EDIT: [&str; 7] =
    ["AskUserQuestion", "EnterPlanMode", "ExitPlanMode", "Edit", "MultiEdit", "NotebookEdit", "Write"];

/// A question whether a call may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// When it was asked, not before the call was made.
    pub asked: Timestamp,
    /// Milliseconds from then to the result of the call; `None` while there is none, or if its time says nothing.
    pub answered_within_ms: Option<u64>,
    /// True if all of these milliseconds were spent waiting for the answer.
    pub is_exact: bool,
}

impl Permission {
    /// Milliseconds that the call waited for the answer; `None` if they are not known exactly.
    #[must_use]
    pub fn waited_ms(&self) -> Option<u64> {
        self.answered_within_ms.filter(|_| self.is_exact)
    }
}

impl Tool {
    /// The question whether the call may run; `None` unless a stream shows that one was asked.
    #[must_use]
    pub fn permission(&self) -> Option<Permission> {
        let (call, asked) = (self.call.as_ref()?, self.asked?);
        let asked = asked.max(call.rank.time);
        let end = self.result.as_ref().filter(|_| self.duration_ms().is_some());
        // The line came after the time at which the client has the result, as in a stream that is passed on later: so it does
        // not tell when it was asked.
        if end.is_some_and(|end| end.rank.time < asked) {
            return None;
        }
        let runs_nothing =
            |end: &ToolEnd| end.outcome == Outcome::Denied || ASK_OR_EDIT.iter().any(|tool| **tool == *call.name);
        Some(Permission {
            asked,
            answered_within_ms: end.map(|end| end.rank.time.since_ms(asked)),
            is_exact: end.is_some_and(runs_nothing),
        })
    }
}
