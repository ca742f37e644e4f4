//! Colours of terminals: what sequences of escapes say of the text behind them, and texts without them.

/// The escape that sequences begin with.
const ESCAPE: char = '\u{1b}';

/// How a stretch of text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// One of the eight colours of terminals, 0 to 7; bright ones count as their dark ones.
    pub(super) colour: Option<u8>,
    pub(super) bold: bool,
    pub(super) dim: bool,
    pub(super) italic: bool,
    pub(super) underline: bool,
    pub(super) inverse: bool,
}

/// Passes on a text in stretches of one look each, without any sequence.
pub(super) fn stretches<'t>(text: &'t str, mut take: impl FnMut(Look, &'t str)) {
    let (mut look, mut rest) = (Look::default(), text);
    while let Some((before, behind)) = rest.split_once(ESCAPE) {
        if !before.is_empty() {
            take(look, before);
        }
        rest = match sequence(behind) {
            (Some(codes), after) => {
                look = look.after(codes);
                after
            }
            (None, after) => after,
        };
    }
    if !rest.is_empty() {
        take(look, rest);
    }
}

/// The text without any sequence.
pub(super) fn without(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    stretches(text, |_, stretch| plain.push_str(stretch));
    plain
}

/// Reads what stands behind an escape: the codes of a look, if it is one, and the text behind the sequence.
fn sequence(text: &str) -> (Option<&str>, &str) {
    let mut letters = text.char_indices();
    match letters.next() {
        Some((_, '[')) => {
            let Some((end, last)) = letters.find(|(_, letter)| !matches!(letter, ' '..='?')) else { return (None, "") };
            let (codes, after) = (text.get(1..end).unwrap_or_default(), text.get(end..).unwrap_or_default());
            match last {
                'm' => (Some(codes), after.get(1..).unwrap_or_default()),
                '@'..='~' => (None, after.get(1..).unwrap_or_default()),
                // This is no sequence after all: what follows is text.
                _ => (None, after),
            }
        }
        // A title, a link and the like: up to a bell, or to an escape with a backslash. Without an end, it ends here.
        Some((_, ']' | 'P' | '_' | '^' | 'X')) => {
            let behind = text.get(1..).unwrap_or_default();
            let end = behind.find(|letter: char| letter.is_control() && letter != '\t');
            let Some(end) = end else { return (None, behind) };
            let (_, after) = behind.split_at(end);
            (None, after.strip_prefix('\u{7}').or_else(|| after.strip_prefix("\u{1b}\\")).unwrap_or(after))
        }
        Some((_, letter @ (' '..='/'))) => {
            let after = text.get(letter.len_utf8()..).unwrap_or_default();
            let mut rest = after.chars();
            match rest.next() {
                Some('0'..='~') => (None, rest.as_str()),
                _ => (None, after),
            }
        }
        Some((_, letter @ ('0'..='~'))) => (None, text.get(letter.len_utf8()..).unwrap_or_default()),
        _ => (None, text),
    }
}

impl Look {
    /// The look behind a sequence with these codes.
    fn after(self, codes: &str) -> Self {
        let mut look = self;
        let mut numbers = codes.split([';', ':']).map(|code| code.parse::<u16>().unwrap_or(0));
        while let Some(number) = numbers.next() {
            match number {
                0 => look = Self::default(),
                1 => look.bold = true,
                2 => look.dim = true,
                3 => look.italic = true,
                4 => look.underline = true,
                7 => look.inverse = true,
                22 => (look.bold, look.dim) = (false, false),
                23 => look.italic = false,
                24 => look.underline = false,
                27 => look.inverse = false,
                38 => look.colour = extended(&mut numbers),
                // A background is passed over with its own numbers.
                48 => drop(extended(&mut numbers)),
                39 => look.colour = None,
                30..=37 => look.colour = u8::try_from(number - 30).ok(),
                90..=97 => look.colour = u8::try_from(number - 90).ok(),
                _ => {}
            }
        }
        look
    }
}

/// One of the eight colours for one of 256, or for one of red, green and blue.
fn extended(numbers: &mut impl Iterator<Item = u16>) -> Option<u8> {
    let of = |red: bool, green: bool, blue: bool| u8::from(red) + 2 * u8::from(green) + 4 * u8::from(blue);
    match numbers.next()? {
        5 => match numbers.next()? {
            number @ 0..=15 => u8::try_from(number % 8).ok(),
            number @ 16..=231 => {
                let cube = number - 16;
                Some(of(cube / 36 > 2, cube / 6 % 6 > 2, cube % 6 > 2))
            }
            _ => None,
        },
        2 => {
            let (red, green, blue) = (numbers.next()?, numbers.next()?, numbers.next()?);
            Some(of(red > 127, green > 127, blue > 127))
        }
        _ => None,
    }
}
