//! `tailspan verify`: compares the state with a clean pass over the session files.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use super::scan::{ScanError, print};
use crate::audit::pass;
use crate::audit::survey::Survey;
use crate::audit::{compare, counters};
use crate::config::{Config, ConfigError};
use crate::ledger::prices::Prices;
use crate::sidecar::clock;
use crate::sidecar::settings::{archive, label_rules, threads};
use crate::store::{self, Opened, StoreError};
use crate::tail::{self, FoundFile, RootEnv};
use crate::transcript::chunk::FileNumber;

/// Most differences, and most unreadable files, that are listed; further ones are only counted.
const LISTED_MAX: usize = 1000;

/// Why a state could not be checked, or differs from the files.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no state to check.
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
        /// Number of differences.
        count: usize,
    },
}

/// Reads all session files, compares each session with the same session in the state, and compares the stored counters
/// with the sessions in the state. Fails if the state cannot be opened, for example because a running sidecar holds it,
/// or if there is a difference.
pub fn run(config: &Config, env: &RootEnv, prices: &Prices) -> Result<(), VerifyError> {
    let folder = config.state()?;
    if !store::exists(folder) {
        return Err(VerifyError::NoState { path: folder.to_path_buf() });
    }
    let mut opened = store::open(folder, clock::now())?;
    let roots = tail::existing(&tail::session_roots(&[], &config.projects, env));
    let mut problems = Vec::new();
    // A root that was removed in the meantime counts as one without sessions.
    let mut found = pass::find(&roots, &mut problems).unwrap_or_default();
    found.extend(tail::scan_streams(&tail::streams_below(folder), &mut |problem: tail::FolderProblem| {
        problems.push(format!("{problem}: {}", problem.source));
    }));
    let (archive, offsets) = (archive(config), offsets(&opened));
    match archive.beside(&found) {
        // A copy from before a file grew for the last time has less than was counted.
        Ok(copies) => found.extend(copies.into_iter().filter(|copy| copy.size >= counted(&opened, &offsets, copy))),
        Err(error) => problems.push(format!("cannot read the archive: {error}")),
    }
    found.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
    let unread_bytes = unread_bytes(&opened, &found);
    let files = found.len();
    let (clean, read) = Survey::of(found, prices, threads()).summary(true, |_, _| {});
    let stored = compare::stored(&opened.reader, &compare::all(&opened.reader)?)?;
    let ended = compare::ended(&opened.reader)?;
    let findings = compare::compare(&stored, &clean.session_list.unwrap_or_default(), &ended);
    let mut text = String::new();
    for problem in problems.iter().chain(&read.problems).take(LISTED_MAX) {
        line(&mut text, format_args!("not checked: {problem}"));
    }
    let unchecked = problems.len() + read.problems.len();
    if unchecked > LISTED_MAX {
        line(&mut text, format_args!("and {} more not checked", unchecked - LISTED_MAX));
    }
    for difference in findings.differences.iter().take(LISTED_MAX) {
        line(&mut text, format_args!("{difference}"));
    }
    let listed = findings.differences.len();
    if listed > LISTED_MAX {
        line(&mut text, format_args!("and {} more", listed - LISTED_MAX));
    }
    let totals = std::mem::take(&mut opened.recovered.totals);
    let miscounts = counters::compare(&opened.reader, totals, &label_rules(config), opened.epoch.first_start)?;
    for miscount in &miscounts {
        line(&mut text, format_args!("{miscount}"));
    }
    let count = listed + miscounts.len();
    line(&mut text, format_args!("{} sessions in {files} files compared, {count} differences", findings.compared));
    if findings.ended > 0 {
        line(
            &mut text,
            format_args!("{} sessions are not compared: they ended for their age (retention.facts)", findings.ended),
        );
    }
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

/// Bytes of the files that the state has not counted yet.
pub(super) fn unread_bytes(opened: &Opened, found: &[FoundFile]) -> u64 {
    let offsets = offsets(opened);
    found.iter().map(|file| file.size.saturating_sub(counted(opened, &offsets, file))).sum()
}

/// How many bytes of each file are counted.
fn offsets(opened: &Opened) -> BTreeMap<FileNumber, u64> {
    opened.recovered.cursors.iter().map(|(file, cursor)| (*file, cursor.offset)).collect()
}

fn counted(opened: &Opened, offsets: &BTreeMap<FileNumber, u64>, file: &FoundFile) -> u64 {
    let number = opened.recovered.paths.number(file.path.as_os_str().as_encoded_bytes());
    number.and_then(|number| offsets.get(&number).copied()).unwrap_or(0)
}
