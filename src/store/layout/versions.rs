//! Tells which layout a database has, and which one this program writes.

use std::collections::BTreeMap;

use sled::Tree;

use crate::store::batch::Writes;
use crate::store::error::StoreError;
use crate::store::{codec, keys};

/// The oldest layout that can be migrated.
const OLDEST: u32 = 4;

/// The version of cells. A database with another one is used as it is, and gets its cells anew in the background.
const CELLS: u32 = 6;

/// The version of extracts. A database without any is used as it is, and is signed when the first are written.
const EXTRACTS: u32 = 1;

/// The version of what stays of retired sessions. A database without any is used as it is, and is signed when the first
/// are written.
const RETIRED: u32 = 1;

/// The version of runs. A database without any is used as it is, and is signed when the first are written.
const RUN: u32 = 1;
/// The version of the log of events. A database without any is used as it is, and is signed when the first are written.
const EVENTS: u32 = 1;
/// The version of looks at limits. A database without any is used as it is, and is signed when the first are written.
const LIMITS: u32 = 1;

/// Kinds of rows, by the prefixes of their keys, with the versions that this program writes.
const VERSIONS: [(u8, u32); 24] = [
    (keys::META, 1),
    (keys::FILE, 5),
    (keys::SESSION, 5),
    (keys::MEMBER, 1),
    (keys::WAITING, 2),
    (keys::FORK, 1),
    (keys::NUMBER, 1),
    (keys::UNIT, 7),
    (keys::SECTION, 6),
    (keys::IDENTITIES, 2),
    (keys::CELLS, CELLS),
    (keys::EXTRACTS, EXTRACTS),
    (keys::RETIRED, RETIRED),
    (keys::RUN, RUN),
    (keys::EVENT, EVENTS),
    (keys::LIMIT, LIMITS),
    (keys::AGENT, 1),
    (keys::TOTAL, 1),
    (keys::PENDING, 1),
    (keys::OUTBOX, 1),
    (keys::CURSOR, 1),
    (keys::MARK, 1),
    (keys::ADDRESSED, 1),
    (keys::PART, 2),
];

/// The layout of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Layout {
    /// None, because the database is new and nothing was written yet.
    None,
    /// The layout of this program.
    Own,
    /// An older layout that can be migrated, or that of this program with rows of an older version.
    Older(u32),
    /// A layout that was never released.
    Unreleased(u32),
    /// A newer layout, or that of this program with rows of a newer version.
    Newer(Newer),
}

/// The part of a database that is newer than this program knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Newer {
    /// `schema`, or rows of a kind.
    pub(in crate::store) what: String,
    /// Its version.
    pub(in crate::store) found: u32,
    /// Its newest version that this program knows.
    pub(in crate::store) known: u32,
}

impl Layout {
    pub(in crate::store) fn of(tree: &Tree) -> Result<Self, StoreError> {
        let Some(schema) = codec::get::<u32>(tree, &keys::meta("schema"))? else { return Ok(Self::None) };
        let versions: BTreeMap<u8, u32> = codec::get(tree, &keys::meta("versions"))?.unwrap_or_default();
        let newer_rows = versions.iter().find_map(|(prefix, version)| {
            let own = VERSIONS.iter().find(|(own, _)| own == prefix).map_or(0, |(_, own)| *own);
            let what = || format!("rows `{}` of version", char::from(*prefix));
            (*version > own).then(|| Newer { what: what(), found: *version, known: own })
        });
        let made_later = [keys::CELLS, keys::EXTRACTS, keys::RETIRED, keys::RUN, keys::EVENT, keys::LIMIT];
        let facts = VERSIONS.iter().filter(|(prefix, _)| !made_later.contains(prefix));
        let has_older_rows =
            facts.into_iter().any(|(prefix, own)| versions.get(prefix).is_none_or(|found| found < own));
        Ok(match (schema, newer_rows) {
            (_, _) if schema > keys::SCHEMA => {
                Self::Newer(Newer { what: "schema".to_owned(), found: schema, known: keys::SCHEMA })
            }
            (_, Some(newer)) => Self::Newer(newer),
            (keys::SCHEMA, None) if !has_older_rows => Self::Own,
            (OLDEST.., None) => Self::Older(schema),
            (_, None) => Self::Unreleased(schema),
        })
    }
}

/// Whether a database has cells of the version that this program writes, or is getting them.
pub(in crate::store) fn has_cells(tree: &Tree) -> Result<bool, StoreError> {
    let versions: BTreeMap<u8, u32> = codec::get(tree, &keys::meta("versions"))?.unwrap_or_default();
    Ok(versions.get(&keys::CELLS) == Some(&CELLS))
}

/// Adds rows to a batch that give the database the layout of this program.
pub(in crate::store) fn sign(batch: &mut Writes, tree: &Tree) -> Result<(), StoreError> {
    codec::put(batch, tree, keys::meta("schema"), &keys::SCHEMA)?;
    codec::put(batch, tree, keys::meta("versions"), &BTreeMap::from(VERSIONS))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::VERSIONS;
    use crate::store::keys;
    use crate::transcript::record::{Ending, Fact, HookKind, Note, Origin};

    /// The version of the rows of units in which each variant of a type was added. The compiler asks for a line for
    /// each new variant. Its version must be a new one, which is also raised in [`VERSIONS`] for units, sections and
    /// files, so that an older program sees that the state is newer.
    macro_rules! versions {
        ($($type:ident { $($variant:pat => $version:literal),* $(,)? })*) => {
            [$({
                fn _every(value: &$type) {
                    match value { $($variant => {}),* }
                }
                [$($version),*].into_iter().max()
            }),*]
        };
    }

    #[test]
    fn a_variant_of_what_is_stored_has_a_version() {
        use {Ending as E, HookKind as H, Origin as O};
        let newest = versions! {
            Fact {
                Fact::Failure(_) => 4,
                Fact::Compaction(_) => 4,
                Fact::Hook(_) => 4,
                Fact::Fallback(_) => 4,
                Fact::Note(_) => 4,
                Fact::Offer(_) => 6,
            }
            Note {
                Note::QueuedPrompt { .. } => 4,
                Note::TaskEnded { .. } => 4,
                Note::PullRequest(_) => 4,
                Note::AwaySummary { .. } => 4,
                Note::PlanMode { .. } => 4,
                Note::ServerTool { .. } => 4,
            }
            HookKind {
                H::Success => 4, H::NonBlockingError => 4, H::BlockingError => 4, H::Background => 4, H::StopSummary => 4,
            }
            Ending { E::Stop => 4, E::MaxTurns => 4, E::Exit => 4 }
            Origin { O::Human => 4, O::Sdk => 4, O::TaskNotification => 4, O::Teammate => 4 }
        };
        let unit = VERSIONS.iter().find(|(kind, _)| *kind == keys::UNIT).map(|(_, version)| *version);
        assert!(newest.into_iter().max().flatten() <= unit, "raise the versions of the rows that hold it");
    }
}
