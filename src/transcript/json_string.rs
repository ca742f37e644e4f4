//! Strings of JSON as they are written, decoded only when their text is asked for.

use std::borrow::Cow;
use std::hint::black_box;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x16, u8x64};
use memchr::memchr;

/// Bytes that are compared at once.
const BLOCK: usize = 64;

/// Length in bytes of a string without escapes that ends within 16 bytes, as most keys and short values do; `None` for
/// any other. `text` begins after the opening quote.
#[inline]
pub(super) fn end_of_short_string(text: &[u8]) -> Option<usize> {
    let bytes = text.first_chunk::<16>()?;
    // Only instructions that every processor of this kind has: finding out what else it can do takes longer than the
    // work.
    let (end, wrong) = dispatch!(Level::baseline(), simd => {
        let bytes = u8x16::from_slice(simd, bytes);
        let wrong = bytes.simd_eq(b'\\') | bytes.simd_le(LAST_CONTROL);
        (bytes.simd_eq(b'"').to_bitmask().trailing_zeros(), wrong.to_bitmask().trailing_zeros())
    });
    (end < wrong).then_some(usize::try_from(end).ok()?)
}

/// Where a string ends. Not an `Option`: the two numbers are returned in registers, and returning an `Option` in memory
/// would cost more than finding the end of a key.
#[derive(Clone, Copy)]
pub(super) struct StringEnd {
    /// Bytes before the closing quote; in [`StringEnd::NONE`] more than any text has.
    pub(super) length: usize,
    /// By how many bytes escapes are longer than what they stand for.
    pub(super) excess: usize,
}

impl StringEnd {
    /// The string has no end, or it holds a wrong escape or a control character.
    pub(super) const NONE: Self = Self { length: usize::MAX, excess: 0 };
}

/// Where the string that begins with `text` (after its opening quote) ends.
#[inline(never)]
pub(super) fn end_of_string(text: &[u8]) -> StringEnd {
    dispatch!(Level::new(), simd => end_by_blocks(simd, text))
}

/// [`end_of_string`] with the vector instructions of `simd`.
#[inline(always)]
fn end_by_blocks<S: Simd>(simd: S, text: &[u8]) -> StringEnd {
    let mut escapes = Escapes::default();
    let mut at = 0;
    loop {
        // No closures here: a closure that is not inlined would be compiled without the vector instructions of `simd`.
        let Some(rest) = text.get(at..) else { return StringEnd::NONE };
        let marks = match rest.first_chunk() {
            Some(block) => StringMarks::of(simd, block),
            None if rest.is_empty() => return StringEnd::NONE,
            None => StringMarks::of_last(simd, rest),
        };
        let escaped = escapes.in_block(marks.slashes);
        let closing = marks.quotes & !escaped;
        // The bytes before the closing quote; all of the block if it has none.
        let inside = closing.wrapping_sub(1) & !closing;
        if marks.controls & inside != 0 {
            return StringEnd::NONE;
        }
        let escaped = escaped & inside;
        escapes.excess += escaped.count_ones() as usize;
        let rare = escaped & !marks.frequent;
        if rare != 0 && escapes.check(text, at, rare).is_none() {
            return StringEnd::NONE;
        }
        if closing != 0 {
            return StringEnd { length: at + closing.trailing_zeros() as usize, excess: escapes.excess };
        }
        at += BLOCK;
    }
}

/// The last control character that JSON forbids in a string; DEL is allowed. Source: RFC 8259 section 7.
const LAST_CONTROL: u8 = 0x1f;

/// Where special bytes stand in a block: one bit per byte, the first byte in the lowest bit.
#[derive(Clone, Copy, Default)]
struct StringMarks {
    quotes: u64,
    slashes: u64,
    /// Control characters, which a string must not hold.
    controls: u64,
    /// The bytes that most escapes end with: `n`, `t`, quotes and backslashes.
    frequent: u64,
}

impl StringMarks {
    #[inline(always)]
    fn of<S: Simd>(simd: S, block: &[u8; BLOCK]) -> Self {
        let bytes = u8x64::from_slice(simd, block);
        let (quotes, slashes) = (bytes.simd_eq(b'"'), bytes.simd_eq(b'\\'));
        let letters = bytes.simd_eq(b'n') | bytes.simd_eq(b't');
        // Without `black_box` the optimizer splits each mask into 64 truth values, which takes four times as long.
        Self {
            quotes: black_box(quotes.to_bitmask()),
            slashes: black_box(slashes.to_bitmask()),
            controls: bytes.simd_le(LAST_CONTROL).to_bitmask(),
            frequent: black_box((quotes | slashes | letters).to_bitmask()),
        }
    }

    /// Marks of the last bytes of a text, fewer than a block has; the missing ones count as control characters.
    #[inline(always)]
    fn of_last<S: Simd>(simd: S, bytes: &[u8]) -> Self {
        Self::of(simd, &padded(bytes))
    }
}

/// A block that begins with `bytes` and ends in zeros.
#[inline(never)]
fn padded(bytes: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    block
}

/// Escapes of a string, found block by block.
#[derive(Default)]
struct Escapes {
    /// 1 if the first byte of the next block is escaped, else 0.
    carried: u64,
    /// Offset of the end of the last `\u` escape. The second half of a surrogate pair lies before it and is not counted
    /// again.
    done: usize,
    excess: usize,
}

impl Escapes {
    /// Which bytes of a block stand behind the backslash of an escape. In a run of backslashes every second one does.
    /// Source: Langdale and Lemire, "Parsing gigabytes of JSON per second", section 3.1.1.
    #[inline(always)]
    const fn in_block(&mut self, slashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let slashes = slashes & !self.carried;
        let follows = slashes << 1 | self.carried;
        let odd_starts = slashes & !EVEN & !follows;
        let (even_sequences, overflow) = odd_starts.overflowing_add(slashes);
        self.carried = overflow as u64;
        (EVEN ^ even_sequences << 1) & follows
    }

