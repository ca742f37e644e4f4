//! Walks through everything that the state holds, as if all of it were new.

use std::ops::ControlFlow;

use crate::ledger::known::Changed;
use crate::ledger::session::Session;
use crate::measures::Change;
use crate::store::{StoreError, StoreReader};

/// Gives `take` every session of the state that has not ended for its age, then its units and sections, and its turns as if they had just ended. Fails
/// if the database fails or is damaged; what `take` got before is not everything then.
pub fn everything(reader: &StoreReader, mut take: impl FnMut(&Change<'_>)) -> Result<(), StoreError> {
    let mut failed = Ok(());
    reader.each_session(|session| {
        if failed.is_ok() {
            failed = of_session(reader, &session, &mut take);
        }
    })?;
    failed
}

fn of_session(reader: &StoreReader, session: &Session, take: &mut impl FnMut(&Change<'_>)) -> Result<(), StoreError> {
    let source = match &session.fork {
        Some(fork) => reader.source(&fork.from)?,
        None => None,
    };
    Change::new_session(session, source.as_ref()).iter().for_each(&mut *take);
    reader.each_unit_of(&session.id, |mut unit| {
        reader.add_extracts(&mut unit)?;
        take(&Change::between(None, &unit));
        if unit.sections.is_some() {
            let mut failed = Ok(());
            reader.each_section(unit.key.id(), |mut section| {
                failed = reader.add_section_extracts(unit.key.id(), &mut section);
                take(&Change::Parts(Changed::section(&unit, &section)));
                if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            failed?;
        }
        Change::ended(&unit).iter().for_each(&mut *take);
        Ok(ControlFlow::Continue(()))
    })
}
