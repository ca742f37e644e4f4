//! Reads rows of the database, for the writer and for all readers.

use std::ops::ControlFlow;

use sled::{IVec, Tree};

use super::error::StoreError;
use super::file::FileRow;
use super::{codec, keys};
use crate::ledger::run::Run;
use crate::ledger::session::{Member, Session, WaitingAgent};
use crate::ledger::unit::{Section, Unit, UnitId};
use crate::transcript::chunk::FileNumber;
use crate::transcript::extracts::Extracts;
use crate::transcript::ids::{AgentId, SessionId};
use crate::transcript::stream::RunId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::session_cells::StoredUnit;
use crate::views::traces::tree::{Earlier, TurnOrder};

/// The rows of a database, decoded. Every read fails if the database cannot be read or a row is damaged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(super) tree: &'a Tree,
}

impl<'a> Rows<'a> {
    pub(super) const fn of(tree: &'a Tree) -> Self {
        Self { tree }
    }

    /// A file by its number.
    pub(crate) fn file(self, number: FileNumber) -> Result<Option<FileRow>, StoreError> {
        codec::get(self.tree, &keys::file(number))
    }

    /// Gives every file with its number to `take`, in order of the numbers.
    pub(crate) fn each_file(self, mut take: impl FnMut(FileNumber, FileRow)) -> Result<(), StoreError> {
        for row in self.tree.scan_prefix([keys::FILE]) {
            let (key, value) = row?;
            if let Some(number) = keys::number4(&key) {
                take(FileNumber(number), codec::decode(self.tree, &key, &value)?);
            }
        }
        Ok(())
    }

    pub(crate) fn session(self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        codec::get(self.tree, &keys::session(id))
    }

    pub(crate) fn waiting(self, session: &SessionId, agent: &AgentId) -> Result<Option<WaitingAgent>, StoreError> {
        let row: Option<(SessionId, AgentId, WaitingAgent)> = codec::get(self.tree, &keys::waiting(session, agent))?;
        Ok(row.map(|(_, _, waiting)| waiting))
    }

    /// The number of a stored unit; `None` if it is not stored.
    pub(crate) fn number(self, id: UnitId) -> Result<Option<u32>, StoreError> {
        codec::get(self.tree, &keys::number(id))
    }

    /// A unit as it is stored, without the parts in its sections.
    pub(crate) fn unit(self, id: UnitId) -> Result<Option<Unit>, StoreError> {
        match self.number(id)? {
            Some(number) => self.numbered(number),
            None => Ok(None),
        }
    }

    /// A run.
    pub(crate) fn run(self, id: RunId) -> Result<Option<Run>, StoreError> {
        codec::get(self.tree, &keys::run(id))
    }

    /// True if there is a run.
    pub(crate) fn has_runs(self) -> Result<bool, StoreError> {
        Ok(self.tree.scan_prefix([keys::RUN]).next().transpose()?.is_some())
    }

    /// Gives every run to `take`.
    pub(crate) fn each_run(self, mut take: impl FnMut(Run)) -> Result<(), StoreError> {
        for row in self.tree.scan_prefix([keys::RUN]) {
            let (key, value) = row?;
            // A longer key is that of a further part of a value.
            if keys::number16(&key).is_some() {
                take(codec::decode(self.tree, &key, &value)?);
            }
        }
        Ok(())
    }

    /// [`Rows::unit`] by its number.
    pub(crate) fn numbered(self, number: u32) -> Result<Option<Unit>, StoreError> {
        codec::get(self.tree, &keys::unit(number))
    }

    /// The unit with the lowest number above `after`, or the lowest of all if that is `None`.
    pub(crate) fn next_unit(self, after: Option<u32>) -> Result<Option<(u32, Unit)>, StoreError> {
        let start = after.map_or(0, |after| after.saturating_add(1));
        for row in self.tree.range(keys::unit(start)..) {
            let (key, value) = row?;
            match keys::number4(&key) {
                Some(number) if key.starts_with(&[keys::UNIT]) => {
                    return codec::decode(self.tree, &key, &value).map(|unit| Some((number, unit)));
                }
                _ if key.starts_with(&[keys::UNIT]) => {}
                _ => break,
            }
        }
        Ok(None)
    }