    /// Checks the escapes of the block at `at` whose byte after the backslash is set in `marked`, and corrects the
    /// excess: each was counted as one byte. `None` if one is wrong.
    #[cold]
    fn check(&mut self, text: &[u8], at: usize, mut marked: u64) -> Option<()> {
        while marked != 0 {
            let place = at + usize::try_from(marked.trailing_zeros()).ok()?;
            marked &= marked - 1;
            match text.get(place)? {
                b'/' | b'b' | b'f' | b'r' => {}
                _ if place < self.done => self.excess -= 1,
                _ => {
                    let start = place.checked_sub(1)?;
                    let (char, bytes) = unicode(text.get(start..)?)?;
                    self.excess += bytes - char.len_utf8() - 1;
                    self.done = start + bytes;
                }
            }
        }
        Some(())
    }
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
            // The strict check comes first, because it passes over ASCII word by word; the lossy one goes byte by byte.
            return std::str::from_utf8(self.bytes).map_or_else(|_| String::from_utf8_lossy(self.bytes), Cow::Borrowed);
        }
        let mut decoded = Vec::with_capacity(self.bytes.len());
        self.pieces(|piece| match piece {
            StringPiece::Bytes(bytes) => decoded.extend_from_slice(bytes),
            StringPiece::Char(char) => decoded.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        });
        match String::from_utf8(decoded) {
            Ok(text) => Cow::Owned(text),
            Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        }
    }

    /// The beginning of the text: its first `bytes_max` bytes as they are written, decoded.
    pub(super) fn head(self, bytes_max: usize) -> Cow<'a, str> {
        let head = self.bytes.get(..bytes_max).map_or(self, |bytes| Self { bytes, ..self });
        head.text()
    }

    /// Length of the decoded text in bytes.
    pub(super) const fn decoded_bytes(self) -> usize {
        self.bytes.len().saturating_sub(self.excess)
    }

    /// Number of newlines in the decoded text. Only escaped ones exist: a string in JSON holds no other.
    pub(super) fn newlines(self) -> usize {
        let mut newlines = 0;
        self.pieces(|piece| newlines += usize::from(matches!(piece, StringPiece::Char('\n'))));
        newlines
    }

    /// Gives the text to `take` in pieces: bytes as they are written, and the characters that escapes stand for. An
    /// escape that is cut off at the end is left out.
    fn pieces(self, mut take: impl FnMut(StringPiece<'a>)) {
        let mut rest = self.bytes;
        while let Some(at) = memchr(b'\\', rest) {
            let (before, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            if !before.is_empty() {
                take(StringPiece::Bytes(before));
            }
            let Some((char, bytes)) = decoded(escape) else { return };
            take(StringPiece::Char(char));
            rest = escape.get(bytes..).unwrap_or_default();
        }
        if !rest.is_empty() {
            take(StringPiece::Bytes(rest));
        }
    }
}

enum StringPiece<'a> {
    Bytes(&'a [u8]),
    Char(char),
}

/// The character that the escape at the beginning stands for, and the length of the escape in bytes; `None` if there is
/// no whole escape.
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

/// Decodes `\u` and four digits, or two of these that form a surrogate pair; half a pair becomes U+FFFD.
fn unicode(escape: &[u8]) -> Option<(char, usize)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `serde_json` finds for the string that `text` begins with: bytes up to the closing quote, and excess.
    fn expected(text: &[u8]) -> Option<(usize, usize)> {
        let whole = [b"\"", text].concat();
        let mut values = serde_json::Deserializer::from_slice(&whole).into_iter::<String>();
        let decoded = values.next()?.ok()?;
        let length = values.byte_offset() - 2;
        Some((length, length - decoded.len()))
    }

    #[test]
    fn every_kind_of_processor_finds_the_same_end() {
        // No lone backslash: it could part a surrogate pair, which this crate accepts and `serde_json` does not.
        let pieces: [&str; 13] = [
            "",
            "\\n",
            "\\t\\\"",
            "\\\\",
            "\\\\\\\"",
            "\\/\\b\\f\\r",
            "\\u00fc",
            "\\ud83d\\ude00",
            "ü日",
            "\u{1}",
            "\\x",
            "\\u12",
            "\"",
        ];
        let mut checked = 0;
        for before in 0..140 {
            for first in pieces {
                for (second, after) in pieces.iter().zip([0, 1, 2, 15, 16, 31, 40, 63, 64, 65, 70, 90, 127]) {
                    let text = format!("{}{first}{second}{}\" : 1", "a".repeat(before), "nt".repeat(after));
                    let expected = expected(text.as_bytes());
                    let found =
                        |end: StringEnd| (end.length != StringEnd::NONE.length).then_some((end.length, end.excess));
                    assert_eq!(found(end_of_string(text.as_bytes())), expected, "{text}");
                    #[cfg(target_arch = "x86_64")]
                    {
                        let (text, levels) = (text.as_bytes(), Level::new());
                        let sse2 = levels.as_sse2().map(|simd| simd.vectorize(|| end_by_blocks(simd, text)));
                        let avx2 = levels.as_avx2().map(|simd| simd.vectorize(|| end_by_blocks(simd, text)));
                        for end in sse2.into_iter().chain(avx2) {
                            assert_eq!(found(end), expected, "{}", String::from_utf8_lossy(text));
                        }
                    }
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 140 * 13 * 13);
    }
}
