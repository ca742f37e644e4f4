//! Short texts of a row, such as ids, names and types.

use std::borrow::Cow;

use super::json_string::Raw;

/// A short text as it is written, decoded only when it is asked for; `None` if the field is missing or not a string.
pub(super) type Word<'de> = Option<Raw<'de>>;

/// Reads the text of a [`Word`].
pub(super) trait WordText<'de> {
    /// The decoded text.
    fn word(&self) -> Option<Cow<'de, str>>;

    /// True if the decoded text is exactly `text`.
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
