//! Texts that stay texts in HTML and in Markdown, whatever stands in them.

use super::references::{BREAK, breaks};

/// A text as it can stand in an element or a quoted attribute of HTML. Characters that cannot be seen, and those that turn
/// the direction of what follows, are shown as their numbers.
#[must_use]
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    push_html(text, &mut escaped);
    escaped
}

/// The same, behind what is there already.
pub(super) fn push_html(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => push_seen(letter, out),
        }
    }
}

/// A text in which nothing is unseen: see [`html`].
pub(super) fn seen(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|letter| push_seen(letter, &mut out));
    out
}

/// A text in one line: every run of white space is a space.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn push_seen(letter: char, out: &mut String) {
    if letter != '\n' && letter != '\t' && (letter.is_control() || is_turning(letter)) {
        out.push_str(&format!("\u{27e8}{:X}\u{27e9}", u32::from(letter)));
    } else {
        out.push(letter);
    }
}

/// Whether a character changes the direction of the text behind it.
const fn is_turning(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The lines of a text, however they end. A text that ends with a line end has no empty line behind it.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// A text in one line of Markdown, in which no letter means anything: it begins no list, links nothing, calls nobody and is
/// no HTML.
pub(super) fn markdown(text: &str) -> String {
    let text = seen(text);
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut before = None;
    let mut breaks = breaks(&text).into_iter().peekable();
    let mut rest = text.char_indices().peekable();
    while let Some((place, letter)) = rest.next() {
        let behind = rest.peek().map(|(_, letter)| *letter);
        if breaks.next_if_eq(&place).is_some() {
            out.push_str(BREAK);
        }
        let is_within = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        match letter {
            '\n' | '\t' => out.push(' '),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // What looks like an address becomes a link without any sign around it, unless it is broken up.
            ':' if behind == Some('/') => out.push_str("&#58;"),
            'w' | 'W' if matches!(before, Some('w' | 'W')) => {
                out.push_str(if letter == 'w' { "&#119;" } else { "&#87;" });
            }
            '_' if is_within(before) && is_within(behind) => out.push(letter),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => out.extend(['\\', letter]),
            // At the beginning of a line: lists, headings, and lines below headings.
            '-' | '+' | '=' | '#' if before.is_none() => out.extend(['\\', letter]),
            '.' | ')' if behind.is_none_or(|behind| behind == ' ') && is_number(&out) => out.extend(['\\', letter]),
            _ => out.push(letter),
        }
        before = Some(letter);
    }
    out
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A text as code in a line of Markdown.
pub(super) fn code(text: &str) -> String {
    let text = one_line(&seen(text));
    if text.is_empty() {
        return text;
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    let room = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{room}{text}{room}{fence}")
}

/// A block of code of Markdown, whose fence is longer than any run of backticks within. `language` is of our own.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let text = lines(text).map(seen).collect::<Vec<_>>().join("\n");
    let fence = "`".repeat((longest_run(&text) + 1).max(3));
    format!("{fence}{language}\n{text}\n{fence}\n")
}

fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default()
}
