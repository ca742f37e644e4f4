//! Keys whose issuer made them recognisable: a fixed beginning, then enough characters of one alphabet.
//!
//! The beginning is kept, because it says whose key must be replaced. It counts only where a word could begin, and the
//! minimum length spares ordinary names (`sk-learn`, `hf_model`, `npm_config_registry`).

use super::reader::{MARKER, SecretKey, TextReader};
use super::shapes;

/// The characters that a key is made of.
#[derive(Clone, Copy)]
enum Alphabet {
    /// Letters and digits.
    Plain,
    /// `A-Za-z0-9_-`
    Url,
    /// `A-Za-z0-9_-.`
    Dotted,
    /// `A-Za-z0-9_-./:=+`, for paths and base64.
    Path,
    /// `0-9a-f`
    Hex,
    /// `A-Z0-9`
    Upper,
}

use Alphabet::{Dotted, Hex, Path, Plain, Upper, Url};

/// The beginning of a key, the fewest characters behind it, and their alphabet. If one beginning begins with another,
/// the longer one comes first.
const ISSUERS: &[(&str, usize, Alphabet)] = &[
    ("sk-ant-", 8, Url),
    ("sk-proj-", 16, Url),
    ("sk-svcacct-", 16, Url),
    ("sk-or-v1-", 16, Url),
    ("ghp_", 20, Plain),
    ("gho_", 20, Plain),
    ("ghu_", 20, Plain),
    ("ghs_", 20, Dotted),
    ("ghr_", 20, Plain),
    ("github_pat_", 20, Url),
    ("glpat-", 16, Dotted),
    ("gldt-", 16, Url),
    ("glrt-", 16, Dotted),
    ("glptt-", 16, Url),
    ("glcbt-", 16, Url),
    ("glsoat-", 16, Url),
    ("glsa_", 20, Url),
    ("glc_eyJ", 20, Path),
    ("xoxa-", 10, Url),
    ("xoxb-", 10, Url),
    ("xoxc-", 10, Url),
    ("xoxd-", 10, Path),
    ("xoxe-", 10, Url),
    ("xoxe.xox", 10, Dotted),
    ("xoxo-", 10, Url),
    ("xoxp-", 10, Url),
    ("xoxr-", 10, Url),
    ("xoxs-", 10, Url),
    ("xapp-", 16, Url),
    ("AKIA", 16, Upper),
    ("ASIA", 16, Upper),
    ("ABIA", 16, Upper),
    ("ACCA", 16, Upper),
    ("AIza", 30, Url),
    ("ya29.", 20, Dotted),
    ("1//0", 30, Url),
    ("GOCSPX-", 20, Url),
    ("npm_", 30, Plain),
    ("pypi-", 40, Url),
    ("hf_", 20, Plain),
    ("api_org_", 20, Plain),
    ("SG.", 40, Dotted),
    ("shpat_", 20, Plain),
    ("shpca_", 20, Plain),
    ("shppa_", 20, Plain),
    ("shpss_", 20, Plain),
    ("sq0atp-", 20, Url),
    ("sq0csp-", 20, Url),
    ("sq0idp-", 20, Url),
    ("sk_live_", 10, Plain),
    ("sk_test_", 10, Plain),
    ("rk_live_", 10, Plain),
    ("rk_test_", 10, Plain),
    ("pk_live_", 10, Plain),
    ("pk_test_", 10, Plain),
    ("whsec_", 20, Path),
    ("dop_v1_", 40, Hex),
    ("doo_v1_", 40, Hex),
    ("dor_v1_", 40, Hex),
    ("dckr_pat_", 16, Url),
    ("dckr_oat_", 16, Url),
    ("hvs.", 20, Dotted),
    ("hvb.", 20, Dotted),
    ("hvr.", 20, Dotted),
    ("dp.pt.", 20, Plain),
    ("dp.st.", 20, Dotted),
    ("lin_api_", 20, Plain),
    ("ntn_", 30, Plain),
    ("secret_", 40, Plain),
    ("figd_", 20, Url),
    ("sbp_", 30, Hex),
    ("sb_secret_", 16, Url),
    ("gsk_", 30, Plain),
    ("xai-", 40, Plain),
    ("pplx-", 30, Plain),
    ("r8_", 30, Plain),
    ("tvly-", 20, Url),
    ("nvapi-", 30, Url),
    ("AGE-SECRET-KEY-1", 40, Upper),
    ("PMAK-", 30, Url),
    ("ATATT3", 40, Path),
    ("ATCTT3", 40, Path),
    ("ATBB", 28, Plain),
    ("NRAK-", 20, Upper),
    ("rubygems_", 40, Hex),
    ("CFPAT-", 30, Url),
    ("dapi", 32, Hex),
    ("pscale_tkn_", 20, Dotted),
    ("pscale_pw_", 20, Dotted),
    ("pscale_oauth_", 20, Dotted),
    ("tskey-", 16, Url),
    ("ops_eyJ", 40, Path),
    ("sntrys_", 40, Path),
    ("sntryu_", 40, Hex),
    ("phx_", 30, Plain),
    ("pul-", 40, Hex),
    ("LTAI", 16, Plain),
    ("HRKU-", 30, Url),
    ("nfp_", 30, Plain),
    ("sgp_", 40, Url),
    ("bkua_", 40, Hex),
    ("xkeysib-", 60, Url),
    ("AKCp", 60, Plain),
    ("EAAA", 50, Url),
    ("fm1r_", 60, Path),
    ("fm2_", 60, Path),
    ("fo1_", 40, Url),
    ("dt0c01.", 60, Dotted),
    ("dt0s01.", 60, Dotted),
    ("glffct-", 16, Url),
    ("glimt-", 16, Url),
    ("glagent-", 16, Url),
    ("gloas-", 40, Url),
    ("CLOJARS_", 50, Plain),
    ("EZAK", 54, Plain),
    ("rdme_", 60, Plain),
    ("pnu_", 36, Plain),
    ("tfp_", 50, Url),
    ("shippo_live_", 40, Hex),
    ("duffel_live_", 40, Url),
    ("sk.eyJ", 40, Dotted),
    ("NRJS-", 19, Hex),
    ("NRII-", 30, Url),
    ("NRAA-", 20, Url),
    ("SK", 32, Hex),
    ("EAACEdEose0cBA", 10, Plain),
    // First lines of private keys in PEM, encoded in base64, as in secrets of Kubernetes.
    ("LS0tLS1CRUdJTiBQUklWQVRF", 20, Path),
    ("LS0tLS1CRUdJTiBSU0EgUFJJVkFU", 20, Path),
    ("LS0tLS1CRUdJTiBFQyBQUklWQVRF", 20, Path),
    ("LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZB", 20, Path),
    ("LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFU", 20, Path),
    ("hooks.slack.com/services/", 20, Path),
    ("hooks.slack.com/workflows/", 20, Path),
    ("hooks.slack.com/triggers/", 20, Path),
    ("discord.com/api/webhooks/", 40, Path),
    ("discordapp.com/api/webhooks/", 40, Path),
    ("api.telegram.org/bot", 30, Path),
];

