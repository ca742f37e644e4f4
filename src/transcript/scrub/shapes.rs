//! Keys that are told by their shape and not by their first letters, and lines of a `.pgpass` file.

use super::reader::{SecretKey, TextReader, is_blank, is_quote, is_word};
use super::values::{is_placeholder, mixes_digits};

/// What stands between the two parts of a token of Terraform Cloud.
const ATLAS: &str = ".atlasv1.";
/// Longest password of a `.pgpass` file, in bytes.
const PGPASS_BYTES_MAX: usize = 128;

/// The key that begins at `at`, where a word begins.
pub(super) fn find(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    match reader.at(at) {
        b'M' | b'N' | b'O' if discord(reader, at).is_some() => discord(reader, at),
        b'p' | b's' if reader.starts(at + 1, "at.") => harness(reader, at),
        b'p' if reader.starts(at, "pat") => airtable(reader, at),
        b'v' if reader.starts(at, "v1.0-") => cloudflare(reader, at),
        b'a' if reader.starts(at, "access_token$") => paypal(reader, at),
        _ if reader.at(at + 14) == b'.' => atlas(reader, at),
        _ => None,
    }
}

/// The token of a Discord bot: three parts of base64url, the first of which is a number of about 18 digits.
fn discord(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let first = part(reader, at, 24..=28, is_url)?;
    let second = part(reader, dot(reader, first)?, 6..=6, is_url)?;
    let end = part(reader, dot(reader, second)?, 27..=45, is_url)?;
    let sample = reader.slice(at, end);
    (mixes_digits(sample) && sample.bytes().any(|byte| byte.is_ascii_lowercase()))
        .then_some(SecretKey { secret: at, end })
}

/// `pat`, 14 letters and digits, a dot and 64 hexadecimal digits.
fn airtable(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let secret = at + 3;
    let first = part(reader, secret, 14..=14, |byte| byte.is_ascii_alphanumeric())?;
    let end = part(reader, dot(reader, first)?, 64..=64, |byte| byte.is_ascii_hexdigit())?;
    Some(SecretKey { secret, end })
}

/// `pat.` or `sat.`, an account, a number and the key.
fn harness(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let secret = at + "pat.".len();
    let first = part(reader, secret, 20..=26, is_url)?;
    let second = part(reader, dot(reader, first)?, 24..=24, |byte| byte.is_ascii_alphanumeric())?;
    let end = part(reader, dot(reader, second)?, 20..=20, |byte| byte.is_ascii_alphanumeric())?;
    Some(SecretKey { secret, end })
}

/// The key of an origin certificate: `v1.0-`, 24 hexadecimal digits, `-` and 146 more.
fn cloudflare(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let secret = at + "v1.0-".len();
    let first = part(reader, secret, 24..=24, |byte| byte.is_ascii_hexdigit())?;
    let second = (reader.at(first) == b'-').then_some(first + 1)?;
    let end = part(reader, second, 100..=200, |byte| byte.is_ascii_hexdigit())?;
    Some(SecretKey { secret, end })
}

/// `access_token$production$`, 16 letters and digits, `$` and 32 hexadecimal digits.
fn paypal(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let stage = reader.run(at + "access_token$".len(), 12, |byte| byte.is_ascii_lowercase());
    let secret = (reader.at(stage) == b'$').then_some(stage + 1)?;
    let first = part(reader, secret, 16..=16, |byte| byte.is_ascii_alphanumeric())?;
    let second = (reader.at(first) == b'$').then_some(first + 1)?;
    let end = part(reader, second, 32..=32, |byte| byte.is_ascii_hexdigit())?;
    Some(SecretKey { secret, end })
}

/// 14 letters and digits, `.atlasv1.` and 60 or more of base64url.
fn atlas(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let first = part(reader, at, 14..=14, |byte| byte.is_ascii_alphanumeric())?;
    if !reader.starts(first, ATLAS) {
        return None;
    }
    let end = part(reader, first + ATLAS.len(), 60..=120, is_url)?;
    Some(SecretKey { secret: first + ATLAS.len(), end })
}

/// The password of a line `host:port:database:user:password`, whose host is the word between two positions.
pub(super) fn pgpass(reader: &TextReader<'_>, at: usize, end_of_host: usize) -> Option<SecretKey> {
    let before = reader.before(at, 1);
    if reader.at(end_of_host) != b':' || matches!(before, b':' | b'/' | b'.' | b'-' | b'@') {
        return None;
    }
    let port = reader.run(end_of_host + 1, 6, |byte| byte.is_ascii_digit());
    if !(3..=5).contains(&(port - (end_of_host + 1))) || reader.at(port) != b':' {
        return None;
    }
    let name = |from: usize| {
        let to = reader.run(from, 64, |byte| is_word(byte) || byte == b'*');
        let begins = reader.at(from).is_ascii_alphabetic() || reader.at(from) == b'*';
        (begins && reader.at(to) == b':').then_some(to + 1)
    };
    let secret = name(name(port + 1)?)?;
    let end = reader.run(secret, PGPASS_BYTES_MAX, |byte| !is_blank(byte) && !is_quote(byte) && byte != b':');
    let text = reader.slice_down(secret, end);
    // The ports of PostgreSQL say enough.
    let is_told = matches!(reader.slice(end_of_host + 1, port), "5432" | "5433" | "6432");
    let is_password = text.len() >= 6
        && (is_told || mixes_digits(text))
        && !is_placeholder(text)
        && !reader.holds_marker(secret, end);
    is_password.then_some(SecretKey { secret, end })
}

/// End of a part of so many letters, if no further letter or digit follows.
fn part(
    reader: &TextReader<'_>,
    from: usize,
    length: std::ops::RangeInclusive<usize>,
    fits: impl Fn(u8) -> bool,
) -> Option<usize> {
    let end = reader.run(from, length.end() + 1, fits);
    length.contains(&(end - from)).then_some(end)
}

fn dot(reader: &TextReader<'_>, at: usize) -> Option<usize> {
    (reader.at(at) == b'.').then_some(at + 1)
}

fn is_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}
