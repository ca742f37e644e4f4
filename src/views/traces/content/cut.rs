//! Makes texts fit for an attribute: removes secrets and unprintable characters, and cuts them.

use super::level::VALUE_BYTES_MAX;
use crate::transcript::scrub::scrub;
use crate::views::traces::tree::is_printable;

/// Most bytes of a text that are searched for secrets. They are far more than are shown, so that a secret at the cut is
/// seen whole.
const LOOKED_AT_BYTES_MAX: usize = 16 << 10;

/// Most bytes that are given up at the end of the searched part to end it between words: no key or token is longer.
const WORD_BYTES_MAX: usize = 4 << 10;

/// `text` without secrets and unprintable characters, cut to [`VALUE_BYTES_MAX`]. Line breaks and tabs stay.
pub(super) fn readable(text: &str) -> String {
    cut(&clean(&scrub(head(text))), unseen(text), VALUE_BYTES_MAX)
}

/// The part of a text that is searched for secrets and may be shown. It ends between words, because half a secret would
/// not be recognised and might be shown.
pub(super) fn head(text: &str) -> &str {
    if text.len() <= LOOKED_AT_BYTES_MAX {
        return text;
    }
    let end = boundary(text, LOOKED_AT_BYTES_MAX);
    let earliest = boundary(text, LOOKED_AT_BYTES_MAX - WORD_BYTES_MAX);
    let last_word = text.get(earliest..end).unwrap_or_default();
    let end = earliest + last_word.rfind(char::is_whitespace).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Number of bytes after the part that [`head`] returns.
pub(super) fn unseen(text: &str) -> usize {
    text.len() - head(text).len()
}

/// `text` with every unprintable character replaced by `_`. Line breaks and tabs stay.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|char| if is_printable(char) || matches!(char, '\n' | '\t') { char } else { '_' }).collect()
}

/// `text` if it fits into `bytes_max` and is the whole text, else as much of it as fits before the mark `[TRUNCATED
/// n]`.
///
/// `unseen` is the number of bytes after `text` that were not searched. The mark alone may be longer than `bytes_max`.
pub(super) fn cut(text: &str, unseen: usize, bytes_max: usize) -> String {
    let mark = |kept: usize| format!("[TRUNCATED {}]", text.len().saturating_sub(kept).saturating_add(unseen));
    // The mark is longest if nothing of the text is kept.
    let longest = mark(0).len();
    if unseen == 0 && text.len() <= bytes_max.max(longest) {
        return text.to_owned();
    }
    let end = boundary(text, bytes_max.saturating_sub(longest));
    format!("{}{}", text.get(..end).unwrap_or_default(), mark(end))
}

/// The last boundary of a character at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
