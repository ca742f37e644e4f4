//! What Claude Code wrote, read without ever failing: bytes in, [`record::Record`]s out.
//!
//! Pure: no files, no clock. A line is a JSON object of one of more than fifty types, of which thirteen are read. Keys
//! come in any order, twice, or with another type than expected; a line may be torn, begin with NUL bytes, not be UTF-8
//! or have tens of megabytes. Of a text only its beginning, length and hash are taken; the text itself is not kept. The
//! titles of sessions are the exception, and their secrets are removed first ([`scrub`], [`title`]).

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod chunk;
pub mod expected;
pub mod extracts;
mod fields;
pub mod hash;
pub mod ids;
mod json;
mod json_string;
mod model_cost;
mod moment;
mod named_file;
mod noted;
mod offer;
mod origin;
pub mod parse;
mod raw;
mod raw_cost;
mod raw_usage;
pub mod record;
mod rows;
mod said;
pub mod scrub;
pub mod shown;
mod split;
mod stop;
pub mod stream;
mod stream_line;
mod strings;
mod text;
pub mod time;
pub mod title;
pub mod usage;
mod word;

pub use chunk::{Chunk, Cursor};
pub use parse::{Batch, read};
pub use record::Record;
