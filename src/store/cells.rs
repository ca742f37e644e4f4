//! The cells of units and sections. They are written with the unit or section, in the same batch. For a state of a
//! program that made none, or others, they are made in the background, unit by unit in the order of their numbers.

use std::collections::HashSet;

use sled::Tree;

use super::batch::Writes;
use super::commit::{SectionChange, UnitChange};
use super::error::StoreError;
use super::rows::Rows;
use super::{codec, keys};
use crate::ledger::known::Changed;
use crate::transcript::ids::SessionId;
use crate::views::analytics::cells::Cells;

/// Most units whose cells are made in one batch.
const UNITS_MAX: usize = 256;

/// Most sections whose cells are made in one batch, a little exceeded by those of the last unit.
const SECTIONS_MAX: usize = 256;

/// What was made.
pub(super) struct MadeCells {
    /// The sessions of the units.
    pub(super) sessions: HashSet<SessionId>,
    /// True if there are more units without cells.
    pub(super) are_more: bool,
}

/// Notes that the cells of all units are to be made. Those that another program made are not read any more, and are replaced
/// one by one.
pub(super) fn make_all(batch: &mut Writes, tree: &Tree) -> Result<(), StoreError> {
    codec::put(batch, tree, keys::meta(keys::NEXT_CELLS), &0u32)?;
    Ok(())
}

/// Adds the cells of a unit to a batch.
pub(super) fn put_unit(
    batch: &mut Writes,
    tree: &Tree,
    change: &UnitChange<'_>,
    scratch: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let cells = Cells::of(&Changed::new(change.unit));
    codec::put_with(batch, tree, keys::cells(change.number), &cells, scratch)?;
    Ok(())
}

/// Adds the cells of a section to a batch.
pub(super) fn put_section(
    batch: &mut Writes,
    tree: &Tree,
    change: &SectionChange<'_>,
    scratch: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let cells = Cells::of_parts(&change.section.parts);
    codec::put_with(batch, tree, keys::section_cells(change.unit, change.section.position), &cells, scratch)?;
    Ok(())
}

/// Adds the cells of the next units that have none to a batch; `None` if all have theirs.
pub(super) fn make_some(batch: &mut Writes, tree: &Tree) -> Result<Option<MadeCells>, StoreError> {
    let Some(next) = codec::get::<u32>(tree, &keys::meta(keys::NEXT_CELLS))? else { return Ok(None) };
    let rows = Rows::of(tree);
    let mut made = MadeCells { sessions: HashSet::new(), are_more: true };
    let mut after = next.checked_sub(1);
    let (mut sections, mut scratch) = (0, Vec::new());
    for _ in 0..UNITS_MAX {
        let Some((number, unit)) = rows.next_unit(after)? else {
            batch.remove(keys::meta(keys::NEXT_CELLS));
            made.are_more = false;
            return Ok(Some(made));
        };
        for key in tree.scan_prefix(keys::cells(number)).keys() {
            batch.remove(key?);
        }
        put_unit(batch, tree, &UnitChange { number, before: None, unit: &unit }, &mut scratch)?;
        let count = unit.sections.as_ref().map_or(0, |sections| sections.count);
        for position in 0..count {
            let Some(section) = rows.numbered_section(number, position)? else { continue };
            let cells = Cells::of_parts(&section.parts);
            codec::put_with(batch, tree, keys::section_cells(number, position), &cells, &mut scratch)?;
        }
        made.sessions.insert(unit.session().clone());
        after = Some(number);
        sections += count as usize;
        if sections >= SECTIONS_MAX {
            break;
        }
    }
    codec::put(batch, tree, keys::meta(keys::NEXT_CELLS), &after.map_or(0, |after| after.saturating_add(1)))?;
    Ok(Some(made))
}
