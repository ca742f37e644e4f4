//! Sessions that end for their age. In one batch all of a session is removed, its units with their sections, cells and marks,
//! and its entry is stripped; what it spent is put into one row.
//!
//! The numbers of its units stay in that row, and their identities in the rows `i`: by these a row is known that was counted
//! and is read again, in its own file, in a copy of it or in a fork. Rows of files stay too, so that a file is not read again.

use sled::Tree;

use serde::{Deserialize, Serialize};

use super::batch::Writes;
use super::error::StoreError;
use super::rows::Rows;
use super::{codec, keys};
use crate::ledger::runs::Runs;
use crate::ledger::session::Session;
use crate::transcript::ids::SessionId;
use crate::views::analytics::retired::RetiredSums;

/// What stays of a session that ended for its age, beside its stripped entry.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Retired {
    /// The session.
    pub(super) session: SessionId,
    /// The numbers of its units.
    pub(super) units: Runs,
    /// What it spent.
    pub(super) sums: RetiredSums,
}

/// A session of the state, in a walk over all of them.
#[derive(Debug)]
pub struct Due {
    /// Where the walk goes on behind it.
    pub place: u128,
    /// The session.
    pub session: Session,
}

/// True if the database holds what stays of a session that ended for its age.
pub(super) fn are_there(tree: &Tree) -> Result<bool, StoreError> {
    Ok(tree.scan_prefix([keys::RETIRED]).next().transpose()?.is_some())
}

/// Adds to a batch what ends a session. Returns the numbers of its units; `None` if the session is not there.
pub(super) fn put(batch: &mut Writes, tree: &Tree, id: &SessionId) -> Result<Option<Vec<u32>>, StoreError> {
    let rows = Rows::of(tree);
    let Some(mut session) = rows.session(id)? else { return Ok(None) };
    let mut units = Vec::new();
    for row in tree.scan_prefix(keys::members(id, false)).keys() {
        let key = row?;
        units.extend(keys::number_of_member(&key));
        batch.remove(key);
    }
    let none = || Retired { session: id.clone(), units: Runs::default(), sums: RetiredSums::default() };
    let mut retired = rows.retired(id)?.unwrap_or_else(none);
    retired.sums.append(&RetiredSums::of(&rows.cells_of(id)?));
    for number in &units {
        retired.units.insert(*number);
        remove_unit(batch, tree, *number)?;
    }
    codec::put(batch, tree, keys::retired(id), &retired)?;
    session.retire();
    // What is stripped may be much shorter.
    codec::remove(batch, tree, keys::session(id))?;
    codec::put(batch, tree, keys::session(id), &session)?;
    Ok(Some(units))
}

/// Adds to a batch the removal of a unit and of everything that is stored below its number, but for its identities.
fn remove_unit(batch: &mut Writes, tree: &Tree, number: u32) -> Result<(), StoreError> {
    let unit = Rows::of(tree).numbered(number)?;
    let first_row = unit.and_then(|unit| unit.agent?.first_row);
    if let Some((_, row)) = first_row {
        batch.remove(keys::agent(row));
    }
    for rows in [keys::unit, keys::sections, keys::cells, keys::extracts, keys::marks] {
        for key in tree.scan_prefix(rows(number)).keys() {
            batch.remove(key?);
        }
    }
    Ok(())
}

impl Rows<'_> {
    /// What stays of a session that ended for its age; `None` if it never ended.
    pub(super) fn retired(self, id: &SessionId) -> Result<Option<Retired>, StoreError> {
        codec::get(self.tree, &keys::retired(id))
    }

    /// Gives what stays of each session that ended for its age to `take`.
    pub(super) fn each_retired(self, mut take: impl FnMut(Retired)) -> Result<(), StoreError> {
        for row in self.tree.scan_prefix([keys::RETIRED]) {
            let (key, value) = row?;
            if keys::number16(&key).is_some() {
                take(codec::decode(self.tree, &key, &value)?);
            }
        }
        Ok(())
    }

    /// The next sessions behind a place, at most `max`: all of the state in one order, whichever are added meanwhile.
    pub(crate) fn sessions_after(self, place: Option<u128>, max: usize) -> Result<Vec<Due>, StoreError> {
        let start = place.map_or(Some(0), |place| place.checked_add(1));
        let Some(start) = start.map(keys::session_at) else { return Ok(Vec::new()) };
        let mut sessions = Vec::new();
        for row in self.tree.range(start..) {
            let (key, value) = row?;
            if sessions.len() >= max || !key.starts_with(&[keys::SESSION]) {
                break;
            }
            if let Some(place) = keys::number16(&key) {
                sessions.push(Due { place, session: codec::decode(self.tree, &key, &value)? });
            }
        }
        Ok(sessions)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::store::database::database;
    use crate::store::{Commit, open};
    use crate::transcript::time::Timestamp;

    /// The versions of rows by which a program knows whether it can use a database.
    fn versions(folder: &Path) -> BTreeMap<u8, u32> {
        let database = database(&folder.join("db")).unwrap();
        codec::get(&database, &keys::meta("versions")).unwrap().unwrap()
    }

    #[test]
    fn a_state_of_before_is_used_as_it_is_until_something_ends_and_is_refused_by_that_program_then() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::new(SessionId("aaaaaaaa-1111-4000-8000-000000000000".into()));
        let commit = || Commit { sessions: vec![&session], ..Commit::default() };
        open(folder.path(), Timestamp(0)).unwrap().writer.commit(&commit()).unwrap();
        let mut before = versions(folder.path());
        assert!(before.remove(&keys::RETIRED).is_some());
        let mut batch = Writes::default();
        let old = database(&folder.path().join("db")).unwrap();
        codec::put(&mut batch, &old, keys::meta("versions"), &before).unwrap();
        batch.apply_to_copy(&old).unwrap();
        drop(old);
        let mut opened = open(folder.path(), Timestamp(0)).unwrap();
        opened.writer.commit(&commit()).unwrap();
        drop(opened);
        assert_eq!(versions(folder.path()), before, "it knows all that is there");
        let mut opened = open(folder.path(), Timestamp(0)).unwrap();
        assert_eq!(opened.writer.retire(&session.id).unwrap(), Some(Vec::new()));
        assert_eq!(opened.reader.retired_sessions().unwrap(), std::slice::from_ref(&session.id));
        drop(opened);
        assert!(versions(folder.path()).contains_key(&keys::RETIRED), "it does not know what stays");
    }
}
