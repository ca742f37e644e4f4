//! Layouts of the database: the one that this program writes, and the conversion of older ones.
//!
//! ```text
//! frozen    how structs of an older layout become those of today
//! v4        layout 4
//! v5        layout 5
//! v6        layout 6
//! v7        layout 7
//! v8        layout 8
//! rows      events as they were stored up to layout 6
//! versions  the layout of a database, and that of this program
//! migrate   copies a database of an older layout into a new one
//! ```
//!
//! - Facts (files, sessions, units, totals, spans that wait to be sent) are carried over. From layout 4, rows that
//!   follow from them (numbers, identities, lists) are made again.
//! - Each kind of row has a version of its own in the row `versions`. A database with a version that is higher than
//!   this program knows is refused.
//! - Layouts before 4 were never released: such a database is set aside.
//! - To change a layout: copy the structs as they are into `vN.rs`, raise the versions of the rows that change, teach
//!   `migrate` the step, and store a database of the layout that is left as a fixture (`fixtures/states`).
//! - A new variant at the end of an enum does not need a new layout, since older rows can be read as they are. Only the
//!   versions of the rows that hold it are raised, so that an older program refuses what it cannot read.

mod frozen;
mod migrate;
mod rows;
mod v4;
mod v5;
mod v6;
mod v7;
mod v8;
pub(super) mod versions;

pub(super) use migrate::migrate;
pub(super) use versions::{Layout, Newer, has_cells, sign};
