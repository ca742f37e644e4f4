//! Strings of JSON as they are written, decoded only when their text is asked for.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Length of the text before the next quote or backslash, or of all of it.
pub(super) fn run_of_text(bytes: &[u8]) -> usize {
    /// Runs are short where text has many lines: calling the search costs more than it saves before this.
    const SHORT: usize = 16;
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let mut at = 0;
    for word in bytes.chunks_exact(8).take(SHORT / 8) {
        let Ok(word) = <[u8; 8]>::try_from(word) else { break };
        let word = u64::from_le_bytes(word);
        // A byte of zero borrows from its own high bit. The lowest mark is exact, those behind it may not be.
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        let marks = (zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c))) & HIGH;
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + memchr2(b'"', b'\\', rest).unwrap_or(rest.len())
}

/// A string between its quotes, as it is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Raw<'a> {
    pub(super) bytes: &'a [u8],
    /// By how many bytes escapes are longer than what they stand for.
    pub(super) excess: usize,
}

impl<'a> Raw<'a> {
    pub(super) const fn escaped(self) -> bool {
        self.excess > 0
    }

    /// The text. What is not Unicode in it becomes U+FFFD.
    pub(super) fn text(self) -> Cow<'a, str> {
        if !self.escaped() {
            // The whole check first: it passes over ASCII by words, the lossy one goes byte by byte.
            return std::str::from_utf8(self.bytes).map_or_else(|_| String::from_utf8_lossy(self.bytes), Cow::Borrowed);
        }
        let mut decoded = Vec::with_capacity(self.bytes.len());
        self.pieces(|piece| match piece {
            Piece::Bytes(bytes) => decoded.extend_from_slice(bytes),
            Piece::Char(char) => decoded.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        });
        match String::from_utf8(decoded) {
            Ok(text) => Cow::Owned(text),
            Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        }
    }

    /// The beginning of the text: what the first `bytes_max` bytes say, as they are written.
    pub(super) fn head(self, bytes_max: usize) -> Cow<'a, str> {
        let head = self.bytes.get(..bytes_max).map_or(self, |bytes| Self { bytes, ..self });
        head.text()
    }

    /// Bytes of the text.
    pub(super) const fn decoded_bytes(self) -> usize {
        self.bytes.len().saturating_sub(self.excess)
    }

    /// Newlines in the text.
    pub(super) fn newlines(self) -> usize {
        let mut newlines = 0;
        self.pieces(|piece| newlines += usize::from(matches!(piece, Piece::Char('\n'))));
        newlines
    }

    /// The text in pieces: as it is written, and what escapes stand for. An escape that is cut off is left out.
    fn pieces(self, mut take: impl FnMut(Piece<'a>)) {
        let mut rest = self.bytes;
        while let Some(at) = memchr(b'\\', rest) {
            let (before, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            if !before.is_empty() {
                take(Piece::Bytes(before));
            }
            let Some((char, bytes)) = decoded(escape) else { return };
            take(Piece::Char(char));
            rest = escape.get(bytes..).unwrap_or_default();
        }
        if !rest.is_empty() {
            take(Piece::Bytes(rest));
        }
    }
}

enum Piece<'a> {
    Bytes(&'a [u8]),
    Char(char),
}

/// What the escape at the beginning stands for, and its length, which is larger. `None` if it is none or not whole.
fn decoded(escape: &[u8]) -> Option<(char, usize)> {
    let char = match escape.get(1)? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'u' => return unicode(escape),
        plain @ (b'"' | b'\\' | b'/') => char::from(*plain),
        _ => return None,
    };
    Some((char, 2))
}

/// `\u` with its four digits, or two of them that are one character.
pub(super) fn unicode(escape: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0u32, |unit, digit| Some((unit << 4) | char::from(*digit).to_digit(16)?))
    };
    let first = unit(0)?;
    if let (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) = (first, unit(6)) {
        let char = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
        return Some((char.unwrap_or(char::REPLACEMENT_CHARACTER), 12));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6))
}
