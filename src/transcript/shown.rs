//! Names and paths that a person chose, made fit to be shown to others: without secrets and invisible characters.

use super::scrub::scrub;

/// Longest name that is shown, in characters.
const PROJECT_CHARS_MAX: usize = 64;

/// A name as it may be shown: like [`shown`], cut to 64 characters. It is cut last, because half a secret is not
/// recognised.
#[must_use]
pub fn shown_name(name: &str) -> String {
    shown(name).chars().take(PROJECT_CHARS_MAX).collect()
}

/// A text such as a path as it may be shown: without control and invisible characters, and without secrets. Secrets are
/// searched for last, because an invisible character could hide one.
#[must_use]
pub fn shown(text: &str) -> String {
    let visible: String = text.chars().filter(|letter| is_visible(*letter)).collect();
    scrub(&visible).into_owned()
}

/// True unless a character is a control character, a format character (category Cf of Unicode 16) or a separator of
/// lines or paragraphs.
#[must_use]
pub fn is_visible(letter: char) -> bool {
    let formats = matches!(
        letter,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'..='\u{e007f}'
    );
    !letter.is_control() && !formats
}
