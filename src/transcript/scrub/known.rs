//! The secrets of a session that were recognised somewhere, found again wherever they stand bare, whole or in part.
//!
//! **Which values are remembered.** Those that would not stand in a text by accident: of 8 bytes or more, with digits among
//! the letters, changing case or signs; of 16 or more if they are letters alone. `DB_PASSWORD=development` is hidden where
//! it stands, but the word is not hidden everywhere. Of a value with spaces (a line of cookies, the body of a PEM block)
//! each word is judged for itself.
//!
//! **Parts.** 12 bytes or more of a remembered value that look random are hidden too: a key that was cut off, the half of a
//! token that was split over two rows.
//!
//! **Bounds.** At most [`VALUES_MAX`] values of [`BYTES_MAX`] bytes in all. Those that come after are still hidden where
//! they are recognised by themselves, but not where they stand bare; [`KnownValues::forgotten`] counts them.
//!
//! **How they are found.** Every fifth run of eight bytes of a value is in a table. Whatever has 12 bytes in common with
//! it has one of these runs. A text is read once; each place asks one bit, and few ask the table.

use std::collections::HashMap;

use super::names;
use super::reader::MARKER;
use super::values::mixes_digits;

/// Most values that are remembered.
const VALUES_MAX: usize = 16_384;
/// Most bytes of all remembered values.
const BYTES_MAX: usize = 1 << 20;
/// Longer values are remembered in pieces of this size.
const VALUE_BYTES_MAX: usize = 1_024;
/// Fewest bytes of a value that is remembered, and size of the runs of the table.
const WINDOW: usize = 8;
/// Fewest bytes of a part of a value that is hidden.
const PART_BYTES_MIN: usize = 12;
/// Distance between the runs of a value that are in the table: any 12 bytes hold one of them.
const STRIDE: usize = PART_BYTES_MIN - WINDOW + 1;
/// Fewest bytes of a value of letters alone that is remembered.
const LETTERS_MIN: usize = 16;
/// Most places of values that a run of the table leads to.
const PLACES_MAX: usize = 8;
const FILTER_BITS: u32 = 20;

/// Values and the table by which they are found.
#[derive(Debug, Default)]
pub(super) struct KnownValues {
    /// All values, each with a zero before and behind it, which no value holds.
    bytes: Vec<u8>,
    values: usize,
    forgotten: u64,
    windows: HashMap<u64, Vec<u32>>,
    /// A bit for each hash of a run in `windows`; empty while nothing is known.
    filter: Vec<u64>,
}

impl KnownValues {
    /// How many values came when there was no room for more.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Remembers the words of a text that was hidden as a secret.
    pub(super) fn learn(&mut self, secret: &str) {
        let secret = secret.trim();
        if !secret.contains(|char: char| is_gap(char)) {
            self.learn_user_information(secret);
            if is_distinct(secret) {
                self.insert(secret);
            }
            return;
        }
        for word in secret.split(is_gap).flat_map(|word| word.split("\\n")) {
            match word.split_once(['=', ':']) {
                Some((name, value)) if names::classify(name).is_some() && is_distinct(value) => self.insert(value),
                Some((_, value)) if is_random(value) => self.insert(value),
                _ if is_random(word) => self.insert(word),
                _ => {}
            }
        }
    }

    /// Remembers a part of a secret that was split, if nobody would write it by hand.
    pub(super) fn learn_piece(&mut self, piece: &str) {
        if is_piece(piece) {
            self.insert(piece);
        }
    }

    /// Remembers what is a part of a secret for sure, unless it is a word.
    pub(super) fn learn_part(&mut self, part: &str) {
        if is_distinct(part) {
            self.insert(part);
        }
    }

    /// `ann:hunter2pw` of a URL, and `token` of `user:token`: the second part by itself.
    fn learn_user_information(&mut self, secret: &str) {
        if let Some((_, password)) = secret.split_once(':')
            && is_distinct(password)
        {
            self.insert(password);
        }
    }

    fn insert(&mut self, value: &str) {
        let value = value.as_bytes();
        if value.contains(&0) || value.windows(MARKER.len()).any(|part| part == MARKER.as_bytes()) {
            return;
        }
        for piece in value.chunks(VALUE_BYTES_MAX) {
            if piece.len() >= WINDOW && !self.holds(piece) {
                self.insert_piece(piece);
            }
        }
    }

