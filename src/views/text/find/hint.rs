//! What the line of a session file must have if its texts match, told without decoding it. A line that has it need not
//! match; one that has it not cannot.
//!
//! A run of letters stands in the file as it is in the text, but for its case, unless something in the line is written
//! with an escape that could stand for one of its letters: such a line is decoded in any case.
//!
//! The hint is of one word only. All words may stand in an event, each in a line of its own: a response is written over
//! several lines.

use std::ops::Range;

use memchr::{memchr, memmem, memrchr};

use super::fold::fold;
use super::query::{Query, What};

/// A run in ASCII of at least so many letters is preferred to a longer one that is not, because it is found faster.
const ASCII_CHARS_MIN: usize = 3;

/// What lines must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Nothing is known: every line may match.
    Anything,
    /// Folded letters, all of them ASCII, and none that JSON escapes.
    Ascii(Box<str>),
    /// Folded letters, some of them beyond ASCII.
    Letters(Box<str>),
}

/// Most fours of a run that are looked for: more narrow no further, and each is a row to read.
const GRAMS_MAX: usize = 32;

/// Letters beyond ASCII that fold to an ASCII letter, as bytes.
const FOLDED: [(u8, &[u8]); 2] = [(b's', "ſ".as_bytes()), (b'k', "\u{212a}".as_bytes())];

impl Hint {
    /// The longest run of letters that all matching texts have.
    #[must_use]
    pub fn of(query: &Query) -> Self {
        let wanted = query.terms.iter().filter(|term| !term.not).filter_map(|term| match &term.what {
            What::Text(text) => Some(&**text),
            What::Regex(_, literal) => literal.as_deref(),
        });
        let (mut ascii, mut letters) = ("", "");
        for text in wanted {
            for run in text.split(|letter| !is_plain(letter)) {
                letters = if run.len() > letters.len() { run } else { letters };
                let parts = run.split(|letter: char| !letter.is_ascii());
                ascii = parts.fold(ascii, |longest, part| if part.len() > longest.len() { part } else { longest });
            }
        }
        match (ascii.len(), letters) {
            (_, "") => Self::Anything,
            (length, _) if length >= ASCII_CHARS_MIN || length == letters.len() => Self::Ascii(ascii.into()),
            _ => Self::Letters(letters.into()),
        }
    }

    /// Gives the places of lines that may match to `take`, in order. `lines` are whole lines; `scratch` is memory that
    /// is used again.
    pub fn lines(&self, lines: &[u8], scratch: &mut Vec<u8>, mut take: impl FnMut(Range<usize>)) {
        match self {
            Self::Anything => each_line(lines, take),
            Self::Ascii(run) => ascii_lines(lines, run.as_bytes(), scratch, take),
            Self::Letters(run) => each_line(lines, |place| {
                let line = lines.get(place.clone()).unwrap_or_default();
                let has_slash = || run.contains('/') && escaped(line, b"\\/").next().is_some();
                let has_escape = || escapes(line, |code| code >= u32::from(b' ')) || has_slash();
                let has_run = || !line.is_ascii() && fold(&String::from_utf8_lossy(line)).contains(&**run);
                if has_run() || has_escape() {
                    take(place);
                }
            }),
        }
    }
}

/// Whether a letter stands in a file as it is, unless somebody escapes what need not be. What takes the place of broken
/// letters does not.
fn is_plain(letter: char) -> bool {
    !(letter.is_control() || matches!(letter, '"' | '\\' | '\u{2028}' | '\u{2029}' | '\u{fffd}'))
}

fn ascii_lines(lines: &[u8], run: &[u8], scratch: &mut Vec<u8>, mut take: impl FnMut(Range<usize>)) {
    scratch.clear();
    scratch.extend_from_slice(lines);
    scratch.make_ascii_lowercase();
    let folded: &[u8] = scratch;
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut add = |at: usize| found.push(line_around(folded, at));
    each_line_with(folded, run, &mut add);
    for (letter, bytes) in FOLDED {
        if run.contains(&letter) {
            each_line_with(folded, bytes, &mut add);
        }
    }
    if run.contains(&b'/') {
        found.extend(lines_of(folded, escaped(folded, b"\\/")));
    }
    let is_odd = |at: &usize| folded.get(*at..*at + 6).is_none_or(|escape| escapes(escape, is_ascii_letter));
    found.extend(lines_of(folded, escaped(folded, b"\\u").filter(is_odd)));
    found.sort_unstable_by_key(|place| place.start);
    found.dedup();
    found.into_iter().for_each(&mut take);
}

