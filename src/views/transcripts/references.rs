//! What GitHub makes of a text: `@name` calls a person, `#12`, `GH-12` and `owner/name#12` link to issues, and seven
//! hexadecimal digits or more to a commit.
//!
//! It looks for them in what is shown, when Markdown was read already: neither a backslash nor an entity for a letter is any
//! help. A space without width within is, and does not show.

use std::ops::RangeInclusive;

/// A space without width, in Markdown.
pub(super) const BREAK: &str = "&#8203;";

/// Digits of what may be the name of a commit.
const COMMIT_DIGITS: RangeInclusive<usize> = 7..=40;
/// Digits that are no name of a commit yet.
const PIECE_DIGITS: usize = 6;

/// The places in a text, in bytes and in order, at which [`BREAK`] takes every reference apart.
pub(super) fn breaks(text: &str) -> Vec<usize> {
    let mut places = Vec::new();
    for (place, sign) in text.match_indices(['@', '#', '-']) {
        let behind = text.get(place + 1..).unwrap_or_default();
        let is_number = behind.starts_with(|letter: char| letter.is_ascii_digit());
        let is_reference = match sign {
            "@" => behind.starts_with(|letter: char| !letter.is_whitespace()),
            "#" => is_number,
            _ => is_number && place.checked_sub(2).and_then(|begin| text.get(begin..place)).is_some_and(is_gh),
        };
        places.extend(is_reference.then_some(place + 1));
    }
    push_commits(text, &mut places);
    places.sort_unstable();
    places
}

fn is_gh(text: &str) -> bool {
    text.eq_ignore_ascii_case("gh")
}

/// The places within what may be names of commits. What belongs to a longer word (a session id, a number with a point) is
/// none.
fn push_commits(text: &str, places: &mut Vec<usize>) {
    let mut begin = 0;
    for word in text.split_inclusive(|letter: char| !is_of_word(letter)) {
        let digits = word.trim_end_matches(|letter: char| !is_of_word(letter));
        let is_commit = COMMIT_DIGITS.contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            && digits.bytes().any(|byte| byte.is_ascii_digit())
            && !text.get(..begin).unwrap_or_default().ends_with('.');
        if is_commit {
            places.extend((begin + PIECE_DIGITS..begin + digits.len()).step_by(PIECE_DIGITS));
        }
        begin += word.len();
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '-' || letter == '_'
}
