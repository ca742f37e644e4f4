//! What earlier texts ended in, so that the first word of a text is recognised as what goes on with one of them: the second
//! half of a key in the next result, with calls and answers between the two.
//!
//! Of a text the last rows are kept for [`TEXTS_MAX`] texts. A text of one word may be the middle of a secret in three
//! parts, so what was kept is kept with that word behind it as well, up to [`ENDS_MAX`] in all.

use std::collections::VecDeque;

use super::cuts::{
    LastRows, Pieces, ROW_BYTES_MAX, any_piece, beginning, ends_whole, ends_word, goes_on, goes_on_at_each, is_uuid,
};
use super::keys;
use super::known::{changes, is_piece, is_wordy};
use super::reader::SecretKey;
use super::scan;

/// How many texts may stand between two parts of a secret.
const TEXTS_MAX: u64 = 16;
/// Most ends of texts that are kept.
const ENDS_MAX: usize = 96;
/// Most parts of a secret.
const PARTS_MAX: usize = 6;
/// Most ends that a text is tried to go on with.
const TRIED_MAX: usize = 64;
/// How much of the end of a long secret is kept.
const LONG_BYTES_MAX: usize = 64;
/// To how many of the latest ends a text of one word is joined, whatever they are.
const JOINED_MAX: usize = 4;
/// Longest word that may be the beginning of a name.
const NAME_BYTES_MAX: usize = 24;
/// Bytes at both sides of a cut within which the letters of an issuer stand.
const LETTERS_MAX: usize = 16;
/// From this many characters on a text that is no secret is none between two parts of one.
const BETWEEN_BYTES_MIN: usize = 8;
/// Bytes and words at the beginning of a text in which the end of a name and its value stand.
const NAMED_BYTES_MAX: usize = 256;
const NAMED_WORDS_MAX: usize = 4;
/// To how many open ends they are joined.
const NAMES_MAX: usize = 12;
/// From this many hexadecimal digits on a word does not go on with a part that has other letters.
const HASH_BYTES_MIN: usize = 12;

/// The last rows of a text.
#[derive(Debug, Clone)]
struct End {
    /// The number of the text.
    text: u64,
    rows: LastRows,
    /// It may end within a secret.
    is_open: bool,
    /// Its rows are those of several texts.
    is_joined: bool,
}

/// The ends of the latest texts, oldest first.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    ends: VecDeque<End>,
    texts: u64,
}

impl Earlier {
    /// Hands out the parts of a secret that an earlier text began and the first row of a text goes on with.
    pub(super) fn take_up(&self, row: &str, pieces: &mut impl Pieces) {
        self.take_name(row, pieces);
        let head = row.split(ends_word).next().unwrap_or_default();
        if head.is_empty() || is_uuid(head) {
            return;
        }
        let random = any_piece(head);
        for end in self.ends.iter().rev().filter(|end| end.may_go_on(head, random)).take(TRIED_MAX) {
            let least = if end.is_joined { end.rows.len() } else { 1 };
            for length in least..=end.rows.len() {
                if joined(&end.rows, length, head, pieces) {
                    break;
                }
            }
        }
    }

    /// Hands out the value behind a name of which an earlier text had the first letters.
    fn take_name(&self, row: &str, pieces: &mut impl Pieces) {
        let row = beginning(row, NAMED_BYTES_MAX);
        let words = || row.split(ends_word).filter(|word| !word.is_empty());
        if words().nth(1).is_none() || !words().take(NAMED_WORDS_MAX).any(any_piece) {
            return;
        }
        let alone = scan::find(row);
        let open = self.ends.iter().rev().filter(|end| end.is_open && end.rows.len() == 1);
        for (tail, _) in open.take(NAMES_MAX).filter_map(|end| end.rows.back()) {
            let text = format!("{tail}{row}");
            let is_new = |key: &SecretKey| !alone.iter().any(|known| tail.len() + known.secret == key.secret);
            let key = scan::find(&text).into_iter().find(|key| tail.len() <= key.secret && is_new(key));
            if let Some(part) = key.and_then(|key| text.get(key.secret..key.end)).filter(|part| any_piece(part)) {
                pieces.whole(part);
            }
        }
    }

    /// Keeps the last rows of the text that was read; `word` is all of it if it is one word. If the text ends in a
    /// secret, a name stands for what told it, which may be far before.
    pub(super) fn keep(&mut self, rows: &LastRows, word: Option<&str>, is_cut: bool) {
        self.texts += 1;
        if let Some((row, is_random)) = rows.back().filter(|_| is_cut) {
            let from = (row.len().saturating_sub(LONG_BYTES_MAX)..row.len()).find(|at| row.is_char_boundary(*at));
            let named = format!("secret_key={}", row.get(from.unwrap_or(0)..).unwrap_or_default());
            let rows = VecDeque::from([(named, *is_random)]);
            self.ends.push_back(End { text: self.texts, rows, is_open: true, is_joined: true });
        }
        let text = self.texts;
        while self.ends.front().is_some_and(|end| end.text + TEXTS_MAX < text) {
            self.ends.pop_front();
        }
        if let (Some(_), Some(own)) = (word.filter(|word| !is_uuid(word) && !is_plain(word)), rows.back()) {
            let latest = self.ends.len().saturating_sub(JOINED_MAX);
            let is_short = |end: &End| end.rows.iter().all(|(row, _)| row.len() <= LETTERS_MAX);
            let may_join = |(at, end): &(usize, &End)| end.is_open || (*at >= latest && is_short(end));
            let joinable = self.ends.iter().enumerate().filter(may_join).filter(|(_, end)| end.rows.len() < PARTS_MAX);
            let before: Vec<LastRows> = joinable.map(|(_, end)| end.rows.clone()).collect();
            for mut rows in before {
                rows.push_back(own.clone());
                let joined: String = rows.iter().map(|(row, _)| row.as_str()).collect();
                let is_open = rows.iter().any(may_be_open) || tells_issuer(&joined);
                if is_open || joined.len() <= LETTERS_MAX {
                    self.ends.push_back(End { text, rows, is_open, is_joined: true });
                }
            }
        }
        if let Some(row) = rows.back() {
            let is_open = may_be_open(row);
            self.ends.push_back(End { text, rows: rows.clone(), is_open, is_joined: false });
        }
        while self.ends.len() > ENDS_MAX {
            self.ends.pop_front();
        }
    }
}

