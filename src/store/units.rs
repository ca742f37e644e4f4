//! Writing units and sections, with the rows that follow from them.

use super::batch::Writes;
use super::commit::{SectionChange, UnitChange};
use super::error::StoreError;
use super::{cells, codec, keys};
use crate::ledger::session::Member;
use crate::ledger::unit::{Unit, UnitId};
use sled::Tree;

/// The id of a unit or section, the unit and position of a section, and the hashes of its identities.
pub(super) type Identities<T> = (UnitId, Option<(UnitId, u32)>, T);

/// Adds a unit to a batch, with the rows that follow from it: number, identities, entry in its session. Returns the
/// length of the encoded unit in bytes.
pub(super) fn put_unit(
    batch: &mut Writes,
    tree: &Tree,
    change: &UnitChange<'_>,
    scratch: &mut Vec<u8>,
) -> Result<usize, StoreError> {
    let UnitChange { number, before, unit } = *change;
    let (id, key) = (unit.key.id(), keys::unit(number));
    if before.is_some_and(|before| before.sections.is_none()) && unit.sections.is_some() {
        // The parts have moved into sections, so the further parts of the long value are removed.
        codec::remove(batch, tree, key.clone())?;
        codec::remove(batch, tree, keys::cells(number))?;
    }
    let bytes = codec::put_with(batch, tree, key, unit, scratch)?;
    cells::put_unit(batch, tree, change, scratch)?;
    if before.is_none() {
        codec::put_with(batch, tree, keys::number(id), &number, scratch)?;
    }
    if before.is_none_or(|before| !before.identities().eq(unit.identities())) {
        let identities: Identities<Vec<u64>> = (id, None, unit.identities().collect());
        codec::put_with(batch, tree, keys::identities(number), &identities, scratch)?;
    }
    let first_row = |unit: &Unit| unit.agent.as_ref().and_then(|agent| agent.first_row).map(|(_, row)| row);
    if let Some(row) = first_row(unit).filter(|row| before.and_then(first_row) != Some(*row)) {
        codec::put_with(batch, tree, keys::agent(row), &id, scratch)?;
    }
    let listed = |unit: &Unit| {
        let member = || (keys::member(unit.session(), &Member::of(unit), number), Member::of(unit));
        (!unit.is_shell()).then(member)
    };
    let (old, new) = (before.and_then(listed), listed(unit));
    if old != new {
        let is_gone = |(key, _): &(Vec<u8>, Member)| new.as_ref().is_none_or(|(new, _)| new != key);
        if let Some((key, _)) = old.filter(is_gone) {
            batch.remove(key);
        }
        if let Some((key, member)) = new {
            codec::put_with(batch, tree, key, &member, scratch)?;
        }
    }
    Ok(bytes)
}

/// Adds a section of a unit to a batch. Returns the length of the encoded section in bytes.
pub(super) fn put_section(
    batch: &mut Writes,
    tree: &Tree,
    change: &SectionChange<'_>,
    scratch: &mut Vec<u8>,
) -> Result<usize, StoreError> {
    let SectionChange { id, number, unit, before, section } = *change;
    let bytes = codec::put_with(batch, tree, keys::section(unit, section.position), section, scratch)?;
    cells::put_section(batch, tree, change, scratch)?;
    if before.is_none_or(|before| !before.parts.identities().eq(section.parts.identities())) {
        let number = number.ok_or(StoreError::Unnumbered)?;
        let place = Some((section.of, section.position));
        let identities: Identities<Vec<u64>> = (id, place, section.parts.identities().collect());
        codec::put_with(batch, tree, keys::identities(number), &identities, scratch)?;
    }
    Ok(bytes)
}
