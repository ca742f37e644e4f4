//! Strings of JSON as they are written, decoded only when their text is asked for.

use std::borrow::Cow;

use memchr::memchr;
use wide::u8x16;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Length of a string that ends among its first 16 bytes and has no escapes, as most do: keys and short values.
/// `text` begins after its opening quote.
pub(super) fn end_of_short_string(text: &[u8]) -> Option<usize> {
    let bytes = u8x16::new(*text.first_chunk()?);
    let end = marked(bytes, b'"').trailing_zeros();
    let wrong = marked(bytes, b'\\') | controls(bytes);
    (end < wrong.trailing_zeros()).then_some(usize::try_from(end).ok()?)
}

/// Where the string that begins with `text` (after its opening quote) ends, and by how many bytes its escapes are
/// longer than what they stand for. `None` if it has no end, a wrong escape or a control character.
pub(super) fn end_of_string(text: &[u8]) -> Option<(usize, usize)> {
    let mut escapes = Escapes::default();
    let mut at = 0;
    loop {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let marks = rest.first_chunk().map_or_else(|| Marks::of_last(rest), Marks::of);
        let escaped = escapes.in_block(marks.slashes);
        let closing = marks.quotes & !escaped;
        // Nothing behind the closing quote matters; without one, all of the block does.
        let inside = closing.wrapping_sub(1) & !closing;
        if marks.controls & inside != 0 {
            return None;
        }
        if escaped & inside != 0 {
            escapes.check(text, at, escaped & inside)?;
        }
        if closing != 0 {
            return Some((at + usize::try_from(closing.trailing_zeros()).ok()?, escapes.excess));
        }
        at += BLOCK;
    }
}

/// Which bytes are this one: one bit each, the first byte in the lowest.
fn marked(bytes: u8x16, byte: u8) -> u32 {
    bytes.simd_eq(u8x16::splat(byte)).to_bitmask()
}

/// Which bytes are below 0x20.
fn controls(bytes: u8x16) -> u32 {
    bytes.min(u8x16::splat(0x1f)).simd_eq(bytes).to_bitmask()
}

/// What is where in a block: one bit per byte.
#[derive(Clone, Copy, Default)]
struct Marks {
    quotes: u64,
    slashes: u64,
    /// Control characters: never inside a string.
    controls: u64,
}

impl Marks {
    fn of(block: &[u8; BLOCK]) -> Self {
        let (parts, _) = block.as_chunks::<16>();
        let mut marks = Self::default();
        let mut lowest = u8x16::splat(0xff);
        for (part, at) in parts.iter().zip([0, 16, 32, 48]) {
            let part = u8x16::new(*part);
            marks.quotes |= u64::from(marked(part, b'"')) << at;
            marks.slashes |= u64::from(marked(part, b'\\')) << at;
            lowest = lowest.min(part);
        }
        if controls(lowest) != 0 {
            for (part, at) in parts.iter().zip([0, 16, 32, 48]) {
                marks.controls |= u64::from(controls(u8x16::new(*part))) << at;
            }
        }
        marks
    }

    /// Of fewer bytes than a block has: behind them is nothing but controls.
    fn of_last(bytes: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self::of(&block)
    }
}

/// Escapes of a string, found block by block.
#[derive(Default)]
struct Escapes {
    /// The first byte of the next block is escaped: 0 or 1.
    carried: u64,
    /// Offset of the end of the last `\u` escape: the second half of a pair is part of the first.
    done: usize,
    excess: usize,
}

impl Escapes {
    /// Which bytes of a block stand behind the backslash of an escape. Of several backslashes every second one does.
    /// Source: Langdale and Lemire, "Parsing gigabytes of JSON per second", section 3.1.1.
    const fn in_block(&mut self, slashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if slashes == 0 {
            return std::mem::replace(&mut self.carried, 0);
        }
        let slashes = slashes & !self.carried;
        let follows = slashes << 1 | self.carried;
        let odd_starts = slashes & !EVEN & !follows;
        let (even_sequences, overflow) = odd_starts.overflowing_add(slashes);
        self.carried = overflow as u64;
        (EVEN ^ even_sequences << 1) & follows
    }

    /// Takes the escapes of the block at `at` whose bytes after the backslash are marked.
    fn check(&mut self, text: &[u8], at: usize, mut marked: u64) -> Option<()> {
        let block = text.get(at..)?;
        while marked != 0 {
            let place = usize::try_from(marked.trailing_zeros()).ok()?;
            marked &= marked - 1;
            match block.get(place)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.excess += 1,
                _ if at + place < self.done => {}
                _ => {
                    let start = (at + place).checked_sub(1)?;
                    let (char, bytes) = unicode(text.get(start..)?)?;
                    self.excess += bytes - char.len_utf8();
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