    fn insert_piece(&mut self, value: &[u8]) {
        let start = self.bytes.len() + 1;
        if self.values >= VALUES_MAX || start + value.len() > BYTES_MAX {
            self.forgotten += 1;
            return;
        }
        self.values += 1;
        if self.bytes.is_empty() {
            self.bytes.push(0);
            self.filter = vec![0; 1 << (FILTER_BITS - 6)];
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.bytes.push(0);
        for (offset, window) in value.windows(WINDOW).enumerate().step_by(STRIDE) {
            // A run of one letter would lead to a match at every place of a line of dashes.
            if offset > 0 && changes(window) == 0 {
                continue;
            }
            let key = pack(window);
            let (word, bit) = place_of(key);
            if let Some(bits) = self.filter.get_mut(word) {
                *bits |= bit;
            }
            let places = self.windows.entry(key).or_default();
            if let Ok(place) = u32::try_from(start + offset)
                && places.len() < PLACES_MAX
            {
                places.push(place);
            }
        }
    }

    fn holds(&self, value: &[u8]) -> bool {
        let places = value.get(..WINDOW).and_then(|window| self.windows.get(&pack(window)));
        places.into_iter().flatten().any(|place| {
            let place = usize::try_from(*place).unwrap_or(usize::MAX);
            let end = place.saturating_add(value.len());
            self.byte(place.wrapping_sub(1)) == 0 && self.bytes.get(place..end) == Some(value) && self.byte(end) == 0
        })
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Where remembered values, or parts of them, stand in a text: in order, none over another.
    pub(super) fn find(&self, text: &str) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        if self.values == 0 {
            return found;
        }
        let bytes = text.as_bytes();
        let (mut key, mut free, mut next) = (0, 0, 0);
        for (at, byte) in bytes.iter().enumerate() {
            key = (key << 8) | u64::from(*byte);
            let (word, bit) = place_of(key);
            if at + 1 < WINDOW || at < next || self.filter.get(word).is_none_or(|bits| bits & bit == 0) {
                continue;
            }
            let Some(places) = self.windows.get(&key) else { continue };
            let from = at + 1 - WINDOW;
            let matches = places.iter().filter_map(|place| self.extend(bytes, free, from, *place));
            if let Some((from, to)) = matches.max_by_key(|(from, to)| to - from) {
                let (from, to) = on_boundaries(text, from, to);
                found.push((from.max(free), to));
                free = to;
                // The next run that is looked up begins behind this match.
                next = to + WINDOW - 1;
            }
        }
        found
    }

    /// The longest match around a run that a text and a value share, if it is worth hiding. Nothing before `free` is in it.
    fn extend(&self, bytes: &[u8], free: usize, from: usize, place: u32) -> Option<(usize, usize)> {
        let place = usize::try_from(place).ok()?;
        let before = bytes.get(free..from).unwrap_or_default().iter().rev();
        let left =
            before.zip(self.bytes.get(..place)?.iter().rev()).take_while(|(one, two)| one == two && **one != 0).count();
        let after = bytes.get(from..)?.iter();
        let right = after.zip(self.bytes.get(place..)?).take_while(|(one, two)| one == two && **one != 0).count();
        let (from, to) = (from.checked_sub(left)?, from + right);
        let is_whole = self.byte((place - left).wrapping_sub(1)) == 0 && self.byte(place + right) == 0;
        let matched = bytes.get(from..to)?;
        let is_part = matched.len() >= PART_BYTES_MIN && changes(matched) >= 3 && !is_wordy(matched);
        (is_whole || is_part).then_some((from, to))
    }
}

/// The part, made longer by the characters that it would split.
fn on_boundaries(text: &str, mut from: usize, mut to: usize) -> (usize, usize) {
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    while !text.is_char_boundary(to) {
        to += 1;
    }
    (from, to)
}

fn pack(window: &[u8]) -> u64 {
    window.iter().fold(0, |key, byte| (key << 8) | u64::from(*byte))
}

/// The word of the filter and the bit in it that stand for a run.
fn place_of(key: u64) -> (usize, u64) {
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS);
    (usize::try_from(hash >> 6).unwrap_or(0), 1 << (hash & 63))
}

fn is_gap(char: char) -> bool {
    char.is_whitespace() || matches!(char, ';' | ',' | '"' | '\'' | '`' | '<' | '>')
}

/// True for a value that would not stand in a text by accident.
fn is_distinct(value: &str) -> bool {
    let is_digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let is_small = value.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'.' | b'/'));
    let first_is_capital = value.bytes().skip(1).all(|byte| byte.is_ascii_lowercase());
    let is_capitals = value.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let fewest = if is_digits {
        PART_BYTES_MIN
    } else if is_small || first_is_capital || is_capitals {
        LETTERS_MIN
    } else {
        WINDOW
    };
    value.len() >= fewest && !value.contains("://")
}

/// True for 12 bytes or more that look as if dice had made them.
fn is_random(value: &str) -> bool {
    let changes = changes(value.as_bytes());
    let is_mixed = mixes_digits(value) || 3 * changes >= value.len();
    value.len() >= PART_BYTES_MIN && changes >= 4 && is_mixed && !is_wordy(value.as_bytes())
}

/// True for 8 bytes or more that nobody would write by hand.
pub(super) fn is_piece(piece: &str) -> bool {
    let fewest = if piece.len() >= PART_BYTES_MIN { 1 } else { 2 };
    let is_mixed = changes(piece.as_bytes()) >= fewest && mixes_digits(piece) && !is_wordy(piece.as_bytes());
    piece.len() >= WINDOW && (is_mixed || is_random(piece))
}

/// True for words and numbers that signs join, as in names of tools, models and files: `mcp__s3__list_files`.
pub(super) fn is_wordy(text: &[u8]) -> bool {
    const NUMBER_BYTES_MAX: usize = 8;
    let is_word = |part: &[u8]| {
        let digits = part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let letters = part.get(..part.len() - digits).unwrap_or_default();
        let is_small = letters.iter().skip(1).all(u8::is_ascii_lowercase);
        let is_capital = letters.iter().all(u8::is_ascii_uppercase);
        (letters.is_empty() && digits <= NUMBER_BYTES_MAX)
            || (digits <= 2 && (is_small || is_capital) && letters.iter().all(u8::is_ascii_alphabetic))
    };
    text.split(|byte| !byte.is_ascii_alphanumeric()).all(is_word)
}

/// How often small letters, capitals, digits and signs follow each other.
pub(super) fn changes(bytes: &[u8]) -> usize {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    bytes.iter().zip(bytes.iter().skip(1)).filter(|(one, two)| kind(**one) != kind(**two)).count()
}
