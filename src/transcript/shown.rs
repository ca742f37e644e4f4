//! What somebody has chosen, as it may be shown to others: names and paths without secrets and without tricks.

use super::scrub::scrub;

/// Longest name, in characters; what is hidden of it is one marker.
const PROJECT_CHARS_MAX: usize = 64;

/// A name of somebody's own as it may be shown: as [`shown`], and at most 64 characters of it. Cut last: half a secret is
/// not recognised.
#[must_use]
pub fn shown_name(name: &str) -> String {
    shown(name).chars().take(PROJECT_CHARS_MAX).collect()
}

/// What somebody has chosen, such as a path, as it may be shown: every letter visible and in its place, without secrets.
/// Scrubbed last: an invisible letter must not hide a secret.
#[must_use]
pub fn shown(text: &str) -> String {
    let visible: String = text.chars().filter(|letter| is_visible(*letter)).collect();
    scrub(&visible).into_owned()
}

/// Neither a control character nor one that formats (category Cf of Unicode 16), nor a separator of lines.
fn is_visible(letter: char) -> bool {
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
