//! Keys whose issuer made them recognisable: a fixed beginning, then enough characters of one alphabet.
//!
//! The beginning is kept, because it says whose key must be replaced. It counts only where a word could begin, and the
//! minimum length spares ordinary names (`sk-learn`, `hf_model`, `npm_config_registry`).

use super::issuers::{Alphabet, HEADS, ISSUERS, head};
use super::lengths;
use super::reader::{MARKER, SecretKey, TextReader};
use super::shapes;

/// Fewest characters behind `sk-`, a beginning that many issuers use.
const SK_BYTES_MIN: usize = 20;
/// `{"alg":` in base64url, by which a JWT is recognised that was cut off.
const JWT_ALGORITHM: &str = "eyJhbGciOi";
/// Fewest characters of each of the first two parts of a JWT.
const JWT_PART_BYTES_MIN: usize = 8;
/// Characters of an AWS secret access key.
const AWS_SECRET_BYTES: usize = 40;
/// Most separators between an AWS access key id and its secret.
const AWS_GAP_BYTES_MAX: usize = 6;

/// The runs of base64url characters that were read last, each as beginning and end. Remembering them makes sure that
/// each run is read once, as the linear-time law asks.
#[derive(Debug, Default)]
pub(super) struct KeyRuns {
    first: (usize, usize),
    second: (usize, usize),
}

/// The key that begins at `at`.
pub(super) fn find(reader: &TextReader<'_>, runs: &mut KeyRuns, at: usize) -> Option<SecretKey> {
    if !word_may_begin(reader, at) {
        return None;
    }
    let first = reader.at(at);
    let issuers = if is_head(reader, at) { ISSUERS } else { &[] };
    let found = issuers.iter().find_map(|(start, min, alphabet)| {
        let key = |secret| body(reader, secret, *min, *alphabet).map(|end| SecretKey { secret, end });
        (start.as_bytes().first() == Some(&first) && reader.starts(at, start)).then(|| key(at + start.len())).flatten()
    });
    found
        .or_else(|| shapes::find(reader, at))
        .or_else(|| lengths::find(reader, at))
        .or_else(|| shared_start(reader, at))
        .or_else(|| telegram(reader, at))
        .or_else(|| jwt(reader, runs, at))
}

/// True if the letters by which an issuer's keys are told stand in a word where a key may begin.
pub(super) fn holds_begin(word: &str) -> bool {
    const LETTERS_MIN: usize = 3;
    let reader = TextReader::new(word);
    let begins = |at: usize, start: &str| start.len() >= LETTERS_MIN && reader.starts(at, start);
    (0..word.len()).any(|at| {
        is_head(&reader, at) && word_may_begin(&reader, at) && ISSUERS.iter().any(|(start, _, _)| begins(at, start))
    })
}

/// True if an issuer's keys may begin with the three characters at `at`.
fn is_head(reader: &TextReader<'_>, at: usize) -> bool {
    let (word, bit) = head(reader.at(at), reader.at(at + 1), reader.at(at + 2));
    HEADS.get(word).is_some_and(|heads| heads & bit != 0)
}

/// The secret access key right behind an access key id.
pub(super) fn aws_secret(reader: &TextReader<'_>, key: SecretKey) -> Option<SecretKey> {
    let behind_id = matches!(reader.slice(key.secret.saturating_sub(4), key.secret), "AKIA" | "ASIA" | "OG1E");
    let is_gap = |byte: u8| matches!(byte, b',' | b':' | b';' | b'|' | b' ' | b'\t' | b'"' | b'\'' | b'/');
    let secret = reader.run(key.end, AWS_GAP_BYTES_MAX, is_gap);
    if !behind_id || secret == key.end {
        return None;
    }
    let is_secret = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    // A slash before it may be its first character.
    [secret, secret.saturating_sub(1)].into_iter().filter(|secret| *secret > key.end).find_map(|secret| {
        let end = reader.run(secret, AWS_SECRET_BYTES + 1, is_secret);
        let is_whole = end - secret == AWS_SECRET_BYTES && !reader.starts(end, MARKER);
        is_whole.then_some(SecretKey { secret, end })
    })
}

/// True if a key may begin at `at`: not behind a letter or digit, unless that ends an escape such as `%3D` or `\n`.
fn word_may_begin(reader: &TextReader<'_>, at: usize) -> bool {
    let (third, second, before) = (reader.before(at, 3), reader.before(at, 2), reader.before(at, 1));
    !before.is_ascii_alphanumeric()
        || (third == b'%' && second.is_ascii_hexdigit() && before.is_ascii_hexdigit())
        || (second == b'\\' && matches!(before, b'n' | b'r' | b't'))
}

