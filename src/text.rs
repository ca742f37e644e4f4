//! Turns errors and paths into text for logs and messages, and reads and writes percent-encoded text.

use std::error::Error;
use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A path as text, for logs and for comparing paths. Bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn display(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// An error and its causes, separated by `: `.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Text with each `%XX` replaced by the byte that it stands for; `None` if a `%` stands before anything else, or if the
/// bytes are not UTF-8.
#[must_use]
pub fn percent_decoded(text: &str) -> Option<String> {
    let is_code =
        |behind: &str| behind.as_bytes().first_chunk::<2>().is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit));
    // The crate keeps a `%` before anything else as it is, so that a typing error would become a value.
    if !text.split('%').skip(1).all(is_code) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(|decoded| decoded.into_owned())
}

/// Text with `%XX` for each byte that is neither a letter nor a digit of ASCII, so that it can be a value in a query.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
