//! Strings of JSON as they are written, decoded only when their text is asked for.

use std::borrow::Cow;

use memchr::memchr;
use wide::u8x16;

/// Bytes that are looked at together.
const BLOCK: usize = 32;

/// Where the string that begins with `text` (after its opening quote) ends, and by how many bytes its escapes are
/// longer than what they stand for. `None` if it has no end or a wrong escape.
pub(super) fn end_of_string(text: &[u8]) -> Option<(usize, usize)> {
    // Most strings are keys and short values.
    if let Some(first) = text.first_chunk::<16>() {
        let (quotes, slashes) = marks(*first);
        let end = (quotes | slashes).trailing_zeros();
        if end < 16 && quotes >> end & 1 == 1 {
            return Some((usize::try_from(end).ok()?, 0));
        }
    }
    let mut escapes = Escapes::default();
    let mut at = 0;
    loop {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let block = rest.first_chunk::<BLOCK>().copied().unwrap_or_else(|| {
            let mut block = [0; BLOCK];
            block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            block
        });
        let (quotes, slashes) = block_marks(&block);
        let escaped = escapes.in_block(slashes);
        let closing = quotes & !escaped;
        let end = closing.trailing_zeros();
        // Nothing behind the closing quote matters; without one, all of the block does.
        let inside = escaped & closing.wrapping_sub(1) & !closing;
        if inside != 0 {
            escapes.check(text, at, inside)?;
        }
        if closing != 0 {
            return Some((at + usize::try_from(end).ok()?, escapes.excess));
        }
        at += BLOCK;
    }
}

/// One bit per byte: quotes, and backslashes.
fn marks(bytes: [u8; 16]) -> (u32, u32) {
    let bytes = u8x16::new(bytes);
    let of = |byte: u8| bytes.simd_eq(u8x16::splat(byte)).to_bitmask();
    (of(b'"'), of(b'\\'))
}

fn block_marks(block: &[u8; BLOCK]) -> (u32, u32) {
    let half = |at: usize| block.get(at..).and_then(<[u8]>::first_chunk::<16>).map_or((0, 0), |half| marks(*half));
    let ((low_quotes, low_slashes), (high_quotes, high_slashes)) = (half(0), half(16));
    (low_quotes | high_quotes << 16, low_slashes | high_slashes << 16)
}

/// Escapes of a string, found block by block.
#[derive(Default)]
struct Escapes {
    /// The first byte of the next block is escaped: 0 or 1.
    carried: u32,
    /// Offset of the end of the last `\u` escape: the second half of a pair is part of the first.
    done: usize,
    excess: usize,
}

impl Escapes {
    /// Which bytes of a block stand behind the backslash of an escape. Of several backslashes every second one does.
    /// Source: Langdale and Lemire, "Parsing gigabytes of JSON per second", section 3.1.1.
    const fn in_block(&mut self, slashes: u32) -> u32 {
        const EVEN: u32 = 0x5555_5555;
        if slashes == 0 {
            return std::mem::replace(&mut self.carried, 0);
        }
        let slashes = slashes & !self.carried;
        let follows = slashes << 1 | self.carried;
        let odd_starts = slashes & !EVEN & !follows;
        let (even_sequences, overflow) = odd_starts.overflowing_add(slashes);
        self.carried = overflow as u32;
        (EVEN ^ even_sequences << 1) & follows
    }

    /// Takes the escapes of the block at `at` whose bytes after the backslash are marked.
    fn check(&mut self, text: &[u8], at: usize, mut marked: u32) -> Option<()> {
        while marked != 0 {
            let place = at + usize::try_from(marked.trailing_zeros()).ok()?;
            marked &= marked - 1;
            match text.get(place)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.excess += 1,
                _ if place < self.done => {}
                _ => {
                    let (char, bytes) = unicode(text.get(place - 1..)?)?;
                    self.excess += bytes - char.len_utf8();
                    self.done = place - 1 + bytes;
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
