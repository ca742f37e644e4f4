//! Looks at the limits of the account, as the client tells them for its status line. They are no facts of session files, so
//! nothing else has them: a state that is lost loses them. Without such looks there are no such rows.

use sled::Tree;

use super::batch::Writes;
use super::error::StoreError;
use super::{codec, keys};
use crate::views::analytics::limits::history::{PRESENT, RowWrite};
use crate::views::analytics::limits::sample::LimitSample;

/// True if the database holds looks.
pub(super) fn are_there(tree: &Tree) -> Result<bool, StoreError> {
    Ok(tree.scan_prefix([keys::LIMIT]).next().transpose()?.is_some())
}

/// Adds rows to a batch, or takes them out.
pub(super) fn put(batch: &mut Writes, tree: &Tree, rows: &[RowWrite]) -> Result<(), StoreError> {
    for ((window, at), row) in rows {
        let key = keys::limit(window, *at);
        match row {
            Some(row) => drop(codec::put(batch, tree, key, row)?),
            None => codec::remove(batch, tree, key)?,
        }
    }
    Ok(())
}

/// Gives every look to `take`: the rows of a window in the order of their times, then its present look, with `true`.
pub(super) fn each(tree: &Tree, mut take: impl FnMut(LimitSample, bool)) -> Result<(), StoreError> {
    for row in tree.scan_prefix([keys::LIMIT]) {
        let (key, value) = row?;
        let look: LimitSample = codec::decode(tree, &key, &value)?;
        let is_present = *key == *keys::limit(&look.window, PRESENT);
        take(look, is_present);
    }
    Ok(())
}
