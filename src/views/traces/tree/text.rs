//! Makes text from outside fit for span names and attributes.

use crate::transcript::scrub::scrub;

/// Longest span name, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 128;
/// Longest attribute value, in bytes: Tempo cuts longer ones.
pub(super) const VALUE_BYTES_MAX: usize = 2048;

/// `text` without its secrets ([`scrub`]), with every unprintable character replaced by `_`, cut at a character
/// boundary to `bytes_max`. Secrets are removed before it is cut, because half a secret is no longer recognised.
pub(super) fn printable(text: &str, bytes_max: usize) -> String {
    // Most texts are UUIDs, which are never secrets, and need no search for them.
    if is_uuid(text) && text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut clean = String::with_capacity(text.len().min(bytes_max));
    for char in scrub(text).chars().map(|char| if is_printable(char) { char } else { '_' }) {
        if clean.len() + char.len_utf8() > bytes_max {
            break;
        }
        clean.push(char);
    }
    clean
}

fn is_uuid(text: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

/// Whether a character is visible, or a space, and does not hide or reorder the characters next to it.
#[must_use]
pub fn is_printable(char: char) -> bool {
    let reorders_or_hides = matches!(
        char,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    !char.is_control() && !reorders_or_hides
}

/// A span name `operation subject`, or the operation alone if the subject is empty.
pub(super) fn span_name(operation: &str, subject: &str) -> String {
    if subject.is_empty() {
        return operation.to_owned();
    }
    printable(&format!("{operation} {subject}"), NAME_BYTES_MAX)
}
