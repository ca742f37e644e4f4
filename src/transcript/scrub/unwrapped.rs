//! A text as its reader sees it: without colours of a terminal, escapes of JSON, percent signs of URLs and entities of HTML.
//!
//! ```text
//! ghp_\x1b[31m16C7e42F...       the escape sequence is left out
//! wJalrXUtnFEMI\/K7MDENG...     \/ \" \n \u0041 become what they stand for
//! sk%5Flive%5F51H8...           %5F becomes _
//! DB_PASSWORD=&#39;...&#39;     &quot; &#39; &#x2F; become what they stand for
//! ```
//!
//! JSON may stand in JSON, so this is done up to [`LEVELS_MAX`] times.
//!
//! A secret that is found here is hidden in the original, with whatever stood between its bytes.

use memchr::{memchr, memchr3};

/// A text, and where each byte of it came from.
pub(super) struct Unwrapped {
    pub(super) text: String,
    parts: Vec<Part>,
    source_bytes: usize,
}

/// From `text` on, the bytes are those of the source from `source` on, one by one; or the first character of the part
/// stands for all the source up to the next part.
#[derive(Clone, Copy)]
struct Part {
    text: usize,
    source: usize,
}

/// How often a text is unwrapped.
const LEVELS_MAX: usize = 5;
const ESCAPE: u8 = 0x1b;
/// Longest entity of HTML.
const ENTITY_BYTES_MAX: usize = 8;
/// Longest control sequence that is left out.
const CONTROL_BYTES_MAX: usize = 64;

/// The text, unwrapped once, twice and so on; empty if it is already as its reader sees it.
pub(super) fn levels(source: &str) -> Vec<Unwrapped> {
    let mut levels: Vec<Unwrapped> = Vec::new();
    while levels.len() < LEVELS_MAX {
        match Unwrapped::of(levels.last().map_or(source, |view| view.text.as_str())) {
            Some(view) => levels.push(view),
            None => break,
        }
    }
    levels
}

impl Unwrapped {
    /// `None` if the text is already as its reader sees it.
    pub(super) fn of(source: &str) -> Option<Self> {
        let bytes = source.as_bytes();
        let mut view = Self { text: String::new(), parts: Vec::new(), source_bytes: bytes.len() };
        let (mut at, mut copied) = (0, 0);
        let mut entity = memchr(b'&', bytes);
        loop {
            if entity.is_some_and(|entity| entity < at) {
                entity = bytes.get(at..).and_then(|rest| memchr(b'&', rest)).map(|found| at + found);
            }
            let to = entity.unwrap_or(bytes.len());
            let found = bytes.get(at..to).and_then(|rest| memchr3(ESCAPE, b'\\', b'%', rest)).map(|found| at + found);
            let Some(next) = found.or(entity) else { break };
            at = next;
            let Some((length, char)) = wrapped(bytes.get(at..).unwrap_or_default()) else {
                at += 1;
                continue;
            };
            view.push(source, copied, at);
            view.parts.push(Part { text: view.text.len(), source: at });
            view.text.extend(char);
            at += length;
            copied = at;
        }
        if copied == 0 {
            return None;
        }
        view.push(source, copied, bytes.len());
        Some(view)
    }

    fn push(&mut self, source: &str, from: usize, to: usize) {
        if let Some(part) = source.get(from..to).filter(|part| !part.is_empty()) {
            self.parts.push(Part { text: self.text.len(), source: from });
            self.text.push_str(part);
        }
    }

    /// Where a part of the text stands in the source.
    pub(super) fn source(&self, (from, to): (usize, usize)) -> (usize, usize) {
        (self.source_of(from), if to == 0 { 0 } else { self.end_of(to - 1) })
    }

    /// The last part that begins at or before a place.
    fn part(&self, at: usize) -> usize {
        self.parts.partition_point(|part| part.text <= at).saturating_sub(1)
    }

    fn source_of(&self, at: usize) -> usize {
        let known = self.parts.get(self.part(at)).copied().unwrap_or(Part { text: 0, source: 0 });
        let next = self.parts.get(self.part(at) + 1).map_or(self.source_bytes, |next| next.source);
        (known.source + (at - known.text)).min(next)
    }

