//! The only writer of the state. It writes the changes of each step as one commit, and compacts the database.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use sled::{Db, Tree};

use super::batch::Writes;
use super::commit::Commit;
use super::compact::{CopyPlaces, Overhead, discard, is_half_empty, live_bytes};
use super::disk::Disk;
use super::epoch::Epoch;
use super::error::StoreError;
use super::events::EventLog;
use super::handle::Handle;
use super::kept::OpenStore;
use super::layout::versions;
use super::lock::Lock;
use super::meter::OutboxMeter;
use super::pulse::Beat;
use super::rows::Rows;
use super::texts::HeldTexts;
use super::units::{self, Identities};
use super::{cells, codec, extracts, keys, limits, retire, spans};
use crate::ledger::known::{Index, Paths};
use crate::ledger::unit::{Unit, UnitId};
use crate::text::chain;
use crate::transcript::chunk::{Cursor, FileNumber, FileRole};
use crate::transcript::ids::SessionId;
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::limits::history::RowWrite;
use crate::views::metrics::totals::{Series, Stored};
use crate::views::traces::content::ContentLevel;

/// What the database held when it was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The path of every file.
    pub paths: Paths,
    /// The cursor of every file of which something was counted.
    pub cursors: Vec<(FileNumber, Cursor)>,
    /// The files that are streams.
    pub streams: Vec<FileNumber>,
    /// Runs of which something is still to be decided.
    pub runs: Vec<RunId>,
    /// Every persisted total.
    pub totals: Vec<(Series, Stored)>,
    /// Turns that wait for their end, whose spans have not left.
    pub pending: Vec<UnitId>,
    /// Fingerprint of the prices with which the stored costs were computed; `None` in a new database.
    pub prices: Option<u64>,
    /// If the database replaced a damaged one: the spans of turns that ended by this time had left before.
    pub export_floor: Option<Timestamp>,
}

/// Writes the state. There is only one.
#[derive(Debug)]
pub struct Writer {
    db: Db,
    tree: Tree,
    handle: Handle,
    meter: Arc<OutboxMeter>,
    kept: OpenStore,
    /// Number of the last commit.
    commits: u64,
    /// False while cells are being made for a state that had none.
    has_all_cells: bool,
    /// True once the database holds what rules extracted of texts.
    has_extracts: bool,
    /// True once the database holds what stays of sessions that ended for their age.
    has_retired: bool,
    /// True once the database holds looks at limits.
    has_limits: bool,
    places: CopyPlaces,
    /// Path of the database in use.
    place: PathBuf,
    /// Databases that were replaced and may still be read, with their paths.
    retired: Vec<(Arc<Tree>, PathBuf)>,
    overhead: Overhead,
    texts: HeldTexts,
    /// The log of events; `None` before it is begun.
    log: Option<EventLog>,
    /// No other process uses the folder while this lock is held.
    lock: Lock,
    /// Runs while the fields above are dropped, because sled writes its last changes then.
    closing: Option<Beat>,
}

impl Writer {
    pub(super) fn new(
        db: Db,
        handle: Handle,
        kept: &OpenStore,
        places: CopyPlaces,
        lock: Lock,
    ) -> Result<(Self, Recovered), StoreError> {
        let tree = (*db).clone();
        let (overhead, texts) = (Overhead::load(&tree)?, HeldTexts::load(&tree)?);
        let log = EventLog::load(&tree, kept.reader.log_end())?;
        let commits = codec::get(&tree, &keys::meta(keys::COMMIT))?.unwrap_or(0);
        let has_extracts = extracts::are_there(&tree)?;
        let (has_retired, has_limits) = (retire::are_there(&tree)?, limits::are_there(&tree)?);
        let has_all_cells = tree.get(keys::meta(keys::NEXT_CELLS))?.is_none();
        let (place, meter, kept) = (places.db.clone(), Arc::clone(&kept.meter), kept.clone());
        let retired = Vec::new();
        let writer = Self {
            db,
            tree,
            handle,
            meter,
            kept,
            commits,
            has_all_cells,
            has_extracts,
            has_retired,
            has_limits,
            places,
            place,
            retired,
            overhead,
            texts,
            log,
            lock,
            closing: None,
        };
        writer.kept.reader.changes().begin(writer.commits, writer.has_all_cells);
        let recovered = writer.recover()?;
        Ok((writer, recovered))
    }

