//! Private keys in PEM: from `-----BEGIN ... PRIVATE KEY-----` to the matching end, or to the end of the text. Also the
//! form of SSH2, with four dashes and spaces, and rows of a key whose first line is not in the text.

use super::known::changes;
use super::lines;
use super::reader::{DASHES, SecretKey, TextReader, is_quote};

/// How the first and the last line of a block begin, and how both end.
struct Form {
    begin: &'static str,
    end: &'static str,
    dashes: &'static str,
}

const PEM: Form = Form { begin: "-----BEGIN ", end: "-----END ", dashes: DASHES };
const SSH2: Form = Form { begin: "---- BEGIN ", end: "---- END ", dashes: " ----" };
/// Beginnings of the bodies of keys: of RSA, of other kinds, of OpenSSH.
const BODIES: &[&str] = &["MII", "MIG", "MHc", "MHQ", "b3BlbnNzaC1rZXktdjE"];
/// Fewest full rows of a body that begins like one, and of any other.
const ROWS_MIN: (usize, usize) = (2, 4);
/// Longest label in bytes, for example `OPENSSH PRIVATE KEY`.
const LABEL_BYTES_MAX: usize = 48;
/// How many bytes behind a quoted first line that has no last line are searched for the body of a key.
const BODY_WITHIN_BYTES: usize = 200;
/// Fewest base64 characters in a row that count as the body of a key.
const BODY_BYTES_MIN: usize = 32;

/// Remembers where the next last line of a private key is. Searching again behind each first line would be quadratic.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pem: End,
    ssh2: End,
}

#[derive(Debug, Default)]
struct End {
    /// Where the search began, and what it found; the inner `None` means that no last line follows.
    known: Option<(usize, Option<usize>)>,
}

/// The body of the private key whose first line begins at `at`.
pub(super) fn find(reader: &TextReader<'_>, ends: &mut Ends, at: usize) -> Option<SecretKey> {
    let (secret, end) = match label_end(reader, at, PEM.begin, &PEM) {
        Some(secret) => (secret, ends.pem.next(reader, secret, &PEM)),
        None => {
            let secret = label_end(reader, at, SSH2.begin, &SSH2)?;
            (secret, ends.ssh2.next(reader, secret, &SSH2))
        }
    };
    if let Some(end) = end {
        return Some(SecretKey { secret, end });
    }
    // Code and prose mention the first line in quotes; then no body follows.
    let is_named = is_quote(reader.at(secret)) && !has_body(reader, secret);
    (!is_named).then_some(SecretKey { secret, end: reader.len() })
}

/// Where the first private key between two positions begins; `to` if there is none.
pub(super) fn next_begin(reader: &TextReader<'_>, from: usize, to: usize) -> usize {
    let begins = |at: usize| [PEM, SSH2].iter().any(|form| label_end(reader, at, form.begin, form).is_some());
    let mut at = from;
    while at < to && !begins(at) {
        at += 1;
    }
    at
}

/// True if a block that is no private key begins at `at`, false if one ends there; `None` for any other text.
pub(super) fn public(reader: &TextReader<'_>, at: usize) -> Option<bool> {
    match reader.at(at + DASHES.len()) {
        b'B' if reader.starts(at, PEM.begin) => Some(label_end(reader, at, PEM.begin, &PEM).is_none()),
        b'E' if reader.starts(at, PEM.end) => Some(false),
        _ => None,
    }
}

