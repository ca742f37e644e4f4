//! What the lines of a session file must have if their texts match, told without decoding them. A line that has it need
//! not match; one that has it not cannot.
//!
//! A run of letters stands in the file as it is in the text, but for its case, unless something in the line is written
//! with an escape that could stand for one of its letters: such a line is decoded in any case.
//!
//! All runs of a question stand in one event. That is one line, but for answers of the model: each row of an answer may
//! have another run, so that such a line counts as well if it has only the first.

use std::ops::Range;

use memchr::{memchr, memmem, memrchr};

use super::fold::fold;
use super::query::{Query, What};

/// A run in ASCII of at least so many letters is preferred to a longer one that is not, because it is found faster.
const ASCII_CHARS_MIN: usize = 3;

/// Most runs that are looked for: more narrow no further.
const RUNS_MAX: usize = 8;

/// What stands in every row of an answer of the model, unless it is written with escapes.
const ANSWER: &[u8] = b"\"assistant\"";

/// What lines must have: some runs, the one that is looked for first before the others. Every line may match if there is
/// none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hint {
    runs: Vec<Run>,
}

/// A run of folded letters that every matching text has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// All of them ASCII, and none that JSON escapes.
    Ascii(Box<str>),
    /// Some of them beyond ASCII.
    Letters(Box<str>),
}

/// How a line fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// All runs may stand in it.
    Whole,
    /// The first run does, and other rows of the same answer may have the others.
    Part,
}

/// Letters beyond ASCII that fold to an ASCII letter, as bytes.
const FOLDED: [(u8, &[u8]); 2] = [(b's', "ſ".as_bytes()), (b'k', "\u{212a}".as_bytes())];

impl Run {
    /// The letters in UTF-8.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        let (Self::Ascii(run) | Self::Letters(run)) = self;
        run.as_bytes()
    }

    /// Whether all letters are ASCII.
    #[must_use]
    pub const fn is_ascii(&self) -> bool {
        matches!(self, Self::Ascii(_))
    }

    /// Runs that are found fast come first, and of these the longest.
    fn order(&self) -> (u8, std::cmp::Reverse<usize>) {
        let class = match self {
            Self::Ascii(run) if run.len() >= ASCII_CHARS_MIN => 0,
            Self::Letters(_) => 1,
            Self::Ascii(_) => 2,
        };
        (class, std::cmp::Reverse(self.bytes().len()))
    }

    /// Whether the run may stand in a line. `folded` is the line in small letters.
    fn may_be_in(&self, line: &[u8], folded: &[u8], odd: Oddness) -> bool {
        match self {
            Self::Ascii(run) => odd.ascii || memmem::find(folded, run.as_bytes()).is_some(),
            Self::Letters(run) => odd.letters || has_letters(line, run),
        }
    }
}

impl Hint {
    /// The runs of letters that all matching texts have.
    #[must_use]
    pub fn of(query: &Query) -> Self {
        let wanted = query.terms.iter().filter(|term| !term.not).flat_map(|term| match &term.what {
            What::Text(text) => std::slice::from_ref(text),
            What::Regex(_, literals) => literals,
        });
        let mut all = Vec::new();
        for run in wanted.flat_map(|text| text.split(|letter| !is_plain(letter))).filter(|run| !run.is_empty()) {
            let parts = run.split(|letter: char| !letter.is_ascii()).filter(|part| !part.is_empty());
            all.extend(parts.map(|part| Run::Ascii(part.into())));
            if !run.is_ascii() {
                all.push(Run::Letters(run.into()));
            }
        }
        all.sort_by_key(Run::order);
        let mut runs: Vec<Run> = Vec::new();
        for run in all {
            // What a longer run has says nothing more.
            let is_told = |known: &Run| {
                let counts = known.is_ascii() || run.bytes().len() < ASCII_CHARS_MIN || !run.is_ascii();
                counts && memmem::find(known.bytes(), run.bytes()).is_some()
            };
            if runs.len() < RUNS_MAX && !runs.iter().any(is_told) {
                runs.push(run);
            }
        }
        Self { runs }
    }

    /// What is looked for, the first one first.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The same, but another run is looked for first.
    #[must_use]
    pub fn led_by(mut self, number: usize) -> Self {
        if let Some(runs) = self.runs.get_mut(..=number) {
            runs.rotate_right(1);
        }
        self
    }

    /// Gives the places of lines that may match to `take`, in order. `lines` are whole lines, `are_odd` is false if they
    /// are known to have no [`Oddness`], and `scratch` is memory that is used again.
    pub fn lines(&self, lines: &[u8], are_odd: bool, scratch: &mut Vec<u8>, mut take: impl FnMut(Range<usize>, Fit)) {
        let Some((first, others)) = self.runs.split_first() else {
            return each_line(lines, |place| take(place, Fit::Whole));
        };
        let mut take_if_fit = |place: Range<usize>, folded: &[u8]| {
            let line = lines.get(place.clone()).unwrap_or_default();
            if let Some(fit) = fit_of(line, folded, others, are_odd) {
                take(place, fit);
            }
        };
        match first {
            Run::Ascii(run) => {
                scratch.clear();
                scratch.extend_from_slice(lines);
                scratch.make_ascii_lowercase();
                let folded: &[u8] = scratch;
                ascii_lines(folded, run.as_bytes(), are_odd, |place| {
                    take_if_fit(place.clone(), folded.get(place).unwrap_or_default());
                });
            }
            Run::Letters(run) => each_line(lines, |place| {
                let line = lines.get(place.clone()).unwrap_or_default();
                if has_letters(line, run) || (are_odd && Oddness::of(line).letters) {
                    let folded = if others.is_empty() { Vec::new() } else { line.to_ascii_lowercase() };
                    take_if_fit(place, &folded);
                }
            }),
        }
    }
}

/// How a line fits that has the first run; `None` if it cannot match.
fn fit_of(line: &[u8], folded: &[u8], others: &[Run], is_odd: bool) -> Option<Fit> {
    let has_all = |odd| others.iter().all(|run| run.may_be_in(line, folded, odd));
    if has_all(Oddness::default()) {
        return Some(Fit::Whole);
    }
    let odd = if is_odd { Oddness::of(line) } else { Oddness::default() };
    if odd != Oddness::default() && has_all(odd) {
        return Some(Fit::Whole);
    }
    (odd.ascii || memmem::find(line, ANSWER).is_some()).then_some(Fit::Part)
}

fn has_letters(line: &[u8], run: &str) -> bool {
    !line.is_ascii() && fold(&String::from_utf8_lossy(line)).contains(run)
}

/// Whether a letter stands in a file as it is, unless somebody escapes what need not be. What takes the place of broken
/// letters does not.
fn is_plain(letter: char) -> bool {
    !(letter.is_control() || matches!(letter, '"' | '\\' | '\u{2028}' | '\u{2029}' | '\u{fffd}'))
}

/// Gives the places of lines that may have a run. `folded` are lines in small letters.
fn ascii_lines(folded: &[u8], run: &[u8], are_odd: bool, mut take: impl FnMut(Range<usize>)) {
    if !are_odd {
        return each_line_with(folded, run, &mut |at| take(line_around(folded, at)));
    }
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

/// Whether a code stands for something that folds to a letter in ASCII.
const fn is_ascii_letter(code: u32) -> bool {
    matches!(code, 0x20..0x7f | 0x17f | 0x212a)
}
