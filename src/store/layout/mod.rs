//! Layouts of the database: what this program writes, and how an older one becomes that.
//!
//! ```text
//! frozen    how structs of an older layout become those of today
//! v4        layout 4
//! v5        layout 5
//! v6        layout 6
//! rows      rows that counted or showed by themselves up to layout 6
//! versions  the layout of a database, and that of this program
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
//! - A variant at the end of an enum is no other layout: what was stored before is read as it is. Only the versions of the
//!   rows that hold it are raised, so that an older program refuses what it cannot read.

mod frozen;
mod migrate;
mod rows;
mod v4;
mod v5;
mod v6;
mod versions;

pub(super) use migrate::migrate;
pub(super) use versions::{Layout, Newer, sign};
