//! Texts as HTML, and the policy of pages.

use http::header::HeaderValue;

pub(super) use crate::views::transcripts::escape::html as escape;

/// What a page may load: scripts, style and images from the program itself. Nothing else, no frame around it, and no text of
/// the page is ever a script or a style.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

/// What another page is told that a link of this one leads to: nothing.
pub(super) const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
