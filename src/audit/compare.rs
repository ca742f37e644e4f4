//! Compares the sessions of the state with what a clean pass over their files finds.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Number of sessions that the files hold and that are not compared, because they ended for their age.
    pub ended: usize,
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

/// Every session of the state, also those that ended for their age. Fails if the database cannot be read.
pub fn all(reader: &StoreReader) -> Result<BTreeMap<SessionId, Session>, StoreError> {
    let mut sessions = BTreeMap::new();
    reader.each_source(|session| drop(sessions.insert(session.id.clone(), session)))?;
    Ok(sessions)
}

/// The ids of sessions that ended for their age. Fails if the database cannot be read.
pub fn ended(reader: &StoreReader) -> Result<BTreeSet<String>, StoreError> {
    Ok(reader.retired_sessions()?.into_iter().map(|id| id.to_string()).collect())
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

/// Every difference between the summaries of the state and those of a clean pass. Sessions that ended for their age are not
/// compared, and neither are forks of one whose file is gone: their files hold copies of its rows, and nothing else does.
#[must_use]
pub fn compare(stored: &[SessionSummary], clean: &[SessionSummary], ended: &BTreeSet<String>) -> Findings {
    let stored = stored.iter().filter(|session| !ended.contains(&session.id));
    let mut stored: BTreeMap<&str, &SessionSummary> = stored.map(|session| (session.id.as_str(), session)).collect();
    let mut findings = Findings::default();
    let has_file = |id: &String| clean.iter().any(|session| session.id == *id);
    for session in clean {
        let source = session.forked_from.as_ref().filter(|source| ended.contains(*source));
        if ended.contains(&session.id) || source.is_some_and(|source| !has_file(source)) {
            stored.remove(session.id.as_str());
            findings.ended += 1;
            continue;
        }
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
