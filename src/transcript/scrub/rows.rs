//! Secrets that were split: over lines that wrap, over the results of two readings, over the end of one text and the
//! beginning of the next.
//!
//! ```text
//!    12→-----BEGIN RSA PRIVATE KEY-----       each row of base64 up to the last line of the key is a part, also in the
//!    13→MIIEowIBAAKCAQEA...                   texts that follow
//! token: ghp_16C7e42F292c                     the beginning of a key at the end of a row, and what goes on at the
//! 6912E7710c838347Ae178B4a                    beginning of the next
//! Z2hwXzE2QzdlNDJGMjkyYzY5MTJFNzcx            rows of base64 that decode to a secret as one
//! ```
//!
//! Numbers of lines, signs of diffs and quotes before and behind a row are no part of it. A row is one line of a text.
//!
//! **How.** Rows are scanned as one if what stands at both sides of the cut looks random enough to be remembered; a secret
//! that then lies over the cut was split. Where a row ends within a secret, the next may only go on with it.
//!
//! The first row of a text may also go on with one of the texts before (`earlier.rs`): between two results stands a call.
//!
//! **Bounds.** [`ROWS_MAX`] rows of [`ROW_BYTES_MAX`] bytes are put together, [`BODY_ROWS_MAX`] rows of base64, and a private
//! key whose end is not seen for [`KEY_TEXTS_MAX`] texts is given up.

use super::cuts::{
    LastRows, Pieces, ROW_BYTES_MAX, WORD_BYTES_MIN, any_piece, beginning, ends_word, goes_on, goes_on_at_each, is_uuid,
};
use super::earlier::Earlier;
use super::encoded;
use super::keys;
use super::known::is_piece;
use super::reader::SecretKey;
use super::scan;
use super::values::mixes_digits;

/// Most rows that are scanned as one.
const ROWS_MAX: usize = 4;
/// Most rows that are decoded as one.
const BODY_ROWS_MAX: usize = 64;
/// Fewest characters of a row of base64 that is not the last.
const BODY_BYTES_MIN: usize = 16;
/// Fewest characters of a row of a private key that is not the last.
const KEY_ROW_BYTES_MIN: usize = 40;
/// How many texts the rows of a private key may be spread over.
const KEY_TEXTS_MAX: u8 = 32;
/// Longest row between two parts of a secret that may be one itself although it is plain.
const PLAIN_BYTES_MAX: usize = 16;

/// What was left open by the rows so far.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: LastRows,
    /// Those of earlier texts.
    earlier: Earlier,
    /// The last row ended within a secret.
    in_secret: bool,
    /// Rows of base64, one behind the other.
    body: Vec<String>,
    /// Texts in which further rows of a private key may stand.
    key_texts: u8,
    /// The last row was one of a private key.
    in_key: bool,
    /// The last row of a text was one, and the key may go on in the next texts.
    key_is_open: bool,
}

impl Rows {
    /// Reads the next text, whose secrets `found` are known, and hands out the parts of secrets that were split.
    pub(super) fn learn(&mut self, text: &str, found: &[SecretKey], pieces: &mut impl Pieces) {
        let mut start = 0;
        let mut ends = found.iter().map(|key| key.end).peekable();
        for line in text.split_inclusive('\n') {
            let end = start + line.trim_end().len();
            let row = bare_row(line);
            while ends.peek().is_some_and(|to| *to < end.saturating_sub(2)) {
                ends.next();
            }
            if start == 0 {
                self.earlier.take_up(row, pieces);
                // What looks like the sign of a diff or the number of a line may belong to the secret.
                if line.starts_with(|char: char| char.is_ascii_digit() || "-+|>".contains(char)) && line.trim() != row {
                    self.earlier.take_up(line.trim(), pieces);
                }
                self.begin_in_key(row, pieces);
            }
            self.key_row(row, pieces);
            Self::netrc_row(row, pieces);
            let reached = self.token_row(row, pieces);
            self.in_secret = reached || ends.peek().is_some_and(|to| *to <= end || text.len() == *to);
            start += line.len();
        }
        self.decode_body(pieces);
        self.key_texts = self.key_texts.saturating_sub(1);
        self.key_is_open = self.in_key || (self.key_is_open && self.key_texts > 0);
        self.in_key = false;
        let word = self.rows.back().filter(|(row, _)| !row.contains(ends_word)).map(|(row, _)| row.as_str());
        let is_word = !text.trim_end().contains('\n');
        let ends_text = |key: &SecretKey| {
            text.get(key.end..).is_some_and(|rest| rest.trim_matches(['"', '\'', ' ', '\n', '\r']).is_empty())
        };
        let is_cut = found.last().is_some_and(ends_text);
        self.earlier.keep(&self.rows, word.filter(|_| is_word), is_cut);
    }