impl End {
    /// True if it is worth looking whether a word goes on with this end.
    fn may_go_on(&self, head: &str, is_random: bool) -> bool {
        if self.is_open {
            return is_random || self.rows.iter().any(|(_, is_random)| *is_random);
        }
        let tail = self.rows.iter().rev().take(3).fold(String::new(), |tail, (row, _)| format!("{row}{tail}"));
        let from = (tail.len().saturating_sub(LETTERS_MAX)..tail.len()).find(|at| tail.is_char_boundary(*at));
        let to = (0..=head.len().min(LETTERS_MAX)).rev().find(|at| head.is_char_boundary(*at));
        let (before, behind) = (tail.get(from.unwrap_or(0)..), head.get(..to.unwrap_or(0)));
        is_random && keys::holds_begin(&format!("{}{}", before.unwrap_or_default(), behind.unwrap_or_default()))
    }
}

/// True for a word such as `Read`.
fn is_plain(word: &str) -> bool {
    word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_alphabetic()) && is_wordy(word.as_bytes())
}

/// True if a row ends in what may be the beginning of a secret: a name, a header, the letters of an issuer.
fn may_be_open((row, is_random): &(String, bool)) -> bool {
    let tail = row.rsplit(ends_word).next().unwrap_or_default();
    let is_short = tail.len() <= NAME_BYTES_MAX && !is_random;
    let is_name = is_short && (tail.contains('_') || tail.ends_with(|char: char| char.is_ascii_digit()));
    let is_telling = row.trim_end_matches(['.', ':']).contains(['=', ':', '@', '$', '.']) || row.ends_with(':');
    is_telling || is_name || row.contains(" -") || tells_issuer(tail)
}

/// True if letters stand in a word by which keys are told.
fn tells_issuer(word: &str) -> bool {
    word == "S" || word.starts_with("SK") || word.contains("sk-") || word.contains("eyJ") || keys::holds_begin(word)
}

/// Hands out the parts of a secret that lies over the cut between the last `length` rows and `head`, or begins with
/// letters at both sides of it. True if there is one.
fn joined(rows: &LastRows, length: usize, head: &str, pieces: &mut impl Pieces) -> bool {
    let mut text = String::new();
    let mut cuts = Vec::new();
    for (row, _) in rows.iter().skip(rows.len() - length) {
        text.push_str(row);
        cuts.push(text.len());
    }
    let cut = text.len();
    let head_part = beginning(head, ROW_BYTES_MAX);
    let alone = scan::find(head_part);
    text.push_str(head_part);
    let is_new = |key: &SecretKey| !alone.iter().any(|known| cut + known.secret == key.secret);
    let key = scan::find(&text).into_iter().find(|key| cut < key.end && is_new(key));
    let Some(key) = key else { return false };
    let SecretKey { secret, end } = key;
    let part = text.get(cut.max(secret)..end).unwrap_or_default();
    if !goes_on(part) && !is_piece(part) && (secret >= cut || !goes_on_at_each(&text, &cuts, key)) {
        return false;
    }
    if secret < cut && is_hash_behind(&text, secret, cut) && ends_whole(&text, secret, cut) {
        return false;
    }
    let mut from = secret;
    let ends = cuts.iter().copied().filter(|to| *to > secret);
    for part in ends.map(|to| text.get(std::mem::replace(&mut from, to)..to).unwrap_or_default()).skip(1) {
        // A text that stood between the parts.
        if !goes_on(part) && !is_piece(part) && part.len() >= BETWEEN_BYTES_MIN {
            return false;
        }
    }
    from = secret;
    for to in cuts.into_iter().chain([end]).filter(|to| *to > secret) {
        pieces.part(text.get(from..to).unwrap_or_default());
        from = to;
    }
    pieces.whole(text.get(secret..end).unwrap_or_default());
    let reaches_end = end == text.len();
    if reaches_end && text.len() - cut < head.len() {
        pieces.part(head);
    }
    true
}

/// True if a hash stands behind letters that no hash has: dice that made the letters would hardly make the hash.
fn is_hash_behind(text: &str, secret: usize, cut: usize) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let (before, behind) = (text.get(secret..cut).unwrap_or_default(), text.get(cut..).unwrap_or_default());
    let digits = behind.bytes().take_while(u8::is_ascii_alphanumeric);
    let (count, all) = digits.fold((0_usize, true), |(count, all), byte| (count + 1, all && is_hex(byte)));
    let mut run = before.bytes().rev().take_while(u8::is_ascii_alphanumeric);
    count >= HASH_BYTES_MIN && all && run.any(|byte| !is_hex(byte)) && changes(before.as_bytes()) > 0
}
