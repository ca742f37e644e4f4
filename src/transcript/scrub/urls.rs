//! User information in URLs: `scheme://user:password@host`.

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
    let (user, host) = reader.slice(secret, authority).rsplit_once('@')?;
    let end = secret + user.len();
    // In `docker://image:tag@sha256:...` the part before `@` is an image, not a user.
    (!user.contains(MARKER) && !host.starts_with("sha256:") && is_secret(user)).then_some(SecretKey { secret, end })
}

fn is_secret(user: &str) -> bool {
    match user.split_once(':') {
        Some((_, password)) => !password.is_empty() && !is_placeholder(password),
        None => user.len() >= NAME_BYTES_MIN && mixes_digits(user),
    }
}
