//! One clean pass over session files, in memory: no state, no server. [`crate::audit::survey`] makes many small passes.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use crate::custom::{RuleReader, Rules};
use crate::ledger::fold::Fold;
use crate::ledger::known::Known;
use crate::ledger::prices::Prices;
use crate::ledger::rest::used_in_memory;
use crate::ledger::session::Session;
use crate::ledger::settle::{settle, turn_in_memory};
use crate::ledger::unit::{Unit, UnitId};
use crate::measures::change;
use crate::tail::{self, FileReader, FolderProblem, FoundFile, ReadLimits, ScanTarget};
use crate::text::chain;
use crate::transcript::chunk::{Chunk, FileNumber, FileRole};
use crate::transcript::ids::SessionId;
use crate::transcript::parse::{self, Strings};
use crate::transcript::record::{Reason, RowBody};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog;
use crate::views::metrics::custom::{self, Said};
use crate::views::metrics::history::MetricHistory;
use crate::views::metrics::labels::LabelRules;
use crate::views::metrics::totals::{Snapshot, Totals};
use crate::views::sessions::summary::{FileCounts, Part, Summary, SummarySources, ToolDurations};

/// A time before every row. A sidecar with its first start at this time would have counted everything.
const BEGINNING: Timestamp = Timestamp(i64::MIN);

/// The result of a pass.
#[derive(Debug)]
pub struct Pass {
    known: Known,
    /// Numbers of files, lines and bytes that were read.
    pub files: FileCounts,
    /// A sentence for each file or folder that could not be read.
    pub problems: Vec<String>,
    lines: UncountedLines,
    /// The units of each session, in the order of their ids.
    members: HashMap<SessionId, Vec<UnitId>>,
    /// Extracts what rules need of texts; `None` if none needs any.
    rules: Option<RuleReader>,
}

/// How a pass reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner<'a> {
    /// True if lines that cannot be read are logged.
    pub(crate) says: bool,
    /// True if a whole row at the end of a file counts even without its newline. This is for files that nobody writes
    /// any more.
    pub(crate) last_rows: bool,
    /// Rules of custom metrics, for which texts are looked at.
    pub(crate) rules: Option<&'a Rules>,
}

/// Counts of lines that add nothing to a session, by reason.
#[derive(Debug, Default)]
pub struct UncountedLines {
    rejected: BTreeMap<Reason, u64>,
    unknown: BTreeMap<Arc<str>, u64>,
    /// Lines in which the client reports a cost that cannot be meant.
    implausible: u64,
}

impl UncountedLines {
    /// Adds these counts to totals, with `lines`, the number of all lines.
    pub fn observe(&self, lines: u64, totals: &mut Totals) {
        totals.add(&catalog::LINES, lines);
        totals.add(&catalog::IMPLAUSIBLE_FIGURES, self.implausible);
        self.rejected.iter().for_each(|(reason, lines)| totals.rejected(*reason, *lines));
        self.unknown.iter().for_each(|(kind, lines)| totals.unknown(kind, *lines));
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.implausible += other.implausible;
        other.rejected.into_iter().for_each(|(reason, lines)| *self.rejected.entry(reason).or_default() += lines);
        other.unknown.into_iter().for_each(|(kind, lines)| *self.unknown.entry(kind).or_default() += lines);
    }
}

/// What a pass read, apart from the facts in it.
#[derive(Debug, Default)]
pub struct PassRead {
    /// Numbers of files, lines and bytes.
    pub files: FileCounts,
    /// A sentence for each file that could not be read.
    pub problems: Vec<String>,
    pub(crate) lines: UncountedLines,
}

impl PassRead {
    pub(crate) fn add(&mut self, other: Self) {
        self.files.add(other.files);
        self.problems.extend(other.problems);
        self.lines.add(other.lines);
    }
}

/// The session files that `targets` name: projects folders, config folders that have one, or single session files. What
/// cannot be read is added to `problems`. Fails with the first target that does not exist.
pub fn find(targets: &[PathBuf], problems: &mut Vec<String>) -> Result<Vec<FoundFile>, PathBuf> {
    let mut found = Vec::new();
    let mut note = |problem: FolderProblem| problems.push(format!("{problem}: {}", problem.source));
    for target in targets {
        match tail::resolve_scan_target(target) {
            ScanTarget::Root(root) => found.extend(tail::scan(&root, &mut note)),
            ScanTarget::File(file) => found.extend(tail::scan_session(&file, &mut note)),
            ScanTarget::NotFound => return Err(target.clone()),
        }
    }
    // Two roots may overlap, or one may be a link to the other.
    found.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
    let mut seen = HashSet::new();
    found.retain(|found| seen.insert((found.device, found.inode)));
    Ok(found)
}

