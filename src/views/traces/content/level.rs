//! How much of the conversation spans may hold, and how long a value may be.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::ledger::unit::RowPlace;
use crate::transcript::expected::{Expected, Missing};
use crate::views::traces::span::{Attribute, Value};

/// Longest attribute value, in bytes: Tempo cuts longer ones.
pub const VALUE_BYTES_MAX: usize = 2048;

/// Reads a row again by its place.
pub type ReadRow<'r> = &'r mut dyn FnMut(RowPlace, &Expected) -> Result<Arc<Json>, Missing>;

/// How much of the conversation spans may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum ContentLevel {
    /// Nothing of it.
    #[default]
    Off,
    /// What tools were asked to do: commands, files, patterns, URLs.
    Details,
    /// Everything: prompts, answers, thinking, arguments and results of tools.
    Content,
}

pub(super) fn text(key: &'static str, text: String) -> Attribute {
    Attribute { key: key.into(), value: Value::Text(text) }
}
