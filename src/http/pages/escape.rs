//! Texts as HTML, and the policy of pages.

use http::header::HeaderValue;

/// What a page may load: scripts, style and images from the program itself. Nothing else, no frame around it, and no text of
/// the page is ever a script or a style.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

/// What another page is told that a link of this one leads to: nothing.
pub(super) const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// A text as it can stand in an element or a quoted attribute. Characters that cannot be seen, and those that turn the
/// direction of what follows, are shown as their numbers.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(letter),
            _ if letter.is_control() || is_turning(letter) => {
                escaped.push_str(&format!("\u{27e8}{:X}\u{27e9}", u32::from(letter)));
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Whether a character changes the direction of the text behind it.
const fn is_turning(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
