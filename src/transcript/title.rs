//! Titles of sessions: the one text of the conversation that is kept.
//!
//! A title is often the beginning of a prompt, so it loses its secrets ([`scrub`]) before anybody stores or shows it.

use std::sync::Arc;

use super::scrub::scrub;

/// Characters of a title that are kept.
pub const TITLE_CHARS_MAX: usize = 200;

/// A title as it is kept. Scrubbed before it is cut: half a secret is no longer recognised.
pub(super) fn title(text: &str) -> Arc<str> {
    scrub(text).chars().take(TITLE_CHARS_MAX).collect::<String>().into()
}

/// A title of which a program that knew no secrets kept [`TITLE_CHARS_MAX`] characters, as it is kept today; `None` if
/// nothing can be kept of it. One that was cut may end in half a secret: it loses its last word.
#[must_use]
pub fn old_title(kept: &str) -> Option<Arc<str>> {
    let is_cut = kept.chars().count() >= TITLE_CHARS_MAX;
    let whole = if is_cut { kept.trim_end_matches(|char: char| char.is_ascii_graphic()) } else { kept };
    Some(title(whole)).filter(|title| !title.is_empty())
}