    /// The lowest number of a unit above `after`, or the lowest of all if that is `None`.
    pub(crate) fn next_number(self, after: Option<u32>) -> Result<Option<u32>, StoreError> {
        let start = after.map_or(0, |after| after.saturating_add(1));
        for row in self.tree.range(keys::unit(start)..).keys() {
            let key = row?;
            if !key.starts_with(&[keys::UNIT]) {
                break;
            }
            if let Some(number) = keys::number4(&key) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// The endpoints that have got the spans of a unit that have left, or will get them from the outbox; each with the
    /// number of the first row.
    pub(crate) fn marks(self, unit: u32) -> Result<Vec<(String, u64)>, StoreError> {
        let mut marks = Vec::new();
        for row in self.tree.scan_prefix(keys::marks(unit)) {
            let (key, value) = row?;
            let Some((_, endpoint)) = keys::of_mark(&key) else { continue };
            let (first, _): (u64, u64) = codec::decode(self.tree, &key, &value)?;
            marks.push((endpoint.to_owned(), first));
        }
        Ok(marks)
    }

    /// The endpoints that miss no turn that ended since a time, with that time.
    pub(crate) fn complete(self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let mut complete = Vec::new();
        let rows = keys::history("");
        for row in self.tree.scan_prefix(&rows) {
            let (key, value) = row?;
            let name = key.get(rows.len()..).and_then(|name| std::str::from_utf8(name).ok());
            let Some(name) = name else { continue };
            complete.push((name.to_owned(), codec::decode(self.tree, &key, &value)?));
        }
        Ok(complete)
    }

    /// A section of a unit.
    pub(crate) fn section(self, of: UnitId, position: u32) -> Result<Option<Section>, StoreError> {
        let Some(number) = self.number(of)? else { return Ok(None) };
        self.numbered_section(number, position)
    }

    /// [`Rows::section`] by the number of the unit.
    pub(crate) fn numbered_section(self, unit: u32, position: u32) -> Result<Option<Section>, StoreError> {
        codec::get(self.tree, &keys::section(unit, position))
    }

    /// What is extracted under a key of extracts; nothing if there is no such row.
    pub(super) fn extracted(self, key: &[u8]) -> Result<Vec<(u64, Extracts)>, StoreError> {
        Ok(codec::get(self.tree, key)?.unwrap_or_default())
    }

    /// Gives the sections of a unit to `take`, in order from the position `from` on, until it breaks.
    pub(crate) fn each_section(
        self,
        of: UnitId,
        from: u32,
        mut take: impl FnMut(Section) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(number) = self.number(of)? else { return Ok(()) };
        let (own, start) = (keys::sections(number), keys::section(number, from));
        for row in self.tree.range(start.clone()..) {
            let (key, value) = row?;
            if !key.starts_with(&own) {
                break;
            }
            // A longer key is that of a further part of a value, and is skipped.
            if key.len() == start.len() && take(codec::decode(self.tree, &key, &value)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Gives the units of a session with their numbers to `take`, until it breaks: turns in order of their first rows,
    /// then all other units in that order.
    pub(crate) fn each_member(
        self,
        session: &SessionId,
        mut take: impl FnMut(u32, Member) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        for row in self.tree.scan_prefix(keys::members(session, false)) {
            let (key, value) = row?;
            let Some(number) = keys::number_of_member(&key) else { continue };
            if take(number, codec::decode(self.tree, &key, &value)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The cells of a session: of each of its units and their sections.
    pub(crate) fn cells_of(self, session: &SessionId) -> Result<Vec<StoredUnit>, StoreError> {
        let mut members = Vec::new();
        self.each_member(session, |number, member| {
            members.push((number, member));
            ControlFlow::Continue(())
        })?;
        // In the order of numbers, because units that were written together lie together on disk.
        members.sort_unstable_by_key(|(number, _)| *number);
        // A unit is listed twice if its key changed while the list was read.
        members.dedup_by_key(|(number, _)| *number);
        // Those that are still to be made are not there, or are of another version.
        let next: Option<u32> = codec::get(self.tree, &keys::meta(keys::NEXT_CELLS))?;
        let unit = |(number, member): (u32, Member)| {
            let mut cells = Vec::new();
            if next.is_some_and(|next| number >= next) {
                return Ok(StoredUnit { member, cells });
            }
            for row in self.tree.scan_prefix(keys::cells(number)) {
                let (key, value) = row?;
                if let Some(section) = keys::of_cells(&key) {
                    cells.push((section, codec::decode(self.tree, &key, &value)?));
                }
            }
            Ok(StoredUnit { member, cells })
        };
        members.into_iter().map(unit).collect()
    }

    /// The turns of a session in order.
    pub(crate) fn turn_order(self, session: &SessionId) -> Result<TurnOrder, StoreError> {
        let member = |row: sled::Result<(IVec, IVec)>| {
            let (key, value) = row?;
            let member: Member = codec::decode(self.tree, &key, &value)?;
            Ok((member.first, member.unit))
        };
        self.tree.scan_prefix(keys::members(session, true)).map(member).collect()
    }

    /// What lies before a turn in its session; `order` has the turns of the session.
    pub(crate) fn earlier(self, session: &Session, unit: &Unit, order: &TurnOrder) -> Result<Earlier, StoreError> {
        let mut earlier = order.earlier(unit);
        if let Some(fork) = session.fork.as_ref().filter(|_| unit.is_turn() && earlier.turns == 0) {
            let copied = self.unit(fork.unit)?;
            earlier.source_turn = copied.is_some_and(|unit| unit.is_turn() && *unit.session() == fork.from);
        }
        Ok(earlier)
    }

    /// The sessions that were forked from `source`.
    pub(crate) fn forks(self, source: &SessionId) -> Result<Vec<SessionId>, StoreError> {
        let mut forks = Vec::new();
        for row in self.tree.scan_prefix(keys::forks(source)) {
            let (key, value) = row?;
            let (_, fork): (SessionId, SessionId) = codec::decode(self.tree, &key, &value)?;
            forks.push(fork);
        }
        Ok(forks)
    }
}
