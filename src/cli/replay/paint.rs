//! Texts with colours, in lines of a terminal. Whatever a session holds becomes a [`Span`], and a span can do nothing to a
//! terminal: there is no other way to make one.

use unicode_width::UnicodeWidthChar;

use crate::transcript::shown::is_visible;

/// Columns that a tab takes.
const TAB: &str = "    ";

/// One of the eight colours that every terminal has, as the terminal's own theme shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Black,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
    White,
}

impl Colour {
    /// Each with the number by which terminals know it.
    pub(super) const ALL: [Self; 8] =
        [Self::Black, Self::Red, Self::Green, Self::Yellow, Self::Blue, Self::Magenta, Self::Cyan, Self::White];
}

/// How letters look. Nothing set is the terminal's own colour of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    pub colour: Option<Colour>,
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
    pub inverse: bool,
}

impl Style {
    pub(super) const PLAIN: Self =
        Self { colour: None, bold: false, dim: false, italic: false, underline: false, inverse: false };
    pub(super) const STRONG: Self = Self { bold: true, ..Self::PLAIN };
    pub(super) const DIM: Self = Self { dim: true, ..Self::PLAIN };
    pub(super) const BAD: Self = Self::of(Colour::Red);
    pub(super) const GOOD: Self = Self::of(Colour::Green);
    pub(super) const WARN: Self = Self::of(Colour::Yellow);
    pub(super) const MARK: Self = Self::of(Colour::Cyan);

    pub(super) const fn of(colour: Colour) -> Self {
        Self { colour: Some(colour), ..Self::PLAIN }
    }

    pub(super) const fn inverted(self) -> Self {
        Self { inverse: true, ..self }
    }
}

/// A text of one look, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    text: String,
    style: Style,
}

impl Span {
    /// A text made harmless: what cannot be seen, or turns the direction of texts, is shown as its number, as on the page.
    pub(super) fn new(text: &str, style: Style) -> Self {
        Self { text: visible(text), style }
    }

    /// The text, of letters that can be seen.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it looks.
    #[must_use]
    pub const fn style(&self) -> Style {
        self.style
    }
}

/// Text of letters that can be seen, on one line. Of emoji that are put together of several only these are shown, because
/// terminals do not agree on how wide they are.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\t' => shown.push_str(TAB),
            '\n' => shown.push(' '),
            '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => {}
            letter if is_visible(letter) => shown.push(letter),
            letter => shown.push_str(&format!("\u{27e8}{:X}\u{27e9}", u32::from(letter))),
        }
    }
    shown
}

/// The same text for a locale without Unicode, letter for letter in as many columns: the signs of the screen as others that
/// look alike, letters of the session as question marks.
pub(super) fn as_ascii(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '…' | '·' | '▃' | '▄' => told.push('.'),
            '▁' | '▂' => told.push('_'),
            '▅' => told.push('-'),
            '▆' | '‖' => told.push('='),
            '▇' | '█' => told.push('#'),
            '│' => told.push('|'),
            '×' | '☑' => told.push('x'),
            '▶' | '→' | '❯' | '⟩' => told.push('>'),
            '←' | '↩' | '⟨' => told.push('<'),
            '↑' => told.push('^'),
            '↓' | '⤓' => told.push('v'),
            '★' | '⚙' | '•' => told.push('*'),
            '✦' => told.push('+'),
            '■' => told.push('#'),
            '⚠' => told.push('!'),
            '⚓' => told.push_str("& "),
            '✋' => told.push_str("! "),
            '⇄' => told.push('='),
            '◐' | '☐' => told.push('o'),
            '⋯' => told.push('~'),
            '“' | '”' => told.push('"'),
            letter if letter.is_ascii() => told.push(letter),
            letter => told.push_str(&"?".repeat(letter_width(letter))),
        }
    }
    told
}

/// The columns that a letter takes.
fn letter_width(letter: char) -> usize {
    letter.width().unwrap_or(0)
}

/// The columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

/// A line of a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(Vec<Span>);

impl Line {
    pub(super) fn of(text: &str, style: Style) -> Self {
        Self(vec![Span::new(text, style)])
    }