/// The rows of a private key that begin in the line at `line`, whose first line is not in the text: rows of base64 of a
/// width that such keys have. A certificate is told by its last line.
pub(super) fn body(reader: &TextReader<'_>, line: usize) -> Option<SecretKey> {
    const WIDTHS: [usize; 3] = [64, 70, 76];
    const LAST_BYTES_MIN: usize = 16;
    // A row may begin with the sign of a diff.
    let wide = |from: usize| row(reader, from).filter(|(end, _)| WIDTHS.contains(&(end - from)));
    let secret = if wide(line).is_some() { line } else { lines::behind_number(reader, line) };
    let (first_end, mut next) = wide(secret)?;
    let width = first_end - secret;
    let is_mixed = |from: usize, to: usize| {
        let text = reader.slice(from, to);
        let has = |fits: fn(&u8) -> bool| text.bytes().any(|byte| fits(&byte));
        has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
    };
    if !is_mixed(secret, first_end) {
        return None;
    }
    let (mut rows, mut end) = (1, first_end);
    let begins = BODIES.iter().any(|start| reader.starts(secret, start));
    loop {
        let is_bare = row(reader, next + 1).is_some_and(|(end, _)| end - (next + 1) == width);
        let from = if is_bare { next + 1 } else { lines::behind_number(reader, next + 1) };
        let Some((to, after)) = row(reader, from).filter(|_| reader.at(next) == b'\n') else { break };
        let is_full = to - from == width && is_mixed(from, to);
        let is_last = to - from < width
            && (reader.before(to, 1) == b'='
                || (to - from >= LAST_BYTES_MIN && changes(reader.slice(from, to).as_bytes()) >= 4));
        if !is_full && !is_last {
            break;
        }
        (end, next) = (to, after);
        if is_last {
            break;
        }
        rows += 1;
    }
    let behind = lines::behind_number(reader, next + 1);
    let is_told = reader.starts(behind, PEM.end);
    let is_private = is_told && label_end(reader, behind, PEM.end, &PEM).is_some();
    let fewest = if is_private {
        1
    } else if begins {
        ROWS_MIN.0
    } else {
        ROWS_MIN.1
    };
    (rows >= fewest && is_told == is_private).then_some(SecretKey { secret, end })
}

/// End of a row of base64 that fills its line, and where that line ends.
fn row(reader: &TextReader<'_>, from: usize) -> Option<(usize, usize)> {
    const BYTES_MAX: usize = 76;
    let end =
        reader.run(from, BYTES_MAX + 1, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    let newline = reader.run(end, 1, |byte| byte == b'\r');
    let is_whole = newline == reader.len() || reader.at(newline) == b'\n' || is_quote(reader.at(end));
    (end > from && end <= from + BYTES_MAX && is_whole).then_some((end, newline))
}

impl End {
    fn next(&mut self, reader: &TextReader<'_>, from: usize, form: &Form) -> Option<usize> {
        if let Some((searched, found)) = self.known
            && from >= searched
            && found.is_none_or(|end| end >= from)
        {
            return found;
        }
        let mut at = from;
        let found = loop {
            match reader.find(at, form.end) {
                Some(end) if label_end(reader, end, form.end, form).is_some() => break Some(end),
                Some(end) => at = end + form.end.len(),
                None => break None,
            }
        };
        self.known = Some((from, found));
        found
    }
}

/// The position behind `-----BEGIN ... PRIVATE KEY ...-----`, or the same with END, as `start` says.
fn label_end(reader: &TextReader<'_>, at: usize, start: &str, form: &Form) -> Option<usize> {
    if !reader.starts(at, start) {
        return None;
    }
    let label = at + start.len();
    let run = reader.run(label, LABEL_BYTES_MAX, |byte| byte.is_ascii_alphanumeric() || byte == b' ');
    let end = if form.dashes.starts_with(' ') && reader.before(run, 1) == b' ' { run - 1 } else { run };
    let is_private = reader.slice(label, end).contains("PRIVATE KEY");
    (is_private && reader.starts(end, form.dashes)).then(|| end + form.dashes.len())
}

fn has_body(reader: &TextReader<'_>, from: usize) -> bool {
    let near = reader.slice_down(from, from + BODY_WITHIN_BYTES);
    near.split(|char: char| !char.is_ascii_alphanumeric() && !matches!(char, '+' | '/'))
        .any(|run| run.len() >= BODY_BYTES_MIN)
}