impl Pass {
    /// Reads the `found` files to their ends, one after the other. `progress` is called with the numbers of files and
    /// bytes that were done since the last call.
    #[must_use]
    pub fn over(found: &[FoundFile], prices: &Prices, progress: impl FnMut(u64, u64)) -> Self {
        Self::read(found, prices, Manner { says: true, last_rows: false, rules: None }, progress)
    }

    /// [`Pass::over`] for files that were read before: what was logged about their lines is not logged again.
    pub(crate) fn again(found: &[FoundFile], prices: &Prices, manner: Manner<'_>) -> Self {
        Self::read(found, prices, Manner { says: false, ..manner }, |_, _| {})
    }

    pub(crate) fn read(
        found: &[FoundFile],
        prices: &Prices,
        manner: Manner<'_>,
        mut progress: impl FnMut(u64, u64),
    ) -> Self {
        let mut pass = Self {
            known: Known::default(),
            files: FileCounts::default(),
            problems: Vec::new(),
            lines: UncountedLines::default(),
            members: HashMap::new(),
            rules: manner.rules.map(RuleReader::new).filter(|rules| !rules.is_idle()),
        };
        for found in found {
            let number = pass.known.paths.push(found.path.as_os_str().as_encoded_bytes());
            if found.role == FileRole::Stream {
                pass.known.streams.insert(number);
            }
        }
        let mut reader = FileReader::new(ReadLimits::without_slices());
        let mut strings = Strings::default();
        for (found, number) in found.iter().zip(0..) {
            let mut offset = 0;
            let mut read = reader.each(found, FileNumber(number), None, |chunk| {
                progress(0, chunk.bytes.len() as u64);
                offset = chunk.cursor.offset;
                pass.take(chunk, &mut strings, prices, manner.says);
                ControlFlow::Continue(())
            });
            if manner.last_rows && offset < found.size && read.is_ok() {
                let last = reader.last_row(found, FileNumber(number), offset);
                read = last.map(|chunk| {
                    // A row that is not whole is still being written, and does not count.
                    if let Some(chunk) = chunk.filter(|chunk| parse::is_whole_row(&chunk.bytes, &mut strings)) {
                        // The reader has appended a newline, which is not a byte of the file.
                        let in_file = chunk.bytes.len().saturating_sub(1) as u64;
                        progress(0, in_file);
                        let before = pass.files.bytes;
                        pass.take(&chunk, &mut strings, prices, manner.says);
                        pass.files.bytes = before + in_file;
                    }
                    tail::End::Read
                });
            }
            if let Err(error) = read {
                pass.problems.push(chain(&error));
            }
            progress(1, 0);
        }
        let runs: Vec<RunId> = pass.known.runs().map(|run| run.id).collect();
        pass.known.spread_runs();
        for run in runs {
            settle(&mut pass.known, run, prices, &turn_in_memory, &used_in_memory);
        }
        pass.known.turned();
        pass.known.settle_owners();
        pass.known.give_up();
        pass.known.spread_runs();
        pass.known.roll_up();
        pass.known.tighten_sessions();
        pass.known.committed();
        for unit in pass.known.units() {
            pass.members.entry(unit.session().clone()).or_default().push(unit.key.id());
        }
        pass.members.values_mut().for_each(|units| units.sort_unstable());
        pass
    }

