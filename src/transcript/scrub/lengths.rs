//! Keys with a beginning that says little, which are told by it and by their length: `re_`, `key-`, `s.`.

use super::issuers::{HEAD_WORDS, head};
use super::known::changes;
use super::reader::{SecretKey, TextReader};

/// What a key is made of.
#[derive(Clone, Copy)]
enum Kind {
    /// `0-9a-f`
    Hex,
    /// Small letters and digits.
    Small,
    /// Small letters, capitals and digits, of each at least one.
    Mixed,
    /// The same, and `_` and `-`.
    Url,
}

use Kind::{Hex, Mixed, Small, Url};

/// The beginning of a key, the fewest and the most characters behind it, and what they are.
const LENGTHS: &[(&str, usize, usize, Kind)] = &[
    ("key-", 32, 32, Hex),
    ("re_", 24, 40, Url),
    ("fw_", 22, 26, Mixed),
    ("pa-", 43, 43, Url),
    ("nk-", 43, 43, Url),
    ("sk_", 48, 48, Hex),
    ("sk_", 29, 29, Url),
    ("pk_", 34, 34, Hex),
    ("fc-", 32, 32, Hex),
    ("cr-", 40, 40, Hex),
    ("v1.", 40, 40, Hex),
    ("ls__", 32, 32, Hex),
    ("oy2", 43, 43, Small),
    ("cio", 32, 32, Mixed),
    ("db-", 29, 29, Mixed),
    ("4b1d", 38, 38, Mixed),
    ("secret-", 43, 43, Mixed),
    ("live_", 35, 40, Hex),
    ("test_", 35, 40, Hex),
    ("live_", 30, 45, Mixed),
    ("test_", 30, 45, Mixed),
    ("sandbox_", 40, 45, Url),
    ("EAA", 80, 400, Mixed),
    ("sl.u.", 60, 1_500, Url),
    ("sl.", 100, 1_500, Url),
    ("cnvca", 40, 60, Url),
    ("KEY01", 40, 60, Url),
    ("cflt", 50, 80, Mixed),
];
/// A bit for each three characters with which one of [`LENGTHS`] begins, by which most words are ruled out at once.
#[allow(clippy::indexing_slicing, reason = "done by the compiler: a beginning of two letters would not build")]
const HEADS: [u64; HEAD_WORDS] = {
    let mut heads = [0; HEAD_WORDS];
    let mut at = 0;
    while at < LENGTHS.len() {
        let start = LENGTHS[at].0.as_bytes();
        let (word, bit) = head(start[0], start[1], start[2]);
        heads[word] |= bit;
        at += 1;
    }
    heads
};
/// Beginnings of keys that go on with a UUID.
const BEFORE_UUID: &[&str] = &["sdk-", "api-", "mob-", "sub-c-", "sec-c-", "ApiKey-"];
const UUID_BYTES: usize = 36;
/// How often the kinds of characters change in a token of Vault of the old form, `s.` and 24 letters and digits.
const VAULT_CHANGES_MIN: usize = 10;
const VAULT_BYTES: usize = 24;
/// Where the mark of Azure stands in a personal access token of its DevOps.
const AZURE_MARK_AT: usize = 52;

/// The key that begins at `at`, where a word begins.
pub(super) fn find(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    if matches!(reader.before(at, 1), b'-' | b'_' | b'.') {
        return None;
    }
    let first = reader.at(at);
    let known = || {
        let (word, bit) = head(first, reader.at(at + 1), reader.at(at + 2));
        if HEADS.get(word).is_none_or(|heads| heads & bit == 0) {
            return None;
        }
        LENGTHS.iter().find_map(|(start, min, max, kind)| {
            let secret = at + start.len();
            let key = || body(reader, secret, (*min, *max), *kind).map(|end| SecretKey { secret, end });
            (start.as_bytes().first() == Some(&first) && reader.starts(at, start)).then(key).flatten()
        })
    };
    let uuid = || {
        let start = BEFORE_UUID.iter().find(|start| reader.starts(at, start))?;
        let secret = at + start.len();
        let end = reader.run(secret, UUID_BYTES + 1, |byte| byte.is_ascii_hexdigit() || byte == b'-');
        let is_uuid = end - secret == UUID_BYTES && !reader.at(end).is_ascii_alphanumeric();
        is_uuid.then_some(SecretKey { secret, end })
    };
    match first {
        b'k' | b'r' | b'f' | b'p' | b'n' | b'v' | b'l' | b'o' | b'd' | b't' | b'E' | b'K' => known(),
        b'c' | b'4' | b's' | b'm' | b'a' | b'A' => {
            known().or_else(uuid).or_else(|| vault(reader, at)).or_else(|| one_password(reader, at))
        }
        b'S' if reader.at(at + 1) == b'K' => {
            body(reader, at + 2, (32, 32), Hex).map(|end| SecretKey { secret: at + 2, end })
        }
        b'1' | b'2' => asana(reader, at),
        _ => None,
    }
    .or_else(|| twitter(reader, at))
    .or_else(|| azure(reader, at))
    .or_else(|| by_ending(reader, at))
}