    /// Hands out the first row of a text if an earlier text ended within a private key, in one of its rows.
    fn begin_in_key(&mut self, row: &str, pieces: &mut impl Pieces) {
        if self.key_is_open && self.key_texts > 0 && is_body(row, false) && mixes_cases(row) {
            pieces.piece(row);
            self.in_key = true;
        }
    }

    /// The password of a netrc file whose first lines were in another text.
    fn netrc_row(row: &str, pieces: &mut impl Pieces) {
        if let Some(password) = row.strip_prefix("password ")
            && !password.contains(char::is_whitespace)
            && is_piece(password)
        {
            pieces.part(password);
        }
    }

    /// Takes a row as one of a private key, or of a block of base64.
    fn key_row(&mut self, row: &str, pieces: &mut impl Pieces) {
        let is_private = || row.contains("PRIVATE KEY");
        if (row.contains("-----BEGIN ") && is_private()) || row.starts_with("Private-Lines:") {
            self.body.clear();
            self.key_texts = KEY_TEXTS_MAX;
            self.key_is_open = true;
            self.in_key = true;
            return;
        } else if row.contains("-----END ") && is_private() {
            self.body.iter().for_each(|row| pieces.piece(row));
            self.body.clear();
            self.key_texts = 0;
            self.key_is_open = false;
        } else if is_body(row, self.body.is_empty()) {
            let is_key = self.key_texts > 0 && (is_key_row(row) || self.in_key);
            if is_key {
                pieces.piece(row);
            }
            self.in_key = is_key;
            if self.body.len() >= BODY_ROWS_MAX {
                self.decode_body(pieces);
                self.body.drain(..BODY_ROWS_MAX - 4);
            }
            self.body.push(row.to_owned());
            return;
        } else if !row.is_empty() {
            self.decode_body(pieces);
            self.body.clear();
        }
        self.in_key = false;
    }

    fn decode_body(&mut self, pieces: &mut impl Pieces) {
        if self.body.len() > 1 && encoded::any_text(&self.body.concat(), &mut |text| pieces.is_secret(text)) {
            self.body.iter().for_each(|row| pieces.piece(row));
        }
    }

    /// Takes the beginning of a row as what goes on with the rows before. True if the row ends within a secret.
    fn token_row(&mut self, row: &str, pieces: &mut impl Pieces) -> bool {
        let head = row.split(|char: char| ends_word(char)).next().unwrap_or_default();
        let is_word = head.len() == row.len() && !row.is_empty();
        let mut reached = self.in_secret && self.more(head, is_word, row, pieces);
        if !head.is_empty() {
            let mut may_be_split = any_piece(head);
            for length in 1..=self.rows.len() {
                may_be_split |= self.rows.get(self.rows.len() - length).is_some_and(|(_, is_piece)| *is_piece);
                if may_be_split && let Some(reaches_end) = joined(&self.rows, length, head, pieces) {
                    reached |= reaches_end && is_word;
                    break;
                }
            }
        }
        if !is_word {
            self.rows.clear();
        } else if self.rows.len() >= ROWS_MAX {
            self.rows.pop_front();
        }
        let from = (row.len().saturating_sub(ROW_BYTES_MAX)..row.len()).find(|at| row.is_char_boundary(*at));
        let end = row.get(from.unwrap_or_default()..).unwrap_or_default();
        let tail = end.rsplit(|char: char| ends_word(char)).next().unwrap_or_default();
        self.rows.push_back((end.to_owned(), any_piece(tail)));
        reached
    }

