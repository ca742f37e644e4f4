//! Finds out which files hold the texts of a session, from all of its units.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::known::{Files, KnownFiles, TextFiles};
use crate::http::api::long_session::LongSession;
use crate::ledger::session::Session;
use crate::ledger::unit::Unit;
use crate::store::{StoreError, StoreReader};
use crate::transcript::ids::SessionId;

/// The units of a session that is not too long.
pub(super) type Units = Option<Vec<Unit>>;

/// The files of a session, and its units unless there are too many.
pub(super) fn files_of(reader: &StoreReader, session: &Session) -> Result<(Files, Units), StoreError> {
    let mut found = TextFiles::default();
    if !LongSession::is_one(session) {
        let units = reader.units_of(session)?;
        units.iter().for_each(|unit| found.add(unit, &unit.parts));
        return Ok((Arc::new(found), Some(units)));
    }
    reader.each_unit_of(&session.id, |unit| {
        found.add(&unit, &unit.parts);
        if unit.sections.is_some() {
            reader.each_section(unit.key.id(), |section| {
                found.add(&unit, &section.parts);
                ControlFlow::Continue(())
            })?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((Arc::new(found), None))
}

/// Finds the files of a session, if they are not known. Fails if the state cannot be read.
pub(super) fn learn(known: &KnownFiles, reader: &StoreReader, id: &SessionId) -> Result<(), StoreError> {
    let (None, age) = known.of(id) else { return Ok(()) };
    if let Some(session) = reader.session(id)? {
        let (files, _) = files_of(reader, &session)?;
        known.keep(id, &files, age);
    }
    Ok(())
}
