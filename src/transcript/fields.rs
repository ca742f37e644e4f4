//! Turns fields of a row into the values that are kept.

use xxhash_rust::xxh3::xxh3_128;

use super::ids::RowId;
use super::raw::ToldText;
use super::time::Timestamp;
use super::word::WordText;

/// An id as it is kept. One of more than 256 bytes, longer than any real id, is replaced by its hash.
pub(super) fn id(text: &str) -> Box<str> {
    const BYTES_MAX: usize = 256;
    if text.len() <= BYTES_MAX { text.into() } else { format!("hash-{:032x}", xxh3_128(text.as_bytes())).into() }
}

pub(super) fn row_id(told: ToldText<'_, RowId>) -> Option<RowId> {
    told.value.or_else(|| told.text.word().as_deref().map(RowId::of))
}

pub(super) fn time(told: ToldText<'_, Timestamp>) -> Option<Timestamp> {
    told.value.or_else(|| Timestamp::parse(&told.text.word()?))
}

/// A word as the value of a label: itself if it has at most 40 lower-case letters, digits, `-` and `_`, else `other`,
/// since a damaged row may hold anything.
pub(super) fn label(kind: &str) -> &str {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if kind.len() <= 40 && kind.bytes().next().is_some_and(|first| first.is_ascii_lowercase()) && kind.bytes().all(word)
    {
        kind
    } else {
        "other"
    }
}

pub(super) fn chars_of(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}
