//! Compares the sessions of the state with what a clean pass over their files finds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde_json::Value;

use crate::ledger::session::Session;
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::SessionId;
use crate::views::sessions::summary::{FileCounts, Part, SessionSummary, SummarySources, ToolDurations};

/// The result of a comparison.
#[derive(Debug, Default)]
pub struct Findings {
    /// Number of sessions that the files hold.
    pub compared: usize,
    /// Number of sessions whose files are gone, so that only the state still has them.
    pub only_in_state: usize,
    /// All differences, in the order of the sessions.
    pub differences: Vec<Difference>,
}

/// A difference between the state and the files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Difference {
    pub session: String,
    /// Name of the field of [`SessionSummary`] that differs; `None` if the state does not have the session.
    pub field: Option<String>,
    /// What the state and the files say, as a sentence for people.
    pub text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}: {}", self.session, self.text)
    }
}

/// Every session of the state. Fails if the database cannot be read.
pub fn all(reader: &StoreReader) -> Result<BTreeMap<SessionId, Session>, StoreError> {
    let mut sessions = BTreeMap::new();
    reader.each_session(|session| drop(sessions.insert(session.id.clone(), session)))?;
    Ok(sessions)
}

/// Summaries of `sessions`, which are sessions of the state, as `scan` would list them. If one was forked from another,
/// that must be among them. Fails if the database cannot be read.
pub fn stored(
    reader: &StoreReader,
    sessions: &BTreeMap<SessionId, Session>,
) -> Result<Vec<SessionSummary>, StoreError> {
    let mut failed = Ok(());
    let failure = RefCell::new(&mut failed);
    let durations = |session: &Session| {
        let mut durations = ToolDurations::default();
        if let Err(error) = reader.each_parts_of(&session.id, |parts| durations.add(parts)) {
            **failure.borrow_mut() = Err(error);
        }
        durations
    };
    let sources = SummarySources { session: &|id| sessions.get(id), durations: &durations };
    let summary = Part::of(sessions.values(), &sources, true).summary(FileCounts::default(), true);
    failed.map(|()| summary.session_list.unwrap_or_default())
}

/// Every difference between the summaries of the state and those of a clean pass.
#[must_use]
pub fn compare(stored: &[SessionSummary], clean: &[SessionSummary]) -> Findings {
    let mut stored: BTreeMap<&str, &SessionSummary> =
        stored.iter().map(|session| (session.id.as_str(), session)).collect();
    let mut findings = Findings::default();
    for session in clean {
        findings.compared += 1;
        let mut differs = |field, text| {
            findings.differences.push(Difference { session: session.id.clone(), field, text });
        };
        let Some(known) = stored.remove(session.id.as_str()) else {
            differs(None, "not in the state".to_owned());
            continue;
        };
        let (known, clean) = (fields(known), fields(session));
        for (field, clean) in clean {
            let known = known.get(&field).unwrap_or(&Value::Null);
            if *known != clean {
                let text = format!("{field} is {known} in the state, {clean} in the files");
                differs(Some(field), text);
            }
        }
    }
    findings.only_in_state = stored.len();
    findings
}

fn fields(session: &SessionSummary) -> BTreeMap<String, Value> {
    match serde_json::to_value(session).map_err(io::Error::from) {
        Ok(Value::Object(fields)) => fields.into_iter().collect(),
        _ => unreachable!("a session's line is an object of plain values"),
    }
}