/// Gives one place of each line that has some bytes to `add`.
fn each_line_with(lines: &[u8], bytes: &[u8], add: &mut impl FnMut(usize)) {
    let finder = memmem::Finder::new(bytes);
    let mut from = 0;
    while let Some(at) = lines.get(from..).and_then(|rest| finder.find(rest)) {
        add(from + at);
        from = line_around(lines, from + at).end;
    }
}

/// The lines that have some bytes, each once. The bytes are in order.
fn lines_of(lines: &[u8], places: impl Iterator<Item = usize>) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    places.filter_map(move |at| {
        let line = (at >= end).then(|| line_around(lines, at))?;
        end = line.end;
        Some(line)
    })
}

/// The line that has a byte, with its newline.
fn line_around(lines: &[u8], at: usize) -> Range<usize> {
    let start = lines.get(..at).and_then(|before| memrchr(b'\n', before)).map_or(0, |newline| newline + 1);
    let end = lines.get(at..).and_then(|rest| memchr(b'\n', rest)).map_or(lines.len(), |newline| at + newline + 1);
    start..end
}

fn each_line(lines: &[u8], mut take: impl FnMut(Range<usize>)) {
    let mut start = 0;
    while start < lines.len() {
        let line = line_around(lines, start);
        start = line.end;
        take(line);
    }
}

/// Whether one of the escapes in a line that are `\u` and four digits stands for a code that counts, or cannot be read.
fn escapes(line: &[u8], counts: impl Fn(u32) -> bool) -> bool {
    escaped(line, b"\\u").any(|at| {
        let digits = line.get(at + 2..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).is_none_or(&counts)
    })
}

/// Where an escape stands, which is two bytes. Behind a backslash that is escaped itself there is none: the text `\u{7f}` is
/// written `\\u{7f}`, and source code is full of it.
fn escaped<'l>(line: &'l [u8], escape: &'l [u8; 2]) -> impl Iterator<Item = usize> + 'l {
    memmem::find_iter(line, escape).filter(|at| {
        let before = line.get(..*at).unwrap_or_default();
        before.iter().rev().take_while(|byte| **byte == b'\\').count().is_multiple_of(2)
    })
}

/// Whether lines are written with escapes, or with other forms of letters, so that not all that stands in them is seen
/// without decoding them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Oddness {
    /// Some stand for ASCII.
    pub ascii: bool,
    /// Some stand for a letter.
    pub letters: bool,
}

impl Oddness {
    /// Of some whole lines.
    #[must_use]
    pub fn of(lines: &[u8]) -> Self {
        let has = |bytes: &[u8]| memmem::find(lines, bytes).is_some();
        let has_slash = escaped(lines, b"\\/").next().is_some();
        let ascii = has_slash || FOLDED.iter().any(|(_, bytes)| has(bytes)) || escapes(lines, is_ascii_letter);
        Self { ascii, letters: has_slash || escapes(lines, |code| code >= u32::from(b' ')) }
    }
}

impl Hint {
    /// Four bytes of the run each, as many as are looked for, and whether it is ASCII; `None` if it is too short.
    #[must_use]
    pub fn grams(&self) -> Option<(Vec<[u8; 4]>, bool)> {
        let (run, is_ascii) = match self {
            Self::Anything => return None,
            Self::Ascii(run) => (run, true),
            Self::Letters(run) => (run, false),
        };
        let all = run.as_bytes().windows(4);
        let every = all.len().div_ceil(GRAMS_MAX).max(1);
        let grams: Vec<[u8; 4]> = all.step_by(every).filter_map(|four| four.first_chunk()).copied().collect();
        (!grams.is_empty()).then_some((grams, is_ascii))
    }
}

/// Whether a code stands for something that folds to a letter in ASCII.
const fn is_ascii_letter(code: u32) -> bool {
    matches!(code, 0x20..0x7f | 0x17f | 0x212a)
}
