//! Loads what a step may touch before it folds: units, sections, sessions.

use std::ops::ControlFlow;

use super::Engine;
use super::again::{turn_parts_round, turn_round};
use crate::engine::ahead::FilePiece;
use crate::ledger::agents::LATEST_SECTIONS;
use crate::ledger::unit::UnitId;
use crate::store::StoreError;
use crate::transcript::chunk::FileRole;
use crate::transcript::ids::SessionId;
use crate::transcript::record::Record;

impl Engine {
    /// Loads the index of all identities, unless it is in memory.
    pub(super) fn load_index(&mut self) -> Result<(), StoreError> {
        if !self.has_index {
            self.known.index = self.writer.identities()?;
            self.has_index = true;
        }
        Ok(())
    }

    /// Loads the thread of a piece's file: the state of its conversation after the rows that were counted.
    pub(super) fn load_thread(&mut self, piece: &FilePiece) -> Result<(), StoreError> {
        self.load_index()?;
        if piece.role == FileRole::Stream {
            self.known.streams.insert(piece.file);
        }
        self.load_row(piece)?;
        if self.known.thread(piece.file).is_none()
            && let Some(row) = self.files.row(piece.file)
        {
            let thread = row.thread.clone();
            self.known.load_thread(piece.file, thread);
        }
        Ok(())
    }

    /// Loads everything that `records`, which are some of the piece's records, may touch.
    pub(super) fn prefetch(
        &mut self,
        piece: &FilePiece,
        records: &[Record],
        restarted: bool,
    ) -> Result<(), StoreError> {
        self.load_thread(piece)?;
        loop {
            let keys = self.known.keys_of(piece.file, records, restarted);
            let mut loaded = false;
            for session in keys.sessions {
                loaded |= self.load_session(&session)?;
            }
            for unit in keys.units {
                loaded |= self.load(unit)?;
            }
            for run in keys.runs {
                loaded |= self.load_run(run)?;
            }
            for agent in keys.waiting {
                if !self.known.has_waiting(&agent) {
                    let waiting = self.writer.rows().waiting(&agent.0, &agent.1)?;
                    loaded |= waiting.is_some();
                    self.known.load_waiting(agent, waiting);
                }
            }
            if !loaded {
                return Ok(());
            }
        }
    }

    /// Decides again which session owns each unit, for sessions whose claims have changed. Units of them that are not
    /// in memory are noted as missing.
    pub(super) fn settle_owners(&mut self) -> Result<(), StoreError> {
        for session in self.known.turned() {
            let mut units = Vec::new();
            self.writer.rows().each_member(&session, |_, member| {
                units.push(member.unit);
                ControlFlow::Continue(())
            })?;
            units.into_iter().filter(|unit| !self.known.has(*unit)).collect::<Vec<_>>().into_iter().for_each(|unit| {
                self.known.unsettle(unit);
            });
        }
        self.known.settle_owners();
        Ok(())
    }

    /// Loads what is stored of sub-agents without rows that a fold needed and that were not prefetched. Returns false
    /// if nothing is stored of them.
    pub(super) fn load_missing_waiting(&mut self) -> Result<bool, StoreError> {
        let mut loaded = false;
        for agent in std::mem::take(&mut self.known.missing_waiting) {
            if let Some(waiting) = self.writer.rows().waiting(&agent.0, &agent.1)? {
                self.known.load_waiting(agent, Some(waiting));
                loaded = true;
            }
        }
        Ok(loaded)
    }

    /// Loads a unit, or a section with its unit. Returns false if it was in memory already, does not exist or is retired.
    pub(super) fn load(&mut self, id: UnitId) -> Result<bool, StoreError> {
        if self.known.has(id) || self.known.index.is_retired(id) {
            return Ok(false);
        }
        if let Some((of, position)) = self.known.index.section(id) {
            self.load(of)?;
            return self.load_section(of, position);
        }
        let Some(mut unit) = self.writer.rows().unit(id)? else { return Ok(false) };
        if self.writer.has_extracts() {
            self.writer.rows().add_extracts(&mut unit)?;
        }
        if self.turns_marks_round {
            turn_round(&mut unit);
        }
        let sections = unit.sections.as_ref().map_or(0, |sections| sections.count);
        // Any session that has rows of the unit may turn out to be its owner.
        let held = unit.holders.iter().map(|holder| &holder.session);
        let sessions: Vec<SessionId> = held.chain([unit.session()]).cloned().collect();
        self.known.load_unit(unit);
        // The rows that come next most often belong to the last sections.
        let latest = u32::try_from(LATEST_SECTIONS).unwrap_or(u32::MAX);
        for position in sections.saturating_sub(latest)..sections {
            self.load_section(id, position)?;
        }
        for session in sessions {
            self.load_session(&session)?;
        }
        Ok(true)
    }

    /// Loads a section of a unit. Returns false if it was in memory already, or does not exist.
    pub(super) fn load_section(&mut self, of: UnitId, position: u32) -> Result<bool, StoreError> {
        if self.known.has(of.section(position)) {
            return Ok(false);
        }
        let Some(mut section) = self.writer.rows().section(of, position)? else { return Ok(false) };
        if self.writer.has_extracts() {
            self.writer.rows().add_section_extracts(of, &mut section)?;
        }
        if self.turns_marks_round {
            turn_parts_round(&mut section.parts);
        }
        self.known.load_section(section);
        Ok(true)
    }

    pub(super) fn load_session(&mut self, id: &SessionId) -> Result<bool, StoreError> {
        if self.known.has_session(id) {
            return Ok(false);
        }
        let Some(session) = self.writer.rows().session(id)? else { return Ok(false) };
        self.known.load_session(session);
        Ok(true)
    }
}
