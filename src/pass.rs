//! One clean pass over session files, in memory: no state, no server.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use crate::ahead::{self, Job, Parsed, Piece};
use crate::ledger::fold::Fold;
use crate::ledger::known::Known;
use crate::ledger::prices::Prices;
use crate::ledger::session::{Session, reported};
use crate::ledger::unit::Unit;
use crate::report::{chain, display};
use crate::tail::{self, Found, Problem, Target};
use crate::transcript::chunk::{FileNumber, FileRole};
use crate::transcript::record::{Body, Reason};
use crate::transcript::time::Timestamp;
use crate::views::labels::LabelRules;
use crate::views::summary::{Files, Sources, Summary, ToolDurations, summarize};
use crate::views::totals::{Snapshot, Totals};

/// What a pass found.
#[derive(Debug)]
pub struct Pass {
    known: Known,
    /// What was read.
    pub files: Files,
    /// Files and folders that could not be read, with the reason.
    pub problems: Vec<String>,
    rejected: BTreeMap<Reason, u64>,
    unknown: BTreeMap<Arc<str>, u64>,
}

/// Everything that `targets` name: projects folders, config folders that have one, or single session files.
///
/// # Errors
///
/// The first target that does not exist.
pub fn find(targets: &[PathBuf], problems: &mut Vec<String>) -> Result<Vec<Found>, PathBuf> {
    let mut found = Vec::new();
    let mut note = |problem: Problem| problems.push(format!("{problem}: {}", problem.source));
    for target in targets {
        match tail::resolve_scan_target(target) {
            Target::Root(root) => found.extend(tail::scan(&root, &mut note)),
            Target::File(file) => found.extend(tail::scan_session(&file, &mut note)),
            Target::NotFound => return Err(target.clone()),
        }
    }
    // Two roots may overlap, or one may be a link to the other.
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let mut seen = HashSet::new();
    found.retain(|found| seen.insert((found.device, found.inode)));
    Ok(found)
}

impl Pass {
    /// Reads `found` to the end. `progress` is told files and bytes as they are done.
    #[must_use]
    pub fn over(found: Vec<Found>, prices: &Prices, threads: usize, mut progress: impl FnMut(u64, u64)) -> Self {
        let mut pass = Self {
            known: Known::default(),
            files: Files::default(),
            problems: Vec::new(),
            rejected: BTreeMap::new(),
            unknown: BTreeMap::new(),
        };
        pass.known.paths = found.iter().map(|found| display(&found.path).into()).collect();
        let jobs =
            found.into_iter().zip(0..).map(|(found, number)| Job { file: FileNumber(number), found, cursor: None });
        ahead::for_each(jobs.collect(), threads, |parsed| {
            match parsed {
                Parsed::Piece(piece) => {
                    progress(0, piece.bytes);
                    pass.take(&piece, prices);
                }
                Parsed::Failed { error, .. } => pass.problems.push(chain(&error)),
                Parsed::Done { .. } => progress(1, 0),
            }
            ControlFlow::Continue(())
        });
        pass.known.roll_up();
        pass.known.committed();
        pass
    }

    fn take(&mut self, piece: &Piece, prices: &Prices) {
        if piece.role == FileRole::Rows {
            self.files.read += u64::from(piece.restarted);
            self.files.bytes += piece.bytes;
            self.files.lines += piece.batch.lines;
        }
        let mut fold = Fold::new(&mut self.known, prices, piece.file, piece.restarted);
        for record in &piece.batch.records {
            fold.fold(record);
        }
        for record in &piece.batch.records {
            match &record.body {
                Body::Rejected(reason) => {
                    self.files.rejected_lines += 1;
                    *self.rejected.entry(*reason).or_default() += 1;
                    let path = self.known.path(piece.file);
                    let offset = record.place.offset;
                    tracing::warn!(path, offset, reason = reason.name(), "a line could not be read");
                }
                Body::Unknown(kind) => {
                    self.files.unknown_records += 1;
                    *self.unknown.entry(Arc::clone(kind)).or_default() += 1;
                    tracing::debug!(path = self.known.path(piece.file), kind = &**kind, "a record of an unknown type");
                }
                _ => {}
            }
        }
    }

    /// The result of the pass.
    #[must_use]
    pub fn summary(&self, with_sessions: bool) -> Summary {
        let durations = |session: &Session| {
            let mut durations = ToolDurations::default();
            self.units_of(session).into_iter().for_each(|unit| durations.add(unit));
            durations
        };
        let sources = Sources { session: &|id| self.known.session(id), durations: &durations };
        summarize(self.files, self.known.sessions(), &sources, with_sessions)
    }

    /// The totals of a sidecar that had been there from the beginning.
    #[must_use]
    pub fn totals(&self, labels: LabelRules) -> Snapshot {
        const BEGINNING: Timestamp = Timestamp(i64::MIN);
        let mut totals = Totals::new(labels);
        for unit in self.known.units() {
            totals.observe(None, unit, BEGINNING, None);
            if unit.is_turn() {
                totals.observe_turn(unit, (!unit.has_unpriced()).then(|| unit.cost()), BEGINNING);
            }
        }
        for session in self.known.sessions().filter(|session| session.is_real()) {
            let source = session.fork.as_ref().and_then(|fork| self.known.session(&fork.from));
            let reported = reported(session, source).unwrap_or_default();
            totals.reported(reported.cost, reported.unattributed);
            let entrypoint = session.context().and_then(|context| context.entrypoint.as_deref());
            totals.session_started(entrypoint, session.started().unwrap_or_default(), BEGINNING);
        }
        totals.lines(self.files.lines);
        self.rejected.iter().for_each(|(reason, lines)| totals.rejected(*reason, *lines));
        self.unknown.iter().for_each(|(kind, lines)| totals.unknown(kind, *lines));
        totals.snapshot()
    }

    /// Every session, in order of their first rows.
    #[must_use]
    pub fn sessions(&self) -> Vec<&Session> {
        let mut sessions: Vec<_> = self.known.sessions().filter(|session| session.is_real()).collect();
        sessions.sort_by_key(|session| (session.started(), session.id.clone()));
        sessions
    }

    /// The units of a session.
    #[must_use]
    pub fn units_of(&self, session: &Session) -> Vec<&Unit> {
        session.units.keys().filter_map(|unit| self.known.unit(*unit)).collect()
    }
}