    /// The same line with a text behind it.
    #[must_use]
    pub(super) fn with(mut self, text: &str, style: Style) -> Self {
        self.push(text, style);
        self
    }

    pub(super) fn push(&mut self, text: &str, style: Style) {
        if !text.is_empty() {
            self.0.push(Span::new(text, style));
        }
    }

    /// Both lines, one behind the other.
    pub(super) fn joined(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Its parts.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// The columns that it takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.iter().map(|span| width(&span.text)).sum()
    }

    /// What it says.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().map(|span| span.text.as_str()).collect()
    }

    /// The same line in exactly `columns`: cut with an ellipsis, or filled with blanks that look as `fill`.
    pub(super) fn fitted(self, columns: usize, fill: Style) -> Self {
        let own = self.width();
        if own <= columns {
            return Self(self.0.into_iter().chain([Span { text: " ".repeat(columns - own), style: fill }]).collect());
        }
        let room = columns.saturating_sub(1);
        let (mut taken, mut made) = (0, Vec::new());
        for span in self.0 {
            let mut text = String::new();
            let rest = span.text.chars().find(|letter| {
                let goes_on = taken + letter_width(*letter) <= room;
                if goes_on {
                    taken += letter_width(*letter);
                    text.push(*letter);
                }
                !goes_on
            });
            let is_cut = rest.is_some();
            if is_cut {
                // A wide letter that does not fit leaves a column.
                text.push_str(&" ".repeat(room - taken));
                text.push_str(if columns > 0 { "…" } else { "" });
            }
            made.push(Span { text, style: span.style });
            if is_cut {
                break;
            }
        }
        Self(made)
    }

    /// The same line, all of it inverted.
    pub(super) fn inverted(self) -> Self {
        Self(self.0.into_iter().map(|span| Span { style: span.style.inverted(), ..span }).collect())
    }

    /// The same line with letters marked, from one up to and without another, ascending: inverted where they are not, and as
    /// they would be where they are.
    pub(super) fn marked(self, places: &[(usize, usize)]) -> Self {
        if places.is_empty() {
            return self;
        }
        let mut places = places.iter().copied().peekable();
        let letters = self.0.iter().flat_map(|span| span.text.chars().map(|letter| (letter, span.style)));
        let marked = letters.enumerate().map(|(number, (letter, style))| {
            while places.next_if(|(_, end)| *end <= number).is_some() {}
            let is_marked = places.peek().is_some_and(|(begin, _)| *begin <= number);
            (letter, Style { inverse: style.inverse != is_marked, ..style })
        });
        Self::of_letters(&marked.collect::<Vec<_>>())
    }

    /// The line in lines of at most `columns`, broken behind blanks where there are some.
    pub(super) fn wrapped(&self, columns: usize, into: &mut Vec<Self>) {
        let columns = columns.max(2);
        let letters: Vec<(char, Style)> =
            self.0.iter().flat_map(|span| span.text.chars().map(|letter| (letter, span.style))).collect();
        let mut rest = letters.as_slice();
        loop {
            let (mut taken, mut fit) = (0, 0);
            for (letter, _) in rest {
                taken += letter_width(*letter);
                if taken > columns {
                    break;
                }
                fit += 1;
            }
            let (mut head, mut tail) = rest.split_at_checked(fit).unwrap_or((rest, &[]));
            if !tail.is_empty() {
                let blank = head.iter().rposition(|(letter, _)| *letter == ' ').map(|blank| blank + 1);
                // A line that is mostly one long word is broken within it.
                if let Some(place) = blank.filter(|place| *place * 2 > fit) {
                    (head, tail) = rest.split_at_checked(place).unwrap_or((rest, &[]));
                }
            }
            into.push(Self::of_letters(head));
            if tail.is_empty() {
                return;
            }
            rest = tail;
        }
    }

    fn of_letters(letters: &[(char, Style)]) -> Self {
        let same = letters.chunk_by(|(_, one), (_, other)| one == other);
        let span = |run: &[(char, Style)]| {
            let style = run.first().map_or(Style::PLAIN, |(_, style)| *style);
            Span { text: run.iter().map(|(letter, _)| *letter).collect(), style }
        };
        Self(same.map(span).collect())
    }
}