    /// Hands out the first word of a row if it goes on with the secret in which the row before ended. True if the row
    /// ends within the secret as well.
    fn more(&self, head: &str, is_word: bool, row: &str, pieces: &mut impl Pieces) -> bool {
        let more = head.split(['@', ';', '&', '<', ',', ')', ':']).next().unwrap_or_default();
        let space_follows =
            more.len() == head.len() && row.get(head.len()..).is_some_and(|rest| rest.starts_with(is_space));
        let fewest = if space_follows { WORD_BYTES_MIN } else { 8 };
        // `NAME=...` is the next setting, and does not go on with this one.
        let is_name = more.trim_end_matches('=').split_once('=').is_some_and(|(name, _)| !goes_on(name));
        if more.len() >= fewest && goes_on(more) && !is_uuid(more) && !is_name {
            pieces.piece(more);
            return is_word && more.len() == row.len();
        }
        // What is too short or too plain to be remembered may be a part all the same, and the next row another.
        is_word && row.len() <= PLAIN_BYTES_MAX
    }
}

/// Hands out the parts of a secret that lies over the cut between the last `length` rows and `head`, and says whether
/// it reaches the end of `head`.
fn joined(rows: &LastRows, length: usize, head: &str, pieces: &mut impl Pieces) -> Option<bool> {
    let mut text = String::new();
    let mut cuts = Vec::new();
    for (row, _) in rows.iter().skip(rows.len() - length) {
        text.push_str(row);
        cuts.push(text.len());
    }
    let cut = text.len();
    let head_part = beginning(head, ROW_BYTES_MAX);
    text.push_str(head_part);
    let found = scan::find(&text).into_iter().find(|key| cut < key.end)?;
    let SecretKey { secret, end } = found;
    if secret >= cut {
        // Letters of an issuer stand at both sides of the cut.
        let before = text.get(..secret).unwrap_or_default();
        // The value of a name, unless it is the next setting.
        let is_value = || before.ends_with('=') && secret == cut && !head.trim_end_matches('=').contains('=');
        let is_told = before.ends_with("SK") || keys::holds_begin(before) || is_value();
        let is_new = scan::find(head_part).is_empty() && is_told;
        if !is_new || !any_piece(head) {
            return None;
        }
    }
    if !goes_on_at_each(&text, &cuts, SecretKey { secret, end }) {
        return None;
    }
    let mut from = secret;
    for to in cuts.into_iter().chain([end]).filter(|to| *to > secret) {
        pieces.part(text.get(from..to).unwrap_or_default());
        from = to;
    }
    pieces.whole(text.get(secret..end).unwrap_or_default());
    let reaches_end = end == text.len();
    if reaches_end && text.len() - cut < head.len() {
        pieces.part(head);
    }
    Some(reaches_end)
}

/// True for a text with digits, capitals and small letters.
fn mixes_cases(text: &str) -> bool {
    mixes_digits(text)
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn is_space(char: char) -> bool {
    char == ' ' || char == '\t'
}

fn is_body(row: &str, is_first: bool) -> bool {
    let fewest = if is_first { BODY_BYTES_MIN } else { 4 };
    row.len() >= fewest
        && row.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_'))
}

/// True for a row of base64 that is no word, path or number in hexadecimal digits.
fn is_key_row(row: &str) -> bool {
    row.len() >= KEY_ROW_BYTES_MIN && mixes_cases(row)
}

/// The line without what does not belong to it: the number of the line, the sign of a diff, quotes, and what says that
/// the text goes on.
fn bare_row(line: &str) -> &str {
    let unnumbered = without_number(line.trim());
    let unsigned = unnumbered.strip_prefix(['+', '-', '>', '<', '|', '│']).filter(|rest| !rest.starts_with("---"));
    let row = without_number(unsigned.unwrap_or(unnumbered).trim_start()).trim_start_matches(['"', '\'', '`']);
    let row = row.trim_end_matches(['\\', '│', '|', ' ', '\t', '\r', ',', ';']);
    let row = row.strip_suffix(" +").unwrap_or(row);
    row.trim_end_matches(['"', '\'', '`', '\\'])
}

/// The line behind `  12→`, `12|` or `12:`.
fn without_number(line: &str) -> &str {
    const DIGITS_MAX: usize = 6;
    let rest = line.trim_start_matches(|char: char| char.is_ascii_digit());
    let digits = line.len() - rest.len();
    let numbered = (1..=DIGITS_MAX).contains(&digits);
    match rest.strip_prefix(['→', '\t', '|', ':', '│']) {
        Some(text) if numbered => text.trim_start(),
        _ => line,
    }
}