    /// Where the source of the byte at `at` ends.
    fn end_of(&self, at: usize) -> usize {
        let index = self.part(at);
        let known = self.parts.get(index).copied().unwrap_or(Part { text: 0, source: 0 });
        let (next_text, next_source) =
            self.parts.get(index + 1).map_or((self.text.len(), self.source_bytes), |next| (next.text, next.source));
        // The last byte of a part takes all of its source: an escape is longer than what it stands for.
        if at + 1 == next_text { next_source } else { known.source + (at - known.text) + 1 }
    }
}

/// The bytes of what is wrapped at the beginning of `rest`, and the character that it stands for.
fn wrapped(rest: &[u8]) -> Option<(usize, Option<char>)> {
    match rest {
        [ESCAPE, control @ ..] => Some((1 + control_bytes(control)?, None)),
        [b'\\', escape @ ..] => escaped(escape).map(|(length, char)| (1 + length, char)),
        [b'%', high, low, ..] => {
            let byte = hex(*high)? << 4 | hex(*low)?;
            let char = char::from(u8::try_from(byte).ok()?);
            (char.is_ascii_graphic() || matches!(char, ' ' | '\n' | '\r' | '\t')).then_some((3, Some(char)))
        }
        [b'&', entity @ ..] => entity_char(entity).map(|(length, char)| (1 + length, Some(char))),
        _ => None,
    }
}

/// The bytes behind the `&` of an entity of HTML, and what it stands for.
fn entity_char(rest: &[u8]) -> Option<(usize, char)> {
    let within = rest.get(..rest.len().min(ENTITY_BYTES_MAX)).unwrap_or_default();
    let end = memchr(b';', within)?;
    let name = std::str::from_utf8(within.get(..end)?).ok()?;
    let char = match name {
        "quot" => '"',
        "apos" => '\'',
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "sol" => '/',
        "plus" => '+',
        "equals" => '=',
        "colon" => ':',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let hexadecimal = number.strip_prefix(['x', 'X']);
            let code = hexadecimal.map_or_else(|| number.parse(), |digits| u32::from_str_radix(digits, 16)).ok()?;
            char::from_u32(code).filter(|char| char.is_ascii_graphic() || matches!(char, ' ' | '\n'))?
        }
    };
    Some((end + 1, char))
}

/// What stands behind a backslash in JSON, or as the escape of a terminal in source code.
fn escaped(rest: &[u8]) -> Option<(usize, Option<char>)> {
    let control = |length: usize| {
        rest.get(length..)
            .and_then(|rest| rest.starts_with(b"[").then(|| control_bytes(rest)).flatten())
            .map(|more| (length + more, None))
    };
    match rest {
        [b'u', a, b, c, d, ..] => {
            let code = hex(*a)? << 12 | hex(*b)? << 8 | hex(*c)? << 4 | hex(*d)?;
            if code == u32::from(ESCAPE) {
                return control(5);
            }
            char::from_u32(code).filter(|char| !char.is_control()).map(|char| (5, Some(char)))
        }
        [b'x', b'1', b'b' | b'B', ..] | [b'0', b'3', b'3', ..] => control(3),
        [b'e', b'[', ..] => control(1),
        [b'n' | b'r', ..] => Some((1, Some('\n'))),
        [b't', ..] => Some((1, Some('\t'))),
        [char @ (b'"' | b'\\' | b'/'), ..] => Some((1, Some(char::from(*char)))),
        _ => None,
    }
}

/// Bytes of a control sequence behind its escape.
fn control_bytes(rest: &[u8]) -> Option<usize> {
    let within = rest.get(..rest.len().min(CONTROL_BYTES_MAX)).unwrap_or_default();
    match within {
        [b'[', body @ ..] => body.iter().position(|byte| (0x40..=0x7e).contains(byte)).map(|at| at + 2),
        [b']', body @ ..] => {
            let end = body.iter().position(|byte| matches!(*byte, 0x07 | ESCAPE))?;
            Some(if body.get(end) == Some(&0x07) { end + 2 } else { end + 3 })
        }
        [byte, ..] if byte.is_ascii_graphic() => Some(1),
        _ => None,
    }
}

fn hex(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}
