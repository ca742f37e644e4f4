//! Short texts of a row.

use std::borrow::Cow;

use super::json_string::Raw;

/// A short text, decoded where it is wanted.
pub(super) type Word<'de> = Option<Raw<'de>>;

/// What a [`Word`] says.
pub(super) trait WordText<'de> {
    /// The text, if it is one.
    fn word(&self) -> Option<Cow<'de, str>>;

    /// True if it is exactly this text.
    fn says(&self, text: &str) -> bool;
}

impl<'de> WordText<'de> for Word<'de> {
    fn word(&self) -> Option<Cow<'de, str>> {
        self.map(Raw::text)
    }

    fn says(&self, text: &str) -> bool {
        self.is_some_and(|raw| if raw.escaped() { raw.text() == text } else { raw.bytes == text.as_bytes() })
    }
}
