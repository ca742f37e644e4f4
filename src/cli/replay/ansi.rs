//! The colours that a program gave to its output, without anything else that it told the terminal.

use super::paint::{Colour, Line, Style};

/// Levels of a component in the 6 x 6 x 6 colours of terminals.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The eight colours in red, green and blue, for finding the nearest one.
const RGB: [[u8; 3]; 8] =
    [[0, 0, 0], [170, 0, 0], [0, 170, 0], [170, 85, 0], [0, 0, 170], [170, 0, 170], [0, 170, 170], [170, 170, 170]];

/// A text of a terminal in lines. Colours of letters, weights and inversion are kept, the nearest of the eight stands for
/// finer ones; backgrounds and every other order are left out.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut style = Style::PLAIN;
    text.split('\n').map(|line| coloured(line.strip_suffix('\r').unwrap_or(line), &mut style)).collect()
}

/// A line; `style` is how it begins, and becomes how it ends.
fn coloured(text: &str, style: &mut Style) -> Line {
    let (mut line, mut rest) = (Line::default(), text);
    while let Some((before, behind)) = rest.split_once('\u{1b}') {
        line.push(before, *style);
        match order(behind) {
            Some((codes, after)) => {
                if let Some(codes) = codes {
                    *style = styled(*style, codes);
                }
                rest = after;
            }
            // What is no order is shown as what it is.
            None => {
                line.push("\u{1b}", *style);
                rest = behind;
            }
        }
    }
    line.push(rest, *style);
    line
}

/// The order behind an escape: the codes if it is one of colour, and what stands behind it. `None` if it has no end on this
/// line: then it hides nothing.
fn order(text: &str) -> Option<(Option<&str>, &str)> {
    let first = text.chars().next()?;
    let rest = text.get(first.len_utf8()..)?;
    match first {
        '[' => {
            let end = rest.find(|letter: char| !matches!(letter, ' '..='?'))?;
            let last = rest.get(end..)?.chars().next().filter(|last| matches!(last, '@'..='~'))?;
            let is_colour = last == 'm' && rest.get(..end)?.chars().all(|letter| matches!(letter, '0'..=';'));
            Some((rest.get(..end).filter(|_| is_colour), rest.get(end + 1..)?))
        }
        // Titles, the clipboard, links and the like, up to a bell or an escape with a backslash.
        ']' | 'P' | 'X' | '^' | '_' => {
            let end = rest.find(['\u{7}', '\u{1b}'])?;
            let behind = rest.get(end..)?;
            Some((None, behind.strip_prefix("\u{1b}\\").or_else(|| behind.strip_prefix('\u{7}'))?))
        }
        ' '..='/' => {
            let end = rest.find(|letter: char| !matches!(letter, ' '..='/'))?;
            let last = rest.get(end..)?.chars().next().filter(|last| matches!(last, '0'..='~'))?;
            Some((None, rest.get(end + last.len_utf8()..)?))
        }
        '0'..='~' => Some((None, rest)),
        _ => None,
    }
}

fn styled(style: Style, codes: &str) -> Style {
    let mut style = style;
    let mut codes = codes.split([';', ':']).map(|code| code.parse::<u16>().unwrap_or(0));
    while let Some(code) = codes.next() {
        match code {
            0 => style = Style::PLAIN,
            1 => style.bold = true,
            2 => style.dim = true,
            3 => style.italic = true,
            4 => style.underline = true,
            7 => style.inverse = true,
            22 => (style.bold, style.dim) = (false, false),
            23 => style.italic = false,
            24 => style.underline = false,
            27 => style.inverse = false,
            30..=37 => style.colour = eighth(code - 30),
            90..=97 => style.colour = eighth(code - 90),
            39 => style.colour = None,
            38 | 48 => {
                let fine = finer(&mut codes);
                if code == 38 {
                    style.colour = fine;
                }
            }
            _ => {}
        }
    }
    style
}

fn eighth(number: u16) -> Option<Colour> {
    Colour::ALL.get(usize::from(number % 8)).copied()
}

/// The colour that the codes behind 38 or 48 tell.
fn finer(codes: &mut impl Iterator<Item = u16>) -> Option<Colour> {
    let mut byte = || u8::try_from(codes.next().unwrap_or(0)).unwrap_or(u8::MAX);
    match byte() {
        5 => indexed(byte()),
        2 => nearest([byte(), byte(), byte()]),
        _ => None,
    }
}

fn indexed(number: u8) -> Option<Colour> {
    let level = |part: u8| LEVELS.get(usize::from(part)).copied().unwrap_or(u8::MAX);
    match number {
        0..=15 => eighth(u16::from(number)),
        16..=231 => nearest([level((number - 16) / 36), level((number - 16) / 6 % 6), level((number - 16) % 6)]),
        232..=255 => nearest([8 + (number - 232) * 10; 3]),
    }
}

fn nearest(rgb: [u8; 3]) -> Option<Colour> {
    let far = |colour: &[u8; 3]| -> u32 {
        colour.iter().zip(rgb).map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
    };
    RGB.iter().zip(Colour::ALL).min_by_key(|(colour, _)| far(colour)).map(|(_, colour)| colour)
}
