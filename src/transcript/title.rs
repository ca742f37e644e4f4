//! Titles of sessions: the one text of the conversation that is kept.
//!
//! A title is often the beginning of a prompt, so it loses its secrets ([`scrub`]) before anybody stores or shows it.

use std::sync::Arc;

use super::scrub::scrub;

/// How many characters of a title are kept, counted as Unicode scalar values.
pub const TITLE_CHARS_MAX: usize = 200;

/// A title without its secrets, cut to [`TITLE_CHARS_MAX`]. Secrets go first, because half a secret is not recognised.
pub(super) fn title(text: &str) -> Arc<str> {
    scrub(text).chars().take(TITLE_CHARS_MAX).collect::<String>().into()
}

/// A title that an earlier release stored with its secrets, in the form that is kept today; `None` if nothing of it can
/// be kept. A title that was cut at [`TITLE_CHARS_MAX`] may end in half a secret, so it loses its last word.
#[must_use]
pub fn old_title(kept: &str) -> Option<Arc<str>> {
    let is_cut = kept.chars().count() >= TITLE_CHARS_MAX;
    let whole = if is_cut { kept.trim_end_matches(|char: char| char.is_ascii_graphic()) } else { kept };
    Some(title(whole)).filter(|title| !title.is_empty())
}
