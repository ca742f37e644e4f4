//! User information in URLs: `scheme://user:password@host`.

use super::phrases;
use super::reader::{MARKER, SecretKey, TextReader, is_blank, is_quote};
use super::values::{is_placeholder, mixes_digits};

/// Fewest bytes of a user name without a password that is taken for a key, if it mixes letters and digits.
const NAME_BYTES_MIN: usize = 16;

/// The user information behind the `://` at `at`. It holds no `/`, so two searches never read the same bytes.
pub(super) fn find(reader: &TextReader<'_>, at: usize) -> Option<SecretKey> {
    if !reader.starts(at, "://") || !reader.before(at, 1).is_ascii_alphanumeric() {
        return None;
    }
    let secret = at + 3;
    let authority = reader.run(secret, usize::MAX, |byte| {
        !is_blank(byte) && !is_quote(byte) && !matches!(byte, b'/' | b'?' | b'#' | b'<' | b'>' | b'\\')
    });
    let Some((user, host)) = reader.slice(secret, authority).rsplit_once('@') else {
        return unescaped(reader, at, authority);
    };
    let end = secret + user.len();
    // In `docker://image:tag@sha256:...` the part before `@` is an image, not a user.
    (!user.contains(MARKER) && !host.starts_with("sha256:") && is_secret(user)).then_some(SecretKey { secret, end })
}

/// User information whose password holds `/`, `#` or `?` and so goes on behind what ought to be its end.
fn unescaped(reader: &TextReader<'_>, at: usize, authority: usize) -> Option<SecretKey> {
    const REST_BYTES_MAX: usize = 96;
    let secret = at + 3;
    if authority - secret > REST_BYTES_MAX || !matches!(reader.at(authority), b'/' | b'#' | b'?') {
        return None;
    }
    let (user, begun) = reader.slice(secret, authority).split_once(':')?;
    let is_part = |byte: u8| !is_blank(byte) && !is_quote(byte) && !matches!(byte, b'<' | b'>' | b'\\' | b'@');
    let end = reader.run(authority, REST_BYTES_MAX, is_part);
    let password = reader.slice_down(secret + user.len() + 1, end);
    let is_web = reader.slice(at.saturating_sub(5), at).contains("http");
    let goes_on = reader.at(end) == b'@' && reader.at(end + 1).is_ascii_alphanumeric() && !begun.is_empty();
    let is_secret = goes_on && !reader.holds_marker(secret, end) && phrases::is_unescaped(is_web, password);
    is_secret.then_some(SecretKey { secret, end })
}

fn is_secret(user: &str) -> bool {
    match user.split_once(':') {
        Some((_, password)) => !password.is_empty() && !is_placeholder(password),
        None => user.len() >= NAME_BYTES_MIN && mixes_digits(user),
    }
}