/// End of the body of a key, if it has so many characters and is of this kind.
fn body(reader: &TextReader<'_>, from: usize, (min, max): (usize, usize), kind: Kind) -> Option<usize> {
    let fits = |byte: u8| match kind {
        Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        Small => byte.is_ascii_lowercase() || byte.is_ascii_digit(),
        Mixed => byte.is_ascii_alphanumeric(),
        Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
    };
    // Most words end within a few letters.
    if reader.run(from, min, fits) < from + min {
        return None;
    }
    let end = reader.run(from, max + 1, fits);
    let text = reader.slice(from, end);
    let is_mixed = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && (matches!(kind, Hex | Small) || text.bytes().any(|byte| byte.is_ascii_uppercase()));
    (end <= from + max && is_mixed && !reader.at(end).is_ascii_alphanumeric()).then_some(end)
}

/// `s.` or `b.` and 24 letters and digits that look random.
fn vault(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let secret = at + 2;
    if reader.at(at) != b's' || reader.at(at + 1) != b'.' {
        return None;
    }
    let end = body(reader, secret, (VAULT_BYTES, VAULT_BYTES), Mixed)?;
    let is_random = changes(reader.slice(secret, end).as_bytes()) >= VAULT_CHANGES_MIN;
    is_random.then_some(SecretKey { secret, end })
}

/// `A3-` and six groups of capitals and digits, or seven.
fn one_password(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let secret = at + 3;
    if !reader.starts(at, "A3-") {
        return None;
    }
    let end = reader.run(secret, 40, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-');
    let groups = reader.slice(secret, end).split('-').count();
    ((30..=38).contains(&(end - secret)) && (5..=7).contains(&groups)).then_some(SecretKey { secret, end })
}

/// `1/1200000000000000:` or `2/1200000000000000/1200000000000001:` and 32 hexadecimal digits.
fn asana(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let number = |from: usize| {
        let end = reader.run(from + 1, 20, |byte| byte.is_ascii_digit());
        (reader.at(from) == b'/' && end - from > 10).then_some(end)
    };
    let first = number(at + 1)?;
    let colon = number(first).unwrap_or(first);
    let secret = (reader.at(colon) == b':').then_some(colon + 1)?;
    Some(SecretKey { secret, end: body(reader, secret, (32, 32), Hex)? })
}

/// About 22 times `A`, then 60 and more letters, digits and percent signs.
fn twitter(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    if !reader.starts(at, "AAAAAAAAAAAAAAAAAAA") {
        return None;
    }
    let secret = reader.run(at, 26, |byte| byte == b'A');
    let end = reader.run(secret, 161, |byte| byte.is_ascii_alphanumeric() || byte == b'%');
    let is_key = (60..=160).contains(&(end - secret)) && changes(reader.slice(secret, end).as_bytes()) >= 20;
    is_key.then_some(SecretKey { secret, end })
}

/// Keys of Azure: a client secret with `8Q~` in it, and an access token of DevOps with `JQQJ99`.
fn azure(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    if reader.starts(at + AZURE_MARK_AT, "JQQJ99") {
        let end = reader.run(at, 100, |byte| byte.is_ascii_alphanumeric());
        return (end - at >= 70).then_some(SecretKey { secret: at, end });
    }
    let mark = (1..=3).find(|before| reader.at(at + before) == b'7' || reader.at(at + before) == b'8')?;
    if !reader.starts(at + mark + 1, "Q~") {
        return None;
    }
    let from = at + mark + 3;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~');
    let end = reader.run(from, 40, is_part);
    (31..=34).contains(&(end - from)).then_some(SecretKey { secret: at, end })
}

/// Keys that are told by their end: `-us14` behind 32 hexadecimal digits, `NRAL` behind 36.
fn by_ending(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = |length: usize| reader.run(at, length, is_hex) == at + length;
    let end = if reader.starts(at + 32, "-us") && reader.at(at + 35).is_ascii_digit() && digits(32) {
        at + 32
    } else if reader.starts(at + 36, "NRAL") && reader.run(at, 36, |byte| byte.is_ascii_alphanumeric()) == at + 36 {
        at + 36
    } else {
        return None;
    };
    Some(SecretKey { secret: at, end })
}
