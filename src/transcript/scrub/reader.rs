//! Reads a text byte by byte and counts the bytes that were read.
//!
//! Everything in `scrub` reads through [`TextReader`], so its counter is the work done and the linear-time law can be
//! tested without a clock. Positions are byte offsets; a read past the end is a zero, never a panic.

use std::borrow::Cow;
use std::cell::Cell;

/// The marker that replaces a secret.
pub(super) const MARKER: &str = "[REDACTED]";
/// The dashes at both ends of the first and last line of a PEM block.
pub(super) const DASHES: &str = "-----";

/// A secret in a text: from position `secret` up to `end` it is hidden; a beginning before `secret` is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SecretKey {
    pub(super) secret: usize,
    pub(super) end: usize,
}

/// `text` with a marker in place of each part, given as beginning and end in bytes. The parts come in order and do not
/// overlap; one that splits a character is left out.
pub(super) fn hide(text: &str, parts: impl Iterator<Item = (usize, usize)>) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    for (from, to) in parts {
        if let Some(kept) = text.get(copied..from)
            && text.is_char_boundary(to)
        {
            out.push_str(kept);
            out.push_str(MARKER);
            copied = to;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// A text and the number of bytes read from it.
pub(super) struct TextReader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    steps: Cell<u64>,
}

impl<'a> TextReader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), steps: Cell::new(0) }
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn steps(&self) -> u64 {
        self.steps.get()
    }

    fn count(&self, steps: usize) {
        self.steps.set(self.steps.get().saturating_add(steps as u64));
    }

    /// The byte at `at`; 0 past the end.
    pub(super) fn at(&self, at: usize) -> u8 {
        self.count(1);
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The byte `back` places before `at`; 0 before the beginning.
    pub(super) fn before(&self, at: usize, back: usize) -> u8 {
        at.checked_sub(back).map_or(0, |at| self.at(at))
    }

    /// The part between two positions; empty if one of them splits a character.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'a str {
        self.count(to.saturating_sub(from));
        self.text.get(from..to).unwrap_or_default()
    }

    /// The part between two positions, without a character that `to` would split.
    pub(super) fn slice_down(&self, from: usize, to: usize) -> &'a str {
        let mut end = to.min(self.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        self.slice(from, end)
    }

    pub(super) fn starts(&self, at: usize, pattern: &str) -> bool {
        self.count(1);
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(pattern.as_bytes()))
    }

    /// End of the run of at most `max` bytes from `from` on for which `fits` is true.
    pub(super) fn run(&self, from: usize, max: usize, fits: impl Fn(u8) -> bool) -> usize {
        let limit = from.saturating_add(max).min(self.len());
        let mut at = from;
        while at < limit && fits(self.at(at)) {
            at += 1;
        }
        at
    }

    /// End of the word that begins at `from`. Five dashes end it, because they may begin a PEM block.
    pub(super) fn word_end(&self, from: usize) -> usize {
        let mut at = from;
        while is_word(self.at(at)) && !self.starts(at, DASHES) {
            at += 1;
        }
        self.trim(from + 1, at, |byte| matches!(byte, b'-' | b'.'))
    }

    /// Position of the next `pattern` at or behind `from`.
    pub(super) fn find(&self, from: usize, pattern: &str) -> Option<usize> {
        let found = self.text.get(from..).and_then(|rest| rest.find(pattern)).map(|offset| from + offset);
        self.count(found.unwrap_or(self.len()).saturating_sub(from));
        found
    }

    /// Position behind the spaces and tabs at `from`. At most 40 are skipped, enough for aligned text, so that hostile
    /// padding is not read again and again.
    pub(super) fn skip_spaces(&self, from: usize) -> usize {
        self.run(from, SPACES_MAX, is_space)
    }

    /// `to`, moved back over closing punctuation, which may belong to the surrounding text; the `]` of a marker is not
    /// passed.
    pub(super) fn trim(&self, from: usize, to: usize, is_closing: impl Fn(u8) -> bool) -> usize {
        let mut end = to;
        while end > from && is_closing(self.before(end, 1)) && !self.ends_in_marker(end) {
            end -= 1;
        }
        end
    }

    fn ends_in_marker(&self, end: usize) -> bool {
        end.checked_sub(MARKER.len()).is_some_and(|at| self.starts(at, MARKER))
    }

    /// True if a marker begins between two positions, even if it ends behind the second one.
    pub(super) fn holds_marker(&self, from: usize, to: usize) -> bool {
        let behind = to.saturating_add(MARKER.len() - 1).min(self.len());
        let part = self.bytes.get(from..behind).unwrap_or_default();
        self.count(part.len());
        part.windows(MARKER.len()).any(|window| window == MARKER.as_bytes())
    }

    /// The opening quote at `at`. Backslashes may stand before it, if the text is itself inside quotes.
    pub(super) fn quote(&self, at: usize) -> Option<Quote> {
        let mark_at = self.run(at, BACKSLASHES_MAX, |byte| byte == b'\\');
        let mark = self.at(mark_at);
        is_quote(mark).then_some(Quote { mark, escaped: mark_at > at, after: mark_at + 1 })
    }
}

/// A quotation mark.
#[derive(Clone, Copy)]
pub(super) struct Quote {
    pub(super) mark: u8,
    /// Backslashes stand before it, and so before the closing quote too.
    pub(super) escaped: bool,
    /// Position behind the quotation mark.
    pub(super) after: usize,
}

const SPACES_MAX: usize = 40;
const BACKSLASHES_MAX: usize = 8;

pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// True for white space and control characters, which end a value without quotes.
pub(super) const fn is_blank(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// True for the characters that names of settings are made of.
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}