/// End of the body of a key that begins at `from`; `None` if it is shorter than `min` or the word goes on behind it.
fn body(reader: &TextReader<'_>, from: usize, min: usize, alphabet: Alphabet) -> Option<usize> {
    use Alphabet::{Address, Dotted, Hex, Path, Plain, Upper, Url};
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=+".contains(&byte);
    let fits = |byte: u8| match alphabet {
        Plain => byte.is_ascii_alphanumeric(),
        Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
        Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
        Path => is_path(byte),
        Address => is_path(byte) || matches!(byte, b'@' | b'%'),
        Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        Upper => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
    };
    if reader.run(from, min, fits) < from + min {
        return None;
    }
    let end = reader.run(from, usize::MAX, fits);
    (!reader.at(end).is_ascii_alphanumeric()).then(|| without_dots(reader, from, end))
}

/// `end` without full stops and colons before it: they belong to the sentence, not to the key.
fn without_dots(reader: &TextReader<'_>, from: usize, mut end: usize) -> usize {
    while end > from && matches!(reader.before(end, 1), b'.' | b':') {
        end -= 1;
    }
    end
}

/// A key that begins with `sk-` alone. Many issuers use this beginning, but so do other names; unlike keys, these have
/// few digits and capitals.
fn shared_start(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    // `sk-ssh-ed25519@openssh.com` is the type of a public key.
    if !reader.starts(at, "sk-") || reader.starts(at, "sk-ssh-") || reader.starts(at, "sk-ecdsa-") {
        return None;
    }
    let secret = at + 3;
    let judged = reader.run(secret, 2 * SK_BYTES_MIN, is_base64url);
    let sample = reader.slice(secret, judged);
    let digits = sample.bytes().filter(u8::is_ascii_digit).count();
    let capitals = sample.bytes().filter(u8::is_ascii_uppercase).count();
    // This is decided before the body is read to its end, since a body that is kept may hold many more of these
    // beginnings.
    let is_key = digits >= 4 || (digits >= 1 && capitals >= 2);
    let end = is_key.then(|| body(reader, secret, SK_BYTES_MIN, Alphabet::Url)).flatten()?;
    Some(SecretKey { secret, end })
}

/// The token of a Telegram bot, `123456789:AA...`; the number is kept.
fn telegram(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let colon = reader.run(at, 11, |byte| byte.is_ascii_digit());
    if colon - at < 8 || !reader.starts(colon, ":AA") {
        return None;
    }
    body(reader, colon + 3, 30, Alphabet::Url).map(|end| SecretKey { secret: colon + 1, end })
}

/// A JWT: three parts of base64url joined by dots, the first of which is a JSON object (`eyJ` is `{"`). Also the
/// beginning of a JWT that was cut off.
fn jwt(reader: &TextReader<'_>, runs: &mut KeyRuns, at: usize) -> Option<SecretKey> {
    if !reader.starts(at, "eyJ") {
        return None;
    }
    let begun = || body(reader, at + JWT_ALGORITHM.len(), JWT_PART_BYTES_MIN, Alphabet::Dotted);
    whole_jwt(reader, runs, at)
        .or_else(|| reader.starts(at, JWT_ALGORITHM).then(begun).flatten())
        .map(|end| SecretKey { secret: at + 3, end })
}

fn whole_jwt(reader: &TextReader<'_>, runs: &mut KeyRuns, at: usize) -> Option<usize> {
    let first = run_once(reader, &mut runs.first, at);
    if reader.at(first) != b'.' || first - at < JWT_PART_BYTES_MIN {
        return None;
    }
    let second = run_once(reader, &mut runs.second, first + 1);
    if reader.at(second) != b'.' || second - first <= JWT_PART_BYTES_MIN {
        return None;
    }
    let end = reader.run(second + 1, usize::MAX, |byte| is_base64url(byte) || byte == b'.');
    Some(without_dots(reader, second, end))
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn run_once(reader: &TextReader<'_>, known: &mut (usize, usize), at: usize) -> usize {
    if !(known.0..known.1).contains(&at) {
        *known = (at, reader.run(at, usize::MAX, is_base64url));
    }
    known.1
}