/// A bit for each two characters with which one of [`ISSUERS`] begins, by which most words are ruled out at once.
#[allow(clippy::indexing_slicing, reason = "done by the compiler: a beginning of one letter would not build")]
const HEADS: [u64; 1_024] = {
    let mut heads = [0; 1_024];
    let mut at = 0;
    while at < ISSUERS.len() {
        let start = ISSUERS[at].0.as_bytes();
        let head = (start[0] as usize) << 8 | start[1] as usize;
        heads[head >> 6] |= 1 << (head & 63);
        at += 1;
    }
    heads
};

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
    let issuers = if is_head(reader, at) { ISSUERS } else { &[] };
    let found = issuers.iter().find_map(|(start, min, alphabet)| {
        let key = |secret| body(reader, secret, *min, *alphabet).map(|end| SecretKey { secret, end });
        reader.starts(at, start).then(|| key(at + start.len())).flatten()
    });
    found
        .or_else(|| shapes::find(reader, at))
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

/// True if an issuer's keys begin with the two letters at `at`.
fn is_head(reader: &TextReader<'_>, at: usize) -> bool {
    let head = usize::from(reader.at(at)) << 8 | usize::from(reader.at(at + 1));
    HEADS.get(head >> 6).is_some_and(|heads| heads & (1 << (head & 63)) != 0)
}

/// The secret access key right behind an access key id.
pub(super) fn aws_secret(reader: &TextReader<'_>, key: SecretKey) -> Option<SecretKey> {
    let behind_id = matches!(reader.slice(key.secret.saturating_sub(4), key.secret), "AKIA" | "ASIA");
    let is_gap = |byte: u8| matches!(byte, b',' | b':' | b';' | b'|' | b' ' | b'\t' | b'"' | b'\'' | b'/');
    let secret = reader.run(key.end, AWS_GAP_BYTES_MAX, is_gap);
    if !behind_id || secret == key.end {
        return None;
    }
    let is_secret = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let end = reader.run(secret, AWS_SECRET_BYTES + 1, is_secret);
    let is_whole = end - secret == AWS_SECRET_BYTES && !reader.starts(end, MARKER);
    is_whole.then_some(SecretKey { secret, end })
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
    let fits = |byte: u8| match alphabet {
        Plain => byte.is_ascii_alphanumeric(),
        Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
        Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
        Path => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b':' | b'=' | b'+'),
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
    let end = is_key.then(|| body(reader, secret, SK_BYTES_MIN, Url)).flatten()?;
    Some(SecretKey { secret, end })
}

/// The token of a Telegram bot, `123456789:AA...`; the number is kept.
fn telegram(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    let colon = reader.run(at, 11, |byte| byte.is_ascii_digit());
    if colon - at < 8 || !reader.starts(colon, ":AA") {
        return None;
    }
    body(reader, colon + 3, 30, Url).map(|end| SecretKey { secret: colon + 1, end })
}

/// A JWT: three parts of base64url joined by dots, the first of which is a JSON object (`eyJ` is `{"`). Also the
/// beginning of a JWT that was cut off.
fn jwt(reader: &TextReader<'_>, runs: &mut KeyRuns, at: usize) -> Option<SecretKey> {
    if !reader.starts(at, "eyJ") {
        return None;
    }
    let begun = || body(reader, at + JWT_ALGORITHM.len(), JWT_PART_BYTES_MIN, Dotted);
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
