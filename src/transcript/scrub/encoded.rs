//! Runs of base64, base64url and hexadecimal digits, and what is written in them.
//!
//! A run may begin with something else (`key-Z2hw...`), so base64 is decoded from each of its first four characters on. Of
//! what comes out only stretches of letters, digits and signs are looked at, so a picture costs little.

use super::known::is_wordy;

/// Fewest characters of a run that is decoded.
const RUN_BYTES_MIN: usize = 16;
/// Fewest bytes of a stretch of text in what was decoded.
const TEXT_BYTES_MIN: usize = 8;
/// How often what was decoded is decoded again.
const DEPTH_MAX: usize = 3;

/// The runs of a text that may hold an encoded text, as beginning and end.
pub(super) fn runs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let skipped = rest.iter().position(|byte| value(*byte) < 64)?;
            let from = at + skipped;
            let length = rest.get(skipped..).unwrap_or_default().iter().take_while(|byte| value(**byte) < 64).count();
            at = from + length;
            if length >= RUN_BYTES_MIN && !bytes.get(from..at).is_none_or(is_wordy) {
                let padding =
                    bytes.get(at..).unwrap_or_default().iter().take(2).take_while(|byte| **byte == b'=').count();
                return Some((from, at + padding));
            }
        }
        None
    })
}

/// True if `is_secret` is true for a text that is encoded in `run`, once or several times.
pub(super) fn any_text(run: &str, is_secret: &mut impl FnMut(&str) -> bool) -> bool {
    let bytes = run.as_bytes();
    let mut decoded = Vec::new();
    if bytes.len() >= 2 * RUN_BYTES_MIN && bytes.iter().all(u8::is_ascii_hexdigit) {
        decode_hex(bytes, &mut decoded);
        if any_stretch(&decoded, DEPTH_MAX, is_secret) {
            return true;
        }
    }
    (0..4).any(|skipped| {
        decode(bytes.get(skipped..).unwrap_or_default(), &mut decoded);
        any_stretch(&decoded, DEPTH_MAX, is_secret)
    })
}

/// True if a stretch of text is a secret, or a run in it encodes one.
fn any_stretch(decoded: &[u8], depth: usize, is_secret: &mut impl FnMut(&str) -> bool) -> bool {
    let is_text = |byte: &u8| (b' '..=b'~').contains(byte) || matches!(*byte, b'\n' | b'\r' | b'\t');
    let mut again = Vec::new();
    decoded.split(|byte| !is_text(byte)).filter(|stretch| stretch.len() >= TEXT_BYTES_MIN).any(|stretch| {
        let Ok(text) = std::str::from_utf8(stretch) else { return false };
        is_secret(text)
            || (depth > 1
                && runs(text).any(|(from, to)| {
                    decode(text.as_bytes().get(from..to).unwrap_or_default(), &mut again);
                    any_stretch(&again, depth - 1, is_secret)
                }))
    })
}

/// Replaces `out` by what base64 stands for.
fn decode(run: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for four in run.chunks(4) {
        let bits = four
            .iter()
            .take_while(|byte| value(**byte) < 64)
            .fold((0_u32, 0_u32), |(bits, count), byte| (bits << 6 | u32::from(value(*byte)), count + 1));
        let (bits, count) = bits;
        let [_, one, two, three] = (bits << (6 * (4 - count))).to_be_bytes();
        let whole = [one, two, three];
        out.extend(whole.iter().take(usize::try_from(count.saturating_sub(1)).unwrap_or(0)));
    }
}

fn decode_hex(run: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    out.extend(run.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, one| byte << 4 | digit(*one))));
}

/// What a character of base64 or base64url stands for; 64 for any other.
fn value(byte: u8) -> u8 {
    VALUES.get(usize::from(byte)).copied().unwrap_or(64)
}

#[allow(clippy::indexing_slicing, reason = "done by the compiler")]
const VALUES: [u8; 256] = {
    let mut values = [64; 256];
    let mut byte = 0_u8;
    loop {
        values[byte as usize] = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => 64,
        };
        if byte == u8::MAX {
            break values;
        }
        byte += 1;
    }
};
