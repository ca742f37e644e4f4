//! Private keys in PEM: from `-----BEGIN ... PRIVATE KEY-----` to the matching end, or to the end of the text.

use super::reader::{DASHES, SecretKey, TextReader, is_quote};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
/// Longest label in bytes, for example `OPENSSH PRIVATE KEY`.
const LABEL_BYTES_MAX: usize = 48;
/// How many bytes behind a quoted first line that has no last line are searched for the body of a key.
const BODY_WITHIN_BYTES: usize = 200;
/// Fewest base64 characters in a row that count as the body of a key.
const BODY_BYTES_MIN: usize = 32;

/// Remembers where the next last line of a private key is. Searching again behind each first line would be quadratic.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Where the search began, and what it found; the inner `None` means that no last line follows.
    known: Option<(usize, Option<usize>)>,
}

/// The body of the private key whose first line begins at `at`.
pub(super) fn find(reader: &TextReader<'_>, ends: &mut Ends, at: usize) -> Option<SecretKey> {
    let secret = label_end(reader, at, BEGIN)?;
    if let Some(end) = ends.next(reader, secret) {
        return Some(SecretKey { secret, end });
    }
    // Code and prose mention the first line in quotes; then no body follows.
    let is_named = is_quote(reader.at(secret)) && !has_body(reader, secret);
    (!is_named).then_some(SecretKey { secret, end: reader.len() })
}

/// Where the first private key between two positions begins; `to` if there is none.
pub(super) fn next_begin(reader: &TextReader<'_>, from: usize, to: usize) -> usize {
    let mut at = from;
    while at < to && label_end(reader, at, BEGIN).is_none() {
        at += 1;
    }
    at
}

impl Ends {
    fn next(&mut self, reader: &TextReader<'_>, from: usize) -> Option<usize> {
        if let Some((searched, found)) = self.known
            && from >= searched
            && found.is_none_or(|end| end >= from)
        {
            return found;
        }
        let mut at = from;
        let found = loop {
            match reader.find(at, END) {
                Some(end) if label_end(reader, end, END).is_some() => break Some(end),
                Some(end) => at = end + END.len(),
                None => break None,
            }
        };
        self.known = Some((from, found));
        found
    }
}

/// The position behind `-----BEGIN ... PRIVATE KEY ...-----`, or the same with END, as `start` says.
fn label_end(reader: &TextReader<'_>, at: usize, start: &str) -> Option<usize> {
    if !reader.starts(at, start) {
        return None;
    }
    let label = at + start.len();
    let end = reader.run(label, LABEL_BYTES_MAX, |byte| byte.is_ascii_alphanumeric() || byte == b' ');
    let is_private = reader.slice(label, end).contains("PRIVATE KEY");
    (is_private && reader.starts(end, DASHES)).then(|| end + DASHES.len())
}

fn has_body(reader: &TextReader<'_>, from: usize) -> bool {
    let near = reader.slice_down(from, from + BODY_WITHIN_BYTES);
    near.split(|char: char| !char.is_ascii_alphanumeric() && !matches!(char, '+' | '/'))
        .any(|run| run.len() >= BODY_BYTES_MIN)
}
