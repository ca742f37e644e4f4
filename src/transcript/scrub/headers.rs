//! Headers whose value is not one word: `Authorization: Bearer ...`, `Cookie: a=b; c=d`, and `Bearer ...` by itself.

use super::names::is_one_of_in_any_case;
use super::reader::{MARKER, SecretKey, TextReader, is_blank, is_quote, is_space};
use super::values::{JUDGED_BYTES_MAX, is_placeholder, mixes_digits};

/// Schemes of HTTP authentication; true if the value goes on to the end of the line.
const SCHEMES: &[(&str, bool)] = &[
    ("bearer", false),
    ("basic", false),
    ("token", false),
    ("apikey", false),
    ("api-key", false),
    ("key", false),
    ("bot", false),
    ("negotiate", false),
    ("ntlm", false),
    ("ssws", false),
    ("geniekey", false),
    ("digest", true),
    ("hawk", true),
    ("oauth", true),
    ("signature", true),
    ("aws4-hmac-sha256", true),
];
const SCHEME_BYTES_MAX: usize = 20;
/// Words that follow `Bearer` in prose, and are not a secret.
const SPOKEN: &str = "\
    token tokens auth authentication authorization scheme header headers key keys credentials required none null \
    undefined is or and string missing the a";

/// The secret in the value of an `Authorization` header that begins at `value`.
pub(super) fn authorization(reader: &TextReader<'_>, value: usize) -> Option<SecretKey> {
    let opened = reader.quote(value).map_or(value, |quote| quote.after);
    let (start, to_line_end) = behind_scheme(reader, opened).unwrap_or((opened, false));
    let judged =
        if to_line_end { line_end(reader, start, JUDGED_BYTES_MAX) } else { word_end(reader, start, JUDGED_BYTES_MAX) };
    let text = reader.slice_down(start, judged);
    let next = reader.skip_spaces(judged);
    let goes_on = next > judged && (reader.at(next).is_ascii_alphanumeric() || reader.starts(next, MARKER));
    let is_prose =
        text.bytes().all(|byte| byte.is_ascii_alphabetic()) && (goes_on || is_one_of_in_any_case(text, SPOKEN));
    // An expression: `"Bearer " + token`, `Authorization: getToken()`.
    let is_code = text.contains('(') || text.starts_with(['{', '[', '+', '|', '=', ',']);
    if text.len() < 4
        || reader.holds_marker(start, judged)
        || is_placeholder(text)
        || is_prose
        || is_code
        || is_path_of_names(text)
    {
        return None;
    }
    let end = if to_line_end { line_end(reader, start, usize::MAX) } else { word_end(reader, start, usize::MAX) };
    Some(SecretKey { secret: start, end })
}

/// All cookies of the header whose value begins at `value`, up to the end of the line.
pub(super) fn cookie(reader: &TextReader<'_>, value: usize) -> Option<SecretKey> {
    let start = reader.quote(value).map_or(value, |quote| quote.after);
    let judged = word_end(reader, start, JUDGED_BYTES_MAX);
    let first = reader.slice_down(start, judged);
    let (name, rest) = first.split_once('=')?;
    let is_cookie =
        !name.is_empty() && rest.len() >= 4 && !reader.holds_marker(start, judged) && !first.contains(['(', '[']);
    (is_cookie && !is_placeholder(rest)).then(|| SecretKey { secret: start, end: line_end(reader, start, usize::MAX) })
}

/// The value behind a scheme that stands in a text without its header. It is a secret only if it looks like one.
pub(super) fn spoken_scheme(reader: &TextReader<'_>, at: usize, end: usize) -> Option<SecretKey> {
    let word = reader.slice(at, end.min(at + SCHEME_BYTES_MAX));
    let fewest = match word {
        "Bearer" | "bearer" => 12,
        "Basic" | "basic" => 8,
        "Token" | "token" => 20,
        _ => return None,
    };
    let start = reader.skip_spaces(end);
    let is_value =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~' | b'+' | b'/' | b'=');
    let judged = reader.run(start, JUDGED_BYTES_MAX, is_value);
    let text = reader.slice(start, judged).trim_end_matches(['.', '-']);
    let is_base64 = text.len().is_multiple_of(4) && !text.contains(['-', '.', '~']) && !text.starts_with('/');
    let looks = match fewest {
        8 => is_base64 && (mixes_digits(text) || text.ends_with('=')),
        _ => mixes_digits(text) && !text.contains("//"),
    };
    // A run that ends in a marker was longer when it was judged the first time, and was kept then.
    let is_whole = !reader.starts(judged, MARKER);
    (start > end && is_whole && text.len() >= fewest && looks).then(|| {
        let whole = reader.run(start, usize::MAX, is_value);
        SecretKey { secret: start, end: if whole == judged { start + text.len() } else { whole } }
    })
}

/// Where the value behind a scheme and a space begins, and whether it goes on to the end of the line.
fn behind_scheme(reader: &TextReader<'_>, at: usize) -> Option<(usize, bool)> {
    let end = reader.run(at, SCHEME_BYTES_MAX, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let word = reader.slice(at, end);
    let (_, to_line_end) = SCHEMES.iter().find(|(scheme, _)| scheme.eq_ignore_ascii_case(word))?;
    is_space(reader.at(end)).then(|| (reader.skip_spaces(end), *to_line_end))
}

/// `config.token`, `self._auth`: letters, joined by dots.
fn is_path_of_names(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'_'))
}

fn word_end(reader: &TextReader<'_>, from: usize, max: usize) -> usize {
    let end = reader.run(from, max, |byte| !is_blank(byte) && !is_quote(byte));
    reader.trim(from, end, |byte| matches!(byte, b',' | b';' | b')' | b']' | b'}' | b'\\' | b'.'))
}

/// End of the line, or of the quotes that the header stands in. Quotes right behind `=` belong to the header.
fn line_end(reader: &TextReader<'_>, from: usize, max: usize) -> usize {
    let limit = from.saturating_add(max);
    let until = |at: usize, stop: u8| {
        reader.run(at, limit.saturating_sub(at), |byte| byte != stop && byte != b'\n' && byte != b'\r')
    };
    let mut at = from;
    loop {
        at = reader.run(at, limit.saturating_sub(at), |byte| !is_quote(byte) && byte != b'\n' && byte != b'\r');
        let mark = reader.at(at);
        let closing = until(at + 1, mark);
        if !is_quote(mark) || at == from || reader.before(at, 1) != b'=' || reader.at(closing) != mark {
            return at;
        }
        at = closing + 1;
    }
}
