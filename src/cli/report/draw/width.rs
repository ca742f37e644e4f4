//! How many columns text takes, and cutting and folding it to a number of columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::document::Cut;
use super::glyphs::Glyphs;

/// The columns that a text takes in a terminal.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text, cut to `most` columns if it is wider.
pub(super) fn cut(text: &str, most: usize, how: Cut, glyphs: Glyphs) -> String {
    if width(text) <= most || how == Cut::Never {
        return text.to_owned();
    }
    let Some(room) = most.checked_sub(width(glyphs.ellipsis)).filter(|room| *room > 0) else {
        return first(text.chars(), most);
    };
    let back = if how == Cut::Middle { room / 2 } else { 0 };
    let end: String = first(text.chars().rev(), back).chars().rev().collect();
    format!("{}{}{end}", first(text.chars(), room - back).trim_end(), glyphs.ellipsis)
}

/// As many characters as fit.
fn first(letters: impl Iterator<Item = char>, most: usize) -> String {
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += letter.width().unwrap_or(0);
        taken <= most
    };
    letters.take_while(fits).collect()
}

/// The text in lines of at most `most` columns, broken between words. A word that is wider stands alone and is broken
/// anywhere.
pub(super) fn folded(text: &str, most: usize) -> Vec<String> {
    let most = most.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let blank = usize::from(!line.is_empty());
        if width(&line) + blank + width(word) > most && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        let mut rest = word;
        while width(rest) > most {
            let piece = first(rest.chars(), most);
            // A letter that is wider than the line stands by itself.
            let length = if piece.is_empty() { rest.chars().next().map_or(0, char::len_utf8) } else { piece.len() };
            let (taken, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
            lines.push(taken.to_owned());
            rest = behind;
        }
        line.push_str(rest);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}