    /// Folds the records of a chunk, each as soon as it is read: memory that is freed at once costs next to nothing.
    fn take(&mut self, chunk: &Chunk, strings: &mut Strings, prices: &Prices, says: bool) {
        let Self { known, files, lines, rules, .. } = self;
        let path = String::from_utf8_lossy(&known.paths.path(chunk.file)).into_owned();
        let mut fold = Fold::new(known, prices, chunk.file, chunk.restarted);
        let seen = parse::each(chunk, strings, |mut record| {
            if let Some(rules) = rules.as_mut() {
                rules.extract(chunk, &mut record);
            }
            fold.fold(&record);
            match &record.body {
                RowBody::Implausible => {
                    lines.implausible += 1;
                    if says {
                        tracing::warn!(
                            path,
                            offset = record.place.offset,
                            "a cost that no client can mean is left out"
                        );
                    }
                }
                RowBody::Rejected(reason) => {
                    files.rejected_lines += 1;
                    *lines.rejected.entry(*reason).or_default() += 1;
                    if says {
                        let offset = record.place.offset;
                        tracing::warn!(path = &*path, offset, reason = reason.name(), "a line could not be read");
                    }
                }
                RowBody::Unknown(kind) => {
                    files.unknown_records += 1;
                    *lines.unknown.entry(Arc::clone(kind)).or_default() += 1;
                    if says {
                        tracing::debug!(path = &*path, kind = &**kind, "a record of an unknown type");
                    }
                }
                _ => {}
            }
        });
        if let Some(rules) = rules {
            rules.forget();
        }
        if chunk.role == FileRole::Rows {
            files.read += u64::from(chunk.restarted);
            files.bytes += chunk.bytes.len() as u64;
            files.lines += seen;
        }
    }

    /// Hashes of everything by which rows of other files could change the result of this pass. Files without a common
    /// key do not affect each other.
    pub fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.known.keys()
    }

    /// Takes out what the pass read, apart from the facts in it.
    pub(crate) fn take_read(&mut self) -> PassRead {
        PassRead {
            files: self.files,
            problems: std::mem::take(&mut self.problems),
            lines: std::mem::take(&mut self.lines),
        }
    }

    /// The part of a summary that comes from this pass; `with_sessions` includes the list of sessions.
    #[must_use]
    pub fn part(&self, with_sessions: bool) -> Part {
        let durations = |session: &Session| {
            let mut durations = ToolDurations::default();
            for unit in self.members(session) {
                let homes = self.known.unit(*unit).map(Unit::section_ids).into_iter().flatten().chain([*unit]);
                homes.filter_map(|home| self.known.parts(home)).for_each(|parts| durations.add(parts));
            }
            durations
        };
        let sources = SummarySources { session: &|id| self.known.session(id), durations: &durations };
        Part::of(self.known.sessions(), &sources, with_sessions)
    }

    /// Adds the facts of the pass to `totals`, as a sidecar that had run from the beginning would have counted them.
    pub fn observe(&self, totals: &mut Totals) {
        self.observe_since(BEGINNING, totals);
    }

    /// Adds the facts of the pass to `totals`, as a sidecar with its first start at `epoch` would have counted them.
    pub fn observe_since(&self, epoch: Timestamp, totals: &mut Totals) {
        change::everything(&self.known, |change| totals.observe(change, epoch, None));
    }

    /// Adds the facts of the pass to a history.
    pub fn remember(&self, history: &mut MetricHistory) {
        change::everything(&self.known, |change| history.observe(change));
    }

    /// Gives to `take` everything that the rules of custom metrics count in the pass, stamped at `since` or later.
    pub fn said(&self, labels: &LabelRules, since: Timestamp, take: &mut dyn FnMut(Said<'_>)) {
        change::everything(&self.known, |change| custom::each(change, labels, since, take));
    }

    /// The summary of the pass; `with_sessions` includes the list of sessions.
    #[must_use]
    pub fn summary(&self, with_sessions: bool) -> Summary {
        self.part(with_sessions).summary(self.files, with_sessions)
    }

    /// The totals that a sidecar would have if it had run from the beginning.
    #[must_use]
    pub fn totals(&self, labels: LabelRules) -> Snapshot {
        let mut totals = Totals::new(labels);
        self.observe(&mut totals);
        self.lines.observe(self.files.lines, &mut totals);
        totals.snapshot()
    }

    /// Every session that has rows, in order of their first rows.
    #[must_use]
    pub fn sessions(&self) -> Vec<&Session> {
        let mut sessions: Vec<_> = self.known.sessions().filter(|session| session.is_real()).collect();
        sessions.sort_by_key(|session| (session.started(), session.id.clone()));
        sessions
    }

    /// Every session that a row, a title or a fork names.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Session> {
        self.known.sessions()
    }

    /// The units of a session with all of their parts, in the order of their ids.
    #[must_use]
    pub fn units_of(&self, session: &Session) -> Vec<Cow<'_, Unit>> {
        self.members(session).iter().filter_map(|unit| self.known.whole(*unit)).collect()
    }

    fn members(&self, session: &Session) -> &[UnitId] {
        self.members.get(&session.id).map_or(&[], Vec::as_slice)
    }
}
