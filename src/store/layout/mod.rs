//! Layouts of the database: what this program writes, and how an older one becomes that.
//!
//! ```text
//! frozen    how structs of an older layout become those of today
//! v4        layout 4
//! v5        layout 5
//! migrate   a database of an older layout, copied into a new one
//! ```
//!
//! - Facts (files, sessions, units, totals, what waits to be sent) are carried over; what follows from them (numbers,
//!   identities, lists) is made anew.
//! - Each kind of row has a version of its own in the row `versions`. A database in which one is higher than this program
//!   knows is refused.
//! - Layouts before 4 were never released: such a database is set aside.
//! - To change a layout: copy the structs as they are into `vN.rs`, raise the versions of the rows that change, teach
//!   `migrate` the step, and store a database of the layout that is left as a fixture (`fixtures/states`).

mod frozen;
mod migrate;
mod v4;
mod v5;

use std::collections::BTreeMap;

use sled::Tree;

pub(super) use migrate::migrate;

use super::batch::Writes;
use super::{StoreError, codec, keys};

/// The oldest layout that can be migrated.
const OLDEST: u32 = 4;

/// Kinds of rows, by the prefixes of their keys, with the versions that this program writes.
const VERSIONS: [(u8, u32); 18] = [
    (keys::META, 1),
    (keys::FILE, 2),
    (keys::SESSION, 3),
    (keys::MEMBER, 1),
    (keys::WAITING, 2),
    (keys::FORK, 1),
    (keys::NUMBER, 1),
    (keys::UNIT, 3),
    (keys::SECTION, 2),
    (keys::IDENTITIES, 2),
    (keys::AGENT, 1),
    (keys::TOTAL, 1),
    (keys::PENDING, 1),
    (keys::OUTBOX, 1),
    (keys::CURSOR, 1),
    (keys::MARK, 1),
    (keys::ADDRESSED, 1),
    (keys::PART, 2),
];

/// What a database says of its layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// It is new: nothing was written yet.
    None,
    /// That of this program.
    Own,
    /// An older one that can be migrated.
    Older(u32),
    /// One that was never released.
    Unreleased(u32),
    /// A newer one.
    Newer(Newer),
}

/// What of a database is newer than this program knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newer {
    /// `schema`, or rows of a kind.
    pub(super) what: String,
    /// Its version.
    pub(super) found: u32,
    /// Its newest version that this program knows.
    pub(super) known: u32,
}

impl Layout {
    pub(super) fn of(tree: &Tree) -> Result<Self, StoreError> {
        let Some(schema) = codec::get::<u32>(tree, &keys::meta("schema"))? else { return Ok(Self::None) };
        let versions: BTreeMap<u8, u32> = codec::get(tree, &keys::meta("versions"))?.unwrap_or_default();
        let newer_rows = versions.iter().find_map(|(prefix, version)| {
            let own = VERSIONS.iter().find(|(own, _)| own == prefix).map_or(0, |(_, own)| *own);
            let what = || format!("rows `{}` of version", char::from(*prefix));
            (*version > own).then(|| Newer { what: what(), found: *version, known: own })
        });
        Ok(match (schema, newer_rows) {
            (_, _) if schema > keys::SCHEMA => {
                Self::Newer(Newer { what: "schema".to_owned(), found: schema, known: keys::SCHEMA })
            }
            (_, Some(newer)) => Self::Newer(newer),
            (keys::SCHEMA, None) => Self::Own,
            (OLDEST.., None) => Self::Older(schema),
            (_, None) => Self::Unreleased(schema),
        })
    }
}

/// Adds to a batch that the database has the layout of this program.
pub(super) fn sign(batch: &mut Writes, tree: &Tree) -> Result<(), StoreError> {
    codec::put(batch, tree, keys::meta("schema"), &keys::SCHEMA)?;
    codec::put(batch, tree, keys::meta("versions"), &BTreeMap::from(VERSIONS))?;
    Ok(())
}
