//! What Claude Code wrote, read without ever failing: bytes in, [`record::Record`]s out.
//!
//! Pure: no files, no clock. Formats and traps: lines are JSON objects of about fifty types, of which six count;
//! keys come in any order, twice, or with another type than expected; lines are torn, NUL-prefixed, not UTF-8 or
//! tens of megabytes long. Text is looked at while it passes (beginning, length, hash) and never kept, but for the
//! titles of sessions, which lose their secrets first ([`scrub`], [`title`]).

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod chunk;
pub mod expected;
mod fields;
pub mod hash;
pub mod ids;
mod json;
mod json_string;
mod moment;
mod origin;
pub mod parse;
mod raw;
mod raw_usage;
pub mod record;
mod rows;
mod said;
pub mod scrub;
pub mod shown;
mod split;
mod strings;
mod text;
pub mod time;
pub mod title;
pub mod usage;
mod word;

pub use chunk::{Chunk, Cursor};
pub use parse::{Batch, read};
pub use record::Record;
