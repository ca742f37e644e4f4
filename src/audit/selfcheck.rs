//! The self-check: now and then some sessions are read once more and compared with the state, on a thread of its own.
//!
//! 1. A sample of session files is read in a clean pass, each with all files that the state knows to belong to it.
//!    Sessions that agree with the state need nothing more. Only files that are counted to their end are read, so that
//!    the check waits for no growing file.
//! 2. Sessions that differ are read again together with all files, since their rows may stand in other files too (as
//!    `tailspan verify` does). A difference is a *drift* only if all files that share rows with the session are counted
//!    to their end, if neither the files nor the state have changed during the check, and if every row that was counted
//!    still stands in its place: the state also remembers rows that files no longer hold.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::audit::compare;
use crate::audit::pass::{self, Manner, Pass};
use crate::audit::survey::Survey;
use crate::ledger::prices::Prices;
use crate::ledger::session::Session;
use crate::ledger::unit::{RowPlace, Unit};
use crate::store::{FileRow, StoreError, StoreReader};
use crate::tail::reread::{self, Missing, Source};
use crate::tail::{self, FoundFile};
use crate::text::chain;
use crate::transcript::chunk::FileNumber;
use crate::transcript::expected::Expected;
use crate::transcript::ids::SessionId;
use crate::views::sessions::summary::{FileCounts, SessionSummary};
use crate::vitals::Vitals;

/// After this many bytes of session files the first step of a check ends. A family may not be larger either.
const BYTES_MAX: u64 = 64 << 20;

/// Most sessions of one check.
const SESSIONS_MAX: usize = 500;

/// Most sessions of one family; forks of forks can make it large.
const FAMILY_MAX: usize = 100;

/// Most differences that are remembered, so that each is counted once. If there are more, all are forgotten.
const SAID_MAX: usize = 10_000;

/// The longest time from the start to the first check.
const FIRST_WAIT: Duration = Duration::from_secs(3600);

/// Pause before the next try while the state catches up with the files.
const SCAN_WAIT: Duration = Duration::from_secs(60);

/// Fields of [`SessionSummary`] that may come from rows whose place is not stored. If a file was rewritten, these rows
/// may be gone, so a difference in such a field is no drift.
const WITHOUT_PLACE: [&str; 9] = [
    "title",
    "client_reported_usd",
    "unattributed_usd",
    "git_branch",
    "cwd",
    "project",
    "resumed",
    "started_at",
    "ended_at",
];

/// Compares a sample of sessions with their files.
#[derive(Debug)]
pub struct SelfCheck {
    reader: StoreReader,
    prices: Prices,
    /// Candidates for session roots.
    roots: Vec<PathBuf>,
    /// The folder of stream files.
    streams: PathBuf,
    vitals: Arc<Vitals>,
    /// Set when the process is asked to end.
    stop: Arc<AtomicBool>,
    /// Path of the session with which the next check begins; `None` before the first check.
    next: Option<PathBuf>,
    /// Differences that were logged and counted.
    said: HashSet<compare::Difference>,
}

/// The result of a check.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Number of sessions that were compared.
    pub compared: usize,
    /// Number of sessions that could not be compared: they grow, their files are gone or unreadable, or they are too
    /// large.
    pub skipped: usize,
    /// Number of drifts that were not known before.
    pub drifts: usize,
}

/// Sessions that share rows, with their files and what the first step found.
struct FileFamily {
    groups: BTreeSet<PathBuf>,
    files: Vec<FoundFile>,
    sessions: BTreeSet<SessionId>,
    stored: Vec<SessionSummary>,
    compared: usize,
    differs: BTreeSet<String>,
}

impl SelfCheck {
    /// A check that compares the state of `reader` with the session files below `roots` and the stream files in `streams`.
    #[must_use]
    pub fn new(
        reader: StoreReader,
        prices: Prices,
        (roots, streams): (Vec<PathBuf>, PathBuf),
        vitals: Arc<Vitals>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self { reader, prices, roots, streams, vitals, stop, next: None, said: HashSet::new() }
    }

