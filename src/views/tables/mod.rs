//! The tables of an export: what a row of each is made of, and the columns that it has, defined once for every format, for
//! the description of the API and for the guide.
//!
//! ```text
//! column     a column: name, type, unit, meaning, and the value that a row has in it
//! table      the five tables
//! around     what all rows of a unit have in common, and which units are asked for
//! sessions, turns, messages, tools, costs   one table each: its columns, and its rows out of the facts
//! rows       the rows of one session in any table, in their order
//! text       rows as JSON, as lines of JSON, and as CSV
//! time       times as text, fast
//! markdown   the columns as a table of the guide
//! ```
//!
//! Rows are made session by session, so that no more than one session is in memory. The filters are those of
//! [`analytics`](super::analytics), and they take the same responses, turns and calls.

pub mod around;
pub mod column;
pub mod costs;
pub mod markdown;
pub mod messages;
pub mod rows;
pub mod sessions;
pub mod table;
pub mod text;
mod time;
pub mod tools;
pub mod turns;

/// Version of the names, types and meanings of all columns. A column that is added at the end of a table leaves it as it is.
pub const SCHEMA_VERSION: u32 = 1;
