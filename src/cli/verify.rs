//! `tailspan verify`: the state against a clean pass over the session files.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use serde_json::Value;

use super::scan::{ScanError, print, threads};
use crate::config::{Config, ConfigError};
use crate::daemon;
use crate::ledger::prices::Prices;
use crate::ledger::session::Session;
use crate::pass;
use crate::store::{self, Opened, Reader, StoreError};
use crate::survey::Survey;
use crate::tail::{self, Found, RootEnv};
use crate::transcript::ids::SessionId;
use crate::views::summary::{Files, Part, SessionSummary, Sources, ToolDurations};

/// Differences that are listed; the rest is counted.
const LISTED_MAX: usize = 1000;

/// Why a state could not be checked, or did not pass.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is nothing to check.
    #[error("there is no state in {path}: it begins with `tailspan run`", path = path.display())]
    NoState {
        /// The state folder.
        path: PathBuf,
    },
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The result could not be printed.
    #[error(transparent)]
    Print(#[from] ScanError),
    /// The state says something else than the files.
    #[error("{count} differences between the state and the session files")]
    Differs {
        /// How many.
        count: usize,
    },
}

/// What was found by comparing.
#[derive(Debug, Default)]
struct Findings {
    compared: usize,
    /// Sessions of which the files are gone: the state is all that is left of them.
    only_in_state: usize,
    differences: Vec<String>,
}

/// Reads all session files and compares each session with what the state says of it.
///
/// # Errors
///
/// The state cannot be opened (a running sidecar holds it), or there is a difference.
pub fn run(config: &Config, env: &RootEnv, prices: &Prices) -> Result<(), VerifyError> {
    let folder = config.state()?;
    if !folder.join("db").exists() {
        return Err(VerifyError::NoState { path: folder.to_path_buf() });
    }
    let opened = store::open(folder, daemon::now())?;
    let roots = tail::existing(&tail::session_roots(&[], &config.projects, env));
    let mut problems = Vec::new();
    // A root that vanishes meanwhile has no sessions.
    let found = pass::find(&roots, &mut problems).unwrap_or_default();
    let unread_bytes = unread_bytes(&opened, &found);
    let files = found.len();
    let (clean, read) = Survey::of(found, prices, threads()).summary(true, |_, _| {});
    let findings = compare(&stored(&opened.reader)?, clean.session_list.unwrap_or_default());
    let mut text = String::new();
    for problem in problems.iter().chain(&read.problems) {
        line(&mut text, format_args!("not checked: {problem}"));
    }
    for difference in findings.differences.iter().take(LISTED_MAX) {
        line(&mut text, format_args!("{difference}"));
    }
    let count = findings.differences.len();
    if count > LISTED_MAX {
        line(&mut text, format_args!("and {} more", count - LISTED_MAX));
    }
    line(&mut text, format_args!("{} sessions in {files} files compared, {count} differences", findings.compared));
    if findings.only_in_state > 0 {
        line(
            &mut text,
            format_args!("{} sessions are only in the state: their files are gone", findings.only_in_state),
        );
    }
    if unread_bytes > 0 {
        line(&mut text, format_args!("{unread_bytes} bytes are not read yet: `tailspan run` reads them"));
    }
    if opened.recovered.prices.is_some_and(|used| used != prices.fingerprint()) {
        line(&mut text, format_args!("prices have changed since: `tailspan run` computes every cost again"));
    }
    print(&text)?;
    if count == 0 { Ok(()) } else { Err(VerifyError::Differs { count }) }
}

fn line(text: &mut String, line: impl std::fmt::Display) {
    match writeln!(text, "{line}") {
        Ok(()) => {}
        Err(_) => unreachable!("writing to a string does not fail"),
    }
}

/// Bytes of the files that lie behind what was counted.
fn unread_bytes(opened: &Opened, found: &[Found]) -> u64 {
    let offset = |row: &store::FileRow| row.cursor.as_ref().map_or(0, |cursor| cursor.offset);
    let counted: BTreeMap<PathBuf, u64> = opened
        .recovered
        .files
        .iter()
        .map(|(_, row)| (PathBuf::from(OsString::from_vec(row.path.clone())), offset(row)))
        .collect();
    found.iter().map(|file| file.size.saturating_sub(counted.get(&file.path).copied().unwrap_or(0))).sum()
}

/// Every session of the state, as `scan` would list it.
fn stored(reader: &Reader) -> Result<Vec<SessionSummary>, StoreError> {
    let mut sessions: BTreeMap<SessionId, Session> = BTreeMap::new();
    reader.each_session(|session| drop(sessions.insert(session.id.clone(), session)))?;
    let mut failed = Ok(());
    let failure = RefCell::new(&mut failed);
    let durations = |session: &Session| {
        let mut durations = ToolDurations::default();
        match reader.units_of(session) {
            Ok(units) => units.iter().for_each(|unit| durations.add(unit)),
            Err(error) => **failure.borrow_mut() = Err(error),
        }
        durations
    };
    let sources = Sources { session: &|id| sessions.get(id), durations: &durations };
    let summary = Part::of(sessions.values(), &sources, true).summary(Files::default(), true);
    failed.map(|()| summary.session_list.unwrap_or_default())
}

fn compare(stored: &[SessionSummary], clean: Vec<SessionSummary>) -> Findings {
    let mut stored: BTreeMap<&str, &SessionSummary> =
        stored.iter().map(|session| (session.id.as_str(), session)).collect();
    let mut findings = Findings::default();
    for session in clean {
        findings.compared += 1;
        let Some(known) = stored.remove(session.id.as_str()) else {
            findings.differences.push(format!("session {}: not in the state", session.id));
            continue;
        };
        let (known, clean) = (fields(known), fields(&session));
        for (field, clean) in &clean {
            let known = known.get(field).unwrap_or(&Value::Null);
            if known != clean {
                let difference =
                    format!("session {}: {field} is {known} in the state, {clean} in the files", session.id);
                findings.differences.push(difference);
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