    /// Runs of which something is still to be decided.
    fn undecided_runs(&self) -> Result<Vec<RunId>, StoreError> {
        let (rows, mut undecided) = (self.rows(), Vec::new());
        let mut with_turns: BTreeMap<SessionId, Vec<RunId>> = BTreeMap::new();
        rows.each_run(|run| {
            if !run.settled || run.end().is_some() && !run.left {
                undecided.push(run.id);
            } else if !run.provisional.is_empty() {
                run.sessions.iter().for_each(|told| with_turns.entry(told.id.clone()).or_default().push(run.id));
            }
        })?;
        // A session file came later, and the process may have ended before its turns were looked at again.
        for (session, runs) in with_turns {
            if rows.session(&session)?.is_some_and(|session| session.own_rows) {
                undecided.extend(runs);
            }
        }
        Ok(undecided)
    }

    fn recover(&self) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered {
            prices: codec::get(&self.tree, &keys::meta("prices"))?,
            export_floor: codec::get(&self.tree, &keys::meta("export_floor"))?,
            ..Recovered::default()
        };
        self.rows().each_file(|number, row| {
            recovered.paths.skip_to(number);
            recovered.paths.push(&row.path);
            if row.role == FileRole::Stream {
                recovered.streams.push(number);
            }
            recovered.cursors.extend(row.cursor.map(|cursor| (number, cursor)));
        })?;
        recovered.runs = self.undecided_runs()?;
        for row in self.tree.scan_prefix([keys::TOTAL]) {
            let (key, value) = row?;
            recovered.totals.push(codec::decode(&self.tree, &key, &value)?);
        }
        for row in self.tree.scan_prefix([keys::PENDING]) {
            let (key, value) = row?;
            let id = keys::id_of(&value).ok_or_else(|| StoreError::Damaged { key: key.to_vec() })?;
            recovered.pending.push(id);
        }
        Ok(recovered)
    }

    /// The index of all identities, with the unit or section in which each is counted. Fails if the database is
    /// damaged.
    pub fn identities(&self) -> Result<Index, StoreError> {
        let mut index = Index::default();
        for row in self.tree.scan_prefix([keys::IDENTITIES]) {
            let (key, value) = row?;
            let Some(number) = keys::number4(&key) else { continue };
            let (id, section, identities): Identities<Vec<u64>> = codec::decode(&self.tree, &key, &value)?;
            if !index.load(number, id, section, identities) {
                return Err(StoreError::Damaged { key: key.to_vec() });
            }
        }
        self.rows().each_retired(|retired| index.retire(retired.session, retired.units.iter()))?;
        Ok(index)
    }

    /// The rows of the database, as the last commit left them.
    pub(crate) const fn rows(&self) -> Rows<'_> {
        Rows::of(&self.tree)
    }

    /// Writes everything that a step changed as one batch. It is durable after [`Writer::flush`]. Fails if the disk is
    /// full, when nothing was written, or if the disk or the database fails, when a part may have been written. After
    /// an I/O error the whole batch is written once more when the database is opened again in this process.
    pub fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        let (mut batch, mut scratch) = (Writes::default(), Vec::new());
        for (number, row) in &commit.files {
            codec::put_with(&mut batch, &self.tree, keys::file(*number), row, &mut scratch)?;
        }
        let mut extracted = false;
        for change in &commit.units {
            units::put_unit(&mut batch, &self.tree, change, &mut scratch)?;
            extracted |= extracts::put_unit(&mut batch, &self.tree, change, &mut scratch)?;
        }
        for change in &commit.sections {
            units::put_section(&mut batch, &self.tree, change, &mut scratch)?;
            extracted |= extracts::put_section(&mut batch, &self.tree, change, &mut scratch)?;
        }
        if extracted && !self.has_extracts {
            // From now on an older program would lose what it does not know.
            versions::sign(&mut batch, &self.tree)?;
        }
        for session in &commit.sessions {
            codec::put_grown(&mut batch, &self.tree, keys::session(&session.id), session, &mut scratch)?;
        }
        for run in &commit.runs {
            codec::put_grown(&mut batch, &self.tree, keys::run(run.id), run, &mut scratch)?;
        }
        for (session, agent, waiting) in &commit.waiting {
            match waiting {
                Some(waiting) => {
                    let row = (session, agent, waiting);
                    codec::put_with(&mut batch, &self.tree, keys::waiting(session, agent), &row, &mut scratch)?;
                }
                None => codec::remove(&mut batch, &self.tree, keys::waiting(session, agent))?,
            }
        }
        for (source, fork) in &commit.forks {
            codec::put_with(&mut batch, &self.tree, keys::fork(source, fork), &(source, fork), &mut scratch)?;
        }
        for (series, stored) in &commit.totals {
            let name = postcard::to_stdvec(series).map_err(StoreError::Encode)?;
            codec::put_with(&mut batch, &self.tree, keys::total(&name), &(series, stored), &mut scratch)?;
        }
        for (number, unit) in &commit.pending {
            batch.insert(keys::pending(*number), &unit.0.to_be_bytes());
        }
        for number in &commit.settled {
            batch.remove(keys::pending(*number));
        }
        if let Some(prices) = commit.prices {
            codec::put_with(&mut batch, &self.tree, keys::meta("prices"), &prices, &mut scratch)?;
        }
        let added = spans::put(&mut batch, &self.tree, commit, &self.meter)?;
        if let Some(log) = &mut self.log
            && log.put(&mut batch, &self.tree, &commit.events, (commit.now, commit.caught_up), &mut scratch)?
        {
            versions::sign(&mut batch, &self.tree)?;
        }
        self.commits += 1;
        codec::put_with(&mut batch, &self.tree, keys::meta(keys::COMMIT), &self.commits, &mut scratch)?;
        self.apply(batch)?;
        self.has_extracts |= extracted;
        self.meter.added(added);
        let units = commit.units.iter().flat_map(|change| change.before.into_iter().chain([change.unit]));
        let sessions = units.map(Unit::session).chain(commit.sessions.iter().map(|session| &session.id));
        self.kept.reader.changes().add_runs(commit.runs.iter().map(|run| run.id));
        self.kept.reader.changes().add(self.commits, self.has_all_cells, sessions);
        Ok(())
    }

    /// False while cells are missing, because the state is of a program that made none.
    pub(crate) const fn has_all_cells(&self) -> bool {
        self.has_all_cells
    }

    /// Makes cells of some units that have none, because the state is of a program that made none. Returns true if there
    /// are more. Fails like [`Writer::commit`].
    pub fn make_cells(&mut self) -> Result<bool, StoreError> {
        if self.has_all_cells {
            return Ok(false);
        }
        let mut batch = Writes::default();
        let Some(made) = cells::make_some(&mut batch, &self.tree)? else { return Ok(false) };
        self.commits += 1;
        codec::put(&mut batch, &self.tree, keys::meta(keys::COMMIT), &self.commits)?;
        self.apply(batch)?;
        self.has_all_cells = !made.are_more;
        self.kept.reader.changes().add(self.commits, self.has_all_cells, made.sessions.iter());
        Ok(made.are_more)
    }

    /// Ends a session for its age: its units are removed, and what it spent stays, with the hashes of its identities. Nothing
    /// of it may be in memory as changed. Returns the numbers of its units; `None` if it is not there, or if its cells are
    /// still to be made. Fails like [`Writer::commit`].
    pub fn retire(&mut self, id: &SessionId) -> Result<Option<Vec<u32>>, StoreError> {
        if !self.has_all_cells {
            return Ok(None);
        }
        let mut batch = Writes::default();
        let Some(units) = retire::put(&mut batch, &self.tree, id)? else { return Ok(None) };
        if !self.has_retired {
            // From now on an older program would count again what ended.
            versions::sign(&mut batch, &self.tree)?;
        }
        self.commits += 1;
        codec::put(&mut batch, &self.tree, keys::meta(keys::COMMIT), &self.commits)?;
        self.apply(batch)?;
        self.has_retired = true;
        self.kept.reader.changes().add(self.commits, self.has_all_cells, std::iter::once(id));
        Ok(Some(units))
    }

    /// Writes looks at limits as one batch, or takes them out. Fails like [`Writer::commit`].
    pub fn keep_limits(&mut self, rows: &[RowWrite]) -> Result<(), StoreError> {
        let mut batch = Writes::default();
        limits::put(&mut batch, &self.tree, rows)?;
        if !self.has_limits {
            // From now on an older program would not know what it finds.
            versions::sign(&mut batch, &self.tree)?;
        }
        self.apply(batch)?;
        self.has_limits = true;
        Ok(())
    }

    fn apply(&self, batch: Writes) -> Result<(), StoreError> {
        let _beat = self.kept.pulse.begin("a commit");
        let again = batch.clone();
        let applied = batch.apply(&self.tree, &self.handle.disk());
        if let Err(StoreError::Database(sled::Error::Io(_))) = &applied {
            self.kept.keep_torn(self.commits, again);
        }
        applied
    }

    /// Makes every commit so far durable, and its spans visible to the exporter. Fails if the disk is full or failing,
    /// or if the files are not at their places any more.
    pub fn make_durable(&mut self) -> Result<(), StoreError> {
        let next = self.meter.next();
        self.handle.disk().check()?;
        self.flush_all()?;
        self.meter.flushed(next);
        self.log.iter().for_each(EventLog::durable);
        self.remove_retired();
        Ok(())
    }

    /// [`Writer::make_durable`], and then [`Writer::compact`] if the files have grown enough. Fails like these.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.make_durable()?;
        let on_disk = self.bytes_on_disk();
        match self.overhead.due(&self.tree, &self.handle.disk(), on_disk)? {
            Some(live) => self.copy(live).map(drop),
            None => Ok(()),
        }
    }

    fn flush_all(&self) -> Result<(), StoreError> {
        let _beat = self.kept.pulse.begin("making it durable");
        self.db.flush()?;
        Ok(())
    }

    /// Sets the content level at which spans are written from now on. To be called before the first of them is written.
    pub fn begin_content(&mut self, level: ContentLevel) -> Result<(), StoreError> {
        self.texts.begin(&self.tree, &self.handle.disk(), level, &self.meter)
    }

    /// Begins the log of events, unless the database has one. `is_new` says that the database holds nothing yet: then what
    /// happened before `now` is history. To be called before the first commit. Fails like [`Writer::commit`], or if
    /// `epoch` cannot be saved.
    pub fn begin_log(&mut self, epoch: &mut Epoch, is_new: bool, now: Timestamp) -> Result<(), StoreError> {
        /// Of a state of a program that told no events, what happened in the last day may be told.
        const DAY_MS: u64 = 86_400_000;
        if self.log.is_some() {
            return Ok(());
        }
        let earlier = Timestamp(now.0.saturating_sub_unsigned(DAY_MS));
        let begun = match (is_new, epoch.has_told()) {
            // As counters do.
            (true, false) => epoch.first_start,
            // What a log that is lost told is not told again.
            (_, true) => now,
            (false, false) => earlier.max(epoch.first_start),
        };
        let number = epoch.next_log(now)?;
        let end = self.kept.reader.log_end();
        self.log = Some(EventLog::begin((&self.tree, &self.handle.disk()), end, number, begun)?);
        Ok(())
    }

    /// The log of events; `None` before it is begun.
    pub const fn log(&mut self) -> Option<&mut EventLog> {
        self.log.as_mut()
    }

    /// Compacts the database to remove text of a higher content level than the current one, once no span of such a
    /// level waits any more. If the copy cannot be made, that is logged, and tried again ten minutes after `now`. Fails
    /// like [`Writer::compact`].
    pub fn give_back(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if !self.texts.is_due(&self.meter, now) {
            return Ok(());
        }
        tracing::info!("the content level was lowered: text that was delivered is taken out of the database");
        let live = live_bytes(&self.tree)?;
        if !self.copy(live)? {
            self.texts.put_off(now);
        }
        Ok(())
    }

    /// Copies the live rows into a new database, which replaces the one in use; readers go on with the new one. If the
    /// copy cannot be made, for example because there is no room, that is logged and everything stays as it is. Fails
    /// if the database in use fails; then the writer must be dropped.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        let live = live_bytes(&self.tree)?;
        self.copy(live).map(drop)
    }

    /// [`Writer::compact`] if the files would become less than half as large. To be called after much was removed, with
    /// everything durable. Fails like that.
    pub fn shrink(&mut self) -> Result<(), StoreError> {
        let live = live_bytes(&self.tree)?;
        if is_half_empty(self.bytes_on_disk(), live) { self.copy(live).map(drop) } else { Ok(()) }
    }

    /// [`Writer::compact`] for `live` bytes of rows. False if the copy cannot be made now.
    fn copy(&mut self, live: u64) -> Result<bool, StoreError> {
        let (started, before) = (Instant::now(), self.bytes_on_disk());
        let handle = self.handle.clone();
        let _writes = handle.writes();
        let (db, place) = match self.places.renew(&self.tree, live, &self.kept.pulse) {
            Err(error @ StoreError::Copy { .. }) => {
                self.places.discard();
                tracing::warn!(error = chain(&error), "the database cannot be compacted now");
                self.overhead.looked(&self.tree, &handle.disk(), before)?;
                return Ok(false);
            }
            renewed => renewed?,
        };
        self.db = db;
        self.tree = (*self.db).clone();
        let disk = Disk::of(&place, &self.lock)?;
        self.kept.uses(&disk);
        let old = self.handle.replace(self.tree.clone(), disk);
        self.retired.push((old, std::mem::replace(&mut self.place, place)));
        self.remove_retired();
        let after = self.bytes_on_disk();
        self.overhead.looked(&self.tree, &handle.disk(), after)?;
        self.texts.copied(&self.tree, &handle.disk(), &self.meter)?;
        self.flush_all()?;
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(before, after, milliseconds, "the database was compacted");
        Ok(true)
    }

    /// Removes the replaced databases that nobody reads any more.
    fn remove_retired(&mut self) {
        for (tree, place) in std::mem::take(&mut self.retired) {
            if Arc::strong_count(&tree) > 1 {
                self.retired.push((tree, place));
            } else {
                let _beat = self.kept.pulse.begin("closing an old database");
                drop(tree);
                discard(&place);
            }
        }
    }

    /// True if units and sections may have extracts, which [`Rows::add_extracts`] puts on them.
    pub(crate) const fn has_extracts(&self) -> bool {
        self.has_extracts
    }

    /// Size of the database on disk in bytes.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.db.size_on_disk().unwrap_or(0)
    }

    /// The meter, which tells how full the outbox is.
    #[must_use]
    pub fn meter(&self) -> Arc<OutboxMeter> {
        Arc::clone(&self.meter)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.closing = Some(self.kept.pulse.begin("closing the database"));
    }
}
