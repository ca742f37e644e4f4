//! What both sides of a cut tell: whether they may be parts of one secret.

use std::collections::VecDeque;

use super::known::{changes, is_piece, is_wordy};
use super::reader::{SecretKey, is_blank, is_quote};
use super::scan;
use super::values::mixes_digits;

/// Bytes of the end of a row that are kept for that, and of the beginning of the next.
pub(super) const ROW_BYTES_MAX: usize = 512;
/// Fewest random characters that go on with a secret if a space follows them.
pub(super) const WORD_BYTES_MIN: usize = 12;

/// The last rows of a text, of which all but the first are one word; true if the end of one may be a part of a secret.
pub(super) type LastRows = VecDeque<(String, bool)>;

/// What is done with a part that was found, and whether a text holds a secret.
pub(super) trait Pieces {
    /// A part of what may be a secret.
    fn piece(&mut self, piece: &str);
    /// A part of what is a secret.
    fn part(&mut self, part: &str);
    fn whole(&mut self, secret: &str);
    fn is_secret(&self, text: &str) -> bool;
}

/// True if a secret that begins at `secret` is one already without what stands behind `cut`.
pub(super) fn ends_whole(text: &str, secret: usize, cut: usize) -> bool {
    let before = text.get(..cut).unwrap_or_default();
    scan::find(before).iter().any(|key| key.secret == secret && key.end == cut)
}

/// The beginning of a word that is too long to be scanned with the rows before it.
pub(super) fn beginning(word: &str, most: usize) -> &str {
    let to = (0..=word.len().min(most)).rev().find(|at| word.is_char_boundary(*at));
    word.get(..to.unwrap_or_default()).unwrap_or_default()
}

/// True if each row behind a cut belongs to the secret: it completes what was none without it, or nobody would write it by
/// hand.
pub(super) fn goes_on_at_each(text: &str, cuts: &[usize], SecretKey { secret, end }: SecretKey) -> bool {
    let ends = cuts.iter().copied().skip(1).chain([end]);
    cuts.iter().zip(ends).filter(|(cut, _)| **cut > secret).all(|(cut, to)| {
        let part = text.get(*cut..to).unwrap_or_default();
        goes_on(part)
            || ((part.len() < 8 || !is_wordy(part.as_bytes()) || part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
                && !ends_whole(text, secret, *cut))
    })
}

/// True if a word, or a part of it, is random enough to be remembered.
pub(super) fn any_piece(word: &str) -> bool {
    if is_uuid(word) {
        return false;
    }
    let is_jumpy = |part: &str| part.len() >= WORD_BYTES_MIN && changes(part.as_bytes()) >= 2;
    word.split(['@', ';', '&', '=', ':', '/', '?']).any(is_piece)
        || word.split(|char: char| !char.is_ascii_alphanumeric()).any(is_jumpy)
}

/// True if nobody would write this by hand, so that it goes on with a token.
pub(super) fn goes_on(text: &str) -> bool {
    let changes = changes(text.as_bytes());
    let is_long = text.len() >= WORD_BYTES_MIN;
    let fewest = if mixes_digits(text) { 2 - usize::from(is_long) } else { 4 - usize::from(is_long) };
    text.len() >= 4 && changes >= fewest && !is_wordy(text.as_bytes())
}

pub(super) fn ends_word(char: char) -> bool {
    u8::try_from(char).is_ok_and(|byte| is_blank(byte) || is_quote(byte))
}

pub(super) fn is_uuid(text: &str) -> bool {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, u8)| if DASHES.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}