    /// Checks once in each interval of `every` until the sender of `ended` is dropped. The first check comes an hour
    /// after the start at the latest.
    pub fn run(mut self, every: Duration, ended: &Receiver<()>) {
        let mut wait = every.min(FIRST_WAIT);
        while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            if !self.vitals.is_following.get() {
                wait = every.min(SCAN_WAIT);
                continue;
            }
            wait = every;
            match self.check() {
                Ok(Checked { compared, skipped, drifts }) => {
                    tracing::info!(compared, skipped, drifts, "the state was compared with some of the session files");
                }
                Err(error) => tracing::warn!(error = chain(&error), "the state could not be compared with its files"),
            }
        }
    }

    /// Compares a sample now. Each drift is logged and counted once. Fails if the database cannot be read.
    pub fn check(&mut self) -> Result<Checked, StoreError> {
        let disk = OnDisk::of(self.found(), &self.reader)?;
        let mut checked = Checked::default();
        let (mut bytes, mut done, mut suspects) = (0, BTreeSet::new(), Vec::new());
        for group in self.sample(&disk) {
            if bytes >= BYTES_MAX || self.is_stopped() {
                self.next = Some(group);
                break;
            }
            if done.contains(&group) {
                continue;
            }
            match self.family(&disk, &group)? {
                Some(family) => {
                    bytes += family.files.iter().map(|found| found.size).sum::<u64>();
                    done.extend(family.groups.iter().cloned());
                    checked.compared += family.compared;
                    suspects.extend((!family.differs.is_empty()).then_some(family));
                }
                None => checked.skipped += 1,
            }
        }
        if !suspects.is_empty() && !self.is_stopped() {
            checked.drifts = self.confirm(suspects)?;
        }
        Ok(checked)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn found(&self) -> Vec<FoundFile> {
        // The reading thread has logged already which folders cannot be read.
        let mut found = pass::find(&tail::existing(&self.roots), &mut Vec::new()).unwrap_or_default();
        found.extend(tail::scan_streams(&self.streams, &mut |_| {}));
        found
    }

    /// Paths of the next sessions on the disk, from where the last check stopped; the first check begins at random.
    fn sample(&mut self, disk: &OnDisk) -> Vec<PathBuf> {
        let all: Vec<&PathBuf> = disk.groups.keys().collect();
        let random = || usize::try_from(RandomState::new().hash_one(0) >> 1).unwrap_or(0) % all.len().max(1);
        let start = self.next.take().map_or_else(random, |next| all.partition_point(|group| **group < next));
        let mut round = all.iter().cycle().skip(start).take(all.len()).map(|group| (*group).clone());
        let sample = round.by_ref().take(SESSIONS_MAX).collect();
        self.next = round.next();
        sample
    }

    /// Reads a session with all files and sessions that belong to it. `None` if it cannot be compared now.
    fn family(&self, disk: &OnDisk, first: &Path) -> Result<Option<FileFamily>, StoreError> {
        let mut groups = BTreeSet::from([first.to_path_buf()]);
        loop {
            let Some(files) = disk.counted(&groups) else { return Ok(None) };
            let pass =
                Pass::read(&files, &self.prices, Manner { says: false, last_rows: false, rules: None }, |_, _| {});
            if !pass.problems.is_empty() || self.is_stopped() {
                return Ok(None);
            }
            let sessions = self.relatives(pass.named())?;
            let mut more = groups.clone();
            for session in sessions.values() {
                for unit in self.reader.units_of(session)? {
                    let places = places_of(&unit);
                    for file in places.iter().map(|(place, _)| place.file).chain([unit.claim.file]) {
                        // The file is gone, so that its rows cannot be compared any more.
                        let Some(group) = disk.numbers.get(&file) else { return Ok(None) };
                        more.insert(group.clone());
                    }
                }
            }
            if more.len() > groups.len() {
                groups = more;
                continue;
            }
            let stored = compare::stored(&self.reader, &sessions)?;
            let findings = compare::compare(&stored, &sessions_of(&pass), &compare::ended(&self.reader)?);
            let differs = findings.differences.into_iter().map(|difference| difference.session).collect();
            let sessions = sessions.into_keys().collect();
            return Ok(Some(FileFamily { groups, files, sessions, stored, compared: findings.compared, differs }));
        }
    }

    /// The named sessions as the state has them, also those that ended for their age, with the sessions that they were forked from or that were forked from
    /// them.
    fn relatives<'a>(
        &self,
        named: impl Iterator<Item = &'a Session>,
    ) -> Result<BTreeMap<SessionId, Session>, StoreError> {
        let mut open: Vec<SessionId> = named.flat_map(|session| links(session).chain([session.id.clone()])).collect();
        let mut sessions = BTreeMap::new();
        while let Some(id) = open.pop() {
            if sessions.len() >= FAMILY_MAX || sessions.contains_key(&id) {
                continue;
            }
            if let Some(session) = self.reader.source(&id)? {
                open.extend(links(&session));
                if session.has_forks {
                    open.extend(self.reader.forks(&session.id)?);
                }
                sessions.insert(id, session);
            }
        }
        Ok(sessions)
    }

    /// Reads all files and logs which differences of the suspects are drifts. Returns how many of them are new.
    fn confirm(&mut self, suspects: Vec<FileFamily>) -> Result<usize, StoreError> {
        let suspected: HashSet<&Path> =
            suspects.iter().flat_map(|family| &family.files).map(|found| &*found.path).collect();
        let mut related: Vec<(Vec<FoundFile>, Vec<SessionSummary>)> = Vec::new();
        Survey::of(self.found(), &self.prices, 1).quietly().each_with(
            |found| suspected.contains(&*found.path),
            |files, pass| related.push((files, sessions_of(pass))),
        );
        let disk = OnDisk::of(self.found(), &self.reader)?;
        let mut drifts = 0;
        for family in &suspects {
            let mut sessions = BTreeMap::new();
            for id in &family.sessions {
                sessions.extend(self.reader.source(id)?.map(|session| (id.clone(), session)));
            }
            let stored = compare::stored(&self.reader, &sessions)?;
            let changed = stored != family.stored || disk.counted(&family.groups).as_ref() != Some(&family.files);
            sessions.retain(|id, _| family.differs.contains(&*id.0));
            let own: HashSet<&Path> = family.files.iter().map(|found| &*found.path).collect();
            let related = || related.iter().filter(|(files, _)| files.iter().any(|found| own.contains(&*found.path)));
            let is_counted = related().flat_map(|(files, _)| files).all(|found| disk.is_counted(found));
            if changed || !is_counted || !self.holds(&disk, &sessions)? {
                continue;
            }
            let clean = related().flat_map(|(_, clean)| clean).filter(|line| family.differs.contains(&line.id));
            let clean: Vec<_> = clean.cloned().collect();
            let rewritten =
                disk.numbers.iter().any(|(file, group)| family.groups.contains(group) && disk.is_rewritten(*file));
            for difference in compare::compare(&stored, &clean, &compare::ended(&self.reader)?).differences {
                let has_no_place = difference.field.as_deref().is_some_and(|field| WITHOUT_PLACE.contains(&field));
                if !(rewritten && has_no_place) {
                    drifts += usize::from(self.say(difference));
                }
            }
        }
        self.vitals.state_drift.add(drifts as u64);
        Ok(drifts)
    }

    /// Whether every row that was counted for these sessions still stands where it stood.
    fn holds(&self, disk: &OnDisk, sessions: &BTreeMap<SessionId, Session>) -> Result<bool, StoreError> {
        let mut files: HashMap<FileNumber, Result<Source, Missing>> = HashMap::new();
        for session in sessions.values() {
            let units = self.reader.units_of(session)?;
            // If a unit has no place of a row, nobody knows whether its rows are still in a file that was rewritten.
            if units.iter().any(|unit| places_of(unit).is_empty() && disk.is_rewritten(unit.claim.file)) {
                return Ok(false);
            }
            for (place, expected) in units.iter().flat_map(places_of) {
                let open = || disk.paths.get(&place.file).ok_or(Missing::Gone).and_then(|path| reread::open(path));
                let file = files.entry(place.file).or_insert_with(open);
                let read = file
                    .as_ref()
                    .map_err(|missing| *missing)
                    .and_then(|file| reread::read(file, place.place, &expected).map(drop));
                if !matches!(read, Ok(()) | Err(Missing::TooLarge | Missing::Untold)) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn say(&mut self, difference: compare::Difference) -> bool {
        if self.said.contains(&difference) {
            return false;
        }
        let compare::Difference { session, text, .. } = &difference;
        tracing::error!(session, difference = text, "the state differs from the session files");
        if self.said.len() >= SAID_MAX {
            self.said.clear();
        }
        self.said.insert(difference)
    }
}

/// The session files that exist, and how far they are counted.
struct OnDisk {
    /// Files of each session, by the path of the session.
    groups: BTreeMap<PathBuf, Vec<FoundFile>>,
    /// The stored row of each file, by the path of the file.
    rows: HashMap<PathBuf, FileRow>,
    paths: HashMap<FileNumber, PathBuf>,
    /// The path of the session that each file belongs to.
    numbers: HashMap<FileNumber, PathBuf>,
}

impl OnDisk {
    fn of(found: Vec<FoundFile>, reader: &StoreReader) -> Result<Self, StoreError> {
        let present: HashMap<PathBuf, PathBuf> =
            found.iter().map(|found| (found.path.clone(), found.session_path())).collect();
        let mut groups: BTreeMap<PathBuf, Vec<FoundFile>> = BTreeMap::new();
        for found in found {
            groups.entry(found.session_path()).or_default().push(found);
        }
        let mut disk = Self { groups, rows: HashMap::new(), paths: HashMap::new(), numbers: HashMap::new() };
        reader.each_file(|number, mut row| {
            let path = PathBuf::from(OsString::from_vec(std::mem::take(&mut row.path)));
            if let Some(group) = present.get(&path) {
                disk.numbers.insert(number, group.clone());
                disk.paths.insert(number, path.clone());
                disk.rows.insert(path, row);
            }
        })?;
        Ok(disk)
    }

    /// The files of these sessions in order of their paths; `None` if one is not counted to its end, or if they are
    /// more than [`BYTES_MAX`] together.
    fn counted(&self, groups: &BTreeSet<PathBuf>) -> Option<Vec<FoundFile>> {
        let mut files: Vec<FoundFile> = Vec::new();
        for group in groups {
            files.extend(self.groups.get(group)?.iter().cloned());
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let bytes: u64 = files.iter().map(|found| found.size).sum();
        (bytes <= BYTES_MAX && files.iter().all(|found| self.is_counted(found))).then_some(files)
    }

    fn is_counted(&self, found: &FoundFile) -> bool {
        let cursor = self.rows.get(&found.path).and_then(|row| row.cursor.as_ref());
        let is_whole = cursor.is_some_and(|cursor| {
            (cursor.device, cursor.inode, cursor.offset) == (found.device, found.inode, found.size)
        });
        // The file may have grown since it was found.
        is_whole && fs::metadata(&found.path).is_ok_and(|now| (now.ino(), now.len()) == (found.inode, found.size))
    }

    /// Whether the file was read from its beginning more than once, or does not exist any more.
    fn is_rewritten(&self, file: FileNumber) -> bool {
        self.paths.get(&file).and_then(|path| self.rows.get(path)).is_none_or(|row| row.thread.generation > 1)
    }
}

fn sessions_of(pass: &Pass) -> Vec<SessionSummary> {
    pass.part(true).summary(FileCounts::default(), true).session_list.unwrap_or_default()
}

fn links(session: &Session) -> impl Iterator<Item = SessionId> + '_ {
    session.fork.iter().map(|fork| fork.from.clone())
}

/// The places of a unit's rows, and what must stand at each.
fn places_of(unit: &Unit) -> Vec<(RowPlace, Expected)> {
    let mut places = Vec::new();
    places.extend(unit.prompt_row());
    for message in &unit.parts.messages {
        places.extend(message.rows.iter().map(|place| (*place, Expected::Message(message.told_id().into()))));
    }
    for tool in &unit.parts.tools {
        places.extend(tool.call.as_ref().map(|call| (call.place, Expected::Call(tool.id.clone()))));
        places.extend(tool.result.as_ref().map(|end| (end.place, Expected::Result(tool.id.clone()))));
    }
    places
}
